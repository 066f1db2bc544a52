//! Flags to validated options.

use crate::workload::{WORKLOADS, Workload};
use clap::Parser;
use std::path::PathBuf;

/// Measures a DynamoDB-compatible server: throughput, latency, CPU time per operation.
///
/// Lists (separated by commas) are combined: each durability gets a fresh server, each item size fresh tables, and on
/// them every workload runs with every number of connections.
#[derive(Clone, Debug, Parser)]
#[command(name = "jormundb-load", version, max_term_width = 100)]
pub struct Options {
    /// JormunDB's binary: started on a fresh directory and a free port
    #[arg(long, value_name = "PATH", required_unless_present_any = ["endpoint", "redis", "answer"])]
    pub server: Option<PathBuf>,

    /// One more argument for the server; may be repeated: --server-arg=--io-threads=1
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    pub server_arg: Vec<String>,

    /// Measure a server that runs already, for example 127.0.0.1:8002; the tables made there are removed again
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "server")]
    pub endpoint: Option<String>,

    /// Process id of the server at the endpoint, for its CPU time
    #[arg(long, requires = "endpoint")]
    pub pid: Option<u32>,

    /// redis-server's binary: measured beside, with GET and SET of the same size
    #[arg(long, value_name = "PATH")]
    pub redis: Option<PathBuf>,

    /// Where the data directories are made; sync means little on a file system in memory
    #[arg(long, value_name = "DIR", default_value_os_t = std::env::temp_dir())]
    pub dir: PathBuf,

    /// Workloads: `all`, or names (a wrong one lists them)
    #[arg(short, long, value_delimiter = ',', default_value = "all", value_parser = parse_workload)]
    pub workload: Vec<Choice>,

    /// Durability modes of the server
    #[arg(long, value_name = "MODES", value_delimiter = ',', default_value = "sync")]
    pub durability: Vec<String>,

    /// Connections
    #[arg(short, long, value_delimiter = ',', default_value = "64",
          value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub connections: Vec<u32>,

    /// Threads of the generator
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub threads: u32,

    /// Items to load
    #[arg(short, long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(100..=1_000_000_000))]
    pub items: u64,

    /// Size of an item by DynamoDB's rule; fewer items are loaded when all would take more than --data-max
    #[arg(long, value_name = "BYTES", value_delimiter = ',', default_value = "400",
          value_parser = clap::value_parser!(u32).range(64..=409_600))]
    pub item_bytes: Vec<u32>,

    /// Bytes of data to load at most
    #[arg(long, value_name = "BYTES", default_value_t = 4 << 30)]
    pub data_max: u64,

    /// Seconds that each workload is measured
    #[arg(short, long, default_value_t = 3.0, value_parser = parse_seconds)]
    pub seconds: f64,

    /// Seconds before that
    #[arg(long, default_value_t = 0.5, value_parser = parse_seconds)]
    pub warm_up: f64,

    /// Repeat each workload in an open loop at these rates: requests per second, or percent of the rate that the closed
    /// loop has just reached
    #[arg(short, long, value_delimiter = ',', value_parser = parse_rate)]
    pub rate: Vec<Rate>,

    /// Do not measure the generator's own ceiling
    #[arg(long)]
    pub no_ceiling: bool,

    /// Write all results to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Be the fixed-answer server, with bodies of this many bytes
    #[arg(long, value_name = "BYTES", hide = true)]
    pub answer: Option<usize>,
}

/// What a word among the workloads stands for.
#[derive(Clone, Copy)]
pub enum Choice {
    All,
    One(&'static Workload),
}

impl std::fmt::Debug for Choice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Choice::All => "all",
            Choice::One(workload) => workload.name,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    PerSecond(f64),
    Percent(f64),
}

impl Options {
    pub fn workloads(&self) -> Vec<&'static Workload> {
        let chosen = self.workload.iter().flat_map(|choice| match choice {
            Choice::All => WORKLOADS.iter().collect(),
            Choice::One(workload) => vec![*workload],
        });
        chosen.collect()
    }

    pub fn items_of(&self, item_bytes: u32) -> u64 {
        self.items.min(self.data_max / u64::from(item_bytes)).max(100)
    }
}

fn parse_workload(text: &str) -> Result<Choice, String> {
    let names = || WORKLOADS.iter().map(|workload| workload.name).collect::<Vec<_>>().join(", ");
    match text {
        "all" => Ok(Choice::All),
        _ => Workload::find(text).map(Choice::One).ok_or_else(|| format!("there are: all, {}", names())),
    }
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.0..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("seconds, at most a day".into()),
    }
}

fn parse_rate(text: &str) -> Result<Rate, String> {
    let (digits, rate): (_, fn(f64) -> Rate) = match text.strip_suffix('%') {
        Some(digits) => (digits, Rate::Percent),
        None => (text, Rate::PerSecond),
    };
    match digits.parse() {
        Ok(value) if (0.001..=1e9).contains(&value) => Ok(rate(value)),
        _ => Err("requests per second, or a percentage".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn flags_are_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn lists_are_split() {
        let options = Options::parse_from(["load", "--server=s", "-w", "get,put", "-c", "1,64", "-r", "50%,2000"]);
        assert_eq!(options.workloads().iter().map(|workload| workload.name).collect::<Vec<_>>(), ["get", "put"]);
        assert_eq!(options.connections, [1, 64]);
        assert_eq!(options.rate, [Rate::Percent(50.0), Rate::PerSecond(2000.0)]);
        let options =
            Options::parse_from(["load", "--server=s", "--item-bytes", "400,409600", "--data-max", "4096000"]);
        assert_eq!(options.item_bytes.iter().map(|&bytes| options.items_of(bytes)).collect::<Vec<_>>(), [10_240, 100]);
    }
}
