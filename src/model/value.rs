//! The ten attribute types, borrowed from a request body or an arena.
//!
//! Invariants, kept by every constructor of these types:
//!
//! 1. A set is sorted (strings and binaries by bytes, numbers by value), distinct and not empty.
//! 2. A map is sorted by the bytes of its names, and its names are distinct.
//! 3. A number is canonical.
//!
//! So the derived equality is DynamoDB's deep equality: set order and number spelling play no part in it.

use std::cmp::Ordering;

use super::number::Number;

/// One attribute value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    S(&'a str),
    N(Number<'a>),
    B(&'a [u8]),
    Bool(bool),
    Null,
    Ss(&'a [&'a str]),
    Ns(&'a [Number<'a>]),
    Bs(&'a [&'a [u8]]),
    L(&'a [Value<'a>]),
    M(Map<'a>),
}

/// A named value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attribute<'a> {
    pub name: &'a str,
    pub value: Value<'a>,
}

/// Attributes sorted by name.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Map<'a>(&'a [Attribute<'a>]);

/// An item is a map at the top level.
pub type Item<'a> = Map<'a>;

/// Bytes that DynamoDB counts for a list or map besides its elements, and for each element.
const CONTAINER_BYTES: usize = 3;
const ELEMENT_BYTES: usize = 1;

impl<'a> Value<'a> {
    /// The type as it is spelled on the wire.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::S(_) => "S",
            Value::N(_) => "N",
            Value::B(_) => "B",
            Value::Bool(_) => "BOOL",
            Value::Null => "NULL",
            Value::Ss(_) => "SS",
            Value::Ns(_) => "NS",
            Value::Bs(_) => "BS",
            Value::L(_) => "L",
            Value::M(_) => "M",
        }
    }

    /// DynamoDB's size of the value in bytes, without the attribute's name.
    pub fn size(&self) -> usize {
        match self {
            Value::S(text) => text.len(),
            Value::N(number) => number.size(),
            Value::B(bytes) => bytes.len(),
            Value::Bool(_) | Value::Null => 1,
            Value::Ss(members) => members.iter().map(|member| member.len()).sum(),
            Value::Ns(members) => members.iter().map(|member| member.size()).sum(),
            Value::Bs(members) => members.iter().map(|member| member.len()).sum(),
            Value::L(elements) => {
                CONTAINER_BYTES + elements.iter().map(|element| ELEMENT_BYTES + element.size()).sum::<usize>()
            }
            Value::M(map) => CONTAINER_BYTES + map.len() * ELEMENT_BYTES + map.size(),
        }
    }

    /// Order of two strings, numbers or binaries; `None` for other types and for types that differ.
    pub fn compare(&self, other: &Value<'_>) -> Option<Ordering> {
        match (self, other) {
            (Value::S(left), Value::S(right)) => Some(left.as_bytes().cmp(right.as_bytes())),
            (Value::N(left), Value::N(right)) => Some(left.cmp(right)),
            (Value::B(left), Value::B(right)) => Some(left.cmp(right)),
            _ => None,
        }
    }

    /// Levels of nesting: 1 for a scalar or set, one more for each list or map around it.
    pub fn depth(&self) -> usize {
        match self {
            Value::L(elements) => 1 + elements.iter().map(Value::depth).max().unwrap_or(0),
            Value::M(map) => 1 + map.iter().map(|attribute| attribute.value.depth()).max().unwrap_or(0),
            _ => 1,
        }
    }
}

impl<'a> Map<'a> {
    pub const EMPTY: Map<'static> = Map(&[]);

    /// Takes attributes that are already sorted by name and distinct.
    pub fn from_sorted(attributes: &'a [Attribute<'a>]) -> Map<'a> {
        debug_assert!(attributes.windows(2).all(|pair| pair[0].name < pair[1].name));
        Map(attributes)
    }

    /// Sorts; of attributes with one name the last wins.
    pub fn from_unsorted(attributes: bumpalo::collections::Vec<'a, Attribute<'a>>) -> Map<'a> {
        let attributes = attributes.into_bump_slice_mut();
        if attributes.windows(2).all(|pair| pair[0].name < pair[1].name) {
            return Map(attributes);
        }
        // Stable, so that among equal names the one written last stays last.
        attributes.sort_by(|left, right| left.name.cmp(right.name));
        let mut kept = 0;
        for index in 0..attributes.len() {
            let is_last = attributes.get(index + 1).is_none_or(|next| next.name != attributes[index].name);
            if is_last {
                attributes[kept] = attributes[index];
                kept += 1;
            }
        }
        Map(&attributes[..kept])
    }

    pub fn get(&self, name: &str) -> Option<Value<'a>> {
        let index = self.0.binary_search_by(|attribute| attribute.name.cmp(name)).ok()?;
        Some(self.0[index].value)
    }

    pub fn iter(&self) -> std::slice::Iter<'a, Attribute<'a>> {
        self.0.iter()
    }

    pub fn attributes(&self) -> &'a [Attribute<'a>] {
        self.0
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// DynamoDB's size in bytes: names and values.
    pub fn size(&self) -> usize {
        self.0.iter().map(|attribute| attribute.name.len() + attribute.value.size()).sum()
    }
}

impl<'a> IntoIterator for Map<'a> {
    type Item = &'a Attribute<'a>;
    type IntoIter = std::slice::Iter<'a, Attribute<'a>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

/// Sorts set members and reports whether they were distinct.
pub fn sort_set<T: Ord>(members: &mut [T]) -> bool {
    members.sort_unstable();
    members.windows(2).all(|pair| pair[0] != pair[1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use bumpalo::Bump;

    #[test]
    fn the_last_of_equal_names_wins() {
        let arena = Bump::new();
        let mut attributes = bumpalo::collections::Vec::new_in(&arena);
        for (name, text) in [("b", "1"), ("a", "2"), ("b", "3"), ("c", "4"), ("a", "5")] {
            attributes.push(Attribute { name, value: Value::S(text) });
        }
        let map = Map::from_unsorted(attributes);
        let pairs: Vec<_> = map.iter().map(|attribute| (attribute.name, attribute.value)).collect();
        assert_eq!(pairs, [("a", Value::S("5")), ("b", Value::S("3")), ("c", Value::S("4"))]);
        assert_eq!((map.get("b"), map.get("x")), (Some(Value::S("3")), None));
    }

    #[test]
    fn sizes_follow_the_item_size_rule() {
        let map = Map::from_sorted(&[Attribute { name: "k", value: Value::S("abc") }]);
        for (value, size) in [
            (Value::S("é"), 2),
            (Value::B(b"1234"), 4),
            (Value::Bool(true), 1),
            (Value::Null, 1),
            (Value::Ss(&["a", "bc"]), 3),
            (Value::L(&[]), 3),
            (Value::L(&[Value::S("ab"), Value::Null]), 3 + 3 + 2),
            (Value::M(Map::EMPTY), 3),
            (Value::M(map), 3 + 1 + 4),
        ] {
            assert_eq!(value.size(), size, "{value:?}");
        }
        assert_eq!(map.size(), 4);
    }

    #[test]
    fn a_value_stays_small() {
        assert_eq!(size_of::<Value<'_>>(), 24);
    }
}
