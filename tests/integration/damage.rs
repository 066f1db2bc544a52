//! Bytes that change on the disk while no server runs: found and reported, never served.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Server, run_to_end};
use crate::http::{Connection, Request};
use crate::random::Random;
use crate::shim::Disk;

const ITEMS: u64 = 400;

const CREATE: &str = r#"{"TableName":"items","BillingMode":"PAY_PER_REQUEST",
    "AttributeDefinitions":[{"AttributeName":"p","AttributeType":"N"}],
    "KeySchema":[{"AttributeName":"p","KeyType":"HASH"}]}"#;

fn key(number: u64) -> Value {
    json!({"p": {"N": number.to_string()}})
}

/// 600 characters that hardly compress.
fn text(number: u64) -> String {
    let mut random = Random(number + 1);
    (0..600).map(|_| char::from(b'0' + random.below(75) as u8)).map(|c| if c == '\\' { '!' } else { c }).collect()
}

fn fill(connection: &mut Connection) {
    connection.call("CreateTable", CREATE);
    for number in 0..ITEMS {
        let item = json!({"p": {"N": number.to_string()}, "text": {"S": text(number)}});
        connection.call("PutItem", &json!({"TableName": "items", "Item": item}).to_string());
    }
}

/// How many items are served, each as it was written, and how many answer with InternalServerError.
fn served(connection: &mut Connection) -> (u64, u64) {
    let (mut whole, mut failed) = (0, 0);
    for number in 0..ITEMS {
        let request = json!({"TableName": "items", "Key": key(number)}).to_string();
        let response = connection.exchange(&Request::new("GetItem", &request));
        match response.status {
            200 => match response.json().get("Item") {
                Some(item) => {
                    assert_eq!(item["text"]["S"], text(number), "item {number}");
                    whole += 1;
                }
                None => continue,
            },
            _ => {
                assert_internal_error(response.status, &response.json());
                failed += 1;
            }
        }
    }
    (whole, failed)
}

fn assert_internal_error(status: u16, answer: &Value) {
    assert_eq!(status, 500, "{answer}");
    assert_eq!(answer["__type"], "com.amazonaws.dynamodb.v20120810#InternalServerError");
}

/// The largest file with this extension.
fn largest(directory: &Path, extension: &str) -> PathBuf {
    let paths = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let paths = paths.filter(|path| path.extension().is_some_and(|found| found == extension));
    paths.max_by_key(|path| path.metadata().unwrap().len()).unwrap()
}

/// Flips a bit at this part of a file.
fn flip(file: &Path, part: f64) {
    let mut bytes = fs::read(file).unwrap();
    let at = (bytes.len() as f64 * part) as usize;
    bytes[at] ^= 4;
    fs::write(file, bytes).unwrap();
}

#[test]
fn a_flip_in_the_log_is_refused_at_start() {
    for durability in ["sync", "interval=10", "os"] {
        for part in [0.02, 0.5, 0.9999] {
            let directory = tempfile::tempdir().unwrap();
            let server = Server::start_in(directory.path(), &["--durability", durability]);
            fill(&mut server.connect());
            server.kill();
            let log = largest(directory.path(), "log");
            flip(&log, part);
            for _ in 0..2 {
                let (status, text) = run_to_end(directory.path(), &["--durability", durability]);
                assert_eq!(status.code(), Some(1), "{durability} {part}: {text}");
                let name = log.file_name().unwrap().to_str().unwrap();
                assert!(text.contains(name) && text.contains("from byte "), "{text}");
                assert!(text.contains("--recover-damaged-log") && !text.contains("panicked"), "{text}");
            }
            let server = Server::start_in(directory.path(), &["--recover-damaged-log"]);
            let mut connection = server.connect();
            // Damage at the very beginning takes the table too.
            if connection.call("ListTables", "{}")["TableNames"] != json!([]) {
                let (whole, failed) = served(&mut connection);
                assert!(whole < ITEMS && failed == 0, "{durability} {part}: {whole}");
            }
            server.kill();
            assert_eq!(Server::start_in(directory.path(), &[]).terminate().code(), Some(0));
        }
    }
}

/// After a boot the same damage is what a power cut may leave of a log that was not synced: no error.
#[test]
fn a_torn_log_that_was_not_synced_starts_after_a_power_cut() {
    let disk = Disk::new();
    let server = Server::start_on(&disk, &["--durability", "os"], false);
    fill(&mut server.connect());
    server.kill();
    flip(&largest(&disk.path(), "log"), 0.5);
    disk.boot();
    let server = Server::start_on(&disk, &[], false);
    let (whole, failed) = served(&mut server.connect());
    assert!((1..ITEMS).contains(&whole) && failed == 0, "{whole}");
}

/// And of a log that was synced it is not: the disk has lost what it had confirmed.
#[test]
fn a_damaged_log_that_was_synced_is_refused_after_a_power_cut() {
    let disk = Disk::new();
    let server = Server::start_on(&disk, &["--durability", "sync"], false);
    fill(&mut server.connect());
    server.kill();
    flip(&largest(&disk.path(), "log"), 0.5);
    disk.boot();
    let (status, text) = run_to_end(&disk.path(), &[]);
    assert!(!status.success() && text.contains("the log is damaged"), "{text}");
}

#[test]
fn a_flipped_block_of_a_table_file_is_an_error_for_its_readers_only() {
    let disk = Disk::new();
    let server = Server::start_on(&disk, &[], false);
    fill(&mut server.connect());
    assert_eq!(server.terminate().code(), Some(0));
    let file = largest(&disk.path(), "sst");
    flip(&file, 0.4);

    let server = Server::start_on(&disk, &[], false);
    let mut connection = server.connect();
    let (whole, failed) = served(&mut connection);
    println!("{whole} items served, {failed} refused");
    assert!(failed > 0 && whole + failed == ITEMS && whole > ITEMS / 2, "{whole} served, {failed} refused");
    let log = disk.log();
    let name = file.file_name().unwrap().to_str().unwrap();
    assert!(log.lines().any(|line| line.contains("checksum") && line.contains(name)), "{name}: {log}");
    // A page over the block fails whole; nothing of it is served as if it were everything.
    let scan = connection.exchange(&Request::new("Scan", r#"{"TableName":"items"}"#));
    assert_internal_error(scan.status, &scan.json());
    // Writes go on; one that has to read a damaged item fails by itself.
    let mut updated = 0;
    for number in 0..ITEMS {
        let request = json!({"TableName": "items", "Key": key(number), "UpdateExpression": "SET n = :n",
            "ExpressionAttributeValues": {":n": {"N": "1"}}});
        let response = connection.exchange(&Request::new("UpdateItem", &request.to_string()));
        match response.status {
            200 => updated += 1,
            status => assert_internal_error(status, &response.json()),
        }
    }
    assert_eq!(updated, whole);
}

/// A compaction reads every block of its files, and what it cannot read it must not drop.
#[test]
fn a_compaction_that_meets_a_flipped_block_ends_all_writes() {
    /// RocksDB compacts level 0 once it has four files. Each clean stop adds one.
    const FILES: u64 = 4;
    const PATIENCE: Duration = Duration::from_secs(60);
    let disk = Disk::new();
    let server = Server::start_on(&disk, &[], false);
    fill(&mut server.connect());
    assert_eq!(server.terminate().code(), Some(0));
    flip(&largest(&disk.path(), "sst"), 0.4);
    let put = |connection: &mut Connection, number: u64, round: u64| {
        let item = json!({"p": {"N": number.to_string()}, "round": {"N": round.to_string()}});
        connection.exchange(&Request::new("PutItem", &json!({"TableName": "items", "Item": item}).to_string()))
    };
    for round in 1..FILES {
        let server = Server::start_on(&disk, &[], false);
        let mut connection = server.connect();
        // Over keys that the damaged file has: it would else be moved to the next level unread. Items whose old state
        // cannot be read are refused one by one, whatever compactions do.
        assert!((0..ITEMS).any(|number| put(&mut connection, number, round).status == 200));
        server.terminate();
    }
    let server = Server::start_on(&disk, &[], false);
    let mut connection = server.connect();
    let deadline = Instant::now() + PATIENCE;
    // An item that is in no file, so that nothing but a compaction can be why it is refused.
    let refusal = loop {
        let answer = put(&mut connection, ITEMS, FILES);
        if answer.status != 200 {
            break answer;
        }
        assert!(Instant::now() < deadline, "no compaction meets the damage");
        thread::sleep(Duration::from_millis(5));
    };
    assert_internal_error(refusal.status, &refusal.json());
    assert!(disk.log().contains("writes are refused until the server is restarted"), "{}", disk.log());
    // Reads of what is whole go on.
    let statuses = (0..ITEMS).map(|number| {
        let request = json!({"TableName": "items", "Key": key(number)}).to_string();
        connection.exchange(&Request::new("GetItem", &request)).status
    });
    let whole = statuses.filter(|status| *status == 200).count();
    assert!(whole > ITEMS as usize / 2 && whole < ITEMS as usize, "{whole} of {ITEMS}");
}
