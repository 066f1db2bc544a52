//! Where an answer ends: HTTP/1.1 with a content length, and RESP for Redis.
//!
//! ```text
//! HTTP  status-line *(header CRLF) CRLF body[content-length]
//! RESP  "+" text CRLF | "-" text CRLF | "$-1" CRLF | "$" length CRLF bytes[length] CRLF
//! ```
//!
//! A server that is measured sends nothing else; what does not fit is an error, not a guess.

use std::ops::Range;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Http,
    Resp,
}

/// One complete answer at the start of a buffer.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub success: bool,
    /// The server says that it closes the connection behind this answer.
    pub closes: bool,
    pub body: Range<usize>,
    /// Bytes of the whole answer.
    pub length: usize,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Malformed;

impl Protocol {
    /// `Ok(None)`: more bytes are needed.
    pub fn frame(self, bytes: &[u8]) -> Result<Option<Answer>, Malformed> {
        match self {
            Protocol::Http => frame_http(bytes),
            Protocol::Resp => frame_resp(bytes),
        }
    }
}

fn frame_http(bytes: &[u8]) -> Result<Option<Answer>, Malformed> {
    let status_line = &bytes[..bytes.len().min(9)];
    if status_line != &b"HTTP/1.1 "[..status_line.len()] {
        return Err(Malformed);
    }
    let Some(Message { body, closes }) = http_message(bytes)? else { return Ok(None) };
    let success = bytes[9..].starts_with(b"200 ");
    Ok(Some(Answer { success, closes, length: body.end, body }))
}

/// A whole request or answer.
pub struct Message {
    pub body: Range<usize>,
    pub closes: bool,
}

/// `Ok(None)`: not all of it is there.
pub fn http_message(bytes: &[u8]) -> Result<Option<Message>, Malformed> {
    let (mut content_length, mut closes) = (None, false);
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', bytes) {
        let line = bytes[start..end].strip_suffix(b"\r").ok_or(Malformed)?;
        if line.is_empty() {
            let body = end + 1..end + 1 + content_length.ok_or(Malformed)?;
            return Ok((body.end <= bytes.len()).then_some(Message { body, closes }));
        }
        if line.len() > 15 && line[..15].eq_ignore_ascii_case(b"content-length:") {
            content_length = Some(number(line[15..].trim_ascii())?);
        } else if line.eq_ignore_ascii_case(b"connection: close") {
            closes = true;
        }
        start = end + 1;
    }
    Ok(None)
}

fn frame_resp(bytes: &[u8]) -> Result<Option<Answer>, Malformed> {
    let Some(end) = memchr::memchr(b'\n', bytes) else { return Ok(None) };
    let line = bytes[..end].strip_suffix(b"\r").ok_or(Malformed)?;
    let answer = match line {
        [b'+', ..] => Answer { success: true, closes: false, body: 0..end + 1, length: end + 1 },
        [b'-', ..] => Answer { success: false, closes: false, body: 0..end + 1, length: end + 1 },
        b"$-1" => Answer { success: true, closes: false, body: 0..0, length: end + 1 },
        [b'$', digits @ ..] => {
            let body = end + 1..end + 1 + number(digits)?;
            Answer { success: true, closes: false, length: body.end + 2, body }
        }
        _ => return Err(Malformed),
    };
    Ok((answer.length <= bytes.len()).then_some(answer))
}

/// A length; what would not fit into memory is malformed too.
fn number(digits: &[u8]) -> Result<usize, Malformed> {
    if digits.is_empty() || digits.len() > 10 || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Malformed);
    }
    Ok(digits.iter().fold(0, |number, digit| number * 10 + usize::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cut at every byte, an answer is incomplete; whole, and with bytes of the next one behind it, it is found.
    fn check(protocol: Protocol, text: &str, success: bool, body: &str) {
        for cut in 0..text.len() {
            assert_eq!(protocol.frame(&text.as_bytes()[..cut]), Ok(None), "cut at {cut}: {text}");
        }
        for behind in ["", "HTTP/1.1 200 OK\r\n", "$3\r\nabc\r\n"] {
            let bytes = format!("{text}{behind}");
            let answer = protocol.frame(bytes.as_bytes()).unwrap().unwrap();
            assert_eq!((answer.success, answer.length), (success, text.len()), "{bytes}");
            assert_eq!(&bytes[answer.body], body, "{bytes}");
        }
    }

    #[test]
    fn answers_are_framed() {
        check(Protocol::Http, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", true, "{}");
        check(
            Protocol::Http,
            "HTTP/1.1 400 Bad Request\r\nx: y\r\ncontent-length:3\r\nDate: z\r\n\r\nabc",
            false,
            "abc",
        );
        check(Protocol::Http, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", true, "");
        check(Protocol::Resp, "+OK\r\n", true, "+OK\r\n");
        check(Protocol::Resp, "-ERR no\r\n", false, "-ERR no\r\n");
        check(Protocol::Resp, "$-1\r\n", true, "");
        check(Protocol::Resp, "$4\r\na\r\nb\r\n", true, "a\r\nb");
    }

    #[test]
    fn the_last_answer_of_a_connection_is_known() {
        let answer = |header: &str| format!("HTTP/1.1 200 OK\r\n{header}\r\nContent-Length: 0\r\n\r\n");
        for (header, closes) in
            [("Connection: close", true), ("connection: Close", true), ("Connection: keep-alive", false)]
        {
            assert_eq!(Protocol::Http.frame(answer(header).as_bytes()).unwrap().unwrap().closes, closes, "{header}");
        }
    }

    #[test]
    fn what_is_not_an_answer_is_refused() {
        let http = [
            "HTTP/1.0 200 OK\r\n",
            "PING",
            "HTTP/1.1 200 OK\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n",
        ];
        for text in http {
            assert_eq!(Protocol::Http.frame(text.as_bytes()), Err(Malformed), "{text}");
        }
        for text in [":1\r\n", "$x\r\n", "$\r\n", "+OK\n"] {
            assert_eq!(Protocol::Resp.frame(text.as_bytes()), Err(Malformed), "{text}");
        }
    }
}
