//! The maintenance commands, as a user runs them: verify, rebuild-index, backup, restore.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Server, program};
use crate::http::Connection;

/// Bounds how long a broken server is waited for.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Runs a command to its end: its status and what it printed on both streams.
fn run(arguments: &[&dyn AsRef<std::ffi::OsStr>]) -> (i32, String) {
    let output = program().args(arguments.iter().map(|argument| argument.as_ref())).output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(!text.contains("panicked"), "{text}");
    (output.status.code().unwrap(), text)
}

fn verify(data: &Path) -> (i32, String) {
    run(&[&"verify", &"--data-dir", &data])
}

fn backup(target: &Path, data: &Path) -> (i32, String) {
    run(&[&"backup", &target, &"--data-dir", &data])
}

fn restore(backups: &Path, id: u32, data: &Path) -> (i32, String) {
    run(&[&"restore", &backups, &"--data-dir", &data, &"--backup-id", &id.to_string()])
}

fn assert_done((status, text): (i32, String)) -> String {
    assert_eq!(status, 0, "{text}");
    text
}

/// A table `name` of rows (p, r) with an index by `digit`.
fn create_table(connection: &mut Connection, name: &str) {
    let definition = |name: &str, kind: &str| json!({"AttributeName": name, "AttributeType": kind});
    let key = |name: &str, kind: &str| json!({"AttributeName": name, "KeyType": kind});
    let request = json!({"TableName": name, "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [definition("p", "N"), definition("r", "N"), definition("digit", "N")],
        "KeySchema": [key("p", "HASH"), key("r", "RANGE")],
        "GlobalSecondaryIndexes": [{"IndexName": "by_digit", "Projection": {"ProjectionType": "ALL"},
            "KeySchema": [key("digit", "HASH")]}]});
    connection.call("CreateTable", &request.to_string());
}

fn row(client: u64, number: u64, text: &str) -> Value {
    json!({"p": {"N": client.to_string()}, "r": {"N": number.to_string()},
        "digit": {"N": (number % 10).to_string()}, "text": {"S": text}})
}

fn put(connection: &mut Connection, table: &str, item: &Value) {
    connection.call("PutItem", &json!({"TableName": table, "Item": item}).to_string());
}

/// A stopped server's directory: table `one` with so many rows.
fn filled(row_count: u64) -> tempfile::TempDir {
    let (server, directory) = Server::start();
    let mut connection = server.connect();
    create_table(&mut connection, "one");
    (0..row_count).for_each(|number| put(&mut connection, "one", &row(1, number, "text")));
    assert_eq!(server.terminate().code(), Some(0));
    directory
}

/// All rows of a table or index as (client, number).
fn scan(connection: &mut Connection, table: &str, index: Option<&str>) -> BTreeSet<(u64, u64)> {
    let mut request = json!({"TableName": table, "ProjectionExpression": "p, r"});
    if let Some(index) = index {
        request["IndexName"] = index.into();
    }
    let mut found = BTreeSet::new();
    loop {
        let page = connection.call("Scan", &request.to_string());
        let number = |item: &Value, name: &str| item[name]["N"].as_str().unwrap().parse().unwrap();
        found.extend(page["Items"].as_array().unwrap().iter().map(|item| (number(item, "p"), number(item, "r"))));
        match page.get("LastEvaluatedKey") {
            Some(key) => request["ExclusiveStartKey"] = key.clone(),
            None => return found,
        }
    }
}

const CLIENTS: u64 = 4;

/// Writes rows 1, 2, 3... of one client into two tables, each in one transaction, until `stop`.
fn write_rows(address: SocketAddr, client: u64, acknowledged: &AtomicU64, stop: &AtomicBool) {
    let mut connection = Connection::open(address);
    let text = "x".repeat(700);
    while !stop.load(Ordering::Relaxed) {
        let number = acknowledged.load(Ordering::Relaxed) + 1;
        let put = |table: &str| json!({"Put": {"TableName": table, "Item": row(client, number, &text)}});
        connection.call("TransactWriteItems", &json!({"TransactItems": [put("one"), put("two")]}).to_string());
        acknowledged.store(number, Ordering::Relaxed);
    }
}

fn wait_for_rows(acknowledged: &[AtomicU64], more: u64) {
    let counts = || acknowledged.iter().map(|count| count.load(Ordering::Relaxed)).collect::<Vec<_>>();
    let (before, start) = (counts(), Instant::now());
    while counts().iter().zip(&before).any(|(now, before)| now - before < more) {
        assert!(start.elapsed() < TIMEOUT, "{:?}", counts());
        thread::sleep(Duration::from_millis(2));
    }
}

/// A restored directory verifies, and each client's rows are the first so many, the same in both tables and their
/// indexes, and not fewer than were acknowledged before the backup began.
fn check_restored(data: &Path, acknowledged: &[u64]) {
    assert_done(verify(data));
    let server = Server::start_in(data, &[]);
    let mut connection = server.connect();
    let rows = scan(&mut connection, "one", None);
    for (table, index) in [("two", None), ("one", Some("by_digit")), ("two", Some("by_digit"))] {
        assert_eq!(scan(&mut connection, table, index), rows, "{table} {index:?}");
    }
    for (client, acknowledged) in (0..).zip(acknowledged) {
        let numbers: Vec<u64> = rows.iter().filter(|row| row.0 == client).map(|row| row.1).collect();
        assert!(numbers.iter().copied().eq(1..=numbers.len() as u64), "client {client} has a hole: {numbers:?}");
        assert!(numbers.len() as u64 >= *acknowledged, "client {client}: {} of {acknowledged}", numbers.len());
    }
    assert_eq!(server.terminate().code(), Some(0));
}

#[test]
fn a_backup_under_load_is_a_moment_of_the_server() {
    let (data, backups) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // The least memtable, so that flushes and compactions go on meanwhile.
    let server = Server::start_in(data.path(), &["--memtable", "1MB", "--durability", "os"]);
    let mut connection = server.connect();
    create_table(&mut connection, "one");
    create_table(&mut connection, "two");
    let acknowledged: Vec<AtomicU64> = std::iter::repeat_with(AtomicU64::default).take(CLIENTS as usize).collect();
    let stop = AtomicBool::new(false);
    let counts = || acknowledged.iter().map(|count| count.load(Ordering::Relaxed)).collect::<Vec<_>>();
    let before: Vec<Vec<u64>> = thread::scope(|scope| {
        for (client, acknowledged) in (0..).zip(&acknowledged) {
            let (address, stop) = (server.address, &stop);
            scope.spawn(move || write_rows(address, client, acknowledged, stop));
        }
        let before = (0..3).map(|_| {
            wait_for_rows(&acknowledged, 150);
            let before = counts();
            let text = assert_done(backup(backups.path(), data.path()));
            println!("{text}");
            before
        });
        let before = before.collect();
        stop.store(true, Ordering::Relaxed);
        before
    });
    for (id, before) in (1..).zip(&before) {
        let parent = tempfile::tempdir().unwrap();
        let restored = parent.path().join("new");
        assert_done(restore(backups.path(), id, &restored));
        check_restored(&restored, before);
    }
    // The same of the server itself, stopped.
    drop(connection);
    assert_eq!(server.terminate().code(), Some(0));
    assert_done(verify(data.path()));
    assert_done(run(&[&"backup", &backups.path(), &"--data-dir", &data.path(), &"--keep", &"2"]));
    let listed = assert_done(run(&[&"backup", &"--list", &backups.path()]));
    let ids: Vec<&str> = listed.lines().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(ids, ["backup 3", "backup 4"], "{listed}");
    let parent = tempfile::tempdir().unwrap();
    assert_done(run(&[&"restore", &backups.path(), &"--data-dir", &parent.path()]));
    check_restored(parent.path(), &counts());
}

fn bytes_below(path: &Path) -> u64 {
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { bytes_below(&path) } else { path.metadata().unwrap().len() }).sum()
}

#[test]
fn a_second_backup_copies_what_is_new() {
    let (data, backups) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start_in(data.path(), &["--durability", "os"]);
    let mut connection = server.connect();
    create_table(&mut connection, "one");
    for number in 0..100u64 {
        // Not to be shortened by compression.
        let text: String =
            (0..4000).map(|part| format!("{:08x}", ((number * 4000 + part + 1) * 0x9e37_79b1) >> 4)).collect();
        put(&mut connection, "one", &row(1, number, &text));
    }
    // Puts the rows into one table file and begins a log without them, of which every backup has a copy. The few
    // flushes that follow set off no compaction, which would make new files of old rows.
    drop(connection);
    assert!(server.terminate().success());
    let server = Server::start_in(data.path(), &["--durability", "os"]);
    let mut connection = server.connect();
    assert_done(backup(backups.path(), data.path()));
    let first = bytes_below(backups.path());
    put(&mut connection, "one", &row(1, 100, "new"));
    assert_done(backup(backups.path(), data.path()));
    let second = bytes_below(backups.path()) - first;
    println!("{first} bytes, then {second}");
    assert!(second < first / 2, "{first} bytes, then {second}");
    for (id, row_count) in [(1, 100), (2, 101)] {
        let restored = tempfile::tempdir().unwrap();
        assert_done(restore(backups.path(), id, restored.path()));
        let server = Server::start_in(restored.path(), &[]);
        assert_eq!(scan(&mut server.connect(), "one", None).len(), row_count);
    }
}

#[test]
fn commands_that_need_the_directory_say_that_it_is_in_use() {
    let (server, data) = Server::start();
    for command in ["verify", "rebuild-index"] {
        let (status, text) = run(&[&command, &"--data-dir", &data.path()]);
        assert_eq!(status, 2, "{command}: {text}");
        assert!(text.contains("is in use by another process"), "{command}: {text}");
    }
    let backups = tempfile::tempdir().unwrap();
    assert_done(backup(backups.path(), data.path()));
    let (status, text) = restore(backups.path(), 1, data.path());
    assert!(status == 2 && text.contains("is not empty"), "{text}");
    drop(server);
    // What a killed server left can be verified without a start in between.
    assert_done(verify(data.path()));
}

#[test]
fn a_second_backup_at_the_same_time_is_refused() {
    let (_server, data) = Server::start();
    let backups = tempfile::tempdir().unwrap();
    // As a server that is making a backup there holds it.
    let lock = fs::File::create(backups.path().join("LOCK")).unwrap();
    rustix::fs::fcntl_lock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
    let (status, text) = backup(backups.path(), data.path());
    assert!(status == 2 && text.contains("another backup is being made or restored; try again"), "{text}");
    drop(lock);
    assert_done(backup(backups.path(), data.path()));
}

#[test]
fn unsuitable_directories_are_refused_and_left_alone() {
    let (_server, data) = Server::start();
    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join("letter"), "dear").unwrap();
    let check = |(status, text): (i32, String), expected: &str| {
        assert_eq!(status, 2, "{text}");
        assert!(text.contains(expected), "{text}");
    };
    check(backup(other.path(), data.path()), "it is not empty: it holds letter");
    check(backup(&data.path().join("below"), data.path()), "it is in the data directory");
    check(run(&[&"backup", &"--list", &other.path()]), "it holds no backups");
    check(restore(other.path(), 1, &other.path().join("new")), "it holds no backups");
    let missing = other.path().join("missing");
    check(verify(&missing), "it is not a data directory");
    check(run(&[&"rebuild-index", &"--data-dir", &missing]), "it is not a data directory");
    check(backup(&other.path().join("b"), &missing), "it is not a data directory");
    check(run(&[&"verify", &"--data-dir", &other.path()]), "it is not a data directory");
    let names: Vec<_> = fs::read_dir(other.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["letter"]);
    assert!(!data.path().join("below").exists());
}

#[test]
fn a_killed_client_or_server_leaves_earlier_backups_whole() {
    let data = filled(300);
    let backups = tempfile::tempdir().unwrap();
    assert_done(backup(backups.path(), data.path()));
    for killed in ["client", "server"] {
        let server = Server::start_in(data.path(), &[]);
        put(&mut server.connect(), "one", &row(2, 1, killed));
        let mut client = program();
        client.arg("backup").arg(backups.path()).arg("--data-dir").arg(data.path());
        let mut client = client.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Now, or a moment later: whatever is hit, the outcome is to be the same.
        thread::sleep(Duration::from_millis(20));
        if killed == "client" {
            client.kill().unwrap();
        } else {
            server.signal("KILL");
        }
        client.wait().unwrap();
        let restored = tempfile::tempdir().unwrap();
        assert_done(restore_when_free(backups.path(), restored.path()));
        assert_done(verify(restored.path()));
        drop(server);
        assert_done(backup(backups.path(), data.path()));
    }
}

/// The server of a killed client may still be making the backup.
fn restore_when_free(backups: &Path, data: &Path) -> (i32, String) {
    let start = Instant::now();
    loop {
        let (status, text) = restore(backups, 1, data);
        if !text.contains("another backup") || start.elapsed() > TIMEOUT {
            return (status, text);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_control_socket_is_private_and_replaced_and_removed() {
    let directory = tempfile::tempdir().unwrap();
    // Longer than the address of a Unix socket can be.
    let data = directory.path().join("d".repeat(120));
    let socket = data.join("control.sock");
    let backups = tempfile::tempdir().unwrap();
    let server = Server::start_in(&data, &[]);
    let metadata = fs::symlink_metadata(&socket).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    assert_done(backup(backups.path(), &data));
    server.kill();
    assert!(socket.exists());
    // Nobody listens: the command opens the directory itself.
    assert_done(backup(backups.path(), &data));
    let server = Server::start_in(&data, &[]);
    assert_done(backup(backups.path(), &data));
    assert_eq!(server.terminate().code(), Some(0));
    assert!(!socket.exists());
    let listed = assert_done(run(&[&"backup", &"--list", &backups.path()]));
    assert_eq!(listed.lines().count(), 3, "{listed}");
}

fn table_file(directory: &Path) -> PathBuf {
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut tables: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "sst")).collect();
    tables.sort_by_key(|path| path.metadata().unwrap().len());
    tables.pop().unwrap()
}

fn flip_a_byte(file: &Path) -> String {
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).unwrap();
    file.file_name().unwrap().to_string_lossy().into_owned()
}

#[test]
fn a_flipped_byte_is_found_with_its_file() {
    let data = filled(1000);
    let text = assert_done(verify(data.path()));
    for expected in ["table one: 1,000 items", "index one.by_digit: 1,000 entries", "all is well: 1 tables"] {
        assert!(text.contains(expected), "{expected:?} is not in {text}");
    }
    let name = flip_a_byte(&table_file(data.path()));
    let (status, text) = verify(data.path());
    assert_eq!(status, 1, "{text}");
    assert!(text.contains(&name) && text.contains(" differences in 1 tables"), "{text}");
}

#[test]
fn a_damaged_backup_is_not_restored() {
    let data = filled(300);
    let backups = tempfile::tempdir().unwrap();
    assert_done(backup(backups.path(), data.path()));
    flip_a_byte(&table_file(&backups.path().join("shared_checksum")));
    let restored = tempfile::tempdir().unwrap();
    let (status, text) = restore(backups.path(), 1, restored.path());
    assert!(status == 2 && text.contains("backup 1 cannot be restored: Corruption: While restoring"), "{text}");
    assert_eq!(fs::read_dir(restored.path()).unwrap().count(), 0);
}

#[test]
fn a_rebuild_names_what_it_looked_at() {
    let data = filled(10);
    let rebuild = |arguments: &[&dyn AsRef<std::ffi::OsStr>]| {
        let path = data.path();
        let first: [&dyn AsRef<std::ffi::OsStr>; 3] = [&"rebuild-index", &"--data-dir", &path];
        run(&[&first, arguments].concat())
    };
    assert!(assert_done(rebuild(&[])).contains("1 indexes of 1 tables: nothing differs"));
    assert!(
        assert_done(rebuild(&[&"--table", &"one", &"--index", &"by_digit", &"--dry-run"])).contains("1 indexes of 1")
    );
    let (status, text) = rebuild(&[&"--table", &"two"]);
    assert!(status == 2 && text.contains("no table has that name"), "{text}");
}
