//! Request smuggling: bytes that a proxy and a server could divide into requests in different ways.
//!
//! Each row is followed by a complete PutItem on the same connection, which another reader could take for a request of
//! its own. A refused row is answered once, with exactly this status and nothing else, the connection ends, and the
//! PutItem is not executed. An accepted row is answered, and then the PutItem is, exactly once.

use serde_json::json;

use crate::harness::Server;
use crate::http::{AUTHORIZATION, CONTENT_TYPE, Connection, Request};

const CREATE: &str = r#"{"TableName":"items","BillingMode":"PAY_PER_REQUEST",
    "AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}],
    "KeySchema":[{"AttributeName":"id","KeyType":"HASH"}]}"#;

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

/// A good ListTables but for its line and what is added to its headers.
fn list(line: &str, added: &str, body: &str) -> Vec<u8> {
    format!(
        "{line}\r\nHost: localhost\r\nX-Amz-Date: 20260101T000000Z\r\nX-Amz-Target: DynamoDB_20120810.ListTables\r\n\
         Content-Type: {CONTENT_TYPE}\r\nAuthorization: {AUTHORIZATION}\r\n{added}\r\n{body}"
    )
    .into_bytes()
}

fn post(added: &str, body: &str) -> Vec<u8> {
    list("POST / HTTP/1.1", added, body)
}

fn chunked(body: &str) -> Vec<u8> {
    post(CHUNKED, body)
}

/// The request that must not be executed when it follows a refused one.
fn put(id: &str) -> Vec<u8> {
    let body = json!({"TableName": "items", "Item": {"id": {"S": id}}}).to_string();
    Request::new("PutItem", &body).bytes()
}

fn ids(connection: &mut Connection) -> Vec<String> {
    let found = connection.call("Scan", r#"{"TableName":"items"}"#);
    let items = found["Items"].as_array().unwrap();
    items.iter().map(|item| item["id"]["S"].as_str().unwrap().to_owned()).collect()
}

fn check_refused(rows: Vec<(&str, Vec<u8>, u16)>) {
    let (server, _directory) = Server::start();
    server.connect().call("CreateTable", CREATE);
    for (name, bytes, status) in rows {
        let mut connection = server.connect();
        connection.send_what_is_taken(&[bytes, put(name)].concat());
        let response = connection.receive();
        assert_eq!((response.status, response.text()), (status, String::new()), "{name}");
        assert_eq!(response.header("Connection"), Some("close"), "{name}");
        assert!(connection.is_at_end(), "{name}: another answer");
        assert_eq!(ids(&mut server.connect()), [""; 0], "{name}: what followed was executed");
    }
}

#[test]
fn heads_that_two_readers_read_differently_are_refused() {
    let length = |value: &str| post(&format!("Content-Length: {value}\r\n"), "{}");
    let coding = |value: &str| post(&format!("Transfer-Encoding: {value}\r\n"), "2\r\n{}\r\n0\r\n\r\n");
    let header = |line: &str| post(&format!("Content-Length: 2\r\n{line}"), "{}");
    let line = |line: &str| list(line, "Content-Length: 2\r\n", "{}");
    let many = "A: b\r\n".repeat(97);
    let long = format!("A: {}\r\n", "x".repeat(17 << 10));
    let long_line = format!("POST /?{} HTTP/1.1", "x".repeat(17 << 10));
    check_refused(vec![
        ("two lengths", post("Content-Length: 2\r\nContent-Length: 3\r\n", "{}"), 400),
        ("the same length twice", post("Content-Length: 2\r\nContent-Length: 2\r\n", "{}"), 400),
        ("a list of lengths", length("2, 2"), 400),
        ("a negative length", length("-2"), 400),
        ("a length with a sign", length("+2"), 400),
        ("a hexadecimal length", length("0x2"), 400),
        ("a fraction", length("2.0"), 400),
        ("an exponent", length("2e0"), 400),
        ("a length with a blank", length("2 2"), 400),
        ("an underscore", length("1_0"), 400),
        ("digits that are not ASCII", length("\u{662}"), 400),
        ("an empty length", length(""), 400),
        ("a length of 65 bits", length("18446744073709551618"), 400),
        ("a very long length", length(&"9".repeat(400)), 400),
        ("length, then chunked", post("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400),
        ("chunked, then length", post("Transfer-Encoding: chunked\r\nContent-Length: 2\r\n", "0\r\n\r\n"), 400),
        ("chunked twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400),
        ("chunked of chunked", coding("chunked, chunked"), 400),
        ("gzip, then chunked", coding("gzip, chunked"), 400),
        ("chunked, then identity", coding("chunked, identity"), 400),
        ("identity", coding("identity"), 400),
        ("an unknown coding", coding("xchunked"), 400),
        ("chunked with a parameter", coding("chunked;q=1"), 400),
        ("chunked in quotes", coding("\"chunked\""), 400),
        ("chunked with a comma", coding("chunked,"), 400),
        ("a vertical tab before chunked", coding("\u{b}chunked"), 400),
        ("no coding", coding(""), 400),
        ("a blank before the colon", header("X-Name : x\r\n"), 400),
        ("a tab before the colon", header("X-Name\t: x\r\n"), 400),
        ("a blank before the colon of the length", post("Content-Length : 2\r\n", "{}"), 400),
        ("a blank before the colon of the coding", post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"), 400),
        ("a folded header", header("X-Name: a\r\n b\r\n"), 400),
        ("a folded coding", post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"), 400),
        ("a header folded with a tab", header("X-Name: a\r\n\tb\r\n"), 400),
        ("a blank before the first name", list("POST / HTTP/1.1\r\n X-Name: a", "", ""), 400),
        ("no colon", header("X-Name\r\n"), 400),
        ("no name", header(": x\r\n"), 400),
        ("NUL in a value", header("X-Name: a\0b\r\n"), 400),
        ("NUL in a name", header("X\0Name: a\r\n"), 400),
        ("a control character", header("X-Name: a\u{1}b\r\n"), 400),
        ("DEL", header("X-Name: a\u{7f}b\r\n"), 400),
        ("a name that is not ASCII", header("X-N\u{e4}me: a\r\n"), 400),
        ("brackets in a name", header("X-(Name): a\r\n"), 400),
        ("a bare LF behind a header", header("X-Name: a\nX-Other: b\r\n"), 400),
        ("a bare LF behind the line", list("POST / HTTP/1.1\nX-Name: a", "Content-Length: 2\r\n", "{}"), 400),
        ("a bare CR in a value", header("X-Name: a\rX-Other: b\r\n"), 400),
        ("two CRs", header("X-Name: a\r\r\n"), 400),
        ("LFs end the head", [b"POST / HTTP/1.1\nHost: localhost\n\n".to_vec(), b"{}".to_vec()].concat(), 400),
        ("two hosts", header("Host: other\r\n"), 400),
        ("97 more headers", header(&many), 400),
        ("a header of 17 KB", header(&long), 400),
        ("a line of 17 KB", line(&long_line), 400),
        ("no version", line("POST /"), 400),
        ("version 0.9", line("POST / HTTP/0.9"), 400),
        ("version 1.2", line("POST / HTTP/1.2"), 400),
        ("version 2", line("POST / HTTP/2.0"), 400),
        ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), 400),
        ("a version in lower case", line("POST / http/1.1"), 400),
        ("a blank behind the version", line("POST / HTTP/1.1 "), 400),
        ("two blanks before the target", line("POST  / HTTP/1.1"), 400),
        ("a tab before the target", line("POST\t/ HTTP/1.1"), 400),
        ("a blank in the target", line("POST /a b HTTP/1.1"), 400),
        ("a NUL in the target", line("POST /\0 HTTP/1.1"), 400),
        ("a blank before the method", line(" POST / HTTP/1.1"), 400),
        ("three empty lines", line("\r\n\r\n\r\nPOST / HTTP/1.1"), 400),
        ("an LF before the line", line("\nPOST / HTTP/1.1"), 400),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(), 400),
        ("a response", line("HTTP/1.1 200 OK"), 400),
        ("chunked in HTTP/1.0", list("POST / HTTP/1.0", CHUNKED, "0\r\n\r\n"), 400),
        ("a body of 16 MiB and a byte", length("16777217"), 413),
        ("a length of 64 bits", length("18446744073709551615"), 413),
    ]);
}

#[test]
fn chunks_that_two_readers_read_differently_are_refused() {
    let endless = format!("2;{}\r\n{{}}\r\n0\r\n\r\n", "x".repeat(17 << 10));
    let trailers = format!("2\r\n{{}}\r\n0\r\n{}\r\n", "A: b\r\n".repeat(6000));
    check_refused(vec![
        ("a size in letters", chunked("zz\r\n{}\r\n0\r\n\r\n"), 400),
        ("no size", chunked("\r\n{}\r\n0\r\n\r\n"), 400),
        ("a prefix", chunked("0x2\r\n{}\r\n0\r\n\r\n"), 400),
        ("a plus", chunked("+2\r\n{}\r\n0\r\n\r\n"), 400),
        ("a minus", chunked("-2\r\n{}\r\n0\r\n\r\n"), 400),
        ("a blank before the size", chunked(" 2\r\n{}\r\n0\r\n\r\n"), 400),
        ("a blank behind the size", chunked("2 \r\n{}\r\n0\r\n\r\n"), 400),
        ("a size of 17 digits", chunked("00000000000000002\r\n{}\r\n0\r\n\r\n"), 400),
        ("a size beyond 64 bits", chunked("10000000000000002\r\n{}\r\n0\r\n\r\n"), 400),
        ("a size of 64 bits", chunked("ffffffffffffffff\r\n{}\r\n0\r\n\r\n"), 413),
        ("a size with its highest bit", chunked("8000000000000000\r\n{}\r\n0\r\n\r\n"), 413),
        ("16 MiB and a byte", chunked("1000001\r\n{}\r\n0\r\n\r\n"), 413),
        ("LF behind the size", chunked("2\n{}\r\n0\r\n\r\n"), 400),
        ("CR behind the size", chunked("2\r{}\r\n0\r\n\r\n"), 400),
        ("LF behind the data", chunked("2\r\n{}\n0\r\n\r\n"), 400),
        ("nothing behind the data", chunked("2\r\n{}0\r\n\r\n"), 400),
        ("more data than the size", chunked("1\r\n{}\r\n0\r\n\r\n"), 400),
        ("LF in an extension", chunked("2;a\nb\r\n{}\r\n0\r\n\r\n"), 400),
        ("CR in an extension", chunked("2;a\rb\r\n{}\r\n0\r\n\r\n"), 400),
        ("an endless extension", chunked(&endless), 400),
        ("LF behind the last chunk", chunked("2\r\n{}\r\n0\n\r\n"), 400),
        ("LF at the end", chunked("2\r\n{}\r\n0\r\n\n"), 400),
        ("LF behind a trailer", chunked("2\r\n{}\r\n0\r\nA: b\n\r\n"), 400),
        ("CR in a trailer", chunked("2\r\n{}\r\n0\r\nA: b\rC: d\r\n\r\n"), 400),
        ("endless trailers", chunked(&trailers), 400),
    ]);
}

#[test]
fn odd_requests_have_one_meaning() {
    let length = |line: &str| list(line, "Content-Length: 2\r\n", "{}");
    let header = |line: &str| post(&format!("Content-Length: 2\r\n{line}"), "{}");
    let rows = [
        ("leading zeros", post("Content-Length: 002\r\n", "{}"), 200),
        ("blanks around the length", post("Content-Length: \t 2 \t\r\n", "{}"), 200),
        ("two empty lines before", [b"\r\n\r\n".to_vec(), length("POST / HTTP/1.1")].concat(), 200),
        ("names in any case", post("cONTENT-lENGTH:2\r\n", "{}"), 200),
        ("chunked in any case", post("transfer-encoding: CHUNKED\r\n", "2\r\n{}\r\n0\r\n\r\n"), 200),
        ("a size with zeros", chunked("0000000000000002\r\n{}\r\n000\r\n\r\n"), 200),
        ("an extension", chunked("1;a=b;c=\"d\"\r\n{\r\n1;\r\n}\r\n0;e\r\n\r\n"), 200),
        ("framing in a trailer", chunked("2\r\n{}\r\n0\r\nContent-Length: 100\r\nTransfer-Encoding: x\r\n\r\n"), 200),
        ("a request in the data", chunked("17\r\n{\"x\":\"GET / HTTP/1.1\"} \r\n0\r\n\r\n"), 200),
        ("a body for GET", list("GET / HTTP/1.1", "Content-Length: 18\r\n", "GET / HTTP/1.1\r\n\r\n"), 200),
        ("a body for DELETE", list("DELETE / HTTP/1.1", "Content-Length: 18\r\n", "GET / HTTP/1.1\r\n\r\n"), 404),
        ("the absolute form", length("POST http://other:80/ HTTP/1.1"), 200),
        ("the authority form", length("POST localhost:8002 HTTP/1.1"), 404),
        ("CONNECT", list("CONNECT localhost:80 HTTP/1.1", "Content-Length: 0\r\n", ""), 404),
        ("an asterisk", length("POST * HTTP/1.1"), 404),
        ("a path with dots", length("POST /./ HTTP/1.1"), 404),
        ("two slashes", length("POST // HTTP/1.1"), 404),
        ("an encoded slash", length("POST /%2f HTTP/1.1"), 404),
        ("an upgrade", header("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"), 200),
        ("another expectation", header("Expect: 200-ok\r\n"), 200),
        ("an expectation and its body at once", header("Expect: 100-continue\r\n"), 200),
        ("HTTP/1.0 that stays", list("POST / HTTP/1.0", "Connection: keep-alive\r\nContent-Length: 2\r\n", "{}"), 200),
        ("a connection header of a framing header", header("Connection: Content-Length, Host\r\n"), 200),
        ("bytes beyond ASCII in a value", header("X-Name: \u{e4}\r\n"), 200),
    ];
    let (server, _directory) = Server::start();
    server.connect().call("CreateTable", CREATE);
    let mut expected = Vec::new();
    for (name, bytes, status) in rows {
        let mut connection = server.connect();
        connection.send(&[bytes, put(name)].concat());
        let response = connection.receive();
        assert_eq!(response.status, status, "{name}: {}", response.text());
        let put = connection.receive();
        assert_eq!((put.status, put.text()), (200, "{}".to_owned()), "{name}");
        connection.finish_sending();
        assert!(connection.is_at_end(), "{name}: a third answer");
        expected.push(name.to_owned());
    }
    let mut found = ids(&mut server.connect());
    expected.sort();
    found.sort();
    assert_eq!(found, expected);

    // Without a length there is no body: what follows is a request, and this one is none.
    let mut connection = server.connect();
    connection.send(&[post("", "{}"), put("in the place of a body")].concat());
    assert_eq!(connection.receive().status, 400);
    let response = connection.receive();
    assert_eq!((response.status, response.header("Connection")), (400, Some("close")));
    assert!(connection.is_at_end());

    // HTTP/1.0 that does not ask to stay ends after its answer.
    let mut connection = server.connect();
    connection.send(&[length("POST / HTTP/1.0"), put("behind the end")].concat());
    assert_eq!((connection.receive().status, connection.is_at_end()), (200, true));
    assert_eq!(ids(&mut server.connect()).len(), expected.len());
}
