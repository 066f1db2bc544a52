//! Request bodies.
//!
//! The input is a body, decoded to a structure that has a member of every shape. Checked:
//! 1. A body is refused as malformed exactly if it is not JSON, and `serde_json` agrees on that for bodies that nest
//!    less than 255 deep. Both refuse numbers beyond the range of f64 and escapes of lone surrogates.
//! 2. An item or value without fault keeps the invariants of the model, and comes back from its JSON.
//! 3. A fault and a refusal have a text in every wording, and an error body is JSON.

#![no_main]

use bumpalo::Bump;
use jormundb_fuzz::error::Wording;
use jormundb_fuzz::generate::{check_map, check_value};
use jormundb_fuzz::json::reader::Member;
use jormundb_fuzz::json::{
    AttributeMap, AttributeValue, Entries, Long, Structure, ValueFault, Writer, decode, is_json, writer,
};
use jormundb_fuzz::model::EncodedItem;
use libfuzzer_sys::fuzz_target;
use serde::de::MapAccess;

#[derive(Default)]
struct Request<'a> {
    item: Option<AttributeMap<'a>>,
    value: Option<AttributeValue<'a>>,
    values: Option<Entries<'a, Option<AttributeValue<'a>>>>,
    keys: Option<&'a [Option<AttributeMap<'a>>]>,
    names: Option<Entries<'a, Option<&'a str>>>,
    text: Option<&'a str>,
    texts: Option<&'a [Option<&'a str>]>,
    flag: Option<bool>,
    integer: Option<i64>,
    long: Option<Long>,
    inner: Option<Inner<'a>>,
}

#[derive(Default)]
struct Inner<'a> {
    key: Option<AttributeMap<'a>>,
}

impl<'a> Structure<'a> for Request<'a> {
    const NAME: &'static str = "Request";

    fn member<A: MapAccess<'a>>(&mut self, name: &str, member: Member<'_, 'a, A>) -> Result<(), A::Error> {
        match name {
            "Item" => self.item = member.read()?,
            "Value" => self.value = member.read()?,
            "Values" => self.values = member.read()?,
            "Keys" => self.keys = member.read()?,
            "Names" => self.names = member.read()?,
            "Text" => self.text = member.read()?,
            "Texts" => self.texts = member.read()?,
            "Flag" => self.flag = member.read()?,
            "Integer" => self.integer = member.read()?,
            "Long" => self.long = member.read()?,
            "Inner" => self.inner = member.read()?,
            _ => member.skip()?,
        }
        Ok(())
    }
}

impl<'a> Structure<'a> for Inner<'a> {
    const NAME: &'static str = "Inner";

    fn member<A: MapAccess<'a>>(&mut self, name: &str, member: Member<'_, 'a, A>) -> Result<(), A::Error> {
        match name {
            "Key" => self.key = member.read()?,
            _ => member.skip()?,
        }
        Ok(())
    }
}

fuzz_target!(|body: &[u8]| {
    let json = is_json(body);
    if nesting_bound(body) < 255 {
        assert_eq!(json, serde_json::from_slice::<serde_json::Value>(body).is_ok());
    }
    let arena = Bump::new();
    match decode::<Request>(body, &arena) {
        Ok(request) => {
            assert!(json);
            check_request(&request);
        }
        Err(error) => {
            assert_eq!(json, !error.message.is_empty(), "{error:?}");
            let mut answer = Vec::new();
            writer::write_error(&error, &mut answer).expect("no item");
            assert!(is_json(&answer));
        }
    }
});

/// No less than the nesting of the body.
fn nesting_bound(body: &[u8]) -> usize {
    body.iter().filter(|byte| matches!(byte, b'[' | b'{')).count()
}

fn check_request(request: &Request<'_>) {
    let maps = [request.item, request.inner.as_ref().and_then(|inner| inner.key)];
    let keys = request.keys.unwrap_or_default().iter().copied();
    maps.into_iter().chain(keys).flatten().for_each(check_attribute_map);
    let values = request.values.map_or(&[][..], |entries| entries.0);
    values.iter().filter_map(|(_, value)| *value).chain(request.value).for_each(check_attribute_value);
    assert!(values.windows(2).all(|pair| pair[0].0 < pair[1].0));
    let names = request.names.map_or(&[][..], |entries| entries.0);
    assert!(names.windows(2).all(|pair| pair[0].0 < pair[1].0));
}

fn check_attribute_map(decoded: AttributeMap<'_>) {
    if let Some(fault) = decoded.fault {
        return check_fault(fault);
    }
    check_map(decoded.map);
    let arena = Bump::new();
    let body = body_of("Item", |writer| writer.item(decoded.map));
    let again: Request = decode(&body, &arena).expect("our own JSON");
    assert_eq!(again.item, Some(decoded));
    assert_eq!(EncodedItem::encode(decoded.map, &arena).decode(&arena), Ok(decoded.map));
}

fn check_attribute_value(decoded: AttributeValue<'_>) {
    if let Some(fault) = decoded.fault {
        return check_fault(fault);
    }
    check_value(&decoded.value);
    let arena = Bump::new();
    let body = body_of("Value", |writer| writer.value(decoded.value));
    let again: Request = decode(&body, &arena).expect("our own JSON");
    assert_eq!(again.value, Some(decoded));
}

fn check_fault(fault: &ValueFault<'_>) {
    for wording in [Wording::Enveloped, Wording::Current, Wording::Older] {
        assert!(!fault.message(wording).is_empty());
    }
}

/// A body with one member.
fn body_of(name: &str, value: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut body = Vec::new();
    Writer::new(&mut body).object(|writer| value(writer.name(name)));
    body
}
