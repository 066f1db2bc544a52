//! One slice of a back-fill: read by the back-filling thread, turned into entries by the committer.

use std::sync::{Arc, mpsc};

use bumpalo::Bump;

use crate::model::EncodedItem;
use crate::model::table::IndexStatus;
use crate::storage::bounds::{Bounds, Direction};
use crate::storage::catalog::{Catalog, Table, TableIndex};
use crate::storage::commit::{Batch, Committer};
use crate::storage::engine::Engine;
use crate::storage::error::Error;
use crate::storage::index::{IndexEntry, index_entry};
use crate::storage::layout::MetadataKey;
use crate::storage::queue::Queue;
use crate::storage::read::Tier;
use crate::storage::scan::{Row, ScanOptions};

/// A write may wait for the slice before it, so the slice is what the slowest writes take longer: 0.2 ms for this many
/// items of 400 bytes. With 128 it is 0.6 ms, as measured (see PERFORMANCE.md).
pub(in crate::storage) const SLICE_ROW_COUNT_MIN: usize = 32;

/// For a table that is written faster than small slices fill its index.
pub(in crate::storage) const SLICE_ROW_COUNT_MAX: usize = 128;

/// Fewer items if they are large.
const SLICE_BYTES: usize = 128 * 1024;

/// Blocks that a back-fill reads would flush what is hot. The committer finds those of its slice in the page cache of
/// the system, where the back-fill's own read has just put them.
const SCAN: ScanOptions = ScanOptions { direction: Direction::Forward, tier: Tier::Any, fill_cache: false };

/// How far a slice brought an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::storage) enum Progress {
    /// Items are left.
    Going,
    /// It is ACTIVE now.
    Finished,
    /// It is not being created any more, or gone.
    Gone,
}

/// What a slice has done.
#[derive(Debug)]
pub(in crate::storage) struct Slice {
    pub progress: Progress,
    /// Items without an entry because they cannot be read.
    pub skipped: Vec<Skipped>,
}

/// A damaged item.
#[derive(Debug)]
pub(in crate::storage) struct Skipped {
    pub row_key: Vec<u8>,
    pub error: Error,
}

/// Fills an index by one slice: reads it here, so that the committer does not wait for the disk, and has the committer
/// make the entries.
///
/// Of `row_count` items; of up to twice as many if more were written into the slice between its reading and its turn.
/// What is beyond is left to the next one.
pub(in crate::storage) fn step(
    engine: &Engine,
    queue: &Queue,
    table: &Arc<Table>,
    number: u16,
    row_count: usize,
) -> Result<Slice, Error> {
    let Some(index) = table.indexes().iter().find(|index| index.number() == number) else {
        return Ok(Slice::empty(Progress::Gone));
    };
    let last = read_slice(engine, table, &index.fill().cursor(), row_count)?;
    let (sender, receiver) = mpsc::sync_channel(1);
    let table = Arc::clone(table);
    queue.push_run(Box::new(move |committer| {
        // The receiver is below: it waits.
        let _ = sender.send(committer.backfill(&table, number, last.as_deref(), 2 * row_count));
    }));
    // A closed queue has dropped the closure and the sender with it.
    receiver.recv().unwrap_or(Err(Error::Closed))
}

/// Reads the items of the next slice and returns the row key of the last one. `None`: they are the table's last.
fn read_slice(engine: &Engine, table: &Table, cursor: &[u8], row_count_max: usize) -> Result<Option<Vec<u8>>, Error> {
    let arena = Bump::new();
    let mut rows = engine.scan(slice_bounds(table, cursor, None, &arena), SCAN);
    let (mut row_count, mut bytes) = (0, 0);
    while let Row::Found { key, value } = rows.advance()? {
        row_count += 1;
        bytes += value.len();
        if row_count == row_count_max || bytes >= SLICE_BYTES {
            return Ok(Some(key.to_vec()));
        }
    }
    Ok(None)
}

/// The rows after `cursor`, up to and with `last`.
fn slice_bounds<'a>(table: &Table, cursor: &[u8], last: Option<&[u8]>, arena: &'a Bump) -> Bounds<'a> {
    let rest = table.space().all(arena).after(cursor, Direction::Forward, arena);
    match last {
        None => rest,
        // What comes after `last` begins where a slice that ends with it does.
        Some(last) => Bounds { upper: rest.after(last, Direction::Forward, arena).lower, ..rest },
    }
}

impl Slice {
    fn empty(progress: Progress) -> Slice {
        Slice { progress, skipped: Vec::new() }
    }
}

impl Committer {
    /// Makes the entries of the items after the index's cursor, up to and with the row key `last` or the end of the
    /// table, and then moves the cursor.
    fn backfill(
        &mut self,
        table: &Arc<Table>,
        number: u16,
        last: Option<&[u8]>,
        row_count_max: usize,
    ) -> Result<Slice, Error> {
        self.engine.check_writable()?;
        let catalog = self.catalog.load_full();
        let Some(table) = catalog.current(table) else { return Ok(Slice::empty(Progress::Gone)) };
        let creating = |index: &TableIndex| index.number() == number && index.is_being_created();
        let Some(position) = table.indexes().iter().position(creating) else {
            return Ok(Slice::empty(Progress::Gone));
        };
        let slice = self.add_entries(&catalog, table, position, last, row_count_max)?;
        if slice.progress == Progress::Finished {
            self.activate(table, number)?;
        }
        Ok(slice)
    }

    /// `Finished`: the index at `position` has the entries of all items now.
    fn add_entries(
        &mut self,
        catalog: &Catalog,
        table: &Arc<Table>,
        position: usize,
        last: Option<&[u8]>,
        row_count_max: usize,
    ) -> Result<Slice, Error> {
        let index = &table.indexes()[position];
        let (arena, mut scratch) = (Bump::new(), Bump::new());
        let mut batch = Batch::new(&self.engine, self.hot_cache.as_deref(), catalog, &arena, &mut self.expiry);
        let mut filled = index.fill().load();
        let mut rows = self.engine.scan(slice_bounds(table, &filled.cursor, last, &arena), SCAN);
        let (mut row_count, mut skipped) = (0, Vec::new());
        let is_whole = loop {
            if row_count == row_count_max {
                break false;
            }
            let Row::Found { key, value } = rows.advance()? else { break true };
            match entry(table, index, value, &scratch) {
                Ok(Some(entry)) => batch.add_entry(table, position, entry),
                Ok(None) => {}
                Err(error) => skipped.push(Skipped { row_key: key.to_vec(), error }),
            }
            filled.cursor.clear();
            filled.cursor.extend_from_slice(key);
            row_count += 1;
            scratch.reset();
        };
        if row_count > 0 {
            filled.item_count += row_count as u64;
            filled.skipped_count += skipped.len() as u64;
            batch.put_metadata(MetadataKey::cursor(table.id(), index.number()), &filled.cursor);
            batch.put_metadata(MetadataKey::fill(table.id(), index.number()), &filled.counts());
            // Not synced: the log keeps the order, so a later synced batch brings this one along.
            batch.write(false)?;
            index.fill().store(filled);
        }
        let progress = if is_whole && last.is_none() { Progress::Finished } else { Progress::Going };
        Ok(Slice { progress, skipped })
    }

    /// The index holds an entry of every item.
    fn activate(&mut self, table: &Arc<Table>, number: u16) -> Result<(), Error> {
        let mut definition = table.definition().clone();
        for index in definition.indexes.iter_mut().filter(|index| index.number == number) {
            index.status = IndexStatus::Active;
        }
        self.alter(|draft| draft.replace(table, definition).map(|_| ()))
    }
}

/// What a stored item contributes to an index. An error is about this item only.
fn entry<'a>(
    table: &Table,
    index: &TableIndex,
    value: &'a [u8],
    scratch: &'a Bump,
) -> Result<Option<IndexEntry<'a>>, Error> {
    index_entry(table, index, EncodedItem::open(value)?, scratch)
}
