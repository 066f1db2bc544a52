//! What framing has to bear: cut, pipelined, chunked, compressed and slow requests, and clients that vanish.

use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::read::{GzDecoder, ZlibEncoder};
use flate2::write::GzEncoder;
use serde_json::json;

use crate::harness::Server;
use crate::http::{Connection, Request, Response};

const CREATE: &str = r#"{"TableName":"items","BillingMode":"PAY_PER_REQUEST",
    "AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}],
    "KeySchema":[{"AttributeName":"id","KeyType":"HASH"}]}"#;

/// Long enough for the server to read what has been sent so far, on a machine that does nothing else.
const PAUSE: Duration = Duration::from_micros(200);

/// A server with a table `items` in which the items `0` to `99` have the attribute `n`.
fn server_with_items() -> (Server, tempfile::TempDir) {
    let (server, directory) = Server::start();
    let mut connection = server.connect();
    connection.call("CreateTable", CREATE);
    for first in (0..100).step_by(25) {
        let put = |n: usize| json!({"PutRequest": {"Item": {"id": {"S": n.to_string()}, "n": {"N": n.to_string()}}}});
        let puts: Vec<_> = (first..first + 25).map(put).collect();
        connection.call("BatchWriteItem", &json!({"RequestItems": {"items": puts}}).to_string());
    }
    (server, directory)
}

fn get(id: usize) -> Request {
    Request::new("GetItem", &format!(r#"{{"TableName":"items","Key":{{"id":{{"S":"{id}"}}}}}}"#))
}

fn assert_is_item(response: &Response, id: usize) {
    assert_eq!(response.status, 200, "{}", response.text());
    let text = id.to_string();
    assert_eq!(response.json(), json!({"Item": {"id": {"S": text}, "n": {"N": text}}}));
}

fn assert_is_checked(response: &Response) {
    let crc = response.header("x-amz-crc32").expect("x-amz-crc32");
    assert_eq!(crc, crc32fast::hash(&response.body).to_string());
}

#[test]
fn a_request_may_be_cut_at_every_byte() {
    let (server, _directory) = server_with_items();
    let mut connection = server.connect();
    let text = get(7).body;
    let chunked = get(7).chunked(&[&text[..5], &text[5..6], &text[6..]]);
    for request in [get(7).bytes(), chunked.bytes()] {
        for cut in 1..request.len() {
            connection.send(&request[..cut]);
            thread::sleep(PAUSE);
            connection.send(&request[cut..]);
            assert_is_item(&connection.receive(), 7);
        }
    }
}

#[test]
fn a_request_may_arrive_byte_by_byte() {
    let (server, _directory) = server_with_items();
    let mut connection = server.connect();
    for byte in get(8).bytes() {
        connection.send(&[byte]);
        thread::sleep(PAUSE);
    }
    assert_is_item(&connection.receive(), 8);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let (server, _directory) = server_with_items();
    let mut connection = server.connect();
    let all: Vec<u8> = (0..100).flat_map(|id| get(id).bytes()).collect();
    connection.send(&all);
    (0..100).for_each(|id| assert_is_item(&connection.receive(), id));

    // Cut where it falls: the end of one request and the beginning of the next arrive together.
    for piece in all.chunks(777) {
        connection.send(piece);
        thread::sleep(PAUSE);
    }
    (0..100).for_each(|id| assert_is_item(&connection.receive(), id));
}

#[test]
fn pipelined_reads_see_the_writes_before_them() {
    let (server, _directory) = server_with_items();
    let mut connection = server.connect();
    let put = |n: usize| Request::new("PutItem", &json!({"TableName": "items", "Item": item(n)}).to_string());
    fn item(n: usize) -> serde_json::Value {
        json!({"id": {"S": "x"}, "n": {"N": n.to_string()}})
    }
    let read = Request::new("GetItem", r#"{"TableName":"items","Key":{"id":{"S":"x"}},"ConsistentRead":true}"#);
    let count = Request::new("Scan", r#"{"TableName":"items","Select":"COUNT"}"#);
    let requests: Vec<u8> = (0..50).flat_map(|n| [put(n).bytes(), read.bytes(), count.bytes()].concat()).collect();
    connection.send(&requests);
    for n in 0..50 {
        assert_eq!(connection.receive().json(), json!({}));
        assert_eq!(connection.receive().json(), json!({"Item": item(n)}));
        assert_eq!(connection.receive().json()["Count"], json!(101));
    }
}

#[test]
fn a_client_that_reads_late_gets_everything() {
    let (server, _directory) = server_with_items();
    let mut connection = server.connect();
    // More answers than the sockets' buffers hold, so that the server has to stop and go on.
    let rounds = 300;
    let scan = Request::new("Scan", r#"{"TableName":"items"}"#).bytes();
    let mut sender = connection.stream.try_clone().unwrap();
    let sending = thread::spawn(move || (0..rounds).for_each(|_| sender.write_all(&scan).unwrap()));
    thread::sleep(Duration::from_millis(300));
    for _ in 0..rounds {
        assert_eq!(connection.receive().json()["Count"], json!(100));
    }
    sending.join().unwrap();
}

#[test]
fn chunked_bodies_are_read() {
    let (server, _directory) = server_with_items();
    let mut connection = server.connect();
    let text = get(3).body;
    let by_byte: Vec<&[u8]> = text.chunks(1).collect();
    assert_is_item(&connection.exchange(&get(3).chunked(&by_byte)), 3);

    let mut extended = get(3).chunked(&[]);
    extended.body =
        [format!("{:X};name=value\r\n", text.len()).as_bytes(), &text, b"\r\n0\r\nTrailer: x\r\n\r\n"].concat();
    assert_is_item(&connection.exchange(&extended), 3);
    assert_is_item(&connection.exchange(&get(4)), 4);
}

#[test]
fn a_client_that_expects_100_gets_it_before_its_body() {
    let (server, _directory) = server_with_items();
    let mut connection = server.connect();
    let request = get(5).with("Expect", "100-continue");
    for _ in 0..3 {
        connection.send(&request.head_bytes());
        assert_eq!(connection.receive().status, 100);
        connection.send(&request.body);
        assert_is_item(&connection.receive(), 5);
    }
}

#[test]
fn compressed_requests_are_read() {
    let (server, _directory) = server_with_items();
    let mut connection = server.connect();
    let text = get(6).body;
    let gzip = |bytes: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let mut deflate = Vec::new();
    ZlibEncoder::new(&text[..], Compression::default()).read_to_end(&mut deflate).unwrap();
    // Gzip members may be concatenated.
    let members = [gzip(&text[..9]), gzip(&text[9..])].concat();
    for (coding, body) in [("gzip", &gzip(&text)), ("deflate", &deflate), ("gzip", &members)] {
        assert_is_item(&connection.exchange(&get(6).body(body).with("Content-Encoding", coding)), 6);
    }
    for body in [&b"not gzip"[..], b"", &gzip(&text)[..20]] {
        let response = server.connect().exchange(&get(6).body(body).with("Content-Encoding", "gzip"));
        assert_eq!(response.status, 500, "{}", response.text());
        assert!(response.text().contains("#InternalServerError"), "{}", response.text());
    }
}

#[test]
fn large_responses_are_compressed_when_asked() {
    let (server, _directory) = server_with_items();
    let mut connection = server.connect();
    let text = "compressible ".repeat(1000);
    connection
        .call("PutItem", &json!({"TableName": "items", "Item": {"id": {"S": "x"}, "t": {"S": text}}}).to_string());
    let scan = Request::new("Scan", r#"{"TableName":"items"}"#);
    let plain = connection.exchange(&scan);
    assert_eq!(plain.header("Content-Encoding"), None);
    assert_is_checked(&plain);
    for refused in ["identity", "gzip;q=0", "br"] {
        let response = connection.exchange(&scan.clone().with("Accept-Encoding", refused));
        assert_eq!(response.header("Content-Encoding"), None, "{refused}");
    }
    for accepted in ["gzip", "gzip, deflate, br", "br, gzip;q=0.5"] {
        let response = connection.exchange(&scan.clone().with("Accept-Encoding", accepted));
        assert_eq!(response.header("Content-Encoding"), Some("gzip"), "{accepted}");
        assert_is_checked(&response);
        let mut text = Vec::new();
        GzDecoder::new(&response.body[..]).read_to_end(&mut text).unwrap();
        assert_eq!(text, plain.body);
    }
    let small = connection.exchange(&get(1).with("Accept-Encoding", "gzip"));
    assert_eq!(small.header("Content-Encoding"), None);
    assert_is_item(&small, 1);
}

#[test]
fn connections_close_when_asked_or_when_old() {
    let (server, _directory) = server_with_items();
    let closes = |request: &Request| {
        let mut connection = server.connect();
        connection.send(&[request.bytes(), get(1).bytes()].concat());
        assert_is_item(&connection.receive(), 2);
        connection.is_at_end()
    };
    assert!(closes(&get(2).with("Connection", "close")));
    assert!(closes(&get(2).line("POST / HTTP/1.0")));
    assert!(!closes(&get(2).line("POST / HTTP/1.0").with("Connection", "keep-alive")));
    assert!(!closes(&get(2).with("Connection", "keep-alive")));
}

#[test]
fn a_half_closed_connection_is_answered() {
    let (server, _directory) = server_with_items();
    let mut connection = server.connect();
    connection.send(&[get(1).bytes(), get(2).bytes()].concat());
    connection.finish_sending();
    assert_is_item(&connection.receive(), 1);
    assert_is_item(&connection.receive(), 2);
    assert!(connection.is_at_end());
}

#[test]
fn clients_that_vanish_do_no_harm() {
    let (server, _directory) = server_with_items();
    let request = get(1).bytes();
    for cut in (0..request.len()).step_by(7) {
        server.connect().send(&request[..cut]);
    }
    for _ in 0..20 {
        let mut connection = server.connect();
        connection.send(&Request::new("Scan", r#"{"TableName":"items"}"#).bytes().repeat(20));
    }
    assert_is_item(&server.connect().exchange(&get(1)), 1);
}

#[test]
fn a_slow_client_does_not_hold_up_the_others() {
    let (server, _directory) = server_with_items();
    let mut slow: Vec<Connection> = (0..64).map(|_| server.connect()).collect();
    let request = get(9).bytes();
    let mut quick = server.connect();
    for piece in request.chunks(request.len().div_ceil(10)) {
        slow.iter_mut().for_each(|connection| connection.send(piece));
        let started = Instant::now();
        while started.elapsed() < Duration::from_millis(20) {
            assert_is_item(&quick.exchange(&get(10)), 10);
        }
    }
    slow.iter_mut().for_each(|connection| assert_is_item(&connection.receive(), 9));
}
