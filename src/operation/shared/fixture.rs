//! Definitions for tests.

use crate::model::table::{BillingMode, Throughput};
use crate::model::{KeyAttribute, KeyKind, KeySchema, TableDefinition};

/// A table with the given key attributes and no indexes.
pub fn definition(name: &str, hash: &[(&str, char)], range: &[(&str, char)]) -> TableDefinition {
    TableDefinition {
        name: name.to_owned(),
        id: 1,
        uuid: String::new(),
        created_ms: 0,
        key: KeySchema { hash: attributes(hash), range: attributes(range) },
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

fn attributes(attributes: &[(&str, char)]) -> Vec<KeyAttribute> {
    let kind = |letter| match letter {
        'S' => KeyKind::S,
        'N' => KeyKind::N,
        _ => KeyKind::B,
    };
    attributes.iter().map(|&(name, letter)| KeyAttribute { name: name.to_owned(), kind: kind(letter) }).collect()
}
