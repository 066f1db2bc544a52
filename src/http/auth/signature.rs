//! Signature Version 4.
//!
//! ```text
//! canonical = "POST" LF "/" LF query LF *( name ":" values LF ) LF names LF hex(SHA256(body))
//! query     = parameters without the signature, decoded, encoded again and sorted, joined by "&"
//! names     = names of the signed headers, in lower case, sorted, joined by ";"; the headers come in this order
//! values    = trimmed values of all headers of that name, in the order of the request, joined by ","; runs of spaces
//!             inside count as one space
//! to sign   = "AWS4-HMAC-SHA256" LF date LF day "/" region "/dynamodb/aws4_request" LF hex(SHA256(canonical))
//! key       = HMAC(HMAC(HMAC(HMAC("AWS4" secret, day), region), "dynamodb"), "aws4_request")
//! signature = hex(HMAC(key, to sign))
//! ```
//!
//! Invariants:
//! 1. A request has one canonical form. Names of signed headers that are not in lower case, sorted and different from
//!    each other give a form that no client signs.
//! 2. The body is always part of it: `x-amz-content-sha256` is a header like others, and `UNSIGNED-PAYLOAD` does not
//!    exclude the body. Without TLS an unsigned body could be exchanged on its way.
//! 3. Whatever decides what a request does is signed: `host` and every header that begins with `x-amz-`, the target
//!    among them. Only `POST /` reaches an operation, so method and path are constants here.

use super::form::query_parameters;
use super::scope::{SERVICE, TERMINATOR};
use super::{ALGORITHM, AuthError, Claim};
use crate::http::request::{HEADER_COUNT_MAX, Head};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// A signature, or a hash.
pub const HASH_BYTES: usize = 32;

const _: () = assert!(HEADER_COUNT_MAX <= u128::BITS as usize, "one bit for each header");

/// Appends the canonical form up to the hash of the body, which comes last.
pub fn write_canonical_head(head: &Head<'_>, claim: &Claim<'_>, out: &mut Vec<u8>) -> Result<(), AuthError> {
    out.extend_from_slice(b"POST\n/\n");
    if !head.query.is_empty() {
        // A claim is in the query exactly if there is no header with it.
        write_query(head.query, head.authorization.is_none(), out);
    }
    out.push(b'\n');
    write_headers(head, &claim.signed_headers, out)?;
    out.push(b'\n');
    out.extend_from_slice(&claim.signed_headers);
    out.push(b'\n');
    Ok(())
}

fn write_query(query: &str, has_signature: bool, out: &mut Vec<u8>) {
    let mut parameters: Vec<(Vec<u8>, Vec<u8>)> = query_parameters(query)
        .filter(|(name, _)| !(has_signature && **name == *b"X-Amz-Signature"))
        .map(|(name, value)| (percent_encoded(&name), percent_encoded(&value)))
        .collect();
    parameters.sort();
    for (index, (name, value)) in parameters.iter().enumerate() {
        if index > 0 {
            out.push(b'&');
        }
        out.extend_from_slice(name);
        out.push(b'=');
        out.extend_from_slice(value);
    }
}

fn percent_encoded(bytes: &[u8]) -> Vec<u8> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = Vec::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(byte),
            _ => encoded.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]),
        }
    }
    encoded
}

/// Each name's line. A name that no header has gets an empty value, as the client's own code would give it.
fn write_headers(head: &Head<'_>, names: &[u8], out: &mut Vec<u8>) -> Result<(), AuthError> {
    let mut headers: [(&[u8], &[u8]); HEADER_COUNT_MAX] = [(b"", b""); HEADER_COUNT_MAX];
    let mut count = 0;
    for (slot, header) in headers.iter_mut().zip(head.headers()) {
        *slot = header;
        count += 1;
    }
    let headers = &headers[..count];
    let mut signed = 0u128;
    let mut previous: &[u8] = b"";
    let mut is_canonical = true;
    for name in names.split(|&byte| byte == b';') {
        is_canonical &= previous < name && !name.iter().any(u8::is_ascii_uppercase);
        previous = name;
        out.extend_from_slice(name);
        out.push(b':');
        let mut separator: &[u8] = b"";
        for (index, (_, value)) in headers.iter().enumerate().filter(|(_, header)| header.0.eq_ignore_ascii_case(name))
        {
            out.extend_from_slice(separator);
            write_value(value, out);
            separator = b",";
            signed |= 1 << index;
        }
        out.push(b'\n');
    }
    if !is_canonical {
        // A line that no client writes: whatever was signed, it is not this.
        out.extend_from_slice(b"SignedHeaders must be lower case, sorted and without duplicates\n");
    }
    let is_protected = |name: &[u8]| {
        name.eq_ignore_ascii_case(b"host") || name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case(b"x-amz-"))
    };
    let unsigned =
        headers.iter().enumerate().find(|(index, (name, _))| signed & (1 << index) == 0 && is_protected(name));
    match unsigned {
        None => Ok(()),
        Some((_, (name, _))) => Err(AuthError::unsigned(&format!("'{}'", String::from_utf8_lossy(name)))),
    }
}

fn write_value(value: &[u8], out: &mut Vec<u8>) {
    if !memchr::memchr_iter(b' ', value).any(|at| value.get(at + 1) == Some(&b' ')) {
        return out.extend_from_slice(value);
    }
    let mut previous = 0;
    for &byte in value {
        if byte != b' ' || previous != b' ' {
            out.push(byte);
        }
        previous = byte;
    }
}

/// The SHA-256 of a body as it was sent.
pub fn hash(bytes: &[u8]) -> [u8; HASH_BYTES] {
    Sha256::digest(bytes).into()
}

/// Appends lower-case hexadecimal digits.
pub fn write_hex(bytes: &[u8; HASH_BYTES], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 2 * HASH_BYTES];
    for (digits, byte) in text.chunks_exact_mut(2).zip(bytes) {
        digits[0] = HEX[usize::from(byte >> 4)];
        digits[1] = HEX[usize::from(byte & 15)];
    }
    out.extend_from_slice(&text);
}

/// A signature from its 64 digits in lower case. `None`: it is something else.
pub fn read_hex(text: &[u8]) -> Option<[u8; HASH_BYTES]> {
    if text.len() != 2 * HASH_BYTES {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; HASH_BYTES];
    for (byte, digits) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(digits[0])? << 4 | digit(digits[1])?;
    }
    Some(bytes)
}

/// Appends what is signed to a canonical form, which is all that `out` holds.
pub fn write_string_to_sign(date: &[u8; 16], region: &str, out: &mut Vec<u8>) {
    let canonical_hash = hash(out);
    let parts: [&[u8]; 11] = [
        ALGORITHM.as_bytes(),
        b"\n",
        date,
        b"\n",
        &date[..8],
        b"/",
        region.as_bytes(),
        b"/",
        SERVICE.as_bytes(),
        b"/",
        TERMINATOR.as_bytes(),
    ];
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out.push(b'\n');
    write_hex(&canonical_hash, out);
}

/// The key of one secret, day and region, ready to sign.
#[derive(Clone)]
pub struct SigningKey(Hmac<Sha256>);

impl SigningKey {
    pub fn derive(secret: &str, day: &[u8], region: &str) -> SigningKey {
        let mut key = keyed(&[b"AWS4", secret.as_bytes()].concat());
        for part in [day, region.as_bytes(), SERVICE.as_bytes(), TERMINATOR.as_bytes()] {
            key.update(part);
            key = keyed(&key.finalize().into_bytes());
        }
        SigningKey(key)
    }

    pub fn sign(&self, to_sign: &[u8]) -> [u8; HASH_BYTES] {
        self.0.clone().chain_update(to_sign).finalize().into_bytes().into()
    }

    /// Whether the signature is that of the string, in a time that does not depend on how much of it is right.
    pub fn accepts(&self, to_sign: &[u8], signature: &[u8; HASH_BYTES]) -> bool {
        self.0.clone().chain_update(to_sign).verify_slice(signature).is_ok()
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of every length")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::auth::{AuthErrorKind, form};
    use crate::http::request;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

    fn canonical(target: &str, headers: &str, names: &str) -> Result<String, AuthError> {
        let text = format!(
            "POST {target} HTTP/1.1\r\n{headers}Authorization: AWS4-HMAC-SHA256 Credential=a/b/c/d/e, \
             SignedHeaders={names}, Signature=0\r\n\r\n"
        );
        let head = request::parse(text.as_bytes()).expect("a good head").expect("a complete head");
        let claim = form::read(&head).expect("a good form");
        let mut out = Vec::new();
        write_canonical_head(&head, &claim, &mut out)?;
        Ok(String::from_utf8_lossy(&out).into_owned())
    }

    /// Computed by botocore and again by hand.
    #[test]
    fn the_known_request_has_the_known_signature() {
        let headers = "content-type: application/x-amz-json-1.0\r\nhost: localhost:8000\r\n\
                       x-amz-date: 20260102T030405Z\r\nx-amz-target: DynamoDB_20120810.DescribeTable\r\n";
        let mut form =
            canonical("/", headers, "content-type;host;x-amz-date;x-amz-target").expect("signed").into_bytes();
        let mut hex = Vec::new();
        write_hex(&hash(br#"{"TableName":"t1"}"#), &mut hex);
        assert_eq!(hex, b"d2331645de984f5310dd0a464eebefb606535300b88a8be1eac6462fe8d76e6f");
        form.extend_from_slice(&hex);
        let canonical_bytes = form.len();
        write_string_to_sign(b"20260102T030405Z", "us-east-1", &mut form);
        let to_sign = &form[canonical_bytes..];
        assert_eq!(
            String::from_utf8_lossy(to_sign),
            "AWS4-HMAC-SHA256\n20260102T030405Z\n20260102/us-east-1/dynamodb/aws4_request\n\
             c8cdf8ceb528ba4d7365b522b89e7a3a286bbc8196e352ab80560b35fbda26d6"
        );
        let signature = read_hex(b"759dd32b61dc2562d9ef735a6245a0c591caf83b9079b630d11a91125c82cd63").expect("hex");
        let key = SigningKey::derive(SECRET, b"20260102", "us-east-1");
        assert!(key.accepts(to_sign, &signature));
        for bit in 0..8 * HASH_BYTES {
            let mut wrong = signature;
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(!key.accepts(to_sign, &wrong), "bit {bit}");
        }
        for (secret, day, region) in
            [("", "20260102", "us-east-1"), (SECRET, "20260103", "us-east-1"), (SECRET, "20260102", "us-east-2")]
        {
            assert!(!SigningKey::derive(secret, day.as_bytes(), region).accepts(to_sign, &signature));
        }
    }

    #[test]
    fn headers_are_canonical() {
        let check = |headers: &str, names: &str, lines: &str| {
            let headers = format!("Host: x\r\nX-Amz-Date: 20260102T030405Z\r\n{headers}");
            let expected = format!("POST\n/\n\n{lines}x-amz-date:20260102T030405Z\n\n{names}\n");
            assert_eq!(canonical("/", &headers, names), Ok(expected), "{headers:?}");
        };
        check("", "host;x-amz-date", "host:x\n");
        check("a:   1  2 \t\r\n", "a;host;x-amz-date", "a:1 2\nhost:x\n");
        check("A: 1\r\nb: 2\r\na:3\r\na:\r\n", "a;b;host;x-amz-date", "a:1,3,\nb:2\nhost:x\n");
        check("a: x:y   z\r\n", "a;host;x-amz-date", "a:x:y z\nhost:x\n");
        check("a: 1\r\n", "absent;host;x-amz-date", "absent:\nhost:x\n");
    }

    #[test]
    fn queries_are_canonical() {
        let check = |query: &str, expected: &str| {
            let target = format!("/?{query}");
            let seen = canonical(&target, "Host: x\r\nX-Amz-Date: 20260102T030405Z\r\n", "host;x-amz-date");
            let seen = seen.expect("signed");
            assert_eq!(seen.lines().nth(2), Some(expected), "{query}");
        };
        check("b=2&a=1", "a=1&b=2");
        check("a=b&a=a&a", "a=&a=a&a=b");
        check("a=%2f%7E+%zz", "a=%2F~%2B%25zz");
        check("X-Amz-Signature=x", "X-Amz-Signature=x");
        let mut out = Vec::new();
        write_query("b=2&X-Amz-Signature=x&X%2DAmz-Signature=y&a=1", true, &mut out);
        assert_eq!(out, b"a=1&b=2", "a signature does not sign itself");
    }

    #[test]
    fn what_decides_must_be_signed() {
        let check = |headers: &str, names: &str, unsigned: &str| {
            let error = canonical("/", headers, names).expect_err(headers);
            let message = format!("'{unsigned}' must be a 'SignedHeader' in the AWS Authorization.");
            assert_eq!((error.kind, error.message), (AuthErrorKind::InvalidSignature, message));
        };
        let date = "X-Amz-Date: 20260102T030405Z\r\n";
        check(&format!("Host: x\r\n{date}"), "host", "X-Amz-Date");
        check(&format!("Host: x\r\n{date}"), ":authority;x-amz-date", "Host");
        check(&format!("Host: x\r\n{date}x-AMZ-target: y\r\n"), "host;x-amz-date", "x-AMZ-target");
        check(&format!("Host: x\r\n{date}X-Amz-: y\r\n"), "host;x-amz-date", "X-Amz-");
        let proxied = format!("Host: x\r\n{date}X-Amzn-Trace-Id: y\r\nUser-Agent: z\r\nVia: w\r\n");
        assert!(canonical("/", &proxied, "host;x-amz-date").is_ok());
    }

    #[test]
    fn other_forms_of_the_names_are_not_canonical() {
        let headers = "Host: x\r\nX-Amz-Date: 20260102T030405Z\r\nA: 1\r\n";
        assert!(canonical("/", headers, "a;host;x-amz-date").is_ok_and(|form| !form.contains("must be")));
        for names in ["host;a;x-amz-date", "A;host;x-amz-date", "a;a;host;x-amz-date", ";a;host;x-amz-date"] {
            let form = canonical("/", headers, names).expect("all are signed");
            assert!(form.contains("\nSignedHeaders must be lower case"), "{names}: {form}");
        }
    }

    #[test]
    fn hexadecimal_digits() {
        let mut text = Vec::new();
        let bytes: [u8; HASH_BYTES] = std::array::from_fn(|index| index as u8 * 8 + 5);
        write_hex(&bytes, &mut text);
        assert_eq!(read_hex(&text), Some(bytes));
        assert_eq!(read_hex(&text.to_ascii_uppercase()), None);
        for length in [0, 63, 65] {
            assert_eq!(read_hex(&b"0".repeat(length)), None);
        }
    }
}
