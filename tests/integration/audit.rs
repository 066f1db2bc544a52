//! The audit log: every write exactly once.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;

use serde_json::{Value, json};

use crate::harness::{Server, run_to_end};
use crate::http::{Connection, Request, Response};
use crate::monitor::{CREATE, GET, get, scrape, value};

fn entries(paths: &[&Path]) -> Vec<Value> {
    let mut entries = Vec::new();
    for path in paths {
        let text = fs::read_to_string(path).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'), "{text:?}");
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        entries.extend(text.lines().map(parse).collect::<Vec<Value>>());
    }
    entries
}

fn put(connection: &mut Connection, id: &str) -> Response {
    let body = json!({"TableName": "items", "Item": {"id": {"S": id}, "secret": {"S": "hunter2"}},
        "ConditionExpression": "attribute_not_exists(id)"});
    connection.exchange(&Request::new("PutItem", &body.to_string()))
}

#[test]
fn each_write_is_noted_once_under_concurrent_load_and_across_a_rotation() {
    let directory = tempfile::tempdir().unwrap();
    let (log, rotated) = (directory.path().join("audit"), directory.path().join("audit.1"));
    let flags = ["--audit-log", log.to_str().unwrap(), "--metrics-address", "127.0.0.1:0"];
    let server = Server::start_in(&directory.path().join("data"), &flags);
    server.connect().call("CreateTable", CREATE);

    // Request id and outcome of every write, as its client saw it.
    let mut acknowledged: BTreeMap<String, String> = BTreeMap::new();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..8)
            .map(|client| {
                let mut connection = server.connect();
                scope.spawn(move || {
                    let mut seen = Vec::new();
                    for number in 0..100 {
                        // Every tenth key is put twice: the second time is refused, and that is noted too.
                        let response = put(&mut connection, &format!("{client} {}", number / 10 * 9 + number % 10));
                        let outcome = if response.status == 200 { "ok" } else { "ConditionalCheckFailedException" };
                        seen.push((response.header("x-amzn-RequestId").unwrap().to_owned(), outcome.to_owned()));
                        connection.call("GetItem", GET);
                    }
                    seen
                })
            })
            .collect();
        fs::rename(&log, &rotated).unwrap();
        server.signal("HUP");
        for client in clients {
            acknowledged.extend(client.join().unwrap());
        }
    });
    assert_eq!(acknowledged.len(), 800);
    while !log.exists() {
        thread::yield_now();
    }
    assert_eq!(value(&scrape(&server), "jormundb_audit_log_lines_total", &[]), 801.0);
    assert_eq!(server.terminate().code(), Some(0));

    let entries = entries(&[&rotated, &log]);
    let puts: Vec<&Value> = entries.iter().filter(|entry| entry["operation"] == "PutItem").collect();
    assert_eq!(puts.len(), 800);
    for entry in puts {
        let outcome = acknowledged.remove(entry["requestId"].as_str().unwrap());
        assert_eq!(outcome.as_deref(), entry["outcome"].as_str(), "{entry}");
        assert_eq!((&entry["tables"], &entry["keysOmitted"]), (&json!(["items"]), &json!(0)), "{entry}");
        assert!(entry["keys"][0]["key"]["id"]["S"].is_string() && entry["client"].is_string(), "{entry}");
    }
    assert!(acknowledged.is_empty());
    assert_eq!(entries.len(), 801, "and the table's creation; no read");
}

#[test]
fn every_kind_of_write_names_its_tables_and_keys_and_no_data() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("audit");
    let server = Server::start_in(&directory.path().join("data"), &["--audit-log", log.to_str().unwrap()]);
    let mut connection = server.connect();
    let key = |id: &str| json!({"id": {"S": id}});
    let item = |id: &str| json!({"id": {"S": id}, "secret": {"S": "hunter2"}});
    connection.call("CreateTable", CREATE);
    assert_eq!(put(&mut connection, "a \"quoted\" key").status, 200);
    let update = json!({"TableName": "items", "Key": key("b"), "UpdateExpression": "SET secret = :s",
        "ExpressionAttributeValues": {":s": {"S": "hunter2"}}});
    connection.call("UpdateItem", &update.to_string());
    connection.call("DeleteItem", &json!({"TableName": "items", "Key": key("b")}).to_string());
    let batch =
        json!({"RequestItems": {"items": [{"PutRequest": {"Item": item("c")}}, {"DeleteRequest": {"Key": key("d")}}]}});
    connection.call("BatchWriteItem", &batch.to_string());
    let transaction = json!({"TransactItems": [
        {"Put": {"TableName": "items", "Item": item("e")}},
        {"ConditionCheck": {"TableName": "items", "Key": key("c"), "ConditionExpression": "attribute_exists(id)"}},
    ]});
    connection.call("TransactWriteItems", &transaction.to_string());
    let cancelled = transaction.to_string().replace("attribute_exists", "attribute_not_exists");
    assert_eq!(connection.exchange(&Request::new("TransactWriteItems", &cancelled)).status, 400);
    // Neither refused by its form nor a read.
    assert_eq!(connection.exchange(&Request::new("PutItem", r#"{"TableName":"items","Item":{}}"#)).status, 400);
    assert_eq!(connection.exchange(&Request::new("CreateTable", CREATE)).status, 400);
    connection.call("Scan", r#"{"TableName":"items"}"#);
    connection.call("DeleteTable", r#"{"TableName":"items"}"#);
    drop(connection);
    assert_eq!(server.terminate().code(), Some(0));

    let text = fs::read_to_string(&log).unwrap();
    assert!(!text.contains("hunter2"), "{text}");
    let seen: Vec<(String, String, Vec<String>)> = entries(&[&log])
        .iter()
        .map(|entry| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let ids = entry["keys"].as_array().unwrap().iter().map(|key| {
                assert_eq!(key["table"], "items");
                text(&key["key"]["id"]["S"])
            });
            assert_eq!(entry["tables"], json!(["items"]), "{entry}");
            (text(&entry["operation"]), text(&entry["outcome"]), ids.collect())
        })
        .collect();
    let row = |operation: &str, outcome: &str, ids: &[&str]| {
        (operation.to_owned(), outcome.to_owned(), ids.iter().map(|&id| id.to_owned()).collect::<Vec<_>>())
    };
    let expected = [
        row("CreateTable", "ok", &[]),
        row("PutItem", "ok", &["a \"quoted\" key"]),
        row("UpdateItem", "ok", &["b"]),
        row("DeleteItem", "ok", &["b"]),
        row("BatchWriteItem", "ok", &["c", "d"]),
        row("TransactWriteItems", "ok", &["e"]),
        row("TransactWriteItems", "TransactionCanceledException", &["e"]),
        row("DeleteTable", "ok", &[]),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn keys_beyond_the_bound_are_counted() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("audit");
    let server = Server::start_in(&directory.path().join("data"), &["--audit-log", log.to_str().unwrap()]);
    let mut connection = server.connect();
    connection.call("CreateTable", CREATE);
    // Each byte of these keys takes six in JSON.
    let id = |number: u8| format!("{}{}", "\u{1}".repeat(2000), char::from(b'a' + number));
    let puts: Vec<Value> = (0..25).map(|number| json!({"PutRequest": {"Item": {"id": {"S": id(number)}}}})).collect();
    connection.call("BatchWriteItem", &json!({"RequestItems": {"items": puts}}).to_string());
    drop(connection);
    server.terminate();
    let entry = entries(&[&log]).pop().unwrap();
    let listed = entry["keys"].as_array().unwrap().len() as u64;
    assert!((1..25).contains(&listed), "{listed}");
    assert_eq!(entry["keysOmitted"], 25 - listed);
    assert!(entry.to_string().len() <= 64 << 10);
}

#[test]
fn a_log_that_cannot_be_written_makes_the_server_not_ready() {
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--audit-log", "/dev/full", "--metrics-address", "127.0.0.1:0"];
    let server = Server::start_in(directory.path(), &flags);
    assert_eq!(get(&server, "/readyz").status, 200);
    server.connect().call("CreateTable", CREATE);
    let response = loop {
        let response = get(&server, "/readyz");
        if response.status == 503 {
            break response;
        }
        thread::yield_now();
    };
    assert_eq!(response.text(), "the audit log cannot be written\n");
    assert!(value(&scrape(&server), "jormundb_audit_log_failures_total", &[]) >= 1.0);
    server.kill();
    let (status, text) = run_to_end(directory.path(), &["--audit-log", "/nowhere/audit"]);
    assert!(!status.success() && text.contains("cannot open the audit log /nowhere/audit"), "{text}");
}
