//! What /metrics tells. One function for each part of the server; the README's table lists the most useful names.

use super::Sources;
use super::page::{self, In, Page};
use super::process::ProcessFigures;
use crate::metrics::Reading;
use crate::server::ConnectionCounts;
use crate::server::counters::{ErrorCount, LoopCounters, RowFigures};
use crate::server::pool::PoolFigures;
use crate::storage::{BackfillProgress, EngineFigures, EngineTickers, HotCacheStatistics, StoreStatistics};
use std::fmt;

/// Everything at one moment.
struct Figures {
    ready: bool,
    rows: Vec<RowFigures>,
    errors: Vec<ErrorCount>,
    slow: u64,
    connections: ConnectionCounts,
    connections_max: usize,
    closings: Vec<(&'static str, u64)>,
    request_memory_bytes: usize,
    request_memory_bytes_max: usize,
    lags: Vec<(String, Reading)>,
    /// Lines, and failed attempts to write some.
    audit: (u64, u64),
    pool: PoolFigures,
    commit: Commit,
    tables: Tables,
    engine: EngineFigures,
    process: ProcessFigures,
}

struct Commit {
    statistics: StoreStatistics,
    batch_mutations: Reading,
    batch_times: Reading,
    waits: Reading,
    sync_times: Reading,
    refused: u64,
}

struct Tables {
    count: usize,
    backfills: Vec<BackfillProgress>,
    backfill_skipped: u64,
}

/// Writes the page of metrics.
pub fn render(sources: &Sources, ready: bool) -> Result<String, fmt::Error> {
    let figures = Figures::gather(sources, ready);
    page::render(move |page| figures.write(page))
}

impl Figures {
    fn gather(sources: &Sources, ready: bool) -> Figures {
        let Sources { service, observed } = sources;
        let loops = observed.loops.iter().map(|counters| &**counters);
        let counts = service.store.commit_counts();
        Figures {
            ready,
            rows: LoopCounters::rows(loops.clone()),
            errors: LoopCounters::errors(loops.clone()),
            slow: loops.clone().map(LoopCounters::slow_count).sum(),
            connections: observed.shared.connection_counts(),
            connections_max: observed.connections_max,
            closings: LoopCounters::closings(loops.clone()),
            request_memory_bytes: observed.shared.budget.held_bytes(),
            request_memory_bytes_max: observed.shared.budget.bytes_max(),
            lags: loops.enumerate().map(|(index, counters)| (index.to_string(), counters.lag())).collect(),
            audit: observed.audit.as_ref().map(|log| log.counts()).unwrap_or_default(),
            pool: observed.pool.figures(),
            commit: Commit {
                statistics: service.store.statistics(),
                batch_mutations: counts.batch_mutations.reading(),
                batch_times: counts.batch_times.reading(),
                waits: service.store.queue_waits(),
                sync_times: service.store.sync_times(),
                refused: counts.refused.get(),
            },
            tables: Tables::gather(sources),
            engine: service.store.engine_figures(),
            process: ProcessFigures::read(),
        }
    }

    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        page.info("jormundb_build", "What runs", [("version", env!("CARGO_PKG_VERSION"))])?;
        page.gauge("jormundb_ready", In::Number, "Whether /readyz answers 200", self.ready.into())?;
        self.write_requests(page)?;
        self.write_connections(page)?;
        self.write_loops(page)?;
        page.counter("jormundb_audit_log_lines", In::Number, "Writes noted in the audit log", self.audit.0)?;
        let help = "Failed attempts to write or open the audit log";
        page.counter("jormundb_audit_log_failures", In::Number, help, self.audit.1)?;
        self.pool.write(page)?;
        self.commit.write(page)?;
        self.tables.write(page)?;
        write_hot_cache(&self.commit.statistics.hot_cache, page)?;
        self.engine.write(page)?;
        if let Some(tickers) = &self.engine.tickers {
            tickers.write(page)?;
        }
        self.process.write(page)
    }

    fn write_requests(&self, page: &mut Page<'_>) -> fmt::Result {
        let by_row = |value: fn(&RowFigures) -> u64| {
            self.rows.iter().map(move |figures| ([("operation", figures.row.name())], value(figures)))
        };
        let help = "Requests answered, and those refused before they were read to their end";
        page.counters("jormundb_requests", In::Number, help, by_row(|figures| figures.requests))?;
        let errors = self.errors.iter().map(|&ErrorCount { row, error, count }| {
            let labels = [("operation", row.name()), ("type", error)];
            (labels, count)
        });
        page.counters("jormundb_request_errors", In::Number, "Requests answered with an error", errors)?;
        let help = "Requests that took as long as --slow-request-ms or longer";
        page.counter("jormundb_slow_requests", In::Number, help, self.slow)?;
        // Operations that nobody uses would be half of the page.
        let used = self.rows.iter().filter(|figures| figures.times.count() > 0);
        let times = used.map(|figures| ([("operation", figures.row.name())], &figures.times));
        let help = "From the arrival of a whole request to its answer being ready to be sent";
        page.histograms("jormundb_request_duration", In::Seconds, help, times)?;
        let help = "Request bodies as sent";
        page.counters("jormundb_request_body", In::Bytes, help, by_row(|figures| figures.request_bytes))?;
        let help = "Response bodies as sent";
        page.counters("jormundb_response_body", In::Bytes, help, by_row(|figures| figures.response_bytes))
    }

    fn write_connections(&self, page: &mut Page<'_>) -> fmt::Result {
        let ConnectionCounts { open, accepted, refused } = self.connections;
        page.gauge("jormundb_connections_open", In::Number, "Connections open now", open as u64)?;
        let help = "Connections that may be open, from --max-connections";
        page.gauge("jormundb_connections_limit", In::Number, help, self.connections_max as u64)?;
        page.counter("jormundb_connections_accepted", In::Number, "Connections accepted", accepted)?;
        let help = "Connections turned away because too many were open";
        page.counter("jormundb_connections_refused", In::Number, help, refused)?;
        let closings = self.closings.iter().map(|&(reason, count)| ([("reason", reason)], count));
        page.counters("jormundb_connections_closed", In::Number, "Connections closed", closings)?;
        let help = "Memory of large requests and answers in flight";
        page.gauge("jormundb_request_memory", In::Bytes, help, self.request_memory_bytes as u64)?;
        let help = "Memory that requests in flight may hold, from --request-memory";
        page.gauge("jormundb_request_memory_limit", In::Bytes, help, self.request_memory_bytes_max as u64)
    }

    fn write_loops(&self, page: &mut Page<'_>) -> fmt::Result {
        let help = "How late a timer fired: how long an event loop did not look at its sockets, to a millisecond";
        let lags = self.lags.iter().map(|(index, lag)| ([("loop", index.as_str())], lag));
        page.histograms("jormundb_loop_lag", In::Seconds, help, lags)
    }
}

impl PoolFigures {
    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        page.gauge("jormundb_pool_threads", In::Number, "Threads of the blocking pool", self.threads as u64)?;
        page.gauge("jormundb_pool_running_jobs", In::Number, "Jobs that run now", self.running as u64)?;
        page.gauge("jormundb_pool_queued_jobs", In::Number, "Jobs that wait for a thread", self.queued as u64)?;
        page.gauge("jormundb_pool_queue_limit", In::Number, "Jobs that may wait", self.queued_max as u64)?;
        page.counter("jormundb_pool_refused_jobs", In::Number, "Jobs that found the queue full", self.refused)?;
        page.histogram("jormundb_pool_wait", In::Seconds, "How long jobs waited for a thread", &self.waits)
    }
}

impl Commit {
    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        let StoreStatistics { queued_count, queued_bytes, queued_count_max, queued_bytes_max, .. } = self.statistics;
        let help = "Write requests waiting for the committer or in its work";
        page.gauge("jormundb_commit_queue_depth", In::Number, help, queued_count as u64)?;
        let help = "Write requests that may wait; beyond, ThrottlingException";
        page.gauge("jormundb_commit_queue_limit", In::Number, help, queued_count_max as u64)?;
        let help = "Request memory of those that wait";
        page.gauge("jormundb_commit_queue", In::Bytes, help, queued_bytes as u64)?;
        let help = "Request memory of those that may wait";
        page.gauge("jormundb_commit_queue_limit", In::Bytes, help, queued_bytes_max as u64)?;
        let help = "Write requests that found the queue full or closed";
        page.counter("jormundb_commit_refused", In::Number, help, self.refused)?;
        let help = "Write requests that shared one batch and one sync";
        page.histogram("jormundb_commit_batch_requests", In::Number, help, &self.batch_mutations)?;
        let help = "How long the first of the write requests that were taken together had waited for the committer";
        page.histogram("jormundb_commit_wait", In::Seconds, help, &self.waits)?;
        let help = "From taking up a batch to telling everybody that it is committed";
        page.histogram("jormundb_commit", In::Seconds, help, &self.batch_times)?;
        let help = "How long the write-ahead log took to be on the disk; nothing in durability mode os";
        page.histogram("jormundb_wal_sync", In::Seconds, help, &self.sync_times)
    }
}

impl Tables {
    fn gather(Sources { service, .. }: &Sources) -> Tables {
        Tables {
            count: service.store.catalog().tables().count(),
            backfills: service.store.backfills(),
            backfill_skipped: service.store.statistics().backfill_skipped_count,
        }
    }

    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        let by_index = |value: fn(&BackfillProgress) -> u64| {
            self.backfills.iter().map(move |backfill| {
                let BackfillProgress { table, index, .. } = backfill;
                ([("table", table.as_str()), ("index", index.as_str())], value(backfill))
            })
        };
        page.gauge("jormundb_tables", In::Number, "Tables", self.count as u64)?;
        let help = "Items looked at so far for an index that is being filled";
        page.gauges("jormundb_backfill_done_items", In::Number, help, by_index(|backfill| backfill.items_done))?;
        let help = "Items of the table whose index is being filled";
        page.gauges("jormundb_backfill_items", In::Number, help, by_index(|backfill| backfill.items_total))?;
        let help = "Damaged items that were left out of new indexes";
        page.counter("jormundb_backfill_skipped_items", In::Number, help, self.backfill_skipped)
    }
}

fn write_hot_cache(statistics: &HotCacheStatistics, page: &mut Page<'_>) -> fmt::Result {
    let &HotCacheStatistics { hit_count, miss_count, item_count, bytes } = statistics;
    page.counter("jormundb_hot_cache_hits", In::Number, "Items read from the hot-item cache", hit_count)?;
    let help = "Items that the hot-item cache did not have";
    page.counter("jormundb_hot_cache_misses", In::Number, help, miss_count)?;
    page.gauge("jormundb_hot_cache_items", In::Number, "Items in the hot-item cache", item_count as u64)?;
    page.gauge("jormundb_hot_cache", In::Bytes, "Memory of the hot-item cache", bytes as u64)
}

impl EngineFigures {
    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        let help = "Whether writes wait until compaction or flush has caught up";
        page.gauge("jormundb_rocksdb_write_stopped", In::Number, help, self.write_stopped.into())?;
        let help = "Bytes a second to which writes are slowed down; 0: they are not";
        page.gauge("jormundb_rocksdb_delayed_write_rate", In::Bytes, help, self.delayed_write_rate)?;
        let help = "Estimate of what compaction has to rewrite";
        page.gauge("jormundb_rocksdb_pending_compaction", In::Bytes, help, self.pending_compaction_bytes)?;
        let help = "Compactions that run now";
        page.gauge("jormundb_rocksdb_running_compactions", In::Number, help, self.running_compactions)?;
        page.gauge("jormundb_rocksdb_running_flushes", In::Number, "Flushes that run now", self.running_flushes)?;
        page.gauge("jormundb_rocksdb_memtables", In::Bytes, "Memory of the memtables", self.memtable_bytes)?;
        let help = "Full memtables that wait for their flush";
        page.gauge("jormundb_rocksdb_immutable_memtables", In::Number, help, self.immutable_memtables)?;
        page.gauge("jormundb_rocksdb_table_files", In::Bytes, "Table files on the disk", self.table_file_bytes)?;
        let help = "Estimate of the data if everything were compacted";
        page.gauge("jormundb_rocksdb_live_data", In::Bytes, help, self.live_data_bytes)?;
        let help = "Files of the write-ahead log, those kept for reuse included";
        page.gauge("jormundb_rocksdb_wal", In::Bytes, help, self.log_bytes)?;
        page.gauge("jormundb_rocksdb_block_cache", In::Bytes, "Memory in the block cache", self.block_cache_bytes)?;
        let help = "Memory that the block cache may take";
        page.gauge("jormundb_rocksdb_block_cache_limit", In::Bytes, help, self.block_cache_capacity_bytes)?;
        let help = "Failed flushes and compactions";
        page.gauge("jormundb_rocksdb_background_errors", In::Number, help, self.background_errors)?;
        let levels: Vec<String> = (0..self.level_files.len()).map(|level| level.to_string()).collect();
        let files = levels.iter().zip(&self.level_files).map(|(level, &count)| ([("level", level.as_str())], count));
        page.gauges("jormundb_rocksdb_level_files", In::Number, "Table files of a level", files)
    }
}

impl EngineTickers {
    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        let help = "Blocks found in the block cache";
        page.counter("jormundb_block_cache_hits", In::Number, help, self.block_cache_hits)?;
        let help = "Blocks read from files";
        page.counter("jormundb_block_cache_misses", In::Number, help, self.block_cache_misses)?;
        let help = "Table files that a bloom filter saved a look into";
        page.counter("jormundb_bloom_filter_hits", In::Number, help, self.bloom_filter_hits)?;
        let stall = crate::metrics::nanoseconds(self.stall);
        page.counter("jormundb_rocksdb_stall", In::Seconds, "Time that writes were held up", stall)?;
        let help = "Bytes read by compactions";
        page.counter("jormundb_rocksdb_compaction_read", In::Bytes, help, self.compaction_read_bytes)?;
        let help = "Bytes written by compactions";
        page.counter("jormundb_rocksdb_compaction_written", In::Bytes, help, self.compaction_written_bytes)?;
        let help = "Bytes written by flushes";
        page.counter("jormundb_rocksdb_flush_written", In::Bytes, help, self.flush_written_bytes)
    }
}

impl ProcessFigures {
    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        let help = "User and system CPU time";
        page.counter("process_cpu", In::Seconds, help, self.cpu_nanoseconds)?;
        page.gauge("process_resident_memory", In::Bytes, "Resident memory", self.resident_bytes)?;
        page.gauge("process_virtual_memory", In::Bytes, "Virtual memory", self.virtual_bytes)?;
        page.gauge("process_threads", In::Number, "Threads", self.threads)?;
        page.gauge("process_open_fds", In::Number, "Open file descriptors", self.open_fds)?;
        page.gauge("process_max_fds", In::Number, "File descriptors that may be open", self.max_fds)?;
        let help = "When the process started, since 1970";
        page.gauge("process_start_time", In::Seconds, help, self.started_nanoseconds)
    }
}
