//! One table: its items, its indexes, its counters.

use bumpalo::Bump;

use super::index::{Difference, Digest, differences, implied};
use super::walk::{Step, walk};
use super::{Reporter, TableSummary, describe, item};
use crate::model::EncodedItem;
use crate::storage::engine::Engine;
use crate::storage::progress::Meter;
use crate::storage::{Error, Space, Table, TableIndex};

/// What a table's rows are, found by reading them all.
pub(super) struct Contents {
    pub rows: u64,
    pub bytes: u64,
    /// Whether every row could be read: if not, neither `rows` and `bytes` nor `implied` are the whole truth.
    pub is_complete: bool,
    /// The entries that the items imply, by position in [`Table::indexes`].
    pub implied: Vec<Digest>,
}

/// What an index holds.
pub(super) struct Entries {
    pub digest: Digest,
    pub is_complete: bool,
}

/// Checks a table and all that belongs to it.
pub(super) fn check(engine: &Engine, table: &Table, reporter: &mut Reporter<'_>) -> Result<TableSummary, Error> {
    let total = table.item_count() + table.indexes().iter().map(TableIndex::item_count).sum::<u64>();
    let mut meter = Meter::begin(reporter.observer, &place(table), total);
    let contents = read_items(engine, table, reporter, &mut meter)?;
    if contents.is_complete {
        let counted = (table.item_count(), table.size_bytes());
        check_counters(&place(table), counted, (contents.rows, contents.bytes), reporter);
    }
    let mut summary = TableSummary::new(table.name(), contents.rows, contents.bytes);
    for (index, implied) in table.indexes().iter().zip(&contents.implied) {
        let entries = read_entries(engine, table, index, reporter, &mut meter)?;
        let place = index_place(table, index);
        if entries.digest != *implied {
            differences(engine, table, index, |difference| {
                reporter.find(&place, shown(table, index, &difference));
                Ok(())
            })?;
        }
        let Digest { rows, bytes, .. } = entries.digest;
        if entries.is_complete {
            check_counters(&place, (index.item_count(), index.size_bytes()), (rows, bytes), reporter);
        }
        summary.indexes.push((index.name().to_owned(), rows, bytes));
    }
    Ok(summary)
}

/// Reads and checks every item and sums up the entries that they imply.
pub(super) fn read_items(
    engine: &Engine,
    table: &Table,
    reporter: &mut Reporter<'_>,
    meter: &mut Meter,
) -> Result<Contents, Error> {
    let implied_by_none = vec![Digest::default(); table.indexes().len()];
    let mut contents = Contents { rows: 0, bytes: 0, is_complete: true, implied: implied_by_none };
    let (mut arena, place) = (Bump::new(), place(table));
    walk(engine, table.space(), |step| {
        let (key, value) = match step {
            Step::Row { key, value } => (key, value),
            Step::Damaged { after, error } => {
                contents.is_complete = false;
                reporter.find(&place, unreadable(table.space(), after, |key| describe::item(table, key), &error));
                return Ok(());
            }
        };
        arena.reset();
        contents.rows += 1;
        contents.bytes = contents.bytes.wrapping_add(EncodedItem::open(value).map_or(0, |item| item.size() as u64));
        let is_readable = match item::check(table, key, value, &arena) {
            Ok(_) => true,
            Err(problem) => {
                contents.is_complete &= problem.is_readable;
                reporter.find(&place, format!("item {}: {}", describe::item(table, key), problem.what));
                problem.is_readable
            }
        };
        if is_readable {
            let item = EncodedItem::open(value)?;
            for (index, digest) in table.indexes().iter().zip(&mut contents.implied) {
                if let Some(entry) = implied(table, index, key, item, &arena)? {
                    digest.add(entry.row_key, entry.item.as_bytes());
                }
            }
        }
        meter.step(reporter.observer);
        Ok(())
    })?;
    Ok(contents)
}

/// Reads every entry of an index.
pub(super) fn read_entries(
    engine: &Engine,
    table: &Table,
    index: &TableIndex,
    reporter: &mut Reporter<'_>,
    meter: &mut Meter,
) -> Result<Entries, Error> {
    let mut entries = Entries { digest: Digest::default(), is_complete: true };
    walk(engine, index.space(), |step| {
        match step {
            Step::Row { key, value } => entries.digest.add(key, value),
            Step::Damaged { after, error } => {
                entries.is_complete = false;
                let what = unreadable(index.space(), after, |key| describe::entry(table, index, key), &error);
                reporter.find(&index_place(table, index), what);
            }
        }
        meter.step(reporter.observer);
        Ok(())
    })?;
    Ok(entries)
}

/// `counted` and `found` are rows and bytes.
fn check_counters(place: &str, counted: (u64, u64), found: (u64, u64), reporter: &mut Reporter<'_>) {
    if counted != found {
        reporter.find(place, miscounted(counted.0, counted.1, found.0, found.1));
    }
}

pub(super) fn miscounted(rows: u64, bytes: u64, rows_found: u64, bytes_found: u64) -> String {
    format!("the catalog counts {rows} rows of {bytes} bytes, there are {rows_found} of {bytes_found}")
}

pub(super) fn place(table: &Table) -> String {
    format!("table {}", table.name())
}

pub(super) fn index_place(table: &Table, index: &TableIndex) -> String {
    format!("index {}.{}", table.name(), index.name())
}

pub(super) fn shown(table: &Table, index: &TableIndex, difference: &Difference<'_>) -> String {
    match difference {
        Difference::Missing(entry) => format!("missing entry {}", describe::entry(table, index, entry.row_key)),
        Difference::Different(entry) => {
            format!("the entry's attributes are not its item's: {}", describe::entry(table, index, entry.row_key))
        }
        Difference::Extra(row_key) => format!("extra entry {}", describe::entry(table, index, row_key)),
    }
}

/// What is said of rows in a damaged block. `after` is shorter than any row key if not even the first can be read.
pub(super) fn unreadable(space: Space, after: &[u8], show: impl Fn(&[u8]) -> String, error: &Error) -> String {
    let is_row = after.len() > space.prefix().len() + crate::storage::layout::HASH_BYTES;
    let position = if is_row { format!("after {}", show(after)) } else { "here".to_owned() };
    format!("rows {position} cannot be read: {error}")
}
