//! What BatchGetItem and BatchWriteItem have in common.

use std::collections::HashSet;

use super::constraint::Constraints;
use super::table_name::{PATTERN, is_name};
use crate::error::ApiError;
use crate::model::limits::{TABLE_NAME_LENGTH_MAX, TABLE_NAME_LENGTH_MIN};

/// What AWS's decoder says of a scalar in place of a parameterized list or map.
pub const PARAMETERIZED_TYPE: &str = "class sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl cannot be \
    cast to class java.lang.Class (sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl and java.lang.Class \
    are in module java.base of loader 'bootstrap')";

/// A map of tables that is there but empty.
pub fn required(operation: &str) -> ApiError {
    ApiError::validation(format!("The requestItems parameter is required for {operation}"))
}

/// Names of tables as keys of a map; ARNs pass.
pub fn check_table_names<'n>(mut names: impl Iterator<Item = &'n str>, path: &str, constraints: &mut Constraints) {
    let malformed = names.find(|name| {
        let length_is_valid = (TABLE_NAME_LENGTH_MIN..=TABLE_NAME_LENGTH_MAX).contains(&name.len());
        let is_valid = name.starts_with("arn:") || (length_is_valid && is_name(name));
        !is_valid
    });
    if let Some(name) = malformed {
        constraints.violated(
            format_args!("{{{name}=...}}"),
            path,
            format_args!(
                "Map keys must satisfy constraint: [Member must have length less than or equal to \
                 {TABLE_NAME_LENGTH_MAX}, Member must have length greater than or equal to {TABLE_NAME_LENGTH_MIN}, \
                 Member must satisfy regular expression pattern: {PATTERN}]"
            ),
        );
    }
}

/// Refuses two entries for one item.
pub fn check_distinct<'k>(row_keys: impl Iterator<Item = &'k [u8]>) -> Result<(), ApiError> {
    if is_distinct(row_keys) {
        return Ok(());
    }
    Err(ApiError::validation("Provided list of item keys contains duplicates"))
}

/// Whether no item is named twice. Row keys of different tables differ.
pub fn is_distinct<'k>(mut row_keys: impl Iterator<Item = &'k [u8]>) -> bool {
    let mut seen = HashSet::new();
    row_keys.all(|key| seen.insert(key))
}
