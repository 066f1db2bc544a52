//! The head of a request: where it ends, what of it matters, and how its body is framed.
//!
//! ```text
//! head    = *CRLF  request-line CRLF  *( name ":" OWS value OWS CRLF )  CRLF
//! framing = nothing | Content-Length: digits | Transfer-Encoding: chunked
//! ```
//!
//! A server behind a proxy must see the same message borders as the proxy. So everything that two readers could
//! understand differently is refused instead of repaired: a line that ends in a bare LF, a folded header, a space
//! before the colon, more than one `Content-Length` or `Host`, `Content-Length` beside `Transfer-Encoding`, and any
//! transfer coding other than `chunked`.

use memchr::{memchr, memchr_iter};

const CRLF: &[u8] = b"\r\n";

/// A request line longer than this is refused with 400, as DynamoDB does.
pub const REQUEST_LINE_BYTES_MAX: usize = 16 * 1024;

/// Headers longer than this in total are refused with 400, as DynamoDB does.
pub const HEADERS_BYTES_MAX: usize = 16 * 1024;

/// No head is longer than this: line, headers, and the CRLFs that end them.
pub const HEAD_BYTES_MAX: usize = REQUEST_LINE_BYTES_MAX + HEADERS_BYTES_MAX + 4;

/// SDKs send 8 to 15 headers and proxies add a few. The table of 96 lives on the stack (3 KB).
pub const HEADER_COUNT_MAX: usize = 96;

/// Empty lines before a request line, which some old clients send after a body.
const LEADING_EMPTY_LINES_MAX: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Head,
    Options,
    Post,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    None,
    /// Bytes of body.
    Length(u64),
    Chunked,
}

/// A complete request head. Values borrow the bytes that were parsed; header values are trimmed.
#[derive(Debug)]
pub struct Head<'b> {
    pub method: Method,
    pub path: &'b str,
    /// What follows `?` in the request target, without it; empty when there is none.
    pub query: &'b str,
    pub http_1_0: bool,
    pub framing: Framing,
    /// Whether the client wants to send another request on this connection.
    pub keep_alive: bool,
    /// The client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
    /// Length of the head, the empty line included: the body begins here.
    pub head_bytes: usize,
    /// All header lines with their line ends.
    lines: &'b [u8],
    pub target: Option<&'b [u8]>,
    pub host: Option<&'b [u8]>,
    pub content_type: Option<&'b [u8]>,
    pub content_encoding: Option<&'b [u8]>,
    pub accept_encoding: Option<&'b [u8]>,
    pub authorization: Option<&'b [u8]>,
    pub amz_date: Option<&'b [u8]>,
    pub security_token: Option<&'b [u8]>,
    pub date: Option<&'b [u8]>,
    pub origin: Option<&'b [u8]>,
    /// `X-Jormun-Server-Timing`: the answer is to say where its time went.
    pub server_timing: Option<&'b [u8]>,
    pub access_control_request_headers: Option<&'b [u8]>,
    pub access_control_request_method: Option<&'b [u8]>,
}

/// Why a head is refused. Both are answered with status 400, and the connection is closed, since nobody knows where the
/// next request begins. The text is for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadError {
    TooLarge,
    Malformed(&'static str),
}

/// Reads the head at the start of `bytes`. `Ok(None)`: it is not complete yet.
pub fn parse(bytes: &[u8]) -> Result<Option<Head<'_>>, HeadError> {
    let skipped = leading_empty_lines(bytes);
    let Some(end) = find_end(&bytes[skipped..])? else { return Ok(None) };

    let mut storage = [const { std::mem::MaybeUninit::uninit() }; HEADER_COUNT_MAX];
    let mut request = httparse::Request::new(&mut []);
    let parsed = request.parse_with_uninit_headers(&bytes[skipped..skipped + end], &mut storage);
    match parsed {
        Ok(httparse::Status::Complete(length)) if length == end => {}
        Ok(_) => return Err(HeadError::Malformed("head ends where no line ends")),
        Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooLarge),
        Err(error) => return Err(HeadError::Malformed(describe(error))),
    }
    let (Some(method), Some(target), Some(version)) = (request.method, request.path, request.version) else {
        return Err(HeadError::Malformed("request line"));
    };
    let (path, query) = split_target(target);
    let mut head = Head::new(method, path, query, version == 0, skipped + end);
    let lines_start = memchr(b'\n', &bytes[skipped..]).map_or(end, |newline| newline + 1);
    head.lines = &bytes[skipped + lines_start..skipped + end - CRLF.len()];
    let mut connection = ConnectionTokens::default();
    for header in request.headers.iter() {
        head.take_header(header.name, header.value, &mut connection)?;
    }
    head.keep_alive = !connection.close && (!head.http_1_0 || connection.keep_alive);
    // A client of HTTP/1.0 does not know the interim response.
    head.expects_continue &= !head.http_1_0;
    if head.http_1_0 && head.framing == Framing::Chunked {
        return Err(HeadError::Malformed("Transfer-Encoding in HTTP/1.0"));
    }
    Ok(Some(head))
}

#[derive(Default)]
struct ConnectionTokens {
    close: bool,
    keep_alive: bool,
}

impl<'b> Head<'b> {
    fn new(method: &str, path: &'b str, query: &'b str, http_1_0: bool, head_bytes: usize) -> Head<'b> {
        Head {
            method: match method {
                "POST" => Method::Post,
                "GET" => Method::Get,
                "HEAD" => Method::Head,
                "OPTIONS" => Method::Options,
                _ => Method::Other,
            },
            path,
            query,
            http_1_0,
            framing: Framing::None,
            keep_alive: true,
            expects_continue: false,
            head_bytes,
            lines: b"",
            target: None,
            host: None,
            content_type: None,
            content_encoding: None,
            accept_encoding: None,
            authorization: None,
            amz_date: None,
            security_token: None,
            date: None,
            origin: None,
            server_timing: None,
            access_control_request_headers: None,
            access_control_request_method: None,
        }
    }

    /// All headers in the order in which they were sent, values trimmed.
    pub fn headers(&self) -> impl Iterator<Item = (&'b [u8], &'b [u8])> + use<'b> {
        let lines = self.lines;
        let mut start = 0;
        memchr_iter(b'\n', lines).map(move |newline| {
            let line = &lines[start..newline];
            start = newline + 1;
            // The parser has seen a colon in each line.
            let colon = memchr(b':', line).unwrap_or(line.len());
            (&line[..colon], line.get(colon + 1..).unwrap_or_default().trim_ascii())
        })
    }

    /// Of a header that is sent twice the first counts, except where two of them would make the framing doubtful.
    fn take_header(&mut self, name: &str, value: &'b [u8], connection: &mut ConnectionTokens) -> Result<(), HeadError> {
        // The length separates most names before any byte is compared.
        let slot = match name.len() {
            4 if is(name, "date") => &mut self.date,
            4 if is(name, "host") => {
                let other = self.host.replace(value);
                return other.map_or(Ok(()), |_| Err(HeadError::Malformed("more than one Host")));
            }
            6 if is(name, "origin") => &mut self.origin,
            6 if is(name, "expect") => {
                self.expects_continue |= value.eq_ignore_ascii_case(b"100-continue");
                return Ok(());
            }
            10 if is(name, "x-amz-date") => &mut self.amz_date,
            10 if is(name, "connection") => {
                connection.read(value);
                return Ok(());
            }
            12 if is(name, "content-type") => &mut self.content_type,
            12 if is(name, "x-amz-target") => &mut self.target,
            13 if is(name, "authorization") => &mut self.authorization,
            14 if is(name, "content-length") => return self.take_content_length(value),
            15 if is(name, "accept-encoding") => &mut self.accept_encoding,
            16 if is(name, "content-encoding") => &mut self.content_encoding,
            17 if is(name, "transfer-encoding") => return self.take_transfer_encoding(value),
            20 if is(name, "x-amz-security-token") => &mut self.security_token,
            22 if is(name, "x-jormun-server-timing") => &mut self.server_timing,
            29 if is(name, "access-control-request-method") => &mut self.access_control_request_method,
            30 if is(name, "access-control-request-headers") => &mut self.access_control_request_headers,
            _ => return Ok(()),
        };
        slot.get_or_insert(value);
        Ok(())
    }

    fn take_content_length(&mut self, value: &[u8]) -> Result<(), HeadError> {
        if self.framing != Framing::None {
            return Err(HeadError::Malformed("more than one Content-Length or Transfer-Encoding"));
        }
        if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
            return Err(HeadError::Malformed("Content-Length is not a number"));
        }
        let length =
            value.iter().try_fold(0u64, |sum, digit| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
        // Readers differ in what they make of a number that does not fit.
        self.framing = Framing::Length(length.ok_or(HeadError::Malformed("Content-Length does not fit 64 bits"))?);
        Ok(())
    }

    fn take_transfer_encoding(&mut self, value: &[u8]) -> Result<(), HeadError> {
        if self.framing != Framing::None {
            return Err(HeadError::Malformed("more than one Content-Length or Transfer-Encoding"));
        }
        if !value.eq_ignore_ascii_case(b"chunked") {
            return Err(HeadError::Malformed("unsupported Transfer-Encoding"));
        }
        self.framing = Framing::Chunked;
        Ok(())
    }
}

impl ConnectionTokens {
    fn read(&mut self, value: &[u8]) {
        for token in value.split(|&byte| byte == b',') {
            let token = token.trim_ascii();
            self.close |= token.eq_ignore_ascii_case(b"close");
            self.keep_alive |= token.eq_ignore_ascii_case(b"keep-alive");
        }
    }
}

fn is(name: &str, lower: &str) -> bool {
    name.eq_ignore_ascii_case(lower)
}

/// Length of the empty lines that stand before the request line and mean nothing.
fn leading_empty_lines(bytes: &[u8]) -> usize {
    let count = bytes.chunks_exact(2).take(LEADING_EMPTY_LINES_MAX).take_while(|&pair| pair == b"\r\n").count();
    2 * count
}

/// Finds the end of the empty line that ends a head. Checks what can be checked line by line before all is there, so
/// that a hopeless head is refused early and an endless one cannot grow.
fn find_end(bytes: &[u8]) -> Result<Option<usize>, HeadError> {
    let mut line_start = 0;
    let mut headers_start = None;
    for newline in memchr_iter(b'\n', bytes) {
        if newline == line_start || bytes[newline - 1] != b'\r' {
            return Err(HeadError::Malformed("a line ends in a bare LF"));
        }
        let line = &bytes[line_start..newline - 1];
        match headers_start {
            None if line.len() > REQUEST_LINE_BYTES_MAX => return Err(HeadError::TooLarge),
            None if line.is_empty() => return Err(HeadError::Malformed("empty request line")),
            None => headers_start = Some(newline + 1),
            Some(start) if newline - start > HEADERS_BYTES_MAX => return Err(HeadError::TooLarge),
            Some(_) if line.is_empty() => return Ok(Some(newline + 1)),
            Some(_) => {}
        }
        line_start = newline + 1;
    }
    let (unfinished, limit) = match headers_start {
        None => (bytes.len(), REQUEST_LINE_BYTES_MAX),
        Some(start) => (bytes.len() - start, HEADERS_BYTES_MAX),
    };
    // One byte more for the CR whose LF has not come yet.
    if unfinished > limit + 1 { Err(HeadError::TooLarge) } else { Ok(None) }
}

/// Splits a request target into path and query. The absolute form, which clients of a proxy send, loses its origin.
fn split_target(target: &str) -> (&str, &str) {
    let local = match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains(['/', '?']) => rest.find(['/', '?']).map_or("/", |at| &rest[at..]),
        _ => target,
    };
    local.split_once('?').unwrap_or((local, ""))
}

fn describe(error: httparse::Error) -> &'static str {
    match error {
        httparse::Error::HeaderName => "header name (a space before the colon or a folded line)",
        httparse::Error::HeaderValue => "header value",
        httparse::Error::NewLine => "line end",
        httparse::Error::Status => "status",
        httparse::Error::Token => "request line",
        httparse::Error::TooManyHeaders => "too many headers",
        httparse::Error::Version => "HTTP version",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET_ITEM: &str = "POST / HTTP/1.1\r\nHost: localhost:8002\r\nX-Amz-Target: DynamoDB_20120810.GetItem\r\n\
        content-TYPE:application/x-amz-json-1.0\r\nContent-Length: 2 \r\nAuthorization: AWS4-HMAC-SHA256 x\r\n\r\n";

    fn head(text: &str) -> Head<'_> {
        parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text:?}: {error:?}")).expect("a complete head")
    }

    #[test]
    fn reads_what_matters_and_ignores_case() {
        let head = head(GET_ITEM);
        assert_eq!((head.method, head.path, head.query), (Method::Post, "/", ""));
        assert_eq!(head.target, Some(&b"DynamoDB_20120810.GetItem"[..]));
        assert_eq!(head.content_type, Some(&b"application/x-amz-json-1.0"[..]));
        assert_eq!(head.authorization, Some(&b"AWS4-HMAC-SHA256 x"[..]));
        assert_eq!(head.framing, Framing::Length(2));
        assert_eq!(head.head_bytes, GET_ITEM.len());
        assert!(head.keep_alive && !head.http_1_0 && !head.expects_continue);

        let all: Vec<String> =
            head.headers().map(|(name, value)| format!("{}|{}", name.escape_ascii(), value.escape_ascii())).collect();
        let expected = "Host|localhost:8002 X-Amz-Target|DynamoDB_20120810.GetItem \
                        content-TYPE|application/x-amz-json-1.0 Content-Length|2 Authorization|AWS4-HMAC-SHA256,x";
        assert_eq!(all.join(" ").replace("256 x", "256,x"), expected);
    }

    #[test]
    fn every_cut_is_incomplete_and_what_follows_is_left_alone() {
        for cut in 0..GET_ITEM.len() {
            assert!(parse(&GET_ITEM.as_bytes()[..cut]).expect("no error").is_none(), "cut at {cut}");
        }
        let two = format!("{GET_ITEM}{{}}{GET_ITEM}");
        assert_eq!(head(&two).head_bytes, GET_ITEM.len());
    }

    #[test]
    fn framing_and_persistence() {
        let check = |line_and_headers: &str, framing: Framing, keep_alive: bool, expects_continue: bool| {
            let text = format!("{line_and_headers}\r\n\r\n");
            let head = head(&text);
            let seen = (head.framing, head.keep_alive, head.expects_continue);
            assert_eq!(seen, (framing, keep_alive, expects_continue), "{line_and_headers:?}");
        };
        check("GET / HTTP/1.1\r\na: b", Framing::None, true, false);
        check("GET / HTTP/1.0\r\na: b", Framing::None, false, false);
        check("GET / HTTP/1.0\r\nConnection: Keep-Alive", Framing::None, true, false);
        check("GET / HTTP/1.1\r\nConnection: close", Framing::None, false, false);
        check("GET / HTTP/1.1\r\nConnection: keep-alive, TE , Close", Framing::None, false, false);
        check("POST / HTTP/1.1\r\nTransfer-Encoding: Chunked", Framing::Chunked, true, false);
        check("POST / HTTP/1.1\r\nContent-Length: 007", Framing::Length(7), true, false);
        check("POST / HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 1", Framing::Length(1), true, true);
        check("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1", Framing::Length(1), false, false);
        check("POST / HTTP/1.1\r\nContent-Length: 18446744073709551615", Framing::Length(u64::MAX), true, false);
        check("\r\n\r\nGET / HTTP/1.1\r\na: b", Framing::None, true, false);
    }

    #[test]
    fn targets() {
        let check = |target: &str, path: &str, query: &str| assert_eq!(split_target(target), (path, query), "{target}");
        check("/", "/", "");
        check("/?X-Amz-Algorithm=a", "/", "X-Amz-Algorithm=a");
        check("/ping?a?b", "/ping", "a?b");
        check("http://localhost:8002/?x=http://y", "/", "x=http://y");
        check("http://localhost", "/", "");
        check("http://localhost?q", "", "q");
        check("/?u=http://y/z", "/", "u=http://y/z");
        check("*", "*", "");
    }

    /// Request smuggling: forms that another reader could frame differently.
    #[test]
    fn refuses_doubtful_heads() {
        let rows = [
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 0x1\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length:\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: \x0bchunked\r\n\r\n",
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length : 1\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            "POST / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n",
            "POST / HTTP/1.1\r\n folded: b\r\n\r\n",
            "POST / HTTP/1.1\r\nA: b\n\r\n",
            "POST / HTTP/1.1\r\nA: b\n\n",
            "POST / HTTP/1.1\nA: b\r\n\r\n",
            "POST / HTTP/1.1\r\nA: b\rC: d\r\n\r\n",
            "POST / HTTP/1.1\r\nA: b\0c\r\n\r\n",
            "POST / HTTP/1.1\r\nno colon\r\n\r\n",
            "POST / HTTP/1.1\r\n: no name\r\n\r\n",
            "POST / HTTP/2.0\r\nA: b\r\n\r\n",
            "POST / HTTP/1.1 \r\nA: b\r\n\r\n",
            "POST /\r\nA: b\r\n\r\n",
            "POST  / HTTP/1.1\r\nA: b\r\n\r\n",
            "\r\n\r\n\r\nPOST / HTTP/1.1\r\nA: b\r\n\r\n",
            "\nPOST / HTTP/1.1\r\nA: b\r\n\r\n",
            "\x16\x03\x01\x02\x00\r\n\r\n",
        ];
        for row in rows {
            let seen = parse(row.as_bytes());
            assert!(matches!(seen, Err(HeadError::Malformed(_))), "{row:?}: {seen:?}");
        }
    }

    #[test]
    fn limits_are_exact() {
        let line = |bytes: usize| format!("GET /{} HTTP/1.1\r\na: b\r\n\r\n", "x".repeat(bytes - 14));
        assert_eq!(head(&line(REQUEST_LINE_BYTES_MAX)).path.len(), REQUEST_LINE_BYTES_MAX - 13);
        assert_eq!(parse(line(REQUEST_LINE_BYTES_MAX + 1).as_bytes()).err(), Some(HeadError::TooLarge));
        let endless = "GET /".to_owned() + &"x".repeat(2 * REQUEST_LINE_BYTES_MAX);
        assert_eq!(parse(endless.as_bytes()).err(), Some(HeadError::TooLarge));

        let headers = |bytes: usize| format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "x".repeat(bytes - 6));
        assert!(head(&headers(HEADERS_BYTES_MAX)).head_bytes <= HEAD_BYTES_MAX);
        assert_eq!(parse(headers(HEADERS_BYTES_MAX + 1).as_bytes()).err(), Some(HeadError::TooLarge));
        let endless = format!("GET / HTTP/1.1\r\na: {}", "x".repeat(HEADERS_BYTES_MAX));
        assert_eq!(parse(endless.as_bytes()).err(), Some(HeadError::TooLarge));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(HEADER_COUNT_MAX + 1));
        assert_eq!(parse(many.as_bytes()).err(), Some(HeadError::TooLarge));
    }

    /// What is refused when complete must not wait for ever when it is not: no prefix of a legal head may be refused.
    #[test]
    fn bare_line_feed_is_refused_before_the_head_is_complete() {
        assert!(matches!(parse(b"GET / HTTP/1.1\n"), Err(HeadError::Malformed(_))));
        assert!(matches!(parse(b"GET / HTTP/1.1\r\na: b\n"), Err(HeadError::Malformed(_))));
    }
}
