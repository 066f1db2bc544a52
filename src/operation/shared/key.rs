//! Primary keys and index keys in items and parameters.

use bumpalo::Bump;

use crate::error::ApiError;
use crate::model::limits::{PARTITION_KEY_BYTES_MAX, SORT_KEY_BYTES_MAX};
use crate::model::{Item, KeyAttribute, Map, TableDefinition, Value};
use crate::storage::{KeyValue, Table};

/// The values of a table's key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PrimaryKey<'a> {
    pub hash: KeyValue<'a>,
    pub range: Option<KeyValue<'a>>,
}

/// How an item's key that is missing or of another type is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemKeyWording {
    /// PutItem names the attribute.
    Named,
    /// BatchWriteItem does not.
    Schema,
}

impl<'a> PrimaryKey<'a> {
    pub fn row_key<'r>(&self, table: &Table, arena: &'r Bump) -> &'r [u8] {
        table.row_key(self.hash, self.range, arena)
    }

    /// From a `Key` parameter: exactly the attributes of the key.
    pub fn from_key(table: &TableDefinition, key: Map<'a>) -> Result<PrimaryKey<'a>, ApiError> {
        if key.len() != table.key.len() {
            return Err(schema_mismatch());
        }
        PrimaryKey::from_item(table, key, ItemKeyWording::Schema)
    }

    /// From an item that is to be put: among its attributes.
    pub fn from_item(
        table: &TableDefinition,
        item: Item<'a>,
        wording: ItemKeyWording,
    ) -> Result<PrimaryKey<'a>, ApiError> {
        let find = |attribute: &KeyAttribute| typed_value(attribute, item, wording);
        let hash = find(&table.key.hash[0])?;
        let range = table.key.range.first().map(find).transpose()?;
        let key = PrimaryKey { hash: check_value(hash, &table.key.hash[0])?, range: None };
        check_hash_size(key.hash)?;
        let range = match (range, table.key.range.first()) {
            (Some(value), Some(attribute)) => Some(check_value(value, attribute)?),
            _ => None,
        };
        range.map(check_range_size).transpose()?;
        Ok(PrimaryKey { range, ..key })
    }
}

/// A key of the right names and types but any size: ExclusiveStartKey's attributes.
pub fn schema_mismatch() -> ApiError {
    ApiError::validation("The provided key element does not match the schema")
}

fn typed_value<'a>(attribute: &KeyAttribute, item: Item<'a>, wording: ItemKeyWording) -> Result<Value<'a>, ApiError> {
    match (item.get(&attribute.name), wording) {
        (Some(value), _) if attribute.kind.matches(&value) => Ok(value),
        (_, ItemKeyWording::Schema) => Err(schema_mismatch()),
        (None, ItemKeyWording::Named) => {
            Err(ApiError::invalid_parameters(format_args!("Missing the key {} in the item", attribute.name)))
        }
        (Some(value), ItemKeyWording::Named) => Err(ApiError::invalid_parameters(format_args!(
            "Type mismatch for key {} expected: {} actual: {}",
            attribute.name,
            attribute.kind.name(),
            value.type_name()
        ))),
    }
}

/// Keys may not be empty.
fn check_value<'a>(value: Value<'a>, attribute: &KeyAttribute) -> Result<KeyValue<'a>, ApiError> {
    if let Some(kind) = empty_kind(&value) {
        return Err(ApiError::validation(format!(
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an \
             empty {kind} value. Key: {}",
            attribute.name
        )));
    }
    KeyValue::from_value(value).ok_or_else(schema_mismatch)
}

fn empty_kind(value: &Value<'_>) -> Option<&'static str> {
    match value {
        Value::S("") => Some("string"),
        Value::B(b"") => Some("binary"),
        _ => None,
    }
}

/// Bytes of a string or binary; numbers are always short enough.
fn size(value: KeyValue<'_>) -> usize {
    match value {
        KeyValue::S(text) => text.len(),
        KeyValue::B(bytes) => bytes.len(),
        KeyValue::N(_) => 0,
    }
}

fn check_hash_size(value: KeyValue<'_>) -> Result<(), ApiError> {
    if size(value) <= PARTITION_KEY_BYTES_MAX {
        return Ok(());
    }
    // The missing blank is AWS's.
    Err(ApiError::invalid_parameters(format_args!(
        "Size of hashkey has exceeded the maximum size limit of{PARTITION_KEY_BYTES_MAX} bytes"
    )))
}

fn check_range_size(value: KeyValue<'_>) -> Result<(), ApiError> {
    if size(value) <= SORT_KEY_BYTES_MAX {
        return Ok(());
    }
    Err(ApiError::invalid_parameters(format_args!(
        "Aggregated size of all range keys has exceeded the size limit of {SORT_KEY_BYTES_MAX} bytes"
    )))
}

/// Refuses an item whose index key attributes have another type, are empty or too long. `updated`: the item is the
/// result of an update, which AWS words differently.
pub fn check_index_keys(table: &TableDefinition, item: Item<'_>, updated: bool) -> Result<(), ApiError> {
    if table.indexes.is_empty() {
        return Ok(());
    }
    // AWS names the first index by name; definitions keep the order in which indexes were made.
    let mut first: Option<(&str, ApiError)> = None;
    for index in &table.indexes {
        let hash = index.key.hash.iter().map(|attribute| (attribute, true));
        let range = index.key.range.iter().map(|attribute| (attribute, false));
        for (attribute, is_hash) in hash.chain(range) {
            let Some(value) = item.get(&attribute.name) else { continue };
            let Err(error) = check_index_value(&index.name, attribute, value, is_hash, updated) else { continue };
            if first.as_ref().is_none_or(|(name, _)| index.name.as_str() < *name) {
                first = Some((&index.name, error));
            }
        }
    }
    first.map_or(Ok(()), |(_, error)| Err(error))
}

fn check_index_value(
    index: &str,
    attribute: &KeyAttribute,
    value: Value<'_>,
    is_hash: bool,
    updated: bool,
) -> Result<(), ApiError> {
    let name = &attribute.name;
    if !attribute.kind.matches(&value) {
        return Err(ApiError::invalid_parameters(format_args!(
            "Type mismatch for Index Key {name} Expected: {} Actual: {} IndexName: {index}",
            attribute.kind.name(),
            value.type_name()
        )));
    }
    if let Some(kind) = empty_kind(&value) {
        let cannot = format!("The AttributeValue for a key attribute cannot contain an empty {kind} value.");
        return Err(ApiError::validation(if updated {
            format!(
                "One or more parameter values are not valid. The update expression attempted to update a secondary \
                 index key to a value that is not supported. {cannot}"
            )
        } else {
            format!(
                "One or more parameter values are not valid. A value specified for a secondary index key is not \
                 supported. {cannot} IndexName: {index}, IndexKey: {name}"
            )
        }));
    }
    let value = KeyValue::from_value(value).ok_or_else(schema_mismatch)?;
    if is_hash { check_hash_size(value) } else { check_range_size(value) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture::table_definition;
    use crate::model::{Attribute, Number};

    fn message<T>(result: Result<T, ApiError>) -> Option<String> {
        result.err().map(|error| error.message.into_owned())
    }

    fn item<'a>(attributes: &[(&'a str, Value<'a>)], arena: &'a Bump) -> Item<'a> {
        let attributes = attributes.iter().map(|(name, value)| Attribute { name, value: *value });
        Map::from_unsorted(bumpalo::collections::Vec::from_iter_in(attributes, arena))
    }

    #[test]
    fn keys_of_items() {
        let arena = Bump::new();
        let table = table_definition("t", &[("p", 'S')], &[("r", 'N')]);
        let one = Value::N(Number::from_canonical("1"));
        let long_hash = "x".repeat(2049);
        for (attributes, expected) in [
            (&[("p", Value::S("a")), ("r", one), ("x", Value::Null)][..], None),
            (&[("r", one)], Some("One or more parameter values were invalid: Missing the key p in the item")),
            (
                &[("p", one), ("r", one)],
                Some("One or more parameter values were invalid: Type mismatch for key p expected: S actual: N"),
            ),
            (
                &[("p", Value::S("")), ("r", one)],
                Some(
                    "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain \
                     an empty string value. Key: p",
                ),
            ),
            (
                &[("p", Value::S(&long_hash)), ("r", one)],
                Some(
                    "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit \
                     of2048 bytes",
                ),
            ),
        ] {
            let key = PrimaryKey::from_item(&table, item(attributes, &arena), ItemKeyWording::Named);
            assert_eq!(message(key).as_deref(), expected);
        }
    }

    #[test]
    fn key_parameters_hold_the_key_and_nothing_else() {
        let arena = Bump::new();
        let table = table_definition("t", &[("p", 'B')], &[]);
        let mismatch = Some("The provided key element does not match the schema");
        for (attributes, expected) in [
            (&[("p", Value::B(b"a"))][..], None),
            (&[], mismatch),
            (&[("q", Value::B(b"a"))], mismatch),
            (&[("p", Value::S("a"))], mismatch),
            (&[("p", Value::B(b"a")), ("q", Value::Null)], mismatch),
        ] {
            assert_eq!(message(PrimaryKey::from_key(&table, item(attributes, &arena))).as_deref(), expected);
        }
    }
}
