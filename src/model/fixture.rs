//! Definitions that tests of several layers begin with.

use super::table::{BillingMode, Throughput};
use super::{KeyAttribute, KeyKind, KeySchema, TableDefinition};

/// A table with the given key attributes, billed per request, without indexes.
pub fn table_definition(name: &str, hash: &[(&str, char)], range: &[(&str, char)]) -> TableDefinition {
    TableDefinition {
        name: name.to_owned(),
        id: 1,
        uuid: "00000000-0000-4000-8000-000000000000".to_owned(),
        created_ms: 0,
        key: KeySchema { hash: key_attributes(hash), range: key_attributes(range) },
        indexes: Vec::new(),
        next_index_number: 1,
        billing_mode: BillingMode::PayPerRequest,
        on_demand_since_ms: None,
        throughput: Throughput::default(),
        on_demand_limits: None,
        deletion_protection: false,
        deletion_protection_changed_ms: None,
        class: None,
        stream: None,
        encryption: None,
        tags: Vec::new(),
    }
}

/// Names with the letters of their types.
pub fn key_attributes(attributes: &[(&str, char)]) -> Vec<KeyAttribute> {
    let kind = |letter| match letter {
        'S' => KeyKind::S,
        'N' => KeyKind::N,
        _ => KeyKind::B,
    };
    attributes.iter().map(|&(name, letter)| KeyAttribute { name: name.to_owned(), kind: kind(letter) }).collect()
}
