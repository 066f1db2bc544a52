//! The committer: the one thread that writes.
//!
//! ```text
//!       take work              batch full, or no more work           written or failed
//! idle -----------> gathering ----------------------------> writing -------------------> completing
//!   ^               Batch::add: read, decide, stage         Batch::write                 Committer::complete
//!   |                   ^                                                                    |
//!   | no more work      | more work                                                          |
//!   +-------------------+--------------------------------------------------------------------+
//! ```
//!
//! Invariants:
//!
//! 1. A mutation sees what all earlier mutations wrote, in the same batch too: the batch's overlay is asked before the
//!    engine.
//! 2. All old items of a mutation are in memory before the first of its decisions, and all its changes are known before
//!    the first is staged. So a mutation is staged in whole or not at all.
//! 3. No mutation is completed before the batch it was decided in is written; a refusal too can rest on an unwritten
//!    overlay.
//! 4. A mutation with a token is looked up before it is decided, and its record is staged with its changes.
//! 5. Counters in memory change after the batch that holds them is written.
//! 6. The gates of the items that a batch changes are closed while it is written (see [`super::hot_cache`]).

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bumpalo::{Bump, collections::Vec as BumpVec};
use rocksdb::WriteBatch;

use super::backfill::Backfiller;
use super::catalog::{Catalog, Table};
use super::engine::Engine;
use super::error::Error;
use super::figures::CommitCounts;
use super::haste::Haste;
use super::hot_cache::{BuildKnownHash, HashedKey, HotCache};
use super::idempotency::{Expiry, Precedent};
use super::index::{IndexChange, IndexEntry, index_changes, primary_key};
use super::layout::{self, CounterRecord, MetadataKey};
use super::mutation::{CommitTimes, Decision, Mutation, Outcome, Target, Wake};
use super::queue::{Queue, Taken, Work};
use super::read::{Lookup, StoredBytes, Tier};
use super::reclaim::Reclaimer;
use super::store::Store;
use crate::model::EncodedItem;

/// One sync serves at most this many mutations: beyond that a larger batch saves little and the first in it waits
/// longer.
const BATCH_MUTATION_COUNT_MAX: usize = 1024;

/// A batch is written once it has grown to this. One mutation (100 items of 400 KB with their index rows) may exceed
/// it.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Of 64 connections, one half was in a sync while the other waited for the next: a sync served 18 of them. Waiting for
/// half a sync brings both halves into one: 45.
const PATIENCE_DIVISOR: u32 = 2;

/// On a slow disk the wait is short beside the sync in any case.
const PATIENCE_MAX: Duration = Duration::from_millis(2);

/// An arena that grew beyond this is given back instead of reused.
const ARENA_BYTES_KEPT: usize = 8 * 1024 * 1024;

/// The committer's side of the store.
pub(super) struct Committer {
    pub(super) engine: Arc<Engine>,
    pub(super) catalog: Arc<ArcSwap<Catalog>>,
    pub(super) reclaimer: Arc<Reclaimer>,
    pub(super) backfiller: Arc<Backfiller>,
    pub(super) hot_cache: Option<Arc<HotCache>>,
    queue: Arc<Queue>,
    counts: Arc<CommitCounts>,
    sync: bool,
    pub(super) expiry: Expiry,
    /// Lives as long as one batch: staged rows.
    batch_arena: Bump,
    /// Lives as long as one mutation.
    scratch: Bump,
    /// Mutations decided in the batch being gathered, with how they will end if it is written.
    decided: Vec<(Box<dyn Mutation>, Outcome)>,
    /// When the batch in work was decided.
    decided_at: Instant,
    wakers: Vec<Arc<dyn Wake>>,
    /// What writing and syncing a batch takes, a moving average.
    write_time: Duration,
    haste: Haste,
}

impl Committer {
    pub fn new(store: &Store, sync: bool) -> Committer {
        Committer {
            engine: Arc::clone(&store.engine),
            catalog: Arc::clone(&store.catalog),
            reclaimer: Arc::clone(&store.reclaimer),
            backfiller: Arc::clone(&store.backfiller),
            hot_cache: store.hot_cache.clone(),
            queue: Arc::clone(&store.queue),
            counts: Arc::clone(&store.counts),
            sync,
            expiry: Expiry::default(),
            batch_arena: Bump::new(),
            scratch: Bump::new(),
            decided: Vec::new(),
            decided_at: Instant::now(),
            wakers: Vec::new(),
            write_time: Duration::ZERO,
            haste: Haste::default(),
        }
    }

    /// The thread's body: works until the queue is closed and empty.
    pub fn run(mut self) {
        let mut work = VecDeque::new();
        let mut completed = 0;
        loop {
            let patience = self.patience();
            match self.queue.take(&mut work, completed, patience) {
                Taken::Closed => return,
                taken if patience > Duration::ZERO => self.haste.learn(taken == Taken::WorkLate),
                Taken::Work | Taken::WorkLate => {}
            }
            completed = work.len();
            while let Some(first) = work.pop_front() {
                self.queue.begin();
                match first {
                    Work::Commit(mutation) => self.commit_batch(mutation, &mut work),
                    Work::Run(run) => {
                        if catch_unwind(AssertUnwindSafe(|| run(&mut self))).is_err() {
                            self.engine.poison("the committer panicked in a change of the catalog");
                        }
                    }
                }
            }
        }
    }

    /// How long to wait for more mutations to share a sync: a part of what it saves. Without a sync there is little to
    /// share.
    fn patience(&mut self) -> Duration {
        if self.sync && self.haste.ends() {
            (self.write_time / PATIENCE_DIVISOR).min(PATIENCE_MAX)
        } else {
            Duration::ZERO
        }
    }

    /// Commits `first` and as many of the mutations that follow it as one batch takes.
    fn commit_batch(&mut self, first: Box<dyn Mutation>, work: &mut VecDeque<Work>) {
        let taken = Instant::now();
        self.decided_at = taken;
        let failure = catch_unwind(AssertUnwindSafe(|| self.gather_and_write(first, work)))
            .unwrap_or_else(|_| Err(self.engine.poison("the committer panicked in a commit")));
        let times = CommitTimes { taken, decided: self.decided_at, written: Instant::now() };
        self.complete(failure.err(), times);
        self.counts.batch_times.observe_time(taken.elapsed());
        reset_arena(&mut self.batch_arena);
    }

    fn gather_and_write(&mut self, first: Box<dyn Mutation>, work: &mut VecDeque<Work>) -> Result<(), Error> {
        let catalog = self.catalog.load_full();
        let hot_cache = self.hot_cache.as_deref();
        let mut batch = Batch::new(&self.engine, hot_cache, &catalog, &self.batch_arena, &mut self.expiry);
        let mut next = Some(first);
        while let Some(mutation) = next.take() {
            // In the list before it is decided, so that it is completed even if the committer panics.
            self.decided.push((mutation, Outcome::Failed(Error::engine("the committer panicked"))));
            if let Some((mutation, outcome)) = self.decided.last_mut() {
                *outcome = batch.add(&mut **mutation, &self.scratch).unwrap_or_else(Outcome::Failed);
            }
            reset_arena(&mut self.scratch);
            if self.decided.len() < BATCH_MUTATION_COUNT_MAX && batch.rows.size_in_bytes() < BATCH_BYTES_MAX {
                next = pop_mutation(work);
            }
        }
        self.decided_at = Instant::now();
        let written = batch.write(self.sync);
        self.write_time = (7 * self.write_time + self.decided_at.elapsed()) / 8;
        written
    }

    /// Returns all mutations of the batch to their senders.
    fn complete(&mut self, failure: Option<Error>, times: CommitTimes) {
        let mutation_count = self.decided.len();
        let mut request_bytes = 0;
        self.counts.batch_mutations.observe(mutation_count as u64);
        for (mut mutation, outcome) in self.decided.drain(..) {
            mutation.timed(times);
            request_bytes += mutation.request_bytes();
            let waker = mutation.waker();
            if !self.wakers.iter().any(|known| std::ptr::addr_eq(Arc::as_ptr(known), Arc::as_ptr(waker))) {
                self.wakers.push(Arc::clone(waker));
            }
            let outcome = match (&failure, outcome) {
                (Some(error), Outcome::Committed | Outcome::Replayed | Outcome::TokenMismatch) => {
                    Outcome::Failed(error.clone())
                }
                (_, outcome) => outcome,
            };
            if catch_unwind(AssertUnwindSafe(|| mutation.complete(outcome))).is_err() {
                tracing::error!("a mutation panicked on its completion");
            }
        }
        self.queue.release(mutation_count, request_bytes);
        self.wakers.drain(..).for_each(|waker| waker.wake());
    }
}

/// The next mutation, unless something else comes first.
fn pop_mutation(work: &mut VecDeque<Work>) -> Option<Box<dyn Mutation>> {
    if !matches!(work.front(), Some(Work::Commit(_))) {
        return None;
    }
    match work.pop_front() {
        Some(Work::Commit(mutation)) => Some(mutation),
        _ => None,
    }
}

fn reset_arena(arena: &mut Bump) {
    arena.reset();
    if arena.allocated_bytes() > ARENA_BYTES_KEPT {
        *arena = Bump::new();
    }
}

/// An old item while it is decided on.
enum Old<'b> {
    Absent,
    /// Staged earlier in this batch.
    Staged(&'b [u8]),
    Stored(StoredBytes<'b>),
}

impl Old<'_> {
    fn bytes(&self) -> Option<&[u8]> {
        match self {
            Old::Absent => None,
            Old::Staged(bytes) => Some(bytes),
            Old::Stored(bytes) => Some(bytes),
        }
    }

    fn item(&self) -> Result<Option<EncodedItem<'_>>, Error> {
        Ok(self.bytes().map(EncodedItem::open).transpose()?)
    }
}

/// A decided change of one item, known in full before anything of its mutation is staged.
struct Planned<'s> {
    table: &'s Arc<Table>,
    row_key: &'s [u8],
    old: Option<EncodedItem<'s>>,
    new: Option<EncodedItem<'s>>,
    index_changes: BumpVec<'s, IndexChange<'s>>,
}

/// Counters of a table that a batch touches: as they will be once it is written.
struct Touched {
    table: Arc<Table>,
    /// In the order of [`Table::counters`].
    counters: Vec<CounterRecord>,
}

/// A value that a batch holds and the engine not yet.
#[derive(Clone, Copy)]
struct Staged<'b> {
    /// `None`: deleted.
    bytes: Option<&'b [u8]>,
    /// An item of which there may be an entry in the hot-item cache. A new one is left to its first reader.
    may_be_hot: bool,
}

/// Rows that are written together.
pub(super) struct Batch<'b> {
    engine: &'b Engine,
    hot_cache: Option<&'b HotCache>,
    catalog: &'b Catalog,
    arena: &'b Bump,
    expiry: &'b mut Expiry,
    rows: WriteBatch,
    /// Items and records of tokens staged so far. Index rows are never read back.
    overlay: HashMap<HashedKey<'b>, Staged<'b>, BuildKnownHash>,
    touched: Vec<Touched>,
}

impl<'b> Batch<'b> {
    pub(super) fn new(
        engine: &'b Engine,
        hot_cache: Option<&'b HotCache>,
        catalog: &'b Catalog,
        arena: &'b Bump,
        expiry: &'b mut Expiry,
    ) -> Batch<'b> {
        let (rows, overlay, touched) = (WriteBatch::new(), HashMap::default(), Vec::new());
        Batch { engine, hot_cache, catalog, arena, expiry, rows, overlay, touched }
    }

    /// Decides a mutation and stages what it changes. An error fails this mutation only.
    fn add(&mut self, mutation: &mut dyn Mutation, scratch: &Bump) -> Result<Outcome, Error> {
        self.engine.check_writable()?;
        let mut olds = BumpVec::with_capacity_in(mutation.target_count(), scratch);
        for index in 0..mutation.target_count() {
            let Target { table, row_key } = mutation.target(index);
            if self.catalog.current(table).is_none() {
                return Ok(Outcome::TableGone);
            }
            match self.read_item(HashedKey::new(row_key), mutation.tier())? {
                Some(old) => olds.push(old),
                None => return Ok(Outcome::Cold),
            }
        }
        let mut items = BumpVec::with_capacity_in(olds.len(), scratch);
        for old in &olds {
            items.push(old.item()?);
        }
        if let Some(outcome) = self.look_up(mutation, scratch)? {
            if matches!(outcome, Outcome::Replayed) {
                items.iter().enumerate().for_each(|(index, item)| mutation.replay(index, *item));
            }
            return Ok(outcome);
        }
        let decisions = decide(mutation, &items, scratch)?;
        if mutation.atomic() && decisions.iter().any(|decision| matches!(decision, Decision::Refuse)) {
            return Ok(Outcome::Committed);
        }
        for planned in self.plan(mutation, &items, &decisions, scratch)? {
            self.stage(planned);
        }
        self.stage_token(mutation);
        Ok(Outcome::Committed)
    }

    /// What a mutation ends with because of its token. `None`: it is to be decided.
    fn look_up(&self, mutation: &dyn Mutation, scratch: &Bump) -> Result<Option<Outcome>, Error> {
        let Some(idempotency) = mutation.idempotency() else { return Ok(None) };
        for key in idempotency.keys(scratch) {
            let record = self.read(HashedKey::new(key), mutation.tier())?;
            let Some(record) = record else { return Ok(Some(Outcome::Cold)) };
            let Some(record) = record.bytes() else { continue };
            match idempotency.precedent(record)? {
                Precedent::Expired => {}
                Precedent::Same => return Ok(Some(Outcome::Replayed)),
                Precedent::Different => return Ok(Some(Outcome::TokenMismatch)),
            }
        }
        Ok(None)
    }

    /// The record of a transaction that is done, and the end of those that are not in force any more.
    fn stage_token(&mut self, mutation: &dyn Mutation) {
        let Some(idempotency) = mutation.idempotency() else { return };
        let [key, _] = idempotency.keys(self.arena);
        let record: &'b [u8] = self.arena.alloc_slice_copy(&idempotency.record());
        self.rows.put(key, record);
        self.overlay.insert(HashedKey::new(key), Staged { bytes: Some(record), may_be_hot: false });
        if let Some((lower, upper)) = self.expiry.advance(idempotency.bucket()) {
            self.rows.delete_range(lower, upper);
        }
    }

    /// An item as the batch leaves it so far. `None`: not in memory.
    fn read_item(&self, key: HashedKey<'_>, tier: Tier) -> Result<Option<Old<'b>>, Error> {
        if !self.overlay.contains_key(&key)
            && let Some(item) = self.hot_cache.and_then(|cache| cache.get(key))
        {
            return Ok(Some(Old::Stored(item.into())));
        }
        self.read(key, tier)
    }

    /// An item or the record of a token. `None`: not in memory.
    fn read(&self, key: HashedKey<'_>, tier: Tier) -> Result<Option<Old<'b>>, Error> {
        if let Some(staged) = self.overlay.get(&key) {
            return Ok(Some(staged.bytes.map_or(Old::Absent, Old::Staged)));
        }
        Ok(match self.engine.get(key.row_key, tier)? {
            Lookup::Found(bytes) => Some(Old::Stored(bytes)),
            Lookup::Missing => Some(Old::Absent),
            Lookup::WouldBlock => None,
        })
    }

    /// What the decisions change: items that stay as they are and indexes that see no difference are left out.
    fn plan<'s>(
        &self,
        mutation: &'s dyn Mutation,
        items: &[Option<EncodedItem<'s>>],
        decisions: &[Decision<'s>],
        scratch: &'s Bump,
    ) -> Result<BumpVec<'s, Planned<'s>>, Error>
    where
        'b: 's,
    {
        let mut plan = BumpVec::with_capacity_in(decisions.len(), scratch);
        for (index, (old, decision)) in items.iter().zip(decisions).enumerate() {
            let new = match decision {
                Decision::Keep | Decision::Refuse => continue,
                Decision::Put(item) => Some(*item),
                Decision::Delete => None,
            };
            if new == *old {
                continue;
            }
            let Target { table, row_key } = mutation.target(index);
            let Some(table) = self.catalog.current(table) else { continue };
            debug_assert!(plan.iter().all(|other: &Planned<'_>| other.row_key != row_key), "targets are distinct");
            debug_assert!(new.is_none_or(|item| has_row_key(item, table, row_key)), "an item keeps its key");
            let mut index_changes = index_changes(table, *old, new, scratch)?;
            index_changes.retain(|change| table.indexes()[change.index].covers(row_key));
            plan.push(Planned { table, row_key, old: *old, new, index_changes });
        }
        Ok(plan)
    }

    fn stage(&mut self, planned: Planned<'_>) {
        let Planned { table, row_key, old, new, index_changes } = planned;
        let row_key: &'b [u8] = self.arena.alloc_slice_copy(row_key);
        let bytes: Option<&'b [u8]> = new.map(|item| &*self.arena.alloc_slice_copy(item.as_bytes()));
        match bytes {
            Some(bytes) => self.rows.put(row_key, bytes),
            None => self.rows.delete(row_key),
        }
        let staged = self.overlay.entry(HashedKey::new(row_key)).or_insert(Staged { bytes, may_be_hot: false });
        staged.bytes = bytes;
        staged.may_be_hot |= old.is_some();
        for change in &index_changes {
            stage_index_row(&mut self.rows, change);
        }
        let counters = self.counters(table);
        count(&mut counters[0], old, new);
        for change in &index_changes {
            let [before, after] = [change.before, change.after].map(|entry| entry.map(|entry| entry.item));
            count(&mut counters[1 + change.index], before, after);
        }
    }

    /// Stages a new entry of the index at a position in [`Table::indexes`].
    pub(super) fn add_entry(&mut self, table: &Arc<Table>, position: usize, entry: IndexEntry<'_>) {
        self.rows.put(entry.row_key, entry.item.as_bytes());
        count(&mut self.counters(table)[1 + position], None, Some(entry.item));
    }

    pub(super) fn put_metadata(&mut self, key: MetadataKey, value: &[u8]) {
        self.rows.put(key, value);
    }

    /// The counters of a table as this batch leaves them so far.
    fn counters(&mut self, table: &Arc<Table>) -> &mut [CounterRecord] {
        let position =
            self.touched.iter().rposition(|touched| Arc::ptr_eq(&touched.table, table)).unwrap_or_else(|| {
                let counters = table.counters().map(|(index_number, counter)| {
                    let (rows, bytes) = counter.load();
                    CounterRecord { index_number, rows, bytes }
                });
                self.touched.push(Touched { table: Arc::clone(table), counters: counters.collect() });
                self.touched.len() - 1
            });
        &mut self.touched[position].counters
    }

    /// Writes everything and then lets readers of the counters see it.
    pub(super) fn write(mut self, sync: bool) -> Result<(), Error> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let mut value = Vec::new();
        for touched in &self.touched {
            value.clear();
            layout::write_counters(touched.counters.iter().copied(), &mut value);
            self.rows.put(MetadataKey::counters(touched.table.id()), &value);
        }
        for (cache, key, _) in self.hot_items() {
            cache.close(key);
        }
        let written = self.engine.write(mem::take(&mut self.rows), sync);
        match &written {
            Ok(()) => self.hot_items().for_each(|(cache, key, item)| cache.install(key, item)),
            // Nothing was written: what the cache holds is still so.
            Err(Error::DiskFull) => {}
            Err(_) => return written,
        }
        for (cache, key, _) in self.hot_items() {
            cache.open(key);
        }
        written?;
        for touched in &self.touched {
            for ((number, counter), record) in touched.table.counters().zip(&touched.counters) {
                debug_assert_eq!(number, record.index_number);
                counter.store(record.rows, record.bytes);
            }
        }
        Ok(())
    }

    /// Changed items whose gates are to be closed, with what becomes of them.
    fn hot_items(&self) -> impl Iterator<Item = (&'b HotCache, HashedKey<'b>, Option<&'b [u8]>)> {
        let items = self.overlay.iter().filter(|(_, staged)| staged.may_be_hot);
        self.hot_cache
            .into_iter()
            .flat_map(move |cache| items.clone().map(move |(key, staged)| (cache, *key, staged.bytes)))
    }
}

/// Asks the mutation about all its targets.
fn decide<'s>(
    mutation: &mut dyn Mutation,
    items: &[Option<EncodedItem<'s>>],
    scratch: &'s Bump,
) -> Result<BumpVec<'s, Decision<'s>>, Error> {
    catch_unwind(AssertUnwindSafe(|| {
        let mut decisions = BumpVec::with_capacity_in(items.len(), scratch);
        decisions.extend(items.iter().enumerate().map(|(index, old)| mutation.decide(index, *old, scratch)));
        decisions
    }))
    .map_err(|_| Error::engine("a decision panicked"))
}

/// Whether an item belongs to the row that it is put to.
fn has_row_key(item: EncodedItem<'_>, table: &Table, row_key: &[u8]) -> bool {
    let arena = Bump::new();
    primary_key(table, item, &arena).is_ok_and(|primary| {
        let (partition, sort) = primary.split_at(1);
        table.space().row_key(partition, sort, &[], &arena) == row_key
    })
}

fn stage_index_row(rows: &mut WriteBatch, change: &IndexChange<'_>) {
    match (&change.before, &change.after) {
        (Some(before), Some(after)) if before.row_key != after.row_key => {
            rows.delete(before.row_key);
            rows.put(after.row_key, after.item.as_bytes());
        }
        (_, Some(after)) => rows.put(after.row_key, after.item.as_bytes()),
        (Some(before), None) => rows.delete(before.row_key),
        (None, None) => {}
    }
}

/// Wrapping, because counters come from the disk and a corrupt one must not end the committer.
fn count(counter: &mut CounterRecord, old: Option<EncodedItem<'_>>, new: Option<EncodedItem<'_>>) {
    let bytes = |item: Option<EncodedItem<'_>>| item.map_or(0, |item| item.size() as u64);
    counter.rows = counter.rows.wrapping_add(new.is_some().into()).wrapping_sub(old.is_some().into());
    counter.bytes = counter.bytes.wrapping_add(bytes(new)).wrapping_sub(bytes(old));
}
