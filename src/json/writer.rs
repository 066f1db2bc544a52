//! Answers as JSON, appended to a reused buffer; stored items are written straight from their bytes.

use base64::prelude::{BASE64_STANDARD, Engine};

use crate::error::{ApiError, CancellationReason, Detail};
use crate::model::{Corrupt, EncodedItem, Item, Map, RawMap, RawValue, Value};

/// Appends one JSON value after the other and puts commas between them.
pub struct Writer<'o> {
    out: &'o mut Vec<u8>,
    /// The next name or element follows another one.
    comma: bool,
}

impl<'o> Writer<'o> {
    pub fn new(out: &'o mut Vec<u8>) -> Writer<'o> {
        Writer { out, comma: false }
    }

    /// Bytes in the buffer.
    pub fn length(&self) -> usize {
        self.out.len()
    }

    pub fn object(&mut self, members: impl FnOnce(&mut Self)) {
        self.separate();
        self.out.push(b'{');
        self.comma = false;
        members(self);
        self.out.push(b'}');
        self.comma = true;
    }

    pub fn array(&mut self, elements: impl FnOnce(&mut Self)) {
        self.separate();
        self.out.push(b'[');
        self.comma = false;
        elements(self);
        self.out.push(b']');
        self.comma = true;
    }

    /// Opens an object or array that is closed by [`Writer::close`]: for content that is produced bit by bit.
    pub fn open(&mut self, bracket: u8) {
        self.separate();
        self.out.push(bracket);
        self.comma = false;
    }

    pub fn close(&mut self, bracket: u8) {
        self.out.push(bracket);
        self.comma = true;
    }

    /// The name of a member; a value is to follow.
    pub fn name(&mut self, name: &str) -> &mut Self {
        self.string(name);
        self.out.push(b':');
        self.comma = false;
        self
    }

    pub fn string(&mut self, text: &str) {
        self.string_bytes(text.as_bytes());
    }

    pub fn integer(&mut self, number: impl itoa::Integer) {
        self.separate();
        self.out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        self.comma = true;
    }

    pub fn boolean(&mut self, flag: bool) {
        self.separate();
        self.out.extend_from_slice(if flag { b"true" } else { b"false" });
        self.comma = true;
    }

    /// Capacity units: halves, always with a fraction (`1.0`).
    pub fn units(&mut self, halves: u64) {
        self.integer(halves / 2);
        self.out.extend_from_slice(if halves.is_multiple_of(2) { b".0" } else { b".5" });
    }

    /// A point in time: seconds with milliseconds as fraction.
    pub fn timestamp(&mut self, epoch_ms: u64) {
        self.integer(epoch_ms / 1000);
        let ms = epoch_ms % 1000;
        if ms > 0 {
            self.out.extend_from_slice(&[b'.', b'0' + (ms / 100) as u8, b'0' + (ms / 10 % 10) as u8]);
            self.out.push(b'0' + (ms % 10) as u8);
        }
    }

    /// `{"a":{"S":"x"},…}` from the stored form.
    pub fn stored_item(&mut self, item: EncodedItem<'_>) -> Result<(), Corrupt> {
        self.raw_map(item.attributes()?)
    }

    pub fn item(&mut self, item: Item<'_>) {
        self.map(item);
    }

    pub fn map(&mut self, map: Map<'_>) {
        self.open(b'{');
        for attribute in map {
            self.name(attribute.name).value(attribute.value);
        }
        self.close(b'}');
    }

    /// `{"S":"x"}`
    pub fn value(&mut self, value: Value<'_>) {
        self.open(b'{');
        self.name(value.type_name());
        match value {
            Value::S(text) => self.string(text),
            Value::N(number) => self.plain_string(number.as_str().as_bytes()),
            Value::B(bytes) => self.base64(bytes),
            Value::Bool(flag) => self.boolean(flag),
            Value::Null => self.boolean(true),
            Value::Ss(members) => self.array(|writer| members.iter().for_each(|member| writer.string(member))),
            Value::Ns(members) => {
                self.array(|writer| members.iter().for_each(|member| writer.plain_string(member.as_str().as_bytes())));
            }
            Value::Bs(members) => self.array(|writer| members.iter().for_each(|member| writer.base64(member))),
            Value::L(elements) => self.array(|writer| elements.iter().for_each(|element| writer.value(*element))),
            Value::M(map) => self.map(map),
        }
        self.close(b'}');
    }

    fn raw_map(&mut self, map: RawMap<'_>) -> Result<(), Corrupt> {
        self.open(b'{');
        for attribute in map {
            let (name, value) = attribute?;
            self.string_bytes(name);
            self.out.push(b':');
            self.comma = false;
            self.raw_value(value)?;
        }
        self.close(b'}');
        Ok(())
    }

    pub fn raw_value(&mut self, value: RawValue<'_>) -> Result<(), Corrupt> {
        self.separate();
        match value {
            RawValue::S(text) => {
                self.typed(b"{\"S\":");
                self.string_bytes(text);
            }
            RawValue::N(number) => {
                self.typed(b"{\"N\":");
                self.plain_string(number);
            }
            RawValue::B(bytes) => {
                self.typed(b"{\"B\":");
                self.base64(bytes);
            }
            RawValue::Bool(flag) => {
                self.typed(b"{\"BOOL\":");
                self.boolean(flag);
            }
            RawValue::Null => self.typed(b"{\"NULL\":true"),
            RawValue::Ss(members) => self.raw_elements(b"{\"SS\":", members, |writer, member| {
                writer.string_bytes(member);
                Ok(())
            })?,
            RawValue::Ns(members) => self.raw_elements(b"{\"NS\":", members, |writer, member| {
                writer.plain_string(member);
                Ok(())
            })?,
            RawValue::Bs(members) => self.raw_elements(b"{\"BS\":", members, |writer, member| {
                writer.base64(member);
                Ok(())
            })?,
            RawValue::L(elements) => self.raw_elements(b"{\"L\":", elements, Self::raw_value)?,
            RawValue::M(map) => {
                self.typed(b"{\"M\":");
                self.raw_map(map)?;
            }
        }
        self.close(b'}');
        Ok(())
    }

    fn raw_elements<T>(
        &mut self,
        opening: &[u8],
        elements: impl Iterator<Item = Result<T, Corrupt>>,
        mut write: impl FnMut(&mut Self, T) -> Result<(), Corrupt>,
    ) -> Result<(), Corrupt> {
        self.typed(opening);
        self.open(b'[');
        for element in elements {
            write(self, element?)?;
        }
        self.close(b']');
        Ok(())
    }

    /// The opening of an attribute value up to its content.
    fn typed(&mut self, opening: &[u8]) {
        self.out.extend_from_slice(opening);
        self.comma = false;
    }

    fn separate(&mut self) {
        if self.comma {
            self.out.push(b',');
        }
    }

    /// A string that needs no escapes: numbers and base64.
    fn plain_string(&mut self, text: &[u8]) {
        self.separate();
        self.out.push(b'"');
        self.out.extend_from_slice(text);
        self.out.push(b'"');
        self.comma = true;
    }

    fn base64(&mut self, bytes: &[u8]) {
        self.separate();
        self.out.push(b'"');
        let start = self.out.len();
        self.out.resize(start + bytes.len().div_ceil(3) * 4, 0);
        let written = BASE64_STANDARD.encode_slice(bytes, &mut self.out[start..]).expect("sized for the input");
        debug_assert_eq!(start + written, self.out.len());
        self.out.push(b'"');
        self.comma = true;
    }

    /// UTF-8 text with what JSON demands escaped.
    fn string_bytes(&mut self, text: &[u8]) {
        self.separate();
        self.out.push(b'"');
        let mut rest = text;
        while let Some(position) = first_escape(rest) {
            self.out.extend_from_slice(&rest[..position]);
            self.escape(rest[position]);
            rest = &rest[position + 1..];
        }
        self.out.extend_from_slice(rest);
        self.out.push(b'"');
        self.comma = true;
    }

    #[cold]
    fn escape(&mut self, byte: u8) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        match byte {
            b'"' => self.out.extend_from_slice(b"\\\""),
            b'\\' => self.out.extend_from_slice(b"\\\\"),
            b'\n' => self.out.extend_from_slice(b"\\n"),
            b'\r' => self.out.extend_from_slice(b"\\r"),
            b'\t' => self.out.extend_from_slice(b"\\t"),
            _ => {
                self.out.extend_from_slice(b"\\u00");
                self.out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
        }
    }
}

/// Index of the first byte that JSON wants escaped. Whole blocks are tested at once, which the compiler vectorizes.
fn first_escape(text: &[u8]) -> Option<usize> {
    const BLOCK: usize = 32;
    let needs_escape = |byte: u8| (byte < 0x20) | (byte == b'"') | (byte == b'\\');
    let mut start = 0;
    for block in text.chunks_exact(BLOCK) {
        if block.iter().fold(false, |found, &byte| found | needs_escape(byte)) {
            break;
        }
        start += BLOCK;
    }
    text[start..].iter().position(|&byte| needs_escape(byte)).map(|position| start + position)
}

/// The body of an error answer.
pub fn write_error(error: &ApiError, out: &mut Vec<u8>) -> Result<(), Corrupt> {
    let (namespace, name, _, text_member) = error.kind.wire();
    let mut writer = Writer::new(out);
    writer.open(b'{');
    writer.name("__type").plain_string(&[namespace.as_bytes(), name.as_bytes()].concat());
    if !error.message.is_empty() {
        writer.name(text_member).string(&error.message);
    }
    match &error.detail {
        Detail::None => {}
        Detail::Item(item) => writer.name("Item").stored_item(EncodedItem::open(item)?)?,
        Detail::Reasons(reasons) => {
            writer.name("CancellationReasons");
            writer.open(b'[');
            for reason in reasons {
                write_reason(reason, &mut writer)?;
            }
            writer.close(b']');
        }
    }
    writer.close(b'}');
    Ok(())
}

fn write_reason(reason: &CancellationReason, writer: &mut Writer<'_>) -> Result<(), Corrupt> {
    writer.open(b'{');
    writer.name("Code").string(reason.code);
    if let Some(message) = &reason.message {
        writer.name("Message").string(message);
    }
    if let Some(item) = &reason.item {
        writer.name("Item").stored_item(EncodedItem::open(item)?)?;
    }
    writer.close(b'}');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Attribute, Number};
    use bumpalo::Bump;
    use proptest::prelude::*;

    fn written(write: impl FnOnce(&mut Writer)) -> String {
        let mut out = Vec::new();
        write(&mut Writer::new(&mut out));
        String::from_utf8(out).expect("JSON is UTF-8")
    }

    #[test]
    fn both_forms_of_an_item_give_the_same_json() {
        let arena = Bump::new();
        let inner = arena.alloc([Attribute { name: "k\"", value: Value::M(Map::EMPTY) }]);
        let item = Map::from_sorted(arena.alloc([
            Attribute { name: "b", value: Value::B(&[0, 1, 255]) },
            Attribute { name: "bs", value: Value::Bs(arena.alloc([&b"\x01"[..], b"\x02"])) },
            Attribute { name: "l", value: Value::L(arena.alloc([Value::Null, Value::Bool(false), Value::L(&[])])) },
            Attribute { name: "m", value: Value::M(Map::from_sorted(inner)) },
            Attribute { name: "n", value: Value::N(Number::from_canonical("-7.5")) },
            Attribute { name: "ns", value: Value::Ns(arena.alloc([Number::from_canonical("1")])) },
            Attribute { name: "s", value: Value::S("a\nb\u{1}é") },
            Attribute { name: "ss", value: Value::Ss(arena.alloc(["a", "b"])) },
        ]));
        let expected = concat!(
            r#"{"b":{"B":"AAH/"},"bs":{"BS":["AQ==","Ag=="]},"l":{"L":[{"NULL":true},{"BOOL":false},{"L":[]}]},"#,
            r#""m":{"M":{"k\"":{"M":{}}}},"n":{"N":"-7.5"},"ns":{"NS":["1"]},"s":{"S":"a\nb\u0001é"},"#,
            r#""ss":{"SS":["a","b"]}}"#
        );
        assert_eq!(written(|writer| writer.item(item)), expected);
        let stored = EncodedItem::encode(item, &arena);
        assert_eq!(written(|writer| writer.stored_item(stored).expect("sound")), expected);
    }

    #[test]
    fn nesting_that_no_item_has_is_corrupt_and_costs_no_stack() {
        let mut bytes = vec![1, 0, 0, 0, 0, 1, 1, b'a'];
        for extent in (0..50_000u32).rev().map(|inner| 6 * inner + 1) {
            bytes.push(0x20);
            bytes.extend_from_slice(&extent.to_le_bytes());
            bytes.push(u8::from(extent > 1));
        }
        let stored = EncodedItem::open(&bytes).expect("a header");
        assert_eq!(Writer::new(&mut Vec::new()).stored_item(stored), Err(Corrupt));
    }

    #[test]
    fn numbers_of_the_protocol() {
        let text = written(|writer| {
            writer.array(|writer| {
                writer.units(1);
                writer.units(2);
                writer.timestamp(1_772_345_678_123);
                writer.timestamp(1_772_345_678_007);
                writer.timestamp(1_772_345_678_000);
            });
        });
        assert_eq!(text, "[0.5,1.0,1772345678.123,1772345678.007,1772345678]");
    }

    #[test]
    fn error_bodies() {
        let mut out = Vec::new();
        write_error(&ApiError::malformed(), &mut out).expect("no item");
        assert_eq!(out, br#"{"__type":"com.amazon.coral.service#SerializationException"}"#);
        out.clear();
        let item = Map::from_sorted(&[Attribute { name: "a", value: Value::S("x") }]);
        let arena = Bump::new();
        let stored = EncodedItem::encode(item, &arena).as_bytes().into();
        write_error(&ApiError::condition_failed(Some(stored)), &mut out).expect("a sound item");
        assert_eq!(
            String::from_utf8_lossy(&out),
            concat!(
                r#"{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException","#,
                r#""message":"The conditional request failed","Item":{"a":{"S":"x"}}}"#
            )
        );
    }

    proptest! {
        #[test]
        fn any_string_reads_back(text in any::<String>(), padding in 0usize..70) {
            let text = format!("{}{text}", "x".repeat(padding));
            let json = written(|writer| writer.string(&text));
            prop_assert_eq!(serde_json::from_str::<String>(&json).expect("valid JSON"), text);
        }
    }
}
