//! The TableName of data operations: a name or an ARN.

use super::constraint::Constraints;
use crate::error::{ApiError, Wording};
use crate::model::limits::TABLE_NAME_LENGTH_MAX;

/// The longest ARN that is taken for a name.
pub const ARN_LENGTH_MAX: usize = 1024;

pub const PATTERN: &str = "[a-zA-Z0-9_.-]+";

/// Checks the parameter. Today's wording reports an empty or malformed name alone, before anything else; the older one
/// collects it with the other violations. The text is only to be used after `constraints` were checked.
pub fn check<'a>(name: Option<&'a str>, constraints: &mut Constraints) -> Result<&'a str, ApiError> {
    let Some(name) = name else {
        constraints.required(false, "tableName");
        return Ok("");
    };
    if constraints.wording() == Wording::Older {
        check_form(name, constraints);
    } else {
        let mut alone = Constraints::new(constraints.wording());
        check_form(name, &mut alone);
        alone.check()?;
    }
    Ok(name)
}

fn check_form(name: &str, constraints: &mut Constraints) {
    if name.starts_with("arn:") {
        constraints.length(name.len(), (1, ARN_LENGTH_MAX), name, "tableName");
        return;
    }
    constraints.length(name.len(), (1, TABLE_NAME_LENGTH_MAX), name, "tableName");
    if !is_name(name) {
        constraints.violated(
            name,
            "tableName",
            format_args!("Member must satisfy regular expression pattern: {PATTERN}"),
        );
    }
}

/// Whether every character is one that names of tables and indexes may have. The empty name counts as short, not
/// malformed.
pub fn is_name(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(name: Option<&str>, wording: Wording) -> Option<String> {
        let mut constraints = Constraints::new(wording);
        let checked = check(name, &mut constraints).and_then(|_| constraints.check());
        checked.err().map(|error| error.message.into_owned())
    }

    #[test]
    fn names_and_arns() {
        let long = "x".repeat(256);
        for (name, wording, expected) in [
            (Some("t"), Wording::Current, None),
            (Some("arn:aws:dynamodb:us-east-1:000000000000:table/t"), Wording::Current, None),
            (
                None,
                Wording::Enveloped,
                Some(
                    "1 validation error detected: Value null at 'tableName' failed to satisfy constraint: Member must \
                     not be null",
                ),
            ),
            (
                Some(""),
                Wording::Enveloped,
                Some(
                    "1 validation error detected: Value at 'TableName' failed to satisfy constraint: Member must have \
                     length greater than or equal to 1",
                ),
            ),
            (
                Some("a b"),
                Wording::Older,
                Some(
                    "1 validation error detected: Value 'a b' at 'tableName' failed to satisfy constraint: Member must \
                     satisfy regular expression pattern: [a-zA-Z0-9_.-]+",
                ),
            ),
            (
                Some(&long),
                Wording::Current,
                Some(
                    "1 validation error detected: Value at 'TableName' failed to satisfy constraint: Member must have \
                     length less than or equal to 255",
                ),
            ),
        ] {
            assert_eq!(message(name, wording).as_deref(), expected, "{name:?}");
        }
    }
}
