//! DynamoDB's nouns: values, numbers, items, tables. No I/O, no JSON.

/// Amazon resource names.
pub mod arn;

/// What an expression is evaluated against.
pub mod document;

/// Definitions that tests begin with.
#[cfg(test)]
pub mod fixture;

/// The stored form of an item.
pub mod item;

/// DynamoDB's limits.
pub mod limits;

/// Exact decimals of 38 digits.
pub mod number;

/// Table and index definitions, validated.
pub mod table;

/// The ten attribute types.
pub mod value;

pub use document::{Document, StoredDocument};
pub use item::{Corrupt, EncodedItem, RawMap, RawValue};
pub use number::{Number, NumberError};
pub use table::{IndexDefinition, KeyAttribute, KeyKind, KeySchema, TableDefinition};
pub use value::{Attribute, Item, Map, Value};
