//! Filling an index that was added to a table with the items that were there before it.
//!
//! ```text
//!            Draft::replace                      Committer::backfill, past the last item: Draft::replace
//! (no index) --------------> CREATING, no cursor ------------------------------------------------------> ACTIVE
//!                               |      ^ Committer::backfill: a slice of entries, and the cursor
//!                               |      |
//!                               +------+ Backfiller::run: slice after slice, also after a restart
//! ```
//!
//! Invariants:
//!
//! 1. An index being created holds exactly the entries of the items whose row keys are not greater than its cursor. A
//!    commit maintains the entries of those ([`TableIndex::covers`]) and leaves the items beyond to the back-fill,
//!    which reads them as they are when their turn comes. So whatever is written meanwhile, no entry is missed or
//!    doubled, and the index's counters are exact at every moment.
//! 2. The cursor moves only on the committer thread, in the batch that holds the entries up to it: after a crash the
//!    back-fill goes on exactly where its last batch ended.
//! 3. A slice is bounded, so mutations wait for at most one; after each the back-fill pauses for longer than the slice
//!    took, the wait for a busy committer included.

use std::collections::HashSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bumpalo::Bump;
use rocksdb::WriteBatch;

use super::bounds::{Bounds, Direction};
use super::catalog::{Catalog, Table, TableIndex};
use super::commit::{Batch, Committer};
use super::engine::Engine;
use super::error::Error;
use super::index::index_entry;
use super::layout::MetadataKey;
use super::queue::Queue;
use super::read::Tier;
use super::scan::{Row, ScanOptions};
use crate::model::table::IndexStatus;
use crate::model::{EncodedItem, IndexDefinition};

/// A slice takes at most about a millisecond of the committer: this many items of 400 bytes, or fewer large ones.
const SLICE_ROW_COUNT: usize = 128;
const SLICE_BYTES: usize = 256 * 1024;

/// Items written into a slice between its reading and its turn may make it longer; beyond this the rest is left to the
/// next slice.
const SLICE_ROW_COUNT_MAX: usize = 2 * SLICE_ROW_COUNT;

/// The pause after a slice, in times of what the slice took: the committer spends at most a third of its time here.
const PAUSE_FACTOR: u32 = 2;

/// How often the log tells of progress.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// Blocks that a back-fill reads would flush what is hot. The committer finds those of its slice in the page cache of
/// the system, where the back-fill's own read has just put them.
const SCAN: ScanOptions = ScanOptions { direction: Direction::Forward, tier: Tier::Any, fill_cache: false };

/// The row key of the last item whose entry is in an index being created; empty at first.
#[derive(Debug, Default)]
pub(super) struct Cursor(Mutex<Vec<u8>>);

impl Cursor {
    pub fn load(&self) -> Vec<u8> {
        self.lock().clone()
    }

    pub fn store(&self, row_key: Vec<u8>) {
        *self.lock() = row_key;
    }

    pub fn has_passed(&self, row_key: &[u8]) -> bool {
        row_key <= self.lock().as_slice()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far a slice brought an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Items are left.
    Going,
    /// It is ACTIVE now.
    Finished,
    /// It is not being created any more, or gone.
    Gone,
}

/// The work of the back-filling thread.
pub(super) struct Backfiller {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// There may be an index that the thread has not seen.
    catalog_changed: bool,
    closed: bool,
}

impl Backfiller {
    /// With whatever the catalog holds still to be looked at.
    pub fn new() -> Backfiller {
        Backfiller { state: Mutex::new(State { catalog_changed: true, closed: false }), changed: Condvar::new() }
    }

    /// The catalog has changed.
    pub fn notify(&self) {
        self.lock().catalog_changed = true;
        self.changed.notify_one();
    }

    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// The thread's body: fills all indexes being created, a slice of each in turn, until `close`.
    fn run(&self, engine: &Engine, catalog: &ArcSwap<Catalog>, queue: &Queue) {
        // Indexes that cannot be filled, because an item of their table is damaged for example: left alone until the
        // next start.
        let mut failed = HashSet::new();
        let mut last_report = Instant::now();
        while self.wait_for_change() {
            loop {
                let creating = indexes_being_created(&catalog.load(), &failed);
                if creating.is_empty() {
                    break;
                }
                let reports = last_report.elapsed() >= REPORT_INTERVAL;
                for (table, number) in creating {
                    let start = Instant::now();
                    match step(engine, queue, &table, number) {
                        Ok(progress) => report(&table, number, progress, reports),
                        Err(Error::Closed) => return,
                        Err(error) => {
                            let table_name = table.name();
                            tracing::error!(table_name, number, %error, "an index cannot be filled; it stays CREATING");
                            failed.insert((table.id(), number));
                        }
                    }
                    if !self.pause(PAUSE_FACTOR * start.elapsed()) {
                        return;
                    }
                }
                if reports {
                    last_report = Instant::now();
                }
            }
        }
    }

    /// Waits until the catalog has changed. `false`: closed.
    fn wait_for_change(&self) -> bool {
        let state = self.lock();
        let waits = |state: &mut State| !state.catalog_changed && !state.closed;
        let mut state = self.changed.wait_while(state, waits).unwrap_or_else(PoisonError::into_inner);
        state.catalog_changed = false;
        !state.closed
    }

    /// `false`: closed.
    fn pause(&self, duration: Duration) -> bool {
        let open = |state: &mut State| !state.closed;
        let (state, _) =
            self.changed.wait_timeout_while(self.lock(), duration, open).unwrap_or_else(PoisonError::into_inner);
        !state.closed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the back-filling thread.
pub(super) fn spawn(
    backfiller: Arc<Backfiller>,
    engine: Arc<Engine>,
    catalog: Arc<ArcSwap<Catalog>>,
    queue: Arc<Queue>,
) -> std::io::Result<JoinHandle<()>> {
    Builder::new().name("backfill".into()).spawn(move || backfiller.run(&engine, &catalog, &queue))
}

fn indexes_being_created(catalog: &Catalog, failed: &HashSet<(u32, u16)>) -> Vec<(Arc<Table>, u16)> {
    let mut creating = Vec::new();
    for table in catalog.tables() {
        let numbers = table.indexes().iter().filter(|index| index.is_being_created()).map(TableIndex::number);
        let numbers = numbers.filter(|number| !failed.contains(&(table.id(), *number)));
        creating.extend(numbers.map(|number| (Arc::clone(table), number)));
    }
    creating
}

fn report(table: &Table, number: u16, progress: Progress, reports: bool) {
    let Some(index) = table.indexes().iter().find(|index| index.number() == number) else { return };
    let (table_name, index_name, entries) = (table.name(), index.name(), index.item_count());
    match progress {
        Progress::Finished => tracing::info!(table_name, index_name, entries, "an index is filled"),
        Progress::Going if reports => {
            let items = table.item_count();
            tracing::info!(table_name, index_name, entries, items, "an index is being filled");
        }
        Progress::Going | Progress::Gone => {}
    }
}

/// Fills an index by one slice: reads it here, so that the committer does not wait for the disk, and has the committer
/// make the entries.
pub(super) fn step(engine: &Engine, queue: &Queue, table: &Arc<Table>, number: u16) -> Result<Progress, Error> {
    let Some(index) = table.indexes().iter().find(|index| index.number() == number) else {
        return Ok(Progress::Gone);
    };
    let last = read_slice(engine, table, &index.cursor().load())?;
    let (sender, receiver) = mpsc::sync_channel(1);
    let table = Arc::clone(table);
    queue.push_run(Box::new(move |committer| {
        // The receiver is below: it waits.
        let _ = sender.send(committer.backfill(&table, number, last.as_deref()));
    }));
    // A closed queue has dropped the closure and the sender with it.
    receiver.recv().unwrap_or(Err(Error::Closed))
}

/// Reads the items of the next slice and returns the row key of the last one. `None`: they are the table's last.
fn read_slice(engine: &Engine, table: &Table, cursor: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    let arena = Bump::new();
    let mut rows = engine.scan(slice_bounds(table, cursor, None, &arena), SCAN);
    let (mut row_count, mut bytes) = (0, 0);
    while let Row::Found { key, value } = rows.advance()? {
        row_count += 1;
        bytes += value.len();
        if row_count == SLICE_ROW_COUNT || bytes >= SLICE_BYTES {
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

impl Committer {
    /// Makes the entries of the items after the index's cursor, up to and with the row key `last` or the end of the
    /// table, and then moves the cursor.
    fn backfill(&mut self, table: &Arc<Table>, number: u16, last: Option<&[u8]>) -> Result<Progress, Error> {
        self.engine.check_poison()?;
        let catalog = self.catalog.load_full();
        let Some(table) = catalog.current(table) else { return Ok(Progress::Gone) };
        let creating = |index: &TableIndex| index.number() == number && index.is_being_created();
        let Some(position) = table.indexes().iter().position(creating) else { return Ok(Progress::Gone) };
        if !self.add_entries(&catalog, table, position, last)? {
            return Ok(Progress::Going);
        }
        self.activate(table, number)?;
        Ok(Progress::Finished)
    }

    /// Returns whether the index at `position` has the entries of all items now.
    fn add_entries(
        &mut self,
        catalog: &Catalog,
        table: &Arc<Table>,
        position: usize,
        last: Option<&[u8]>,
    ) -> Result<bool, Error> {
        let index = &table.indexes()[position];
        let (arena, mut scratch) = (Bump::new(), Bump::new());
        let mut batch = Batch::new(&self.engine, catalog, &arena, &mut self.expiry);
        let mut rows = self.engine.scan(slice_bounds(table, &index.cursor().load(), last, &arena), SCAN);
        let (mut row_count, mut cursor) = (0, None);
        let is_whole = loop {
            if row_count == SLICE_ROW_COUNT_MAX {
                break false;
            }
            let Row::Found { key, value } = rows.advance()? else { break true };
            if let Some(entry) = index_entry(table, index, EncodedItem::open(value)?, &scratch)? {
                batch.add_entry(table, position, entry);
            }
            cursor = Some(key.to_vec());
            row_count += 1;
            scratch.reset();
        };
        if let Some(cursor) = cursor {
            batch.put_metadata(MetadataKey::cursor(table.id(), index.number()), &cursor);
            // Not synced: the log keeps the order, so a later synced batch brings this one along.
            batch.write(false)?;
            index.cursor().store(cursor);
        }
        Ok(is_whole && last.is_none())
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

/// Deletes the cursors of indexes that are not being created any more, given the table's indexes from now on.
pub(super) fn drop_cursors(table: &Table, kept: &[IndexDefinition], batch: &mut WriteBatch) {
    let goes_on =
        |number: u16| kept.iter().any(|index| index.number == number && index.status == IndexStatus::Creating);
    for index in table.indexes().iter().filter(|index| index.is_being_created() && !goes_on(index.number())) {
        batch.delete(MetadataKey::cursor(table.id(), index.number()));
    }
}
