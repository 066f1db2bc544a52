//! Tables of expressions and what becomes of them.
//!
//! Items, values and names are written in a notation of their own, so that a row fits a line:
//!
//! ```text
//! item  = { name '=' value }                       -- separated by blanks
//! value = number | '"' text '"' | 'x"' hex '"' | true | false | null
//!       | '[' values ']' | '{' item '}' | '<' values '>'       -- list, map, set
//! ```
//!
//! Substitutions are an item too: `#n` stands for a name, `:v` for a value.

mod condition;

mod hostile;

mod key_condition;

mod legacy;

mod properties;

mod projection;

mod syntax;

mod update;

mod update_property;

use bumpalo::Bump;

use crate::model::value::sort_set;
use crate::model::{Attribute, Item, Map, Number, Value};

use super::{ExpressionError, Substitutions};

/// Reads the notation.
struct Notation<'a> {
    text: &'a str,
    arena: &'a Bump,
}

fn item<'a>(text: &str, arena: &'a Bump) -> Item<'a> {
    let mut notation = Notation { text: arena.alloc_str(text), arena };
    let item = notation.item();
    assert_eq!(notation.text, "", "left over of {text}");
    item
}

fn value<'a>(text: &str, arena: &'a Bump) -> Value<'a> {
    let mut notation = Notation { text: arena.alloc_str(text), arena };
    let value = notation.value();
    assert_eq!(notation.text, "", "left over of {text}");
    value
}

impl<'a> Notation<'a> {
    fn accept(&mut self, prefix: &str) -> bool {
        self.text = self.text.trim_start();
        let rest = self.text.strip_prefix(prefix);
        self.text = rest.unwrap_or(self.text);
        rest.is_some()
    }

    fn take_until(&mut self, end: &[char]) -> &'a str {
        let (taken, rest) = self.text.split_at(self.text.find(end).unwrap_or(self.text.len()));
        self.text = rest;
        taken
    }

    fn item(&mut self) -> Item<'a> {
        let mut attributes = bumpalo::collections::Vec::new_in(self.arena);
        self.text = self.text.trim();
        while !self.text.is_empty() && !self.text.starts_with('}') {
            let name = self.take_until(&['=']);
            assert!(self.accept("="), "'=' expected before {}", self.text);
            attributes.push(Attribute { name, value: self.value() });
            self.text = self.text.trim_start();
        }
        Map::from_unsorted(attributes)
    }

    fn values_until(&mut self, end: &str) -> Vec<Value<'a>> {
        let mut values = Vec::new();
        while !self.accept(end) {
            values.push(self.value());
        }
        values
    }

    fn quoted(&mut self) -> &'a str {
        let text = self.take_until(&['"']);
        assert!(self.accept("\""));
        text
    }

    fn value(&mut self) -> Value<'a> {
        if self.accept("\"") {
            return Value::S(self.quoted());
        }
        if self.accept("x\"") {
            let hex = self.quoted();
            let bytes = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
            return Value::B(self.arena.alloc_slice_fill_iter(bytes.collect::<Vec<_>>()));
        }
        if self.accept("[") {
            return Value::L(self.arena.alloc_slice_fill_iter(self.values_until("]")));
        }
        if self.accept("{") {
            let map = self.item();
            assert!(self.accept("}"));
            return Value::M(map);
        }
        if self.accept("<") {
            let members = self.values_until(">");
            return self.set(members);
        }
        let word = self.take_until(&[' ', ']', '}', '>']);
        match word {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "null" => Value::Null,
            number => Value::N(Number::parse(number, self.arena).expect(number)),
        }
    }

    fn set(&self, members: Vec<Value<'a>>) -> Value<'a> {
        fn sorted<T: Ord + Copy>(arena: &Bump, members: impl Iterator<Item = T>) -> &[T] {
            let members = arena.alloc_slice_fill_iter(members.collect::<Vec<_>>());
            assert!(sort_set(members), "duplicate members");
            members
        }
        let members = members.into_iter();
        match members.clone().next() {
            Some(Value::S(_)) => Value::Ss(sorted(
                self.arena,
                members.map(|member| if let Value::S(text) = member { text } else { panic!("mixed set") }),
            )),
            Some(Value::N(_)) => Value::Ns(sorted(
                self.arena,
                members.map(|member| if let Value::N(number) = member { number } else { panic!("mixed set") }),
            )),
            Some(Value::B(_)) => Value::Bs(sorted(
                self.arena,
                members.map(|member| if let Value::B(bytes) = member { bytes } else { panic!("mixed set") }),
            )),
            other => panic!("no set of {other:?}"),
        }
    }
}

/// Names and values from one text of the notation; a kind that is not there is absent.
fn substitutions<'a>(text: &str, arena: &'a Bump) -> Result<Substitutions<'a>, ExpressionError> {
    let all = item(text, arena);
    let mut names = Vec::new();
    let mut values = bumpalo::collections::Vec::new_in(arena);
    for attribute in all.iter() {
        match attribute.value {
            Value::S(name) if attribute.name.starts_with('#') => names.push((attribute.name, name)),
            _ => values.push(*attribute),
        }
    }
    let names = (!names.is_empty()).then_some(&names[..]);
    let values = (!values.is_empty()).then(|| Map::from_unsorted(values));
    Substitutions::new(names, values, arena)
}
