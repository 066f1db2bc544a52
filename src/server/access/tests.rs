//! Requests that `aws-sigv4`, the signer of the AWS SDK for Rust, has signed, and what becomes of them when anything is
//! changed.

use super::*;
use crate::http::auth::{AuthErrorKind, form};
use crate::http::date;
use crate::http::request;
use aws_sdk_dynamodb::config::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

const REGION: &str = "us-east-1";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const BODY: &[u8] = br#"{"TableName":"t1","Key":{"id":{"S":"a"}}}"#;
const DATE: &str = "20260102T030405Z";

/// A request before it becomes bytes.
#[derive(Clone)]
struct Request {
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// What the signer is told.
struct Signer {
    id: &'static str,
    secret: &'static str,
    token: Option<&'static str>,
    region: &'static str,
    expires: Option<u64>,
    /// Adds the header `x-amz-content-sha256` with the hash of the body, or with what stands for a body left out.
    content_sha256: Option<BodyHash>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum BodyHash {
    OfTheBody,
    Unsigned,
}

const SIGNER: Signer =
    Signer { id: "AKIDEXAMPLE", secret: SECRET, token: None, region: REGION, expires: None, content_sha256: None };

impl Signer {
    fn sign(&self) -> Request {
        let plain = [
            ("content-type", "application/x-amz-json-1.0"),
            ("host", "localhost:8000"),
            ("x-amz-target", "DynamoDB_20120810.GetItem"),
        ];
        let identity = Credentials::new(self.id, self.secret, self.token.map(str::to_owned), None, "test").into();
        let mut settings = SigningSettings::default();
        if let Some(seconds) = self.expires {
            settings.signature_location = SignatureLocation::QueryParams;
            settings.expires_in = Some(Duration::from_secs(seconds));
        }
        if self.content_sha256.is_some() {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        let body = match self.content_sha256 {
            Some(BodyHash::Unsigned) => SignableBody::UnsignedPayload,
            _ => SignableBody::Bytes(BODY),
        };
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name("dynamodb")
            .time(UNIX_EPOCH + Duration::from_secs(seconds_of(DATE)))
            .settings(settings)
            .build()
            .expect("all is given");
        let request = SignableRequest::new("POST", "http://localhost:8000/", plain.into_iter(), body);
        let (instructions, _) =
            sign(request.expect("a good request"), &params.into()).expect("can be signed").into_parts();
        let mut target = "/".to_owned();
        for (index, (name, value)) in instructions.params().iter().enumerate() {
            let escaped = value.replace('%', "%25").replace('/', "%2F").replace(';', "%3B").replace('+', "%2B");
            target += &format!("{}{name}={escaped}", if index == 0 { "?" } else { "&" });
        }
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Request {
            target,
            headers: plain.into_iter().chain(instructions.headers()).map(owned).collect(),
            body: BODY.to_vec(),
        }
    }
}

fn seconds_of(date: &str) -> u64 {
    date::from_basic(date.as_bytes()).expect("a date").unsigned_abs()
}

fn access_at(date: &str) -> (Access, Arc<AtomicU64>) {
    let plain = AccessKey::new(SIGNER.id, SECRET, None).expect("a good key");
    let with_token = AccessKey::new("ASIAEXAMPLE", "other", Some("a/token+==")).expect("a good key");
    let keys = Arc::new(AccessKeys::new(vec![with_token, plain]).expect("two keys"));
    let now_ms = Arc::new(AtomicU64::new(1000 * seconds_of(date)));
    (Access::new(keys, REGION, Clock::Manual(Arc::clone(&now_ms))), now_ms)
}

impl Request {
    /// What the server says; `None`: it is not even a request.
    fn checked_by(&self, access: &mut Access) -> Option<Result<(), AuthError>> {
        let lines: String = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let text = format!("POST {} HTTP/1.1\r\n{lines}\r\n", self.target);
        let head = request::parse(text.as_bytes()).ok()??;
        let verify =
            |unverified, access: &mut Access| access.verify(unverified, &signature::hash(&self.body)).map(|_| ());
        let examined = form::read(&head).and_then(|claim| access.examine(&head, &claim));
        Some(examined.and_then(|unverified| verify(unverified, access)))
    }

    fn checked(&self) -> Option<Result<(), AuthError>> {
        self.checked_by(&mut access_at(DATE).0)
    }

    fn is_accepted(&self) {
        assert_eq!(self.checked(), Some(Ok(())), "{} {:?}", self.target, self.headers);
    }

    fn is_refused(&self, what: &str) {
        assert_ne!(self.checked(), Some(Ok(())), "{what}: {} {:?}", self.target, self.headers);
    }

    fn is_refused_as(&self, kind: AuthErrorKind, beginning: &str) {
        let error = self.checked().expect("a request").expect_err(beginning);
        assert_eq!(error.kind, kind, "{}", error.message);
        assert!(error.message.starts_with(beginning), "{}", error.message);
    }

    fn header(&mut self, name: &str) -> &mut String {
        &mut self.headers.iter_mut().find(|(found, _)| found == name).expect("the header").1
    }

    fn replaced(&self, name: &str, from: &str, to: &str) -> Request {
        let mut request = self.clone();
        let value = request.header(name);
        assert!(value.contains(from), "{from} in {value}");
        *value = value.replace(from, to);
        request
    }

    fn with(&self, place: usize, name: &str, value: &str) -> Request {
        let mut request = self.clone();
        request.headers.insert(place, (name.to_owned(), value.to_owned()));
        request
    }
}

/// The text with one character exchanged, for each of them.
fn variations(text: &str) -> impl Iterator<Item = String> {
    (0..text.len()).map(move |at| {
        let mut bytes = text.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
        String::from_utf8(bytes).expect("ASCII")
    })
}

#[test]
fn what_the_sdk_signs_is_accepted() {
    SIGNER.sign().is_accepted();
    Signer { token: Some("a/token+=="), id: "ASIAEXAMPLE", secret: "other", ..SIGNER }.sign().is_accepted();
    for expires in [1, 60, 604_800] {
        Signer { expires: Some(expires), ..SIGNER }.sign().is_accepted();
    }
    Signer { token: Some("a/token+=="), id: "ASIAEXAMPLE", secret: "other", expires: Some(60), ..SIGNER }
        .sign()
        .is_accepted();
}

/// Without TLS, a body that is not signed could be exchanged on its way.
#[test]
fn the_body_is_always_signed() {
    let hashed = Signer { content_sha256: Some(BodyHash::OfTheBody), ..SIGNER }.sign();
    assert!(hashed.headers.iter().any(|(name, value)| name == "x-amz-content-sha256" && value.len() == 64));
    hashed.is_accepted();
    let mut other = hashed.clone();
    other.body[0] = b' ';
    other.is_refused("another body");

    let unsigned = Signer { content_sha256: Some(BodyHash::Unsigned), ..SIGNER }.sign();
    assert!(unsigned.headers.iter().any(|(_, value)| value == "UNSIGNED-PAYLOAD"));
    unsigned.is_refused_as(AuthErrorKind::InvalidSignature, "The request signature we calculated");
}

#[test]
fn what_proxies_do_to_a_request_is_accepted() {
    let signed = SIGNER.sign();
    signed.with(0, "Via", "1.1 proxy").with(3, "X-Forwarded-For", "10.0.0.1").is_accepted();
    signed.with(0, "X-Amzn-Trace-Id", "Root=1").is_accepted();
    let mut reordered = signed.clone();
    reordered.headers.reverse();
    reordered.is_accepted();
    let mut cased = signed.clone();
    cased.headers.iter_mut().for_each(|(name, _)| *name = name.to_ascii_uppercase());
    cased.is_accepted();
    let mut padded = signed.clone();
    padded.headers.iter_mut().for_each(|(_, value)| *value = format!("  {value} \t"));
    padded.is_accepted();
    let mut separated = signed;
    *separated.header("authorization") = separated.header("authorization").replace(", ", ",");
    separated.is_accepted();
}

#[test]
fn whatever_is_changed_breaks_the_signature() {
    let signed = SIGNER.sign();
    let mut changes = 0;
    let mut check = |request: Request, what: &str| {
        request.is_refused(what);
        changes += 1;
    };
    // Every byte of every header: of those that are signed, and of the signature, the scope and the names themselves.
    for (index, (name, value)) in signed.headers.iter().enumerate() {
        for varied in variations(value) {
            let mut request = signed.clone();
            request.headers[index].1 = varied;
            check(request, name);
        }
        for varied in variations(name) {
            let mut request = signed.clone();
            request.headers[index].0 = varied;
            check(request, name);
        }
        let mut without = signed.clone();
        without.headers.remove(index);
        check(without, name);
        if name != "authorization" {
            check(signed.with(0, name, "other"), "a second one before");
            check(signed.with(signed.headers.len(), name, value), "a second one behind");
        }
    }
    for at in 0..BODY.len() {
        let mut request = signed.clone();
        request.body[at] ^= 1;
        check(request, "body");
    }
    for body in [&BODY[1..], &BODY[..BODY.len() - 1], b"", &[BODY, b" "].concat()] {
        check(Request { body: body.to_vec(), ..signed.clone() }, "body");
    }
    for target in ["/?", "/?a", "/?a=b", "/?X-Amz-Signature=0", "/?X-Amz-Expires=60"] {
        let request = Request { target: target.into(), ..signed.clone() };
        // An empty query is none.
        if target == "/?" { request.is_accepted() } else { check(request, target) }
    }
    check(signed.with(0, "X-Amz-Security-Token", "a"), "a token that is not signed");
    check(signed.with(0, "x-amz-content-sha256", "UNSIGNED-PAYLOAD"), "a header that is not signed");
    assert!(changes > 400, "{changes}");
}

#[test]
fn whatever_is_changed_in_the_query_breaks_the_signature() {
    let signed = Signer { expires: Some(60), ..SIGNER }.sign();
    let with_target = |target: String| Request { target, ..signed.clone() };
    let mut changes = 0;
    for target in variations(&signed.target).filter(|target| target.starts_with("/?")) {
        with_target(target).is_refused("a byte");
        changes += 1;
    }
    for more in ["&a=b", "&X-Amz-Expires=600", "&X-Amz-Security-Token=a", "&x-amz-signature=0"] {
        with_target(signed.target.clone() + more).is_refused(more);
    }
    assert!(changes > 200, "{changes}");
    // The canonical form of an escaped name is that of the name, so it must not hide the expiry.
    let hidden = with_target(signed.target.replace("X-Amz-Expires", "X%2DAmz-Expires"));
    let (mut access, now_ms) = access_at(DATE);
    assert_eq!(hidden.checked_by(&mut access), Some(Ok(())));
    now_ms.fetch_add(61_000, Ordering::Relaxed);
    let late = hidden.checked_by(&mut access).expect("a request").expect_err("expired");
    assert!(late.message.starts_with("Signature expired"), "{}", late.message);
}

#[test]
fn strangers_are_told_what_dynamodb_tells_them() {
    use AuthErrorKind::{InvalidSignature, UnrecognizedClient};
    let unknown = "The security token included in the request is invalid";
    Signer { id: "AKIDOTHER", ..SIGNER }.sign().is_refused_as(UnrecognizedClient, &format!("{unknown}."));
    let mismatch = "The request signature we calculated does not match the signature you provided. Check your AWS \
                    Secret Access Key and signing method. Consult the service documentation for details.\n\nThe \
                    Canonical String for this request should have been\n'POST\n/\n\n\
                    content-type:application/x-amz-json-1.0\nhost:localhost:8000\nx-amz-date:20260102T030405Z\n\
                    x-amz-target:DynamoDB_20120810.GetItem\n\ncontent-type;host;x-amz-date;x-amz-target\n";
    let wrong_secret = Signer { secret: "wrong", ..SIGNER }.sign();
    wrong_secret.is_refused_as(InvalidSignature, mismatch);
    let error = wrong_secret.checked().expect("a request").expect_err("a wrong secret");
    let to_sign = "The String-to-Sign should have been\n'AWS4-HMAC-SHA256\n20260102T030405Z\n\
                   20260102/us-east-1/dynamodb/aws4_request\n";
    assert!(error.message.contains(to_sign), "{}", error.message);
    for signature in ["", "0", &"0".repeat(63), &"0".repeat(65), &"G".repeat(64)] {
        let mut request = SIGNER.sign();
        let value = request.header("authorization");
        let end = value.find("Signature=").expect("a signature") + "Signature=".len();
        value.truncate(end);
        value.push_str(signature);
        request.is_refused(signature);
    }
    let region = "Credential should be scoped to a valid region, not 'eu-west-1'. ";
    Signer { region: "eu-west-1", ..SIGNER }.sign().is_refused_as(InvalidSignature, region);
    let day = SIGNER.sign().replaced("authorization", "/20260102/", "/20260101/");
    day.is_refused_as(InvalidSignature, "Date in Credential scope does not match YYYYMMDD");
    let no_target = SIGNER.sign().replaced("authorization", ";x-amz-target", "");
    no_target.is_refused_as(InvalidSignature, "'x-amz-target' must be a 'SignedHeader' in the AWS Authorization.");

    // Tokens: missing, another, and one for a key that has none.
    let with_token = Signer { id: "ASIAEXAMPLE", secret: "other", token: Some("a/token+=="), ..SIGNER };
    for token in [None, Some("a/token+="), Some("")] {
        Signer { token, ..with_token }.sign().is_refused_as(UnrecognizedClient, unknown);
    }
    Signer { token: Some("a/token+=="), ..SIGNER }.sign().is_refused_as(UnrecognizedClient, unknown);
}

#[test]
fn clocks_may_differ_by_fifteen_minutes() {
    let request = SIGNER.sign();
    for (now, accepted) in [
        ("20260102T024904Z", false),
        ("20260102T024905Z", true),
        ("20260102T031905Z", true),
        ("20260102T031906Z", false),
        ("20270102T030405Z", false),
    ] {
        let (mut access, _) = access_at(now);
        let seen = request.checked_by(&mut access).expect("a request");
        assert_eq!(seen.is_ok(), accepted, "{now}: {seen:?}");
    }
}

#[test]
fn keys_of_two_days_are_kept_and_others_derived_anew() {
    let (mut access, now_ms) = access_at(DATE);
    let key = access.keys.position(b"AKIDEXAMPLE").expect("the key");
    let days = |access: &Access| access.derived[key].iter().flatten().map(|derived| derived.day).collect::<Vec<_>>();
    let requests = [SIGNER.sign(), Signer { expires: Some(604_800), ..SIGNER }.sign()];
    for day in [b"20260101", b"20260102", b"20260103", b"20260102", b"20260102", b"20260101"] {
        let mut date = [0; 16];
        date.copy_from_slice(DATE.as_bytes());
        date[..8].copy_from_slice(day);
        access.signing_key(key, &date);
        assert_eq!(days(&access)[0], *day);
        now_ms.store(1000 * seconds_of(DATE), Ordering::Relaxed);
        requests.iter().for_each(|request| assert_eq!(request.checked_by(&mut access), Some(Ok(()))));
    }
    assert_eq!(days(&access), [*b"20260102", *b"20260101"]);
}

#[test]
fn nothing_shows_a_secret() {
    let (access, _) = access_at(DATE);
    let shown = format!("{:?} {:?}", access.keys, Secret::from(SECRET));
    assert!(shown.contains("AKIDEXAMPLE") && !shown.contains("wJalr") && !shown.contains("token+"), "{shown}");
    let message = AccessKey::new("a b", SECRET, None).expect_err("a blank in the id");
    assert!(!message.contains("wJalr"), "{message}");
}
