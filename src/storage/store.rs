//! Opening, the door, closing.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use arc_swap::ArcSwap;
use bumpalo::Bump;

use super::alter::Draft;
use super::backfill::{self, BackfillProgress, Backfiller};
use super::bounds::Bounds;
use super::catalog::{Catalog, Table};
use super::commit::Committer;
use super::engine::Engine;
use super::error::{Error, OpenError};
use super::figures::{CommitCounts, EngineFigures};
use super::hot_cache::{HashedKey, HotCache, HotCacheStatistics, Probe};
use super::mutation::Mutation;
use super::queue::{MUTATION_COUNT_MAX, Queue, REQUEST_BYTES_MAX, Refusal};
use super::read::{Lookup, Snapshot, Tier};
use super::reclaim::{self, Reclaimer};
use super::scan::{Rows, ScanOptions};
use super::space;
use crate::metrics::Reading;

/// What an acknowledged write has survived to be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The write-ahead log is on disk: nothing acknowledged is lost in a power cut.
    Sync,
    /// The log is synced this often: a power cut loses at most what was acknowledged since. A process crash loses
    /// nothing.
    Interval(Duration),
    /// The log is with the operating system: a process crash loses nothing, a power cut what the system had not written
    /// yet.
    Os,
}

/// Where and how to open a store.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The data directory; created if missing.
    pub path: PathBuf,
    pub durability: Durability,
    pub block_cache_bytes: usize,
    /// Items that are read often, in a cache of their own; 0: none.
    pub hot_cache_bytes: usize,
    /// One memtable; up to four exist. 64 to 128 MB: a larger one makes random reads slower.
    pub memtable_bytes: usize,
    /// Have RocksDB count what it does, for [`Store::engine_figures`].
    pub statistics: bool,
    /// Free space below which writes are refused; 0: none.
    pub disk_reserve_bytes: u64,
    /// Go on without what a damaged log has lost, instead of [`OpenError::DamagedLog`].
    pub recover_damaged_log: bool,
}

/// Figures for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreStatistics {
    /// Batches and mutations committed since start.
    pub batch_count: u64,
    pub mutation_count: u64,
    /// Mutations waiting or in work now, and the request memory that they hold.
    pub queued_count: usize,
    pub queued_bytes: usize,
    /// What the queue holds at most.
    pub queued_count_max: usize,
    pub queued_bytes_max: usize,
    /// Memory that the block cache holds now.
    pub block_cache_bytes: usize,
    /// Damaged items that were left out of new indexes since start.
    pub backfill_skipped_count: u64,
    pub hot_cache: HotCacheStatistics,
}

/// An open data directory. Shared by all threads; dropping it stops its threads, [`Store::close`] also makes the next
/// start quick.
pub struct Store {
    pub(super) engine: Arc<Engine>,
    pub(super) hot_cache: Option<Arc<HotCache>>,
    pub(super) catalog: Arc<ArcSwap<Catalog>>,
    pub(super) queue: Arc<Queue>,
    pub(super) reclaimer: Arc<Reclaimer>,
    pub(super) backfiller: Arc<Backfiller>,
    stop: Arc<StopSignal>,
    pub(super) counts: Arc<CommitCounts>,
    committer: Mutex<Option<JoinHandle<()>>>,
    /// The reclaimer, the back-filler, the free space's watcher and, if the log is synced at intervals, who does that.
    helpers: Mutex<Vec<JoinHandle<()>>>,
}

/// Tells a sleeping thread to end.
#[derive(Default)]
pub(super) struct StopSignal {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Store {
    /// Opens or creates a data directory and starts the committer.
    pub fn open(options: &StoreOptions) -> Result<Store, OpenError> {
        let corrupt = |error: Error| OpenError::Corrupt { path: options.path.clone(), detail: error.to_string() };
        let engine = Arc::new(Engine::open(options)?);
        let catalog = Catalog::load(&engine).map_err(corrupt)?;
        let reclaimer = Reclaimer::load(&engine).map_err(corrupt)?;
        let has_hot_cache = options.hot_cache_bytes > 0;
        let store = Store {
            engine,
            hot_cache: has_hot_cache.then(|| Arc::new(HotCache::new(options.hot_cache_bytes))),
            catalog: Arc::new(ArcSwap::from_pointee(catalog)),
            queue: Arc::default(),
            reclaimer: Arc::new(reclaimer),
            backfiller: Arc::new(Backfiller::new()),
            stop: Arc::default(),
            counts: Arc::default(),
            committer: Mutex::default(),
            helpers: Mutex::default(),
        };
        match store.start_threads(options.durability) {
            Ok(()) => Ok(store),
            Err(error) => {
                Err(OpenError::Io { path: options.path.clone(), detail: format!("cannot start a thread: {error}") })
            }
        }
    }

    fn start_threads(&self, durability: Durability) -> std::io::Result<()> {
        let committer = Committer::new(self, durability == Durability::Sync);
        *lock(&self.committer) = Some(thread::Builder::new().name("commit".into()).spawn(move || committer.run())?);
        let mut helpers = lock(&self.helpers);
        helpers.push(reclaim::spawn(Arc::clone(&self.reclaimer), Arc::clone(&self.engine), Arc::clone(&self.queue))?);
        helpers.push(backfill::spawn(
            Arc::clone(&self.backfiller),
            Arc::clone(&self.engine),
            Arc::clone(&self.catalog),
            Arc::clone(&self.queue),
            Arc::clone(&self.counts),
        )?);
        let (engine, queue) = (Arc::clone(&self.engine), Arc::clone(&self.queue));
        helpers.push(space::spawn(engine, queue, Arc::clone(&self.stop))?);
        if let Durability::Interval(interval) = durability {
            let (engine, stop) = (Arc::clone(&self.engine), Arc::clone(&self.stop));
            let goes_on = move || matches!(engine.sync(), Ok(()) | Err(Error::DiskFull));
            let sync = move || while !stop.wait(interval) && goes_on() {};
            helpers.push(thread::Builder::new().name("sync".into()).spawn(sync)?);
        }
        Ok(())
    }

    /// The tables as they are now.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.catalog.load_full()
    }

    pub fn table(&self, name: &str) -> Option<Arc<Table>> {
        self.catalog.load().table(name).cloned()
    }

    /// Reads the row of an item ([`Table::row_key`]). The bytes are an [`crate::model::EncodedItem`].
    pub fn get(&self, row_key: &[u8], tier: Tier) -> Result<Lookup<'_>, Error> {
        self.get_item(row_key, tier, true)
    }

    /// [`Store::get`] for one of the many items of a page: it leaves no trace in the hot-item cache.
    pub fn get_for_page(&self, row_key: &[u8], tier: Tier) -> Result<Lookup<'_>, Error> {
        self.get_item(row_key, tier, false)
    }

    fn get_item(&self, row_key: &[u8], tier: Tier, fill: bool) -> Result<Lookup<'_>, Error> {
        let Some(cache) = &self.hot_cache else { return self.engine.get(row_key, tier) };
        let key = HashedKey::new(row_key);
        match cache.probe(key) {
            Probe::Hit(item) => Ok(Lookup::Found(item.into())),
            Probe::Closed => self.engine.get(row_key, tier),
            Probe::Miss(ticket) => {
                let found = self.engine.get(row_key, tier)?;
                if let (Lookup::Found(item), true) = (&found, fill) {
                    cache.fill(key, ticket, item);
                }
                Ok(found)
            }
        }
    }

    /// Starts an ordered scan. The values are [`crate::model::EncodedItem`]s.
    pub fn scan<'s>(&'s self, bounds: Bounds<'s>, options: ScanOptions) -> Rows<'s> {
        self.engine.scan(bounds, options)
    }

    /// The store as it is now, for several reads.
    pub fn snapshot(&self) -> Snapshot<'_> {
        self.engine.snapshot()
    }

    /// Hands a mutation to the committer. `Err`: the queue is full (ThrottlingException) or, after [`Store::close`],
    /// closed; the mutation comes back and is not completed.
    pub fn submit(&self, mutation: Box<dyn Mutation>) -> Result<(), Box<dyn Mutation>> {
        self.queue.push(mutation).map_err(|refusal| {
            self.counts.refused.add(1);
            match refusal {
                Refusal::Full(mutation) | Refusal::Closed(mutation) => mutation,
            }
        })
    }

    /// How long the committer let mutations wait, in nanoseconds: for metrics.
    pub fn queue_waits(&self) -> Reading {
        self.queue.waits.reading()
    }

    /// Reads the old items of a mutation, and the record of its token, from the disk, so that the committer finds them
    /// in memory. For the pool.
    pub fn warm(&self, mutation: &dyn Mutation) -> Result<(), Error> {
        for index in 0..mutation.target_count() {
            self.get(mutation.target(index).row_key, Tier::Any)?;
        }
        if let Some(idempotency) = mutation.idempotency() {
            let arena = Bump::new();
            for key in idempotency.keys(&arena) {
                self.engine.get(key, Tier::Any)?;
            }
        }
        Ok(())
    }

    /// Changes the catalog: `change` runs on the committer thread, serially with all commits and other alterations;
    /// what it drafted takes effect and is synced when this returns `Ok`, and not at all if it returns `Err`. Blocks:
    /// for the pool.
    pub fn alter<T, E>(&self, change: impl FnOnce(&mut Draft) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.queue.alter(change)
    }

    /// Leaves indexes being created as they are until the store is opened again.
    #[cfg(test)]
    pub fn stop_backfill(&self) {
        self.backfiller.close();
    }

    pub fn statistics(&self) -> StoreStatistics {
        let (queued_count, queued_bytes) = self.queue.depth();
        StoreStatistics {
            batch_count: self.counts.batch_mutations.count(),
            mutation_count: self.counts.batch_mutations.reading().sum,
            queued_count,
            queued_bytes,
            queued_count_max: MUTATION_COUNT_MAX,
            queued_bytes_max: REQUEST_BYTES_MAX,
            block_cache_bytes: self.engine.block_cache_bytes(),
            backfill_skipped_count: self.backfiller.skipped_count(),
            hot_cache: self.hot_cache.as_ref().map(|cache| cache.statistics()).unwrap_or_default(),
        }
    }

    /// The back-fills under way. One look at each table: for a scrape, not for a request.
    pub fn backfills(&self) -> Vec<BackfillProgress> {
        backfill::progress(&self.catalog.load())
    }

    pub fn commit_counts(&self) -> &CommitCounts {
        &self.counts
    }

    /// How long the log took to be on the disk, each time that a write or a clock asked for it.
    pub fn sync_times(&self) -> Reading {
        self.engine.sync_times.reading()
    }

    /// Asks RocksDB and the directory: takes some ten microseconds.
    pub fn engine_figures(&self) -> EngineFigures {
        self.engine.figures()
    }

    /// `Err` when no write can be acknowledged, with the reason: for good, or while the disk is full. Costs next to
    /// nothing.
    pub fn check_writable(&self) -> Result<(), Error> {
        self.engine.check_poison()?;
        if self.engine.space.is_full() {
            return Err(Error::DiskFull);
        }
        if self.queue.is_closed() { Err(Error::Closed) } else { Ok(()) }
    }

    /// Makes all writes fail from now on, as a broken disk does.
    #[cfg(test)]
    pub fn fail_writes(&self) {
        self.engine.fail_writes.store(true, std::sync::atomic::Ordering::Relaxed);
    }

    /// Ends what is in the queue, flushes memtables (so that the next start has no log to replay) and ends background
    /// work. Reads still work, writes are refused.
    pub fn close(&self) -> Result<(), Error> {
        self.stop_committer();
        let flushed = self.engine.flush();
        self.stop_helpers();
        flushed
    }

    fn stop_committer(&self) {
        self.queue.close();
        let thread = lock(&self.committer).take();
        thread.into_iter().for_each(join);
    }

    fn stop_helpers(&self) {
        self.stop.set();
        self.reclaimer.close();
        self.backfiller.close();
        // Ends a compaction that the reclaimer waits for.
        self.engine.cancel_background_work();
        std::mem::take(&mut *lock(&self.helpers)).into_iter().for_each(join);
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.stop_committer();
        self.stop_helpers();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn join(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        tracing::error!("a storage thread panicked");
    }
}

impl StopSignal {
    fn set(&self) {
        *lock(&self.stopped) = true;
        self.changed.notify_all();
    }

    /// Sleeps for `interval`, or less if it is time to stop: then `true`.
    pub fn wait(&self, interval: Duration) -> bool {
        let stopped = lock(&self.stopped);
        let (stopped, _) = self
            .changed
            .wait_timeout_while(stopped, interval, |stopped| !*stopped)
            .unwrap_or_else(PoisonError::into_inner);
        *stopped
    }
}
