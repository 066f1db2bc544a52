//! The form of a request's signature: is there one, in one place, with all its parts?
//!
//! ```text
//! header = "Authorization: AWS4-HMAC-SHA256 Credential=" scope ", SignedHeaders=" names ", Signature=" hex
//! query  = X-Amz-Algorithm, X-Amz-Credential, X-Amz-Date, X-Amz-SignedHeaders, X-Amz-Signature (percent-encoded)
//! scope  = key id "/" yyyymmdd "/" region "/" service "/aws4_request"
//! date   = yyyymmdd "T" hhmmss "Z"
//! ```
//!
//! Nothing is verified here: any key id and any signature pass, as in DynamoDB Local. The texts and their order are
//! those of DynamoDB.

use super::request::Head;
use memchr::{memchr_iter, memchr2_iter};
use std::borrow::Cow;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// An error of the door; every one is answered with status 400.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthError {
    pub kind: AuthErrorKind,
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthErrorKind {
    MissingAuthenticationToken,
    IncompleteSignature,
    InvalidSignature,
}

impl AuthErrorKind {
    pub fn name(self) -> &'static str {
        match self {
            AuthErrorKind::MissingAuthenticationToken => "MissingAuthenticationTokenException",
            AuthErrorKind::IncompleteSignature => "IncompleteSignatureException",
            AuthErrorKind::InvalidSignature => "InvalidSignatureException",
        }
    }
}

impl AuthError {
    fn incomplete(message: String) -> AuthError {
        AuthError { kind: AuthErrorKind::IncompleteSignature, message }
    }

    /// Appends the JSON body of the answer.
    pub fn write_body(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"__type\":\"com.amazon.coral.service#");
        out.extend_from_slice(self.kind.name().as_bytes());
        out.extend_from_slice(b"\",\"message\":\"");
        write_escaped(&self.message, out);
        out.extend_from_slice(b"\"}");
    }
}

/// The parts that both forms have. An empty part counts as missing.
#[derive(Default)]
struct Parts<'a> {
    algorithm: Cow<'a, [u8]>,
    credential: Cow<'a, [u8]>,
    signed_headers: Cow<'a, [u8]>,
    signature: Cow<'a, [u8]>,
    date: Cow<'a, [u8]>,
}

/// Checks the form. Allocates only when it fails or when the signature is in the query.
pub fn check(head: &Head<'_>) -> Result<(), AuthError> {
    let in_query = !head.query.is_empty() && query_parameters(head.query).any(|(name, _)| name == "X-Amz-Algorithm");
    match (head.authorization, in_query) {
        (Some(_), true) => Err(AuthError {
            kind: AuthErrorKind::InvalidSignature,
            message: "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.".into(),
        }),
        (Some(header), false) if header.starts_with(b"AWS4-") => check_parts(&header_parts(head, header)?),
        (None, true) => check_parts(&query_parts(head.query)?),
        _ => Err(AuthError {
            kind: AuthErrorKind::MissingAuthenticationToken,
            message: "Request is missing Authentication Token".into(),
        }),
    }
}

fn header_parts<'a>(head: &Head<'a>, header: &'a [u8]) -> Result<Parts<'a>, AuthError> {
    let mut parts = Parts { date: head.amz_date.or(head.date).unwrap_or_default().into(), ..Parts::default() };
    let mut word_start = 0;
    let ends = memchr2_iter(b',', b' ', header).chain([header.len()]);
    for end in ends {
        let word = &header[word_start..end];
        if word_start == 0 {
            parts.algorithm = word.into();
        } else if let Some(value) = word.strip_prefix(b"Credential=") {
            parts.credential = value.into();
        } else if let Some(value) = word.strip_prefix(b"SignedHeaders=") {
            parts.signed_headers = value.into();
        } else if let Some(value) = word.strip_prefix(b"Signature=") {
            parts.signature = value.into();
        }
        word_start = end + 1;
    }
    let missing = [
        (&parts.credential, "Authorization header requires 'Credential' parameter. "),
        (&parts.signature, "Authorization header requires 'Signature' parameter. "),
        (&parts.signed_headers, "Authorization header requires 'SignedHeaders' parameter. "),
        (&parts.date, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. "),
    ];
    match missing_texts(&missing) {
        None => Ok(parts),
        Some(texts) => Err(AuthError::incomplete(format!("{texts}Authorization={}", as_text(header)))),
    }
}

fn query_parts(query: &str) -> Result<Parts<'_>, AuthError> {
    let mut parts = Parts::default();
    for (name, value) in query_parameters(query) {
        let slot = match name {
            "X-Amz-Algorithm" => &mut parts.algorithm,
            "X-Amz-Credential" => &mut parts.credential,
            "X-Amz-Signature" => &mut parts.signature,
            "X-Amz-SignedHeaders" => &mut parts.signed_headers,
            "X-Amz-Date" => &mut parts.date,
            _ => continue,
        };
        *slot = percent_decoded(value);
    }
    let missing = [
        (&parts.algorithm, "AWS query-string parameters must include 'X-Amz-Algorithm'. "),
        (&parts.credential, "AWS query-string parameters must include 'X-Amz-Credential'. "),
        (&parts.signature, "AWS query-string parameters must include 'X-Amz-Signature'. "),
        (&parts.signed_headers, "AWS query-string parameters must include 'X-Amz-SignedHeaders'. "),
        (&parts.date, "AWS query-string parameters must include 'X-Amz-Date'. "),
    ];
    match missing_texts(&missing) {
        None => Ok(parts),
        Some(texts) => Err(AuthError::incomplete(format!("{texts}Re-examine the query-string parameters."))),
    }
}

fn missing_texts(parts: &[(&Cow<'_, [u8]>, &str)]) -> Option<String> {
    // The usual request lacks nothing and pays for no String.
    let is_missing = |(value, _): &&(&Cow<'_, [u8]>, &str)| value.is_empty();
    parts.iter().any(|part| is_missing(&part)).then(|| parts.iter().filter(is_missing).map(|&(_, text)| text).collect())
}

fn check_parts(parts: &Parts<'_>) -> Result<(), AuthError> {
    if !is_basic_date(&parts.date) {
        return Err(AuthError::incomplete(format!(
            "Date must be in ISO-8601 'basic format'. Got '{}'. See http://en.wikipedia.org/wiki/ISO_8601",
            as_text(&parts.date)
        )));
    }
    let mut signed_names = parts.signed_headers.split(|&byte| byte == b';');
    if !signed_names.any(|name| name.eq_ignore_ascii_case(b"host") || name == b":authority") {
        return Err(AuthError {
            kind: AuthErrorKind::InvalidSignature,
            message: "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.".into(),
        });
    }
    if *parts.algorithm != *ALGORITHM.as_bytes() {
        return Err(AuthError::incomplete(format!(
            "Unsupported AWS 'algorithm': '{}' (only {ALGORITHM} for now). ",
            as_text(&parts.algorithm)
        )));
    }
    if memchr_iter(b'/', &parts.credential).count() != 4 {
        return Err(AuthError::incomplete(format!(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '{}'",
            as_text(&parts.credential)
        )));
    }
    Ok(())
}

/// `20260102T030405Z`
fn is_basic_date(date: &[u8]) -> bool {
    date.len() == 16
        && date[8] == b'T'
        && date[15] == b'Z'
        && date[..8].iter().chain(&date[9..15]).all(u8::is_ascii_digit)
}

fn as_text(value: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(value)
}

fn query_parameters(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")))
}

fn percent_decoded(text: &str) -> Cow<'_, [u8]> {
    let bytes = text.as_bytes();
    if !bytes.contains(&b'%') {
        return bytes.into();
    }
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = match bytes[at..] {
            [b'%', high, low, ..] => hex_digit(high).zip(hex_digit(low)),
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                decoded.push(high << 4 | low);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    decoded.into()
}

fn hex_digit(byte: u8) -> Option<u8> {
    // A hexadecimal digit is below 16.
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

/// Appends `text` as the inside of a JSON string.
fn write_escaped(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for &byte in text.as_bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 => {
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
            _ => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::request;

    const DATE: &str = "X-Amz-Date: 20260102T030405Z\r\n";
    const SCOPE: &str = "AKID/20260102/us-east-1/dynamodb/aws4_request";

    fn checked(target: &str, headers: &str) -> Result<(), AuthError> {
        let text = format!("POST {target} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        let head = request::parse(text.as_bytes()).expect("a good head").expect("a complete head");
        check(&head)
    }

    fn refused(target: &str, headers: &str, kind: AuthErrorKind, message: &str) {
        let error = checked(target, headers).expect_err(headers);
        assert_eq!((error.kind, error.message.as_str()), (kind, message), "{target} {headers:?}");
    }

    fn header(algorithm: &str, credential: &str, signed: &str) -> String {
        format!("{DATE}Authorization: {algorithm} Credential={credential}, SignedHeaders={signed}, Signature=00\r\n")
    }

    #[test]
    fn good_forms_pass_whoever_signed() {
        for separator in [", ", ",", " "] {
            let headers = format!(
                "{DATE}Authorization: AWS4-HMAC-SHA256 Credential={SCOPE}{separator}SignedHeaders=content-type;host\
                 {separator}Signature=zz\r\n"
            );
            assert_eq!(checked("/", &headers), Ok(()), "{separator:?}");
        }
        let old = "Date: 20260102T030405Z\r\nAuthorization: AWS4-HMAC-SHA256 Credential=a/b/c/d/e,SignedHeaders=host,\
                   Signature=x\r\n";
        assert_eq!(checked("/", old), Ok(()));
        let query = "/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a%2Fb%2Fc%2Fd%2Fe&X-Amz-Date=20260102T030405Z\
                     &X-Amz-SignedHeaders=content-type%3Bhost&X-Amz-Signature=x&X-Amz-Expires=60";
        assert_eq!(checked(query, ""), Ok(()));
    }

    #[test]
    fn no_token() {
        let text = "Request is missing Authentication Token";
        refused("/", "", AuthErrorKind::MissingAuthenticationToken, text);
        refused("/?a=b&X-Amz-Date=x", "", AuthErrorKind::MissingAuthenticationToken, text);
        refused("/", "Authorization: Basic abc\r\n", AuthErrorKind::MissingAuthenticationToken, text);
    }

    #[test]
    fn incomplete_forms() {
        let kind = AuthErrorKind::IncompleteSignature;
        refused(
            "/",
            "Authorization: AWS4-\r\n",
            kind,
            "Authorization header requires 'Credential' parameter. \
             Authorization header requires 'Signature' parameter. \
             Authorization header requires 'SignedHeaders' parameter. \
             Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. Authorization=AWS4-",
        );
        refused(
            "/",
            &format!("{DATE}Authorization: AWS4-HMAC-SHA256 Credential=a, Signature=b\r\n"),
            kind,
            "Authorization header requires 'SignedHeaders' parameter. Authorization=AWS4-HMAC-SHA256 Credential=a, \
             Signature=b",
        );
        refused(
            "/?X-Amz-Algorithm",
            "",
            kind,
            "AWS query-string parameters must include 'X-Amz-Algorithm'. \
             AWS query-string parameters must include 'X-Amz-Credential'. \
             AWS query-string parameters must include 'X-Amz-Signature'. \
             AWS query-string parameters must include 'X-Amz-SignedHeaders'. \
             AWS query-string parameters must include 'X-Amz-Date'. Re-examine the query-string parameters.",
        );
        refused(
            "/",
            &header("AWS4-HMAC-SHA256", "a/b/c/d", "host"),
            kind,
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, \
             got 'a/b/c/d'",
        );
        refused(
            "/",
            &header("AWS4-HMAC-SHA512", SCOPE, "host"),
            kind,
            "Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA512' (only AWS4-HMAC-SHA256 for now). ",
        );
        refused(
            "/",
            &header("AWS4-HMAC-SHA256", SCOPE, "host").replace("20260102T030405Z", "201"),
            kind,
            "Date must be in ISO-8601 'basic format'. Got '201'. See http://en.wikipedia.org/wiki/ISO_8601",
        );
    }

    #[test]
    fn invalid_forms() {
        let kind = AuthErrorKind::InvalidSignature;
        refused(
            "/?X-Amz-Algorithm=x",
            "Authorization: AWS4-HMAC-SHA256\r\n",
            kind,
            "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.",
        );
        refused(
            "/",
            &header("AWS4-HMAC-SHA256", SCOPE, "content-type;x-amz-date"),
            kind,
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
        );
    }

    #[test]
    fn bodies() {
        let error = checked("/", "").expect_err("no token");
        let mut out = Vec::new();
        error.write_body(&mut out);
        assert_eq!(crc32fast::hash(&out), 2_088_342_776, "{}", String::from_utf8_lossy(&out));

        out.clear();
        AuthError::incomplete("a\"b\\c\td\u{e9}".into()).write_body(&mut out);
        let expected = "{\"__type\":\"com.amazon.coral.service#IncompleteSignatureException\",\
                        \"message\":\"a\\\"b\\\\c\\u0009d\u{e9}\"}";
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }
}
