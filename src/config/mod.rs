//! Flags and environment to a validated configuration.

pub mod hot_cache;

/// Access keys.
pub mod access;

/// Metrics and health.
mod observe;

pub use observe::{LogFormat, LogLevel, ObserveOptions};

/// Flags about a disk that is full or damaged.
mod disk;

use crate::command::Command;
use crate::config::access::AccessFlags;
use crate::storage::Durability;
use clap::Parser;
use std::fmt::Display;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// The account in every ARN: this server has one.
pub const ACCOUNT_ID: &str = "000000000000";

/// More loops or pool threads than this help on no machine.
const THREADS_MAX: usize = 1024;

/// A DynamoDB-compatible database server.
#[derive(Clone, Debug, Parser)]
#[command(name = "jormundb", version, about, max_term_width = 100)]
#[command(subcommand_help_heading = "Maintenance", disable_help_subcommand = true)]
pub struct Config {
    /// `None` serves.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// TCP port to listen on; 0 takes a free one and prints it
    #[arg(short, long, env = "JORMUN_PORT", default_value_t = 8002, value_parser = parse_port)]
    pub port: u16,

    /// Address or host name to listen on; 0.0.0.0 opens the server to the network
    #[arg(long, env = "JORMUN_HOST", default_value = "127.0.0.1", value_parser = parse_host)]
    pub host: IpAddr,

    /// Directory that holds all data; a server creates it if it is missing
    #[arg(short, long, env = "JORMUN_DATA_DIR", default_value = "./data", value_name = "DIR", global = true)]
    pub data_dir: PathBuf,

    /// Log every request with its operation, table, status and microseconds
    #[arg(short, long, env = "JORMUN_VERBOSE", value_parser = clap::builder::FalseyValueParser::new())]
    pub verbose: bool,

    /// Event loops, each a thread with its own io_uring [default: half the cores, rounded up]
    #[arg(long, env = "JORMUN_IO_THREADS", value_name = "COUNT", value_parser = parse_threads)]
    pub io_threads: Option<usize>,

    /// Threads for work that waits for the disk or takes long [default: twice the cores, at least 4]
    #[arg(long, env = "JORMUN_POOL_THREADS", value_name = "COUNT", value_parser = parse_threads)]
    pub pool_threads: Option<usize>,

    /// When a write is acknowledged: `sync` once it is on disk, `interval=<ms>` with the log synced that often, `os`
    /// once the operating system has it (survives a crash of the server, not a power cut)
    #[arg(long, env = "JORMUN_DURABILITY", value_name = "MODE", default_value = "sync",
          value_parser = parse_durability)]
    pub durability: Durability,

    #[command(flatten)]
    pub disk: disk::DiskFlags,

    /// Memory for data blocks read from disk, for example 256MB
    #[arg(long, env = "JORMUN_BLOCK_CACHE", value_name = "SIZE", default_value = "256MB",
          value_parser = parse_block_cache)]
    pub block_cache: Size,

    #[command(flatten)]
    pub hot_cache: hot_cache::HotCacheFlags,

    /// Memory that collects writes before they go to a table file; up to three such exist
    #[arg(long, env = "JORMUN_MEMTABLE", value_name = "SIZE", default_value = "64MB", value_parser = parse_memtable)]
    pub memtable: Size,

    /// Memory for the bodies and answers of requests in flight, beyond 4 KB of each; when it is used up, requests that
    /// need more get the retryable status 503
    #[arg(long, env = "JORMUN_REQUEST_MEMORY", value_name = "SIZE", default_value = "1GB",
          value_parser = parse_request_memory)]
    pub request_memory: Size,

    /// Connections open at the same time; beyond, clients get status 503
    #[arg(long, env = "JORMUN_MAX_CONNECTIONS", value_name = "COUNT", default_value_t = 20_000,
          value_parser = parse_connections)]
    pub max_connections: usize,

    /// Seconds after which a connection without a request is closed
    #[arg(long, env = "JORMUN_IDLE_TIMEOUT", value_name = "SECONDS", default_value_t = 300,
          value_parser = parse_idle_timeout)]
    pub idle_timeout: u32,

    /// Region that ARNs and the health answer name; with access keys, clients must sign for it
    #[arg(long, env = "JORMUN_REGION", default_value = "us-east-1", value_parser = parse_region)]
    pub region: String,

    #[command(flatten)]
    pub observe: ObserveOptions,

    #[command(flatten)]
    pub access: AccessFlags,
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub usize);

/// One request of the greatest size and what it is decoded into: 16 MiB and seven times as much.
const REQUEST_MEMORY_MIN: Size = Size(128 * MIB);

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;

impl Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            0 => f.write_str("0"),
            bytes if bytes % GIB == 0 => write!(f, "{}GB", bytes / GIB),
            bytes if bytes % MIB == 0 => write!(f, "{}MB", bytes / MIB),
            bytes if bytes % KIB == 0 => write!(f, "{}KB", bytes / KIB),
            bytes => write!(f, "{bytes}"),
        }
    }
}

impl Config {
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.host, self.port)
    }

    /// As the flag says it.
    pub fn durability_name(&self) -> String {
        match self.durability {
            Durability::Sync => "sync".to_owned(),
            Durability::Interval(interval) => format!("interval={}", interval.as_millis()),
            Durability::Os => "os".to_owned(),
        }
    }

    /// The other half of the cores is for the committer, flushes, compactions and the pool, and the kernel's network
    /// work. With as many loops as cores the threads displace each other, and each wake-up serves fewer requests
    /// (PERFORMANCE.md, "Tuning").
    pub fn io_threads(&self) -> usize {
        self.io_threads.unwrap_or_else(|| cores().div_ceil(2))
    }

    pub fn pool_threads(&self) -> usize {
        self.pool_threads.unwrap_or_else(|| (2 * cores()).max(4))
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn parse_host(text: &str) -> Result<IpAddr, String> {
    if let Ok(address) = text.trim_start_matches('[').trim_end_matches(']').parse() {
        return Ok(address);
    }
    let mut addresses =
        (text, 0).to_socket_addrs().map_err(|error| format!("neither an address nor a known host: {error}"))?;
    addresses.next().map(|address| address.ip()).ok_or_else(|| "the host has no address".into())
}

fn parse_port(text: &str) -> Result<u16, String> {
    parse_count(text, 0, u16::MAX)
}

fn parse_threads(text: &str) -> Result<usize, String> {
    parse_count(text, 1, THREADS_MAX)
}

fn parse_connections(text: &str) -> Result<usize, String> {
    parse_count(text, 1, 1_000_000)
}

fn parse_idle_timeout(text: &str) -> Result<u32, String> {
    parse_count(text, 1, 86_400)
}

fn parse_count<T: FromStr + PartialOrd + Display + Copy>(text: &str, min: T, max: T) -> Result<T, String> {
    match text.parse() {
        Ok(count) if (min..=max).contains(&count) => Ok(count),
        _ => Err(format!("a number from {min} to {max} is allowed")),
    }
}

fn parse_durability(text: &str) -> Result<Durability, String> {
    let interval = text.strip_prefix("interval=").map(|millis| millis.parse());
    match (text, interval) {
        ("sync", _) => Ok(Durability::Sync),
        ("os", _) => Ok(Durability::Os),
        (_, Some(Ok(millis @ 1..=60_000))) => Ok(Durability::Interval(Duration::from_millis(millis))),
        _ => Err("`sync`, `os` and `interval=<ms>` with 1 to 60000 milliseconds are allowed".into()),
    }
}

fn parse_block_cache(text: &str) -> Result<Size, String> {
    parse_size(text, Size(MIB), Size(1024 * GIB))
}

fn parse_memtable(text: &str) -> Result<Size, String> {
    parse_size(text, Size(MIB), Size(4 * GIB))
}

fn parse_request_memory(text: &str) -> Result<Size, String> {
    parse_size(text, REQUEST_MEMORY_MIN, Size(1024 * GIB))
}

/// `256MB`, `256MiB`, `256M` and `268435456` are one size: units are powers of 1024.
fn parse_size(text: &str, min: Size, max: Size) -> Result<Size, String> {
    let digits_end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(digits_end);
    let factor = match unit.trim().to_ascii_uppercase().as_str() {
        "" | "B" => Some(1),
        "K" | "KB" | "KIB" => Some(KIB),
        "M" | "MB" | "MIB" => Some(MIB),
        "G" | "GB" | "GIB" => Some(GIB),
        _ => None,
    };
    let size = digits.parse::<usize>().ok().zip(factor).and_then(|(count, factor)| count.checked_mul(factor)).map(Size);
    match size {
        Some(size) if (min..=max).contains(&size) => Ok(size),
        _ => Err(format!("a size from {min} to {max} is allowed, in bytes or with KB, MB or GB")),
    }
}

fn parse_region(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    match (1..=32).contains(&text.len()) && text.bytes().all(allowed) {
        true => Ok(text.to_owned()),
        false => Err("1 to 32 lower-case letters, digits and hyphens are allowed".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(flags: &str) -> Result<Config, String> {
        Config::try_parse_from(["jormundb"].into_iter().chain(flags.split_whitespace()))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_is_well_formed_and_every_flag_has_its_variable() {
        let command = Config::command();
        command.clone().debug_assert();
        for argument in
            command.get_arguments().filter(|argument| argument.get_id() != "help" && argument.get_id() != "version")
        {
            let expected = format!("JORMUN_{}", argument.get_id().as_str().to_uppercase());
            assert_eq!(argument.get_env().and_then(|name| name.to_str()), Some(expected.as_str()));
            assert!(argument.get_help().is_some(), "{expected}");
        }
    }

    #[test]
    fn defaults() {
        let config = parse("").expect("no flag is required");
        assert_eq!(config.address().to_string(), "127.0.0.1:8002");
        assert_eq!(config.data_dir, PathBuf::from("./data"));
        assert_eq!((config.durability, config.verbose), (Durability::Sync, false));
        assert_eq!((config.block_cache, config.memtable), (Size(256 << 20), Size(64 << 20)));
        assert_eq!(config.hot_cache.hot_cache, Size(128 << 20));
        assert_eq!(config.request_memory, Size(1 << 30));
        assert_eq!((config.max_connections, config.idle_timeout), (20_000, 300));
        assert_eq!((config.disk.disk_reserve, config.disk.recover_damaged_log), (Size(512 << 20), false));
        assert_eq!(config.region, "us-east-1");
        assert_eq!((config.observe.metrics_address, config.observe.slow_request_ms), (None, 1000));
        assert_eq!((config.observe.log_format, config.observe.log_level), (LogFormat::Text, LogLevel::Info));
        assert!(config.io_threads() >= 1 && config.pool_threads() >= 4);
    }

    #[test]
    fn all_flags() {
        let config = parse(
            "-p 0 --host ::1 -d /tmp/x -v --io-threads 3 --pool-threads 5 --durability interval=50 --block-cache 1GB \
             --hot-cache 0 --memtable 16M --max-connections 7 --idle-timeout 9 --region eu-west-1 \
             --metrics-address 127.0.0.1:0 --log-format json --log-level warn --slow-request-ms 0 --audit-log x \
             --disk-reserve 0 --recover-damaged-log",
        )
        .expect("good flags");
        assert_eq!(config.address().to_string(), "[::1]:0");
        assert_eq!((config.io_threads(), config.pool_threads()), (3, 5));
        assert_eq!(config.durability, Durability::Interval(Duration::from_millis(50)));
        assert_eq!(config.durability_name(), "interval=50");
        assert_eq!((config.block_cache, config.memtable), (Size(1 << 30), Size(16 << 20)));
        assert_eq!(config.hot_cache.hot_cache, Size(0));
        assert_eq!((config.max_connections, config.idle_timeout, config.verbose), (7, 9, true));
        assert_eq!(config.observe.metrics_address, Some(SocketAddr::from(([127, 0, 0, 1], 0))));
        assert_eq!((config.disk.disk_reserve, config.disk.recover_damaged_log), (Size(0), true));
        assert_eq!((config.observe.log_format, config.observe.log_level), (LogFormat::Json, LogLevel::Warn));
        assert_eq!((config.observe.slow_request_ms, config.observe.audit_log), (0, Some(PathBuf::from("x"))));
    }

    #[test]
    fn help_does_not_show_secrets() {
        let arguments = Config::command();
        let secret = arguments.get_arguments().find(|argument| argument.get_id() == "secret_access_key");
        assert!(secret.is_some_and(clap::Arg::is_hide_env_values_set));
        let config = parse("--access-key-id id --secret-access-key hidden").expect("good flags");
        assert!(!format!("{config:?}").contains("hidden"));
    }

    #[test]
    fn a_bad_value_names_the_flag_and_what_is_allowed() {
        let rows = [
            ("--port 65536", "--port", "from 0 to 65535"),
            ("--port x", "--port", "from 0 to 65535"),
            ("--host not..a..host", "--host", "neither an address nor a known host"),
            ("--io-threads 0", "--io-threads", "from 1 to 1024"),
            ("--pool-threads x", "--pool-threads", "from 1 to 1024"),
            ("--durability always", "--durability", "`sync`, `os` and `interval=<ms>`"),
            ("--durability interval=0", "--durability", "1 to 60000"),
            ("--block-cache 12XB", "--block-cache", "from 1MB to 1024GB"),
            ("--block-cache 1KB", "--block-cache", "from 1MB"),
            ("--hot-cache 1KB", "--hot-cache", "0 or a size from 1MB"),
            ("--disk-reserve 1KB", "--disk-reserve", "0 or a size from 1MB"),
            ("--memtable 99999999999999999999GB", "--memtable", "to 4GB"),
            ("--request-memory 1MB", "--request-memory", "from 128MB"),
            ("--max-connections 0", "--max-connections", "from 1 to 1000000"),
            ("--idle-timeout 0", "--idle-timeout", "from 1 to 86400"),
            ("--access-key-id x", "--secret-access-key", "required"),
            ("--secret-access-key x", "--access-key-id", "required"),
            ("--region US_EAST", "--region", "lower-case letters"),
            ("--metrics-address 9090", "--metrics-address", "HOST:PORT"),
            ("--log-format xml", "--log-format", "text, json"),
            ("--log-level loud", "--log-level", "error, warn, info, debug, trace"),
            ("--slow-request-ms x", "--slow-request-ms", "invalid"),
        ];
        for (flags, flag, allowed) in rows {
            let message = parse(flags).expect_err(flags);
            assert!(message.contains(flag) && message.contains(allowed), "{flags}: {message}");
        }
    }

    #[test]
    fn sizes() {
        let check = |text: &str, bytes: usize| {
            assert_eq!(parse_size(text, Size(0), Size(usize::MAX)), Ok(Size(bytes)), "{text}")
        };
        check("0", 0);
        check("1000", 1000);
        check("4k", 4096);
        check("4 KiB", 4096);
        check("256MB", 256 << 20);
        check("2g", 2 << 30);
        for size in [0, 1, 1024, 3 << 20, 5 << 30, 1500] {
            check(&Size(size).to_string(), size);
        }
    }
}
