//! Values from a fuzzer's bytes, and what every value must hold to.
//!
//! Names, texts and numbers come from small vocabularies most of the time, so that generated values meet each other and
//! the expressions under test.

use arbitrary::{Result, Unstructured};
use bumpalo::{Bump, collections::Vec as BumpVec};

use crate::model::limits::NESTING_DEPTH_MAX;
use crate::model::value::sort_set;
use crate::model::{Attribute, Item, Map, Number, Value};

/// Attribute names that expressions in the seeds use too.
const NAMES: [&str; 10] = ["a", "b", "c", "d", "k", "l", "m", "n", "s", "x.y"];

const TEXTS: [&str; 8] = ["", "a", "ab", "abc", "S", "N", "\u{0}", "é\u{10000}"];

/// Containers deeper than this hold scalars and sets only.
const DEPTH_MAX: usize = 5;

/// Lists around one of them in a while, up to the deepest value that an item may hold.
const LISTS_AROUND_MAX: usize = NESTING_DEPTH_MAX - DEPTH_MAX - 1;

const ELEMENTS_MAX: usize = 6;

pub fn text<'a>(input: &mut Unstructured<'_>, arena: &'a Bump) -> Result<&'a str> {
    if input.ratio(3, 4)? {
        return input.choose(&TEXTS).copied();
    }
    Ok(arena.alloc_str(input.arbitrary()?))
}

pub fn bytes<'a>(input: &mut Unstructured<'_>, arena: &'a Bump) -> Result<&'a [u8]> {
    Ok(arena.alloc_slice_copy(input.arbitrary()?))
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
    let mut value = value_within(input, arena, DEPTH_MAX)?;
    if input.ratio(1, 16)? {
        for _ in 0..input.int_in_range(0..=LISTS_AROUND_MAX)? {
            value = Value::L(arena.alloc([value]));
        }
    }
    Ok(value)
}

pub fn item<'a>(input: &mut Unstructured<'_>, arena: &'a Bump) -> Result<Item<'a>> {
    let mut attributes = BumpVec::new_in(arena);
    for _ in 0..input.int_in_range(0..=ELEMENTS_MAX)? {
        attributes.push(Attribute { name: input.choose(&NAMES)?, value: value(input, arena)? });
    }
    Ok(Map::from_unsorted(attributes))
}

fn value_within<'a>(input: &mut Unstructured<'_>, arena: &'a Bump, depth_left: usize) -> Result<Value<'a>> {
    let last_kind = if depth_left == 0 { 7 } else { 9u8 };
    Ok(match input.int_in_range(0..=last_kind)? {
        0 => Value::S(text(input, arena)?),
        1 => Value::N(number(input, arena)?),
        2 => Value::B(bytes(input, arena)?),
        3 => Value::Bool(input.arbitrary()?),
        4 => Value::Null,
        5 => Value::Ss(set(input, arena, text)?),
        6 => Value::Ns(set(input, arena, number)?),
        7 => Value::Bs(set(input, arena, bytes)?),
        8 => {
            let mut elements = BumpVec::new_in(arena);
            for _ in 0..input.int_in_range(0..=ELEMENTS_MAX)? {
                elements.push(value_within(input, arena, depth_left - 1)?);
            }
            Value::L(elements.into_bump_slice())
        }
        _ => Value::M(map_within(input, arena, depth_left - 1)?),
    })
}

fn map_within<'a>(input: &mut Unstructured<'_>, arena: &'a Bump, depth_left: usize) -> Result<Map<'a>> {
    let mut attributes = BumpVec::new_in(arena);
    for _ in 0..input.int_in_range(0..=ELEMENTS_MAX)? {
        let name = input.choose(&NAMES)?;
        attributes.push(Attribute { name, value: value_within(input, arena, depth_left)? });
    }
    Ok(Map::from_unsorted(attributes))
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
