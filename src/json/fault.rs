//! Why an attribute value is refused, in both of AWS's wordings.

use std::borrow::Cow;
use std::fmt::Write;

use base64::prelude::{BASE64_STANDARD, Engine};

use crate::error::Wording;
use crate::model::NumberError;

/// The first thing wrong with an attribute value or map. It is found while decoding and reported when its turn comes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ValueFault<'a> {
    /// No type at all: `{}`.
    Empty,
    MultipleTypes,
    /// `{"NULL": false}`.
    NullFalse,
    EmptyStringSet,
    EmptyNumberSet,
    EmptyBinarySet,
    /// Members as sent.
    DuplicateStrings(&'a [&'a str]),
    DuplicateNumbers,
    DuplicateBinaries(&'a [&'a [u8]]),
    /// The error and the text as sent.
    Number(NumberError, &'a str),
    TooDeep,
    EmptyName,
    LongName,
}

impl ValueFault<'_> {
    /// The answer's text in the wording of an operation.
    pub fn message(&self, wording: Wording) -> Cow<'static, str> {
        let text = self.text(wording);
        if self.is_enveloped() { wording.envelope(text) } else { text }
    }

    fn is_enveloped(&self) -> bool {
        use ValueFault::*;
        match self {
            NullFalse | EmptyStringSet | EmptyNumberSet | EmptyBinarySet => true,
            DuplicateStrings(_) | DuplicateNumbers | DuplicateBinaries(_) => true,
            Number(..) | Empty | MultipleTypes | TooDeep | EmptyName | LongName => false,
        }
    }

    /// The text without the envelope of the enveloped wording.
    pub fn text(&self, wording: Wording) -> Cow<'static, str> {
        const INVALID: &str = "One or more parameter values were invalid: ";
        let older = wording == Wording::Older;
        match self {
            ValueFault::Empty => {
                "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes".into()
            }
            ValueFault::MultipleTypes => "Supplied AttributeValue has more than one datatypes set, must contain \
                                          exactly one of the supported datatypes"
                .into(),
            ValueFault::NullFalse => format!("{INVALID}Null attribute value types must have the value of true").into(),
            ValueFault::EmptyStringSet => format!("{INVALID}An string set  may not be empty").into(),
            ValueFault::EmptyNumberSet => format!("{INVALID}An number set  may not be empty").into(),
            ValueFault::EmptyBinarySet => format!("{INVALID}Binary sets should not be empty").into(),
            ValueFault::DuplicateStrings(members) if older => {
                format!("{INVALID}Input collection [{}] contains duplicates.", members.join(", ")).into()
            }
            ValueFault::DuplicateStrings(members) => {
                let members: Vec<String> =
                    repeat_in_sorted_set(members).iter().map(|member| format!("\"{member}\"")).collect();
                format!("{INVALID}Input collection [{}] contains duplicates.", members.join(", ")).into()
            }
            ValueFault::DuplicateNumbers if older => "Input collection contains duplicates".into(),
            ValueFault::DuplicateNumbers => format!("{INVALID}Input collection contains duplicates.").into(),
            ValueFault::DuplicateBinaries(members) => {
                let encoded = if older { members.to_vec() } else { repeat_in_sorted_set(members) };
                let (quote, separator) = if older { ("", ", ") } else { ("\"", ",") };
                let mut list = String::new();
                for (index, member) in encoded.iter().enumerate() {
                    let separator = if index == 0 { "" } else { separator };
                    // Writing to a String cannot fail.
                    let _ = write!(list, "{separator}{quote}{}{quote}", BASE64_STANDARD.encode(member));
                }
                format!("{INVALID}Input collection [{list}]of type BS contains duplicates.").into()
            }
            ValueFault::Number(NumberError::Syntax, "") if older => {
                "The parameter cannot be converted to a numeric value".into()
            }
            ValueFault::Number(error, text) => error.message(text).into(),
            ValueFault::TooDeep => "Nesting Levels have exceeded supported limits: Attributes in the item have nested \
                                    levels beyond supported limit"
                .into(),
            ValueFault::EmptyName => "Empty attribute name".into(),
            ValueFault::LongName => format!(
                "{INVALID}Attribute name is too large, must be less than or equal to {} bytes",
                crate::model::limits::ATTRIBUTE_NAME_BYTES_MAX
            )
            .into(),
        }
    }
}

/// Members as today's wording lists them: sorted up to the first repeat, then the repeat and the rest as sent.
fn repeat_in_sorted_set<T: Ord + Copy>(members: &[T]) -> Vec<T> {
    let mut seen = std::collections::BTreeSet::new();
    let repeat = members.iter().position(|member| !seen.insert(*member)).unwrap_or(members.len());
    seen.into_iter().chain(members[repeat..].iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_in_both_wordings() {
        use Wording::{Current, Enveloped, Older};
        let strings = ValueFault::DuplicateStrings(&["b", "a", "b"]);
        let binaries = ValueFault::DuplicateBinaries(&[&[0xff], &[0], &[0]]);
        for (fault, wording, text) in [
            (
                strings,
                Enveloped,
                "1 validation error detected: One or more parameter values were invalid: Input collection \
                 [\"a\", \"b\", \"b\"] contains duplicates.",
            ),
            (
                strings,
                Older,
                "One or more parameter values were invalid: Input collection [b, a, b] contains duplicates.",
            ),
            (
                binaries,
                Current,
                "One or more parameter values were invalid: Input collection [\"AA==\",\"/w==\",\"AA==\"]of type BS \
                 contains duplicates.",
            ),
            (
                binaries,
                Older,
                "One or more parameter values were invalid: Input collection [/w==, AA==, AA==]of type BS contains \
                 duplicates.",
            ),
            (ValueFault::DuplicateNumbers, Older, "Input collection contains duplicates"),
            (
                ValueFault::Number(NumberError::Syntax, ""),
                Current,
                "The parameter cannot be converted to a numeric value: ",
            ),
            (
                ValueFault::Number(NumberError::Syntax, ""),
                Older,
                "The parameter cannot be converted to a numeric value",
            ),
            (
                ValueFault::Empty,
                Enveloped,
                "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
            ),
        ] {
            assert_eq!(fault.message(wording), text);
        }
    }
}
