//! Flags of what one can see of a running server.

use clap::{Args, ValueEnum};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use tracing_subscriber::filter::LevelFilter;

#[derive(Clone, Debug, Args)]
pub struct ObserveOptions {
    /// Address for /metrics (Prometheus), /healthz and /readyz; port 0 takes a free one and prints it [default: none]
    #[arg(long, env = "JORMUN_METRICS_ADDRESS", value_name = "HOST:PORT", value_parser = parse_address)]
    pub metrics_address: Option<SocketAddr>,

    /// Log lines for people, or one JSON object a line; both on the standard error
    #[arg(long, env = "JORMUN_LOG_FORMAT", value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    /// The least important lines that are logged
    #[arg(long, env = "JORMUN_LOG_LEVEL", value_name = "LEVEL", value_enum, default_value_t = LogLevel::Info)]
    pub log_level: LogLevel,

    // A page is at most 1 MB and a commit takes milliseconds, so no request of a healthy server takes a second: with
    // this default a line means that something is wrong.
    /// Log requests that take this many milliseconds or longer, with where their time went; 0: none
    #[arg(long, env = "JORMUN_SLOW_REQUEST_MS", value_name = "MILLISECONDS", default_value_t = 1000)]
    pub slow_request_ms: u32,

    /// File that gets one JSON line for each write, with its keys; opened anew on SIGHUP [default: none]
    #[arg(long, env = "JORMUN_AUDIT_LOG", value_name = "FILE")]
    pub audit_log: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    pub fn filter(self) -> LevelFilter {
        match self {
            LogLevel::Error => LevelFilter::ERROR,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Debug => LevelFilter::DEBUG,
            LogLevel::Trace => LevelFilter::TRACE,
        }
    }
}

fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let mut addresses = text.to_socket_addrs().map_err(|error| format!("HOST:PORT is wanted: {error}"))?;
    addresses.next().ok_or_else(|| "the host has no address".into())
}
