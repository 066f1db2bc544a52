//! What other connections feel of a heavy one: GetItem in an open loop at a quarter of its maximum rate, alone and
//! beside a closed loop of something heavy, in turns, so that both see the same machine.

use crate::control_plane;
use crate::data_set::DataSet;
use crate::measure::{self, Director, Outcome, Shape};
use crate::options::{Indexes, Tables};
use crate::process::Target;
use crate::row::Setting;
use crate::session::{Session, load, setting};
use crate::targets::{Finding, Limit};
use crate::workload::Workload;
use std::io;
use std::thread;
use std::time::Duration;

/// Connections of what is heavy.
const HEAVY_CONNECTIONS: usize = 4;

/// The foreground's part of the rate that it reaches alone.
pub const FOREGROUND_SHARE: f64 = 0.25;

/// After heavy work has ended, so that the last of it is answered.
const REST: Duration = Duration::from_millis(500);

/// Heavy work begins so long before it is measured.
const LEAD: Duration = Duration::from_millis(300);

pub fn measure(session: &mut Session, tables: &Tables) -> io::Result<()> {
    let (target, first) = session.start_first(tables)?;
    let data = DataSet::new(target.address.to_string(), first.item_bytes, first.items, None);
    load(&target, &data, false)?;
    let get = Workload::find("get").ok_or_else(|| io::Error::other("no workload get"))?;
    session.report.table(&format!("{} connections, heavy work on {HEAVY_CONNECTIONS} more", first.connections));
    let base = setting(&first.server, &first.durability, &data, first.connections);
    let closed = session.measure_closed(&target, &data, get, base.clone())?;
    let setting = Setting { rate: Some((closed * FOREGROUND_SHARE).max(1.0)), ..base };
    for heavy in tables.workloads(Indexes(None)) {
        let pair = in_turns(session, (&target, &data), get, heavy, &setting)?;
        record(session, get, heavy, setting.clone(), pair);
    }
    control_plane::delete_tables(target.address, &data)
}

/// What the foreground sees alone, what it sees beside, and for each round the ratio of the 99th percentiles.
struct Pair {
    alone: Outcome,
    beside: Outcome,
    heavy: Outcome,
    ratios: Vec<f64>,
}

fn in_turns(
    session: &Session,
    (target, data): (&Target, &DataSet),
    get: &Workload,
    heavy: &Workload,
    setting: &Setting,
) -> io::Result<Pair> {
    let shape = session.shape(setting.connections, setting.rate);
    let rounds = session.options.rounds;
    measure::direct(get, data, target, shape, |director| {
        let mut pair: Option<Pair> = None;
        for _ in 0..rounds {
            director.pass(REST, &mut |_| {});
            let alone = director.window(shape.duration)?;
            let (beside, heavy) = beside_heavy(director, (target, data), heavy, shape)?;
            let p99 = |outcome: &Outcome| outcome.tally.latency().value_at_quantile(0.99) as f64;
            let ratio = p99(&beside) / p99(&alone).max(1.0);
            match &mut pair {
                Some(pair) => {
                    pair.alone.merge(alone);
                    pair.beside.merge(beside);
                    pair.heavy.merge(heavy);
                    pair.ratios.push(ratio);
                }
                None => pair = Some(Pair { alone, beside, heavy, ratios: vec![ratio] }),
            }
        }
        pair.ok_or_else(|| io::Error::other("no rounds"))
    })
}

/// A window of the foreground in the middle of a run of the heavy workload.
fn beside_heavy(
    director: &mut Director,
    (target, data): (&Target, &DataSet),
    heavy: &Workload,
    foreground: Shape,
) -> io::Result<(Outcome, Outcome)> {
    let shape =
        Shape { connections: HEAVY_CONNECTIONS, threads: 1, warm_up: LEAD, duration: foreground.duration, rate: None };
    thread::scope(|scope| {
        let running = scope.spawn(|| measure::run(heavy, data, target, shape));
        director.pass(LEAD, &mut |_| {});
        let beside = director.window(foreground.duration)?;
        let heavy = running.join().map_err(|_| io::Error::other("a thread of the generator panicked"))??;
        Ok((beside, heavy))
    })
}

fn record(session: &mut Session, get: &Workload, heavy: &Workload, setting: Setting, pair: Pair) {
    let with = |note: String| Setting { note: Some(note), ..setting.clone() };
    session.record(get, with(format!("alone before {}", heavy.title)), &pair.alone);
    session.record(get, with(format!("beside {}", heavy.title)), &pair.beside);
    let name = format!("beside GetItem at {:.0}/s", setting.rate.unwrap_or(0.0));
    let alongside = Setting { connections: HEAVY_CONNECTIONS as u32, rate: None, ..with(name) };
    session.record(heavy, alongside, &pair.heavy);
    let name = format!("GetItem's p99 beside {} / alone", heavy.title);
    session.report.finding(Finding::new(name, pair.ratios, Limit::None));
}
