//! What the expression layer refuses, in DynamoDB's words.
//!
//! Two families, because DynamoDB words them differently:
//! - [`ExpressionError`]: the request is wrong whatever the item holds. The text is bare; the operation puts its
//!   wording around it ([`crate::error::Wording::envelope`]).
//! - [`UpdateError`]: an update does not fit this item or this table. Its text never gets an envelope.

use std::fmt;

use crate::model::NumberError;

/// The parameter that an expression came in. It begins most texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExpressionKind {
    Condition,
    Filter,
    KeyCondition,
    Projection,
    Update,
}

/// A refused expression, substitution or legacy parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpressionError(String);

/// Why an update cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpdateError {
    /// A right-hand side names an attribute that the item lacks.
    MissingOperand,
    /// An attribute has a type that the operator or function does not take.
    OperandType,
    /// As `OperandType`, for the legacy AttributeUpdates.
    LegacyType,
    /// The parent of a target is missing, or is not a map or list as the path needs.
    DocumentPath,
    /// A target is an attribute of the table's key.
    KeyAttribute(String),
    /// A target lies inside an attribute of the table's key.
    NestedKey(String),
    /// A sum or difference that is no number.
    Number(NumberError),
    /// The result nests deeper than an item may.
    Nesting,
    /// The result is certainly larger than an item may be; found before it was built.
    ItemSize,
}

impl ExpressionKind {
    /// The request parameter's name.
    pub fn parameter(self) -> &'static str {
        match self {
            ExpressionKind::Condition => "ConditionExpression",
            ExpressionKind::Filter => "FilterExpression",
            ExpressionKind::KeyCondition => "KeyConditionExpression",
            ExpressionKind::Projection => "ProjectionExpression",
            ExpressionKind::Update => "UpdateExpression",
        }
    }
}

impl ExpressionError {
    pub(super) fn new(message: impl Into<String>) -> ExpressionError {
        ExpressionError(message.into())
    }

    /// `Invalid <Kind>: <detail>`.
    pub(super) fn invalid(kind: ExpressionKind, detail: impl fmt::Display) -> ExpressionError {
        ExpressionError(format!("Invalid {}: {detail}", kind.parameter()))
    }

    /// `One or more parameter values were invalid: <detail>`.
    pub(super) fn parameter(detail: impl fmt::Display) -> ExpressionError {
        ExpressionError(format!("One or more parameter values were invalid: {detail}"))
    }

    /// ExpressionAttributeNames came without any expression.
    pub fn names_without_expression() -> ExpressionError {
        ExpressionError::new("ExpressionAttributeNames can only be specified when using expressions")
    }

    /// ExpressionAttributeValues came without an expression that could use them. The older wording goes on to say which
    /// are missing: `UpdateExpression and ConditionExpression are null`.
    pub fn values_without_expression(older_detail: Option<&str>) -> ExpressionError {
        let text = "ExpressionAttributeValues can only be specified when using expressions";
        match older_detail {
            None => ExpressionError::new(text),
            Some(detail) => ExpressionError(format!("{text}: {detail}")),
        }
    }

    /// Legacy parameters beside expressions. Both lists are in DynamoDB's order for the operation.
    pub fn mixed_parameters(legacy: &[&str], expressions: &[&str]) -> ExpressionError {
        ExpressionError(format!(
            "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: \
             {{{}}} Expression parameters: {{{}}}",
            legacy.join(", "),
            expressions.join(", ")
        ))
    }

    pub fn message(&self) -> &str {
        &self.0
    }

    pub fn into_message(self) -> String {
        self.0
    }
}

impl fmt::Display for ExpressionError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for ExpressionError {}

impl From<NumberError> for UpdateError {
    fn from(error: NumberError) -> UpdateError {
        UpdateError::Number(error)
    }
}

impl fmt::Display for UpdateError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            UpdateError::MissingOperand => {
                "The provided expression refers to an attribute that does not exist in the item"
            }
            UpdateError::OperandType => "An operand in the update expression has an incorrect data type",
            UpdateError::LegacyType => "Type mismatch for attribute to update",
            UpdateError::DocumentPath => "The document path provided in the update expression is invalid for update",
            UpdateError::KeyAttribute(name) => {
                return write!(
                    formatter,
                    "One or more parameter values were invalid: Cannot update attribute {name}. This attribute is part \
                     of the key"
                );
            }
            UpdateError::NestedKey(name) => {
                return write!(
                    formatter,
                    "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: Key: \
                     {name}"
                );
            }
            UpdateError::Number(error) => return formatter.write_str(&error.message("")),
            UpdateError::Nesting => {
                "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond \
                 supported limit"
            }
            UpdateError::ItemSize => "Item size to update has exceeded the maximum allowed size",
        };
        formatter.write_str(text)
    }
}

impl std::error::Error for UpdateError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_parameter_rules() {
        let mixed = ExpressionError::mixed_parameters(&["AttributeUpdates", "Expected"], &["UpdateExpression"]);
        for (error, text) in [
            (
                ExpressionError::names_without_expression(),
                "ExpressionAttributeNames can only be specified when using expressions",
            ),
            (
                ExpressionError::values_without_expression(None),
                "ExpressionAttributeValues can only be specified when using expressions",
            ),
            (
                ExpressionError::values_without_expression(Some("FilterExpression is null")),
                "ExpressionAttributeValues can only be specified when using expressions: FilterExpression is null",
            ),
            (
                mixed,
                "Can not use both expression and non-expression parameters in the same request: Non-expression \
                 parameters: {AttributeUpdates, Expected} Expression parameters: {UpdateExpression}",
            ),
        ] {
            assert_eq!(error.message(), text);
        }
    }
}
