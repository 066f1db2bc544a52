//! Metrics and health on their own address.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;

use tempfile::TempDir;

use crate::exposition::{Family, parse};
use crate::harness::Server;
use crate::http::{Connection, Request, Response};

pub const CREATE: &str = r#"{"TableName":"items","BillingMode":"PAY_PER_REQUEST",
    "AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}],
    "KeySchema":[{"AttributeName":"id","KeyType":"HASH"}]}"#;
pub const PUT: &str = r#"{"TableName":"items","Item":{"id":{"S":"a"},"n":{"N":"1"}}}"#;
pub const GET: &str = r#"{"TableName":"items","Key":{"id":{"S":"a"}}}"#;

pub fn start(flags: &[&str]) -> (Server, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let flags = [&["--metrics-address", "127.0.0.1:0"], flags].concat();
    (Server::start_in(directory.path(), &flags), directory)
}

pub fn metrics_address(server: &Server) -> SocketAddr {
    let line = server.banner.lines().find_map(|line| line.strip_prefix("metrics"));
    let address = line.and_then(|line| line.trim().strip_prefix("http://")?.strip_suffix("/metrics"));
    address.unwrap_or_else(|| panic!("no address of metrics in {:?}", server.banner)).parse().unwrap()
}

pub fn get(server: &Server, path: &str) -> Response {
    Connection::open(metrics_address(server)).exchange(&Request::bare(&format!("GET {path} HTTP/1.1")))
}

pub fn scrape(server: &Server) -> BTreeMap<String, Family> {
    let response = get(server, "/metrics");
    assert_eq!(response.status, 200, "{}", response.text());
    let expected = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(response.header("Content-Type"), Some(expected));
    parse(&response.text())
}

pub fn value(families: &BTreeMap<String, Family>, name: &str, labels: &[(&str, &str)]) -> f64 {
    let family = families.values().find(|family| family.samples.iter().any(|sample| sample.name == name));
    let family = family.unwrap_or_else(|| panic!("no {name}"));
    let found = family.samples.iter().find(|sample| sample.name == name && sample.has(labels));
    found.map_or(0.0, |sample| sample.value)
}

#[test]
fn every_request_is_counted_once_under_its_operation_and_error() {
    let (server, _directory) = start(&[]);
    let mut connection = server.connect();
    connection.call("CreateTable", CREATE);
    let (gets, puts) = (17, 9);
    (0..puts).for_each(|_| drop(connection.call("PutItem", PUT)));
    let mut answered_bytes = 0;
    for _ in 0..gets {
        let response = connection.exchange(&Request::new("GetItem", GET));
        assert_eq!(response.status, 200);
        answered_bytes += response.body.len();
    }
    let refused = [
        ("GetItem", r#"{"TableName":"none","Key":{"id":{"S":"a"}}}"#, "ResourceNotFoundException"),
        ("GetItem", r#"{"TableName":"items","Key":{}}"#, "ValidationException"),
        ("GetItem", "{", "SerializationException"),
        ("Nothing", "{}", "UnknownOperationException"),
        ("CreateTable", CREATE, "ResourceInUseException"),
        (
            "PutItem",
            r#"{"TableName":"items","Item":{"id":{"S":"a"}},"ConditionExpression":"attribute_not_exists(id)"}"#,
            "ConditionalCheckFailedException",
        ),
    ];
    for (operation, body, error) in refused {
        let response = connection.exchange(&Request::new(operation, body));
        assert!(response.text().contains(error), "{operation} {body}: {}", response.text());
    }
    let unsigned = Request::new("GetItem", GET).without("Authorization");
    assert_eq!(connection.exchange(&unsigned).status, 400);
    assert_eq!(connection.exchange(&Request::bare("GET / HTTP/1.1")).status, 200);
    assert_eq!(connection.exchange(&Request::new("PutItem", "").with("Content-Length", "99999999")).status, 413);
    let mut other = server.connect();
    other.send(b"nonsense\r\n\r\n");
    assert_eq!(other.receive().status, 400);
    for connection in [&mut other, &mut connection] {
        assert!(connection.is_at_end());
    }

    let families = scrape(&server);
    let requests = |operation| value(&families, "jormundb_requests_total", &[("operation", operation)]);
    assert_eq!(requests("GetItem"), f64::from(gets) + 3.0);
    assert_eq!(requests("PutItem"), f64::from(puts) + 2.0);
    assert_eq!(requests("CreateTable"), 2.0);
    assert_eq!(requests("Scan"), 0.0);
    for (row, count) in [("(unknown)", 1.0), ("(unauthorized)", 1.0), ("(health)", 1.0), ("(malformed)", 1.0)] {
        assert_eq!(requests(row), count, "{row}");
    }
    let errors = |operation, error| {
        value(&families, "jormundb_request_errors_total", &[("operation", operation), ("type", error)])
    };
    let rows = refused.map(|(operation, _, error)| (operation, error));
    for (operation, error) in rows.into_iter().filter(|(operation, _)| *operation != "Nothing").chain([
        ("(unknown)", "UnknownOperationException"),
        ("(unauthorized)", "MissingAuthenticationTokenException"),
        ("PutItem", "RequestTooLarge"),
        ("(malformed)", "BadRequest"),
    ]) {
        assert_eq!(errors(operation, error), 1.0, "{operation} {error}");
    }
    let total: f64 = families["jormundb_request_errors"].samples.iter().map(|sample| sample.value).sum();
    assert_eq!(total, 9.0);

    let durations = |operation| {
        let labels = [("operation", operation)];
        value(&families, "jormundb_request_duration_seconds_count", &labels)
    };
    assert_eq!(durations("GetItem"), requests("GetItem"));
    assert_eq!(durations("PutItem"), requests("PutItem") - 1.0, "one was not read to its end");
    let response_bytes = value(&families, "jormundb_response_body_bytes_total", &[("operation", "GetItem")]);
    assert!(response_bytes >= answered_bytes as f64, "{response_bytes} of {answered_bytes}");
    let request_bytes = value(&families, "jormundb_request_body_bytes_total", &[("operation", "PutItem")]);
    assert!(request_bytes >= f64::from(puts) * PUT.len() as f64, "{request_bytes}");

    assert_eq!(value(&families, "jormundb_connections_accepted_total", &[]), 2.0);
    assert_eq!(value(&families, "jormundb_tables", &[]), 1.0);
    // Each write that reached the committer is in a batch, and each batch has waited for the disk.
    let writes = value(&families, "jormundb_commit_batch_requests_sum", &[]);
    assert_eq!(writes, f64::from(puts) + 1.0);
    let syncs = value(&families, "jormundb_wal_sync_seconds_count", &[]);
    assert!(syncs >= 1.0 && syncs <= writes + 10.0, "{syncs}");
    let sync_seconds = value(&families, "jormundb_wal_sync_seconds_sum", &[]);
    let commit_seconds = value(&families, "jormundb_commit_seconds_sum", &[]);
    assert!(sync_seconds > 0.0 && commit_seconds > 0.0, "{sync_seconds} of {commit_seconds}");
}

#[test]
fn connections_are_counted_until_they_end_and_say_why() {
    let (server, _directory) = start(&["--max-connections", "2", "--idle-timeout", "1"]);
    let closed = |reason| value(&scrape(&server), "jormundb_connections_closed_total", &[("reason", reason)]);
    let mut client = server.connect();
    client.exchange(&Request::bare("GET / HTTP/1.1"));
    let mut idle = server.connect();
    idle.exchange(&Request::bare("GET / HTTP/1.1"));
    let mut third = server.connect();
    assert_eq!(third.receive().status, 503);
    let families = scrape(&server);
    assert_eq!(value(&families, "jormundb_connections_open", &[]), 2.0);
    assert_eq!(value(&families, "jormundb_connections_limit", &[]), 2.0);
    assert_eq!(value(&families, "jormundb_connections_refused_total", &[]), 1.0);
    client.finish_sending();
    assert!(client.is_at_end() && idle.is_at_end());
    while closed("client") + closed("idle") < 2.0 {
        thread::yield_now();
    }
    // Both ended in one of the two ways: the first one may have been idle for long enough too.
    assert!(closed("idle") >= 1.0);
    assert_eq!(closed("fault") + closed("timeout") + closed("refusal") + closed("shutdown"), 0.0);
}

#[test]
fn each_family_is_there_in_every_mode() {
    for durability in ["sync", "interval=5", "os"] {
        let (server, _directory) = start(&["--durability", durability]);
        let mut connection = server.connect();
        connection.call("CreateTable", CREATE);
        connection.call("PutItem", PUT);
        let families = scrape(&server);
        for name in [
            "jormundb_build",
            "jormundb_ready",
            "jormundb_loop_lag_seconds",
            "jormundb_pool_wait_seconds",
            "jormundb_commit_seconds",
            "jormundb_commit_wait_seconds",
            "jormundb_wal_sync_seconds",
            "jormundb_commit_queue_depth",
            "jormundb_commit_queue_limit",
            "jormundb_block_cache_hits",
            "jormundb_rocksdb_write_stopped",
            "jormundb_rocksdb_stall_seconds",
            "jormundb_rocksdb_level_files",
            "jormundb_backfill_done_items",
            "process_resident_memory_bytes",
            "process_open_fds",
            "process_start_time_seconds",
        ] {
            assert!(families.contains_key(name), "{name} in mode {durability}");
        }
        assert!(value(&families, "process_resident_memory_bytes", &[]) > 1e6);
        assert!(value(&families, "jormundb_rocksdb_memtables_bytes", &[]) > 0.0);
        assert_eq!(value(&families, "jormundb_ready", &[]), 1.0);
        let version = families["jormundb_build"].samples[0].labels["version"].clone();
        assert_eq!(version, env!("CARGO_PKG_VERSION"));
    }
}

#[test]
fn the_monitor_answers_its_paths_and_nothing_else() {
    let (server, _directory) = start(&[]);
    for (path, status, text) in [
        ("/healthz", 200, "alive\n"),
        ("/readyz", 200, "ready\n"),
        ("/readyz?x", 200, "ready\n"),
        ("/", 404, "/metrics, /healthz and /readyz are here\n"),
        ("/metrics/", 404, "/metrics, /healthz and /readyz are here\n"),
    ] {
        let response = get(&server, path);
        assert_eq!((response.status, response.text().as_str()), (status, text), "{path}");
    }
    let mut connection = Connection::open(metrics_address(&server));
    connection.send(&Request::bare("HEAD /healthz HTTP/1.1").bytes());
    let head = connection.receive_head();
    assert_eq!((head.status, head.header("Content-Length")), (200, Some("6")));
    assert!(connection.is_at_end());
    let post = Connection::open(metrics_address(&server)).exchange(&Request::new("GetItem", ""));
    assert_eq!(post.status, 405);
    let without = tempfile::tempdir().unwrap();
    let plain = Server::start_in(without.path(), &[]);
    assert!(!plain.banner.contains("metrics"), "{}", plain.banner);
}

#[test]
fn hostile_clients_of_the_monitor_are_bounded() {
    let (server, _directory) = start(&[]);
    let address = metrics_address(&server);
    // An endless head.
    let mut endless = TcpStream::connect(address).unwrap();
    let mut sent = 0;
    while sent < 1 << 20 && endless.write_all(&[b'x'; 1024]).is_ok() {
        sent += 1024;
    }
    let mut seen = Vec::new();
    endless.read_to_end(&mut seen).ok();
    assert!(seen.is_empty() || seen.starts_with(b"HTTP/1.1 400 "), "{:?}", String::from_utf8_lossy(&seen));
    // What is no request.
    for bytes in [&b"\x16\x03\x01\x02\x00\r\n\r\n"[..], b"GET / HTTP/9\r\n\r\n", b"GET /\n\n"] {
        let mut connection = Connection::open(address);
        connection.send(bytes);
        assert_eq!(connection.receive().status, 400);
    }
    // Connections that say nothing take all places; who comes then is told so, and nobody for ever.
    let silent: Vec<TcpStream> = (0..40).map(|_| TcpStream::connect(address).unwrap()).collect();
    let mut statuses = BTreeSet::new();
    for mut stream in silent {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok();
        statuses.insert(answer.split(' ').nth(1).unwrap_or_default().to_owned());
    }
    assert_eq!(statuses, BTreeSet::from([String::new(), "503".to_owned()]));
    assert_eq!(get(&server, "/healthz").status, 200);
    assert_eq!(server.connect().call("ListTables", "{}")["TableNames"], serde_json::json!([]));
}

#[test]
fn a_stopping_server_is_not_ready_but_alive() {
    let (server, _directory) = start(&[]);
    let mut connection = server.connect();
    connection.call("CreateTable", CREATE);
    assert_eq!(get(&server, "/readyz").status, 200);
    // A request that is not complete keeps the server from stopping.
    let request = Request::new("PutItem", PUT).bytes();
    let (first, last) = request.split_at(request.len() - 1);
    connection.send(first);
    server.signal("TERM");
    let not_ready = loop {
        let response = get(&server, "/readyz");
        if response.status != 200 {
            break response;
        }
        thread::yield_now();
    };
    assert_eq!((not_ready.status, not_ready.text().as_str()), (503, "the server is stopping\n"));
    assert_eq!(get(&server, "/healthz").status, 200);
    assert_eq!(value(&scrape(&server), "jormundb_ready", &[]), 0.0);
    connection.send(last);
    assert_eq!(connection.receive().status, 200);
    drop(connection);
    let monitor = TcpStream::connect(metrics_address(&server)).unwrap();
    assert_eq!(server.wait().code(), Some(0), "an open connection to the monitor holds nothing up");
    monitor.shutdown(Shutdown::Both).ok();
}
