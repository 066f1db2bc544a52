//! Whole requests, from the bytes of a connection to the item in them, against an obviously right reader.
//!
//! Input: a byte each for the framing, the content coding, the cuts and the byte to spoil, then a body. The body is
//! packed and framed as the first bytes say, followed by the beginning of another request, and read in pieces. Checked:
//! 1. Whatever the framing, the coding and the cuts are, the body comes out as it went in, and what follows it is left
//!    alone.
//! 2. The item in it is accepted exactly if the oracle accepts it: a tree of `serde_json` and DynamoDB's rules written
//!    down one by one, without regard to speed. Written as JSON again, it is what the oracle made of it.
//! 3. A request with a spoilt byte is read the same in one piece and in many.

#![no_main]

use base64::prelude::{BASE64_STANDARD, Engine};
use bumpalo::Bump;
use jormundb_fuzz::http::chunked::ChunkedDecoder;
use jormundb_fuzz::http::encoding::Coding;
use jormundb_fuzz::http::request::{Framing, parse};
use jormundb_fuzz::json::reader::Member;
use jormundb_fuzz::json::{AttributeMap, Structure, Writer, decode};
use jormundb_fuzz::model::Number;
use jormundb_fuzz::oracle::Json;
use libfuzzer_sys::fuzz_target;
use serde::de::MapAccess;
use serde_json::{Map, Value, json};

const BODY_BYTES_MAX: usize = 1 << 16;

const NEXT: &[u8] = b"POST / HTTP/1.1\r\nHost: next";

#[derive(Default)]
struct Request<'a> {
    item: Option<AttributeMap<'a>>,
}

impl<'a> Structure<'a> for Request<'a> {
    const NAME: &'static str = "Request";

    fn member<A: MapAccess<'a>>(&mut self, name: &str, member: Member<'_, 'a, A>) -> Result<(), A::Error> {
        match name {
            "Item" => self.item = member.read()?,
            _ => member.skip()?,
        }
        Ok(())
    }
}

fuzz_target!(|input: &[u8]| {
    let &[framing, coding, seed, spoilt, ref body @ ..] = input else { return };
    let coding = [None, Some(Coding::Gzip), Some(Coding::Deflate)][usize::from(coding % 3)];
    let bytes = framed(body, coding, framing, seed);
    let (read, rest) = read_request(&bytes, seed).expect("a good request").expect("a complete request");
    // Nothing packed is nothing: the packed form of an empty body is not empty.
    assert_eq!((&read[..], rest), (body, NEXT.len()));
    check_item(body);

    let mut spoiled = bytes;
    let at = usize::from(spoilt) * spoiled.len() / 256;
    spoiled[at] ^= seed.max(1);
    let pieces = read_request(&spoiled, seed);
    let whole = read_whole(&spoiled);
    assert_eq!(pieces.is_ok(), whole.is_ok());
    if let (Ok(pieces), Ok(whole)) = (pieces, whole) {
        assert_eq!(pieces, whole);
    }
});

fn framed(body: &[u8], coding: Option<Coding>, framing: u8, seed: u8) -> Vec<u8> {
    let mut packed = Vec::new();
    match coding {
        None => packed.extend_from_slice(body),
        Some(coding) => coding.encode(body, &mut packed),
    }
    let coding = coding.map(|coding| format!("Content-Encoding: {}\r\n", coding.name())).unwrap_or_default();
    let mut bytes = format!("POST / HTTP/1.1\r\nHost: localhost\r\n{coding}").into_bytes();
    if framing % 2 == 0 {
        bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", packed.len()).as_bytes());
        bytes.extend_from_slice(&packed);
    } else {
        bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
        for chunk in pieces(&packed, seed.wrapping_add(framing)) {
            bytes.extend_from_slice(format!("{:X}{}\r\n", chunk.len(), [";a=b", ""][usize::from(seed % 2)]).as_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(if framing % 3 == 0 { b"0\r\nTrailer: x\r\n\r\n" } else { b"0\r\n\r\n" });
    }
    bytes.extend_from_slice(NEXT);
    bytes
}

/// Pieces of 1 to 64 bytes, the same for the same seed.
fn pieces(mut bytes: &[u8], seed: u8) -> impl Iterator<Item = &[u8]> {
    let mut state = u32::from(seed);
    std::iter::from_fn(move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let length = (1 + (state >> 26) as usize).min(bytes.len());
        let piece;
        (piece, bytes) = bytes.split_at(length);
        (length > 0).then_some(piece)
    })
}

/// The plain body, and how many bytes are left behind it. `Ok(None)`: not complete.
type Read = Result<Option<(Vec<u8>, usize)>, ()>;

fn read_whole(bytes: &[u8]) -> Read {
    read_pieces(std::iter::once(bytes), bytes.len())
}

fn read_request(bytes: &[u8], seed: u8) -> Read {
    read_pieces(pieces(bytes, seed), bytes.len())
}

/// Reads as a connection does.
fn read_pieces<'b>(mut pieces: impl Iterator<Item = &'b [u8]>, total: usize) -> Read {
    let mut input = Vec::new();
    let mut arrived = 0;
    let mut more = |input: &mut Vec<u8>| {
        let piece = pieces.next();
        arrived += piece.map_or(0, <[u8]>::len);
        input.extend_from_slice(piece.unwrap_or_default());
        piece.map(|_| arrived)
    };
    let (framing, coding, head_bytes) = loop {
        if let Some(head) = parse(&input).map_err(drop)? {
            break (head.framing, Coding::of_request(head.content_encoding), head.head_bytes);
        }
        if more(&mut input).is_none() {
            return Ok(None);
        }
    };
    input.drain(..head_bytes);
    let mut body = Vec::new();
    let mut consumed = head_bytes;
    match framing {
        Framing::None => {}
        Framing::Length(length) if length > BODY_BYTES_MAX as u64 => return Err(()),
        Framing::Length(length) => {
            while (input.len() as u64) < length {
                if more(&mut input).is_none() {
                    return Ok(None);
                }
            }
            body.extend(input.drain(..length as usize));
            consumed += body.len();
        }
        Framing::Chunked => {
            let mut decoder = ChunkedDecoder::default();
            loop {
                let progress = decoder.decode(&input, &mut body, BODY_BYTES_MAX).map_err(drop)?;
                consumed += progress.consumed;
                input.drain(..progress.consumed);
                if progress.done {
                    break;
                }
                if more(&mut input).is_none() {
                    return Ok(None);
                }
            }
        }
    }
    let Some(coding) = coding else { return Ok(Some((body, total - consumed))) };
    let mut plain = Vec::new();
    coding.decode(&body, &mut plain, BODY_BYTES_MAX).map_err(drop)?;
    Ok(Some((plain, total - consumed)))
}

fn check_item(body: &[u8]) {
    // Beyond this the readers differ in how deep they go.
    if body.iter().filter(|byte| matches!(byte, b'[' | b'{')).count() > 200 {
        return;
    }
    let arena = Bump::new();
    let decoded = decode::<Request>(body, &arena);
    let Some(expected) = Json::parse(body).ok().map(|tree| item_of(&tree)) else {
        assert!(decoded.is_err(), "accepted, but not JSON");
        return;
    };
    let Some(expected) = expected else { return };
    let accepted = decoded.ok().and_then(|request| match request.item {
        Some(AttributeMap { fault: Some(_), .. }) => None,
        item => Some(item.map(|item| item.map)),
    });
    let found = accepted.map(|item| {
        let mut text = Vec::new();
        match item {
            None => text.extend_from_slice(b"null"),
            Some(map) => Writer::new(&mut text).item(map),
        }
        serde_json::from_slice::<Value>(&text).expect("our own JSON")
    });
    assert_eq!(found.map(sorted), expected.map(sorted), "{}", String::from_utf8_lossy(body));
}

/// What is under `Item`: `None` when the oracle does not say, `Some(None)` when it is to be refused.
fn item_of(body: &Json) -> Option<Option<Value>> {
    let members = match body {
        // Nothing is there, as in an empty object.
        Json::Null => return Some(Some(Value::Null)),
        Json::Object(members) => members,
        _ => return Some(None),
    };
    let mut items = members.iter().filter(|(name, _)| name == "Item").map(|(_, value)| value);
    match (items.next(), items.next()) {
        (Some(_), Some(_)) => None,
        (Some(Json::Null) | None, None) => Some(Some(Value::Null)),
        (Some(item), None) => Some(map_of(item, 0)),
        (None, Some(_)) => unreachable!("the first comes first"),
    }
}

fn map_of(json: &Json, depth: usize) -> Option<Value> {
    let Json::Object(members) = json else { return None };
    let mut map = Map::new();
    for (name, value) in members {
        if name.is_empty() || name.len() > 65_535 {
            return None;
        }
        // Of two with one name the last counts, but both have to be good.
        map.insert(name.clone(), value_of(value, depth + 1)?);
    }
    Some(Value::Object(map))
}

fn value_of(json: &Json, depth: usize) -> Option<Value> {
    let Json::Object(members) = json else { return None };
    if depth > 32 {
        return None;
    }
    let mut typed = Vec::new();
    for (name, content) in members {
        let value = match (name.as_str(), content) {
            ("S" | "N" | "B" | "BOOL" | "NULL" | "SS" | "NS" | "BS" | "L" | "M", Json::Null) => continue,
            ("S", content) => text_of(content)?,
            ("N", content) => number_of(content)?,
            ("B", content) => binary_of(content)?,
            ("BOOL", content) => json!(boolean_of(content)?),
            ("NULL", content) => Some(json!(boolean_of(content)?)).filter(|value| value == &json!(true))?,
            ("SS", content) => set_of(content, text_of)?,
            ("NS", content) => set_of(content, number_of)?,
            ("BS", content) => set_of(content, binary_of)?,
            ("L", Json::List(elements)) => {
                Value::Array(elements.iter().map(|element| value_of(element, depth + 1)).collect::<Option<_>>()?)
            }
            ("M", content) => map_of(content, depth)?,
            ("L", _) => return None,
            _ => continue,
        };
        typed.push((name, value));
    }
    match &typed[..] {
        [(name, value)] => Some(json!({name.as_str(): value})),
        _ => None,
    }
}

fn text_of(json: &Json) -> Option<Value> {
    if let Json::Text(text) = json { Some(json!(text)) } else { None }
}

fn number_of(json: &Json) -> Option<Value> {
    let Json::Text(text) = json else { return None };
    let arena = Bump::new();
    // It has an oracle of its own in the target `number`.
    let number = Number::parse(text, &arena).ok()?;
    Some(json!(number.as_str()))
}

fn binary_of(json: &Json) -> Option<Value> {
    let Json::Text(text) = json else { return None };
    Some(json!(BASE64_STANDARD.encode(BASE64_STANDARD.decode(text).ok()?)))
}

fn boolean_of(json: &Json) -> Option<bool> {
    match json {
        Json::Bool(value) => Some(*value),
        Json::Text(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" => Some(true),
            "false" | "0" | "no" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// `null` is no member, and a set has members that differ.
fn set_of(json: &Json, member_of: fn(&Json) -> Option<Value>) -> Option<Value> {
    let Json::List(elements) = json else { return None };
    let given = elements.iter().filter(|element| !matches!(element, Json::Null));
    let members = given.map(member_of).collect::<Option<Vec<_>>>()?;
    let distinct = (1..members.len()).all(|index| !members[..index].contains(&members[index]));
    (!members.is_empty() && distinct).then_some(Value::Array(members))
}

/// With the members of sets in one order, whatever it is.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let sort = |(name, value): (String, Value)| match (name.as_str(), value) {
                ("SS" | "NS" | "BS", Value::Array(mut members)) if members.iter().all(Value::is_string) => {
                    members.sort_by(|one, other| one.as_str().cmp(&other.as_str()));
                    (name, Value::Array(members))
                }
                (_, value) => (name, sorted(value)),
            };
            Value::Object(members.into_iter().map(sort).collect())
        }
        Value::Array(elements) => Value::Array(elements.into_iter().map(sorted).collect()),
        other => other,
    }
}
