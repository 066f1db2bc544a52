//! What a kill leaves behind: clients transfer, count and log while the server is killed at random moments and started
//! again on the same directory, and after each start everything acknowledged is there and everything agrees.
//!
//! `CRASH_CYCLES` and `CRASH_SEED` choose how often and from which seed; `make crash-test` sets them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::Server;
use crate::http::Connection;
use crate::random::{Random, environment};

const CLIENTS: u64 = 8;
const ACCOUNTS: u64 = 12;
/// Money in the bank, which no transfer changes.
const TOTAL: i64 = ACCOUNTS as i64 * 1000;

const CREATE_ACCOUNTS: &str = r#"{"TableName":"accounts","BillingMode":"PAY_PER_REQUEST",
    "AttributeDefinitions":[{"AttributeName":"p","AttributeType":"S"},{"AttributeName":"digit","AttributeType":"N"}],
    "KeySchema":[{"AttributeName":"p","KeyType":"HASH"}],
    "GlobalSecondaryIndexes":[{"IndexName":"by_digit","Projection":{"ProjectionType":"ALL"},
        "KeySchema":[{"AttributeName":"digit","KeyType":"HASH"}]}]}"#;
const CREATE_LOG: &str = r#"{"TableName":"log","BillingMode":"PAY_PER_REQUEST",
    "AttributeDefinitions":[{"AttributeName":"p","AttributeType":"N"},{"AttributeName":"r","AttributeType":"N"}],
    "KeySchema":[{"AttributeName":"p","KeyType":"HASH"},{"AttributeName":"r","KeyType":"RANGE"}]}"#;

/// What was acknowledged, over all cycles.
#[derive(Default)]
struct Acknowledged {
    /// By client: the last number of its log, counted from 1.
    logged: Vec<AtomicU64>,
    counted: AtomicU64,
    transferred: AtomicU64,
    /// Counts that were on their way when a kill came: they may have happened.
    counts_in_doubt: AtomicU64,
}

fn account_key(number: u64) -> Value {
    json!({"p": {"S": format!("account {number}")}})
}

fn balance(item: &Value) -> i64 {
    item["balance"]["N"].as_str().unwrap().parse().unwrap()
}

/// One client's life until the server dies: transfers, counts, and lines in its own log.
fn client(address: SocketAddr, number: u64, seed: u64, acknowledged: &Acknowledged) -> Option<()> {
    let mut random = Random(seed);
    let mut connection = Connection::open(address);
    loop {
        transfer(&mut connection, &mut random, acknowledged)?;

        acknowledged.counts_in_doubt.fetch_add(1, Ordering::Relaxed);
        let count = json!({"TableName": "log", "Key": {"p": {"N": "-1"}, "r": {"N": "0"}},
            "UpdateExpression": "ADD n :one", "ExpressionAttributeValues": {":one": {"N": "1"}}});
        let (status, answer) = connection.attempt("UpdateItem", &count)?;
        assert_eq!(status, 200, "{answer}");
        acknowledged.counted.fetch_add(1, Ordering::Relaxed);
        acknowledged.counts_in_doubt.fetch_sub(1, Ordering::Relaxed);

        let logged = &acknowledged.logged[number as usize];
        let line = logged.load(Ordering::Relaxed) + 1;
        let item = json!({"p": {"N": number.to_string()}, "r": {"N": line.to_string()},
            "text": {"S": "x".repeat(random.below(400) as usize)}});
        let (status, answer) = connection.attempt("PutItem", &json!({"TableName": "log", "Item": item}))?;
        assert_eq!(status, 200, "{answer}");
        logged.store(line, Ordering::Relaxed);
    }
}

/// Moves money from one account to another, if neither changed since it was read.
fn transfer(connection: &mut Connection, random: &mut Random, acknowledged: &Acknowledged) -> Option<()> {
    let from = random.below(ACCOUNTS);
    let to = (from + 1 + random.below(ACCOUNTS - 1)) % ACCOUNTS;
    let amount = random.below(50) as i64 + 1;
    let gets = [from, to].map(|number| json!({"Get": {"TableName": "accounts", "Key": account_key(number)}}));
    let (status, answer) = connection.attempt("TransactGetItems", &json!({"TransactItems": gets}))?;
    assert_eq!(status, 200, "{answer}");
    let update = |number: u64, position: usize, change: i64| {
        let old = balance(&answer["Responses"][position]["Item"]);
        let new = old + change;
        json!({"Update": {"TableName": "accounts", "Key": account_key(number),
            "UpdateExpression": "SET balance = :new, digit = :digit", "ConditionExpression": "balance = :old",
            "ExpressionAttributeValues": {":old": {"N": old.to_string()}, ":new": {"N": new.to_string()},
                ":digit": {"N": (new.rem_euclid(10)).to_string()}}}})
    };
    let token = format!("{:x}{:x}", random.below(u64::MAX), random.below(u64::MAX));
    let request = json!({"TransactItems": [update(from, 0, -amount), update(to, 1, amount)],
        "ClientRequestToken": token});
    let (status, answer) = connection.attempt("TransactWriteItems", &request)?;
    match status {
        200 => {
            acknowledged.transferred.fetch_add(1, Ordering::Relaxed);
        }
        _ => assert!(answer["__type"].as_str().unwrap().ends_with("TransactionCanceledException"), "{answer}"),
    }
    Some(())
}

/// Sees the bank at one moment, again and again: the sum never changes.
fn auditor(address: SocketAddr) -> Option<()> {
    let mut connection = Connection::open(address);
    loop {
        let gets: Vec<Value> =
            (0..ACCOUNTS).map(|number| json!({"Get": {"TableName": "accounts", "Key": account_key(number)}})).collect();
        let (status, answer) = connection.attempt("TransactGetItems", &json!({"TransactItems": gets}))?;
        assert_eq!(status, 200, "{answer}");
        let sum: i64 = answer["Responses"].as_array().unwrap().iter().map(|response| balance(&response["Item"])).sum();
        assert_eq!(sum, TOTAL, "seen between transfers");
    }
}

/// All items of a table or index by their partition key, a few a page.
fn scan(connection: &mut Connection, mut request: Value) -> BTreeMap<String, Value> {
    request["Limit"] = json!(5);
    let mut found = BTreeMap::new();
    loop {
        let page = connection.call("Scan", &request.to_string());
        for item in page["Items"].as_array().unwrap() {
            let other = found.insert(item["p"]["S"].as_str().unwrap().to_owned(), item.clone());
            assert_eq!(other, None, "an item on two pages");
        }
        let Some(key) = page.get("LastEvaluatedKey") else { return found };
        request["ExclusiveStartKey"] = key.clone();
    }
}

fn check(connection: &mut Connection, acknowledged: &Acknowledged) {
    let accounts = scan(connection, json!({"TableName": "accounts"}));
    assert_eq!(accounts.values().map(balance).sum::<i64>(), TOTAL, "no transfer happened by half");
    for item in accounts.values() {
        assert_eq!(item["digit"]["N"], balance(item).rem_euclid(10).to_string(), "{item}");
    }
    let index = scan(connection, json!({"TableName": "accounts", "IndexName": "by_digit"}));
    assert_eq!(index, accounts, "the index holds what the table implies");
    let described = connection.call("DescribeTable", r#"{"TableName":"accounts"}"#);
    assert_eq!(described["Table"]["ItemCount"], ACCOUNTS);
    assert_eq!(described["Table"]["GlobalSecondaryIndexes"][0]["ItemCount"], ACCOUNTS);

    let counter = connection.call("GetItem", r#"{"TableName":"log","Key":{"p":{"N":"-1"},"r":{"N":"0"}}}"#);
    let count: u64 = counter["Item"]["n"]["N"].as_str().map_or(0, |count| count.parse().unwrap());
    let counted = acknowledged.counted.load(Ordering::Relaxed);
    let in_doubt = acknowledged.counts_in_doubt.load(Ordering::Relaxed);
    assert!((counted..=counted + in_doubt).contains(&count), "{count} of {counted} and {in_doubt} in doubt");
    for (number, logged) in acknowledged.logged.iter().enumerate() {
        let lines = log_lines(connection, number);
        let acknowledged_lines = logged.load(Ordering::Relaxed);
        let expected = 1..=lines.len() as u64;
        assert!(lines.iter().copied().eq(expected), "client {number} has a hole in its log: {lines:?}");
        let surplus = (lines.len() as u64).checked_sub(acknowledged_lines);
        assert!(matches!(surplus, Some(0 | 1)), "client {number}: {} lines, {acknowledged_lines} seen", lines.len());
        // The line in doubt, if it is there, is as good as acknowledged from now on.
        logged.store(lines.len() as u64, Ordering::Relaxed);
    }
}

fn log_lines(connection: &mut Connection, number: usize) -> Vec<u64> {
    let mut lines = Vec::new();
    let mut request = json!({"TableName": "log", "KeyConditionExpression": "p = :p", "ProjectionExpression": "r",
        "ExpressionAttributeValues": {":p": {"N": number.to_string()}}});
    loop {
        let page = connection.call("Query", &request.to_string());
        let items = page["Items"].as_array().unwrap().iter();
        lines.extend(items.map(|item| item["r"]["N"].as_str().unwrap().parse::<u64>().unwrap()));
        let Some(key) = page.get("LastEvaluatedKey") else { return lines };
        request["ExclusiveStartKey"] = key.clone();
    }
}

#[test]
fn a_kill_at_any_moment_loses_nothing_acknowledged() {
    let (cycles, seed) = (environment("CRASH_CYCLES", 4), environment("CRASH_SEED", 1));
    println!("{cycles} cycles, CRASH_SEED={seed}");
    let mut random = Random(seed);
    let directory = tempfile::tempdir().unwrap();
    let logged = std::iter::repeat_with(AtomicU64::default).take(CLIENTS as usize).collect();
    let acknowledged = Acknowledged { logged, ..Acknowledged::default() };
    for cycle in 0..cycles {
        let durability = if cycle % 2 == 0 { "sync" } else { "os" };
        let server = Server::start_in(directory.path(), &["--durability", durability]);
        let mut connection = server.connect();
        if cycle == 0 {
            connection.call("CreateTable", CREATE_ACCOUNTS);
            connection.call("CreateTable", CREATE_LOG);
            for number in 0..ACCOUNTS {
                let item = json!({"p": {"S": format!("account {number}")}, "balance": {"N": "1000"},
                    "digit": {"N": "0"}});
                connection.call("PutItem", &json!({"TableName": "accounts", "Item": item}).to_string());
            }
        }
        check(&mut connection, &acknowledged);
        thread::scope(|scope| {
            for number in 0..CLIENTS {
                let seed = random.next();
                let (address, acknowledged) = (server.address, &acknowledged);
                scope.spawn(move || client(address, number, seed, acknowledged));
            }
            scope.spawn(|| auditor(server.address));
            // Not a wait for something to happen: how long the load lasts is the random part of the test.
            thread::sleep(Duration::from_millis(20 + random.below(200)));
            server.signal("KILL");
        });
        server.wait();
    }
    let server = Server::start_in(directory.path(), &[]);
    check(&mut server.connect(), &acknowledged);
    let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
    println!("{} transfers, {} counts acknowledged", count(&acknowledged.transferred), count(&acknowledged.counted));
    assert!(count(&acknowledged.transferred) > 0 && count(&acknowledged.counted) > 0);
    assert_eq!(server.terminate().code(), Some(0));
}
