//! Attribute values, items and the faults found in them.
//!
//! A fault (an empty set, a malformed number) does not end the decode: DynamoDB reports it only after the member
//! constraints of the whole request. The first one of each map or value is kept beside what was decoded, and in its
//! place stands an arbitrary valid value.

use base64::prelude::{BASE64_STANDARD, Engine};
use bumpalo::collections::Vec as BumpVec;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess};

use super::fault::ValueFault;
use super::reader::{Context, MapValue, Name, Place, Seed, Shape, Skip, TypeMismatch};
use crate::model::limits::{ATTRIBUTE_NAME_BYTES_MAX, NESTING_DEPTH_MAX};
use crate::model::value::sort_set;
use crate::model::{Attribute, Map, Number, Value};

/// A value and the first fault in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttributeValue<'a> {
    pub value: Value<'a>,
    pub fault: Option<&'a ValueFault<'a>>,
}

/// An item or key and the first fault in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttributeMap<'a> {
    pub map: Map<'a>,
    pub fault: Option<&'a ValueFault<'a>>,
}

/// AWS's name of the shape.
const CLASS: &str = "com.amazonaws.dynamodb.v20120810.AttributeValue";

impl MapValue for Option<AttributeValue<'_>> {
    const CLASS: &'static str = CLASS;
}

impl<'a> Shape<'a> for Option<AttributeValue<'a>> {
    fn absent() -> Self {
        None
    }

    fn list<A: SeqAccess<'a>>(context: &Context<'a>, _: A) -> Result<Self, A::Error> {
        context.fail(format!("Unrecognized collection type class {CLASS}"))
    }

    fn object<A: MapAccess<'a>>(context: &Context<'a>, members: A) -> Result<Self, A::Error> {
        let outer = context.fault.take();
        let value = read_value(context, members, 1)?;
        Ok(Some(AttributeValue { value, fault: context.fault.replace(outer) }))
    }
}

impl MapValue for Option<AttributeMap<'_>> {
    const CLASS: &'static str = "java.util.Map";
}

impl<'a> Shape<'a> for Option<AttributeMap<'a>> {
    fn absent() -> Self {
        None
    }

    fn list<A: SeqAccess<'a>>(context: &Context<'a>, _: A) -> Result<Self, A::Error> {
        context.fail(format!("Unrecognized collection type java.util.Map<java.lang.String, {CLASS}>"))
    }

    fn object<A: MapAccess<'a>>(context: &Context<'a>, members: A) -> Result<Self, A::Error> {
        let outer = context.fault.take();
        let map = read_map(context, members, 0)?;
        Ok(Some(AttributeMap { map, fault: context.fault.replace(outer) }))
    }
}

impl<'a> Context<'a> {
    fn report(&self, fault: ValueFault<'a>) {
        if self.fault.get().is_none() {
            self.fault.set(Some(self.arena.alloc(fault)));
        }
    }
}

/// One attribute value nested in `depth - 1` others.
struct ValueSeed<'c, 'a> {
    context: &'c Context<'a>,
    depth: usize,
}

impl<'a> DeserializeSeed<'a> for ValueSeed<'_, 'a> {
    type Value = Value<'a>;

    fn deserialize<D: serde::Deserializer<'a>>(self, deserializer: D) -> Result<Value<'a>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> serde::de::Visitor<'a> for ValueSeed<'_, 'a> {
    type Value = Value<'a>;

    fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str("an attribute value")
    }

    /// `null` in place of a value has none of the types.
    fn visit_unit<E>(self) -> Result<Value<'a>, E> {
        self.context.report(ValueFault::Empty);
        Ok(Value::Null)
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<Value<'a>, E> {
        self.context.fail("Unexpected value type in payload")
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<Value<'a>, E> {
        self.context.fail("Unexpected value type in payload")
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<Value<'a>, E> {
        self.context.fail("Unexpected value type in payload")
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<Value<'a>, E> {
        self.context.fail("Unexpected value type in payload")
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<Value<'a>, E> {
        self.context.fail("Unexpected value type in payload")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, _: A) -> Result<Value<'a>, A::Error> {
        self.context.fail(format!("Unrecognized collection type class {CLASS}"))
    }

    fn visit_map<A: MapAccess<'a>>(self, members: A) -> Result<Value<'a>, A::Error> {
        read_value(self.context, members, self.depth)
    }
}

/// The members of one attribute value: exactly one type is to be there.
fn read_value<'a, A: MapAccess<'a>>(
    context: &Context<'a>,
    mut members: A,
    depth: usize,
) -> Result<Value<'a>, A::Error> {
    if depth > NESTING_DEPTH_MAX {
        context.report(ValueFault::TooDeep);
        while members.next_key_seed(Skip)?.is_some() {
            members.next_value_seed(Skip)?;
        }
        return Ok(Value::Null);
    }
    let mut value = None;
    while let Some(name) = members.next_key_seed(Name(context))? {
        let typed = read_typed(context, name, &mut members, depth)?;
        if value.is_some() && typed.is_some() {
            context.report(ValueFault::MultipleTypes);
        }
        value = value.or(typed);
    }
    Ok(value.unwrap_or_else(|| {
        context.report(ValueFault::Empty);
        Value::Null
    }))
}

/// The value under one type name; `None` for a `null` or an unknown name.
fn read_typed<'a, A: MapAccess<'a>>(
    context: &Context<'a>,
    name: &str,
    members: &mut A,
    depth: usize,
) -> Result<Option<Value<'a>>, A::Error> {
    let value = match name {
        "S" => member::<Option<&str>, _>(context, members)?.map(Value::S),
        "N" => member::<Option<&str>, _>(context, members)?.map(|text| Value::N(number(context, text))),
        "B" => member::<Option<Blob>, _>(context, members)?.map(|blob| Value::B(blob.0)),
        "BOOL" => member::<Option<bool>, _>(context, members)?.map(Value::Bool),
        "NULL" => member::<Option<bool>, _>(context, members)?.map(|is_null| {
            if !is_null {
                context.report(ValueFault::NullFalse);
            }
            Value::Null
        }),
        "SS" => member::<Option<&[_]>, _>(context, members)?.map(|texts| string_set(context, texts)),
        "NS" => member::<Option<&[_]>, _>(context, members)?.map(|texts| number_set(context, texts)),
        "BS" => member::<Option<&[_]>, _>(context, members)?.map(|blobs| binary_set(context, blobs)),
        "L" => members.next_value_seed(ListSeed { context, depth: depth + 1 })?,
        "M" => members.next_value_seed(MapSeed { context, depth })?,
        _ => {
            members.next_value_seed(Skip)?;
            None
        }
    };
    Ok(value)
}

fn member<'a, T: Shape<'a>, A: MapAccess<'a>>(context: &Context<'a>, members: &mut A) -> Result<T, A::Error> {
    members.next_value_seed(Seed::<T>::new(context, Place::Member))
}

fn number<'a>(context: &Context<'a>, text: &'a str) -> Number<'a> {
    Number::parse(text, context.arena).unwrap_or_else(|error| {
        context.report(ValueFault::Number(error, text));
        Number::ZERO
    })
}

fn string_set<'a>(context: &Context<'a>, texts: &'a [Option<&'a str>]) -> Value<'a> {
    let sent = flatten(context, texts);
    if sent.is_empty() {
        context.report(ValueFault::EmptyStringSet);
    }
    let members = context.arena.alloc_slice_copy(sent);
    if !sort_set(members) {
        context.report(ValueFault::DuplicateStrings(sent));
    }
    Value::Ss(members)
}

fn number_set<'a>(context: &Context<'a>, texts: &'a [Option<&'a str>]) -> Value<'a> {
    let sent = flatten(context, texts);
    if sent.is_empty() {
        context.report(ValueFault::EmptyNumberSet);
    }
    let members = sent.iter().map(|text| number(context, text));
    let members = context.arena.alloc_slice_fill_iter(members);
    if !sort_set(members) {
        context.report(ValueFault::DuplicateNumbers);
    }
    Value::Ns(members)
}

fn binary_set<'a>(context: &Context<'a>, blobs: &'a [Option<Blob<'a>>]) -> Value<'a> {
    let mut sent = BumpVec::with_capacity_in(blobs.len(), context.arena);
    sent.extend(blobs.iter().flatten().map(|blob| blob.0));
    if sent.is_empty() {
        context.report(ValueFault::EmptyBinarySet);
    }
    let sent = sent.into_bump_slice();
    let members = context.arena.alloc_slice_copy(sent);
    if !sort_set(members) {
        context.report(ValueFault::DuplicateBinaries(sent));
    }
    Value::Bs(members)
}

/// The members that are not `null`.
fn flatten<'a>(context: &Context<'a>, texts: &'a [Option<&'a str>]) -> &'a [&'a str] {
    let mut members = BumpVec::with_capacity_in(texts.len(), context.arena);
    members.extend(texts.iter().flatten());
    members.into_bump_slice()
}

/// Bytes from base64.
#[derive(Clone, Copy)]
struct Blob<'a>(&'a [u8]);

impl<'a> Shape<'a> for Option<Blob<'a>> {
    fn absent() -> Self {
        None
    }

    fn boolean(context: &Context<'a>, _: bool, _: Place) -> Result<Self, TypeMismatch> {
        context.mismatch("only base-64-encoded strings are convertible to bytes")
    }

    fn integer(context: &Context<'a>, _: i64, _: Place) -> Result<Self, TypeMismatch> {
        context.mismatch("only base-64-encoded strings are convertible to bytes")
    }

    fn decimal(context: &Context<'a>, _: f64, _: Place) -> Result<Self, TypeMismatch> {
        context.mismatch("only base-64-encoded strings are convertible to bytes")
    }

    fn text(context: &Context<'a>, value: &'a str, _: Place) -> Result<Self, TypeMismatch> {
        if !value.len().is_multiple_of(4) {
            let length = value.len();
            return context
                .mismatch(format!("Base64 encoded length is expected a multiple of 4 bytes but found: {length}"));
        }
        let bytes = context.arena.alloc_slice_fill_copy(value.len() / 4 * 3, 0);
        match BASE64_STANDARD.decode_slice(value, bytes) {
            Ok(length) => Ok(Some(Blob(&bytes[..length]))),
            Err(_) => context.mismatch("Invalid last non-pad Base64 character dectected"),
        }
    }

    fn list<A: SeqAccess<'a>>(context: &Context<'a>, _: A) -> Result<Self, A::Error> {
        context.fail("Unrecognized collection type class java.nio.ByteBuffer")
    }
}

/// The members of a map, each a value at `depth + 1`.
fn read_map<'a, A: MapAccess<'a>>(context: &Context<'a>, mut members: A, depth: usize) -> Result<Map<'a>, A::Error> {
    let mut attributes = BumpVec::new_in(context.arena);
    while let Some(name) = members.next_key_seed(Name(context))? {
        if name.is_empty() {
            context.report(ValueFault::EmptyName);
        } else if name.len() > ATTRIBUTE_NAME_BYTES_MAX {
            context.report(ValueFault::LongName);
        }
        let value = members.next_value_seed(ValueSeed { context, depth: depth + 1 })?;
        attributes.push(Attribute { name, value });
    }
    Ok(Map::from_unsorted(attributes))
}

macro_rules! container_seed {
    ($name:ident) => {
        /// The content of one attribute value; `null` is an absent member.
        struct $name<'c, 'a> {
            context: &'c Context<'a>,
            depth: usize,
        }

        impl<'a> DeserializeSeed<'a> for $name<'_, 'a> {
            type Value = Option<Value<'a>>;

            fn deserialize<D: serde::Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
                deserializer.deserialize_any(self)
            }
        }

        impl<'a> serde::de::Visitor<'a> for $name<'_, 'a> {
            type Value = Option<Value<'a>>;

            fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
                formatter.write_str("a list or map")
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(None)
            }

            fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<Self::Value, E> {
                self.context.fail("Unexpected field type")
            }

            fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<Self::Value, E> {
                self.context.fail("Unexpected field type")
            }

            fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<Self::Value, E> {
                self.context.fail("Unexpected field type")
            }

            fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<Self::Value, E> {
                self.context.fail("Unexpected field type")
            }

            fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<Self::Value, E> {
                self.context.fail("Unexpected field type")
            }

            fn visit_seq<A: SeqAccess<'a>>(self, elements: A) -> Result<Self::Value, A::Error> {
                self.sequence(elements)
            }

            fn visit_map<A: MapAccess<'a>>(self, members: A) -> Result<Self::Value, A::Error> {
                self.object(members)
            }
        }
    };
}

container_seed!(ListSeed);
container_seed!(MapSeed);

impl<'a> ListSeed<'_, 'a> {
    fn sequence<A: SeqAccess<'a>>(self, mut elements: A) -> Result<Option<Value<'a>>, A::Error> {
        let mut values = BumpVec::new_in(self.context.arena);
        while let Some(value) = elements.next_element_seed(ValueSeed { context: self.context, depth: self.depth })? {
            values.push(value);
        }
        Ok(Some(Value::L(values.into_bump_slice())))
    }

    fn object<A: MapAccess<'a>>(self, _: A) -> Result<Option<Value<'a>>, A::Error> {
        self.context.fail("Start of structure or map found where not expected")
    }
}

impl<'a> MapSeed<'_, 'a> {
    fn sequence<A: SeqAccess<'a>>(self, _: A) -> Result<Option<Value<'a>>, A::Error> {
        self.context.fail(format!("Unrecognized collection type java.util.Map<java.lang.String, {CLASS}>"))
    }

    fn object<A: MapAccess<'a>>(self, members: A) -> Result<Option<Value<'a>>, A::Error> {
        read_map(self.context, members, self.depth).map(|map| Some(Value::M(map)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::reader::{Member, Structure, decode};
    use super::*;
    use crate::model::NumberError;
    use bumpalo::Bump;

    #[derive(Default, Debug)]
    struct Parameters<'a> {
        item: Option<AttributeMap<'a>>,
    }

    impl<'a> Structure<'a> for Parameters<'a> {
        const NAME: &'static str = "Parameters";

        fn member<A: MapAccess<'a>>(&mut self, name: &str, member: Member<'_, 'a, A>) -> Result<(), A::Error> {
            match name {
                "Item" => self.item = member.read()?,
                _ => member.skip()?,
            }
            Ok(())
        }
    }

    fn item<'a>(value: &str, arena: &'a Bump) -> Result<AttributeMap<'a>, String> {
        let body = arena.alloc_str(&format!(r#"{{"Item":{{"a":{value}}}}}"#));
        let parameters: Parameters = decode(body.as_bytes(), arena).map_err(|error| error.message.into_owned())?;
        parameters.item.ok_or_else(|| "no item".to_owned())
    }

    #[test]
    fn every_type_decodes() {
        let arena = Bump::new();
        let inner = Map::from_sorted(&[Attribute { name: "k", value: Value::Null }]);
        for (json, value) in [
            (r#"{"S":"x"}"#, Value::S("x")),
            (r#"{"S":""}"#, Value::S("")),
            (r#"{"N":"007.50"}"#, Value::N(Number::from_canonical("7.5"))),
            (r#"{"B":"AAEC/w=="}"#, Value::B(&[0, 1, 2, 255])),
            (r#"{"B":""}"#, Value::B(b"")),
            (r#"{"BOOL":false}"#, Value::Bool(false)),
            (r#"{"NULL":true}"#, Value::Null),
            (r#"{"SS":["b","a"]}"#, Value::Ss(&["a", "b"])),
            (r#"{"NS":["10","9"]}"#, Value::Ns(&[Number::from_canonical("9"), Number::from_canonical("10")])),
            (r#"{"BS":["/w==","AA=="]}"#, Value::Bs(&[&[0], &[255]])),
            (r#"{"L":[{"S":"x"},{"L":[]}]}"#, Value::L(&[Value::S("x"), Value::L(&[])])),
            (r#"{"M":{"k":{"NULL":true}}}"#, Value::M(inner)),
            (r#"{"S":"x","N":null}"#, Value::S("x")),
        ] {
            let decoded = item(json, &arena).expect(json);
            assert_eq!((decoded.map.get("a"), decoded.fault), (Some(value), None), "{json}");
        }
    }

    #[test]
    fn the_first_fault_is_kept() {
        let arena = Bump::new();
        for (json, fault) in [
            ("{}", ValueFault::Empty),
            ("null", ValueFault::Empty),
            (r#"{"X":"y"}"#, ValueFault::Empty),
            (r#"{"S":"a","N":"1"}"#, ValueFault::MultipleTypes),
            (r#"{"NULL":false}"#, ValueFault::NullFalse),
            (r#"{"SS":[]}"#, ValueFault::EmptyStringSet),
            (r#"{"SS":[null]}"#, ValueFault::EmptyStringSet),
            (r#"{"NS":[null,null]}"#, ValueFault::EmptyNumberSet),
            (r#"{"BS":[null]}"#, ValueFault::EmptyBinarySet),
            (r#"{"NS":[]}"#, ValueFault::EmptyNumberSet),
            (r#"{"BS":[]}"#, ValueFault::EmptyBinarySet),
            (r#"{"SS":["b","b"]}"#, ValueFault::DuplicateStrings(&["b", "b"])),
            (r#"{"NS":["1","1.0"]}"#, ValueFault::DuplicateNumbers),
            (r#"{"BS":["AA==","AA=="]}"#, ValueFault::DuplicateBinaries(&[&[0], &[0]])),
            (r#"{"N":"x"}"#, ValueFault::Number(NumberError::Syntax, "x")),
            (r#"{"L":[{"N":"1e999"},{}]}"#, ValueFault::Number(NumberError::Overflow, "1e999")),
            (r#"{"M":{"":{"S":""}}}"#, ValueFault::EmptyName),
        ] {
            assert_eq!(item(json, &arena).expect(json).fault, Some(&fault), "{json}");
        }
    }

    #[test]
    fn type_errors_have_the_texts_of_aws() {
        let arena = Bump::new();
        for (json, text) in [
            ("1", "Unexpected value type in payload"),
            ("[]", "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.AttributeValue"),
            (r#"{"N":123}"#, "NUMBER_VALUE cannot be converted to String"),
            (r#"{"B":1}"#, "only base-64-encoded strings are convertible to bytes"),
            (r#"{"B":"abcde"}"#, "Base64 encoded length is expected a multiple of 4 bytes but found: 5"),
            (r#"{"B":"a=bc"}"#, "Invalid last non-pad Base64 character dectected"),
            (r#"{"B":[]}"#, "Unrecognized collection type class java.nio.ByteBuffer"),
            (r#"{"L":"x"}"#, "Unexpected field type"),
            (r#"{"L":{}}"#, "Start of structure or map found where not expected"),
            (
                r#"{"M":[]}"#,
                "Unrecognized collection type java.util.Map<java.lang.String, \
                 com.amazonaws.dynamodb.v20120810.AttributeValue>",
            ),
            (r#"{"SS":"x"}"#, "Unexpected field type"),
            (r#"{"SS":[1]}"#, "NUMBER_VALUE cannot be converted to String"),
        ] {
            assert_eq!(item(json, &arena).map(|item| item.map), Err(text.to_owned()), "{json}");
        }
    }

    #[test]
    fn nesting_is_bounded_at_32_levels() {
        let arena = Bump::new();
        for (open, close) in [(r#"{"M":{"k":"#, "}}"), (r#"{"L":["#, "]}")] {
            for (wraps, fault) in [(31, None), (32, Some(&ValueFault::TooDeep)), (100, Some(&ValueFault::TooDeep))] {
                let json = format!("{}{}{}", open.repeat(wraps), r#"{"S":"x"}"#, close.repeat(wraps));
                assert_eq!(item(&json, &arena).expect("decodes").fault, fault, "{wraps}");
            }
        }
    }
}
