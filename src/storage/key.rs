//! The order-preserving key codec.
//!
//! ```text
//! component   = string | number                  -- the key schema says which
//! string      = *( escaped ) %x00                -- S: UTF-8, B: any bytes
//! escaped     = %x02-FF                          -- itself
//!             | %x01 %x01                        -- byte 00
//!             | %x01 %x02                        -- byte 01
//! number      = %x02                             -- zero
//!             | %x03 exponent 1*19pair %x00      -- positive
//!             | %x01 (complement of the above after %x03)   -- negative: each byte b is stored as FF - b
//! exponent    = e + 129, one byte                -- the number is 0.d1 d2 d3... * 10^e with d1 not 0: e is -129..126
//! pair        = 10 * d(2i+1) + d(2i+2) + 1       -- %x01-64, the last digit padded with 0; no trailing pair of zeros
//! ```
//!
//! Invariants: bytewise order of components = DynamoDB's order of values (S by UTF-8 bytes, B by bytes, N by value); no
//! component is a prefix of another, so a sequence of components orders by the first that differs and can be decoded
//! without lengths; a value has one encoding only.

use bumpalo::{Bump, collections::Vec as BumpVec};
use xxhash_rust::xxh3::xxh3_64;

use super::error::Error;
use super::layout::{HASH_BYTES, SPACE_BYTES};
use crate::model::{KeyKind, KeySchema, Number, Value};

/// A value that can be part of a key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum KeyValue<'a> {
    S(&'a str),
    N(Number<'a>),
    B(&'a [u8]),
}

impl<'a> KeyValue<'a> {
    /// `None` for types that cannot be keys.
    pub fn from_value(value: Value<'a>) -> Option<KeyValue<'a>> {
        match value {
            Value::S(text) => Some(KeyValue::S(text)),
            Value::N(number) => Some(KeyValue::N(number)),
            Value::B(bytes) => Some(KeyValue::B(bytes)),
            _ => None,
        }
    }

    pub fn into_value(self) -> Value<'a> {
        match self {
            KeyValue::S(text) => Value::S(text),
            KeyValue::N(number) => Value::N(number),
            KeyValue::B(bytes) => Value::B(bytes),
        }
    }

    pub(super) fn encode(self, key: &mut BumpVec<'_, u8>) {
        match self {
            KeyValue::S(_) | KeyValue::B(_) => {
                self.encode_prefix(key);
                key.push(TERMINATOR);
            }
            KeyValue::N(number) => encode_number(number, key),
        }
    }

    /// Without the terminator: what all strings that begin with this one begin with. A number has no such form; it gets
    /// all of its encoding, which only itself begins with.
    pub(super) fn encode_prefix(self, key: &mut BumpVec<'_, u8>) {
        match self {
            KeyValue::S(text) => escape(text.as_bytes(), key),
            KeyValue::B(bytes) => escape(bytes, key),
            KeyValue::N(number) => encode_number(number, key),
        }
    }
}

/// The rows of a table or of one of its indexes: table id and index number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    pub(super) table_id: u32,
    pub(super) index_number: u16,
}

impl Space {
    /// Index number 0: the items of the table.
    pub const fn new(table_id: u32, index_number: u16) -> Space {
        Space { table_id, index_number }
    }

    pub(super) fn prefix(self) -> [u8; SPACE_BYTES] {
        let mut prefix = [0; SPACE_BYTES];
        prefix[..4].copy_from_slice(&self.table_id.to_be_bytes());
        prefix[4..].copy_from_slice(&self.index_number.to_be_bytes());
        prefix
    }

    /// The key of a row in this space. `primary` is empty for an item of a table, the item's whole primary key for an
    /// index row.
    pub fn row_key<'a>(
        self,
        partition: &[KeyValue<'_>],
        sort: &[KeyValue<'_>],
        primary: &[KeyValue<'_>],
        arena: &'a Bump,
    ) -> &'a [u8] {
        let mut key = self.partition_key(partition, arena);
        for value in sort.iter().chain(primary) {
            value.encode(&mut key);
        }
        key.into_bump_slice()
    }

    /// What the keys of all rows of a partition begin with.
    pub(super) fn partition_key<'a>(self, partition: &[KeyValue<'_>], arena: &'a Bump) -> BumpVec<'a, u8> {
        let mut key = BumpVec::with_capacity_in(64, arena);
        key.extend_from_slice_copy(&self.prefix());
        key.extend_from_slice_copy(&[0; HASH_BYTES]);
        for value in partition {
            value.encode(&mut key);
        }
        let (head, components) = key.split_at_mut(SPACE_BYTES + HASH_BYTES);
        head[SPACE_BYTES..].copy_from_slice(&xxh3_64(components).to_be_bytes());
        key
    }
}

/// The primary key in the key of a table's row: hash attributes, then range attributes.
pub fn decode_row_key<'a>(row_key: &'a [u8], key: &KeySchema, arena: &'a Bump) -> Result<&'a [KeyValue<'a>], Error> {
    decode(row_key, key.attributes().map(|attribute| attribute.kind), arena)
}

/// The values in the key of an index row: those of the index key, then those of the table's key.
pub fn decode_index_row_key<'a>(
    row_key: &'a [u8],
    index_key: &KeySchema,
    table_key: &KeySchema,
    arena: &'a Bump,
) -> Result<&'a [KeyValue<'a>], Error> {
    decode(row_key, index_key.attributes().chain(table_key.attributes()).map(|attribute| attribute.kind), arena)
}

fn decode<'a>(
    row_key: &'a [u8],
    kinds: impl Iterator<Item = KeyKind>,
    arena: &'a Bump,
) -> Result<&'a [KeyValue<'a>], Error> {
    let mut reader = Reader(row_key.get(SPACE_BYTES + HASH_BYTES..).ok_or_else(corrupt)?);
    let mut values = BumpVec::new_in(arena);
    for kind in kinds {
        values.push(reader.component(kind, arena).ok_or_else(corrupt)?);
    }
    if !reader.0.is_empty() {
        return Err(corrupt());
    }
    Ok(values.into_bump_slice())
}

fn corrupt() -> Error {
    Error::corrupt("the key of a row does not follow the format")
}

const TERMINATOR: u8 = 0x00;
const ESCAPE: u8 = 0x01;
/// What stands after `ESCAPE` is the escaped byte plus this.
const ESCAPED_OFFSET: u8 = 0x01;

fn escape(mut bytes: &[u8], key: &mut BumpVec<'_, u8>) {
    while let Some(position) = memchr::memchr2(TERMINATOR, ESCAPE, bytes) {
        key.extend_from_slice_copy(&bytes[..position]);
        key.extend_from_slice_copy(&[ESCAPE, bytes[position] + ESCAPED_OFFSET]);
        bytes = &bytes[position + 1..];
    }
    key.extend_from_slice_copy(bytes);
}

const NEGATIVE: u8 = 0x01;
const ZERO: u8 = 0x02;
const POSITIVE: u8 = 0x03;
const EXPONENT_BIAS: i32 = 129;
/// 38 digits begin on a pair, so they fill this many.
const PAIR_COUNT_MAX: usize = 19;

fn encode_number(number: Number<'_>, key: &mut BumpVec<'_, u8>) {
    let (negative, integer, fraction) = number.split();
    let integer = if integer == b"0" { b"" } else { integer };
    let mut digits = integer.iter().chain(fraction).copied();
    let leading_zeros =
        if integer.is_empty() { fraction.iter().take_while(|digit| **digit == b'0').count() } else { 0 };
    let exponent = integer.len() as i32 - leading_zeros as i32;
    if leading_zeros > 0 {
        digits.nth(leading_zeros - 1);
    }
    let significant = integer.len() + fraction.len() - leading_zeros;
    if significant == 0 {
        key.push(ZERO);
        return;
    }
    key.push(if negative { NEGATIVE } else { POSITIVE });
    let start = key.len();
    key.push((exponent + EXPONENT_BIAS) as u8);
    // A number is canonical, so only an integer has trailing zeros; what is beyond 38 digits is such zeros.
    for _ in 0..significant.div_ceil(2).min(PAIR_COUNT_MAX) {
        let mut digit = || digits.next().unwrap_or(b'0') & 0x0f;
        key.push(10 * digit() + digit() + 1);
    }
    while key.len() > start + 2 && key.last() == Some(&1) {
        key.pop();
    }
    key.push(TERMINATOR);
    if negative {
        key[start..].iter_mut().for_each(|byte| *byte = !*byte);
    }
}

/// The part of a key not read yet.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn component(&mut self, kind: KeyKind, arena: &'a Bump) -> Option<KeyValue<'a>> {
        match kind {
            KeyKind::S => std::str::from_utf8(self.string(arena)?).ok().map(KeyValue::S),
            KeyKind::B => self.string(arena).map(KeyValue::B),
            KeyKind::N => self.number(arena).map(KeyValue::N),
        }
    }

    fn string(&mut self, arena: &'a Bump) -> Option<&'a [u8]> {
        let end = memchr::memchr(TERMINATOR, self.0)?;
        let (mut escaped, rest) = (&self.0[..end], &self.0[end + 1..]);
        self.0 = rest;
        let Some(mut position) = memchr::memchr(ESCAPE, escaped) else { return Some(escaped) };
        let mut bytes = BumpVec::with_capacity_in(escaped.len(), arena);
        loop {
            bytes.extend_from_slice_copy(&escaped[..position]);
            let code = *escaped.get(position + 1)?;
            if !matches!(code, 1 | 2) {
                return None;
            }
            bytes.push(code - ESCAPED_OFFSET);
            escaped = &escaped[position + 2..];
            match memchr::memchr(ESCAPE, escaped) {
                Some(next) => position = next,
                None => break,
            }
        }
        bytes.extend_from_slice_copy(escaped);
        Some(bytes.into_bump_slice())
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn number(&mut self, arena: &'a Bump) -> Option<Number<'a>> {
        let complement = match self.byte()? {
            ZERO => return Some(Number::ZERO),
            POSITIVE => 0x00,
            NEGATIVE => 0xff,
            _ => return None,
        };
        let exponent = i32::from(self.byte()? ^ complement) - EXPONENT_BIAS;
        let mut digits: BumpVec<'_, u8> = BumpVec::with_capacity_in(2 * PAIR_COUNT_MAX, arena);
        loop {
            match self.byte()? ^ complement {
                TERMINATOR => break,
                pair @ 1..=100 if digits.len() < 2 * PAIR_COUNT_MAX => {
                    digits.extend_from_slice_copy(&[b'0' + (pair - 1) / 10, b'0' + (pair - 1) % 10]);
                }
                _ => return None,
            }
        }
        if digits.first()? == &b'0' || digits.ends_with(b"00") {
            return None;
        }
        if digits.last() == Some(&b'0') {
            digits.pop();
        }
        Some(plain_decimal(complement != 0, &digits, exponent, arena))
    }
}

/// The canonical text of `0.digits * 10^exponent`, whose first and last digits are not 0.
fn plain_decimal<'a>(negative: bool, digits: &[u8], exponent: i32, arena: &'a Bump) -> Number<'a> {
    let mut text =
        bumpalo::collections::String::with_capacity_in(digits.len() + exponent.unsigned_abs() as usize + 3, arena);
    if negative {
        text.push('-');
    }
    let integer_digits = exponent.max(0) as usize;
    if integer_digits == 0 {
        text.push('0');
    }
    for position in 0..integer_digits {
        text.push(char::from(digits.get(position).copied().unwrap_or(b'0')));
    }
    if digits.len() > integer_digits {
        text.push('.');
        (exponent..0).for_each(|_| text.push('0'));
        digits[integer_digits..].iter().for_each(|digit| text.push(char::from(*digit)));
    }
    Number::from_canonical(text.into_bump_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(value: KeyValue<'_>) -> Vec<u8> {
        let arena = Bump::new();
        let mut key = BumpVec::new_in(&arena);
        value.encode(&mut key);
        key.to_vec()
    }

    fn kind(value: KeyValue<'_>) -> KeyKind {
        match value {
            KeyValue::S(_) => KeyKind::S,
            KeyValue::N(_) => KeyKind::N,
            KeyValue::B(_) => KeyKind::B,
        }
    }

    fn check_round_trip(value: KeyValue<'_>) {
        let (arena, bytes) = (Bump::new(), encoded(value));
        let mut reader = Reader(&bytes);
        assert_eq!(reader.component(kind(value), &arena), Some(value));
        assert!(reader.0.is_empty());
    }

    fn check_order(left: KeyValue<'_>, right: KeyValue<'_>) {
        let by_value = left.into_value().compare(&right.into_value());
        assert_eq!(Some(encoded(left).cmp(&encoded(right))), by_value, "{left:?} {right:?}");
    }

    fn number(text: &str) -> KeyValue<'_> {
        KeyValue::N(Number::from_canonical(text))
    }

    #[test]
    fn components_are_the_documented_ones() {
        for (value, bytes) in [
            (KeyValue::S(""), &b"\0"[..]),
            (KeyValue::S("ab"), b"ab\0"),
            (KeyValue::B(b"\x00\x01\x02"), b"\x01\x01\x01\x02\x02\x00"),
            (number("0"), b"\x02"),
            (number("1"), b"\x03\x82\x0b\x00"),
            (number("-1"), b"\x01\x7d\xf4\xff"),
            (number("100"), b"\x03\x84\x0b\x00"),
            (number("12.345"), b"\x03\x83\x0d\x23\x33\x00"),
            (number("0.05"), b"\x03\x80\x33\x00"),
        ] {
            assert_eq!(encoded(value), bytes, "{value:?}");
        }
    }

    #[test]
    fn order_is_dynamodbs() {
        let strings =
            ["", "\0", "\0\0", "\0\u{1}", "\u{1}", "\u{1}\0", "\u{2}", "a", "a\0", "aa", "b", "c", "é", "\u{10000}"];
        let low = format!("0.{}1", "0".repeat(129));
        let high = format!("{}{}", "9".repeat(38), "0".repeat(88));
        let (low_negative, high_negative) = (format!("-{low}"), format!("-{high}"));
        let numbers = [
            high_negative.as_str(),
            "-100",
            "-10",
            "-9.5",
            "-9",
            "-1.01",
            "-1",
            "-0.9",
            "-0.09",
            &low_negative,
            "0",
            &low,
            "0.0999",
            "0.1",
            "0.12",
            "0.123",
            "0.2",
            "1",
            "1.5",
            "2",
            "9",
            "10",
            "10.01",
            "11",
            "99",
            "100",
            "101",
            "1000",
            &high,
        ];
        for pair in strings.windows(2) {
            assert!(encoded(KeyValue::S(pair[0])) < encoded(KeyValue::S(pair[1])), "{pair:?}");
        }
        for pair in numbers.windows(2) {
            assert!(encoded(number(pair[0])) < encoded(number(pair[1])), "{pair:?}");
        }
        strings.iter().for_each(|text| check_round_trip(KeyValue::S(text)));
        numbers.iter().for_each(|text| check_round_trip(number(text)));
    }

    #[test]
    fn a_row_key_is_space_hash_partition_sort() {
        let arena = Bump::new();
        let space = Space { table_id: 0x0102_0304, index_number: 5 };
        let key = space.row_key(&[KeyValue::S("p")], &[number("1")], &[KeyValue::S("q")], &arena);
        let mut expected = vec![1, 2, 3, 4, 0, 5];
        expected.extend_from_slice(&xxh3_64(b"p\0").to_be_bytes());
        expected.extend_from_slice(b"p\0\x03\x82\x0b\0q\0");
        assert_eq!(key, expected);
    }

    #[test]
    fn corrupt_components_are_refused() {
        let arena = Bump::new();
        for (kind, bytes) in [
            (KeyKind::S, &b"a"[..]),
            (KeyKind::S, b"\x01\0"),
            (KeyKind::S, b"\x01\x03\0"),
            (KeyKind::S, b"\xff\0"),
            (KeyKind::B, b""),
            (KeyKind::N, b""),
            (KeyKind::N, b"\x04\x82\x0b\0"),
            (KeyKind::N, b"\x03"),
            (KeyKind::N, b"\x03\x82\0"),
            (KeyKind::N, b"\x03\x82\x0b"),
            (KeyKind::N, b"\x03\x82\x0b\x01\0"),
            (KeyKind::N, b"\x03\x82\x02\0"),
            (KeyKind::N, b"\x03\x82\x65\0"),
            (KeyKind::N, &[&b"\x03\x82"[..], &[0x0b; 20], b"\0"].concat()),
        ] {
            assert_eq!(Reader(bytes).component(kind, &arena), None, "{kind:?} {bytes:?}");
        }
    }

    #[test]
    fn rows_with_missing_or_extra_components_are_corrupt() {
        let arena = Bump::new();
        let attribute = |name: &str, kind| crate::model::KeyAttribute { name: name.into(), kind };
        let schema = KeySchema { hash: vec![attribute("p", KeyKind::S)], range: vec![attribute("s", KeyKind::N)] };
        let values = [KeyValue::S("x\0"), number("-3.25")];
        let key = Space { table_id: 1, index_number: 0 }.row_key(&values[..1], &values[1..], &[], &arena);
        assert_eq!(decode_row_key(key, &schema, &arena), Ok(&values[..]));
        for length in 0..key.len() {
            assert!(decode_row_key(&key[..length], &schema, &arena).is_err(), "{length}");
        }
        let longer = [key, b"\0"].concat();
        assert!(decode_row_key(&longer, &schema, &arena).is_err());
        let index_key = Space { table_id: 1, index_number: 2 }.row_key(&values[1..], &[], &values, &arena);
        let index_schema = KeySchema { hash: vec![attribute("s", KeyKind::N)], range: vec![] };
        let decoded = decode_index_row_key(index_key, &index_schema, &schema, &arena).unwrap();
        assert_eq!(decoded, [values[1], values[0], values[1]]);
    }

    fn canonical(negative: bool, digits: &str, exponent: i32, arena: &Bump) -> String {
        let text = format!("{}0.{digits}e{exponent}", if negative { "-" } else { "" });
        Number::parse(arena.alloc_str(&text), arena).map_or("0".into(), |number| number.as_str().into())
    }

    proptest! {
        #[test]
        fn bytes_order_and_round_trip(left in prop::collection::vec(0u8..4, 0..6),
                                      right in prop::collection::vec(0u8..4, 0..6)) {
            let (left, right) = (KeyValue::B(&left), KeyValue::B(&right));
            check_round_trip(left);
            check_order(left, right);
        }

        #[test]
        fn strings_order_and_round_trip(left: String, right: String) {
            let (left, right) = (KeyValue::S(&left), KeyValue::S(&right));
            check_round_trip(left);
            check_order(left, right);
        }

        #[test]
        fn numbers_order_and_round_trip(left in (any::<bool>(), "[0-9]{1,38}", -135i32..130),
                                        right in (any::<bool>(), "[0-9]{1,38}", -135i32..130)) {
            let arena = Bump::new();
            let canonical = |(negative, digits, exponent): (bool, String, i32)| {
                canonical(negative, &digits, exponent, &arena)
            };
            let [left, right] = [left, right].map(canonical);
            let (left, right) = (number(&left), number(&right));
            check_round_trip(left);
            check_order(left, right);
        }

        #[test]
        fn corrupt_keys_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..40), kind in 0usize..3) {
            let arena = Bump::new();
            let kind = [KeyKind::S, KeyKind::N, KeyKind::B][kind];
            let mut reader = Reader(&bytes);
            if let Some(value) = reader.component(kind, &arena) {
                // One encoding per value: what decodes is what would be written.
                prop_assert_eq!(encoded(value), &bytes[..bytes.len() - reader.0.len()]);
            }
        }

        #[test]
        fn numbers_from_corrupt_items_never_panic(text in "[-0-9.x]{0,300}") {
            encoded(number(&text));
        }
    }
}
