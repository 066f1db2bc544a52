//! What a restart keeps: everything acknowledged, after a clean stop and after a kill alike.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Server, run_to_end};
use crate::http::{Connection, Request};

const CREATE: &str = r#"{"TableName":"items","BillingMode":"PAY_PER_REQUEST","Tags":[{"Key":"k","Value":"v"}],
    "AttributeDefinitions":[{"AttributeName":"p","AttributeType":"S"},{"AttributeName":"s","AttributeType":"N"}],
    "KeySchema":[{"AttributeName":"p","KeyType":"HASH"},{"AttributeName":"s","KeyType":"RANGE"}]}"#;

fn put(connection: &mut Connection, number: usize) {
    let item = json!({
        "p": {"S": format!("partition {}", number % 7)}, "s": {"N": number.to_string()},
        "m": {"M": {"l": {"L": [{"NULL": true}, {"BOOL": false}, {"B": "AAEC"}]}}}, "ns": {"NS": ["1", "2.5"]},
        "text": {"S": "x".repeat(number % 300)},
    });
    connection.call("PutItem", &json!({"TableName": "items", "Item": item}).to_string());
}

/// All items and the table's description.
fn contents(connection: &mut Connection) -> (Value, Value) {
    let mut items = connection.call("Scan", r#"{"TableName":"items"}"#);
    items["Items"].as_array_mut().unwrap().sort_by_key(Value::to_string);
    (items, connection.call("DescribeTable", r#"{"TableName":"items"}"#))
}

#[test]
fn a_clean_stop_keeps_everything() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_in(directory.path(), &[]);
    let mut connection = server.connect();
    connection.call("CreateTable", CREATE);
    (0..500).for_each(|number| put(&mut connection, number));
    let before = contents(&mut connection);
    assert_eq!(before.0["Count"], 500);
    drop(connection);
    let status = server.terminate();
    assert_eq!(status.code(), Some(0), "{status}");

    let server = Server::start_in(directory.path(), &[]);
    assert_eq!(contents(&mut server.connect()), before);
    println!("ready again after {:?}", server.ready_after);
    assert_eq!(server.terminate().code(), Some(0));
}

#[test]
fn an_interrupt_stops_cleanly_too() {
    let (server, _directory) = Server::start();
    server.connect().call("CreateTable", CREATE);
    server.signal("INT");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_stop_answers_what_is_in_flight() {
    let (server, _directory) = Server::start();
    let mut connection = server.connect();
    connection.call("CreateTable", CREATE);
    let item = r#"{"TableName":"items","Item":{"p":{"S":"a"},"s":{"N":"1"}}}"#;
    connection.send(&Request::new("PutItem", item).bytes().repeat(200));
    let mut idle = server.connect();
    server.signal("TERM");
    let mut answered = 0;
    while let Some(response) = connection.receive_or_end() {
        assert_eq!(response.status, 200);
        answered += 1;
    }
    println!("{answered} of 200 pipelined writes answered before the end");
    assert!(idle.is_at_end());
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_kill_loses_nothing_acknowledged() {
    for durability in ["sync", "os"] {
        let directory = tempfile::tempdir().unwrap();
        let mut written = 0;
        for round in 1..=5 {
            let server = Server::start_in(directory.path(), &["--durability", durability]);
            let mut connection = server.connect();
            if round == 1 {
                connection.call("CreateTable", CREATE);
            }
            let (items, _) = contents(&mut connection);
            assert_eq!(items["Count"], written, "{durability}");
            for number in written..written + 100 {
                put(&mut connection, number);
            }
            written += 100;
            server.kill();
        }
    }
}

#[test]
fn a_dropped_table_stays_dropped() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_in(directory.path(), &[]);
    let mut connection = server.connect();
    connection.call("CreateTable", CREATE);
    (0..10).for_each(|number| put(&mut connection, number));
    connection.call("DeleteTable", r#"{"TableName":"items"}"#);
    server.kill();

    let server = Server::start_in(directory.path(), &[]);
    let mut connection = server.connect();
    assert_eq!(connection.call("ListTables", "{}"), json!({"TableNames": []}));
    // The same name is another table: not one old row comes back.
    connection.call("CreateTable", CREATE);
    assert_eq!(contents(&mut connection).0["Count"], 0);
}

#[test]
fn a_directory_in_use_is_refused() {
    let (server, directory) = Server::start();
    let (status, text) = run_to_end(directory.path(), &[]);
    assert!(!status.success());
    let text = text.to_lowercase();
    assert!(text.contains("lock") || text.contains("in use"), "{text}");
    assert!(text.contains(&directory.path().to_string_lossy().to_lowercase()), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    assert_eq!(server.connect().call("ListTables", "{}"), json!({"TableNames": []}));
}

#[test]
fn a_directory_that_cannot_be_used_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "not a directory").unwrap();
    let (status, text) = run_to_end(&file, &[]);
    assert!(!status.success());
    assert!(text.contains("file") && !text.contains("panicked"), "{text}");
}
