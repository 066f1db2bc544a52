//! The door: which operation a request asks for, or the exact words of the refusal.
//!
//! DynamoDB checks in this order, and so does this file: size (413), method and content type (404), JSON syntax,
//! target, presence of a signature, form of the signature, presence of a body. What the head alone decides is decided
//! by [`admit`] when the head is complete; [`Envelope::settle`] decides the rest when the body is. With access keys,
//! [`Envelope::verify`] comes between the two: nothing is unpacked or executed for a request with a wrong signature.

use crate::error::ApiError;
use crate::http::auth::signature::HASH_BYTES;
use crate::http::auth::{AuthError, form};
use crate::http::encoding::Coding;
use crate::http::request::{Framing, Head, Method};
use crate::http::response::{self, ContentType};
use crate::operation::{Operation, Response, is_json, refuse};
use crate::server::access::{Access, KeyPlace, Unverified};
use crate::server::counters::Row;
use std::cell::RefCell;

/// Exactly this much is read; more is answered with 413.
pub const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Refused bodies longer than this are not examined for being JSON: it would hold up the loop for a message.
const EXAMINED_BYTES_MAX: usize = 256 * 1024;

const TARGET_PREFIX: &[u8] = b"DynamoDB_20120810.";

const SERIALIZATION_EXCEPTION: &str = "SerializationException";
const UNKNOWN_OPERATION_EXCEPTION: &str = "UnknownOperationException";

/// Error types of answers that have no body, for metrics and logs.
pub const BAD_REQUEST: &str = "BadRequest";
pub const REQUEST_TOO_LARGE: &str = "RequestTooLarge";
pub const SERVICE_UNAVAILABLE: &str = "ServiceUnavailable";

const NOT_FOUND: &[u8] = b"<UnknownOperationException/>\n";
const NOT_JSON: &[u8] = br#"{"__type":"com.amazon.coral.service#SerializationException"}"#;
const UNKNOWN_OPERATION: &[u8] = br#"{"__type":"com.amazon.coral.service#UnknownOperationException"}"#;
const UNAVAILABLE: &[u8] = b"{\"__type\":\"com.amazonaws.dynamodb.v20120810#ServiceUnavailable\",\
    \"message\":\"The server is busy. Please try again shortly.\"}";

/// What must be known of a head once its bytes are gone.
#[derive(Debug)]
pub struct Envelope {
    pub framing: Framing,
    pub keep_alive: bool,
    pub expects_continue: bool,
    /// The coding of the request's body.
    pub coding: Option<Coding>,
    /// The coding that the answer may have.
    pub accepts: Option<Coding>,
    /// `None`: not a type that DynamoDB speaks, or none.
    content_type: Option<ContentType>,
    /// The request has an Origin.
    pub cors: bool,
    /// The answer is to say where its time went.
    pub server_timing: bool,
    /// The access key whose signature was verified.
    pub verified_key: Option<KeyPlace>,
    verdict: Verdict,
}

#[derive(Debug)]
enum Verdict {
    Execute(&'static Operation),
    /// Execute, if the signature is right.
    Verify(&'static Operation, Unverified),
    /// GET or HEAD: the health answer.
    Health {
        with_body: bool,
    },
    /// The header lines of the answer.
    Preflight(Box<[u8]>),
    NotFound,
    UnknownOperation,
    Unauthorized(Box<AuthError>),
}

/// What is to be done with a complete request.
#[derive(Debug)]
pub enum Settled {
    Execute(&'static Operation),
    /// The response has been filled in.
    Answered,
}

/// How the answer to a settled request differs from the usual one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner<'e> {
    pub content_type: Option<ContentType>,
    pub with_body: bool,
    pub extra_lines: &'e [u8],
}

/// Judges a head. Without access keys everyone is admitted whose signature has the right form.
pub fn admit(head: &Head<'_>, access: Option<&RefCell<Access>>) -> Envelope {
    Envelope {
        framing: head.framing,
        keep_alive: head.keep_alive,
        expects_continue: head.expects_continue,
        coding: Coding::of_request(head.content_encoding),
        accepts: Coding::accepted(head.accept_encoding),
        content_type: head.content_type.and_then(ContentType::parse),
        cors: head.origin.is_some(),
        server_timing: head.server_timing == Some(b"1"),
        verified_key: None,
        verdict: judge(head, access),
    }
}

fn judge(head: &Head<'_>, access: Option<&RefCell<Access>>) -> Verdict {
    match head.method {
        Method::Post if head.path == "/" => match head.target.and_then(operation_of) {
            None => Verdict::UnknownOperation,
            Some(operation) => match authorize(head, access) {
                Ok(None) => Verdict::Execute(operation),
                Ok(Some(unverified)) => Verdict::Verify(operation, unverified),
                Err(error) => Verdict::Unauthorized(Box::new(error)),
            },
        },
        Method::Get => Verdict::Health { with_body: true },
        Method::Head => Verdict::Health { with_body: false },
        Method::Options if head.origin.is_some() => Verdict::Preflight(
            response::preflight_lines(head.access_control_request_headers, head.access_control_request_method).into(),
        ),
        Method::Post | Method::Options | Method::Other => Verdict::NotFound,
    }
}

fn authorize(head: &Head<'_>, access: Option<&RefCell<Access>>) -> Result<Option<Unverified>, AuthError> {
    let claim = form::read(head)?;
    access.map(|access| access.borrow_mut().examine(head, &claim)).transpose()
}

/// `DynamoDB_20120810.GetItem`, with exact case.
fn operation_of(target: &[u8]) -> Option<&'static Operation> {
    Operation::find(std::str::from_utf8(target.strip_prefix(TARGET_PREFIX)?).ok()?)
}

impl Envelope {
    /// Whether the announced length alone refuses the request.
    pub fn is_too_large(&self) -> bool {
        matches!(self.framing, Framing::Length(length) if length > BODY_BYTES_MAX as u64)
    }

    /// Whether [`Envelope::verify`] is to be asked before anything else is done with the body.
    pub fn must_be_verified(&self) -> bool {
        matches!(self.verdict, Verdict::Verify(..))
    }

    /// Decides about the signature with the hash of the body as it was sent.
    pub fn verify(&mut self, access: &RefCell<Access>, body_hash: &[u8; HASH_BYTES]) {
        self.verdict = match std::mem::replace(&mut self.verdict, Verdict::NotFound) {
            Verdict::Verify(operation, unverified) => match access.borrow_mut().verify(unverified, body_hash) {
                Ok(key) => {
                    self.verified_key = Some(key);
                    Verdict::Execute(operation)
                }
                Err(error) => Verdict::Unauthorized(Box::new(error)),
            },
            other => other,
        };
    }

    pub fn is_unauthorized(&self) -> bool {
        matches!(self.verdict, Verdict::Unauthorized(_))
    }

    /// Decides with the plain body at hand. Unless the request is to be executed, its answer is in `response`.
    pub fn settle(&self, body: &[u8], region: &str, response: &mut Response) -> Settled {
        let (status, error, text): (u16, _, &[u8]) = match &self.verdict {
            Verdict::Health { .. } => {
                response.status = 200;
                response.body.extend_from_slice(b"healthy: dynamodb.");
                response.body.extend_from_slice(region.as_bytes());
                response.body.extend_from_slice(b".amazonaws.com ");
                return Settled::Answered;
            }
            Verdict::Preflight(_) => (200, None, b""),
            Verdict::NotFound => (404, Some(UNKNOWN_OPERATION_EXCEPTION), NOT_FOUND),
            _ if self.content_type.is_none() && !body.is_empty() => (404, Some(UNKNOWN_OPERATION_EXCEPTION), NOT_FOUND),
            Verdict::Execute(operation) if !body.is_empty() => return Settled::Execute(operation),
            Verdict::Execute(_) => (400, Some(SERIALIZATION_EXCEPTION), NOT_JSON),
            _ if !body.is_empty() && body.len() <= EXAMINED_BYTES_MAX && !is_json(body) => {
                (400, Some(SERIALIZATION_EXCEPTION), NOT_JSON)
            }
            Verdict::UnknownOperation => (400, Some(UNKNOWN_OPERATION_EXCEPTION), UNKNOWN_OPERATION),
            Verdict::Verify(..) => unreachable!("nothing is settled before the signature is verified"),
            Verdict::Unauthorized(error) => {
                response.status = 400;
                response.error = Some(error.kind.name());
                error.write_body(&mut response.body);
                return Settled::Answered;
            }
        };
        answer(response, status, error, text);
        Settled::Answered
    }

    /// The manner of the answer with this status.
    pub fn manner(&self, status: u16) -> Manner<'_> {
        let typed =
            Manner { content_type: Some(self.content_type.unwrap_or_default()), with_body: true, extra_lines: b"" };
        match &self.verdict {
            Verdict::Health { with_body } => Manner { content_type: None, with_body: *with_body, ..typed },
            Verdict::Preflight(lines) => Manner { content_type: None, extra_lines: lines, ..typed },
            _ if status == 404 => Manner { content_type: None, ..typed },
            _ => typed,
        }
    }

    /// The operation that is asked for, if it may be executed.
    pub fn operation(&self) -> Option<&'static Operation> {
        match &self.verdict {
            Verdict::Execute(operation) => Some(operation),
            _ => None,
        }
    }

    /// What the request counts as.
    pub fn row(&self) -> Row {
        match &self.verdict {
            Verdict::Execute(operation) | Verdict::Verify(operation, _) => Row::of_operation(operation.index()),
            Verdict::Health { .. } => Row::HEALTH,
            Verdict::Preflight(_) => Row::PREFLIGHT,
            Verdict::NotFound | Verdict::UnknownOperation => Row::UNKNOWN,
            Verdict::Unauthorized(_) => Row::UNAUTHORIZED,
        }
    }
}

fn answer(response: &mut Response, status: u16, error: Option<&'static str>, text: &[u8]) {
    response.status = status;
    response.error = error;
    response.body.clear();
    response.body.extend_from_slice(text);
}

/// Fills in the answer to a fault of ours and to a compressed body that does not unpack, for which DynamoDB says the
/// same.
pub fn internal_error(response: &mut Response) {
    refuse(&ApiError::internal(), response);
}

/// Fills in the answer of a server that has no room for this request now.
pub fn unavailable(response: &mut Response) {
    answer(response, 503, Some(SERVICE_UNAVAILABLE), UNAVAILABLE);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::request;

    const GOOD: &str = "X-Amz-Target: DynamoDB_20120810.GetItem\r\nContent-Type: application/x-amz-json-1.0\r\n\
        X-Amz-Date: 20260102T030405Z\r\nAuthorization: AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host, \
        Signature=x\r\n";

    fn envelope(line: &str, headers: &str) -> Envelope {
        let text = format!("{line} HTTP/1.1\r\n{headers}\r\n");
        admit(&request::parse(text.as_bytes()).expect("a good head").expect("a complete head"), None)
    }

    fn refused(line: &str, headers: &str, body: &str, status: u16, answer: &str) -> Envelope {
        let envelope = envelope(line, headers);
        let mut response = Response::default();
        let settled = envelope.settle(body.as_bytes(), "us-east-1", &mut response);
        let seen = String::from_utf8_lossy(&response.body);
        assert!(matches!(settled, Settled::Answered), "{line} {headers:?} {body:?}");
        assert_eq!((response.status, seen.as_ref()), (status, answer), "{line} {headers:?} {body:?}");
        envelope
    }

    const SERIALIZATION: &str = r#"{"__type":"com.amazon.coral.service#SerializationException"}"#;
    const UNKNOWN: &str = r#"{"__type":"com.amazon.coral.service#UnknownOperationException"}"#;
    const NO_TOKEN: &str = "{\"__type\":\"com.amazon.coral.service#MissingAuthenticationTokenException\",\
        \"message\":\"Request is missing Authentication Token\"}";

    #[test]
    fn a_good_request_is_executed() {
        let envelope = envelope("POST /", GOOD);
        let mut response = Response::default();
        match envelope.settle(b"{}", "us-east-1", &mut response) {
            Settled::Execute(operation) => assert_eq!(operation.name, "GetItem"),
            Settled::Answered => panic!("{:?}", String::from_utf8_lossy(&response.body)),
        }
        assert_eq!(envelope.manner(200).content_type, Some(ContentType::AmzJson));
        assert!(response.body.is_empty());
    }

    #[test]
    fn checks_come_in_dynamodbs_order() {
        let no_type = GOOD.replace("application/x-amz-json-1.0", "text/plain");
        let no_target = GOOD.replace("GetItem", "Nothing");
        let no_auth = GOOD.replace("Authorization", "Other");
        let neither = no_target.replace("Authorization", "Other");

        refused("PUT /", GOOD, "{", 404, "<UnknownOperationException/>\n");
        refused("POST /x", GOOD, "{}", 404, "<UnknownOperationException/>\n");
        refused("POST /", &no_type, "{", 404, "<UnknownOperationException/>\n");
        refused("POST /", &no_target, "{", 400, SERIALIZATION);
        refused("POST /", &no_auth, "{\"a\":}", 400, SERIALIZATION);
        refused("POST /", &neither, "{}", 400, UNKNOWN);
        refused("POST /", &no_target, "", 400, UNKNOWN);
        refused("POST /", &no_type, "", 400, SERIALIZATION);
        refused("POST /", &no_auth, "", 400, NO_TOKEN);
        refused("POST /", &no_auth, "{}", 400, NO_TOKEN);
        refused("POST /", GOOD, "", 400, SERIALIZATION);
        refused("POST /", "", "", 400, UNKNOWN);
    }

    #[test]
    fn targets_are_exact() {
        for target in
            ["GetItem", "dynamodb_20120810.GetItem", "DynamoDB_20120810.getitem", "DynamoDB_20120810.GetItem.", ".", ""]
        {
            let headers = GOOD.replace("DynamoDB_20120810.GetItem", target);
            refused("POST /", &headers, "{}", 400, UNKNOWN);
        }
    }

    #[test]
    fn health_preflight_and_their_manner() {
        let health = "healthy: dynamodb.us-east-1.amazonaws.com ";
        let get = refused("GET /ping", "", "", 200, health);
        assert_eq!(get.manner(200), Manner { content_type: None, with_body: true, extra_lines: b"" });
        assert!(!refused("HEAD /", "", "", 200, health).manner(200).with_body);

        let preflight = refused("OPTIONS /", "Origin: x\r\nAccess-Control-Request-Method: POST\r\n", "", 200, "");
        assert!(preflight.cors);
        let lines = b"access-control-allow-methods: POST\r\naccess-control-max-age: 172800\r\n";
        assert_eq!(preflight.manner(200).extra_lines, lines);
        refused("OPTIONS /", "", "", 404, "<UnknownOperationException/>\n");
        assert_eq!(refused("DELETE /", "", "", 404, "<UnknownOperationException/>\n").manner(404).content_type, None);
    }

    #[test]
    fn the_answer_has_the_requests_type() {
        let check = |given: &str, answered| {
            let headers = GOOD.replace("application/x-amz-json-1.0", given);
            assert_eq!(envelope("POST /", &headers).manner(200).content_type, answered, "{given}");
        };
        check("application/json; charset=utf-8", Some(ContentType::Json));
        check("application/x-amz-json-1.0", Some(ContentType::AmzJson));
        assert_eq!(envelope("POST /", "").manner(400).content_type, Some(ContentType::AmzJson));
    }

    #[test]
    fn size_and_checksums_of_constant_answers() {
        let check = |length: &str, too_large| {
            let headers = format!("{GOOD}Content-Length: {length}\r\n");
            assert_eq!(envelope("POST /", &headers).is_too_large(), too_large, "{length}");
        };
        check("16777216", false);
        check("16777217", true);
        check("18446744073709551615", true);
        assert_eq!(crc32fast::hash(NOT_FOUND), 3_552_371_480);
        assert_eq!(crc32fast::hash(NOT_JSON), 3_948_637_019);
        assert_eq!(crc32fast::hash(UNKNOWN_OPERATION), 1_368_724_161);
    }
}
