//! What a foreground load feels while an index is filled: an open loop, a window before the index is asked for, and one
//! until it is active.

use crate::beside::FOREGROUND_SHARE;
use crate::control_plane;
use crate::data_set::DataSet;
use crate::measure::{self, Outcome};
use crate::options::{Indexes, Tables};
use crate::process::Target;
use crate::row::Setting;
use crate::session::{Session, load, setting};
use crate::targets::{Finding, Limit};
use crate::workload::Workload;
use std::io;
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(20);

/// A back-fill that takes longer than this counts as failed.
const BACK_FILL_MAX: Duration = Duration::from_secs(900);

pub fn measure(session: &mut Session, tables: &Tables) -> io::Result<()> {
    let (target, first) = session.start_first(tables)?;
    let items = tables.items_of(first.items, first.item_bytes);
    let data = DataSet::new(target.address.to_string(), first.item_bytes, items, Some(0));
    load(&target, &data, false)?;
    session.report.table(&format!("{items} items, {} connections", first.connections));
    for workload in tables.workloads(Indexes(Some(0))) {
        let base = setting(&first.server, &first.durability, &data, first.connections);
        let closed = session.measure_closed(&target, &data, workload, base.clone())?;
        let setting = Setting { rate: Some((closed * FOREGROUND_SHARE).max(1.0)), ..base };
        let (mut ratios, mut rates, mut sums) = (Vec::new(), Vec::new(), None::<(Outcome, Outcome)>);
        for _ in 0..session.options.rounds {
            let (before, during) = one_round(session, &target, &data, workload, &setting)?;
            let p99 = |outcome: &Outcome| outcome.tally.latency().value_at_quantile(0.99) as f64;
            ratios.push(p99(&during) / p99(&before).max(1.0));
            rates.push(items as f64 / during.seconds);
            match &mut sums {
                Some(sums) => {
                    sums.0.merge(before);
                    sums.1.merge(during);
                }
                None => sums = Some((before, during)),
            }
        }
        if let Some((before, during)) = sums {
            let with = |note: &str| Setting { note: Some(note.to_owned()), ..setting.clone() };
            session.record(workload, with("before"), &before);
            session.record(workload, with("while an index is filled"), &during);
        }
        let name = format!("{}'s p99 while an index is filled / before", workload.title);
        session.report.finding(Finding::new(name, ratios, Limit::None));
        let name = format!("items filled into an index per second beside {}", workload.title);
        session.report.finding(Finding::new(name, rates, Limit::None));
    }
    control_plane::delete_tables(target.address, &data)
}

fn one_round(
    session: &Session,
    target: &Target,
    data: &DataSet,
    workload: &Workload,
    setting: &Setting,
) -> io::Result<(Outcome, Outcome)> {
    let shape = session.shape(setting.connections, setting.rate);
    let address = target.address;
    let outcomes = measure::direct(workload, data, target, shape, |director| {
        let before = director.window(shape.duration)?;
        let opened = director.open();
        let begun = Instant::now();
        control_plane::create_first_index(address, &data.table)?;
        while !control_plane::first_index_is_active(address, &data.table)? {
            if begun.elapsed() > BACK_FILL_MAX {
                return Err(io::Error::other("the index does not get filled"));
            }
            director.pass(POLL, &mut |_| {});
        }
        Ok((before, director.close(opened)?))
    })?;
    control_plane::delete_first_index(address, &data.table)?;
    target.settle();
    Ok(outcomes)
}
