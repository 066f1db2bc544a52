//! The server's process: configuration, start, signals, end.

use clap::Parser;
use jormundb::clock::Clock;
use jormundb::command::control;
use jormundb::config::{ACCOUNT_ID, Config, LogFormat, ObserveOptions};
use jormundb::model::arn::Location;
use jormundb::operation::Service;
use jormundb::server::audit::{AuditLog, AuditThread};
use jormundb::server::{self, ConnectionCounts, Monitor, Server};
use jormundb::storage::{Store, StoreOptions};
use std::error::Error;
use std::io::{self, IsTerminal, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What a shell reports of a process that was interrupted: the status after a second signal.
const EXIT_INTERRUPTED: i32 = 130;

fn main() -> ExitCode {
    if let Err(error) = check_processor() {
        eprintln!("jormundb: {error}");
        return ExitCode::FAILURE;
    }
    let config = Config::parse();
    start_logging(&config.observe);
    if let Some(command) = &config.command {
        return command.run(&config.data_dir);
    }
    match run(&config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("jormundb: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Log lines go to the standard error.
fn start_logging(options: &ObserveOptions) {
    let lines = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_max_level(options.log_level.filter())
        .with_target(false);
    match options.log_format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
}

/// Opens the audit log, if there is to be one, and has SIGHUP open it anew.
fn start_audit(config: &Config) -> Result<Option<AuditThread>, Box<dyn Error>> {
    let Some(path) = &config.observe.audit_log else { return Ok(None) };
    let reopen = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGHUP, Arc::clone(&reopen))?;
    let started = AuditLog::start(path, reopen);
    Ok(Some(started.map_err(|error| format!("cannot open the audit log {}: {error}", path.display()))?))
}

/// Serves until SIGTERM or SIGINT.
fn run(config: &Config) -> Result<(), Box<dyn Error>> {
    server::return_large_memory();
    let mut signals = listen_for_signals()?;
    let access_keys = config.access.keys()?.map(Arc::new);
    if let Err(error) = server::raise_open_files_limit() {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
    let listeners = server::bind(config.address(), config.io_threads())?;
    let monitor = config.observe.metrics_address.map(Monitor::start).transpose()?;
    let store = Store::open(&StoreOptions {
        path: config.data_dir.clone(),
        durability: config.durability,
        hot_cache_bytes: config.hot_cache.hot_cache.0,
        block_cache_bytes: config.block_cache.0,
        memtable_bytes: config.memtable.0,
        statistics: monitor.is_some(),
        disk_reserve_bytes: config.disk.disk_reserve.0 as u64,
        recover_damaged_log: config.disk.recover_damaged_log,
    })?;
    let audit = start_audit(config)?;
    let service = Arc::new(Service {
        store,
        location: Location { region: config.region.clone(), account: ACCOUNT_ID.to_owned() },
        endpoint: listeners.address().to_string(),
        clock: Clock::System,
    });
    let options = server::Options {
        io_threads: config.io_threads(),
        pool_threads: config.pool_threads(),
        connections_max: config.max_connections,
        idle_timeout_seconds: config.idle_timeout,
        request_memory_bytes: config.request_memory.0,
        region: config.region.clone(),
        verbose: config.verbose,
        slow_request_ms: config.observe.slow_request_ms,
        audit: audit.as_ref().map(|thread| Arc::clone(thread.log())),
        watch_lag: monitor.is_some(),
        access_keys,
    };
    warn_if_open(&options, listeners.address());
    let server = Server::start(listeners, &options, &service)?;
    if let Some(monitor) = &monitor {
        monitor.serving(&service, server.observed());
    }
    let control = control::Listener::start(&config.data_dir, service.store.backup_source())
        .inspect_err(|error| tracing::warn!(%error, "no control.sock: backups need this server to be stopped"));
    print_banner(config, server.address(), monitor.as_ref().map(Monitor::address))?;

    // Returns when the first signal arrives.
    signals.read_exact(&mut [0])?;
    let ConnectionCounts { open, accepted, refused } = server.connection_counts();
    let request_memory_bytes = server.request_memory_bytes();
    tracing::info!(open, accepted, refused, request_memory_bytes, "stopping: requests in flight are finished first");
    if let Some(monitor) = &monitor {
        monitor.stopping();
    }
    let backup_is_made = control.is_ok_and(control::Listener::stop);
    server.stop();
    if let Some(thread) = audit {
        thread.stop();
    }
    service.store.close()?;
    if let Some(monitor) = monitor {
        monitor.stop();
    }
    if backup_is_made {
        tracing::warn!("stopped in the middle of a backup: it is not made, earlier ones are as they were");
    }
    tracing::info!("stopped");
    let is_last = Arc::into_inner(service).is_some();
    if backup_is_made || !is_last {
        // At once: an ordinary end would destroy RocksDB's statics under the thread that copies, or under one of the
        // monitor's that still serves a connection and, as the last, closes the database.
        signal_hook::low_level::exit(0);
    }
    Ok(())
}

/// A server without access keys obeys whoever can connect.
fn warn_if_open(options: &server::Options, address: SocketAddr) {
    if options.access_keys.is_none() && !address.ip().to_canonical().is_loopback() {
        tracing::warn!(
            %address,
            "no access keys: everybody on this network can read, write and delete all data; see --credentials-file"
        );
    }
}

/// The first SIGTERM or SIGINT makes the returned stream readable, the second ends the process.
fn listen_for_signals() -> io::Result<UnixStream> {
    let (receiver, sender) = UnixStream::pair()?;
    let stopping = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        // In this order: the first signal finds the flag still unset.
        signal_hook::flag::register_conditional_shutdown(signal, EXIT_INTERRUPTED, Arc::clone(&stopping))?;
        signal_hook::flag::register(signal, Arc::clone(&stopping))?;
        signal_hook::low_level::pipe::register(signal, sender.try_clone()?)?;
    }
    Ok(receiver)
}

fn print_banner(config: &Config, address: SocketAddr, metrics: Option<SocketAddr>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "JormunDB {}", env!("CARGO_PKG_VERSION"))?;
    writeln!(out, "address      http://{address}")?;
    if let Some(metrics) = metrics {
        writeln!(out, "metrics      http://{metrics}/metrics")?;
    }
    writeln!(out, "data         {}", config.data_dir.display())?;
    writeln!(out, "durability   {}", config.durability_name())?;
    writeln!(
        out,
        "threads      event loops: {} with rings of {} entries, pool: {}",
        config.io_threads(),
        server::RING_ENTRIES,
        config.pool_threads()
    )?;
    writeln!(out, "Ready to accept connections")?;
    out.flush()
}

/// This program is compiled for x86-64-v3 with PCLMULQDQ, because RocksDB's checksums and the JSON decoder need it. An
/// older processor would stop it at some instruction without a word.
#[cfg(target_arch = "x86_64")]
fn check_processor() -> Result<(), String> {
    use std::arch::x86_64::{__cpuid, __cpuid_count};
    // Bits of leaf 1 in ECX, leaf 7 in EBX and leaf 0x8000_0001 in ECX. The standard library's own detection is of no
    // use: it answers yes to what the compiler was told to assume.
    const LEAF_1: &[(u32, &str)] =
        &[(1, "PCLMULQDQ"), (12, "FMA"), (20, "SSE4.2"), (22, "MOVBE"), (23, "POPCNT"), (28, "AVX"), (29, "F16C")];
    const LEAF_7: &[(u32, &str)] = &[(3, "BMI1"), (5, "AVX2"), (8, "BMI2")];
    const LEAF_EXTENDED: &[(u32, &str)] = &[(5, "LZCNT")];
    let rows = [(__cpuid(1).ecx, LEAF_1), (__cpuid_count(7, 0).ebx, LEAF_7), (__cpuid(0x8000_0001).ecx, LEAF_EXTENDED)];
    let missing: Vec<&str> = rows
        .iter()
        .flat_map(|&(bits, features)| features.iter().filter(move |(bit, _)| bits & (1 << bit) == 0))
        .map(|&(_, name)| name)
        .collect();
    match missing.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "this processor lacks {}, which this build needs (x86-64-v3 with PCLMULQDQ: Intel Haswell, AMD Zen and \
             later); build from source with other flags in .cargo/config.toml",
            missing.join(", ")
        )),
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn check_processor() -> Result<(), String> {
    Ok(())
}
