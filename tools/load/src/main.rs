//! A load generator for servers that speak the DynamoDB API.
//!
//! ```text
//! options -> process (start the server) -> control_plane (tables) -> measure::load -> measure::run ... -> report
//!                                                                                        |
//!                                    threads: client <- workload <- keys, template       |
//!                                             client -> framing -> tally  ---------------+
//! ```
//!
//! Latency is measured from the moment a request was due to the arrival of its whole answer; every answer is checked.
//! The generator's own ceiling is measured against an answerer that does nothing else, and its CPU time is a column of
//! each table: where that is not small beside the server's, the throughput says as much about the generator.

mod answerer;
mod client;
mod control_plane;
mod framing;
mod keys;
mod measure;
mod options;
mod process;
mod report;
mod tally;
mod template;
mod workload;

use clap::Parser;
use measure::Shape;
use options::{Options, Rate};
use process::Target;
use report::{Row, Setting};
use std::io;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use template::Noise;
use workload::{DataSet, LOAD_ITEMS, LOAD_SERIES, PARTITION_ITEMS, REDIS_GET, REDIS_LOAD, REDIS_SET, Workload};

fn main() -> ExitCode {
    let options = Options::parse();
    let result = match options.answer {
        Some(body_bytes) => answerer::serve(body_bytes),
        None => Session::new(options).run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("jormundb-load: {error}");
            ExitCode::FAILURE
        }
    }
}

/// All that one call of the program measures.
struct Session {
    options: Options,
    machine: String,
    rows: Vec<Row>,
}

impl Session {
    fn new(options: Options) -> Session {
        Session { options, machine: report::machine(), rows: Vec::new() }
    }

    fn run(mut self) -> io::Result<()> {
        println!("{}; generator: {} thread(s).", self.machine, self.options.threads);
        println!("Latencies and CPU time per request in microseconds; all of it on one machine.");
        if !self.options.no_ceiling {
            self.measure_ceiling()?;
        }
        if let Some(endpoint) = self.options.endpoint.clone() {
            let target = Target::existing(&endpoint, self.options.pid)?;
            self.measure_server(&target, &endpoint, "as configured")?;
        }
        if let Some(program) = self.options.server.clone() {
            for durability in self.options.durability.clone() {
                let (arguments, base) = (&self.options.server_arg, &self.options.dir);
                let target = Target::jormundb(&program, arguments, base, &durability)?;
                self.measure_server(&target, "JormunDB", &durability)?;
            }
        }
        if let Some(program) = self.options.redis.clone() {
            for (mode, name) in [(None, "memory only"), (Some("always"), "appendfsync always")] {
                let target = Target::redis(&program, &self.options.dir, mode)?;
                self.measure_redis(&target, name)?;
            }
        }
        match &self.options.json {
            Some(path) => report::write_json(path, &self.machine, &self.rows),
            None => Ok(()),
        }
    }

    /// The generator against its own fixed-answer server: no result above this says anything about the server.
    fn measure_ceiling(&mut self) -> io::Result<()> {
        let item_bytes = self.options.item_bytes[0];
        let target = Target::answerer(item_bytes as usize + 60)?;
        let data = self.data_set(&target, item_bytes);
        println!("\n### The generator's ceiling: a fixed answer, epoll, one thread\n\n{}", report::table_head());
        for connections in self.options.connections.clone() {
            let setting = self.setting("fixed answer", "-", item_bytes, connections);
            self.measure_workload(&target, &data, find("get")?, setting)?;
        }
        Ok(())
    }

    fn measure_server(&mut self, target: &Target, server: &str, durability: &str) -> io::Result<()> {
        for item_bytes in self.options.item_bytes.clone() {
            let data = self.data_set(target, item_bytes);
            let tables = [data.table.as_str(), data.series_table.as_str()];
            control_plane::delete_tables(target.address, tables)?;
            control_plane::create_tables(target.address, &data.table, &data.series_table)?;
            let workloads = self.options.workloads();
            load_items(&data, target)?;
            if workloads.iter().any(|workload| workload.reads_series()) {
                let requests = (data.partitions() * PARTITION_ITEMS).div_ceil(data.load_batch() as u64);
                measure::load(&LOAD_SERIES, &data, target, requests, "loading partitions")?;
            }
            for connections in self.options.connections.clone() {
                let items = data.items;
                println!(
                    "\n### {server}, durability {durability}, {items} items of {item_bytes} B, \
                     {connections} connections\n\n{}",
                    report::table_head()
                );
                for workload in &workloads {
                    let setting = self.setting(server, durability, item_bytes, connections);
                    self.measure_workload(target, &data, workload, setting)?;
                }
            }
            control_plane::delete_tables(target.address, tables)?;
        }
        Ok(())
    }

    fn measure_redis(&mut self, target: &Target, mode: &str) -> io::Result<()> {
        for item_bytes in self.options.item_bytes.clone() {
            let data = self.data_set(target, item_bytes);
            measure::load(&REDIS_LOAD, &data, target, data.items, "loading keys")?;
            for connections in self.options.connections.clone() {
                let items = data.items;
                println!(
                    "\n### redis-server, {mode}, {items} values of {item_bytes} B, {connections} connections\n\n{}",
                    report::table_head()
                );
                for workload in [&REDIS_GET, &REDIS_SET] {
                    let setting = self.setting("redis-server", mode, item_bytes, connections);
                    self.measure_workload(target, &data, workload, setting)?;
                }
            }
        }
        Ok(())
    }

    /// The closed loop, then each rate. What deletes is given its items back each time.
    fn measure_workload(
        &mut self,
        target: &Target,
        data: &DataSet,
        workload: &Workload,
        setting: Setting,
    ) -> io::Result<()> {
        let closed = self.measure_once(target, data, workload, setting.clone(), None)?;
        for rate in self.options.rate.clone() {
            let rate = match rate {
                Rate::PerSecond(rate) => rate,
                Rate::Percent(percent) => (closed * percent / 100.0).max(1.0),
            };
            self.measure_once(target, data, workload, setting.clone(), Some(rate))?;
        }
        Ok(())
    }

    /// Returns the requests per second.
    fn measure_once(
        &mut self,
        target: &Target,
        data: &DataSet,
        workload: &Workload,
        setting: Setting,
        rate: Option<f64>,
    ) -> io::Result<f64> {
        let shape = Shape {
            connections: setting.connections as usize,
            threads: self.options.threads as usize,
            // What ends with the last item would have ended before it is measured.
            warm_up: Duration::from_secs_f64(if workload.deletes() { 0.0 } else { self.options.warm_up }),
            duration: Duration::from_secs_f64(self.options.seconds),
            rate,
        };
        let outcome = measure::run(workload, data, target, shape)?;
        let open = rate.map_or_else(String::new, |rate| format!(", open loop at {rate:.0}/s"));
        let setting = Setting { rate, ..setting };
        let row = Row::new(format!("{}{open}", workload.title), setting.clone(), &outcome);
        println!("{}", report::table_row(&row));
        let requests_per_second = row.requests_per_second();
        self.rows.push(row);
        if workload.mix.len() > 1 {
            let labels: Vec<_> = workload.mix.iter().map(|(_, step)| step.label()).collect();
            for part in Row::parts(&setting, outcome.seconds, &outcome.tally, &labels) {
                println!("{}", report::table_row(&part));
                self.rows.push(part);
            }
        }
        if let Some(failure) = &outcome.tally.failure {
            eprintln!("{}: a wrong answer: {failure}", workload.name);
        }
        if workload.deletes() {
            load_items(data, target)?;
        }
        Ok(requests_per_second)
    }

    fn data_set(&self, target: &Target, item_bytes: u32) -> DataSet {
        let items = self.options.items_of(item_bytes);
        DataSet {
            host: target.address.to_string(),
            table: format!("jormundb-load-{item_bytes}"),
            series_table: format!("jormundb-load-{item_bytes}-series"),
            item_bytes: item_bytes as usize,
            items,
            inserted: AtomicU64::new(items),
            noise: Noise::new(),
        }
    }

    fn setting(&self, server: &str, durability: &str, item_bytes: u32, connections: u32) -> Setting {
        Setting {
            server: server.to_owned(),
            durability: durability.to_owned(),
            item_bytes,
            items: self.options.items_of(item_bytes),
            connections,
            rate: None,
        }
    }
}

fn find(name: &str) -> io::Result<&'static Workload> {
    Workload::find(name).ok_or_else(|| io::Error::other(format!("no workload {name}")))
}

fn load_items(data: &DataSet, target: &Target) -> io::Result<()> {
    let requests = data.items.div_ceil(data.load_batch() as u64);
    measure::load(&LOAD_ITEMS, data, target, requests, "loading items")?;
    data.inserted.fetch_max(data.items, Ordering::Relaxed);
    Ok(())
}
