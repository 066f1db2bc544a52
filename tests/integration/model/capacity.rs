//! ConsumedCapacity, counted in halves of a unit.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::database::View;
use super::schema::{Index, Schema};
use super::value::{Item, item_size};

/// ReturnConsumedCapacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    None,
    Total,
    Indexes,
}

#[derive(Clone, Debug, Default)]
pub struct Halves {
    table: u64,
    /// By member of the answer, then by index.
    indexes: BTreeMap<(&'static str, &'static str), u64>,
}

impl Report {
    /// Adds the parameter to a request.
    pub fn parameter(self, request: &mut Json) {
        match self {
            Report::None => {}
            Report::Total => request["ReturnConsumedCapacity"] = json!("TOTAL"),
            Report::Indexes => request["ReturnConsumedCapacity"] = json!("INDEXES"),
        }
    }

    /// One ConsumedCapacity. `kind`: the member that transactions add.
    pub fn consumed(self, table: &str, halves: &Halves, kind: Option<&str>) -> Json {
        let units = |halves: u64| {
            let units = halves as f64 / 2.0;
            let mut object = json!({"CapacityUnits": units});
            if let Some(kind) = kind {
                object[kind] = json!(units);
            }
            object
        };
        let mut consumed = units(halves.table + halves.indexes.values().sum::<u64>());
        consumed["TableName"] = json!(table);
        if self == Report::Indexes {
            consumed["Table"] = units(halves.table);
            for ((member, index), index_halves) in &halves.indexes {
                consumed[*member][*index] = units(*index_halves);
            }
        }
        consumed
    }

    /// Adds the ConsumedCapacity of an operation on one table to its answer.
    pub fn answer(self, answer: &mut Json, table: &str, halves: &Halves) {
        if self != Report::None {
            answer["ConsumedCapacity"] = self.consumed(table, halves, None);
        }
    }
}

impl Halves {
    /// A read of a table.
    pub fn read(bytes: usize, consistent: bool) -> Halves {
        Halves { table: read_halves(bytes, consistent), ..Halves::default() }
    }

    /// A read of an index and of items of the table.
    pub fn read_index(index: &Index, halves: u64, fetched: u64) -> Halves {
        Halves { table: fetched, indexes: BTreeMap::from([((member(index), index.name), halves)]) }
    }

    /// A write that replaces `old` by `new`.
    pub fn write(schema: &Schema, view: View, table: usize, old: Option<&Item>, new: Option<&Item>) -> Halves {
        let bytes = old.map_or(0, item_size).max(new.map_or(0, item_size));
        let mut halves = Halves { table: 2 * write_units(bytes), ..Halves::default() };
        for index in view.indexes(table) {
            let units = index_write_units(schema, index, old, new);
            if units > 0 {
                halves.indexes.insert((member(index), index.name), 2 * units);
            }
        }
        halves
    }

    pub fn add(&mut self, other: Halves) {
        self.table += other.table;
        for (index, halves) in other.indexes {
            *self.indexes.entry(index).or_default() += halves;
        }
    }

    /// In a transaction the table's part counts twice.
    pub fn of_transaction(mut self) -> Halves {
        self.table *= 2;
        self
    }
}

pub fn read_halves(bytes: usize, consistent: bool) -> u64 {
    let units = bytes.div_ceil(4096).max(1) as u64;
    if consistent { 2 * units } else { units }
}

fn write_units(bytes: usize) -> u64 {
    bytes.div_ceil(1024).max(1) as u64
}

fn member(index: &Index) -> &'static str {
    if index.is_local { "LocalSecondaryIndexes" } else { "GlobalSecondaryIndexes" }
}

/// An entry that changes in place counts once, one that moves counts where it was and where it goes.
fn index_write_units(schema: &Schema, index: &Index, old: Option<&Item>, new: Option<&Item>) -> u64 {
    let [before, after] = [old, new].map(|item| item.and_then(|item| index.entry(schema, item)));
    let units = |entry: &Item| write_units(item_size(entry));
    match (before, after) {
        (before, after) if before == after => 0,
        (Some(before), Some(after)) if index.key_names().all(|name| before[name] == after[name]) => {
            units(&before).max(units(&after))
        }
        (before, after) => before.as_ref().map_or(0, units) + after.as_ref().map_or(0, units),
    }
}
