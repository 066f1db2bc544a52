//! Log lines, slow requests, Server-Timing.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::Server;
use crate::http::{Connection, Request};
use crate::monitor::{CREATE, GET, PUT};

/// A server whose log lines go to a file.
fn start(flags: &[&str]) -> (Server, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let log = File::create(directory.path().join("log")).unwrap();
    let data = directory.path().join("data");
    (Server::start_with_log(&data, flags, Stdio::from(log)), directory)
}

fn log_lines(directory: &Path) -> Vec<String> {
    fs::read_to_string(directory.join("log")).unwrap().lines().map(str::to_owned).collect()
}

fn json_lines(directory: &Path) -> Vec<Value> {
    let parse = |line: &String| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    log_lines(directory).iter().map(parse).collect()
}

/// A table whose Scan answers with a page of 1 MB.
fn fill(connection: &mut Connection) {
    connection.call("CreateTable", CREATE);
    for batch in 0..60 {
        let put = |number: usize| {
            let id = format!("{batch} {number}");
            json!({"PutRequest": {"Item": {"id": {"S": id}, "text": {"S": "hunter2".repeat(100)}}}})
        };
        let requests: Vec<Value> = (0..25).map(put).collect();
        connection.call("BatchWriteItem", &json!({"RequestItems": {"items": requests}}).to_string());
    }
}

#[test]
fn json_lines_parse_and_hold_a_line_for_each_request_but_no_data() {
    let (server, directory) = start(&["--log-format", "json", "--verbose"]);
    let mut connection = server.connect();
    connection.call("CreateTable", CREATE);
    let put = r#"{"TableName":"items","Item":{"id":{"S":"hunter2"}}}"#;
    for _ in 0..5 {
        connection.call("PutItem", put);
    }
    connection.exchange(&Request::new("GetItem", r#"{"TableName":"none","Key":{"id":{"S":"hunter2"}}}"#));
    drop(connection);
    assert_eq!(server.terminate().code(), Some(0));
    let lines = json_lines(directory.path());
    for line in &lines {
        assert!(line["timestamp"].is_string() && line["level"].is_string() && line["message"].is_string(), "{line}");
    }
    let requests: Vec<&Value> = lines.iter().filter(|line| line["message"] == "request").collect();
    assert_eq!(requests.len(), 7);
    let puts = requests.iter().filter(|line| line["operation"] == "PutItem" && line["status"] == 200);
    assert_eq!(puts.clone().count(), 5);
    assert!(puts.clone().all(|line| line["table"] == "items" && line["micros"].is_u64()));
    let failed = requests.last().unwrap();
    assert_eq!(
        (&failed["operation"], &failed["table"], &failed["status"]),
        (&json!("GetItem"), &json!("none"), &json!(400))
    );
    let text = log_lines(directory.path()).join("\n");
    for secret in ["hunter2", "Signature", "Credential", "0000000000000000000000"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[test]
fn the_level_leaves_lines_out() {
    let (server, directory) = start(&["--log-level", "error", "--verbose"]);
    server.connect().call("CreateTable", CREATE);
    assert_eq!(server.terminate().code(), Some(0));
    assert_eq!(log_lines(directory.path()), [""; 0]);
    let (server, directory) = start(&["--log-level", "info"]);
    assert_eq!(server.terminate().code(), Some(0));
    let lines = log_lines(directory.path());
    assert!(lines.iter().any(|line| line.contains(" INFO ") && line.ends_with("stopped")), "{lines:?}");
    assert!(serde_json::from_str::<Value>(&lines[0]).is_err(), "{lines:?}");
}

#[test]
fn a_slow_request_is_logged_with_its_stages_and_expressions() {
    let (server, directory) = start(&["--log-format", "json", "--slow-request-ms", "1"]);
    let mut connection = server.connect();
    fill(&mut connection);
    let scan = r##"{"TableName":"items","FilterExpression":"contains(#t, :secret)",
        "ExpressionAttributeNames":{"#t":"text"},"ExpressionAttributeValues":{":secret":{"S":"hunter2"}}}"##;
    let slow = loop {
        // A page of 1 MB takes longer than a millisecond, if not the first time then another.
        let response = connection.exchange(&Request::new("Scan", scan));
        assert_eq!(response.status, 200);
        let lines = json_lines(directory.path());
        let is_slow = |line: &&Value| line["message"] == "slow request" && line["operation"] == "Scan";
        if let Some(line) = lines.iter().find(is_slow) {
            break line.clone();
        }
    };
    assert_eq!(slow["level"], "WARN");
    assert_eq!((&slow["table"], &slow["status"]), (&json!("items"), &json!(200)));
    assert_eq!(slow["request_id"].as_str().unwrap().len(), 52);
    assert_eq!(slow["expressions"], "FilterExpression: contains(#t, :secret)");
    assert_eq!(slow["request_bytes"], scan.len());
    assert!(slow["items"].as_u64().unwrap() > 1000 && slow["response_bytes"].as_u64().unwrap() > 1_000_000, "{slow}");
    assert!(slow["total_ms"].as_f64().unwrap() >= 1.0, "{slow}");
    let stages = slow["stages_ms"].as_str().unwrap();
    for stage in ["execute=", "queue=", "send="] {
        assert!(stages.contains(stage), "{stages}");
    }
    assert!(!log_lines(directory.path()).join("\n").contains("hunter2"));
}

#[test]
fn zero_logs_no_slow_request() {
    let (server, directory) = start(&["--slow-request-ms", "0"]);
    let mut connection = server.connect();
    fill(&mut connection);
    connection.call("Scan", r#"{"TableName":"items"}"#);
    drop(connection);
    server.terminate();
    assert!(!log_lines(directory.path()).join("\n").contains("slow request"));
}

#[test]
fn server_timing_is_answered_when_asked_for() {
    let (server, _directory) = start(&[]);
    let mut connection = server.connect();
    connection.call("CreateTable", CREATE);
    let mut stages = |operation: &str, body: &str| {
        let asking = Request::new(operation, body).with("X-Jormun-Server-Timing", "1");
        let response = connection.exchange(&asking);
        let header = response.header("Server-Timing").unwrap_or_else(|| panic!("{operation}")).to_owned();
        let stages: Vec<(String, f64)> = header
            .split(", ")
            .map(|part| {
                let (name, duration) = part.split_once(";dur=").unwrap();
                (name.to_owned(), duration.parse().unwrap())
            })
            .collect();
        let (total, parts) = stages.split_last().unwrap();
        assert_eq!(total.0, "total");
        let sum: f64 = parts.iter().map(|(_, duration)| duration).sum();
        assert!((sum - total.1).abs() < 0.01, "the stages make up the total: {header}");
        let names: Vec<String> = parts.iter().map(|(name, _)| name.clone()).collect();
        let without = connection.exchange(&Request::new(operation, body));
        assert_eq!(without.header("Server-Timing"), None, "{operation}");
        let declined = Request::new(operation, body).with("X-Jormun-Server-Timing", "0");
        assert_eq!(connection.exchange(&declined).header("Server-Timing"), None, "{operation}");
        names
    };
    assert_eq!(stages("PutItem", PUT), ["execute", "queue", "commit", "write", "answer"]);
    assert_eq!(stages("GetItem", GET), ["execute"]);
    assert_eq!(stages("Scan", r#"{"TableName":"items"}"#), ["execute", "queue"]);
    assert_eq!(stages("GetItem", "{"), ["execute"]);
}
