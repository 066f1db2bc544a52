//! ExpressionAttributeNames and ExpressionAttributeValues of one request.
//!
//! All expressions of a request are bound against one [`Substitutions`], in the order in which DynamoDB looks at them,
//! and then [`Substitutions::check_used`] refuses what none of them used.
//!
//! Invariant: both lists are sorted by placeholder, so a lookup is a binary search.

use std::cell::Cell;

use bumpalo::Bump;

use crate::model::{Map, Value};

use super::error::ExpressionError;
use super::lexer::is_word;

/// What `#name` and `:value` stand for.
pub struct Substitutions<'a> {
    names: &'a [Name<'a>],
    values: Map<'a>,
    /// One flag for each of `values`.
    values_used: &'a [Cell<bool>],
}

struct Name<'a> {
    placeholder: &'a str,
    name: &'a str,
    used: Cell<bool>,
}

impl<'a> Substitutions<'a> {
    /// For a request without either map.
    pub fn none() -> Substitutions<'a> {
        Substitutions { names: &[], values: Map::EMPTY, values_used: &[] }
    }

    /// Checks the maps as they came, values excepted: whoever decodes a value checks it. Of equal names the last wins,
    /// as in any JSON object.
    pub fn new(
        names: Option<&[(&'a str, &'a str)]>,
        values: Option<Map<'a>>,
        arena: &'a Bump,
    ) -> Result<Substitutions<'a>, ExpressionError> {
        let names = match names {
            None => &[],
            Some(names) => {
                check_placeholders("ExpressionAttributeNames", '#', names.iter().map(|(placeholder, _)| *placeholder))?;
                check_names(names)?;
                sort_names(names, arena)
            }
        };
        if let Some(values) = values {
            let placeholders = values.iter().map(|attribute| attribute.name);
            check_placeholders("ExpressionAttributeValues", ':', placeholders)?;
        }
        let values = values.unwrap_or_default();
        let values_used = arena.alloc_slice_fill_with(values.len(), |_| Cell::new(false));
        Ok(Substitutions { names, values, values_used })
    }

    /// What a placeholder, with its `#`, stands for. It counts as used from now on.
    pub(super) fn name(&self, placeholder: &str) -> Option<&'a str> {
        let index = self.names.binary_search_by(|name| name.placeholder.cmp(placeholder)).ok()?;
        let name = &self.names[index];
        name.used.set(true);
        Some(name.name)
    }

    /// What a placeholder, with its `:`, stands for. It counts as used from now on.
    pub(super) fn value(&self, placeholder: &str) -> Option<Value<'a>> {
        let attributes = self.values.attributes();
        let index = attributes.binary_search_by(|attribute| attribute.name.cmp(placeholder)).ok()?;
        self.values_used[index].set(true);
        Some(attributes[index].value)
    }

    /// Refuses names, then values, that no expression bound so far has used.
    pub fn check_used(&self) -> Result<(), ExpressionError> {
        let unused = self.names.iter().filter(|name| !name.used.get()).map(|name| name.placeholder);
        check_none_unused("ExpressionAttributeNames", unused)?;
        let values = self.values.iter().zip(self.values_used);
        let unused = values.filter(|(_, used)| !used.get()).map(|(attribute, _)| attribute.name);
        check_none_unused("ExpressionAttributeValues", unused)
    }
}

fn check_none_unused<'k>(parameter: &str, unused: impl Iterator<Item = &'k str>) -> Result<(), ExpressionError> {
    let keys: Vec<&str> = unused.collect();
    if keys.is_empty() {
        return Ok(());
    }
    Err(ExpressionError::new(format!(
        "Value provided in {parameter} unused in expressions: keys: {{{}}}",
        keys.join(", ")
    )))
}

fn check_placeholders<'k>(
    parameter: &str,
    sigil: char,
    mut placeholders: impl ExactSizeIterator<Item = &'k str>,
) -> Result<(), ExpressionError> {
    if placeholders.len() == 0 {
        return Err(ExpressionError::new(format!("{parameter} must not be empty")));
    }
    let malformed = placeholders.find(|key| match key.strip_prefix(sigil) {
        Some(word) => word.is_empty() || !word.bytes().all(is_word),
        None => true,
    });
    match malformed {
        None => Ok(()),
        Some(key) => {
            Err(ExpressionError::new(format!("{parameter} contains invalid key: Syntax error; key: \"{key}\"")))
        }
    }
}

fn check_names(names: &[(&str, &str)]) -> Result<(), ExpressionError> {
    match names.iter().find(|(_, name)| name.is_empty()) {
        None => Ok(()),
        Some((placeholder, _)) => Err(ExpressionError::new(format!(
            "ExpressionAttributeNames contains invalid value: Empty attribute name for key {placeholder}"
        ))),
    }
}

/// Sorted by placeholder; of equal ones the last in the request stands.
fn sort_names<'a>(names: &[(&'a str, &'a str)], arena: &'a Bump) -> &'a [Name<'a>] {
    let mut sorted = bumpalo::collections::Vec::with_capacity_in(names.len(), arena);
    sorted.extend(names.iter().enumerate());
    sorted.sort_unstable_by(|(index, (left, _)), (other_index, (right, _))| {
        left.cmp(right).then_with(|| other_index.cmp(index))
    });
    sorted.dedup_by(|(_, (later, _)), (_, (kept, _))| later == kept);
    let names = sorted.iter().map(|&(_, &(placeholder, name))| Name { placeholder, name, used: Cell::new(false) });
    arena.alloc_slice_fill_iter(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Attribute;

    #[test]
    fn malformed_maps_are_refused() {
        let arena = Bump::new();
        let names = |names: &[(&'static str, &'static str)]| {
            Substitutions::new(Some(names), None, &arena).err().map(ExpressionError::into_message)
        };
        let bad_key =
            |key| Some(format!("ExpressionAttributeNames contains invalid key: Syntax error; key: \"{key}\""));
        assert_eq!(names(&[]).as_deref(), Some("ExpressionAttributeNames must not be empty"));
        for key in ["a", "#", "#a-b", "##a", ":a", "", "#é", "#a "] {
            assert_eq!(names(&[(key, "x")]), bad_key(key));
        }
        for key in ["#a", "#1", "#_", "#A_9"] {
            assert_eq!(names(&[(key, "x")]), None);
        }
        assert_eq!(
            names(&[("#a", "")]).as_deref(),
            Some("ExpressionAttributeNames contains invalid value: Empty attribute name for key #a")
        );
        let values = |values: Map<'static>| {
            Substitutions::new(None, Some(values), &arena).err().map(ExpressionError::into_message)
        };
        assert_eq!(values(Map::EMPTY).as_deref(), Some("ExpressionAttributeValues must not be empty"));
        for name in ["a", ":", ":a.b", "#a"] {
            let attributes = arena.alloc([Attribute { name, value: Value::Null }]);
            assert_eq!(
                Substitutions::new(None, Some(Map::from_sorted(attributes)), &arena).err().unwrap().message(),
                format!("ExpressionAttributeValues contains invalid key: Syntax error; key: \"{name}\"")
            );
        }
    }

    #[test]
    fn unused_placeholders_are_listed_names_first() {
        let arena = Bump::new();
        let values = Map::from_sorted(&[
            Attribute { name: ":v", value: Value::Null },
            Attribute { name: ":w", value: Value::Bool(true) },
        ]);
        let names = [("#b", "y"), ("#a", "x"), ("#c", "z"), ("#a", "last")];
        let substitutions = Substitutions::new(Some(&names), Some(values), &arena).unwrap();
        let unused = || substitutions.check_used().err().map(ExpressionError::into_message);
        assert_eq!(substitutions.name("#a"), Some("last"));
        assert_eq!(
            unused().as_deref(),
            Some("Value provided in ExpressionAttributeNames unused in expressions: keys: {#b, #c}")
        );
        assert_eq!((substitutions.name("#b"), substitutions.name("#c")), (Some("y"), Some("z")));
        assert_eq!(substitutions.value(":w"), Some(Value::Bool(true)));
        assert_eq!(
            unused().as_deref(),
            Some("Value provided in ExpressionAttributeValues unused in expressions: keys: {:v}")
        );
        assert_eq!(substitutions.value(":v"), Some(Value::Null));
        assert_eq!((substitutions.value(":x"), substitutions.name("#x")), (None, None));
        assert_eq!(unused(), None);
    }
}
