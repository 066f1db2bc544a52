//! Other servers beside this one: all are started, loaded with the same items, and measured in turns, round after
//! round, so that a ratio compares neighbours in time. A server that is not measured at the moment is idle.

use crate::control_plane;
use crate::data_set::DataSet;
use crate::measure::{self, Outcome};
use crate::options::Tables;
use crate::process::Target;
use crate::session::{Session, load, setting};
use crate::targets::{Finding, Limit, figure, median};
use crate::workload::{REDIS_GET, REDIS_LOAD, REDIS_SET, Workload};
use std::io;

/// JormunDB's two contenders.
const OS: &str = "JormunDB os";
const SYNC: &str = "JormunDB sync";

/// A server in the race, what it runs, and what that has shown.
struct Contender {
    name: &'static str,
    durability: &'static str,
    target: Target,
    data: DataSet,
    entries: Vec<Entry>,
}

struct Entry {
    workload: &'static Workload,
    outcome: Option<Outcome>,
    /// By round.
    requests_per_second: Vec<f64>,
    cpu_us: Vec<f64>,
}

/// Whom to compare with whom: the peer and its workload, JormunDB's contender and its workload, the targets.
struct Comparison {
    peer: &'static str,
    theirs: &'static str,
    ours: &'static str,
    workload: &'static str,
    /// JormunDB's requests per second over the peer's.
    throughput: Limit,
    /// JormunDB's CPU per request over the peer's.
    cpu: Limit,
}

const fn compare(peer: &'static str, theirs: &'static str, ours: &'static str, workload: &'static str) -> Comparison {
    Comparison { peer, theirs, ours, workload, throughput: Limit::None, cpu: Limit::None }
}

const COMPARISONS: &[Comparison] = &[
    Comparison { cpu: Limit::AtMost(1.35), ..compare(OS, "health", OS, "get") },
    Comparison { cpu: Limit::AtMost(2.2), ..compare(OS, "health", OS, "put") },
    Comparison { cpu: Limit::AtMost(2.8), ..compare(OS, "health", SYNC, "put") },
    Comparison { cpu: Limit::AtMost(1.0), ..compare("Redis", "redis-get", OS, "get") },
    compare("Redis", "redis-set", OS, "put"),
    Comparison { throughput: Limit::AtLeast(3.0), ..compare("Redis always", "redis-set", SYNC, "put") },
    Comparison { cpu: Limit::AtMost(0.2), ..compare("dynalite", "get", OS, "get") },
    Comparison { cpu: Limit::AtMost(0.2), ..compare("dynalite", "put", OS, "put") },
    compare("dynalite", "query-10", OS, "query-10"),
    compare("moto", "get", OS, "get"),
    compare("moto", "put", OS, "put"),
    compare("moto", "query-10", OS, "query-10"),
    compare("dynoxide", "get", SYNC, "get"),
    compare("dynoxide", "put", SYNC, "put"),
    compare("dynoxide", "query-10", OS, "query-10"),
];

pub fn measure(session: &mut Session, tables: &Tables) -> io::Result<()> {
    let mut contenders = start(session, tables)?;
    let shape = session.shape(tables.connections[0], None);
    for round in 1..=session.options.rounds {
        eprintln!("round {round}");
        contenders.retain_mut(|contender| match contender.run_round(shape) {
            Ok(()) => true,
            Err(error) => {
                eprintln!("{} is left out: {error}", contender.name);
                false
            }
        });
    }
    let connections = tables.connections[0];
    for contender in &contenders {
        let (name, durability, rounds) = (contender.name, contender.durability, session.options.rounds);
        session.report.table(&format!("{name}: {durability}, {connections} connections, {rounds} rounds"));
        for entry in &contender.entries {
            let Some(outcome) = &entry.outcome else { continue };
            // The first word: the others say the durability, which is shown beside.
            let server = name.split(' ').next().unwrap_or(name);
            let setting = setting(server, durability, &contender.data, connections);
            session.record(entry.workload, setting, outcome);
        }
    }
    compare_all(session, &contenders);
    for contender in contenders.iter().filter(|contender| !contender.name.starts_with("Redis")) {
        control_plane::delete_tables(contender.target.address, &contender.data)?;
    }
    Ok(())
}

/// All servers that the flags name, with their data.
fn start(session: &Session, tables: &Tables) -> io::Result<Vec<Contender>> {
    let (peers, base) = (&session.options.peers, session.options.dir.as_path());
    let document = ["get", "put", "query-10"].as_slice();
    let mut contenders = Vec::new();
    let mut add = |name, durability, target: io::Result<Target>, workloads: &[&str]| {
        let contender = target.and_then(|target| Contender::load(name, durability, target, tables, workloads));
        match contender {
            Ok(contender) => contenders.push(contender),
            Err(error) => eprintln!("{name} is left out: {error}"),
        }
    };
    let arguments = tables.server_arg.as_slice();
    add(OS, "os", session.start_jormundb(arguments, "os"), &["health", "get", "put", "query-10"]);
    add(SYNC, "sync", session.start_jormundb(arguments, "sync"), &["get", "put"]);
    if let Some(program) = &peers.redis {
        add("Redis", "memory only", Target::redis(program, base, None), &["redis-get", "redis-set"]);
        add("Redis always", "appendfsync always", Target::redis(program, base, Some("always")), &["redis-set"]);
    }
    if let [node, script] = peers.dynalite.as_slice() {
        add("dynalite", "LevelDB, not synced", Target::dynalite(node, script, base), document);
    }
    if let Some(program) = &peers.moto {
        add("moto", "memory only", Target::moto(program, base), document);
    }
    if let Some(program) = &peers.dynoxide {
        add("dynoxide", "SQLite, synced", Target::dynoxide(program, base), document);
    }
    match contenders.first().is_some_and(|contender| contender.name == OS) {
        true => Ok(contenders),
        false => Err(io::Error::other("JormunDB itself did not start: --server")),
    }
}

impl Contender {
    fn load(
        name: &'static str,
        durability: &'static str,
        target: Target,
        tables: &Tables,
        workloads: &[&str],
    ) -> io::Result<Contender> {
        let items = tables.items_of(tables.items[0], tables.item_bytes[0]);
        let data = DataSet::new(target.address.to_string(), tables.item_bytes[0], items, None);
        eprintln!("{name}: {durability}");
        if name.starts_with("Redis") {
            measure::load(&REDIS_LOAD, &data, &target, data.items, "loading keys")?;
        } else {
            load(&target, &data, workloads.contains(&"query-10"))?;
        }
        let entry = |workload| Entry { workload, outcome: None, requests_per_second: Vec::new(), cpu_us: Vec::new() };
        let entries = workloads.iter().filter_map(|name| find(name)).map(entry).collect();
        Ok(Contender { name, durability, target, data, entries })
    }

    fn run_round(&mut self, shape: measure::Shape) -> io::Result<()> {
        for entry in &mut self.entries {
            let outcome = measure::run(entry.workload, &self.data, &self.target, shape)?;
            let requests = outcome.tally.requests() as f64;
            entry.requests_per_second.push(requests / outcome.seconds);
            entry.cpu_us.extend(outcome.server_cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / requests.max(1.0)));
            match &mut entry.outcome {
                Some(sum) => sum.merge(outcome),
                None => entry.outcome = Some(outcome),
            }
        }
        Ok(())
    }
}

fn find(name: &str) -> Option<&'static Workload> {
    [&REDIS_GET, &REDIS_SET].into_iter().find(|workload| workload.name == name).or_else(|| Workload::find(name))
}

fn compare_all(session: &mut Session, contenders: &[Contender]) {
    let entry = |name: &str, workload: &str| {
        let contender = contenders.iter().find(|contender| contender.name == name)?;
        contender.entries.iter().find(|entry| entry.workload.name == workload)
    };
    session
        .report
        .say("\nJormunDB over the other, median of the rounds: above 1 it has more throughput, or takes more CPU.\n");
    session.report.say("| JormunDB | the other | throughput | CPU per request |\n|---|---|---:|---:|");
    for comparison in COMPARISONS {
        let ours = entry(comparison.ours, comparison.workload);
        let (Some(ours), Some(theirs)) = (ours, entry(comparison.peer, comparison.theirs)) else { continue };
        let throughput = ratios(&ours.requests_per_second, &theirs.requests_per_second);
        let cpu = ratios(&ours.cpu_us, &theirs.cpu_us);
        let left = format!("{}: {}", comparison.ours, ours.workload.title);
        let right = format!("{}: {}", comparison.peer, theirs.workload.title);
        let shown = |values: &[f64]| median(values).map_or_else(String::new, figure);
        session.report.say(&format!("| {left} | {right} | {} | {} |", shown(&throughput), shown(&cpu)));
        for (what, values, limit) in [("throughput", throughput, comparison.throughput), ("CPU", cpu, comparison.cpu)] {
            if limit != Limit::None {
                session.report.finding(Finding::new(format!("{left} / {right}, {what}"), values, limit));
            }
        }
    }
}

/// Round by round.
fn ratios(ours: &[f64], theirs: &[f64]) -> Vec<f64> {
    ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparisons_name_workloads() {
        for comparison in COMPARISONS {
            assert!(find(comparison.workload).is_some() && find(comparison.theirs).is_some(), "{}", comparison.peer);
        }
    }
}
