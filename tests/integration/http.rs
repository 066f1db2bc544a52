//! HTTP by hand, so that a test decides about every byte.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Bounds how long a broken server is waited for.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The server verifies no signature unless it is given keys, but wants a well-formed one.
pub const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/dynamodb/aws4_request, \
     SignedHeaders=host;x-amz-date;x-amz-target, \
     Signature=0000000000000000000000000000000000000000000000000000000000000000";

pub const CONTENT_TYPE: &str = "application/x-amz-json-1.0";

/// A request as text and bytes, built from a good one.
#[derive(Clone)]
pub struct Request {
    pub line: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// What an SDK sends, with `Content-Length`.
    pub fn new(operation: &str, body: &str) -> Request {
        let target =
            if operation.contains('.') { operation.to_owned() } else { format!("DynamoDB_20120810.{operation}") };
        let mut request = Request { line: "POST / HTTP/1.1".to_owned(), headers: Vec::new(), body: body.into() };
        for (name, value) in [
            ("Host", "localhost"),
            ("X-Amz-Date", "20260101T000000Z"),
            ("X-Amz-Target", &target),
            ("Content-Type", CONTENT_TYPE),
            ("Authorization", AUTHORIZATION),
            ("Content-Length", &body.len().to_string()),
        ] {
            request.headers.push((name.to_owned(), value.to_owned()));
        }
        request
    }

    pub fn bare(line: &str) -> Request {
        let host = ("Host".to_owned(), "localhost".to_owned());
        Request { line: line.to_owned(), headers: vec![host], body: Vec::new() }
    }

    pub fn line(mut self, line: &str) -> Request {
        line.clone_into(&mut self.line);
        self
    }

    /// Adds the header, or replaces it.
    pub fn with(self, name: &str, value: &str) -> Request {
        let mut request = self.without(name);
        request.headers.push((name.to_owned(), value.to_owned()));
        request
    }

    pub fn without(mut self, name: &str) -> Request {
        self.headers.retain(|(found, _)| !found.eq_ignore_ascii_case(name));
        self
    }

    /// Replaces the body and its length.
    pub fn body(mut self, body: &[u8]) -> Request {
        self.body = body.to_vec();
        self.with("Content-Length", &body.len().to_string())
    }

    pub fn chunked(self, chunks: &[&[u8]]) -> Request {
        let mut request = self.without("Content-Length").with("Transfer-Encoding", "chunked");
        request.body.clear();
        for chunk in chunks.iter().chain([&&b""[..]]) {
            request.body.extend(format!("{:x}\r\n", chunk.len()).bytes());
            request.body.extend(*chunk);
            request.body.extend(b"\r\n");
        }
        request
    }

    pub fn head_bytes(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.line);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        (text + "\r\n").into_bytes()
    }

    pub fn bytes(&self) -> Vec<u8> {
        [self.head_bytes(), self.body.clone()].concat()
    }
}

#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.text()))
    }
}

/// The connection ended within a response.
#[derive(Debug)]
struct CutOff {
    /// For the message of a failed test.
    _received: String,
}

/// A keep-alive connection.
pub struct Connection {
    pub stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    pub fn open(address: SocketAddr) -> Connection {
        Connection::of(TcpStream::connect_timeout(&address, TIMEOUT).unwrap())
    }

    pub fn of(stream: TcpStream) -> Connection {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream.set_write_timeout(Some(TIMEOUT)).unwrap();
        Connection { stream, received: Vec::new() }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends as much as the server takes: it may answer and close before the end.
    pub fn send_what_is_taken(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).ok();
    }

    pub fn finish_sending(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    pub fn exchange(&mut self, request: &Request) -> Response {
        self.send(&request.bytes());
        self.receive()
    }

    /// Calls an operation and expects success.
    pub fn call(&mut self, operation: &str, body: &str) -> Value {
        let response = self.exchange(&Request::new(operation, body));
        assert_eq!(response.status, 200, "{operation} {body}: {}", response.text());
        if response.body.is_empty() { Value::Null } else { response.json() }
    }

    /// Calls an operation; `None` if the server died before the whole answer was there.
    pub fn attempt(&mut self, operation: &str, body: &Value) -> Option<(u16, Value)> {
        self.send_what_is_taken(&Request::new(operation, &body.to_string()).bytes());
        let response = self.receive_response(false).ok()??;
        Some((response.status, response.json()))
    }

    pub fn receive(&mut self) -> Response {
        self.receive_or_end().expect("a response, not the end of the connection")
    }

    /// The next response, or none when the server closes the connection first.
    pub fn receive_or_end(&mut self) -> Option<Response> {
        self.receive_response(false).unwrap()
    }

    /// The response to a HEAD request: its `Content-Length` announces what is not sent.
    pub fn receive_head(&mut self) -> Response {
        self.receive_response(true).unwrap().expect("a response, not the end of the connection")
    }

    pub fn is_at_end(&mut self) -> bool {
        self.received.is_empty() && !self.receive_more()
    }

    fn receive_response(&mut self, is_head: bool) -> Result<Option<Response>, CutOff> {
        let head_bytes = loop {
            if let Some(position) = self.received.windows(4).position(|window| window == b"\r\n\r\n") {
                break position + 4;
            }
            if !self.receive_more() {
                return if self.received.is_empty() { Ok(None) } else { Err(self.cut_off()) };
            }
        };
        let head = String::from_utf8(self.received.drain(..head_bytes).collect()).unwrap();
        let mut response = parse_head(&head);
        if response.header("Transfer-Encoding") == Some("chunked") {
            response.body = self.receive_chunks()?;
        } else if !is_head && response.status != 100 {
            let length = response.header("Content-Length").expect("a length or chunks").parse().unwrap();
            self.receive_until(length)?;
            response.body = self.received.drain(..length).collect();
        }
        Ok(Some(response))
    }

    fn receive_chunks(&mut self) -> Result<Vec<u8>, CutOff> {
        let mut body = Vec::new();
        loop {
            let line_bytes = loop {
                if let Some(position) = self.received.windows(2).position(|window| window == b"\r\n") {
                    break position;
                }
                if !self.receive_more() {
                    return Err(self.cut_off());
                }
            };
            let line = String::from_utf8(self.received.drain(..line_bytes + 2).collect()).unwrap();
            let length = usize::from_str_radix(line.trim(), 16).unwrap();
            self.receive_until(length + 2)?;
            body.extend(self.received.drain(..length + 2).take(length));
            if length == 0 {
                return Ok(body);
            }
        }
    }

    fn receive_until(&mut self, length: usize) -> Result<(), CutOff> {
        while self.received.len() < length {
            if !self.receive_more() {
                return Err(self.cut_off());
            }
        }
        Ok(())
    }

    fn cut_off(&self) -> CutOff {
        CutOff { _received: String::from_utf8_lossy(&self.received).into_owned() }
    }

    /// False at the end of the connection.
    fn receive_more(&mut self) -> bool {
        let mut buffer = [0; 65536];
        match self.stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(length) => {
                self.received.extend_from_slice(&buffer[..length]);
                true
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("no answer: {error}"),
        }
    }
}

fn parse_head(head: &str) -> Response {
    let mut lines = head.split("\r\n");
    let mut status_line = lines.next().unwrap().splitn(3, ' ');
    assert!(status_line.next().unwrap().starts_with("HTTP/1."), "{head:?}");
    let status = status_line.next().unwrap().parse().unwrap();
    let header = |line: &str| {
        let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("{line:?} is not a header"));
        (name.to_owned(), value.trim().to_owned())
    };
    let headers = lines.take_while(|line| !line.is_empty()).map(header).collect();
    Response { status, headers, body: Vec::new() }
}
