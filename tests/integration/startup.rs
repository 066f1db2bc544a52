//! Command line, banner, memory at rest.

use crate::harness::{Server, run_to_end};

/// An idle server with an empty directory.
const IDLE_BYTES_MAX: u64 = 40 << 20;

#[test]
fn the_banner_tells_what_runs_where() {
    let (server, directory) = Server::start();
    println!("{}", server.banner);
    let version = env!("CARGO_PKG_VERSION");
    for expected in [version, "http://127.0.0.1:", &directory.path().to_string_lossy(), "sync"] {
        assert!(server.banner.contains(expected), "{expected:?} is not in {}", server.banner);
    }
    assert!(server.banner.trim_end().ends_with("Ready to accept connections"), "{}", server.banner);
}

#[test]
fn an_idle_server_is_small() {
    let (server, _directory) = Server::start();
    let resident = server.resident_bytes();
    println!("ready after {:?}, resident {:.1} MB", server.ready_after, resident as f64 / 1e6);
    assert!(resident < IDLE_BYTES_MAX, "{resident}");
}

#[test]
fn a_bad_value_names_the_flag() {
    let directory = tempfile::tempdir().unwrap();
    for (flag, value) in [
        ("--port", "70000"),
        ("--port", "x"),
        ("--host", "not a host"),
        ("--durability", "maybe"),
        ("--durability", "interval=x"),
        ("--io-threads", "x"),
        ("--pool-threads", "x"),
        ("--block-cache", "much"),
        ("--memtable", "x"),
        ("--max-connections", "x"),
        ("--idle-timeout", "x"),
        ("--metrics-address log-format log-level slow-request-ms audit-log", "9090"),
    ] {
        let (status, text) = run_to_end(directory.path(), &[flag, value]);
        assert!(!status.success(), "{flag} {value}");
        assert!(text.contains(flag) && !text.contains("panicked"), "{flag} {value}: {text}");
    }
}

#[test]
fn every_flag_is_explained() {
    let directory = tempfile::tempdir().unwrap();
    let (status, text) = run_to_end(directory.path(), &["--help"]);
    assert!(status.success());
    for flag in "port host data-dir verbose io-threads pool-threads durability block-cache memtable max-connections \
                 idle-timeout region metrics-address access-key-id secret-access-key credentials-file \
                 disk-reserve recover-damaged-log"
        .split_whitespace()
    {
        let variable = format!("JORMUN_{}", flag.to_uppercase().replace('-', "_"));
        assert!(text.contains(&format!("--{flag}")) && text.contains(&variable), "{flag}: {text}");
    }
    let (status, text) = run_to_end(directory.path(), &["--version"]);
    assert!(status.success() && text.contains(env!("CARGO_PKG_VERSION")), "{text}");
}

#[test]
fn a_port_in_use_is_refused() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (status, text) = run_to_end(directory.path(), &["--port", &port]);
    assert!(!status.success());
    assert!(text.contains(&port) && !text.contains("panicked"), "{text}");
}
