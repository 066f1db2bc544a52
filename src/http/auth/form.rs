//! The form of a request's signature: is there one, in one place, with all its parts?
//!
//! ```text
//! header = "Authorization: AWS4-HMAC-SHA256 Credential=" scope ", SignedHeaders=" names ", Signature=" hex
//! query  = X-Amz-Algorithm, X-Amz-Credential, X-Amz-Date, X-Amz-SignedHeaders, X-Amz-Signature,
//!          [ X-Amz-Expires ], [ X-Amz-Security-Token ]      (percent-encoded)
//! scope  = key id "/" yyyymmdd "/" region "/" service "/aws4_request"
//! date   = yyyymmdd "T" hhmmss "Z"
//! ```

use super::{ALGORITHM, AuthError, AuthErrorKind};
use crate::http::date;
use crate::http::request::Head;
use memchr::{memchr_iter, memchr2_iter};
use std::borrow::Cow;

/// What a request says of its signature. An empty part counts as missing.
#[derive(Default)]
pub struct Claim<'a> {
    algorithm: Cow<'a, [u8]>,
    /// Of a read claim it has five parts.
    pub(super) credential: Cow<'a, [u8]>,
    pub signed_headers: Cow<'a, [u8]>,
    /// Hexadecimal digits, if it is a signature at all.
    pub signature: Cow<'a, [u8]>,
    /// Of a read claim it is a date in basic format, 16 bytes.
    pub date: Cow<'a, [u8]>,
    /// The same in seconds since 1970-01-01.
    pub signed_at: i64,
    /// Seconds for which a signature in the query is good, as they are written there.
    pub expires: Option<Cow<'a, [u8]>>,
    pub session_token: Option<Cow<'a, [u8]>>,
}

/// Reads the claim of a request, if its form is right. Allocates only when it fails or when the signature is in the
/// query.
pub fn read<'a>(head: &Head<'a>) -> Result<Claim<'a>, AuthError> {
    let in_query = !head.query.is_empty() && query_parameters(head.query).any(|(name, _)| *name == *b"X-Amz-Algorithm");
    match (head.authorization, in_query) {
        (Some(_), true) => Err(AuthError::invalid(
            "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.".into(),
        )),
        (Some(header), false) if header.starts_with(b"AWS4-") => checked(header_claim(head, header)?),
        (None, true) => checked(query_claim(head)?),
        _ => Err(AuthError {
            kind: AuthErrorKind::MissingAuthenticationToken,
            message: "Request is missing Authentication Token".into(),
        }),
    }
}

fn header_claim<'a>(head: &Head<'a>, header: &'a [u8]) -> Result<Claim<'a>, AuthError> {
    let mut claim = Claim {
        date: head.amz_date.or(head.date).unwrap_or_default().into(),
        session_token: head.security_token.map(Cow::from),
        ..Claim::default()
    };
    let mut word_start = 0;
    let ends = memchr2_iter(b',', b' ', header).chain([header.len()]);
    for end in ends {
        let word = &header[word_start..end];
        if word_start == 0 {
            claim.algorithm = word.into();
        } else if let Some(value) = word.strip_prefix(b"Credential=") {
            claim.credential = value.into();
        } else if let Some(value) = word.strip_prefix(b"SignedHeaders=") {
            claim.signed_headers = value.into();
        } else if let Some(value) = word.strip_prefix(b"Signature=") {
            claim.signature = value.into();
        }
        word_start = end + 1;
    }
    let missing = [
        (&claim.credential, "Authorization header requires 'Credential' parameter. "),
        (&claim.signature, "Authorization header requires 'Signature' parameter. "),
        (&claim.signed_headers, "Authorization header requires 'SignedHeaders' parameter. "),
        (&claim.date, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. "),
    ];
    match missing_texts(&missing) {
        None => Ok(claim),
        Some(texts) => Err(AuthError::incomplete(format!("{texts}Authorization={}", as_text(header)))),
    }
}

fn query_claim<'a>(head: &Head<'a>) -> Result<Claim<'a>, AuthError> {
    let mut claim = Claim { session_token: head.security_token.map(Cow::from), ..Claim::default() };
    for (name, value) in query_parameters(head.query) {
        let slot = match &*name {
            b"X-Amz-Algorithm" => &mut claim.algorithm,
            b"X-Amz-Credential" => &mut claim.credential,
            b"X-Amz-Signature" => &mut claim.signature,
            b"X-Amz-SignedHeaders" => &mut claim.signed_headers,
            b"X-Amz-Date" => &mut claim.date,
            b"X-Amz-Expires" => claim.expires.insert(Cow::default()),
            b"X-Amz-Security-Token" => claim.session_token.insert(Cow::default()),
            _ => continue,
        };
        *slot = value;
    }
    let missing = [
        (&claim.algorithm, "AWS query-string parameters must include 'X-Amz-Algorithm'. "),
        (&claim.credential, "AWS query-string parameters must include 'X-Amz-Credential'. "),
        (&claim.signature, "AWS query-string parameters must include 'X-Amz-Signature'. "),
        (&claim.signed_headers, "AWS query-string parameters must include 'X-Amz-SignedHeaders'. "),
        (&claim.date, "AWS query-string parameters must include 'X-Amz-Date'. "),
    ];
    match missing_texts(&missing) {
        None => Ok(claim),
        Some(texts) => Err(AuthError::incomplete(format!("{texts}Re-examine the query-string parameters."))),
    }
}

fn missing_texts(parts: &[(&Cow<'_, [u8]>, &str)]) -> Option<String> {
    // The usual request lacks nothing and pays for no String.
    let is_missing = |(value, _): &&(&Cow<'_, [u8]>, &str)| value.is_empty();
    parts.iter().any(|part| is_missing(&part)).then(|| parts.iter().filter(is_missing).map(|&(_, text)| text).collect())
}

fn checked(mut claim: Claim<'_>) -> Result<Claim<'_>, AuthError> {
    claim.signed_at = date::from_basic(&claim.date).ok_or_else(|| {
        AuthError::incomplete(format!(
            "Date must be in ISO-8601 'basic format'. Got '{}'. See http://en.wikipedia.org/wiki/ISO_8601",
            as_text(&claim.date)
        ))
    })?;
    let mut signed_names = claim.signed_headers.split(|&byte| byte == b';');
    if !signed_names.any(|name| name.eq_ignore_ascii_case(b"host") || name == b":authority") {
        return Err(AuthError::unsigned("'Host' or ':authority'"));
    }
    if *claim.algorithm != *ALGORITHM.as_bytes() {
        return Err(AuthError::incomplete(format!(
            "Unsupported AWS 'algorithm': '{}' (only {ALGORITHM} for now). ",
            as_text(&claim.algorithm)
        )));
    }
    if memchr_iter(b'/', &claim.credential).count() != 4 {
        return Err(AuthError::incomplete(format!(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '{}'",
            as_text(&claim.credential)
        )));
    }
    Ok(claim)
}

fn as_text(value: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(value)
}

/// The decoded names and values of a query. A name that is written with escapes is that name all the same: the
/// canonical form of a request does not know the difference.
pub(super) fn query_parameters(query: &str) -> impl Iterator<Item = (Cow<'_, [u8]>, Cow<'_, [u8]>)> {
    query.split('&').map(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        (percent_decoded(name), percent_decoded(value))
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::request;

    const DATE: &str = "X-Amz-Date: 20260102T030405Z\r\n";
    const SCOPE: &str = "AKID/20260102/us-east-1/dynamodb/aws4_request";

    fn checked(target: &str, headers: &str) -> Result<(), AuthError> {
        let text = format!("POST {target} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        let head = request::parse(text.as_bytes()).expect("a good head").expect("a complete head");
        read(&head).map(drop)
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
    fn query_names_may_be_escaped() {
        let text = "POST /?X%2dAmz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a/b/c/d/e&X-Amz-Date=20260102T030405Z&\
                    X-Amz-SignedHeaders=host&X-Amz-Signature=x&X-Amz%2DExpires=6%30&X%2DAmz-Security-Token=t%2B \
                    HTTP/1.1\r\n\
                    Host: localhost\r\n\r\n";
        let head = request::parse(text.as_bytes()).expect("a good head").expect("a complete head");
        let claim = read(&head).expect("a good form");
        assert_eq!(claim.expires.as_deref(), Some(&b"60"[..]));
        assert_eq!(claim.session_token.as_deref(), Some(&b"t+"[..]));
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
}
