//! DeleteTable and CreateTable under the same name, while readers and writers go on.
//!
//! The items of each round carry its number, in an attribute and in the name of their key attribute. So an item that
//! comes back from an earlier table, or a write that was accepted for one table and done in the next, is seen at once.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::Server;
use crate::http::{Connection, Request, Response};

const ROUNDS: u64 = 6;

/// Items that each table gets at least before it is deleted; the last one is large.
const ITEMS_MIN: u64 = 600;
const LAST_ITEMS_MIN: u64 = 4000;

/// Of all that was deleted, ordinary compactions may be left with this much.
const LEFT_BYTES_MAX: u64 = 8 << 20;

/// Generous: bounds how long a broken server is waited for.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What the threads share.
#[derive(Default)]
struct Play {
    /// The round whose table the writers believe in.
    round: AtomicU64,
    /// The last round whose table was there when CreateTable had answered.
    created: AtomicU64,
    /// Items put into the table of the round.
    written: AtomicU64,
    ended: AtomicBool,
}

impl Play {
    fn goes_on(&self) -> bool {
        !self.ended.load(Ordering::SeqCst)
    }
}

fn definition(round: u64, with_index: bool) -> Value {
    let attribute = |name: &str| json!({"AttributeName": name, "AttributeType": "S"});
    let key = format!("p{round}");
    let mut body = json!({
        "TableName": "items", "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [attribute(&key)], "KeySchema": [{"AttributeName": key, "KeyType": "HASH"}],
    });
    if with_index {
        body["AttributeDefinitions"] = json!([attribute(&key), attribute("g")]);
        body["GlobalSecondaryIndexes"] = json!([index()]);
    }
    body
}

fn index() -> Value {
    json!({
        "IndexName": "by_g", "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
    })
}

/// Text that no compression makes small, different for each item.
fn noise(seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let digits = (0..3000).map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'0' + (state % 75) as u8)
    });
    digits.filter(|digit| *digit != '\\').collect()
}

/// An answer that is neither a success nor one of these errors is a fault.
fn check_refusal(what: &str, response: &Response, allowed: &[(&str, &str)]) {
    let body = response.json();
    let kind = body["__type"].as_str().unwrap_or_default().rsplit('#').next().unwrap_or_default();
    let text = body["message"].as_str().unwrap_or_default();
    let is_allowed = allowed.iter().any(|(name, part)| kind == *name && text.contains(part));
    assert!(response.status == 400 && is_allowed, "{what}: {} {body}", response.status);
}

const NOT_FOUND: (&str, &str) = ("ResourceNotFoundException", "Requested resource not found");

/// The key attribute has another name in each round: a request for one table cannot pass for one for another.
const OTHER_KEY: (&str, &str) = ("ValidationException", "key");
const NO_INDEX: (&str, &str) = ("ValidationException", "The table does not have the specified index: by_g");

fn write(play: &Play, connection: &mut Connection, writer: u64) {
    let mut number = writer;
    while play.goes_on() {
        let round = play.round.load(Ordering::SeqCst);
        let item = json!({
            format!("p{round}"): {"S": format!("{writer}-{number}")}, "round": {"N": round.to_string()},
            "g": {"S": format!("group {}", number % 3)}, "noise": {"S": noise(number)},
        });
        let body = json!({"TableName": "items", "Item": item}).to_string();
        let response = connection.exchange(&Request::new("PutItem", &body));
        if response.status == 200 {
            play.written.fetch_add(1, Ordering::SeqCst);
        } else {
            check_refusal("PutItem", &response, &[NOT_FOUND, OTHER_KEY]);
            thread::sleep(Duration::from_millis(1));
        }
        number += 10;
    }
}

/// Reads page after page of Scan or Query. Each page is of one table, and of none that was deleted before.
fn read(play: &Play, connection: &mut Connection, operation: &str, parameters: &Value) {
    let mut start = Value::Null;
    while play.goes_on() {
        let created = play.created.load(Ordering::SeqCst);
        let mut body = parameters.clone();
        if !start.is_null() {
            body["ExclusiveStartKey"] = start.take();
        }
        let response = connection.exchange(&Request::new(operation, &body.to_string()));
        if response.status != 200 {
            check_refusal(operation, &response, &[NOT_FOUND, OTHER_KEY, NO_INDEX]);
            thread::sleep(Duration::from_millis(1));
            continue;
        }
        let mut page = response.json();
        let rounds = page["Items"].as_array().unwrap().iter().map(|item| item["round"]["N"].as_str().unwrap());
        let mut rounds: Vec<u64> = rounds.map(|round| round.parse().unwrap()).collect();
        rounds.dedup();
        assert!(rounds.len() <= 1, "{operation}: a page of one table, not of the rounds {rounds:?}");
        assert!(rounds.iter().all(|round| *round >= created), "{operation}: {rounds:?} after the table of {created}");
        start = page["LastEvaluatedKey"].take();
    }
}

fn get(play: &Play, connection: &mut Connection) {
    while play.goes_on() {
        let round = play.round.load(Ordering::SeqCst);
        let body = json!({"TableName": "items", "Key": {format!("p{round}"): {"S": "0-0"}}, "ConsistentRead": true});
        let response = connection.exchange(&Request::new("GetItem", &body.to_string()));
        match response.status {
            200 => {
                let found = response.json()["Item"]["round"]["N"].take();
                assert!(found.is_null() || found == json!(round.to_string()), "{found} in round {round}");
            }
            _ => check_refusal("GetItem", &response, &[NOT_FOUND, OTHER_KEY]),
        }
    }
}

/// Creates the table of a round, fills and deletes it. In every second round its index is added later.
fn play_round(play: &Play, connection: &mut Connection, round: u64) {
    play.round.store(round, Ordering::SeqCst);
    connection.call("CreateTable", &definition(round, round.is_multiple_of(2)).to_string());
    play.created.store(round, Ordering::SeqCst);
    play.written.store(0, Ordering::SeqCst);
    let items_min = if round == ROUNDS { LAST_ITEMS_MIN } else { ITEMS_MIN };
    wait_for("items", || play.written.load(Ordering::SeqCst) >= items_min);
    if !round.is_multiple_of(2) {
        let body = json!({
            "TableName": "items", "AttributeDefinitions": [{"AttributeName": "g", "AttributeType": "S"}],
            "GlobalSecondaryIndexUpdates": [{"Create": index()}],
        });
        connection.call("UpdateTable", &body.to_string());
    }
    wait_for("the deletion", || {
        let response = connection.exchange(&Request::new("DeleteTable", r#"{"TableName":"items"}"#));
        if response.status != 200 {
            let busy = "Attempt to change a resource which is still in use: Cannot delete table while indexes are";
            check_refusal("DeleteTable", &response, &[("ResourceInUseException", busy)]);
        }
        response.status == 200
    });
    let response = connection.exchange(&Request::new("DescribeTable", r#"{"TableName":"items"}"#));
    check_refusal("DescribeTable", &response, &[("ResourceNotFoundException", "Table: items not found")]);
}

fn wait_for(what: &str, mut is_there: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_there() {
        assert!(start.elapsed() < TIMEOUT, "{what} after {TIMEOUT:?}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Bytes of all table files of the engine.
fn table_file_bytes(directory: &Path) -> u64 {
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    let files = files.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "sst"));
    // One may go while they are looked at.
    files.map(|entry| entry.metadata().map_or(0, |metadata| metadata.len())).sum()
}

#[test]
fn a_table_is_deleted_and_created_again_under_load() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_in(directory.path(), &["--durability", "os", "--memtable", "1MB"]);
    let play = Play::default();
    let scan = json!({"TableName": "items", "Limit": 200});
    let index_scan = json!({"TableName": "items", "IndexName": "by_g", "Limit": 100});
    let query = json!({
        "TableName": "items", "IndexName": "by_g", "Limit": 50, "KeyConditionExpression": "g = :g",
        "ExpressionAttributeValues": {":g": {"S": "group 1"}},
    });
    let mut bytes_max = 0;
    thread::scope(|scope| {
        // Also ends the others when this thread panics.
        struct End<'p>(&'p Play);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                self.0.ended.store(true, Ordering::SeqCst);
            }
        }
        let _end = End(&play);
        for writer in 0..2 {
            let (play, mut connection) = (&play, server.connect());
            scope.spawn(move || write(play, &mut connection, writer));
        }
        for (operation, parameters) in [("Scan", &scan), ("Scan", &index_scan), ("Query", &query)] {
            let (play, mut connection) = (&play, server.connect());
            scope.spawn(move || read(play, &mut connection, operation, parameters));
        }
        let (shared, mut connection) = (&play, server.connect());
        scope.spawn(move || get(shared, &mut connection));
        let mut connection = server.connect();
        for round in 1..=ROUNDS {
            play_round(&play, &mut connection, round);
            bytes_max = bytes_max.max(table_file_bytes(directory.path()));
        }
    });
    assert!(bytes_max > 2 * LEFT_BYTES_MAX, "the last table reached the disk: {bytes_max} bytes");
    wait_for("the space", || table_file_bytes(directory.path()) < LEFT_BYTES_MAX);
    let tables = server.connect().call("ListTables", "{}");
    assert_eq!(tables["TableNames"], json!([]));
    assert_eq!(server.terminate().code(), Some(0));
}
