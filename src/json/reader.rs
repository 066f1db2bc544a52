//! Request bodies to typed parameters.
//!
//! The decoder is driven by the type that is wanted (a [`Shape`]) and borrows names and strings from the body; only
//! escaped strings and base64 go to the arena. A JSON `null` is an absent member, unknown members are skipped, of
//! equal member names the last wins.
//!
//! Two kinds of failure are told apart: a body that is not JSON has an answer without text, a member of the wrong JSON
//! type has the text that AWS's decoder gives. The text travels beside the error in the [`Context`], because
//! `sonic_rs::Error` adds a position to whatever it carries. A syntax error anywhere beats a type error before it.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::marker::PhantomData;

use bumpalo::{Bump, collections::Vec as BumpVec};
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};

use super::fault::ValueFault;
use crate::error::ApiError;

/// What a decode shares: where copies go, and what went wrong.
pub struct Context<'a> {
    pub arena: &'a Bump,
    /// Text of the first type error.
    mismatch: RefCell<Option<Cow<'static, str>>>,
    /// First fault of the attribute value or map that is being decoded; see [`super::attribute_value`].
    pub(super) fault: Cell<Option<&'a ValueFault<'a>>>,
}

/// A type that a JSON value can be decoded to. The defaults are those of a structure or list that met a scalar.
pub trait Shape<'a>: Sized {
    /// JSON `null`, and what a member is before it is seen.
    fn absent() -> Self;

    /// AWS's text for a scalar where a structure, list or map is expected.
    fn unexpected_scalar(place: Place) -> &'static str {
        match place {
            Place::Member => "Unexpected field type",
            Place::Element => "Unexpected value type in payload",
        }
    }

    fn boolean(context: &Context<'a>, _value: bool, place: Place) -> Result<Self, TypeMismatch> {
        context.mismatch(Self::unexpected_scalar(place))
    }

    fn integer(context: &Context<'a>, _value: i64, place: Place) -> Result<Self, TypeMismatch> {
        context.mismatch(Self::unexpected_scalar(place))
    }

    fn decimal(context: &Context<'a>, _value: f64, place: Place) -> Result<Self, TypeMismatch> {
        context.mismatch(Self::unexpected_scalar(place))
    }

    fn text(context: &Context<'a>, _value: &'a str, place: Place) -> Result<Self, TypeMismatch> {
        context.mismatch(Self::unexpected_scalar(place))
    }

    fn list<A: SeqAccess<'a>>(context: &Context<'a>, elements: A) -> Result<Self, A::Error>;

    fn object<A: MapAccess<'a>>(context: &Context<'a>, _members: A) -> Result<Self, A::Error> {
        context.fail("Start of structure or map found where not expected")
    }
}

/// A structure of the API: which members it has and what they are.
pub trait Structure<'a>: Default {
    /// AWS's name of the shape, as it appears in error texts.
    const NAME: &'static str;

    /// Takes the value of the member `name`, or calls [`Member::skip`].
    fn member<A: MapAccess<'a>>(&mut self, name: &str, member: Member<'_, 'a, A>) -> Result<(), A::Error>;
}

/// Declares a structure of the API: members by their names on the wire, then groups of members that several structures
/// share, with the methods that take what is theirs and give back what is not.
macro_rules! structure {
    ($(#[$attribute:meta])* $name:ident $(<$lifetime:lifetime>)?, $aws_name:literal,
     { $($member:literal => $field:ident: $shape:ty,)* }
     $(, { $($group:ident: $group_shape:ty,)* }, [ $($taker:ident . $method:ident),* ])?) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, Default)]
        pub struct $name $(<$lifetime>)? {
            $(pub $field: $shape,)*
            $($(pub $group: $group_shape,)*)?
        }

        impl<'a> $crate::json::Structure<'a> for $name $(<$lifetime>)? {
            const NAME: &'static str = concat!("com.amazonaws.dynamodb.v20120810.", $aws_name);

            fn member<A: serde::de::MapAccess<'a>>(
                &mut self,
                name: &str,
                member: $crate::json::reader::Member<'_, 'a, A>,
            ) -> Result<(), A::Error> {
                match name {
                    $($member => self.$field = member.read()?,)*
                    _ => {
                        $($(let Some(member) = self.$taker.$method(name, member)? else { return Ok(()) };)*)?
                        member.skip()?;
                    }
                }
                Ok(())
            }
        }
    };
}

pub(crate) use structure;

/// Defines a method of a group of members: it reads those that are the group's and gives the others back, after it has
/// offered them to the groups inside.
macro_rules! take_members {
    ($(#[$attribute:meta])* $taker:ident, { $($member:literal => $field:ident,)* }
     $(, [ $($group:ident . $method:ident),* ])?) => {
        $(#[$attribute])*
        pub fn $taker<'m, A: serde::de::MapAccess<'a>>(
            &mut self,
            name: &str,
            member: $crate::json::reader::Member<'m, 'a, A>,
        ) -> Result<Option<$crate::json::reader::Member<'m, 'a, A>>, A::Error> {
            match name {
                $($member => self.$field = member.read()?,)*
                _ => {
                    $($(let Some(member) = self.$group.$method(name, member)? else { return Ok(None) };)*)?
                    return Ok(Some(member));
                }
            }
            Ok(None)
        }
    };
}

pub(crate) use take_members;

/// Where a value stands; AWS words a scalar in place of a structure differently.
#[derive(Clone, Copy)]
pub enum Place {
    Member,
    Element,
}

/// The text is in the context.
pub struct TypeMismatch;

/// Decodes a whole request body.
pub fn decode<'a, T: Structure<'a>>(body: &'a [u8], arena: &'a Bump) -> Result<T, ApiError> {
    let context = Context { arena, mismatch: RefCell::new(None), fault: Cell::new(None) };
    let mut deserializer = sonic_rs::Deserializer::from_slice(body);
    let decoded = Seed::<Option<T>>::new(&context, Place::Member).deserialize(&mut deserializer);
    match decoded.and_then(|value| deserializer.end().map(|()| value)) {
        Ok(value) => Ok(value.unwrap_or_default()),
        Err(_) => Err(match context.mismatch.take() {
            Some(text) if is_json(body) => ApiError::serialization(text),
            _ => ApiError::malformed(),
        }),
    }
}

/// Whether the whole body is one JSON value (nested at most 255 deep, numbers within the range of f64).
pub fn is_json(body: &[u8]) -> bool {
    let mut deserializer = sonic_rs::Deserializer::from_slice(body);
    Skip.deserialize(&mut deserializer).is_ok() && deserializer.end().is_ok()
}

impl<'a> Context<'a> {
    pub(super) fn mismatch<T>(&self, text: impl Into<Cow<'static, str>>) -> Result<T, TypeMismatch> {
        self.mismatch.borrow_mut().get_or_insert_with(|| text.into());
        Err(TypeMismatch)
    }

    /// Ends the decode with a type error.
    pub fn fail<T, E: de::Error>(&self, text: impl Into<Cow<'static, str>>) -> Result<T, E> {
        self.mismatch::<T>(text).map_err(|TypeMismatch| E::custom("type mismatch"))
    }
}

/// The value of a member whose name has been read.
pub struct Member<'m, 'a, A> {
    context: &'m Context<'a>,
    members: &'m mut A,
}

impl<'a, A: MapAccess<'a>> Member<'_, 'a, A> {
    pub fn read<T: Shape<'a>>(self) -> Result<T, A::Error> {
        self.members.next_value_seed(Seed::new(self.context, Place::Member))
    }

    pub fn skip(self) -> Result<(), A::Error> {
        self.members.next_value_seed(Skip)
    }
}

/// A member name.
pub(super) struct Name<'c, 'a>(pub &'c Context<'a>);

impl<'a> DeserializeSeed<'a> for Name<'_, 'a> {
    type Value = &'a str;

    fn deserialize<D: de::Deserializer<'a>>(self, deserializer: D) -> Result<&'a str, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'a> for Name<'_, 'a> {
    type Value = &'a str;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a member name")
    }

    fn visit_borrowed_str<E>(self, name: &'a str) -> Result<&'a str, E> {
        Ok(name)
    }

    fn visit_str<E>(self, name: &str) -> Result<&'a str, E> {
        Ok(self.0.arena.alloc_str(name))
    }
}

/// Decodes one value of shape `T`.
pub(super) struct Seed<'c, 'a, T> {
    context: &'c Context<'a>,
    place: Place,
    shape: PhantomData<T>,
}

impl<'c, 'a, T> Seed<'c, 'a, T> {
    pub(super) fn new(context: &'c Context<'a>, place: Place) -> Self {
        Seed { context, place, shape: PhantomData }
    }
}

impl<'a, T: Shape<'a>> DeserializeSeed<'a> for Seed<'_, 'a, T> {
    type Value = T;

    fn deserialize<D: de::Deserializer<'a>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_any(self)
    }
}

fn lift<T, E: de::Error>(result: Result<T, TypeMismatch>) -> Result<T, E> {
    result.map_err(|TypeMismatch| E::custom("type mismatch"))
}

impl<'a, T: Shape<'a>> Visitor<'a> for Seed<'_, 'a, T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::absent())
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<T, E> {
        lift(T::boolean(self.context, value, self.place))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<T, E> {
        lift(T::integer(self.context, value, self.place))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<T, E> {
        lift(T::integer(self.context, value.try_into().unwrap_or(i64::MAX), self.place))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<T, E> {
        lift(T::decimal(self.context, value, self.place))
    }

    fn visit_borrowed_str<E: de::Error>(self, value: &'a str) -> Result<T, E> {
        lift(T::text(self.context, value, self.place))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<T, E> {
        lift(T::text(self.context, self.context.arena.alloc_str(value), self.place))
    }

    fn visit_seq<A: SeqAccess<'a>>(self, elements: A) -> Result<T, A::Error> {
        T::list(self.context, elements)
    }

    fn visit_map<A: MapAccess<'a>>(self, members: A) -> Result<T, A::Error> {
        T::object(self.context, members)
    }
}

/// Reads over a value. Unlike serde's `IgnoredAny`, which recurses without a bound in sonic-rs, this goes through the
/// deserializer's depth limit.
#[derive(Clone, Copy)]
pub(super) struct Skip;

impl<'a> DeserializeSeed<'a> for Skip {
    type Value = ();

    fn deserialize<D: de::Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Skip {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut elements: A) -> Result<(), A::Error> {
        while elements.next_element_seed(Skip)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'a>>(self, mut members: A) -> Result<(), A::Error> {
        while members.next_key_seed(Skip)?.is_some() {
            members.next_value_seed(Skip)?;
        }
        Ok(())
    }
}

impl<'a> Shape<'a> for Option<&'a str> {
    fn absent() -> Self {
        None
    }

    fn boolean(context: &Context<'a>, value: bool, _: Place) -> Result<Self, TypeMismatch> {
        context.mismatch(format!("{} cannot be converted to String", boolean_token(value)))
    }

    fn integer(context: &Context<'a>, _: i64, _: Place) -> Result<Self, TypeMismatch> {
        context.mismatch("NUMBER_VALUE cannot be converted to String")
    }

    fn decimal(context: &Context<'a>, _: f64, _: Place) -> Result<Self, TypeMismatch> {
        context.mismatch("DECIMAL_VALUE cannot be converted to String")
    }

    fn text(_: &Context<'a>, value: &'a str, _: Place) -> Result<Self, TypeMismatch> {
        Ok(Some(value))
    }

    fn list<A: SeqAccess<'a>>(context: &Context<'a>, _: A) -> Result<Self, A::Error> {
        context.fail("Unrecognized collection type class java.lang.String")
    }
}

impl<'a> Shape<'a> for Option<bool> {
    fn absent() -> Self {
        None
    }

    fn boolean(_: &Context<'a>, value: bool, _: Place) -> Result<Self, TypeMismatch> {
        Ok(Some(value))
    }

    fn integer(context: &Context<'a>, _: i64, _: Place) -> Result<Self, TypeMismatch> {
        context.mismatch("NUMBER_VALUE cannot be converted to Boolean")
    }

    fn decimal(context: &Context<'a>, _: f64, _: Place) -> Result<Self, TypeMismatch> {
        context.mismatch("DECIMAL_VALUE cannot be converted to Boolean")
    }

    fn text(context: &Context<'a>, value: &'a str, _: Place) -> Result<Self, TypeMismatch> {
        let is = |words: [&str; 3]| words.iter().any(|word| value.eq_ignore_ascii_case(word));
        if is(["true", "1", "yes"]) {
            return Ok(Some(true));
        }
        if is(["false", "0", "no"]) {
            return Ok(Some(false));
        }
        context.mismatch("Unexpected token received from parser")
    }

    fn list<A: SeqAccess<'a>>(context: &Context<'a>, _: A) -> Result<Self, A::Error> {
        context.fail("Unrecognized collection type class java.lang.Boolean")
    }
}

fn boolean_token(value: bool) -> &'static str {
    if value { "TRUE_VALUE" } else { "FALSE_VALUE" }
}

/// A 64-bit member: it differs from `i64` in how AWS names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Long(pub i64);

macro_rules! integer_shape {
    ($target:ty, $wrap:expr, $name:literal) => {
        impl<'a> Shape<'a> for Option<$target> {
            fn absent() -> Self {
                None
            }

            fn boolean(context: &Context<'a>, value: bool, _: Place) -> Result<Self, TypeMismatch> {
                context.mismatch(format!(concat!("{} cannot be converted to ", $name), boolean_token(value)))
            }

            fn integer(_: &Context<'a>, value: i64, _: Place) -> Result<Self, TypeMismatch> {
                Ok(Some($wrap(value)))
            }

            fn decimal(_: &Context<'a>, value: f64, _: Place) -> Result<Self, TypeMismatch> {
                // AWS floors fractions; the cast saturates.
                Ok(Some($wrap(value.floor() as i64)))
            }

            fn text(context: &Context<'a>, _: &'a str, _: Place) -> Result<Self, TypeMismatch> {
                context.mismatch(concat!("STRING_VALUE cannot be converted to ", $name))
            }

            fn list<A: SeqAccess<'a>>(context: &Context<'a>, _: A) -> Result<Self, A::Error> {
                context.fail(concat!("Unrecognized collection type class java.lang.", $name))
            }
        }
    };
}

integer_shape!(i64, std::convert::identity, "Integer");
integer_shape!(Long, Long, "Long");

impl<'a, T: Shape<'a>> Shape<'a> for Option<&'a [T]> {
    fn absent() -> Self {
        None
    }

    fn list<A: SeqAccess<'a>>(context: &Context<'a>, mut elements: A) -> Result<Self, A::Error> {
        let mut list = BumpVec::new_in(context.arena);
        while let Some(element) = elements.next_element_seed(Seed::<T>::new(context, Place::Element))? {
            list.push(element);
        }
        Ok(Some(list.into_bump_slice()))
    }
}

/// A JSON object used as a map: sorted by name, names distinct.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entries<'a, T>(pub &'a [(&'a str, T)]);

/// A type that AWS has as the value of a map.
pub trait MapValue {
    /// Its class, as it appears in error texts.
    const CLASS: &'static str;
}

impl MapValue for Option<&str> {
    const CLASS: &'static str = "java.lang.String";
}

impl<'a, T: Structure<'a>> MapValue for Option<T> {
    const CLASS: &'static str = T::NAME;
}

impl<'a, T: Shape<'a> + MapValue + Copy> Shape<'a> for Option<Entries<'a, T>> {
    fn absent() -> Self {
        None
    }

    fn list<A: SeqAccess<'a>>(context: &Context<'a>, _: A) -> Result<Self, A::Error> {
        context.fail(format!("Unrecognized collection type java.util.Map<java.lang.String, {}>", T::CLASS))
    }

    fn object<A: MapAccess<'a>>(context: &Context<'a>, mut members: A) -> Result<Self, A::Error> {
        let mut entries = BumpVec::new_in(context.arena);
        while let Some(name) = members.next_key_seed(Name(context))? {
            entries.push((name, members.next_value_seed(Seed::<T>::new(context, Place::Element))?));
        }
        // Stable, so that of equal names the one written last comes last; that one is kept.
        entries.sort_by(|left: &(&str, T), right| left.0.cmp(right.0));
        entries.reverse();
        entries.dedup_by(|left, right| left.0 == right.0);
        entries.reverse();
        Ok(Some(Entries(entries.into_bump_slice())))
    }
}

impl<'a, S: Structure<'a>> Shape<'a> for Option<S> {
    fn absent() -> Self {
        None
    }

    fn list<A: SeqAccess<'a>>(context: &Context<'a>, _: A) -> Result<Self, A::Error> {
        context.fail(format!("Unrecognized collection type class {}", S::NAME))
    }

    fn object<A: MapAccess<'a>>(context: &Context<'a>, mut members: A) -> Result<Self, A::Error> {
        let mut structure = S::default();
        while let Some(name) = members.next_key_seed(Name(context))? {
            structure.member(name, Member { context, members: &mut members })?;
        }
        Ok(Some(structure))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default, Debug, PartialEq)]
    struct Parameters<'a> {
        name: Option<&'a str>,
        flag: Option<bool>,
        limit: Option<i64>,
        units: Option<Long>,
        names: Option<&'a [Option<&'a str>]>,
        map: Option<Entries<'a, Option<&'a str>>>,
        inner: Option<Inner>,
        inners: Option<&'a [Option<Inner>]>,
    }

    #[derive(Default, Debug, PartialEq, Clone, Copy)]
    struct Inner {
        flag: Option<bool>,
    }

    impl<'a> Structure<'a> for Parameters<'a> {
        const NAME: &'static str = "Parameters";

        fn member<A: MapAccess<'a>>(&mut self, name: &str, member: Member<'_, 'a, A>) -> Result<(), A::Error> {
            match name {
                "Name" => self.name = member.read()?,
                "Flag" => self.flag = member.read()?,
                "Limit" => self.limit = member.read()?,
                "Units" => self.units = member.read()?,
                "Names" => self.names = member.read()?,
                "Map" => self.map = member.read()?,
                "Inner" => self.inner = member.read()?,
                "Inners" => self.inners = member.read()?,
                _ => member.skip()?,
            }
            Ok(())
        }
    }

    impl<'a> Structure<'a> for Inner {
        const NAME: &'static str = "com.amazonaws.dynamodb.v20120810.Inner";

        fn member<A: MapAccess<'a>>(&mut self, name: &str, member: Member<'_, 'a, A>) -> Result<(), A::Error> {
            match name {
                "Flag" => self.flag = member.read()?,
                _ => member.skip()?,
            }
            Ok(())
        }
    }

    fn check_error(body: &str, expected: &str) {
        let arena = Bump::new();
        let decoded = decode::<Parameters>(body.as_bytes(), &arena);
        assert_eq!(decoded.map_err(|error| error.message), Err(Cow::Borrowed(expected)), "{body}");
    }

    #[test]
    fn members_nulls_and_unknown_names() {
        let arena = Bump::new();
        let body = br#" {"Name":"a\u00e9\ud83d\ude00","Flag":"YES","Limit":1.9,"Units":7,"Names":["x",null],
            "Map":{"b":"1","a":"2","b":"3"},"Inner":{"Flag":true,"Other":[1,{"x":[]}]},"Inners":[null],
            "Nothing":null} "#;
        let decoded = decode::<Parameters>(body, &arena).expect("valid");
        assert_eq!(
            decoded,
            Parameters {
                name: Some("aé😀"),
                flag: Some(true),
                limit: Some(1),
                units: Some(Long(7)),
                names: Some(&[Some("x"), None]),
                map: Some(Entries(&[("a", Some("2")), ("b", Some("3"))])),
                inner: Some(Inner { flag: Some(true) }),
                inners: Some(&[None]),
            }
        );
        let absent = decode::<Parameters>(br#"{"Name":null,"Map":null}"#, &arena).expect("valid");
        assert_eq!(absent, Parameters::default());
    }

    #[test]
    fn strings_are_borrowed_from_the_body() {
        let arena = Bump::new();
        let body = br#"{"Name":"borrowed"}"#;
        let name = decode::<Parameters>(body, &arena).expect("valid").name.expect("given");
        assert!(body.as_ptr_range().contains(&name.as_ptr()));
        assert_eq!(arena.allocated_bytes(), 0);
    }

    #[test]
    fn type_errors_have_the_texts_of_aws() {
        for (body, text) in [
            (r#"{"Name":true}"#, "TRUE_VALUE cannot be converted to String"),
            (r#"{"Name":false}"#, "FALSE_VALUE cannot be converted to String"),
            (r#"{"Name":1}"#, "NUMBER_VALUE cannot be converted to String"),
            (r#"{"Name":1.5}"#, "DECIMAL_VALUE cannot be converted to String"),
            (r#"{"Name":[]}"#, "Unrecognized collection type class java.lang.String"),
            (r#"{"Name":{}}"#, "Start of structure or map found where not expected"),
            (r#"{"Flag":1}"#, "NUMBER_VALUE cannot be converted to Boolean"),
            (r#"{"Flag":1.5}"#, "DECIMAL_VALUE cannot be converted to Boolean"),
            (r#"{"Flag":"maybe"}"#, "Unexpected token received from parser"),
            (r#"{"Flag":[]}"#, "Unrecognized collection type class java.lang.Boolean"),
            (r#"{"Limit":"1"}"#, "STRING_VALUE cannot be converted to Integer"),
            (r#"{"Units":"1"}"#, "STRING_VALUE cannot be converted to Long"),
            (r#"{"Limit":true}"#, "TRUE_VALUE cannot be converted to Integer"),
            (r#"{"Limit":[]}"#, "Unrecognized collection type class java.lang.Integer"),
            (r#"{"Names":"x"}"#, "Unexpected field type"),
            (r#"{"Names":{}}"#, "Start of structure or map found where not expected"),
            (r#"{"Map":1}"#, "Unexpected field type"),
            (r#"{"Map":[]}"#, "Unrecognized collection type java.util.Map<java.lang.String, java.lang.String>"),
            (r#"{"Inner":"x"}"#, "Unexpected field type"),
            (r#"{"Inner":[]}"#, "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.Inner"),
            (r#"{"Inners":["x"]}"#, "Unexpected value type in payload"),
        ] {
            check_error(body, text);
        }
    }

    #[test]
    fn syntax_errors_have_no_text_and_beat_type_errors() {
        for body in ["", "{", r#"{"Name":1"#, r#"{"Name":1} x"#, "{'a':1}", r#"{"Name":"\ud800"}"#, r#"{"x":01}"#] {
            check_error(body, "");
        }
        let arena = Bump::new();
        assert!(decode::<Parameters>(b"{\"Name\":\"\xff\"}", &arena).is_err());
    }

    #[test]
    fn hostile_nesting_is_refused_without_recursion() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            for depth in [300, 100_000] {
                let nested = format!("{{\"x\":{}1{}}}", open.repeat(depth), close.repeat(depth));
                check_error(&nested, "");
                assert!(!is_json(nested.as_bytes()));
            }
        }
    }
}
