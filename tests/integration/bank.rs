//! A bank under load: clients transfer, count and write their logs until the server dies, and [`Bank::check`] says
//! whether everything acknowledged is there and everything agrees.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::harness::Server;
use crate::http::Connection;
use crate::random::Random;

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

/// What was acknowledged, over all lives of the server.
pub struct Bank {
    /// By client: the last number of its log, counted from 1.
    logged: Vec<AtomicU64>,
    counted: AtomicU64,
    transferred: AtomicU64,
    /// Counts that were on their way when a kill came: they may have happened.
    counts_in_doubt: AtomicU64,
    /// Lines of this life, by client, with the time at which they were bank.
    acknowledgements: Vec<Mutex<Vec<(u64, SystemTime)>>>,
    /// Bound of the text in a line.
    line_bytes: u64,
}

/// What may be missing although it was bank.
#[derive(Clone, Copy, Debug)]
pub enum Loss {
    Nothing,
    /// What was acknowledged after this moment; without one, everything. What is there is still whole.
    After(Option<SystemTime>),
}

impl Bank {
    /// A bank on a server without tables, with lines shorter than `line_bytes` in its logs.
    pub fn open(connection: &mut Connection, line_bytes: u64) -> Bank {
        connection.call("CreateTable", CREATE_ACCOUNTS);
        connection.call("CreateTable", CREATE_LOG);
        for number in 0..ACCOUNTS {
            let item = json!({"p": {"S": format!("account {number}")}, "balance": {"N": "1000"}, "digit": {"N": "0"}});
            connection.call("PutItem", &json!({"TableName": "accounts", "Item": item}).to_string());
        }
        Bank {
            logged: std::iter::repeat_with(AtomicU64::default).take(CLIENTS as usize).collect(),
            counted: AtomicU64::default(),
            transferred: AtomicU64::default(),
            counts_in_doubt: AtomicU64::default(),
            acknowledgements: std::iter::repeat_with(Mutex::default).take(CLIENTS as usize).collect(),
            line_bytes,
        }
    }

    /// All clients at work, until the server is killed at some millisecond of the range.
    pub fn run_and_kill(&self, server: Server, random: &mut Random, moment_ms: Range<u64>) {
        thread::scope(|scope| {
            for number in 0..CLIENTS {
                let (address, random) = (server.address, Random(random.next()));
                scope.spawn(move || client(address, number, random, self));
            }
            scope.spawn(|| auditor(server.address));
            // Not a wait for something to happen: how long the load lasts is the random part of the test.
            let span = moment_ms.end - moment_ms.start;
            thread::sleep(Duration::from_millis(moment_ms.start + random.below(span)));
            server.signal("KILL");
        });
        server.wait();
    }

    /// Compares the server's data with what was acknowledged; what is in doubt is taken as it is found.
    pub fn check(&self, connection: &mut Connection, loss: Loss) {
        check_accounts(connection);
        let counter = connection.call("GetItem", r#"{"TableName":"log","Key":{"p":{"N":"-1"},"r":{"N":"0"}}}"#);
        let count: u64 = counter["Item"]["n"]["N"].as_str().map_or(0, |count| count.parse().unwrap());
        let in_doubt = self.counts_in_doubt.swap(0, Ordering::Relaxed);
        let counted = self.counted.swap(count, Ordering::Relaxed);
        let least = if matches!(loss, Loss::Nothing) { counted } else { 0 };
        assert!((least..=counted + in_doubt).contains(&count), "{count} of {counted} and {in_doubt} in doubt");
        for (number, logged) in self.logged.iter().enumerate() {
            let lines = log_lines(connection, number);
            let last = lines.len() as u64;
            assert!(lines.iter().copied().eq(1..=last), "client {number} has a hole in its log: {lines:?}");
            // The line in doubt, if it is there, is as good as acknowledged from now on.
            let acknowledged = logged.swap(last, Ordering::Relaxed);
            let times = std::mem::take(&mut *self.acknowledgements[number].lock().unwrap());
            let least = match loss {
                Loss::Nothing => acknowledged,
                Loss::After(moment) => {
                    let kept = |(_, time): &&(u64, SystemTime)| moment.is_some_and(|moment| *time < moment);
                    times.iter().rfind(kept).map_or(0, |(line, _)| *line)
                }
            };
            let expected = least..=acknowledged + 1;
            assert!(expected.contains(&last), "client {number}: {last} lines, expected {expected:?}");
        }
    }

    /// Transfers and counts that were acknowledged.
    pub fn progress(&self) -> (u64, u64) {
        (self.transferred.load(Ordering::Relaxed), self.counted.load(Ordering::Relaxed))
    }
}

fn check_accounts(connection: &mut Connection) {
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
}

fn account_key(number: u64) -> Value {
    json!({"p": {"S": format!("account {number}")}})
}

fn balance(item: &Value) -> i64 {
    item["balance"]["N"].as_str().unwrap().parse().unwrap()
}

/// One client's life until the server dies: transfers, counts, and lines in its own log.
fn client(address: SocketAddr, number: u64, mut random: Random, bank: &Bank) -> Option<()> {
    let mut connection = Connection::open(address);
    loop {
        transfer(&mut connection, &mut random, bank)?;

        bank.counts_in_doubt.fetch_add(1, Ordering::Relaxed);
        let count = json!({"TableName": "log", "Key": {"p": {"N": "-1"}, "r": {"N": "0"}},
            "UpdateExpression": "ADD n :one", "ExpressionAttributeValues": {":one": {"N": "1"}}});
        let (status, answer) = connection.attempt("UpdateItem", &count)?;
        assert_eq!(status, 200, "{answer}");
        bank.counted.fetch_add(1, Ordering::Relaxed);
        bank.counts_in_doubt.fetch_sub(1, Ordering::Relaxed);

        let logged = &bank.logged[number as usize];
        let line = logged.load(Ordering::Relaxed) + 1;
        let item = json!({"p": {"N": number.to_string()}, "r": {"N": line.to_string()},
            "text": {"S": "x".repeat(random.below(bank.line_bytes) as usize)}});
        let (status, answer) = connection.attempt("PutItem", &json!({"TableName": "log", "Item": item}))?;
        assert_eq!(status, 200, "{answer}");
        logged.store(line, Ordering::Relaxed);
        bank.acknowledgements[number as usize].lock().unwrap().push((line, SystemTime::now()));
    }
}

/// Moves money from one account to another, if neither changed since it was read.
fn transfer(connection: &mut Connection, random: &mut Random, bank: &Bank) -> Option<()> {
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
            bank.transferred.fetch_add(1, Ordering::Relaxed);
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
