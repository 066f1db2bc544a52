//! The records that are not rows of tables: definitions, counters, cursors, drops, request tokens.

use std::collections::HashSet;

use super::{Reporter, describe};
use crate::model::TableDefinition;
use crate::storage::Error;
use crate::storage::bounds::Bounds;
use crate::storage::catalog::{Catalog, TABLE_ROWS, Table};
use crate::storage::engine::Engine;
use crate::storage::idempotency::check_record;
use crate::storage::layout::{self, MetadataKey};
use crate::storage::scan::Row;

use super::walk::SCAN;

const CATALOG: &str = "catalog";

/// Lower bound of all metadata keys and their upper bound: table id 0.
const LOWER: [u8; 4] = [0; 4];
const UPPER: [u8; 4] = [0, 0, 0, 1];

/// Checks every record. An error: they cannot be read to their end.
pub(super) fn check(engine: &Engine, catalog: &Catalog, reporter: &mut Reporter<'_>) -> Result<(), Error> {
    reporter.observer.begin(CATALOG, 0);
    catalog.tables().for_each(|table| check_definition(table.definition(), reporter));
    let mut rows = engine.scan(Bounds { lower: &LOWER, upper: &UPPER }, SCAN);
    while let Row::Found { key, value } = rows.advance()? {
        if let Err(what) = check_record_of_kind(key, value, catalog) {
            let place = if key.get(4) == Some(&MetadataKey::TOKEN) { "request tokens" } else { CATALOG };
            reporter.find(place, format!("{}: {what}", describe::raw(key)));
        }
        if key.get(4) == Some(&MetadataKey::DROPPED) {
            let id = key.get(5..9).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes);
            reporter.observer.note(&format!("dropped rows of table id {id}: their space is still to be given back"));
        }
    }
    Ok(())
}

fn check_record_of_kind(key: &[u8], value: &[u8], catalog: &Catalog) -> Result<(), String> {
    match key.get(4).copied() {
        // Opening the directory and loading the catalog have read the values of these.
        Some(MetadataKey::VERSION | MetadataKey::NEXT_TABLE_ID) if key.len() == 5 => Ok(()),
        Some(MetadataKey::TABLE) => table_of(key, catalog).map(|_| ()),
        Some(MetadataKey::COUNTERS) => check_counters(table_of(key, catalog)?, value),
        Some(MetadataKey::CURSOR) => {
            let table = creating_table(key, catalog)?;
            match value.starts_with(&table.space().prefix()) {
                true => Ok(()),
                false => Err(format!("the cursor of an index of table {} is not a row key of it", table.name())),
            }
        }
        Some(MetadataKey::FILL) => {
            layout::read_fill_counts(value).map_err(|error| error.to_string())?;
            creating_table(key, catalog).map(|_| ())
        }
        Some(MetadataKey::DROPPED) => check_dropped(key, catalog),
        Some(MetadataKey::TOKEN) => check_record(key, value).map_err(|error| error.to_string()),
        _ => Err("a record of no known kind".into()),
    }
}

/// The table whose id is the key's.
fn table_of<'c>(key: &[u8], catalog: &'c Catalog) -> Result<&'c Table, String> {
    let id = match key.get(5..).map(<[u8; 4]>::try_from) {
        Some(Ok(bytes)) => u32::from_be_bytes(bytes),
        _ => return Err("a key of the wrong length".into()),
    };
    with_id(id, catalog).ok_or_else(|| format!("a record of table id {id}, which does not exist"))
}

fn with_id(id: u32, catalog: &Catalog) -> Option<&Table> {
    catalog.tables().map(|table| &**table).find(|table| table.id() == id)
}

fn check_counters(table: &Table, value: &[u8]) -> Result<(), String> {
    let records = layout::read_counters(value).map_err(|error| error.to_string())?;
    let mut numbers = HashSet::new();
    for record in records {
        // Those of dropped indexes stay until the next write.
        if record.index_number >= table.definition().next_index_number || !numbers.insert(record.index_number) {
            return Err(format!("a counter of table {} for index number {}", table.name(), record.index_number));
        }
    }
    Ok(())
}

/// The table of the index in a key, which is being created.
fn creating_table<'c>(key: &[u8], catalog: &'c Catalog) -> Result<&'c Table, String> {
    let (id, number) = layout::read_dropped_key(key).map_err(|error| error.to_string())?;
    let table = with_id(id, catalog).ok_or_else(|| format!("a back-fill of table id {id}, which does not exist"))?;
    match table.indexes().iter().any(|index| index.number() == number && index.is_being_created()) {
        true => Ok(table),
        false => Err(format!("a back-fill of an index of table {} that is not being created", table.name())),
    }
}

fn check_dropped(key: &[u8], catalog: &Catalog) -> Result<(), String> {
    let (id, number) = layout::read_dropped_key(key).map_err(|error| error.to_string())?;
    let exists = with_id(id, catalog)
        .is_some_and(|table| number == TABLE_ROWS || table.indexes().iter().any(|index| index.number() == number));
    match exists {
        false => Ok(()),
        true => Err(format!("table id {id}, index number {number} exists and is recorded as dropped")),
    }
}

/// What [`crate::operation`] checks before a definition is accepted, as far as rows depend on it.
fn check_definition(table: &TableDefinition, reporter: &mut Reporter<'_>) {
    let mut wrong = |what: String| reporter.find(CATALOG, format!("table {}: {what}", table.name));
    if table.key.hash.len() != 1 || table.key.range.len() > 1 {
        wrong("its key is not one hash and at most one range attribute".into());
    }
    let (mut numbers, mut names) = (HashSet::new(), HashSet::new());
    for index in &table.indexes {
        if index.number == TABLE_ROWS || index.number >= table.next_index_number || !numbers.insert(index.number) {
            wrong(format!("index {} has the number {}", index.name, index.number));
        }
        if !names.insert(index.name.as_str()) {
            wrong(format!("two indexes have the name {}", index.name));
        }
        if index.key.hash.is_empty() {
            wrong(format!("index {} has no hash attribute", index.name));
        }
    }
}
