//! Many idle connections beside a busy one.
//!
//! Where the limit on open files is too low for 10,000, the test takes as many as fit and says so.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::Server;
use crate::http::{Connection, Request};

const IDLE_COUNT: usize = 10_000;

/// Room for the test's other files, and for those of tests that run beside it.
const SPARE_FILES: usize = 2_000;

#[test]
fn idle_connections_cost_little() {
    let count = IDLE_COUNT.min(open_files_max().saturating_sub(SPARE_FILES));
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_in(directory.path(), &["--max-connections", "12000"]);
    let mut busy = server.connect();
    let list = Request::new("ListTables", "{}");
    assert_eq!(busy.exchange(&list).status, 200);

    let before = server.resident_bytes();
    let mut idle: Vec<TcpStream> = Vec::new();
    for _ in 0..count {
        // Each has had a request answered, as a pooled client's connection has.
        let mut connection = server.connect();
        assert_eq!(connection.exchange(&list).json(), json!({"TableNames": []}));
        idle.push(connection.stream);
    }
    let per_connection = server.resident_bytes().saturating_sub(before) / count as u64;

    let started = Instant::now();
    let mut answered = 0;
    while started.elapsed() < Duration::from_secs(1) {
        assert_eq!(busy.exchange(&list).status, 200);
        answered += 1;
    }
    println!("{count} idle connections: {per_connection} bytes of resident memory each");
    println!("beside them, one client got {answered} answers in a second");

    // They are still served, the first as well as the last.
    for stream in idle.iter().step_by(count / 100) {
        let mut connection = Connection::of(stream.try_clone().unwrap());
        assert_eq!(connection.exchange(&list).json(), json!({"TableNames": []}));
    }
    assert!(per_connection < 4096, "{per_connection}");
}

fn open_files_max() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap_or(usize::MAX)
}
