//! The stored form of an item: tag, length, value.
//!
//! ```text
//! item     = version size map
//! version  = %x01
//! size     = u32 little-endian          -- DynamoDB's size of the item in bytes, so that capacity needs no decoding
//! map      = count { name value }       -- sorted by name, names distinct
//! name     = length bytes               -- UTF-8
//! value    = %x01 length bytes          -- String, UTF-8
//!          | %x02 length bytes          -- Number, canonical text
//!          | %x03 length bytes          -- Binary
//!          | %x04 ( %x00 | %x01 )       -- Bool
//!          | %x05                       -- Null
//!          | ( %x10 | %x11 | %x12 ) extent count { length bytes }   -- String, Number, Binary set, sorted
//!          | %x20 extent count { value }                            -- List
//!          | %x21 extent map                                        -- Map
//! extent   = u32 little-endian          -- bytes that follow up to the end of the value
//! count    = length = unsigned LEB128, at most five bytes
//! ```
//!
//! Invariants: any value can be skipped without looking inside it; the JSON answer is written straight from these bytes
//! (`RawValue`); one attribute is found without decoding the others. Bytes that break the grammar give [`Corrupt`].

use bumpalo::{Bump, collections::Vec as BumpVec};

use super::number::Number;
use super::value::{Attribute, Item, Map, Value};

/// Version of the format above.
const VERSION: u8 = 1;

const HEADER_BYTES: usize = 5;

/// Stored containers nest no deeper than DynamoDB's 32 levels; deeper bytes are corrupt, and would cost stack.
const DEPTH_MAX: u8 = 40;

/// Tags of the format above.
mod tag {
    pub const STRING: u8 = 0x01;
    pub const NUMBER: u8 = 0x02;
    pub const BINARY: u8 = 0x03;
    pub const BOOL: u8 = 0x04;
    pub const NULL: u8 = 0x05;
    pub const STRING_SET: u8 = 0x10;
    pub const NUMBER_SET: u8 = 0x11;
    pub const BINARY_SET: u8 = 0x12;
    pub const LIST: u8 = 0x20;
    pub const MAP: u8 = 0x21;
}

/// Stored bytes that do not follow the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

/// An item in its stored form, with a checked header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodedItem<'a>(&'a [u8]);

/// A stored value whose bytes have not been copied or checked for UTF-8.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RawValue<'a> {
    S(&'a [u8]),
    N(&'a [u8]),
    B(&'a [u8]),
    Bool(bool),
    Null,
    Ss(RawSet<'a>),
    Ns(RawSet<'a>),
    Bs(RawSet<'a>),
    L(RawList<'a>),
    M(RawMap<'a>),
}

/// Members of a stored set, in order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RawSet<'a>(Counted<'a>);

/// Elements of a stored list, in order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RawList<'a>(Counted<'a>);

/// Attributes of a stored map, by name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RawMap<'a>(Counted<'a>);

/// What is left to read of a counted sequence.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Counted<'a> {
    count: u32,
    /// How many containers may still stand inside each other in this one.
    depth_left: u8,
    reader: Reader<'a>,
}

impl<'a> EncodedItem<'a> {
    /// Checks the header. The body is checked as far as it is read.
    pub fn open(bytes: &'a [u8]) -> Result<EncodedItem<'a>, Corrupt> {
        if bytes.len() <= HEADER_BYTES || bytes[0] != VERSION {
            return Err(Corrupt);
        }
        Ok(EncodedItem(bytes))
    }

    /// Encodes `item` into `arena`.
    pub fn encode(item: Item<'_>, arena: &'a Bump) -> EncodedItem<'a> {
        let mut bytes = BumpVec::with_capacity_in(HEADER_BYTES + item.size() + 8 * item.len() + 8, arena);
        encode_into(item, &mut bytes);
        EncodedItem(bytes.into_bump_slice())
    }

    /// The same item in another arena.
    pub fn copied<'b>(&self, arena: &'b Bump) -> EncodedItem<'b> {
        EncodedItem(arena.alloc_slice_copy(self.0))
    }

    pub fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// DynamoDB's size of the item in bytes.
    pub fn size(&self) -> usize {
        u32::from_le_bytes([self.0[1], self.0[2], self.0[3], self.0[4]]) as usize
    }

    /// The attributes as stored.
    pub fn attributes(&self) -> Result<RawMap<'a>, Corrupt> {
        Reader(&self.0[HEADER_BYTES..]).counted(DEPTH_MAX).map(RawMap)
    }

    /// One attribute; the others are skipped.
    pub fn get(&self, name: &str, arena: &'a Bump) -> Result<Option<Value<'a>>, Corrupt> {
        match self.get_raw(name)? {
            Some(value) => value.decode(arena).map(Some),
            None => Ok(None),
        }
    }

    pub fn get_raw(&self, name: &str) -> Result<Option<RawValue<'a>>, Corrupt> {
        for attribute in self.attributes()? {
            let (stored, value) = attribute?;
            match stored.cmp(name.as_bytes()) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return Ok(Some(value)),
                std::cmp::Ordering::Greater => return Ok(None),
            }
        }
        Ok(None)
    }

    pub fn decode(&self, arena: &'a Bump) -> Result<Item<'a>, Corrupt> {
        decode_map(self.attributes()?, arena)
    }
}

/// Appends the stored form of `item` to any growing byte buffer.
fn encode_into(item: Item<'_>, bytes: &mut BumpVec<'_, u8>) {
    bytes.push(VERSION);
    bytes.extend_from_slice(&(item.size() as u32).to_le_bytes());
    encode_map(item, bytes);
}

fn encode_map(map: Map<'_>, bytes: &mut BumpVec<'_, u8>) {
    push_varint(bytes, map.len());
    for attribute in map {
        push_bytes(bytes, attribute.name.as_bytes());
        encode_value(attribute.value, bytes);
    }
}

fn encode_value(value: Value<'_>, bytes: &mut BumpVec<'_, u8>) {
    match value {
        Value::S(text) => push_scalar(bytes, tag::STRING, text.as_bytes()),
        Value::N(number) => push_scalar(bytes, tag::NUMBER, number.as_str().as_bytes()),
        Value::B(binary) => push_scalar(bytes, tag::BINARY, binary),
        Value::Bool(flag) => bytes.extend_from_slice(&[tag::BOOL, flag.into()]),
        Value::Null => bytes.push(tag::NULL),
        Value::Ss(members) => {
            push_set(bytes, tag::STRING_SET, members.len(), members.iter().map(|member| member.as_bytes()));
        }
        Value::Ns(members) => {
            push_set(bytes, tag::NUMBER_SET, members.len(), members.iter().map(|member| member.as_str().as_bytes()));
        }
        Value::Bs(members) => push_set(bytes, tag::BINARY_SET, members.len(), members.iter().copied()),
        Value::L(elements) => with_extent(bytes, tag::LIST, |bytes| {
            push_varint(bytes, elements.len());
            for element in elements {
                encode_value(*element, bytes);
            }
        }),
        Value::M(map) => with_extent(bytes, tag::MAP, |bytes| encode_map(map, bytes)),
    }
}

fn push_scalar(bytes: &mut BumpVec<'_, u8>, tag: u8, content: &[u8]) {
    bytes.push(tag);
    push_bytes(bytes, content);
}

fn push_set<'m>(bytes: &mut BumpVec<'_, u8>, tag: u8, count: usize, members: impl Iterator<Item = &'m [u8]>) {
    with_extent(bytes, tag, |bytes| {
        push_varint(bytes, count);
        members.for_each(|member| push_bytes(bytes, member));
    });
}

fn with_extent<'b>(bytes: &mut BumpVec<'b, u8>, tag: u8, content: impl FnOnce(&mut BumpVec<'b, u8>)) {
    bytes.push(tag);
    let start = bytes.len() + 4;
    bytes.extend_from_slice(&[0; 4]);
    content(bytes);
    let extent = (bytes.len() - start) as u32;
    bytes[start - 4..start].copy_from_slice(&extent.to_le_bytes());
}

fn push_bytes(bytes: &mut BumpVec<'_, u8>, content: &[u8]) {
    push_varint(bytes, content.len());
    bytes.extend_from_slice_copy(content);
}

fn push_varint(bytes: &mut BumpVec<'_, u8>, mut number: usize) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

impl<'a> RawValue<'a> {
    pub fn decode(self, arena: &'a Bump) -> Result<Value<'a>, Corrupt> {
        Ok(match self {
            RawValue::S(bytes) => Value::S(text(bytes)?),
            RawValue::N(bytes) => Value::N(number(bytes)?),
            RawValue::B(bytes) => Value::B(bytes),
            RawValue::Bool(flag) => Value::Bool(flag),
            RawValue::Null => Value::Null,
            RawValue::Ss(set) => Value::Ss(decode_set(set, arena, text)?),
            RawValue::Ns(set) => Value::Ns(decode_set(set, arena, number)?),
            RawValue::Bs(set) => Value::Bs(decode_set(set, arena, Ok)?),
            RawValue::L(list) => {
                let mut elements = BumpVec::with_capacity_in(list.0.capacity(), arena);
                for element in list {
                    elements.push(element?.decode(arena)?);
                }
                Value::L(elements.into_bump_slice())
            }
            RawValue::M(map) => Value::M(decode_map(map, arena)?),
        })
    }
}

fn decode_map<'a>(map: RawMap<'a>, arena: &'a Bump) -> Result<Map<'a>, Corrupt> {
    let mut attributes: BumpVec<'a, Attribute<'a>> = BumpVec::with_capacity_in(map.0.capacity(), arena);
    for attribute in map {
        let (name, value) = attribute?;
        let name = text(name)?;
        if attributes.last().is_some_and(|previous| previous.name >= name) {
            return Err(Corrupt);
        }
        attributes.push(Attribute { name, value: value.decode(arena)? });
    }
    Ok(Map::from_sorted(attributes.into_bump_slice()))
}

fn decode_set<'a, T>(
    set: RawSet<'a>,
    arena: &'a Bump,
    decode: impl Fn(&'a [u8]) -> Result<T, Corrupt>,
) -> Result<&'a [T], Corrupt> {
    let mut members = BumpVec::with_capacity_in(set.0.capacity(), arena);
    for member in set {
        members.push(decode(member?)?);
    }
    Ok(members.into_bump_slice())
}

fn text(bytes: &[u8]) -> Result<&str, Corrupt> {
    std::str::from_utf8(bytes).map_err(|_| Corrupt)
}

fn number(bytes: &[u8]) -> Result<Number<'_>, Corrupt> {
    Number::canonical(text(bytes)?).ok_or(Corrupt)
}

impl<'a> Counted<'a> {
    /// Room for all elements, without trusting a corrupt count: an element has at least one byte.
    fn capacity(&self) -> usize {
        (self.count as usize).min(self.reader.0.len())
    }

    /// One more element, read by `read`; after an error nothing more comes.
    fn next<T>(&mut self, read: impl FnOnce(&mut Reader<'a>, u8) -> Result<T, Corrupt>) -> Option<Result<T, Corrupt>> {
        self.count = self.count.checked_sub(1)?;
        let element = read(&mut self.reader, self.depth_left);
        if element.is_err() {
            self.count = 0;
        }
        Some(element)
    }
}

macro_rules! counted_iterator {
    ($name:ident, $item:ty, $read:expr) => {
        impl<'a> $name<'a> {
            /// Elements not read yet.
            pub fn len(&self) -> usize {
                self.0.count as usize
            }

            pub fn is_empty(&self) -> bool {
                self.0.count == 0
            }
        }

        impl<'a> Iterator for $name<'a> {
            type Item = Result<$item, Corrupt>;

            fn next(&mut self) -> Option<Self::Item> {
                self.0.next($read)
            }
        }
    };
}

counted_iterator!(RawSet, &'a [u8], |reader, _| reader.bytes());
counted_iterator!(RawList, RawValue<'a>, |reader, depth_left| reader.value(depth_left));
counted_iterator!(RawMap, (&'a [u8], RawValue<'a>), |reader, depth_left| Ok((
    reader.bytes()?,
    reader.value(depth_left)?
)));

/// The bytes not read yet.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Corrupt> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Corrupt)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Corrupt> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn varint(&mut self) -> Result<usize, Corrupt> {
        let mut number = 0usize;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            number |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Corrupt)
    }

    fn bytes(&mut self) -> Result<&'a [u8], Corrupt> {
        let length = self.varint()?;
        self.take(length)
    }

    /// All that is left, as a counted sequence.
    fn counted(mut self, depth_left: u8) -> Result<Counted<'a>, Corrupt> {
        let count = self.varint()?.try_into().map_err(|_| Corrupt)?;
        Ok(Counted { count, depth_left, reader: self })
    }

    /// The content of a set, list or map, of which `depth_left` may still stand inside each other.
    fn container(&mut self, depth_left: u8) -> Result<Counted<'a>, Corrupt> {
        let extent = self.take(4)?;
        let extent = u32::from_le_bytes([extent[0], extent[1], extent[2], extent[3]]);
        Reader(self.take(extent as usize)?).counted(depth_left.checked_sub(1).ok_or(Corrupt)?)
    }

    fn value(&mut self, depth_left: u8) -> Result<RawValue<'a>, Corrupt> {
        Ok(match self.byte()? {
            tag::STRING => RawValue::S(self.bytes()?),
            tag::NUMBER => RawValue::N(self.bytes()?),
            tag::BINARY => RawValue::B(self.bytes()?),
            tag::BOOL => match self.byte()? {
                0 => RawValue::Bool(false),
                1 => RawValue::Bool(true),
                _ => return Err(Corrupt),
            },
            tag::NULL => RawValue::Null,
            tag::STRING_SET => RawValue::Ss(RawSet(self.container(depth_left)?)),
            tag::NUMBER_SET => RawValue::Ns(RawSet(self.container(depth_left)?)),
            tag::BINARY_SET => RawValue::Bs(RawSet(self.container(depth_left)?)),
            tag::LIST => RawValue::L(RawList(self.container(depth_left)?)),
            tag::MAP => RawValue::M(RawMap(self.container(depth_left)?)),
            _ => return Err(Corrupt),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::value::sort_set;
    use super::*;
    use proptest::prelude::*;

    fn example(arena: &Bump) -> Item<'_> {
        let inner = arena.alloc([Attribute { name: "k.x", value: Value::M(Map::EMPTY) }]);
        let list = arena.alloc([Value::N(Number::from_canonical("100")), Value::S("x"), Value::Null]);
        Map::from_sorted(arena.alloc([
            Attribute { name: "b", value: Value::B(&[0, 1, 255]) },
            Attribute { name: "bs", value: Value::Bs(arena.alloc([&b"\x01"[..]])) },
            Attribute { name: "l", value: Value::L(list) },
            Attribute { name: "m", value: Value::M(Map::from_sorted(inner)) },
            Attribute { name: "n", value: Value::N(Number::from_canonical("-7.5")) },
            Attribute { name: "ns", value: Value::Ns(arena.alloc([Number::from_canonical("1")])) },
            Attribute { name: "s", value: Value::S("") },
            Attribute { name: "ss", value: Value::Ss(arena.alloc(["a", "b"])) },
            Attribute { name: "t", value: Value::Bool(true) },
        ]))
    }

    #[test]
    fn the_layout_is_the_documented_one() {
        let arena = Bump::new();
        let item = Map::from_sorted(arena.alloc([
            Attribute { name: "a", value: Value::S("xy") },
            Attribute { name: "l", value: Value::L(arena.alloc([Value::Bool(false), Value::Null])) },
        ]));
        let encoded = EncodedItem::encode(item, &arena);
        assert_eq!(
            encoded.as_bytes(),
            [1, 11, 0, 0, 0, 2, 1, b'a', 1, 2, b'x', b'y', 1, b'l', 0x20, 4, 0, 0, 0, 2, 4, 0, 5]
        );
        assert_eq!(encoded.size(), item.size());
    }

    #[test]
    fn round_trip_and_single_attributes() {
        let arena = Bump::new();
        let item = example(&arena);
        let encoded = EncodedItem::encode(item, &arena);
        assert_eq!(encoded.decode(&arena), Ok(item));
        for attribute in item {
            assert_eq!(encoded.get(attribute.name, &arena), Ok(Some(attribute.value)));
        }
        assert_eq!(encoded.get("absent", &arena), Ok(None));
    }

    #[test]
    fn every_truncation_is_corrupt() {
        let arena = Bump::new();
        let encoded = EncodedItem::encode(example(&arena), &arena);
        for length in 0..encoded.as_bytes().len() {
            let decoded = EncodedItem::open(&encoded.as_bytes()[..length]).and_then(|item| item.decode(&arena));
            assert_eq!(decoded, Err(Corrupt), "{length}");
        }
    }

    /// An item with one attribute of `depth` lists inside each other, the innermost empty.
    fn nested_lists(depth: usize) -> Vec<u8> {
        let mut bytes = vec![VERSION, 0, 0, 0, 0, 1, 1, b'a'];
        for inner in (0..depth).rev() {
            bytes.push(tag::LIST);
            bytes.extend_from_slice(&(6 * inner as u32 + 1).to_le_bytes());
            bytes.push(u8::from(inner > 0));
        }
        bytes
    }

    #[test]
    fn nesting_is_bounded_however_the_item_is_read() {
        let arena = Bump::new();
        for (depth, expected) in [(1, Ok(())), (40, Ok(())), (41, Err(Corrupt)), (100_000, Err(Corrupt))] {
            let bytes = nested_lists(depth);
            let item = EncodedItem::open(&bytes).unwrap();
            assert_eq!(item.decode(&arena).map(drop), expected, "{depth}");
            assert_eq!(item.get("a", &arena).map(drop), expected, "{depth}");
            let mut raw = item.get_raw("a").map(Option::unwrap);
            while let Ok(RawValue::L(mut list)) = raw {
                raw = list.next().unwrap_or(Ok(RawValue::Null));
            }
            assert_eq!(raw.map(drop), expected, "{depth}");
        }
    }

    #[test]
    fn numbers_are_canonical_or_corrupt() {
        let arena = Bump::new();
        for (number, expected) in [("-7.5", Ok(())), ("0", Ok(())), ("1e5", Err(Corrupt)), ("", Err(Corrupt))] {
            let mut bytes = vec![VERSION, 0, 0, 0, 0, 1, 1, b'a', tag::NUMBER, number.len() as u8];
            bytes.extend_from_slice(number.as_bytes());
            let item = EncodedItem::open(&bytes).unwrap();
            assert_eq!(item.decode(&arena).map(drop), expected, "{number:?}");
        }
    }

    fn value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            any::<String>().prop_map(serde_json::Value::from),
            any::<bool>().prop_map(serde_json::Value::from),
            any::<i64>().prop_map(serde_json::Value::from),
            Just(serde_json::Value::Null),
        ];
        leaf.prop_recursive(6, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..6).prop_map(serde_json::Value::from_iter),
            ]
        })
    }

    fn from_json<'a>(json: &serde_json::Value, arena: &'a Bump) -> Value<'a> {
        match json {
            serde_json::Value::String(text) => Value::S(arena.alloc_str(text)),
            serde_json::Value::Bool(flag) => Value::Bool(*flag),
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Number(number) => {
                Value::N(Number::parse(arena.alloc_str(&number.to_string()), arena).expect("an i64"))
            }
            serde_json::Value::Array(elements) => {
                let mut texts: Vec<&str> = elements.iter().filter_map(|element| element.as_str()).collect();
                if !texts.is_empty() && texts.len() == elements.len() && sort_set(&mut texts) {
                    let members = texts.iter().map(|text| &*arena.alloc_str(text));
                    return Value::Ss(arena.alloc_slice_fill_iter(members.collect::<Vec<_>>()));
                }
                Value::L(arena.alloc_slice_fill_iter(elements.iter().map(|element| from_json(element, arena))))
            }
            serde_json::Value::Object(object) => {
                let mut attributes = BumpVec::new_in(arena);
                for (name, value) in object {
                    attributes.push(Attribute { name: arena.alloc_str(name), value: from_json(value, arena) });
                }
                Value::M(Map::from_unsorted(attributes))
            }
        }
    }

    proptest! {
        #[test]
        fn any_item_round_trips(json in prop::collection::btree_map(any::<String>(), value(), 0..8)) {
            let arena = Bump::new();
            let Value::M(item) = from_json(&serde_json::Value::from_iter(json), &arena) else { unreachable!() };
            let encoded = EncodedItem::encode(item, &arena);
            prop_assert_eq!(encoded.decode(&arena), Ok(item));
            prop_assert_eq!(encoded.size(), item.size());
        }

        #[test]
        fn corrupt_bytes_never_panic(mut flips in prop::collection::vec((0usize..200, any::<u8>()), 1..6),
                                     noise in prop::collection::vec(any::<u8>(), 0..64)) {
            let arena = Bump::new();
            let mut bytes = EncodedItem::encode(example(&arena), &arena).as_bytes().to_vec();
            for (position, byte) in flips.drain(..) {
                let position = position % bytes.len();
                bytes[position] = byte;
            }
            for bytes in [&bytes, &noise] {
                let arena = Bump::new();
                if let Ok(item) = EncodedItem::open(bytes) {
                    // A flipped letter is still an item: whatever decodes must be a value that encodes again.
                    if let Ok(decoded) = item.decode(&arena) {
                        prop_assert_eq!(EncodedItem::encode(decoded, &arena).decode(&arena), Ok(decoded));
                    }
                }
            }
        }
    }
}
