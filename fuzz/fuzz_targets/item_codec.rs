//! The stored form of items.
//!
//! The first byte of the input says what the others are: 0 stored bytes, 1 nested containers around stored bytes,
//! anything else an item to generate and then to damage. Checked:
//! 1. A generated item comes back whole and attribute by attribute, has the size it was stored with, and its JSON is
//!    the same from the stored bytes as from the value.
//! 2. Any bytes are corrupt or an item that comes back from being stored again, with the same JSON from both forms.
//! 3. Nothing that was decoded from any bytes makes arithmetic, order, sizes or keys panic.

#![no_main]

use arbitrary::{Result, Unstructured};
use bumpalo::Bump;
use jormundb_fuzz::generate;
use jormundb_fuzz::json::Writer;
use jormundb_fuzz::model::{Document, EncodedItem, Item, Number, StoredDocument, Value};
use jormundb_fuzz::storage::{encode_component, key::KeyValue};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    match input.split_first() {
        Some((0, stored)) => check_stored(stored),
        Some((1, rest)) => drop(nested(Unstructured::new(rest)).map(|stored| check_stored(&stored))),
        Some((_, rest)) => drop(generated(&mut Unstructured::new(rest))),
        None => {}
    }
});

fn generated(input: &mut Unstructured<'_>) -> Result<()> {
    let arena = Bump::new();
    let item = generate::item(input, &arena)?;
    let encoded = EncodedItem::encode(item, &arena);
    assert_eq!(encoded.decode(&arena), Ok(item));
    assert_eq!(encoded.size(), item.size());
    check_attributes(encoded, item);
    let mut damaged = encoded.as_bytes().to_vec();
    for _ in 0..input.int_in_range(1..=4)? {
        let position = input.choose_index(damaged.len())?;
        damaged[position] = input.arbitrary()?;
    }
    check_stored(&damaged);
    Ok(())
}

/// Stored bytes that open many lists or maps.
fn nested(mut input: Unstructured<'_>) -> Result<Vec<u8>> {
    let depth = input.arbitrary::<u16>()?;
    let opening: &[u8] = if input.arbitrary()? { &[0x20, 0, 0, 0, 0, 1] } else { &[0x21, 0, 0, 0, 0, 1, 1, b'a'] };
    let innermost = input.take_rest();
    let mut stored = vec![1, 0, 0, 0, 0, 1, 1, b'a'];
    for level in (0..usize::from(depth)).rev() {
        let extent = opening.len() * (level + 1) - 5 + innermost.len();
        stored.push(opening[0]);
        stored.extend_from_slice(&(extent as u32).to_le_bytes());
        stored.extend_from_slice(&opening[5..]);
    }
    stored.extend_from_slice(innermost);
    Ok(stored)
}

fn check_stored(stored: &[u8]) {
    let arena = Bump::new();
    let Ok(encoded) = EncodedItem::open(stored) else { return };
    let mut json = Vec::new();
    let written = Writer::new(&mut json).stored_item(encoded);
    let document = StoredDocument::new(encoded, &arena);
    let found = document.attribute("a");
    let Ok(item) = encoded.decode(&arena) else { return };
    assert_eq!((document.check(), found), (Ok(()), item.get("a")));
    assert_eq!(written, Ok(()), "what decodes can be answered");
    assert_eq!(json, json_of(item));
    check_attributes(encoded, item);
    assert_eq!(EncodedItem::encode(item, &arena).decode(&arena), Ok(item));
    item.iter().for_each(|attribute| use_value(attribute.value, &arena));
}

fn check_attributes(encoded: EncodedItem<'_>, item: Item<'_>) {
    let arena = Bump::new();
    for attribute in item {
        assert_eq!(encoded.get(attribute.name, &arena), Ok(Some(attribute.value)));
    }
    let mut json = Vec::new();
    assert_eq!(Writer::new(&mut json).stored_item(encoded), Ok(()));
    assert_eq!(json, json_of(item));
}

fn json_of(item: Item<'_>) -> Vec<u8> {
    let mut json = Vec::new();
    Writer::new(&mut json).item(item);
    json
}

/// Does to a value what requests do to stored values.
fn use_value(value: Value<'_>, arena: &Bump) {
    let _ = (value.size(), value.depth());
    if let Some(key) = KeyValue::from_value(value) {
        encode_component(key);
    }
    let use_number = |number: Number<'_>| {
        let one = Number::from_canonical("1");
        let _ = (number.cmp(&one), number.add(one, arena), one.subtract(number, arena));
    };
    match value {
        Value::N(number) => use_number(number),
        Value::Ns(numbers) => numbers.iter().for_each(|number| use_number(*number)),
        Value::L(elements) => elements.iter().for_each(|element| use_value(*element, arena)),
        Value::M(map) => map.iter().for_each(|attribute| use_value(attribute.value, arena)),
        _ => {}
    }
}
