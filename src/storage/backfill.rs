//! Filling an index that was added to a table with the items that were there before it.
//!
//! ```text
//!            Draft::replace                   Committer::backfill, past the last item: Draft::replace
//! (no index) --------------> CREATING, empty ---------------------------------------------------------> ACTIVE
//!                               |      ^ Committer::backfill: a slice of entries, the cursor, the counts
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
//!    took, the wait for a busy committer included, and longer still while there are mutations.
//! 4. One damaged item does not keep an index from its other entries: it is counted, logged and left out. As long as
//!    it is damaged it cannot be written over either, so the index does not come to differ from the table.
//! 5. What fails for another reason, as a file that cannot be read, is tried again, less and less often.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use rocksdb::WriteBatch;

use slice::SLICE_ROW_COUNT_MAX;

use super::catalog::{Catalog, Table, TableIndex};
use super::engine::Engine;
use super::error::Error;
use super::figures::CommitCounts;
use super::layout::{self, MetadataKey};
use super::queue::Queue;
use crate::model::IndexDefinition;
use crate::model::table::IndexStatus;

/// Reading a slice and committing it.
mod slice;

pub(super) use slice::{Progress, SLICE_ROW_COUNT_MIN, Skipped, Slice, step};

/// The pause after a slice, in times of what the slice took. Beside writes the committer spends at most a ninth of its
/// time here, so that most of them do not meet a slice; readers only share the processor.
const PAUSE_FACTOR: u32 = 2;
const PAUSE_FACTOR_BESIDE_WRITES: u32 = 8;

/// Beside more writes than items filled: a table that grows faster than its index would never have one.
const PAUSE_FACTOR_BEHIND: u32 = 1;

/// How often the log tells of progress.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// Damaged items of one index that are logged one by one; beyond, they are counted only.
const SKIPPED_LOGGED_MAX: u64 = 100;

/// Pause after a failure; doubled by each that follows it, up to the second.
const RETRY_INTERVAL_MIN: Duration = Duration::from_secs(1);
const RETRY_INTERVAL_MAX: Duration = Duration::from_secs(60);

/// How far an index being created is filled. Shared by all versions of its table.
#[derive(Debug, Default)]
pub(super) struct Fill(Mutex<Filled>);

/// Empty and zero at first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filled {
    /// The row key of the last item that was looked at.
    pub cursor: Vec<u8>,
    /// Items that were looked at.
    pub item_count: u64,
    /// Damaged ones among them.
    pub skipped_count: u64,
}

impl Fill {
    /// Takes over what the last run of the process has left.
    pub fn restore(&self, engine: &Engine, table_id: u32, index_number: u16) -> Result<(), Error> {
        let Some(cursor) = engine.metadata(MetadataKey::cursor(table_id, index_number))? else { return Ok(()) };
        let (item_count, skipped_count) = match engine.metadata(MetadataKey::fill(table_id, index_number))? {
            Some(value) => layout::read_fill_counts(&value)?,
            None => (0, 0),
        };
        self.store(Filled { cursor, item_count, skipped_count });
        Ok(())
    }

    pub fn load(&self) -> Filled {
        self.lock().clone()
    }

    pub fn cursor(&self) -> Vec<u8> {
        self.lock().cursor.clone()
    }

    pub fn store(&self, filled: Filled) {
        *self.lock() = filled;
    }

    pub fn has_passed(&self, row_key: &[u8]) -> bool {
        row_key <= self.lock().cursor.as_slice()
    }

    fn lock(&self) -> MutexGuard<'_, Filled> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Filled {
    /// The value of the record beside the cursor's.
    fn counts(&self) -> [u8; layout::FILL_COUNTS_BYTES] {
        layout::fill_counts(self.item_count, self.skipped_count)
    }
}

/// A back-fill under way, for metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackfillProgress {
    pub table: String,
    pub index: String,
    /// Items that were looked at.
    pub items_done: u64,
    /// Items of the table now. What is written and deleted meanwhile moves it, so the two meet only nearly.
    pub items_total: u64,
    /// Damaged items that were left out.
    pub skipped: u64,
}

/// All back-fills under way.
pub(super) fn progress(catalog: &Catalog) -> Vec<BackfillProgress> {
    let mut running = Vec::new();
    for table in catalog.tables() {
        running.extend(table.indexes().iter().filter(|index| index.is_being_created()).map(|index| {
            let filled = index.fill().load();
            BackfillProgress {
                table: table.name().to_owned(),
                index: index.name().to_owned(),
                items_done: filled.item_count,
                items_total: table.item_count(),
                skipped: filled.skipped_count,
            }
        }));
    }
    running
}

/// The work of the back-filling thread.
pub(super) struct Backfiller {
    state: Mutex<State>,
    changed: Condvar,
    /// Damaged items left out of indexes since start.
    skipped_count: AtomicU64,
}

struct State {
    /// There may be an index that the thread has not seen.
    catalog_changed: bool,
    closed: bool,
}

impl Backfiller {
    /// With whatever the catalog holds still to be looked at.
    pub fn new() -> Backfiller {
        let state = State { catalog_changed: true, closed: false };
        Backfiller { state: Mutex::new(state), changed: Condvar::new(), skipped_count: AtomicU64::new(0) }
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

    pub fn skipped_count(&self) -> u64 {
        self.skipped_count.load(Ordering::Relaxed)
    }

    /// The thread's body: fills all indexes being created, a slice of each in turn, until `close`.
    fn run(&self, engine: &Engine, catalog: &ArcSwap<Catalog>, queue: &Queue, counts: &CommitCounts) {
        let mut jobs = HashMap::new();
        let mut pace = Pace::new(counts.mutations());
        loop {
            let creating = indexes_being_created(&catalog.load());
            // In this order: an index created after `close` is left alone.
            if self.lock().closed {
                return;
            }
            jobs.retain(|id, _| creating.iter().any(|(table, number)| (table.id(), *number) == *id));
            let mut worked = false;
            for (table, number) in creating {
                let job = jobs.entry((table.id(), number)).or_insert_with(|| Job::new(&table, number));
                let start = Instant::now();
                if job.retry_at.is_some_and(|retry_at| start < retry_at) {
                    continue;
                }
                worked = true;
                match step(engine, queue, &table, number, pace.row_count) {
                    Ok(slice) => self.complete(job, &table, number, slice),
                    // Nothing is written any more until the next start, which goes on from the cursor.
                    Err(Error::Closed | Error::Poisoned(_)) => return,
                    Err(error) => job.fail(&table, number, &error),
                }
                let factor = pace.adapt(counts.mutations());
                if !self.pause(factor * start.elapsed()) {
                    return;
                }
            }
            let retry_at = jobs.values().filter_map(|job| job.retry_at).min();
            if !worked && !self.wait_for_change(retry_at) {
                return;
            }
        }
    }

    fn complete(&self, job: &mut Job, table: &Table, number: u16, slice: Slice) {
        self.skipped_count.fetch_add(slice.skipped.len() as u64, Ordering::Relaxed);
        job.report(table, number, &slice);
    }

    /// Waits until the catalog has changed, or for the time of a retry. `false`: closed.
    fn wait_for_change(&self, retry_at: Option<Instant>) -> bool {
        let waits = |state: &mut State| !state.catalog_changed && !state.closed;
        let mut state = match retry_at {
            None => self.changed.wait_while(self.lock(), waits).unwrap_or_else(PoisonError::into_inner),
            Some(retry_at) => {
                let duration = retry_at.saturating_duration_since(Instant::now());
                let waited = self.changed.wait_timeout_while(self.lock(), duration, waits);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
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
    counts: Arc<CommitCounts>,
) -> std::io::Result<JoinHandle<()>> {
    Builder::new().name("backfill".into()).spawn(move || backfiller.run(&engine, &catalog, &queue, &counts))
}

fn indexes_being_created(catalog: &Catalog) -> Vec<(Arc<Table>, u16)> {
    let mut creating = Vec::new();
    for table in catalog.tables() {
        let numbers = table.indexes().iter().filter(|index| index.is_being_created()).map(TableIndex::number);
        creating.extend(numbers.map(|number| (Arc::clone(table), number)));
    }
    creating
}

/// How large the next slice is and how long the pause before it: small and long beside writes, so that they do not feel
/// it, but not so that they outrun it.
struct Pace {
    row_count: usize,
    /// When the last slice had ended.
    mutations: u64,
}

impl Pace {
    fn new(mutations: u64) -> Pace {
        Pace { row_count: SLICE_ROW_COUNT_MIN, mutations }
    }

    /// After a slice: the factor of the pause. `mutations`: all since the start.
    fn adapt(&mut self, mutations: u64) -> u32 {
        let since = mutations.saturating_sub(std::mem::replace(&mut self.mutations, mutations));
        let factor = match since {
            0 => PAUSE_FACTOR,
            since if since <= self.row_count as u64 => PAUSE_FACTOR_BESIDE_WRITES,
            _ => PAUSE_FACTOR_BEHIND,
        };
        self.row_count = (since as usize).clamp(SLICE_ROW_COUNT_MIN, SLICE_ROW_COUNT_MAX);
        factor
    }
}

/// What the thread remembers of an index between two slices.
struct Job {
    /// After a failure: not before this.
    retry_at: Option<Instant>,
    retry_interval: Duration,
    /// When the log was told last, and of how many items.
    reported_at: Instant,
    reported_count: u64,
    skipped_logged: u64,
}

impl Job {
    fn new(table: &Table, number: u16) -> Job {
        let index = table.indexes().iter().find(|index| index.number() == number);
        Job {
            retry_at: None,
            retry_interval: RETRY_INTERVAL_MIN,
            reported_at: Instant::now(),
            reported_count: index.map_or(0, |index| index.fill().load().item_count),
            skipped_logged: 0,
        }
    }

    fn fail(&mut self, table: &Table, number: u16, error: &Error) {
        let (table_name, retry_seconds) = (table.name(), self.retry_interval.as_secs());
        tracing::error!(table_name, number, %error, retry_seconds, "an index cannot be filled further; tried again");
        self.retry_at = Some(Instant::now() + self.retry_interval);
        self.retry_interval = RETRY_INTERVAL_MAX.min(2 * self.retry_interval);
    }

    fn report(&mut self, table: &Table, number: u16, slice: &Slice) {
        (self.retry_at, self.retry_interval) = (None, RETRY_INTERVAL_MIN);
        let Some(index) = table.indexes().iter().find(|index| index.number() == number) else { return };
        let (table_name, index_name) = (table.name(), index.name());
        for Skipped { row_key, error } in &slice.skipped {
            self.skipped_logged += 1;
            if self.skipped_logged <= SKIPPED_LOGGED_MAX {
                let row_key = Hex(row_key);
                tracing::warn!(table_name, index_name, %row_key, %error, "a damaged item is left out of an index");
            }
        }
        let Filled { item_count: items, skipped_count: skipped, .. } = index.fill().load();
        let entries = index.item_count();
        match slice.progress {
            Progress::Finished if skipped > 0 => {
                tracing::warn!(
                    table_name,
                    index_name,
                    items,
                    entries,
                    skipped,
                    "an index is filled, but for some items"
                );
            }
            Progress::Finished => tracing::info!(table_name, index_name, items, entries, "an index is filled"),
            Progress::Going if self.reported_at.elapsed() >= REPORT_INTERVAL => {
                let percent = 100 * items / table.item_count().max(items).max(1);
                let seconds = self.reported_at.elapsed().as_secs_f64();
                let items_per_second = ((items - self.reported_count) as f64 / seconds) as u64;
                tracing::info!(
                    table_name,
                    index_name,
                    items,
                    percent,
                    items_per_second,
                    skipped,
                    "an index is being filled"
                );
                (self.reported_at, self.reported_count) = (Instant::now(), items);
            }
            Progress::Going | Progress::Gone => {}
        }
    }
}

/// Bytes in hexadecimal.
struct Hex<'b>(&'b [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

/// Deletes the records of indexes that are not being created any more, given the table's indexes from now on.
pub(super) fn drop_records(table: &Table, kept: &[IndexDefinition], batch: &mut WriteBatch) {
    let goes_on =
        |number: u16| kept.iter().any(|index| index.number == number && index.status == IndexStatus::Creating);
    for index in table.indexes().iter().filter(|index| index.is_being_created() && !goes_on(index.number())) {
        batch.delete(MetadataKey::cursor(table.id(), index.number()));
        batch.delete(MetadataKey::fill(table.id(), index.number()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::tests::fixture::{table_definition, with_index};

    #[test]
    fn failures_are_tried_again_less_and_less_often() {
        let mut definition = table_definition("t", false);
        with_index(&mut definition, "g", &[("g", 'S')], &[], "ALL");
        let table = Table::new(definition, None);
        let mut job = Job::new(&table, 1);
        let mut seconds = Vec::new();
        for _ in 0..8 {
            let before = Instant::now();
            job.fail(&table, 1, &Error::engine("a file cannot be read"));
            seconds.push((job.retry_at.expect("after a failure") - before).as_secs());
        }
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60]);
        job.report(&table, 1, &Slice { progress: Progress::Going, skipped: Vec::new() });
        assert_eq!((job.retry_at, job.retry_interval), (None, RETRY_INTERVAL_MIN), "a success ends it");
    }

    #[test]
    fn writes_slow_a_back_fill_down_but_do_not_outrun_it() {
        let mut pace = Pace::new(1000);
        let mut mutations = 1000;
        for (more, factor, row_count) in [
            (0, PAUSE_FACTOR, 32),
            (1, PAUSE_FACTOR_BESIDE_WRITES, 32),
            (32, PAUSE_FACTOR_BESIDE_WRITES, 32),
            (33, PAUSE_FACTOR_BEHIND, 33),
            (90, PAUSE_FACTOR_BEHIND, 90),
            (80, PAUSE_FACTOR_BESIDE_WRITES, 80),
            (5000, PAUSE_FACTOR_BEHIND, 128),
            (0, PAUSE_FACTOR, 32),
        ] {
            mutations += more;
            assert_eq!((pace.adapt(mutations), pace.row_count), (factor, row_count), "after {more}");
        }
    }

    #[test]
    fn keys_are_logged_in_hexadecimal() {
        assert_eq!(Hex(&[0, 1, 0xab, 0xff]).to_string(), "0001abff");
    }
}
