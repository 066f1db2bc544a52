//! Request heads.
//!
//! Input: one byte that says where to cut, then the bytes of a connection. Checked:
//! 1. A head that was read from some bytes is read the same from more of them, and a refusal stays a refusal.
//! 2. An accepted head has the framing that a naive reader, which splits at CRLF, sees in it.
//! 3. What is done with the headers afterwards (signature, codings, preflight answer) neither panics nor lets a line
//!    end through into the answer.
//! 4. The headers that the signature is computed from are those that a naive reader sees, and every header that must be
//!    signed is in the canonical form or refuses it.

#![no_main]

use jormundb_fuzz::http::auth::{form, signature};
use jormundb_fuzz::http::encoding::Coding;
use jormundb_fuzz::http::request::{Framing, HEAD_BYTES_MAX, Head, parse};
use jormundb_fuzz::http::response::{ContentType, preflight_lines};
use jormundb_fuzz::json::is_json;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((cut, bytes)) = input.split_first() else { return };
    let cut = usize::from(*cut) * (bytes.len() + 1) / 256;
    match (parse(&bytes[..cut]), parse(bytes)) {
        (Ok(None), Ok(Some(head))) => check_head(&head, bytes),
        (Ok(Some(early)), Ok(Some(head))) => {
            assert_eq!(format!("{early:?}"), format!("{head:?}"));
            check_head(&head, bytes);
        }
        (Ok(Some(_)), other) => panic!("a head that more bytes turn into {other:?}"),
        (Err(error), Ok(head)) => panic!("{error:?} and, with more bytes, {head:?}"),
        (Ok(None), Ok(None)) => assert!(bytes.len() <= HEAD_BYTES_MAX + 4, "an endless head"),
        (_, Err(_)) => {}
    }
});

fn check_head(head: &Head<'_>, bytes: &[u8]) {
    assert!(head.head_bytes <= bytes.len());
    assert_eq!(naive_framing(&bytes[..head.head_bytes]), head.framing);
    assert_eq!(naive_headers(&bytes[..head.head_bytes]), headers(head));
    if let Err(error) = form::read(head).and_then(|claim| {
        let mut canonical = Vec::new();
        signature::write_canonical_head(head, &claim, &mut canonical)?;
        check_signed(head, &canonical);
        claim.check_time(0).and(claim.check_scope("us-east-1"))
    }) {
        let mut body = Vec::new();
        error.write_body(&mut body);
        assert!(is_json(&body), "{body:?}");
    }
    if let Some(value) = head.content_type {
        let _ = ContentType::parse(value);
    }
    let _ = (Coding::of_request(head.content_encoding), Coding::accepted(head.accept_encoding));
    let lines = preflight_lines(head.access_control_request_headers, head.access_control_request_method);
    let text = String::from_utf8_lossy(&lines);
    assert!(text.split_terminator("\r\n").all(|line| !line.is_empty() && !line.contains(['\r', '\n'])), "{text:?}");
}

fn headers(head: &Head<'_>) -> Vec<(Vec<u8>, Vec<u8>)> {
    head.headers().map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
}

/// What the headers of a head that was accepted say.
fn naive_headers(head: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let text: String = head.iter().map(|byte| char::from(*byte)).collect();
    let lines = text.trim_start_matches("\r\n").split("\r\n").skip(1).take_while(|line| !line.is_empty());
    let bytes = |text: &str| text.chars().map(|c| u8::try_from(c).expect("from a byte")).collect();
    lines
        .map(|line| line.split_once(':').expect("a header"))
        .map(|(name, value)| (bytes(name), bytes(value.trim_matches([' ', '\t']))))
        .collect()
}

fn check_signed(head: &Head<'_>, canonical: &[u8]) {
    let text = String::from_utf8_lossy(canonical).to_lowercase();
    for (name, _) in head.headers() {
        let name = String::from_utf8_lossy(name).to_lowercase();
        if name == "host" || name.starts_with("x-amz-") {
            assert!(text.contains(&format!("\n{name}:")), "{name} in {text:?}");
        }
    }
}

/// The framing of a head that was accepted.
fn naive_framing(head: &[u8]) -> Framing {
    let text: String = head.iter().map(|byte| char::from(*byte)).collect();
    let lines = text.trim_start_matches("\r\n").strip_suffix("\r\n\r\n").expect("ends in an empty line").split("\r\n");
    let mut framing = Framing::None;
    for line in lines.skip(1) {
        assert!(!line.is_empty() && !line.contains(['\r', '\n']) && !line.starts_with([' ', '\t']), "{line:?}");
        let (name, value) = line.split_once(':').expect("a header");
        assert_eq!(name.trim(), name);
        let found = match name.to_ascii_lowercase().as_str() {
            "content-length" => Framing::Length(value.trim_matches([' ', '\t']).parse().expect("a length")),
            "transfer-encoding" => Framing::Chunked,
            _ => continue,
        };
        assert_eq!(framing, Framing::None, "two framings");
        framing = found;
    }
    framing
}
