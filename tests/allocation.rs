//! A steady-state GetItem allocates nothing, whether its signature is verified or not: counted in a server inside this
//! process, over a real connection.
//!
//! The counter sees what Rust code allocates. RocksDB's C interface makes one small object of its own for a value that
//! it pins; that one is C++'s.

#![expect(unsafe_code, reason = "a global allocator is unsafe to implement")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jormundb::clock::Clock;
use jormundb::http::auth::form;
use jormundb::http::auth::signature::{self, SigningKey};
use jormundb::http::request;
use jormundb::model::arn::Location;
use jormundb::operation::Service;
use jormundb::server::{self, AccessKey, AccessKeys, Options, Server};
use jormundb::storage::{Durability, Store, StoreOptions};

struct Counting;

/// Allocations of all threads that are not exempt.
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The test's own thread, which plays the client, is not counted.
    static EXEMPT: Cell<bool> = const { Cell::new(false) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !EXEMPT.get() {
            ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: the caller keeps the contract of `alloc`, which is the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `System.alloc` with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// The second in which all requests are signed.
const DATE: &[u8; 16] = b"20260102T030405Z";
const DATE_MS: u64 = 1_767_323_045_000;

/// A request with its signature.
fn request(operation: &str, body: &str) -> Vec<u8> {
    let with_signature = |signature: &str| {
        format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: DynamoDB_20120810.{operation}\r\nContent-Type: \
             application/x-amz-json-1.0\r\nX-Amz-Date: 20260102T030405Z\r\nAuthorization: AWS4-HMAC-SHA256 \
             Credential=key/20260102/us-east-1/dynamodb/aws4_request, SignedHeaders=host;x-amz-date;x-amz-target, \
             Signature={signature}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let unsigned = with_signature("0");
    let head = request::parse(unsigned.as_bytes()).expect("a good head").expect("a complete head");
    let claim = form::read(&head).expect("a good form");
    let mut text = Vec::new();
    signature::write_canonical_head(&head, &claim, &mut text).expect("all is signed");
    signature::write_hex(&signature::hash(body.as_bytes()), &mut text);
    let canonical_bytes = text.len();
    signature::write_string_to_sign(DATE, "us-east-1", &mut text);
    let key = SigningKey::derive(SECRET, &DATE[..8], "us-east-1");
    let mut hex = Vec::new();
    signature::write_hex(&key.sign(&text[canonical_bytes..]), &mut hex);
    with_signature(&String::from_utf8_lossy(&hex)).into_bytes()
}

/// Sends one request and reads the answer to its end; returns where its body begins and ends.
fn call(connection: &mut TcpStream, request: &[u8], answer: &mut Vec<u8>) -> (usize, usize) {
    connection.write_all(request).expect("the server reads");
    answer.clear();
    let mut chunk = [0; 4096];
    loop {
        let read = connection.read(&mut chunk).expect("the server answers");
        assert!(read > 0, "the connection stays open");
        answer.extend_from_slice(&chunk[..read]);
        let Some(head) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let text = std::str::from_utf8(&answer[..head]).expect("a head is ASCII");
        let length = text.lines().find_map(|line| {
            line.to_ascii_lowercase().strip_prefix("content-length:").and_then(|value| value.trim().parse().ok())
        });
        let total = head + 4 + length.unwrap_or(0usize);
        if answer.len() >= total {
            return (head + 4, total);
        }
    }
}

#[test]
fn a_steady_state_get_item_allocates_nothing() {
    EXEMPT.set(true);
    let key = AccessKey::new("key", SECRET, None).expect("a good key");
    for access_keys in [None, Some(AccessKeys::new(vec![key]).expect("one key"))] {
        check_get_item(access_keys.map(Arc::new));
    }
}

fn check_get_item(access_keys: Option<Arc<AccessKeys>>) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = Store::open(&StoreOptions {
        path: directory.path().join("data"),
        durability: Durability::Os,
        hot_cache_bytes: 1 << 20,
        block_cache_bytes: 16 << 20,
        disk_reserve_bytes: 0,
        recover_damaged_log: false,
        memtable_bytes: 16 << 20,
        statistics: true,
    })
    .expect("a new store opens");
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let listeners = server::bind(loopback, 1).expect("a free port");
    let service = Arc::new(Service {
        store,
        location: Location { region: "us-east-1".into(), account: "000000000000".into() },
        endpoint: listeners.address().to_string(),
        clock: Clock::Manual(Arc::new(AtomicU64::new(DATE_MS))),
    });
    let options = Options {
        io_threads: 1,
        pool_threads: 1,
        connections_max: 16,
        idle_timeout_seconds: 60,
        request_memory_bytes: 256 << 20,
        region: "us-east-1".into(),
        verbose: false,
        slow_request_ms: 1000,
        audit: None,
        watch_lag: false,
        access_keys,
    };
    let server = Server::start(listeners, &options, &service).expect("the server starts");

    let mut connection = TcpStream::connect(server.address()).expect("the server listens");
    let mut answer = Vec::new();
    let create = r#"{"TableName":"items","KeySchema":[{"AttributeName":"id","KeyType":"HASH"}],
        "AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}],"BillingMode":"PAY_PER_REQUEST"}"#;
    let (body, _) = call(&mut connection, &request("CreateTable", create), &mut answer);
    assert!(answer[body..].starts_with(br#"{"TableDescription":{"#), "{}", String::from_utf8_lossy(&answer));
    let payload = "x".repeat(400);
    let put = format!(r#"{{"TableName":"items","Item":{{"id":{{"S":"a"}},"n":{{"N":"1"}},"s":{{"S":"{payload}"}}}}}}"#);
    call(&mut connection, &request("PutItem", &put), &mut answer);

    let whole = r#"{"TableName":"items","Key":{"id":{"S":"a"}}}"#;
    let projected = r##"{"TableName":"items","Key":{"id":{"S":"a"}},"ProjectionExpression":"#n","ConsistentRead":true,
        "ExpressionAttributeNames":{"#n":"n"}}"##;
    for get in [whole, projected] {
        let request = request("GetItem", get);
        // Buffers, the expression cache and RocksDB's block settle first.
        for _ in 0..200 {
            call(&mut connection, &request, &mut answer);
        }
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        for _ in 0..1000 {
            let (body, end) = call(&mut connection, &request, &mut answer);
            assert!(answer[body..end].starts_with(br#"{"Item":{"#), "{}", String::from_utf8_lossy(&answer));
        }
        let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
        // Once a second a loop looks at its connections, and RocksDB's own threads log through none of this.
        assert!(allocations <= 2, "{allocations} allocations in 1000 requests of {get}");
    }
    drop(connection);
    server.stop();
    service.store.close().expect("the store closes");
}
