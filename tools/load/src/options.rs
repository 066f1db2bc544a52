//! Flags to validated options.

use crate::section::{SECTIONS, SUITES, Section, Suite};
use crate::workload::{WORKLOADS, Workload};
use clap::{Args, Parser};
use std::path::PathBuf;

/// Measures a DynamoDB-compatible server: throughput, latency, CPU time per operation.
///
/// Without --suite and --section, the flags under "Tables" say what is measured. Lists (separated by commas) are
/// combined: each durability gets a fresh server, each item size and number of indexes fresh tables, and on them every
/// workload runs with every number of connections.
#[derive(Clone, Debug, Parser)]
#[command(name = "jormundb-load", version, max_term_width = 100)]
pub struct Options {
    /// JormunDB's binary: started on a fresh directory and a free port
    #[arg(long, value_name = "PATH", required_unless_present_any = ["endpoint", "redis", "answer"])]
    pub server: Option<PathBuf>,

    /// Measure a server that runs already, for example 127.0.0.1:8002; the tables made there are removed again
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "server")]
    pub endpoint: Option<String>,

    /// Process id of the server at the endpoint, for its CPU time
    #[arg(long, requires = "endpoint")]
    pub pid: Option<u32>,

    /// Where the data directories are made; sync means little on a file system in memory
    #[arg(long, value_name = "DIR", default_value_os_t = std::env::temp_dir())]
    pub dir: PathBuf,

    /// Write results.md, results.json and the plots to this directory
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Run a sequence of sections (a wrong name lists them)
    #[arg(long, value_parser = parse_suite)]
    pub suite: Option<&'static Suite>,

    /// Run these sections (a wrong name lists them)
    #[arg(long, value_delimiter = ',', value_parser = parse_section, conflicts_with = "suite")]
    pub section: Vec<&'static Section>,

    /// Soak instead: a mixed load on a bounded set of keys for so long, with a sample every --sample seconds
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds, conflicts_with_all = ["suite", "section"])]
    pub soak: Option<f64>,

    /// Seconds between the samples of a soak
    #[arg(long, default_value_t = 10.0, value_parser = parse_seconds)]
    pub sample: f64,

    /// Seconds that each workload is measured
    #[arg(short, long, default_value_t = 3.0, value_parser = parse_seconds)]
    pub seconds: f64,

    /// Seconds before that
    #[arg(long, default_value_t = 0.5, value_parser = parse_seconds)]
    pub warm_up: f64,

    /// Repetitions where two things are measured in turns
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub rounds: u32,

    /// Threads of the generator
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub threads: u32,

    /// Do not measure the generator's own ceiling
    #[arg(long)]
    pub no_ceiling: bool,

    #[command(flatten)]
    pub tables: Tables,

    #[command(flatten)]
    pub peers: Peers,

    /// Be the fixed-answer server, with bodies of this many bytes
    #[arg(long, value_name = "BYTES", hide = true)]
    pub answer: Option<usize>,
}

/// What is measured, on which data.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Tables")]
pub struct Tables {
    /// Workloads: `all`, or names (a wrong one lists them)
    #[arg(short, long, value_delimiter = ',', default_value = "all", value_parser = parse_workload)]
    pub workload: Vec<Choice>,

    /// Durability modes of the server
    #[arg(long, value_name = "MODES", value_delimiter = ',', default_value = "sync")]
    pub durability: Vec<String>,

    /// One more argument for the server; may be repeated: --server-arg=--io-threads=1
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    pub server_arg: Vec<String>,

    /// Connections
    #[arg(short, long, value_delimiter = ',', default_value = "64",
          value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub connections: Vec<u32>,

    /// Items to load
    #[arg(short, long, value_delimiter = ',', default_value = "100000",
          value_parser = clap::value_parser!(u64).range(100..=1_000_000_000))]
    pub items: Vec<u64>,

    /// Size of an item by DynamoDB's rule; fewer items are loaded when all would take more than --data-max
    #[arg(long, value_name = "BYTES", value_delimiter = ',', default_value = "400",
          value_parser = clap::value_parser!(u32).range(64..=409_600))]
    pub item_bytes: Vec<u32>,

    /// Bytes of data to load at most
    #[arg(long, value_name = "BYTES", default_value_t = 8 << 30)]
    pub data_max: u64,

    /// Global indexes of the table: `none`, or so many of them on items with five attributes to index
    #[arg(long, value_name = "COUNTS", value_delimiter = ',', default_value = "none", value_parser = parse_indexes)]
    pub indexes: Vec<Indexes>,

    /// Repeat each workload in an open loop at these rates: requests per second, or percent of the rate that the closed
    /// loop has just reached
    #[arg(short, long, value_delimiter = ',', value_parser = parse_rate)]
    pub rate: Vec<Rate>,
}

/// Other servers, measured in turns with JormunDB in the section `peers`; `tools/peers.sh flags` prints those that are
/// installed.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Peers")]
pub struct Peers {
    /// redis-server's binary
    #[arg(long, value_name = "PATH")]
    pub redis: Option<PathBuf>,

    /// Node.js and dynalite's cli.js
    #[arg(long, value_name = "NODE,SCRIPT", value_delimiter = ',')]
    pub dynalite: Vec<PathBuf>,

    /// moto_server's script
    #[arg(long, value_name = "PATH")]
    pub moto: Option<PathBuf>,

    /// dynoxide's binary
    #[arg(long, value_name = "PATH")]
    pub dynoxide: Option<PathBuf>,
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

/// Global indexes; `None`: the items have no attributes for them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Indexes(pub Option<u32>);

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    PerSecond(f64),
    Percent(f64),
}

impl Tables {
    /// The tables that these flags describe.
    pub fn parse(flags: &str) -> Result<Tables, clap::Error> {
        #[derive(Parser)]
        #[command(no_binary_name = true)]
        struct Line {
            #[command(flatten)]
            tables: Tables,
        }
        Line::try_parse_from(flags.split_ascii_whitespace()).map(|line| line.tables)
    }

    /// Those that can run on tables with so many indexes.
    pub fn workloads(&self, indexes: Indexes) -> Vec<&'static Workload> {
        let chosen = self.workload.iter().flat_map(|choice| match choice {
            Choice::All => WORKLOADS.iter().collect(),
            Choice::One(workload) => vec![*workload],
        });
        let has_index = indexes.0.is_some_and(|count| count > 0);
        chosen.filter(|workload| has_index || !workload.reads_index()).collect()
    }

    pub fn items_of(&self, items: u64, item_bytes: u32) -> u64 {
        items.min(self.data_max / u64::from(item_bytes)).max(100)
    }
}

fn parse_workload(text: &str) -> Result<Choice, String> {
    let names = || WORKLOADS.iter().map(|workload| workload.name).collect::<Vec<_>>().join(", ");
    match text {
        "all" => Ok(Choice::All),
        _ => Workload::find(text).map(Choice::One).ok_or_else(|| format!("there are: all, {}", names())),
    }
}

fn parse_suite(text: &str) -> Result<&'static Suite, String> {
    let names = || SUITES.iter().map(|suite| suite.name).collect::<Vec<_>>().join(", ");
    SUITES.iter().find(|suite| suite.name == text).ok_or_else(|| format!("there are: {}", names()))
}

fn parse_section(text: &str) -> Result<&'static Section, String> {
    let names = || SECTIONS.iter().map(|section| section.name).collect::<Vec<_>>().join(", ");
    Section::find(text).ok_or_else(|| format!("there are: {}", names()))
}

fn parse_indexes(text: &str) -> Result<Indexes, String> {
    match text.parse() {
        _ if text == "none" => Ok(Indexes(None)),
        Ok(count) if count <= crate::data_set::INDEXED_ATTRIBUTES => Ok(Indexes(Some(count))),
        _ => Err(format!("none, or a number up to {}", crate::data_set::INDEXED_ATTRIBUTES)),
    }
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.0..=604_800.0).contains(&seconds) => Ok(seconds),
        _ => Err("seconds, at most a week".into()),
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
        let names: Vec<_> = options.tables.workloads(Indexes(None)).iter().map(|workload| workload.name).collect();
        assert_eq!(names, ["get", "put"]);
        assert_eq!(options.tables.connections, [1, 64]);
        assert_eq!(options.tables.rate, [Rate::Percent(50.0), Rate::PerSecond(2000.0)]);
        let tables = Tables::parse("--item-bytes 400,409600 --data-max 4096000 --indexes none,0,5").unwrap();
        let items = tables.item_bytes.iter().map(|&bytes| tables.items_of(100_000, bytes));
        assert_eq!(items.collect::<Vec<_>>(), [10_240, 100]);
        assert_eq!(tables.indexes, [Indexes(None), Indexes(Some(0)), Indexes(Some(5))]);
    }

    #[test]
    fn an_index_is_queried_only_where_there_is_one() {
        let tables = Tables::parse("-w put,query-index-10").unwrap();
        for (indexes, count) in [(Indexes(None), 1), (Indexes(Some(0)), 1), (Indexes(Some(1)), 2)] {
            assert_eq!(tables.workloads(indexes).len(), count, "{indexes:?}");
        }
    }
}
