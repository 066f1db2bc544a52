//! Items that are asked for often, above the engine: a hit costs a tenth of a read from memtable or block cache.
//!
//! The library underneath keeps what is used again and again, so that items read once (a client that walks through a
//! table) do not push out what is hot; Scan and Query do not fill the cache at all. This file keeps it exact. Each row
//! key has a gate, shared with other keys by hash, whose version is even while the gate is open:
//!
//! ```text
//! reader      probe --Hit---------------------------------------------------------> the item
//!               |----Miss(ticket)--> engine get --Found--> fill(ticket) ----------> the item
//!               \----Closed--------> engine get ----------------------------------> the item
//!
//! committer   close, for each item changed --> engine write --> install, for each --> open, for each
//!                                                        \ failed: the gates stay closed,
//!                                                                  or open if nothing was written
//! ```
//!
//! Invariants:
//!
//! 1. While the gate of a key is open, its entry, if there is one, is the item as the engine has it. An absent item has
//!    no entry.
//! 2. The engine shows a change only while the gates of its keys are closed, and a closed gate answers nothing: nobody
//!    reads an old entry after somebody has read the new item.
//! 3. A fill is of the version in which its reader began: it checks this and inserts under the gate's lock, so it comes
//!    before the `install` of any commit that its item is too old for, or not at all.
//! 4. Only the committer closes, installs and opens. A commit that fails leaves its gates closed for good, as nobody
//!    knows then what the engine has; one that found the disk full opens them, as it has written nothing.
//! 5. Two keys with the same hash take turns in one entry, and share a gate. Losing an entry breaks no rule here.
//! 6. Row keys begin with the id of their table, which is never used again: entries of a dropped table answer nobody,
//!    and make room for others in time.

use std::cell::RefCell;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::mem::size_of;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A larger item costs more to send than to find, and hundreds of small ones fit in its place.
pub(super) const ITEM_BYTES_MAX: usize = 32 * 1024;

/// What an entry takes beside its key and item: a place in the library's slab and table (with room to grow), the counts
/// in front, and what the allocator adds.
const ENTRY_BYTES: usize = 128;

/// For the library's estimate of how many entries it will have: 400 bytes of item, a key.
const ENTRY_BYTES_TYPICAL: usize = 600;

/// Shards are locked each for itself; one must hold many items of the greatest size.
const SHARD_BYTES_MIN: usize = 4 * 1024 * 1024;
const SHARD_COUNT_MAX: usize = 64;
const _: () = assert!(SHARD_BYTES_MIN >= 64 * ITEM_BYTES_MAX, "the share of new items in a shard holds any item");

/// A commit closes as many of them as it changes items, rarely more than 64: one in 64 reads of other items is turned
/// away meanwhile. All of them take 256 KB.
const GATE_COUNT: usize = 4096;

/// Who sends keys does not know it, so cannot choose keys whose hashes collide.
static SEED: LazyLock<u64> = LazyLock::new(|| uuid::Uuid::new_v4().as_u64_pair().0);

/// A row key and its hash, which the gates, the cache and the committer's overlay share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HashedKey<'k> {
    pub row_key: &'k [u8],
    hash: u64,
}

impl<'k> HashedKey<'k> {
    pub fn new(row_key: &'k [u8]) -> HashedKey<'k> {
        HashedKey { row_key, hash: xxh3_64_with_seed(row_key, *SEED) }
    }
}

impl Hash for HashedKey<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// Passes on the hash that a key brings along.
#[derive(Default)]
pub(super) struct KnownHash(u64);

pub(super) type BuildKnownHash = BuildHasherDefault<KnownHash>;

impl Hasher for KnownHash {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys bring their hash along");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// An item as an entry holds it, behind its row key: the library knows entries by hash only, so that a look-up waits
/// for as few places in memory as possible, and whoever finds one compares the key.
///
/// ```text
/// entry := length of the row key(4) row key item
/// ```
#[derive(Clone)]
pub(super) struct HotItem(Arc<[u8]>);

impl HotItem {
    fn new(row_key: &[u8], item: &[u8]) -> HotItem {
        thread_local! {
            static ENTRY: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        ENTRY.with_borrow_mut(|entry| {
            entry.clear();
            // A row key has a few KB.
            entry.extend_from_slice(&(row_key.len() as u32).to_le_bytes());
            entry.extend_from_slice(row_key);
            entry.extend_from_slice(item);
            HotItem(entry.as_slice().into())
        })
    }

    fn split(&self) -> (&[u8], &[u8]) {
        let (length, rest) = self.0.split_first_chunk().expect("an entry begins with a length");
        rest.split_at(u32::from_le_bytes(*length) as usize)
    }
}

impl Deref for HotItem {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.split().1
    }
}

#[derive(Clone)]
struct EntryBytes;

impl Weighter<u64, HotItem> for EntryBytes {
    fn weight(&self, _: &u64, entry: &HotItem) -> u64 {
        (ENTRY_BYTES + entry.0.len()) as u64
    }
}

/// On a cache line of its own.
#[derive(Default)]
#[repr(align(64))]
struct Gate {
    /// Even: open. Grows with each change.
    version: AtomicU64,
    /// Held by who changes an entry.
    change: Mutex<()>,
    /// What readers found here. Counted per gate, so that threads seldom count in the same place.
    hits: AtomicU64,
    misses: AtomicU64,
}

const _: () = assert!(size_of::<Gate>() == 64);

impl Gate {
    fn lock(&self) -> MutexGuard<'_, ()> {
        self.change.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a reader finds.
pub(super) enum Probe {
    Hit(HotItem),
    /// Read the engine, then [`HotCache::fill`].
    Miss(Ticket),
    /// Read the engine.
    Closed,
}

/// The version of the gate before the engine was read.
#[derive(Clone, Copy)]
pub(super) struct Ticket(u64);

/// Figures for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HotCacheStatistics {
    /// Reads of items that were answered by the cache, and that were not.
    pub hit_count: u64,
    pub miss_count: u64,
    pub item_count: usize,
    /// Memory of the entries.
    pub bytes: usize,
}

pub(super) struct HotCache {
    entries: Cache<u64, HotItem, EntryBytes, BuildKnownHash>,
    gates: Box<[Gate]>,
}

impl HotCache {
    pub fn new(bytes_max: usize) -> HotCache {
        let options = OptionsBuilder::new()
            .weight_capacity(bytes_max as u64)
            .estimated_items_capacity(bytes_max / ENTRY_BYTES_TYPICAL)
            .shards((bytes_max / SHARD_BYTES_MIN).clamp(1, SHARD_COUNT_MAX))
            .build()
            .expect("both capacities are set");
        HotCache {
            entries: Cache::with_options(options, EntryBytes, BuildKnownHash::default(), DefaultLifecycle::default()),
            gates: std::iter::repeat_with(Gate::default).take(GATE_COUNT).collect(),
        }
    }

    /// Bits that the library uses for neither shard nor slot in the first place.
    fn gate(&self, key: HashedKey<'_>) -> &Gate {
        &self.gates[(key.hash >> 16) as usize % GATE_COUNT]
    }

    /// For readers.
    pub fn probe(&self, key: HashedKey<'_>) -> Probe {
        let gate = self.gate(key);
        let version = gate.version.load(Ordering::Acquire);
        if !version.is_multiple_of(2) {
            gate.misses.fetch_add(1, Ordering::Relaxed);
            return Probe::Closed;
        }
        match self.get(key) {
            Some(item) => {
                gate.hits.fetch_add(1, Ordering::Relaxed);
                Probe::Hit(item)
            }
            None => {
                gate.misses.fetch_add(1, Ordering::Relaxed);
                Probe::Miss(Ticket(version))
            }
        }
    }

    /// Keeps what a reader found in the engine after it had missed it here, unless it may have changed since.
    pub fn fill(&self, key: HashedKey<'_>, ticket: Ticket, item: &[u8]) {
        if item.len() > ITEM_BYTES_MAX {
            return;
        }
        let entry = HotItem::new(key.row_key, item);
        let gate = self.gate(key);
        let _changing = gate.lock();
        if gate.version.load(Ordering::Acquire) == ticket.0 {
            self.entries.insert(key.hash, entry);
        }
    }

    /// For the committer, which knows that nobody else changes an item: the gate does not matter.
    pub fn get(&self, key: HashedKey<'_>) -> Option<HotItem> {
        self.entries.get(&key.hash).filter(|entry| entry.split().0 == key.row_key)
    }

    /// For the committer: the engine is about to change the item. Closing twice is closing.
    pub fn close(&self, key: HashedKey<'_>) {
        let gate = self.gate(key);
        gate.version.store(gate.version.load(Ordering::Relaxed) | 1, Ordering::Release);
    }

    /// For the committer: the engine has changed the item. The gate is still closed.
    pub fn install(&self, key: HashedKey<'_>, item: Option<&[u8]>) {
        let gate = self.gate(key);
        match item.filter(|item| item.len() <= ITEM_BYTES_MAX) {
            Some(item) => {
                let entry = HotItem::new(key.row_key, item);
                let _changing = gate.lock();
                self.entries.insert(key.hash, entry);
            }
            None => {
                let _changing = gate.lock();
                self.entries.remove(&key.hash);
            }
        }
    }

    /// For the committer: all items of the batch are installed.
    pub fn open(&self, key: HashedKey<'_>) {
        let gate = self.gate(key);
        let version = gate.version.load(Ordering::Relaxed);
        gate.version.store(version.next_multiple_of(2), Ordering::Release);
    }

    pub fn statistics(&self) -> HotCacheStatistics {
        HotCacheStatistics {
            hit_count: self.gates.iter().map(|gate| gate.hits.load(Ordering::Relaxed)).sum(),
            miss_count: self.gates.iter().map(|gate| gate.misses.load(Ordering::Relaxed)).sum(),
            item_count: self.entries.len(),
            bytes: self.entries.weight() as usize,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    const CACHE_BYTES: usize = 1 << 20;

    fn filled(cache: &HotCache, key: HashedKey<'_>, item: &[u8]) {
        let Probe::Miss(ticket) = cache.probe(key) else { panic!("no entry and an open gate") };
        cache.fill(key, ticket, item);
    }

    fn is_hit(cache: &HotCache, key: HashedKey<'_>) -> bool {
        matches!(cache.probe(key), Probe::Hit(_))
    }

    /// One item, a number, in the engine and in front of it.
    struct World<'c> {
        cache: &'c HotCache,
        key: [u8; 8],
        engine: Option<u8>,
    }

    impl World<'_> {
        fn key(&self) -> HashedKey<'_> {
            HashedKey::new(&self.key)
        }

        /// A read that nothing comes between.
        fn read(&self) -> Option<u8> {
            match self.cache.probe(self.key()) {
                Probe::Hit(item) => Some(item[0]),
                Probe::Miss(_) | Probe::Closed => self.engine,
            }
        }
    }

    /// A step of one of the threads.
    type Step = fn(&mut World<'_>, &mut Thread);

    #[derive(Default)]
    struct Thread {
        steps: VecDeque<Step>,
        ticket: Option<Ticket>,
        found: Option<u8>,
    }

    fn reader() -> Thread {
        let steps: [Step; 3] = [
            |world, thread| {
                if let Probe::Miss(ticket) = world.cache.probe(world.key()) {
                    thread.ticket = Some(ticket);
                }
            },
            |world, thread| thread.found = world.engine,
            |world, thread| {
                if let (Some(ticket), Some(found)) = (thread.ticket, thread.found) {
                    world.cache.fill(world.key(), ticket, &[found]);
                }
            },
        ];
        Thread { steps: steps.into(), ..Thread::default() }
    }

    /// Puts 1 over 0, deletes it, and does not touch a missing item's gate when it puts 2.
    fn committer() -> Thread {
        let steps: [Step; 9] = [
            |world, _| world.cache.close(world.key()),
            |world, _| world.engine = Some(1),
            |world, _| world.cache.install(world.key(), Some(&[1])),
            |world, _| world.cache.open(world.key()),
            |world, _| world.cache.close(world.key()),
            |world, _| world.engine = None,
            |world, _| world.cache.install(world.key(), None),
            |world, _| world.cache.open(world.key()),
            |world, _| world.engine = Some(2),
        ];
        Thread { steps: steps.into(), ..Thread::default() }
    }

    /// Calls `run` with each order in which threads of so many steps can take them.
    fn schedules(left: &mut [usize], schedule: &mut Vec<usize>, run: &mut impl FnMut(&[usize])) {
        if left.iter().all(|steps| *steps == 0) {
            return run(schedule);
        }
        for thread in 0..left.len() {
            if left[thread] > 0 {
                left[thread] -= 1;
                schedule.push(thread);
                schedules(left, schedule, run);
                schedule.pop();
                left[thread] += 1;
            }
        }
    }

    #[test]
    fn whatever_comes_between_a_reader_sees_what_the_engine_has() {
        let cache = HotCache::new(CACHE_BYTES);
        let (mut number, mut kept) = (0u64, 0);
        schedules(&mut [3, 3, 9], &mut Vec::new(), &mut |schedule| {
            number += 1;
            let mut world = World { cache: &cache, key: number.to_be_bytes(), engine: Some(0) };
            let mut threads = [reader(), reader(), committer()];
            for &thread in schedule {
                let thread = &mut threads[thread];
                let step = thread.steps.pop_front().expect("as many as the schedule has");
                step(&mut world, thread);
                assert_eq!(world.read(), world.engine, "{schedule:?}");
            }
            kept += u32::from(is_hit(&cache, world.key()));
        });
        assert_eq!(number, 100_100, "15! / (3! 3! 9!)");
        assert!(kept > 0, "a fill after the last commit is kept");
    }

    #[test]
    fn a_commit_that_fails_leaves_its_gates_closed() {
        let cache = HotCache::new(CACHE_BYTES);
        let key = HashedKey::new(b"k");
        filled(&cache, key, b"old");
        let Probe::Hit(_) = cache.probe(key) else { panic!("an entry") };
        cache.close(key);
        cache.close(key);
        assert!(matches!(cache.probe(key), Probe::Closed), "closing twice is closing");
        cache.open(key);
        cache.open(key);
        assert!(is_hit(&cache, key), "opening twice is opening");
        let statistics = cache.statistics();
        assert_eq!((statistics.hit_count, statistics.miss_count, statistics.item_count), (2, 2, 1));
        assert_eq!(statistics.bytes, ENTRY_BYTES + 4 + 1 + 3);
    }

    #[test]
    fn keys_of_one_hash_take_turns() {
        let cache = HotCache::new(CACHE_BYTES);
        let [first, second] = [&b"first"[..], b"second"].map(|row_key| HashedKey { row_key, hash: 7 });
        filled(&cache, first, b"1");
        assert!(!is_hit(&cache, second));
        cache.install(second, Some(b"2"));
        assert!(!is_hit(&cache, first));
        assert!(matches!(cache.probe(second), Probe::Hit(item) if *item == *b"2"));
        cache.install(first, None);
        assert!(!is_hit(&cache, second), "lost, not wrong");
    }

    #[test]
    fn an_item_that_grows_too_large_leaves_no_entry() {
        let cache = HotCache::new(CACHE_BYTES);
        let (key, large) = (HashedKey::new(b"k"), vec![0; ITEM_BYTES_MAX + 1]);
        filled(&cache, key, &large);
        assert!(!is_hit(&cache, key));
        filled(&cache, key, &large[1..]);
        assert!(is_hit(&cache, key));
        cache.install(key, Some(&large));
        assert!(!is_hit(&cache, key));
        assert_eq!(cache.statistics().bytes, 0);
    }

    #[test]
    fn memory_is_bounded_and_what_is_read_once_does_not_push_out_what_is_hot() {
        let cache = HotCache::new(CACHE_BYTES);
        let hot: Vec<[u8; 8]> = (0..500u64).map(u64::to_be_bytes).collect();
        hot.iter().for_each(|key| filled(&cache, HashedKey::new(key), &[0; 400]));
        for number in 1000..50_000u64 {
            filled(&cache, HashedKey::new(&number.to_be_bytes()), &[0; 400]);
            assert!(is_hit(&cache, HashedKey::new(&hot[number as usize % hot.len()])), "after {number}");
            assert!(cache.statistics_bytes() <= CACHE_BYTES);
        }
        assert!(cache.statistics_bytes() > CACHE_BYTES / 2);
    }

    impl HotCache {
        fn statistics_bytes(&self) -> usize {
            self.entries.weight() as usize
        }
    }
}
