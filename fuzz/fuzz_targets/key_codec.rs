//! The order-preserving key codec.
//!
//! The first byte of the input says what the others are: 0, 1 or 2 bytes to decode as a row key of one string, number
//! or binary, 3 of two numbers, anything else values to generate. Checked:
//! 1. Values come back from a row key.
//! 2. Bytewise order of row keys of one partition is the order of the sort values, no component is a prefix of another,
//!    and a string's prefix form is a prefix of exactly the strings that begin with it.
//! 3. Any bytes are corrupt or values that give the same bytes again.

#![no_main]

use std::cmp::Ordering;

use arbitrary::{Result, Unstructured};
use bumpalo::Bump;
use jormundb_fuzz::generate::{self, check_number};
use jormundb_fuzz::model::{KeyAttribute, KeyKind, KeySchema};
use jormundb_fuzz::storage::key::{KeyValue, decode_index_row_key, decode_row_key};
use jormundb_fuzz::storage::{HEAD_BYTES, encode_component, encode_prefix, table_space};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    match input.split_first() {
        Some((0, bytes)) => check_bytes(&[KeyKind::S], bytes),
        Some((1, bytes)) => check_bytes(&[KeyKind::N], bytes),
        Some((2, bytes)) => check_bytes(&[KeyKind::B], bytes),
        Some((3, bytes)) => check_bytes(&[KeyKind::N, KeyKind::N], bytes),
        Some((_, rest)) => drop(generated(&mut Unstructured::new(rest))),
        None => {}
    }
});

fn schema(hash: &[KeyKind], range: &[KeyKind]) -> KeySchema {
    let attributes = |kinds: &[KeyKind]| {
        kinds.iter().enumerate().map(|(index, kind)| KeyAttribute { name: index.to_string(), kind: *kind }).collect()
    };
    KeySchema { hash: attributes(hash), range: attributes(range) }
}

fn check_bytes(kinds: &[KeyKind], components: &[u8]) {
    let arena = Bump::new();
    let row_key = [&[0; HEAD_BYTES], components].concat();
    let Ok(values) = decode_row_key(&row_key, &schema(kinds, &[]), &arena) else { return };
    assert_eq!(values.len(), kinds.len());
    let again: Vec<u8> = values.iter().flat_map(|value| encode_component(*value)).collect();
    assert_eq!(again, components, "{values:?}");
    for value in values {
        if let KeyValue::N(number) = value {
            check_number(*number);
        }
    }
}

fn generated(input: &mut Unstructured<'_>) -> Result<()> {
    let arena = Bump::new();
    let partition = [value_of(kind(input)?, input, &arena)?];
    let sort_kind = kind(input)?;
    let (left, right) = (value_of(sort_kind, input, &arena)?, value_of(sort_kind, input, &arena)?);
    let primary = [value_of(kind(input)?, input, &arena)?, value_of(kind(input)?, input, &arena)?];

    let space = table_space();
    let (left_key, right_key) =
        (space.row_key(&partition, &[left], &[], &arena), space.row_key(&partition, &[right], &[], &arena));
    assert_eq!(left_key.cmp(right_key), order(left, right), "{left:?} {right:?}");
    assert!(left == right || !right_key.starts_with(left_key));
    let key = schema(&[kind_of(partition[0])], &[sort_kind]);
    let decoded = decode_row_key(left_key, &key, &arena).map(<[KeyValue]>::to_vec);
    assert_eq!(decoded, Ok(vec![partition[0], left]));

    let index_row_key = space.row_key(&partition, &[left], &primary, &arena);
    let table_key = schema(&[kind_of(primary[0])], &[kind_of(primary[1])]);
    let decoded = decode_index_row_key(index_row_key, &key, &table_key, &arena).map(<[KeyValue]>::to_vec);
    assert_eq!(decoded, Ok(vec![partition[0], left, primary[0], primary[1]]));
    check_prefix(left, right);
    Ok(())
}

fn check_prefix(prefix: KeyValue<'_>, value: KeyValue<'_>) {
    let begins = match (prefix, value) {
        (KeyValue::S(prefix), KeyValue::S(text)) => text.starts_with(prefix),
        (KeyValue::B(prefix), KeyValue::B(bytes)) => bytes.starts_with(prefix),
        _ => prefix == value,
    };
    assert_eq!(encode_component(value).starts_with(&encode_prefix(prefix)), begins, "{prefix:?} {value:?}");
}

fn order(left: KeyValue<'_>, right: KeyValue<'_>) -> Ordering {
    left.into_value().compare(&right.into_value()).expect("of one type")
}

fn kind(input: &mut Unstructured<'_>) -> Result<KeyKind> {
    input.choose(&[KeyKind::S, KeyKind::N, KeyKind::B]).copied()
}

fn kind_of(value: KeyValue<'_>) -> KeyKind {
    match value {
        KeyValue::S(_) => KeyKind::S,
        KeyValue::N(_) => KeyKind::N,
        KeyValue::B(_) => KeyKind::B,
    }
}

fn value_of<'a>(kind: KeyKind, input: &mut Unstructured<'_>, arena: &'a Bump) -> Result<KeyValue<'a>> {
    Ok(match kind {
        KeyKind::S => KeyValue::S(generate::text(input, arena)?),
        KeyKind::N => KeyValue::N(generate::number(input, arena)?),
        KeyKind::B => KeyValue::B(generate::bytes(input, arena)?),
    })
}
