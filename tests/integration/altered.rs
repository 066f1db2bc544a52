//! A table that changes while requests name it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::harness::Server;
use crate::http::Connection;

/// Versions of the table that requests meet.
const ALTERATIONS: usize = 150;

/// Of one transaction: as many as there may be, so that some begin before an alteration and end after it.
const ACTIONS: usize = 100;

/// Adds an index to a table, or takes it away.
fn alter(connection: &mut Connection, is_there: bool) {
    let change = if is_there {
        json!({"Delete": {"IndexName": "by_g"}})
    } else {
        json!({"Create": {"IndexName": "by_g", "Projection": {"ProjectionType": "KEYS_ONLY"},
            "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}]}})
    };
    let request = json!({"TableName": "items", "GlobalSecondaryIndexUpdates": [change],
        "AttributeDefinitions": [{"AttributeName": "g", "AttributeType": "S"}]});
    connection.call("UpdateTable", &request.to_string());
    let describe = r#"{"TableName":"items"}"#;
    while connection.call("DescribeTable", describe)["Table"]["TableStatus"] != "ACTIVE" {}
}

/// Sends a transaction until `stop`; each answer counts the table once.
fn transact(connection: &mut Connection, operation: &str, action: impl Fn(usize) -> Value, stop: &AtomicBool) {
    let actions: Vec<Value> = (0..ACTIONS).map(action).collect();
    let request = json!({"TransactItems": actions, "ReturnConsumedCapacity": "INDEXES"}).to_string();
    while !stop.load(Ordering::Relaxed) {
        let answer = connection.call(operation, &request);
        assert_eq!(answer["ConsumedCapacity"].as_array().unwrap().len(), 1, "{operation}: {answer}");
    }
}

#[test]
fn a_transaction_sees_one_version_of_a_table() {
    let (server, _directory) = Server::start();
    let mut connection = server.connect();
    let create = r#"{"TableName":"items","BillingMode":"PAY_PER_REQUEST",
        "AttributeDefinitions":[{"AttributeName":"p","AttributeType":"S"}],
        "KeySchema":[{"AttributeName":"p","KeyType":"HASH"}]}"#;
    connection.call("CreateTable", create);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let (mut writer, mut reader) = (server.connect(), server.connect());
        let put = |number: usize| {
            let item = json!({"p": {"S": number.to_string()}, "g": {"S": "g"}});
            json!({"Put": {"TableName": "items", "Item": item}})
        };
        let get = |number: usize| {
            let key = json!({"p": {"S": number.to_string()}});
            json!({"Get": {"TableName": "items", "Key": key}})
        };
        let stop = &stop;
        let threads = [
            scope.spawn(move || transact(&mut writer, "TransactWriteItems", put, stop)),
            scope.spawn(move || transact(&mut reader, "TransactGetItems", get, stop)),
        ];
        for number in 0..ALTERATIONS {
            if threads.iter().any(|thread| thread.is_finished()) {
                break;
            }
            alter(&mut connection, number % 2 == 1);
        }
        stop.store(true, Ordering::Relaxed);
    });
}
