//! The head of a response.
//!
//! ```text
//! HTTP/1.1 200 OK
//! server: Server
//! date: Sat, 21 Nov 2026 03:00:00 GMT
//! content-type: application/x-amz-json-1.0        the request's type; none on 404, 413, health and preflight answers
//! content-length: 2
//! connection: keep-alive | close
//! x-amzn-RequestId: <26 characters>VV4KQNSO5AEMVJF66Q9ASUAAJG
//! x-amz-crc32: 2745614147                         CRC-32 of the body bytes as sent
//! content-encoding: gzip                          with `vary`, only when the body is compressed
//! access-control-allow-origin: *                  with the exposed names, only when the request had an Origin
//! ```

use super::date::HttpDate;
use super::encoding::Coding;

/// The interim answer to `Expect: 100-continue`.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Room that a head takes at most, without a preflight's echoed names.
pub const HEAD_BYTES_TYPICAL: usize = 512;

/// Constant second half of the request ids that real DynamoDB sends.
const REQUEST_ID_TAIL: &[u8; 26] = b"VV4KQNSO5AEMVJF66Q9ASUAAJG";

/// The digits of the random half: base32hex.
const REQUEST_ID_DIGITS: &[u8; 32] = b"0123456789ABCDEFGHIJKLMNOPQRSTUV";

/// The two content types that DynamoDB speaks. The answer has the type of the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ContentType {
    #[default]
    AmzJson,
    Json,
}

impl ContentType {
    /// `None` for any other type. Parameters after `;` do not matter.
    pub fn parse(value: &[u8]) -> Option<ContentType> {
        let end = value.iter().position(|&byte| byte == b';').unwrap_or(value.len());
        let essence = value[..end].trim_ascii();
        if essence.eq_ignore_ascii_case(b"application/x-amz-json-1.0") {
            Some(ContentType::AmzJson)
        } else if essence.eq_ignore_ascii_case(b"application/json") {
            Some(ContentType::Json)
        } else {
            None
        }
    }

    fn name(self) -> &'static [u8] {
        match self {
            ContentType::AmzJson => b"application/x-amz-json-1.0",
            ContentType::Json => b"application/json",
        }
    }
}

/// The 52 characters of `x-amzn-RequestId`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RequestId([u8; 52]);

impl RequestId {
    /// The first 130 bits of the three words become 26 digits.
    pub fn from_random(words: [u64; 3]) -> RequestId {
        let mut text = [0; 52];
        for (group, mut word) in text.chunks_mut(12).take(3).zip(words) {
            for digit in group {
                *digit = REQUEST_ID_DIGITS[(word & 31) as usize];
                word >>= 5;
            }
        }
        text[26..].copy_from_slice(REQUEST_ID_TAIL);
        RequestId(text)
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// All that differs between the heads of two responses.
#[derive(Clone, Copy)]
pub struct ResponseHead<'a> {
    pub status: u16,
    pub content_type: Option<ContentType>,
    /// Bytes of body as sent. A HEAD answer says the length and sends no body.
    pub content_length: usize,
    pub crc32: u32,
    pub coding: Option<Coding>,
    pub keep_alive: bool,
    /// The request had an `Origin`: let a browser read the answer.
    pub cors: bool,
    pub request_id: RequestId,
    pub date: &'a HttpDate,
    /// Ready-made header lines, each with its CRLF, for the answers that need more.
    pub extra_lines: &'a [u8],
}

impl ResponseHead<'_> {
    /// Appends the head with its empty line. Allocates only if `out` has less than [`HEAD_BYTES_TYPICAL`] to spare.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(status_line(self.status));
        out.extend_from_slice(b"server: Server\r\ndate: ");
        out.extend_from_slice(self.date.as_bytes());
        if let Some(content_type) = self.content_type {
            out.extend_from_slice(b"\r\ncontent-type: ");
            out.extend_from_slice(content_type.name());
        }
        let mut number = itoa::Buffer::new();
        out.extend_from_slice(b"\r\ncontent-length: ");
        out.extend_from_slice(number.format(self.content_length).as_bytes());
        out.extend_from_slice(match self.keep_alive {
            true => b"\r\nconnection: keep-alive\r\nx-amzn-RequestId: ",
            false => b"\r\nconnection: close\r\nx-amzn-RequestId: ",
        });
        out.extend_from_slice(&self.request_id.0);
        out.extend_from_slice(b"\r\nx-amz-crc32: ");
        out.extend_from_slice(number.format(self.crc32).as_bytes());
        if let Some(coding) = self.coding {
            out.extend_from_slice(b"\r\nvary: accept-encoding\r\ncontent-encoding: ");
            out.extend_from_slice(coding.name().as_bytes());
        }
        if self.cors {
            out.extend_from_slice(
                b"\r\naccess-control-allow-origin: *\r\naccess-control-expose-headers: x-amzn-RequestId,\
                  x-amzn-ErrorType,x-amz-request-id,x-amz-id-2,x-amzn-ErrorMessage,Date",
            );
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(self.extra_lines);
        out.extend_from_slice(b"\r\n");
    }
}

/// The header lines of a preflight answer, which echo what the browser asked for.
pub fn preflight_lines(request_headers: Option<&[u8]>, request_method: Option<&[u8]>) -> Vec<u8> {
    let mut lines = Vec::new();
    for (name, value) in [
        ("access-control-allow-headers: ", request_headers),
        ("access-control-allow-methods: ", request_method),
        ("access-control-max-age: ", Some(&b"172800"[..])),
    ] {
        let Some(value) = value else { continue };
        lines.extend_from_slice(name.as_bytes());
        lines.extend_from_slice(value);
        lines.extend_from_slice(b"\r\n");
    }
    lines
}

/// The answer to a body above the limit: no body of its own, and chunked, as DynamoDB sends it.
pub fn write_too_large(date: &HttpDate, request_id: RequestId, out: &mut Vec<u8>) {
    out.extend_from_slice(status_line(413));
    out.extend_from_slice(b"server: Server\r\ndate: ");
    out.extend_from_slice(date.as_bytes());
    out.extend_from_slice(b"\r\nconnection: close\r\nx-amzn-RequestId: ");
    out.extend_from_slice(&request_id.0);
    out.extend_from_slice(b"\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n");
}

fn status_line(status: u16) -> &'static [u8] {
    match status {
        200 => b"HTTP/1.1 200 OK\r\n",
        400 => b"HTTP/1.1 400 Bad Request\r\n",
        404 => b"HTTP/1.1 404 Not Found\r\n",
        409 => b"HTTP/1.1 409 Conflict\r\n",
        413 => b"HTTP/1.1 413 Payload Too Large\r\n",
        503 => b"HTTP/1.1 503 Service Unavailable\r\n",
        _ => b"HTTP/1.1 500 Internal Server Error\r\n",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> RequestId {
        RequestId::from_random([u64::MAX, 0, 0x3ff])
    }

    fn written(head: ResponseHead<'_>) -> String {
        let mut out = Vec::with_capacity(HEAD_BYTES_TYPICAL);
        head.write(&mut out);
        String::from_utf8(out).expect("a head is ASCII")
    }

    #[test]
    fn a_plain_answer() {
        let date = HttpDate::from_unix_seconds(0);
        let head = ResponseHead {
            status: 200,
            content_type: Some(ContentType::AmzJson),
            content_length: 2,
            crc32: crc32fast::hash(b"{}"),
            coding: None,
            keep_alive: true,
            cors: false,
            request_id: id(),
            date: &date,
            extra_lines: b"",
        };
        let expected = "HTTP/1.1 200 OK\r\nserver: Server\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
            content-type: application/x-amz-json-1.0\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\
            x-amzn-RequestId: VVVVVVVVVVVV000000000000VVVV4KQNSO5AEMVJF66Q9ASUAAJG\r\nx-amz-crc32: 2745614147\r\n\r\n";
        assert_eq!(written(head), expected);

        let full = written(ResponseHead {
            status: 400,
            content_type: Some(ContentType::Json),
            coding: Some(Coding::Gzip),
            keep_alive: false,
            cors: true,
            content_length: usize::MAX,
            crc32: u32::MAX,
            ..head
        });
        assert!(full.len() <= HEAD_BYTES_TYPICAL, "{} bytes", full.len());
        for line in [
            "HTTP/1.1 400 Bad Request\r\n",
            "\r\ncontent-type: application/json\r\n",
            "\r\nconnection: close\r\n",
            "\r\ncontent-encoding: gzip\r\n",
            "\r\naccess-control-allow-origin: *\r\n",
            "x-amz-request-id,x-amz-id-2,x-amzn-ErrorMessage,Date\r\n\r\n",
        ] {
            assert!(full.contains(line), "{line:?} in {full:?}");
        }
    }

    #[test]
    fn request_ids_have_the_shape_of_dynamodbs() {
        let id = RequestId::from_random([0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210, 0x1357_9bdf_0246_8ace]);
        assert_eq!(id.as_str().len(), 52);
        assert!(id.as_str().bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase()));
        assert!(id.as_str().ends_with("VV4KQNSO5AEMVJF66Q9ASUAAJG"));
    }

    #[test]
    fn content_types() {
        let check =
            |value: &str, content_type| assert_eq!(ContentType::parse(value.as_bytes()), content_type, "{value:?}");
        check("application/x-amz-json-1.0", Some(ContentType::AmzJson));
        check(" application/json ; charset=utf-8", Some(ContentType::Json));
        check("Application/JSON", Some(ContentType::Json));
        check("application/x-amz-json-1.1", None);
        check("text/plain", None);
        check("", None);
    }

    #[test]
    fn preflight_echoes_what_was_asked() {
        let lines = preflight_lines(Some(b"x-amz-target, a"), None);
        assert_eq!(lines, b"access-control-allow-headers: x-amz-target, a\r\naccess-control-max-age: 172800\r\n");
    }

    #[test]
    fn too_large_has_no_body() {
        let mut out = Vec::new();
        write_too_large(&HttpDate::from_unix_seconds(0), id(), &mut out);
        let text = String::from_utf8(out).expect("ASCII");
        assert!(text.starts_with("HTTP/1.1 413 ") && text.ends_with("\r\n\r\n0\r\n\r\n"), "{text:?}");
    }
}
