//! What the store counts, and what it can tell about the engine below it: for metrics.

use std::path::Path;
use std::time::Duration;

use rocksdb::perf::{PerfContext, PerfMetric, PerfStatsLevel, set_perf_stats};
use rocksdb::properties::{self, PropName};
use rocksdb::statistics::Ticker;

use super::engine::Engine;
use crate::metrics::{Counter, Histogram};

/// Levels that RocksDB has by default.
const LEVEL_COUNT: usize = 7;

/// What the commit pipeline has done since the start.
#[derive(Debug)]
pub struct CommitCounts {
    /// Mutations in each batch.
    pub batch_mutations: Histogram,
    /// From taking up the first mutation of a batch to the wake-up of those who wait, in nanoseconds.
    pub batch_times: Histogram,
    /// Mutations that found the queue full or closed.
    pub refused: Counter,
}

impl Default for CommitCounts {
    fn default() -> CommitCounts {
        CommitCounts {
            batch_mutations: Histogram::of_counts(),
            batch_times: Histogram::of_times(),
            refused: Counter::new(),
        }
    }
}

impl CommitCounts {
    /// Mutations of all batches.
    pub fn mutations(&self) -> u64 {
        self.batch_mutations.sum()
    }
}

/// RocksDB as it is now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineFigures {
    /// Writes wait until compaction or flush has caught up.
    pub write_stopped: bool,
    /// Bytes a second to which writes are slowed down; 0: they are not.
    pub delayed_write_rate: u64,
    pub pending_compaction_bytes: u64,
    pub running_compactions: u64,
    pub running_flushes: u64,
    pub memtable_bytes: u64,
    pub immutable_memtables: u64,
    /// Table files on the disk, with those that only old snapshots need.
    pub table_file_bytes: u64,
    /// Estimate of what would be left if everything were compacted.
    pub live_data_bytes: u64,
    pub block_cache_bytes: u64,
    pub block_cache_capacity_bytes: u64,
    pub background_errors: u64,
    /// Table files of each level.
    pub level_files: Vec<u64>,
    /// Files of the write-ahead log, those kept for reuse included.
    pub log_bytes: u64,
    /// Only if [`super::StoreOptions::statistics`] was asked for.
    pub tickers: Option<EngineTickers>,
}

/// What RocksDB counts itself, since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineTickers {
    pub block_cache_hits: u64,
    pub block_cache_misses: u64,
    /// Reads that a bloom filter answered: the key is not there.
    pub bloom_filter_hits: u64,
    pub stall: Duration,
    pub compaction_read_bytes: u64,
    pub compaction_written_bytes: u64,
    pub flush_written_bytes: u64,
}

impl Engine {
    pub(super) fn figures(&self) -> EngineFigures {
        // A property that RocksDB does not know would be a bug of ours: it shows as 0.
        let property = |name: &PropName| self.db.property_int_value(name).ok().flatten().unwrap_or_default();
        let level_files = |level| {
            let text = self.db.property_value(properties::num_files_at_level(level)).ok().flatten();
            text.and_then(|text| text.parse().ok()).unwrap_or_default()
        };
        EngineFigures {
            write_stopped: property(properties::IS_WRITE_STOPPED) != 0,
            delayed_write_rate: property(properties::ACTUAL_DELAYED_WRITE_RATE),
            pending_compaction_bytes: property(properties::ESTIMATE_PENDING_COMPACTION_BYTES),
            running_compactions: property(properties::NUM_RUNNING_COMPACTIONS),
            running_flushes: property(properties::NUM_RUNNING_FLUSHES),
            memtable_bytes: property(properties::CUR_SIZE_ALL_MEM_TABLES),
            immutable_memtables: property(properties::NUM_IMMUTABLE_MEM_TABLE),
            table_file_bytes: property(properties::TOTAL_SST_FILES_SIZE),
            live_data_bytes: property(properties::ESTIMATE_LIVE_DATA_SIZE),
            block_cache_bytes: property(properties::BLOCK_CACHE_USAGE),
            block_cache_capacity_bytes: property(properties::BLOCK_CACHE_CAPACITY),
            background_errors: property(properties::BACKGROUND_ERRORS),
            level_files: (0..LEVEL_COUNT).map(level_files).collect(),
            log_bytes: log_file_bytes(self.db.path()),
            tickers: self.tickers(),
        }
    }

    fn tickers(&self) -> Option<EngineTickers> {
        let count = |ticker| self.statistics.as_ref().map(|options| options.get_ticker_count(ticker));
        Some(EngineTickers {
            block_cache_hits: count(Ticker::BlockCacheHit)?,
            block_cache_misses: count(Ticker::BlockCacheMiss)?,
            bloom_filter_hits: count(Ticker::BloomFilterUseful)?,
            stall: Duration::from_micros(count(Ticker::StallMicros)?),
            compaction_read_bytes: count(Ticker::CompactReadBytes)?,
            compaction_written_bytes: count(Ticker::CompactWriteBytes)?,
            flush_written_bytes: count(Ticker::FlushWriteBytes)?,
        })
    }
}

/// A file that vanishes meanwhile counts nothing.
fn log_file_bytes(path: &Path) -> u64 {
    let files = std::fs::read_dir(path).into_iter().flatten().flatten();
    let logs = files.filter(|file| file.path().extension().is_some_and(|extension| extension == "log"));
    logs.filter_map(|file| file.metadata().ok()).map(|metadata| metadata.len()).sum()
}

/// RocksDB's `kEnableTimeExceptForMutex`. The crate's levels lack `kEnableWait`, so from there on each of its names
/// stands for the level before.
const TIMES: PerfStatsLevel = PerfStatsLevel::EnableTimeAndCPUTimeExceptForMutex;

/// Runs a write of the calling thread and returns what of its time RocksDB spent on the log: the sync above all.
pub(super) fn time_of_log<R>(write: impl FnOnce() -> R) -> (R, Duration) {
    set_perf_stats(TIMES);
    let context = PerfContext::default();
    let before = context.metric(PerfMetric::WriteWalTime);
    let result = write();
    let after = context.metric(PerfMetric::WriteWalTime);
    set_perf_stats(PerfStatsLevel::Disable);
    (result, Duration::from_nanos(after.saturating_sub(before)))
}
