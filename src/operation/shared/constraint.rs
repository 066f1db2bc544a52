//! Member constraints: collected over the whole request and reported in one message, before anything else is looked at.
//!
//! AWS has two wordings. The older one echoes the value and names the member in lower camel case, the current one does
//! neither. Required members and the two `Return…` reports read the same in both.

use std::fmt::Display;

use crate::error::{ApiError, Wording};

/// AWS lists no more than this many.
const LISTED_MAX: usize = 10;

/// Violations found so far.
pub struct Constraints {
    wording: Wording,
    /// The first [`LISTED_MAX`] violations.
    texts: Vec<String>,
    count: usize,
}

/// A constrained enumeration: its values in the order in which AWS prints them, in both wordings.
pub struct Enumeration {
    pub older: &'static str,
    pub current: &'static str,
}

pub const RETURN_VALUES: Enumeration = Enumeration {
    older: "ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW",
    // The misspelling is AWS's.
    current: "ALL_OLD, UPDATED_OLD, ALL_NEW, UPDATE_NEW, NONE",
};

pub const CONDITIONAL_OPERATOR: Enumeration = Enumeration { older: "OR, AND", current: "ALL, OR" };

pub const SELECT: Enumeration = Enumeration {
    older: "SPECIFIC_ATTRIBUTES, COUNT, ALL_ATTRIBUTES, ALL_PROJECTED_ATTRIBUTES",
    current: "SPECIFIC_ATTRIBUTES, COUNT, ALL_ATTRIBUTES, ALL_PROJECTED_ATTRIBUTES",
};

pub const RETURN_VALUES_ON_FAILURE: Enumeration = Enumeration { older: "ALL_OLD, NONE", current: "ALL_OLD, NONE" };

impl Constraints {
    pub fn new(wording: Wording) -> Constraints {
        Constraints { wording, texts: Vec::new(), count: 0 }
    }

    pub fn wording(&self) -> Wording {
        self.wording
    }

    /// Counts a violation, and makes its text if it will be listed.
    fn push(&mut self, text: impl FnOnce(Wording) -> String) {
        self.count += 1;
        if self.count <= LISTED_MAX {
            self.texts.push(text(self.wording));
        }
    }

    /// `Member must not be null`.
    pub fn required(&mut self, present: bool, path: &str) {
        if !present {
            self.push(|_| format!("Value null at '{path}' failed to satisfy constraint: Member must not be null"));
        }
    }

    /// A value that breaks `rule`. `path` is in lower camel case.
    pub fn violated(&mut self, value: impl Display, path: &str, rule: impl Display) {
        self.push(|wording| match wording {
            Wording::Older => format!("Value '{value}' at '{path}' failed to satisfy constraint: {rule}"),
            Wording::Current | Wording::Enveloped => {
                format!("Value at '{}' failed to satisfy constraint: {rule}", upper_camel(path))
            }
        });
    }

    /// A value that breaks `rule`, echoed in both wordings.
    pub fn violated_echoed(&mut self, value: impl Display, path: &str, rule: impl Display) {
        self.push(|_| format!("Value '{value}' at '{path}' failed to satisfy constraint: {rule}"));
    }

    /// Reads an enumeration of the reports, which is echoed in both wordings.
    pub fn report<T: Copy>(&mut self, value: Option<&str>, path: &str, set: &str, known: &[(&str, T)]) -> Option<T> {
        let value = value?;
        let found = known.iter().find(|(name, _)| *name == value).map(|(_, known)| *known);
        if found.is_none() {
            self.violated_echoed(value, path, format_args!("Member must satisfy enum value set: [{set}]"));
        }
        found
    }

    /// Reads an enumeration.
    pub fn enumeration<T: Copy>(
        &mut self,
        value: Option<&str>,
        path: &str,
        set: &Enumeration,
        known: &[(&str, T)],
    ) -> Option<T> {
        let value = value?;
        let found = known.iter().find(|(name, _)| *name == value).map(|(_, known)| *known);
        if found.is_none() {
            match self.wording {
                Wording::Older => {
                    let rule = format!("Member must satisfy enum value set: [{}]", set.older);
                    self.violated_echoed(value, path, rule);
                }
                Wording::Current | Wording::Enveloped => self.push(|_| {
                    format!("Failed to satisfy constraint: Member must satisfy enum value set: [{}]", set.current)
                }),
            }
        }
        found
    }

    /// `Member must have value greater than or equal to …`.
    pub fn at_least(&mut self, value: Option<i64>, least: i64, path: &str) {
        if let Some(value) = value.filter(|value| *value < least) {
            self.violated(value, path, format_args!("Member must have value greater than or equal to {least}"));
        }
    }

    /// `Member must have value less than or equal to …`.
    pub fn at_most(&mut self, value: Option<i64>, most: i64, path: &str) {
        if let Some(value) = value.filter(|value| *value > most) {
            self.violated(value, path, format_args!("Member must have value less than or equal to {most}"));
        }
    }

    /// Bounds of a length; `echo` is how AWS prints the value.
    pub fn length(&mut self, length: usize, bounds: (usize, usize), echo: impl Display, path: &str) {
        if length < bounds.0 {
            let least = bounds.0;
            self.violated(echo, path, format_args!("Member must have length greater than or equal to {least}"));
        } else if length > bounds.1 {
            let most = bounds.1;
            self.violated(echo, path, format_args!("Member must have length less than or equal to {most}"));
        }
    }

    /// All violations in one error.
    pub fn check(self) -> Result<(), ApiError> {
        let count = self.count;
        if count == 0 {
            return Ok(());
        }
        let plural = if count == 1 { "" } else { "s" };
        let listed = self.texts.join("; ");
        Err(ApiError::validation(format!("{count} validation error{plural} detected: {listed}")))
    }
}

/// `requestItems.t.member.keys` as `RequestItems.t.member.Keys`: the first letter of each member's name.
fn upper_camel(path: &str) -> String {
    let capitalized = |part: &str| {
        let mut letters = part.chars();
        letters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
    };
    match path.split_once('.') {
        // Map keys and the word `member` stay as they are: only the ends are names of members.
        Some((first, rest)) => match rest.rsplit_once('.') {
            Some((middle, last)) if last != "member" => {
                format!("{}.{middle}.{}", capitalized(first), capitalized(last))
            }
            _ => format!("{}.{rest}", capitalized(first)),
        },
        None => capitalized(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(constraints: Constraints) -> String {
        constraints.check().expect_err("something is violated").message.into_owned()
    }

    #[test]
    fn violations_are_collected() {
        let mut constraints = Constraints::new(Wording::Current);
        constraints.report::<()>(Some("X"), "returnConsumedCapacity", "INDEXES, TOTAL, NONE", &[]);
        constraints.required(false, "key");
        assert_eq!(
            message(constraints),
            "2 validation errors detected: Value 'X' at 'returnConsumedCapacity' failed to satisfy constraint: Member \
             must satisfy enum value set: [INDEXES, TOTAL, NONE]; Value null at 'key' failed to satisfy constraint: \
             Member must not be null"
        );
    }

    #[test]
    fn wordings_differ_in_echo_and_case() {
        for (wording, text) in [
            (Wording::Older, "Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than"),
            (Wording::Current, "Value at 'Limit' failed to satisfy constraint: Member must have value greater than"),
        ] {
            let mut constraints = Constraints::new(wording);
            constraints.at_least(Some(0), 1, "limit");
            assert_eq!(message(constraints), format!("1 validation error detected: {text} or equal to 1"));
        }
        assert_eq!(upper_camel("requestItems.my.table.member.keys"), "RequestItems.my.table.member.Keys");
        assert_eq!(upper_camel("requestItems.t.member"), "RequestItems.t.member");
    }
}
