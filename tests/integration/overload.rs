//! More than the server has memory for: great bodies, unfinished heads, and readers who do not read, by the thousand.
//! What does not fit is refused at once with a retryable error, everybody else is served, and the process stays within
//! what it was told.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use crate::harness::Server;
use crate::http::{Connection, Request};

const MIB: usize = 1 << 20;

/// The least that the server can be given.
const REQUEST_MEMORY: usize = 128 * MIB;

/// Beside the memory for requests: small pieces that are not counted, the pages that the pool's threads work on, and
/// what the allocator keeps of memory that was freed.
const SLACK: usize = 96 * MIB;

const LARGEST_BODY: usize = 16 * MIB;

struct Overloaded {
    server: Server,
    _directory: TempDir,
    resident_before: u64,
}

impl Overloaded {
    fn start() -> Overloaded {
        let directory = tempfile::tempdir().unwrap();
        let flags = "--request-memory 128MB --block-cache 8MB --memtable 8MB --max-connections 12000 --pool-threads 2 \
                     --durability os";
        let server = Server::start_in(directory.path(), &flags.split(' ').collect::<Vec<_>>());
        server.connect().call(
            "CreateTable",
            r#"{"TableName":"overload","KeySchema":[{"AttributeName":"id","KeyType":"HASH"}],"AttributeDefinitions":
               [{"AttributeName":"id","AttributeType":"S"}],"BillingMode":"PAY_PER_REQUEST"}"#,
        );
        let resident_before = server.resident_bytes();
        Overloaded { server, _directory: directory, resident_before }
    }

    /// A usual client is served, and memory is within its limit.
    fn assert_serves_others(&self) {
        let mut client = self.server.connect();
        for value in ["1", "2"] {
            client.call(
                "PutItem",
                &format!(r#"{{"TableName":"overload","Item":{{"id":{{"S":"n"}},"v":{{"N":"{value}"}}}}}}"#),
            );
            let item = client.call("GetItem", r#"{"TableName":"overload","Key":{"id":{"S":"n"}}}"#);
            assert_eq!(item, json!({"Item": {"id": {"S": "n"}, "v": {"N": value}}}));
        }
        let grown = self.server.resident_bytes().saturating_sub(self.resident_before) as usize;
        assert!(grown <= REQUEST_MEMORY + SLACK, "{} MiB", grown / MIB);
    }
}

fn assert_unavailable(connection: &mut Connection) {
    let response = connection.receive();
    assert_eq!(response.status, 503, "{}", response.text());
    assert!(response.text().contains("ServiceUnavailable"), "{}", response.text());
}

fn answers_within(connection: &Connection, limit: Duration) -> bool {
    let usual = connection.stream.read_timeout().unwrap();
    connection.stream.set_read_timeout(Some(limit)).unwrap();
    let answers = connection.stream.peek(&mut [0]).is_ok();
    connection.stream.set_read_timeout(usual).unwrap();
    answers
}

#[test]
fn bodies_beyond_the_memory_are_refused_and_room_comes_back() {
    let overloaded = Overloaded::start();
    let announced = Request::new("PutItem", "").with("Content-Length", &LARGEST_BODY.to_string());
    let part = vec![b' '; MIB];
    let mut uploads = Vec::new();
    let mut refused = 0;
    for _ in 0..40 {
        let mut upload = overloaded.server.connect();
        upload.send_what_is_taken(&[announced.head_bytes(), part.clone()].concat());
        uploads.push(upload);
    }
    for upload in &mut uploads {
        // Nobody has sent a whole body, so whoever gets an answer gets the refusal.
        if answers_within(upload, Duration::from_millis(50)) {
            assert_unavailable(upload);
            refused += 1;
        }
    }
    assert_eq!(refused, 40 - REQUEST_MEMORY / LARGEST_BODY);
    overloaded.assert_serves_others();

    drop(uploads);
    let item = format!(r#"{{"TableName":"overload","Item":{{"id":{{"S":"{}"}}}}}}"#, "x".repeat(LARGEST_BODY - 100));
    let deadline = Instant::now() + Duration::from_secs(30);
    let refusal = loop {
        let response = overloaded.server.connect().exchange(&Request::new("PutItem", &item));
        if response.status != 503 || Instant::now() > deadline {
            break response;
        }
    };
    assert_eq!(refusal.status, 400, "{}", refusal.text());
    assert!(refusal.text().contains("ValidationException"), "{}", refusal.text());
}

#[test]
fn readers_who_do_not_read_hold_bounded_memory() {
    const READERS: usize = 20;
    let overloaded = Overloaded::start();
    let mut writer = overloaded.server.connect();
    let mut keys = Vec::new();
    for id in 0..40 {
        let payload = "p".repeat(380 * 1024);
        let item = format!(r#"{{"TableName":"overload","Item":{{"id":{{"S":"{id}"}},"p":{{"S":"{payload}"}}}}}}"#);
        writer.call("PutItem", &item);
        keys.push(format!(r#"{{"id":{{"S":"{id}"}}}}"#));
    }
    // Each asks for 15 MiB, far more than the sockets on both sides hold, and does not read.
    let body = format!(r#"{{"RequestItems":{{"overload":{{"Keys":[{}]}}}}}}"#, keys.join(","));
    let batch = Request::new("BatchGetItem", &body).bytes();
    let mut readers: Vec<Connection> = (0..READERS).map(|_| overloaded.server.connect()).collect();
    for reader in &mut readers {
        reader.send(&batch);
    }
    // Every answer has been made and counted, or refused.
    for reader in &mut readers {
        assert!(answers_within(reader, Duration::from_secs(30)));
    }
    overloaded.assert_serves_others();
    let mut refused = 0;
    for reader in &mut readers {
        let answer = reader.receive();
        match answer.status {
            200 => assert!(answer.body.len() > 14 * MIB, "{}", answer.body.len()),
            status => {
                assert_eq!(status, 503, "{}", answer.text());
                refused += 1;
            }
        }
    }
    assert!((1..READERS).contains(&refused), "of {READERS} answers of 15 MiB, {refused} did not fit into 96 MiB");
    overloaded.assert_serves_others();
}

#[test]
fn unfinished_heads_hold_bounded_memory() {
    let overloaded = Overloaded::start();
    // Longer than the small read buffer, so that each wants a large one: 5,000 of those are 180 MB.
    let unfinished = format!("POST / HTTP/1.1\r\nHost: localhost\r\nX-Filler: {}", "f".repeat(3000));
    let mut clients: Vec<Connection> = Vec::new();
    for _ in 0..5000 {
        let mut client = overloaded.server.connect();
        client.send_what_is_taken(unfinished.as_bytes());
        clients.push(client);
    }
    overloaded.assert_serves_others();
    assert_unavailable(clients.last_mut().unwrap());
}

/// Requests that one client sends ahead of their answers wait for their turn, not everybody else's.
#[test]
fn a_client_that_floods_its_connection_does_not_hold_up_others() {
    const FLOOD: usize = 20_000;
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_in(directory.path(), &["--io-threads", "1"]);
    let list = Request::new("ListTables", "{}");
    let mut flooding = server.connect();
    let mut sending = Connection::of(flooding.stream.try_clone().unwrap());
    let requests = list.bytes().repeat(100);
    let sender = std::thread::spawn(move || {
        for _ in 0..FLOOD / 100 {
            sending.send(&requests);
        }
    });
    // The flood has begun.
    assert_eq!(flooding.receive().status, 200);
    let answered = Arc::new(AtomicUsize::new(1));
    let counter = Arc::clone(&answered);
    let receiver = std::thread::spawn(move || {
        for _ in 1..FLOOD {
            assert_eq!(flooding.receive().json(), json!({"TableNames": []}));
            counter.fetch_add(1, Ordering::SeqCst);
        }
    });
    let mut other = server.connect();
    for _ in 0..100 {
        assert_eq!(other.exchange(&list).status, 200);
    }
    let of_the_flood = answered.load(Ordering::SeqCst);
    sender.join().unwrap();
    receiver.join().unwrap();
    assert!(of_the_flood < FLOOD, "100 requests of another client waited for {of_the_flood}");
}
