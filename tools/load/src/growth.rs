//! Does a GetItem get dearer when the table grows? A hot set of fixed size is read, uniformly, while the table around
//! it grows by orders of magnitude. Keys are hashed on disk, so the hot items lie scattered among the others.

use crate::control_plane;
use crate::data_set::DataSet;
use crate::measure::{self, Outcome};
use crate::options::Tables;
use crate::report::thousands;
use crate::session::{Session, load_items, setting};
use crate::targets::{Finding, Limit};
use crate::workload::Workload;
use std::io;

/// Windows at one size; the smallest CPU time counts, since what disturbs a run only ever adds.
const WINDOWS: u32 = 3;

pub fn measure(session: &mut Session, tables: &Tables) -> io::Result<()> {
    let (target, first) = session.start_first(tables)?;
    let get = Workload::find("get").ok_or_else(|| io::Error::other("no workload get"))?;
    let sizes: Vec<_> = tables.items.iter().map(|&items| tables.items_of(items, first.item_bytes)).collect();
    let mut data = DataSet::new(target.address.to_string(), first.item_bytes, sizes[0], None);
    control_plane::delete_tables(target.address, &data)?;
    control_plane::create_tables(target.address, &data)?;
    session.report.table(&format!("{} hot items, {} connections", data.hot_items, first.connections));
    let mut cpu = Vec::new();
    for (index, &items) in sizes.iter().enumerate() {
        if index > 0 {
            data.grow(items);
        }
        load_items(&target, &data)?;
        target.settle();
        let shape = session.shape(first.connections, None);
        let (outcome, least) = measure::direct(get, &data, &target, shape, |director| {
            let mut sum = director.window(shape.duration)?;
            let mut least = cpu_us(&sum);
            for _ in 1..WINDOWS {
                let outcome = director.window(shape.duration)?;
                least = least.min(cpu_us(&outcome));
                sum.merge(outcome);
            }
            Ok((sum, least))
        })?;
        let mut setting = setting(&first.server, &first.durability, &data, first.connections);
        setting.note = Some(format!("{} items", thousands(items as f64)));
        session.record(get, setting, &outcome);
        cpu.push(least);
    }
    control_plane::delete_tables(target.address, &data)?;
    if let (&[smallest, .., largest], Some(items)) = (cpu.as_slice(), sizes.last())
        && largest.is_finite()
    {
        let name = format!("GetItem of a hot set, CPU at {items} items / at {}", sizes[0]);
        session.report.finding(Finding::new(name, vec![largest / smallest], Limit::AtMost(1.5)));
    }
    Ok(())
}

/// Of the server, per request.
fn cpu_us(outcome: &Outcome) -> f64 {
    outcome.server_cpu.map_or(f64::INFINITY, |cpu| cpu.as_secs_f64() * 1e6 / outcome.tally.requests().max(1) as f64)
}
