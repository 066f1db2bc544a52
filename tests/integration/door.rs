//! The checks at the door, each with its exact answer: status, body, and the headers that every answer carries.

use serde_json::json;

use crate::harness::Server;
use crate::http::{CONTENT_TYPE, Request, Response};

const NOT_AN_OPERATION: &str = "<UnknownOperationException/>\n";
const BODY_BYTES_MAX: usize = 16 << 20;

fn coral(name: &str, message: Option<&str>) -> String {
    let mut body = json!({"__type": format!("com.amazon.coral.service#{name}")});
    if let Some(message) = message {
        body["message"] = json!(message);
    }
    body.to_string()
}

/// One connection for all rows: an error at the door does not end it.
fn check_all(rows: &[(&str, Request, u16, String)]) {
    let (server, _directory) = Server::start();
    let mut connection = server.connect();
    for (name, request, status, body) in rows {
        let response = connection.exchange(request);
        assert_eq!((response.status, response.text()), (*status, body.clone()), "{name}");
        assert_carries_headers(&response);
    }
}

fn assert_carries_headers(response: &Response) {
    let id = response.header("x-amzn-RequestId").expect("x-amzn-RequestId");
    assert!(id.len() == 52 && id.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit()), "{id}");
    assert_eq!(response.header("x-amz-crc32"), Some(crc32fast::hash(&response.body).to_string().as_str()));
    let date = response.header("Date").expect("Date");
    assert!(date.len() == 29 && date.ends_with(" GMT"), "{date}");
}

fn list() -> Request {
    Request::new("ListTables", "{}")
}

#[test]
fn what_is_not_an_operation_is_not_found() {
    let mut rows = Vec::new();
    for method in ["PUT", "DELETE", "PATCH"] {
        rows.push((method, list().line(&format!("{method} / HTTP/1.1")), 404, NOT_AN_OPERATION.to_owned()));
    }
    rows.push(("OPTIONS without Origin", Request::bare("OPTIONS / HTTP/1.1"), 404, NOT_AN_OPERATION.to_owned()));
    for content_type in ["application/x-amz-json-1.1", "text/plain", "application/jsonx"] {
        rows.push((content_type, list().with("Content-Type", content_type), 404, NOT_AN_OPERATION.to_owned()));
    }
    rows.push(("no content type", list().without("Content-Type"), 404, NOT_AN_OPERATION.to_owned()));
    check_all(&rows);
}

#[test]
fn body_then_target_then_authorization() {
    let serialization = coral("SerializationException", None);
    let unknown = coral("UnknownOperationException", None);
    let missing = coral("MissingAuthenticationTokenException", Some("Request is missing Authentication Token"));
    let mut rows = vec![
        ("no target, no authorization", list().without("X-Amz-Target").without("Authorization"), unknown.clone()),
        ("not JSON beats a missing target", list().body(b"{").without("X-Amz-Target"), serialization.clone()),
        ("no authorization", list().without("Authorization"), missing.clone()),
        ("another scheme", list().with("Authorization", "Basic dXNlcjpwYXNz"), missing),
    ];
    for body in ["", "{", "}", "hello", "{\"a\":}", "{} {}", "{'a':1}", "{\"a\":1,}"] {
        rows.push((body, list().body(body.as_bytes()), serialization.clone()));
    }
    for target in [
        "DynamoDB_20120810.",
        "DynamoDB_20120810",
        "ListTables",
        "DynamoDB_20120810.listtables",
        "DynamoDB_20120810.ListTables ",
        "DynamoDB_20120810.ListTables.",
        "DynamoDB_20110101.ListTables",
        "DynamoDBStreams_20120810.ListTables",
        "Dynamo.DB_20120810.ListTables",
    ] {
        // A blank at the end of a header's value is not part of it.
        if !target.ends_with(' ') {
            rows.push((target, list().with("X-Amz-Target", target), unknown.clone()));
        }
    }
    check_all(&rows.into_iter().map(|(name, request, body)| (name, request, 400, body)).collect::<Vec<_>>());
}

#[test]
fn authorization_is_complete() {
    let requires = |part: &str| format!("Authorization header requires '{part}' parameter. ");
    let date = "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ";
    let header = "AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host";
    let query = |part: &str| format!("AWS query-string parameters must include '{part}'. ");
    let all_of_query = ["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date"];
    let incomplete = |message: String| coral("IncompleteSignatureException", Some(&message));
    let both = "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.";
    check_all(&[
        (
            "scheme only",
            list().with("Authorization", "AWS4-HMAC-SHA256"),
            400,
            incomplete(
                [requires("Credential"), requires("Signature"), requires("SignedHeaders")].concat()
                    + "Authorization=AWS4-HMAC-SHA256",
            ),
        ),
        (
            "no signature",
            list().with("Authorization", header),
            400,
            incomplete(requires("Signature") + "Authorization=" + header),
        ),
        (
            "no date",
            list().with("Authorization", header).without("X-Amz-Date"),
            400,
            incomplete(requires("Signature") + date + "Authorization=" + header),
        ),
        (
            "header and query",
            list().line("POST /?X-Amz-Algorithm=AWS4-HMAC-SHA256 HTTP/1.1"),
            400,
            coral("InvalidSignatureException", Some(both)),
        ),
        (
            "query without parts",
            list().without("Authorization").line("POST /?X-Amz-Algorithm HTTP/1.1"),
            400,
            incomplete(all_of_query.map(query).concat() + "Re-examine the query-string parameters."),
        ),
    ]);
}

#[test]
fn answers_repeat_the_content_type() {
    let (server, _directory) = Server::start();
    let mut connection = server.connect();
    for (given, answered) in [
        (CONTENT_TYPE, CONTENT_TYPE),
        ("application/json", "application/json"),
        ("application/json; charset=utf-8", "application/json"),
        (" application/x-amz-json-1.0 ;x=y", CONTENT_TYPE),
    ] {
        let response = connection.exchange(&list().with("Content-Type", given));
        assert_eq!((response.status, response.text()), (200, r#"{"TableNames":[]}"#.to_owned()), "{given}");
        assert_eq!(response.header("Content-Type"), Some(answered));
        assert_carries_headers(&response);
        let refusal = connection.exchange(&list().body(b"x").with("Content-Type", given));
        assert_eq!((refusal.status, refusal.header("Content-Type")), (400, Some(answered)));
    }
    assert_eq!(connection.exchange(&list().line("POST /?a=b HTTP/1.1")).status, 200);
}

#[test]
fn health_is_answered_on_every_path() {
    let (server, _directory) = Server::start();
    let mut connection = server.connect();
    for path in ["/", "/ping", "/healthcheck"] {
        let response = connection.exchange(&Request::bare(&format!("GET {path} HTTP/1.1")));
        assert_eq!(response.status, 200);
        assert_eq!(response.text(), "healthy: dynamodb.us-east-1.amazonaws.com ");
        assert_eq!(response.header("Content-Type"), None);
    }
    connection.send(&Request::bare("HEAD / HTTP/1.1").bytes());
    assert_eq!(connection.receive_head().status, 200);
    assert_eq!(connection.exchange(&list()).status, 200);
}

#[test]
fn browsers_may_ask_from_any_origin() {
    let (server, _directory) = Server::start();
    let mut connection = server.connect();
    let ask = Request::bare("OPTIONS / HTTP/1.1")
        .with("Origin", "http://example.com")
        .with("Access-Control-Request-Method", "POST")
        .with("Access-Control-Request-Headers", "x-amz-target,content-type");
    let response = connection.exchange(&ask);
    assert_eq!((response.status, response.text()), (200, String::new()));
    for (name, value) in [
        ("Access-Control-Allow-Origin", "*"),
        ("Access-Control-Allow-Methods", "POST"),
        ("Access-Control-Allow-Headers", "x-amz-target,content-type"),
        ("Access-Control-Max-Age", "172800"),
        ("Content-Length", "0"),
    ] {
        assert_eq!(response.header(name), Some(value), "{name}");
    }
    let response = connection.exchange(&list().with("Origin", "http://example.com"));
    assert_eq!((response.status, response.header("Access-Control-Allow-Origin")), (200, Some("*")));
    assert_eq!(connection.exchange(&list()).header("Access-Control-Allow-Origin"), None);
}

#[test]
fn bodies_up_to_16_mib_are_read() {
    let (server, _directory) = Server::start();
    let padded = |length: usize| [b"{".to_vec(), vec![b' '; length - 2], b"}".to_vec()].concat();
    let fits = padded(BODY_BYTES_MAX);
    let mut connection = server.connect();
    assert_eq!(connection.exchange(&list().body(&fits)).status, 200);
    let chunks: Vec<&[u8]> = fits.chunks(1 << 20).collect();
    assert_eq!(connection.exchange(&list().chunked(&chunks)).status, 200);
    assert_eq!(connection.exchange(&list()).status, 200);

    let exceeds = padded(BODY_BYTES_MAX + 1);
    let chunks: Vec<&[u8]> = exceeds.chunks(1 << 20).collect();
    for request in [list().body(&exceeds), list().chunked(&chunks)] {
        let mut connection = server.connect();
        connection.send_what_is_taken(&request.bytes());
        let response = connection.receive();
        assert_eq!((response.status, response.text()), (413, String::new()));
    }
    // The length alone decides: nothing of such a body need be sent.
    let mut connection = server.connect();
    connection.send(&list().with("Content-Length", &(BODY_BYTES_MAX + 1).to_string()).head_bytes());
    assert_eq!(connection.receive().status, 413);
    assert!(connection.is_at_end());

    // More than any integer holds is too long, or not a length: both are true.
    let mut connection = server.connect();
    connection.send(&list().with("Content-Length", "99999999999999999999").head_bytes());
    assert!([400, 413].contains(&connection.receive().status));
    assert!(connection.is_at_end());
}

#[test]
fn heads_are_bounded() {
    let (server, _directory) = Server::start();
    assert_eq!(server.connect().exchange(&list().with("X-Long", &"x".repeat(12 << 10))).status, 200);
    for request in
        [list().with("X-Long", &"x".repeat(17 << 10)), list().line(&format!("POST /{} HTTP/1.1", "x".repeat(17 << 10)))]
    {
        let mut connection = server.connect();
        connection.send_what_is_taken(&request.bytes());
        assert_eq!(connection.receive().status, 400);
        assert!(connection.is_at_end());
    }
}

/// Two readers of one of these could disagree about where it ends, so it is refused and the connection closed.
#[test]
fn ambiguous_framing_is_refused() {
    let (server, _directory) = Server::start();
    let twice = |name: &str, value: &str| {
        let mut request = list();
        request.headers.push((name.to_owned(), value.to_owned()));
        request
    };
    let chunked = list().chunked(&[b"{}"]);
    let with_chunks = |body: &[u8]| Request { body: body.to_vec(), ..chunked.clone() };
    for (name, request) in [
        ("two lengths", twice("Content-Length", "3")),
        ("length and chunks", chunked.clone().with("Content-Length", "12")),
        ("negative length", list().with("Content-Length", "-2")),
        ("signed length", list().with("Content-Length", "+2")),
        ("length with letters", list().with("Content-Length", "2x")),
        ("unknown coding", list().without("Content-Length").with("Transfer-Encoding", "xchunked")),
        ("chunked is not last", list().without("Content-Length").with("Transfer-Encoding", "chunked, gzip")),
        ("blank before the colon", list().with("X-Name ", "x")),
        ("folded header", list().with("X-Name", "a\r\n b")),
        ("control character", list().with("X-Name", "a\u{1}b")),
        ("no version", list().line("POST /")),
        ("version 2", list().line("POST / HTTP/2.0")),
        ("not a request", list().line("hello")),
        ("chunk size", with_chunks(b"zz\r\n{}\r\n0\r\n\r\n")),
        ("no chunk size", with_chunks(b"\r\n{}\r\n0\r\n\r\n")),
        ("huge chunk size", with_chunks(b"fffffffffffffffff\r\n{}\r\n0\r\n\r\n")),
        ("chunk too long", with_chunks(b"1\r\n{}\r\n0\r\n\r\n")),
    ] {
        let mut connection = server.connect();
        connection.send_what_is_taken(&request.bytes());
        let response = connection.receive_or_end();
        let refused = |response: &Response| [400, 413].contains(&response.status);
        assert!(response.as_ref().is_none_or(refused), "{name}: {response:?}");
        assert!(connection.is_at_end(), "{name}");
    }
    assert_eq!(server.connect().exchange(&list()).status, 200);
}
