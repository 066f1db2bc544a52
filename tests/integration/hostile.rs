//! Bodies that are made to hurt: small ones that unpack to large ones, deep ones, huge numbers and names. Each is
//! refused with its exact answer, in bounded memory, and the server goes on.

use std::io::Write;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use serde_json::json;

use crate::harness::Server;
use crate::http::{Connection, Request, Response};

/// What one refused body may leave behind: the unpacked 16 MiB, and what the allocator keeps of them.
const RESIDENT_BYTES_MAX: u64 = 160 << 20;

const SERIALIZATION: &str = r#"{"__type":"com.amazon.coral.service#SerializationException"}"#;
const BROKEN: &str = "{\"__type\":\"com.amazonaws.dynamodb.v20120810#InternalServerError\"";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn coded(connection: &mut Connection, coding: &str, body: &[u8]) -> Response {
    connection.exchange(&Request::new("ListTables", "").body(body).with("Content-Encoding", coding))
}

#[test]
fn bombs_are_stopped_at_16_mib() {
    let (server, _directory) = Server::start();
    let mut connection = server.connect();
    let spaces = |count: usize| [b"{".to_vec(), vec![b' '; count - 2], b"}".to_vec()].concat();
    let limit = 16 << 20;
    let (fits, bomb) = (gzip(&spaces(limit)), gzip(&spaces(64 << 20)));
    assert!(bomb.len() * 1000 < 64 << 20, "1000 to 1: {}", bomb.len());
    for _ in 0..4 {
        assert_eq!(coded(&mut connection, "gzip", &fits).text(), r#"{"TableNames":[]}"#, "exactly at the limit");
        for (coding, body) in [
            ("gzip", &bomb),
            ("gzip", &gzip(&spaces(limit + 1))),
            ("deflate", &deflate(&spaces(limit + 1))),
            ("gzip", &gzip(&spaces(9 << 20)).repeat(2)),
        ] {
            let response = coded(&mut connection, coding, body);
            assert_eq!(response.status, 500);
            assert!(response.text().starts_with(BROKEN), "{}", response.text());
        }
    }
    assert!(server.resident_bytes() < RESIDENT_BYTES_MAX, "{}", server.resident_bytes());
}

#[test]
fn broken_codings_are_refused() {
    let (server, _directory) = Server::start();
    let mut connection = server.connect();
    let plain = b"{ }";
    let packed = gzip(plain);
    let flipped = |at: usize| {
        let mut bytes = packed.clone();
        bytes[at] ^= 1;
        bytes
    };
    let length = packed.len();
    for (name, body) in [
        ("cut in the trailer", packed[..length - 1].to_vec()),
        ("cut in the header", packed[..5].to_vec()),
        ("another checksum", flipped(length - 8)),
        ("another length", flipped(length - 4)),
        ("another magic number", flipped(0)),
        ("another method", flipped(2)),
        ("rubbish behind it", [&packed[..], b"rubbish"].concat()),
        ("zeros behind it", [&packed[..], &[0; 100]].concat()),
        ("a cut second member", [&packed[..], &packed[..length - 3]].concat()),
        ("the other coding", deflate(plain)),
    ] {
        let response = coded(&mut connection, "gzip", &body);
        assert_eq!(response.status, 500, "{name}: {}", response.text());
        assert!(response.text().starts_with(BROKEN), "{name}: {}", response.text());
    }
    // One coding is taken off, and only that: what is inside is not JSON.
    assert_eq!(coded(&mut connection, "gzip", &gzip(&packed)).text(), SERIALIZATION);
    // Lists of codings are not known, so such a body is taken as it is.
    assert_eq!(coded(&mut connection, "gzip, gzip", &gzip(&packed)).text(), SERIALIZATION);
    // 100,000 empty members are nothing.
    let empty = [gzip(b"").repeat(100_000), packed.clone()].concat();
    assert_eq!(coded(&mut connection, "gzip", &empty).text(), r#"{"TableNames":[]}"#);
}

#[test]
fn deep_and_huge_values_are_refused() {
    let (server, _directory) = Server::start();
    let mut connection = server.connect();
    let create = json!({
        "TableName": "items", "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    });
    connection.call("CreateTable", &create.to_string());
    let put = |attribute: &str| format!(r#"{{"TableName":"items","Item":{{"id":{{"S":"x"}},{attribute}}}}}"#);
    let nested = |open: &str, inner: &str, close: &str, depth: usize| {
        put(&format!("\"a\":{}{inner}{}", open.repeat(depth), close.repeat(depth)))
    };
    let number = |text: &str| put(&format!(r#""n":{{"N":"{text}"}}"#));
    let null = r#"{"NULL":true}"#;
    for (name, body, message) in [
        ("deep lists", nested(r#"{"L":["#, null, "]}", 33), "Nesting Levels have exceeded supported limits"),
        ("deep maps", nested(r#"{"M":{"b":"#, null, "}}", 33), "Nesting Levels have exceeded supported limits"),
        ("very deep lists", nested(r#"{"L":["#, null, "]}", 100_000), "SerializationException"),
        ("brackets", nested("[", "", "]", 1_000_000), "SerializationException"),
        ("brackets that do not end", "[".repeat(1 << 20), "SerializationException"),
        ("members that do not end", "{\"a\":".repeat(1 << 20), "SerializationException"),
        ("an exponent of 126", number("1e126"), "Number overflow"),
        ("a long exponent", number(&format!("1e{}", "9".repeat(10_000))), "ValidationException"),
        ("a long negative exponent", number(&format!("1e-{}", "9".repeat(10_000))), "ValidationException"),
        ("39 digits", number(&"1".repeat(39)), "more than 38 significant digits"),
        ("many digits", number(&"1".repeat(300_000)), "ValidationException"),
        ("a JSON number beyond all", r#"{"Limit":1e999999}"#.to_owned(), "SerializationException"),
        ("a name of 65,536 bytes", put(&format!(r#""{}":{null}"#, "n".repeat(65_536))), "ValidationException"),
        ("an item of 400 KB and more", put(&format!(r#""a":{{"S":"{}"}}"#, "x".repeat(400 << 10))), "size"),
    ] {
        let response = connection.exchange(&Request::new("PutItem", &body));
        assert_eq!(response.status, 400, "{name}: {}", response.text());
        assert!(response.text().contains(message), "{name}: {}", response.text());
    }
    assert_eq!(connection.call("Scan", r#"{"TableName":"items","Select":"COUNT"}"#)["Count"], json!(0));
    connection.call("PutItem", &nested(r#"{"L":["#, null, "]}", 31));
    // The digits of a zero mean nothing, however many there are.
    connection.call("PutItem", &number(&"0".repeat(300_000)));
    assert!(server.resident_bytes() < RESIDENT_BYTES_MAX, "{}", server.resident_bytes());
}
