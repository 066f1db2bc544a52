//! Does a GetItem get dearer when the table grows? A hot set of fixed size is read, uniformly, while the table around
//! it grows by orders of magnitude. Keys are hashed on disk, so the hot items lie scattered among the others.

use crate::control_plane;
use crate::data_set::DataSet;
use crate::options::Tables;
use crate::report::thousands;
use crate::session::{Session, load_items, setting};
use crate::targets::{Finding, Limit};
use crate::workload::Workload;
use std::io;

/// Rows of one size; the smallest CPU time counts, since what disturbs a run only ever adds.
const RUNS: u32 = 3;

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
        let mut least = f64::INFINITY;
        for _ in 0..RUNS {
            let mut setting = setting(&first.server, &first.durability, &data, first.connections);
            setting.note = Some(format!("{} items", thousands(items as f64)));
            let row = session.measure_once(&target, &data, get, setting)?;
            least = least.min(row.server_cpu_us.unwrap_or(f64::INFINITY));
        }
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
