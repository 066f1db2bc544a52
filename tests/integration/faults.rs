//! A disk that fails while the server runs: what clients are told, what goes on, what a restart finds. The README's
//! table of faults names these tests.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bank::{Bank, Loss};
use crate::harness::Server;
use crate::http::{Connection, Request};
use crate::random::Random;
use crate::shim::{Disk, EIO, ENOSPC, EVERYTHING, LOGS, MANIFESTS, TABLES, Word};

const CREATE: &str = r#"{"TableName":"items","BillingMode":"PAY_PER_REQUEST",
    "AttributeDefinitions":[{"AttributeName":"p","AttributeType":"S"}],
    "KeySchema":[{"AttributeName":"p","KeyType":"HASH"}]}"#;

/// Bounds how long a broken server is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Items of a second writer.
const FIRST_BESIDE: u64 = 1_000_000;

/// A table, who writes to it, and what was acknowledged.
struct Writer {
    connection: Connection,
    acknowledged: BTreeSet<u64>,
    first: u64,
    next: u64,
    text: String,
}

impl Writer {
    /// On a server without tables. Each item is of this size.
    fn open(server: &Server, item_bytes: usize) -> Writer {
        let mut connection = server.connect();
        connection.call("CreateTable", CREATE);
        // Hardly compressible, so that table files grow with the items.
        let mut random = Random(5);
        let text = (0..item_bytes).map(|_| char::from(b' ' + random.below(64) as u8).to_string().replace('"', "!"));
        let text = text.collect::<String>().replace('\\', "!");
        Writer { connection, acknowledged: BTreeSet::new(), first: 0, next: 0, text }
    }

    /// Another one for the same table, of other items.
    fn beside(&self, server: &Server) -> Writer {
        let (connection, text) = (server.connect(), self.text.clone());
        Writer { connection, acknowledged: BTreeSet::new(), first: FIRST_BESIDE, next: FIRST_BESIDE, text }
    }

    /// Puts an item that was not there: status and body.
    fn put(&mut self) -> (u16, Value) {
        let number = self.next;
        self.next += 1;
        let answer = self.put_text(number, &format!("{number} {}", self.text));
        if answer.0 == 200 {
            self.acknowledged.insert(number);
        }
        answer
    }

    fn put_text(&mut self, number: u64, text: &str) -> (u16, Value) {
        let item = json!({"p": {"S": number.to_string()}, "text": {"S": text}});
        let request = json!({"TableName": "items", "Item": item}).to_string();
        let response = self.connection.exchange(&Request::new("PutItem", &request));
        (response.status, response.json())
    }

    fn put_successfully(&mut self, count: usize) {
        for _ in 0..count {
            let (status, answer) = self.put();
            assert_eq!(status, 200, "{answer}");
        }
    }

    /// Puts until one is refused and returns the refusal.
    fn put_until_refused(&mut self, count_max: usize) -> (u16, Value) {
        let refusal = (0..count_max).map(|_| self.put()).find(|(status, _)| *status != 200);
        refusal.unwrap_or_else(|| panic!("{count_max} items were taken"))
    }

    /// Puts until one is acknowledged.
    fn put_until_taken(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.put() {
                (200, _) => return,
                (503, _) if Instant::now() < deadline => thread::sleep(Duration::from_millis(20)),
                refusal => panic!("writes do not go on by themselves: {refusal:?}"),
            }
        }
    }

    /// Everything acknowledged is there; what was refused may be only if its fate was left open.
    fn check(&mut self, refused_may_be_there: bool) {
        for number in self.first..self.next {
            let key = json!({"TableName": "items", "Key": {"p": {"S": number.to_string()}}}).to_string();
            let answer = self.connection.call("GetItem", &key);
            let there = answer.get("Item").is_some();
            match self.acknowledged.contains(&number) {
                true => assert_eq!(answer["Item"]["text"]["S"], format!("{number} {}", self.text)),
                false => assert!(!there || refused_may_be_there, "item {number} was refused"),
            }
        }
    }

    /// [`Writer::check`] now, after a kill, and after a clean stop that follows.
    fn check_and_restart(&mut self, server: Server, disk: &Disk, flags: &[&str], refused_may_be_there: bool) {
        self.check(refused_may_be_there);
        server.kill();
        for _ in 0..2 {
            let server = Server::start_on(disk, flags, false);
            self.connection = server.connect();
            self.check(refused_may_be_there);
            self.put_successfully(10);
            assert_eq!(server.terminate().code(), Some(0));
        }
    }
}

fn assert_error(refusal: &(u16, Value), status: u16, kind: &str) {
    assert_eq!(refusal.0, status, "{refusal:?}");
    assert_eq!(refusal.1["__type"], format!("com.amazonaws.dynamodb.v20120810#{kind}"));
}

/// Back-pressure instead of time-outs: a batch that takes seconds closes the queue.
#[test]
fn while_the_log_is_held_up_writes_are_refused_at_once() {
    let disk = Disk::new();
    let server = Server::start_on(&disk, &["--durability", "sync"], false);
    let mut writer = Writer::open(&server, 100);
    writer.put_successfully(20);
    let mut other = writer.beside(&server);
    disk.set(Word::Paths, LOGS);
    disk.set(Word::HoldSync, 1);
    thread::scope(|scope| {
        let held_up = scope.spawn(|| writer.put());
        while disk.get(Word::Injected) == 0 {
            thread::sleep(Duration::from_millis(1));
        }
        // Longer than any batch may take.
        thread::sleep(Duration::from_millis(2500));
        for _ in 0..3 {
            assert_error(&other.put(), 400, "ThrottlingException");
        }
        let read = r#"{"TableName":"items","Key":{"p":{"S":"0"}}}"#;
        assert!(other.connection.call("GetItem", read).get("Item").is_some(), "reads go on");
        assert!(!held_up.is_finished());
        disk.set(Word::HoldSync, 0);
        assert_eq!(held_up.join().expect("no panic").0, 200);
    });
    // The batch that was held up is done, so nothing is refused any more.
    other.put_successfully(10);
    other.check(false);
    writer.check_and_restart(server, &disk, &[], false);
}

/// A sync or write of the log that failed leaves it in an unknown state: nothing is acknowledged from then on.
#[test]
fn a_failed_sync_or_write_of_the_log_ends_all_writes_until_a_restart() {
    for (fault, error, durability) in [
        (Word::SyncError, EIO, "sync"),
        (Word::SyncError, ENOSPC, "sync"),
        (Word::SyncError, EIO, "interval=5"),
        (Word::WriteError, EIO, "sync"),
        (Word::WriteError, EIO, "os"),
    ] {
        let disk = Disk::new();
        let flags = ["--durability", durability];
        let server = Server::start_on(&disk, &flags, false);
        let mut writer = Writer::open(&server, 100);
        writer.put_successfully(20);
        disk.set(Word::Paths, LOGS);
        disk.set(Word::SyncCount, 1);
        disk.set(fault, error);
        // At once, or where a clock syncs, soon: what is acknowledged until then is with the system, as promised.
        let refusal = if durability == "interval=5" { writer.put_until_refused(100_000) } else { writer.put() };
        assert_error(&refusal, 500, "InternalServerError");
        assert!(disk.get(Word::Injected) > 0);
        // The disk works again, and the system would report later syncs as successful.
        disk.set(fault, 0);
        for _ in 0..5 {
            assert_error(&writer.put(), 500, "InternalServerError");
        }
        let create = writer.connection.exchange(&Request::new("CreateTable", &CREATE.replace("items", "others")));
        assert_eq!(create.status, 500, "{}", create.text());
        assert!(disk.log().contains("writes are refused until the server is restarted"), "{}", disk.log());
        writer.check_and_restart(server, &disk, &flags, true);
    }
}

/// The same for a table file or the manifest, met by a flush in the background.
#[test]
fn a_failed_flush_ends_all_writes_until_a_restart() {
    for (fault, paths) in [(Word::WriteError, TABLES), (Word::SyncError, TABLES), (Word::SyncError, MANIFESTS)] {
        let disk = Disk::new();
        let flags = ["--memtable", "1MB", "--durability", "os"];
        let server = Server::start_on(&disk, &flags, false);
        let mut writer = Writer::open(&server, 20_000);
        disk.set(Word::Paths, paths);
        disk.set(Word::SyncCount, -1);
        disk.set(fault, EIO);
        assert_error(&writer.put_until_refused(2000), 500, "InternalServerError");
        disk.set(fault, 0);
        assert_error(&writer.put(), 500, "InternalServerError");
        writer.check_and_restart(server, &disk, &flags, true);
    }
}

/// Without a reserve: the write itself meets the full disk.
#[test]
fn a_full_disk_refuses_writes_and_recovers_by_itself() {
    for (paths, durability) in [(LOGS, "sync"), (TABLES, "os"), (EVERYTHING, "os")] {
        let disk = Disk::new();
        let flags = ["--memtable", "1MB", "--durability", durability, "--disk-reserve", "0"];
        let server = Server::start_on(&disk, &flags, false);
        let mut writer = Writer::open(&server, 20_000);
        writer.put_successfully(5);
        disk.set(Word::Paths, paths);
        disk.set(Word::Budget, 300_000);
        assert_error(&writer.put_until_refused(2000), 503, "ServiceUnavailable");
        writer.check(false);
        // Also in the hot-item cache, where the item is by now, a refused write changes nothing.
        assert_error(&writer.put_text(0, "another text"), 503, "ServiceUnavailable");
        writer.check(false);
        assert!(disk.log().contains("the disk is full"), "{}", disk.log());
        disk.set(Word::Budget, -1);
        writer.put_until_taken();
        writer.put_successfully(200);
        writer.check_and_restart(server, &disk, &flags, false);
    }
}

/// A server that is killed while the disk is full starts when there is space, with everything acknowledged.
#[test]
fn a_kill_on_a_full_disk_loses_nothing_acknowledged() {
    let disk = Disk::new();
    let flags = ["--memtable", "1MB", "--disk-reserve", "0"];
    let server = Server::start_on(&disk, &flags, false);
    let mut writer = Writer::open(&server, 20_000);
    disk.set(Word::Budget, 2_500_000);
    assert_error(&writer.put_until_refused(2000), 503, "ServiceUnavailable");
    server.kill();
    disk.set(Word::Budget, -1);
    let server = Server::start_on(&disk, &flags, false);
    writer.connection = server.connect();
    writer.check_and_restart(server, &disk, &flags, false);
}

#[test]
fn below_the_reserve_only_the_control_plane_writes() {
    let disk = Disk::new();
    let flags = ["--disk-reserve", "100MB", "--memtable", "1MB"];
    let server = Server::start_on(&disk, &flags, false);
    let mut writer = Writer::open(&server, 1000);
    writer.connection.call("CreateTable", &CREATE.replace("items", "others"));
    writer.put_successfully(20);
    disk.set(Word::Budget, 99 << 20);
    // The free space is looked at once a second.
    let refusal = writer.put_until_refused(100_000);
    assert_error(&refusal, 503, "ServiceUnavailable");
    writer.check(false);
    assert!(disk.log().contains("the disk is nearly full"), "{}", disk.log());
    // What makes space is allowed.
    writer.connection.call("DeleteTable", r#"{"TableName":"others"}"#);
    disk.set(Word::Budget, 200 << 20);
    writer.put_until_taken();

    disk.set(Word::Budget, 99 << 20);
    writer.put_until_refused(100_000);
    assert_eq!(server.terminate().code(), Some(0), "the reserve is enough for a clean stop");
    let server = Server::start_on(&disk, &flags, false);
    writer.connection = server.connect();
    writer.check(false);
    assert_error(&writer.put(), 503, "ServiceUnavailable");
    disk.set(Word::Budget, -1);
    writer.put_until_taken();
}

#[test]
fn short_writes_are_continued() {
    let disk = Disk::new();
    let server = Server::start_on(&disk, &["--memtable", "1MB"], false);
    let bank = Bank::open(&mut server.connect(), 12_000);
    disk.set(Word::ShortWrites, 1);
    bank.run_and_kill(server, &mut Random(11), 300..301);
    assert!(disk.get(Word::Injected) > 0);
    let server = Server::start_on(&disk, &["--memtable", "1MB"], false);
    bank.check(&mut server.connect(), Loss::Nothing);
    assert_eq!(server.terminate().code(), Some(0));
}
