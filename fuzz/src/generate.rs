//! Values from a fuzzer's bytes, and what every value must hold to.
//!
//! Names, texts and numbers come from small vocabularies most of the time, so that generated values meet each other and
//! the expressions under test.

use arbitrary::{Result, Unstructured};
use bumpalo::{Bump, collections::Vec as BumpVec};

use crate::model::limits::NESTING_DEPTH_MAX;
use crate::model::value::sort_set;
use crate::model::{Attribute, Item, Map, Number, Value};

/// Attribute names that expressions in the seeds use too, and the kind of value that most items have there.
const NAMES: [(&str, Option<Kind>); 10] = [
    ("a", None),
    ("b", None),
    ("c", None),
    ("d", Some(Kind::M)),
    ("k", None),
    ("l", Some(Kind::L)),
    ("m", Some(Kind::M)),
    ("n", Some(Kind::N)),
    ("s", Some(Kind::Ss)),
    ("x.y", None),
];

#[derive(Clone, Copy)]
enum Kind {
    S,
    N,
    B,
    Bool,
    Null,
    Ss,
    Ns,
    Bs,
    L,
    M,
}

/// Scalars and sets first.
const KINDS: [Kind; 10] =
    [Kind::S, Kind::N, Kind::B, Kind::Bool, Kind::Null, Kind::Ss, Kind::Ns, Kind::Bs, Kind::L, Kind::M];
const FLAT_KIND_COUNT: usize = 8;

const TEXTS: [&str; 8] = ["", "a", "ab", "abc", "S", "N", "\u{0}", "é\u{10000}"];

/// Containers deeper than this hold scalars and sets only.
const DEPTH_MAX: usize = 5;

const ELEMENTS_MAX: usize = 6;

/// Of a text or binary: short ones leave bytes for the rest of an item.
const BYTES_MAX: usize = 8;

pub fn text<'a>(input: &mut Unstructured<'_>, arena: &'a Bump) -> Result<&'a str> {
    if input.ratio(3, 4)? {
        return input.choose(&TEXTS).copied();
    }
    Ok(arena.alloc_str(&String::from_utf8_lossy(bytes(input, arena)?)))
}

pub fn bytes<'a>(input: &mut Unstructured<'_>, arena: &'a Bump) -> Result<&'a [u8]> {
    let count = input.int_in_range(0..=BYTES_MAX)?.min(input.len());
    Ok(arena.alloc_slice_copy(input.bytes(count)?))
}

/// A number of any magnitude and length, the edges of both included.
pub fn number<'a>(input: &mut Unstructured<'_>, arena: &'a Bump) -> Result<Number<'a>> {
    let written = match input.int_in_range(0..=3u8)? {
        0 => input.arbitrary::<i8>()?.to_string(),
        1 => format!("{}e{}", input.arbitrary::<i128>()? / 10, input.int_in_range(-130..=88i32)?),
        2 => format!("{}e{}", input.arbitrary::<i16>()?, input.int_in_range(-130..=125i32)?),
        _ => format!("{}.{:03}", input.arbitrary::<i16>()?, input.int_in_range(0..=999u32)?),
    };
    Ok(Number::parse(arena.alloc_str(&written), arena).unwrap_or(Number::ZERO))
}

pub fn value<'a>(input: &mut Unstructured<'_>, arena: &'a Bump) -> Result<Value<'a>> {
    let mut value = any_value(input, arena, DEPTH_MAX)?;
    // Once in a while as deep as an item may hold it.
    if input.ratio(1, 16)? {
        for _ in value.depth()..NESTING_DEPTH_MAX {
            value = Value::L(arena.alloc([value]));
        }
    }
    Ok(value)
}

pub fn item<'a>(input: &mut Unstructured<'_>, arena: &'a Bump) -> Result<Item<'a>> {
    let mut attributes = BumpVec::new_in(arena);
    for (name, usual_kind) in NAMES {
        let value = match (input.int_in_range(0..=3u8)?, usual_kind) {
            (0 | 1, Some(kind)) => value_of_kind(kind, input, arena, DEPTH_MAX)?,
            (0..=2, _) => value(input, arena)?,
            _ => continue,
        };
        attributes.push(Attribute { name, value });
    }
    Ok(Map::from_unsorted(attributes))
}

fn any_value<'a>(input: &mut Unstructured<'_>, arena: &'a Bump, depth_left: usize) -> Result<Value<'a>> {
    let kinds = if depth_left == 0 { &KINDS[..FLAT_KIND_COUNT] } else { &KINDS };
    value_of_kind(*input.choose(kinds)?, input, arena, depth_left)
}

/// A list or map holds values of up to `depth_left - 1` levels.
fn value_of_kind<'a>(
    kind: Kind,
    input: &mut Unstructured<'_>,
    arena: &'a Bump,
    depth_left: usize,
) -> Result<Value<'a>> {
    Ok(match kind {
        Kind::S => Value::S(text(input, arena)?),
        Kind::N => Value::N(number(input, arena)?),
        Kind::B => Value::B(bytes(input, arena)?),
        Kind::Bool => Value::Bool(input.arbitrary()?),
        Kind::Null => Value::Null,
        Kind::Ss => Value::Ss(set(input, arena, text)?),
        Kind::Ns => Value::Ns(set(input, arena, number)?),
        Kind::Bs => Value::Bs(set(input, arena, bytes)?),
        Kind::L => {
            let mut elements = BumpVec::new_in(arena);
            for _ in 0..input.int_in_range(0..=ELEMENTS_MAX)? {
                elements.push(any_value(input, arena, depth_left - 1)?);
            }
            Value::L(elements.into_bump_slice())
        }
        Kind::M => {
            let mut attributes = BumpVec::new_in(arena);
            for _ in 0..input.int_in_range(0..=ELEMENTS_MAX)? {
                let (name, _) = *input.choose(&NAMES)?;
                attributes.push(Attribute { name, value: any_value(input, arena, depth_left - 1)? });
            }
            Value::M(Map::from_unsorted(attributes))
        }
    })
}

fn set<'a, T: Ord + Copy>(
    input: &mut Unstructured<'_>,
    arena: &'a Bump,
    member: fn(&mut Unstructured<'_>, &'a Bump) -> Result<T>,
) -> Result<&'a [T]> {
    let mut members = vec![member(input, arena)?];
    for _ in 0..input.int_in_range(0..=ELEMENTS_MAX)? {
        members.push(member(input, arena)?);
    }
    if !sort_set(&mut members) {
        members.dedup();
    }
    Ok(arena.alloc_slice_copy(&members))
}

/// Panics unless the value keeps the invariants of `model/value.rs`.
pub fn check_value(value: &Value<'_>) {
    fn check_set<T: Ord + std::fmt::Debug>(members: &[T]) {
        assert!(!members.is_empty(), "an empty set");
        assert!(members.windows(2).all(|pair| pair[0] < pair[1]), "unsorted: {members:?}");
    }
    match value {
        Value::S(_) | Value::B(_) | Value::Bool(_) | Value::Null => {}
        Value::N(number) => check_number(*number),
        Value::Ss(members) => check_set(members),
        Value::Ns(members) => {
            check_set(members);
            members.iter().for_each(|number| check_number(*number));
        }
        Value::Bs(members) => check_set(members),
        Value::L(elements) => elements.iter().for_each(check_value),
        Value::M(map) => check_map(*map),
    }
}

pub fn check_map(map: Map<'_>) {
    assert!(map.attributes().windows(2).all(|pair| pair[0].name < pair[1].name), "unsorted names");
    map.iter().for_each(|attribute| check_value(&attribute.value));
}

/// Panics unless the number is in canonical form.
pub fn check_number(number: Number<'_>) {
    let arena = Bump::new();
    assert_eq!(Number::parse(number.as_str(), &arena), Ok(number), "not canonical");
}
