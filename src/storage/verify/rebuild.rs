//! Mending indexes: what [`super::index::differences`] finds is written as the table implies it.
//!
//! ```text
//! for each table:   read all items, and all entries of each chosen index
//!   for each index whose entries are not the implied ones:   delete, put   -- batches, each a step towards the truth
//!   counters of the table and of the chosen indexes          -- one record, last
//! ```
//!
//! A crash leaves an index that is mended in part and counters that are off: the next run finds what is left. Items are
//! not changed. An entry whose item cannot be read is left as it is, because it may hold the only copy.

use std::mem;

use rocksdb::WriteBatch;

use super::index::{Difference, differences};
use super::table::{index_place, miscounted, place, read_entries, read_items, shown};
use super::{Directory, Reporter};
use crate::storage::Error;
use crate::storage::catalog::{TABLE_ROWS, Table, TableIndex};
use crate::storage::engine::Engine;
use crate::storage::layout::{self, CounterRecord, MetadataKey};
use crate::storage::progress::{Meter, Observer};

/// A batch is written once it has grown to this.
const BATCH_BYTES_MAX: usize = 1024 * 1024;

/// Which indexes; `None` is all.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    pub table: Option<String>,
    pub index: Option<String>,
}

impl Selection {
    fn has_index(&self, index: &TableIndex) -> bool {
        self.index.as_deref().is_none_or(|name| name == index.name())
    }

    /// Tables with a chosen index. With no index named, also tables without any: their counters are checked.
    fn has_table(&self, table: &Table) -> bool {
        let is_named = self.table.as_deref().is_none_or(|name| name == table.name());
        is_named && (self.index.is_none() || table.indexes().iter().any(|index| self.has_index(index)))
    }
}

/// The end of [`Directory::rebuild`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repair {
    pub table_count: u64,
    pub index_count: u64,
    /// Entries and counters that differed.
    pub difference_count: u64,
    /// Rows that cannot be read or are damaged: they stay as they are.
    pub damage_count: u64,
}

impl Directory {
    /// Checks the chosen indexes and, unless it is a dry run, mends them. Synced when it returns.
    pub fn rebuild(&self, selection: &Selection, dry_run: bool, observer: &mut dyn Observer) -> Result<Repair, Error> {
        let mut repair = Repair::default();
        for table in self.catalog.tables().filter(|table| selection.has_table(table)) {
            repair.table_count += 1;
            rebuild_table(&self.engine, table, selection, dry_run, observer, &mut repair)?;
        }
        if !dry_run && repair.difference_count > 0 {
            self.engine.flush()?;
        }
        Ok(repair)
    }
}

fn rebuild_table(
    engine: &Engine,
    table: &Table,
    selection: &Selection,
    dry_run: bool,
    observer: &mut dyn Observer,
    repair: &mut Repair,
) -> Result<(), Error> {
    let chosen = || table.indexes().iter().enumerate().filter(|(_, index)| selection.has_index(index));
    let total = table.item_count() + chosen().map(|(_, index)| index.item_count()).sum::<u64>();
    let mut meter = Meter::begin(observer, &place(table), total);
    let mut reporter = Reporter { observer, difference_count: 0 };
    let contents = read_items(engine, table, &mut reporter, &mut meter)?;
    let mut damage_count = reporter.difference_count;
    let mut counters = Counters::of(table);
    if contents.is_complete {
        counters.correct(TABLE_ROWS, &place(table), contents.rows, contents.bytes, &mut reporter);
    }
    for (position, index) in chosen() {
        let (before, place) = (reporter.difference_count, index_place(table, index));
        let found = read_entries(engine, table, index, &mut reporter, &mut meter)?;
        damage_count += reporter.difference_count - before;
        let implied = contents.implied[position];
        if found.digest != implied {
            mend(engine, table, index, dry_run, &mut reporter)?;
        }
        repair.index_count += 1;
        match (contents.is_complete && found.is_complete, found.is_complete && !dry_run) {
            (true, _) => counters.correct(index.number(), &place, implied.rows, implied.bytes, &mut reporter),
            // Entries of items that cannot be read have stayed: what is there now is counted.
            (false, true) => {
                let digest = read_entries(engine, table, index, &mut reporter, &mut meter)?.digest;
                counters.correct(index.number(), &place, digest.rows, digest.bytes, &mut reporter);
            }
            (false, false) => {}
        }
    }
    repair.damage_count += damage_count;
    repair.difference_count += reporter.difference_count - damage_count;
    if counters.are_corrected && !dry_run { counters.write(engine, table) } else { Ok(()) }
}

/// Writes an index as the items imply it.
fn mend(
    engine: &Engine,
    table: &Table,
    index: &TableIndex,
    dry_run: bool,
    reporter: &mut Reporter<'_>,
) -> Result<(), Error> {
    let (mut batch, place) = (WriteBatch::new(), index_place(table, index));
    differences(engine, table, index, |difference| {
        reporter.find(&place, shown(table, index, &difference));
        if dry_run {
            return Ok(());
        }
        match difference {
            Difference::Missing(entry) | Difference::Different(entry) => {
                batch.put(entry.row_key, entry.item.as_bytes());
            }
            Difference::Extra(row_key) => batch.delete(row_key),
        }
        if batch.size_in_bytes() < BATCH_BYTES_MAX {
            return Ok(());
        }
        engine.write(mem::take(&mut batch), false)
    })?;
    if batch.is_empty() { Ok(()) } else { engine.write(batch, false) }
}

/// The counters record of a table as it should be.
struct Counters {
    records: Vec<CounterRecord>,
    are_corrected: bool,
}

impl Counters {
    fn of(table: &Table) -> Counters {
        let records = table.counters().map(|(index_number, counter)| {
            let (rows, bytes) = counter.load();
            CounterRecord { index_number, rows, bytes }
        });
        Counters { records: records.collect(), are_corrected: false }
    }

    fn correct(&mut self, number: u16, place: &str, rows: u64, bytes: u64, reporter: &mut Reporter<'_>) {
        for record in self.records.iter_mut().filter(|record| record.index_number == number) {
            if (record.rows, record.bytes) != (rows, bytes) {
                reporter.find(place, miscounted(record.rows, record.bytes, rows, bytes));
                (record.rows, record.bytes, self.are_corrected) = (rows, bytes, true);
            }
        }
    }

    fn write(&self, engine: &Engine, table: &Table) -> Result<(), Error> {
        let (mut batch, mut value) = (WriteBatch::new(), Vec::new());
        layout::write_counters(self.records.iter().copied(), &mut value);
        batch.put(MetadataKey::counters(table.id()), value);
        engine.write(batch, false)
    }
}
