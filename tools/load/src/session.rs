//! One call of the program: its sections, one after the other, each on servers of its own.

use crate::control_plane;
use crate::data_set::{DataSet, PARTITION_ITEMS};
use crate::measure::{self, Outcome, Shape};
use crate::options::{Indexes, Options, Rate, Tables};
use crate::process::Target;
use crate::report::Report;
use crate::row::{Row, Setting};
use crate::section::{FLAGS, Kind, Section};
use crate::workload::{LOAD_ITEMS, LOAD_SERIES, Workload};
use crate::{back_fill, beside, growth, peers, soak};
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

pub struct Session {
    pub options: Options,
    pub report: Report,
}

impl Session {
    pub fn new(options: Options) -> io::Result<Session> {
        let report = Report::new(options.out.clone())?;
        Ok(Session { options, report })
    }

    pub fn run(mut self) -> io::Result<()> {
        let sections = self.sections()?;
        self.report.opening(&self.options);
        for section in sections {
            let begun = Instant::now();
            self.report.section(section.name, section.title);
            self.run_section(section)?;
            self.report.end_section()?;
            eprintln!("{}: {:.0} s", section.name, begun.elapsed().as_secs_f64());
        }
        self.report.finish()
    }

    fn sections(&self) -> io::Result<Vec<&'static Section>> {
        let find = |name| Section::find(name).ok_or_else(|| io::Error::other(format!("no section {name}")));
        let options = &self.options;
        let chosen = match options.suite {
            Some(suite) => suite.sections(),
            None if !options.section.is_empty() => return Ok(options.section.clone()),
            None if options.soak.is_some() => return Ok(vec![find("soak")?]),
            None => vec![find("ceiling")?, &FLAGS],
        };
        let wanted = |section: &&Section| section.kind != Kind::Ceiling || !options.no_ceiling;
        Ok(chosen.into_iter().filter(wanted).collect())
    }

    fn run_section(&mut self, section: &Section) -> io::Result<()> {
        let tables = if section.name == FLAGS.name { self.options.tables.clone() } else { section.tables()? };
        match section.kind {
            Kind::Ceiling => self.measure_ceiling(),
            Kind::Table => self.measure_tables(&tables),
            Kind::Growth => growth::measure(self, &tables),
            Kind::Beside => beside::measure(self, &tables),
            Kind::BackFill => back_fill::measure(self, &tables),
            Kind::Peers => peers::measure(self, &tables),
            Kind::Soak => soak::measure(self, &tables),
        }
    }

    /// The generator against its own fixed-answer server: no result above this says anything about the server.
    fn measure_ceiling(&mut self) -> io::Result<()> {
        let tables = self.options.tables.clone();
        let item_bytes = tables.item_bytes[0];
        let target = Target::answerer(item_bytes as usize + 60)?;
        let data = DataSet::new(target.address.to_string(), item_bytes, tables.items[0], None);
        self.report.table("Every request answered alike");
        for connections in tables.connections {
            let setting = setting("fixed answer", "-", &data, connections);
            let workload = Workload::find("get").ok_or_else(|| io::Error::other("no workload get"))?;
            self.measure_closed(&target, &data, workload, setting)?;
        }
        Ok(())
    }

    fn measure_tables(&mut self, tables: &Tables) -> io::Result<()> {
        for durability in self.durability(tables) {
            let (target, server) = self.start(tables, &durability)?;
            for &items in &tables.items {
                for &item_bytes in &tables.item_bytes {
                    for &indexes in &tables.indexes {
                        let items = tables.items_of(items, item_bytes);
                        let data = DataSet::new(target.address.to_string(), item_bytes, items, indexes.0);
                        self.measure_data(&target, &data, tables, (&server, &durability))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The workloads of a section on one data set; `named` are the server and its durability.
    fn measure_data(
        &mut self,
        target: &Target,
        data: &DataSet,
        tables: &Tables,
        named: (&str, &str),
    ) -> io::Result<()> {
        let workloads = tables.workloads(Indexes(data.indexes));
        load(target, data, workloads.iter().any(|workload| workload.reads_series()))?;
        for &connections in &tables.connections {
            let setting = setting(named.0, named.1, data, connections);
            self.report.table(&setting.sentence());
            for workload in &workloads {
                let closed = self.measure_closed(target, data, workload, setting.clone())?;
                for rate in &tables.rate {
                    let rate = match *rate {
                        Rate::PerSecond(rate) => rate,
                        Rate::Percent(percent) => (closed * percent / 100.0).max(1.0),
                    };
                    let setting = Setting { rate: Some(rate), ..setting.clone() };
                    self.measure_once(target, data, workload, setting)?;
                }
            }
        }
        control_plane::delete_tables(target.address, data)
    }

    /// Returns the requests per second of a closed loop.
    pub fn measure_closed(
        &mut self,
        target: &Target,
        data: &DataSet,
        workload: &Workload,
        setting: Setting,
    ) -> io::Result<f64> {
        self.measure_once(target, data, workload, setting).map(|row| row.requests_per_second)
    }

    /// Measures a workload and adds its rows to the report. What deletes is given its items back.
    pub fn measure_once(
        &mut self,
        target: &Target,
        data: &DataSet,
        workload: &Workload,
        setting: Setting,
    ) -> io::Result<Row> {
        let mut shape = self.shape(setting.connections, setting.rate);
        if workload.deletes() {
            // What ends with the last item would have ended before it is measured.
            shape.warm_up = Duration::ZERO;
        }
        let outcome = measure::run(workload, data, target, shape)?;
        let row = self.record(workload, setting, &outcome);
        if workload.deletes() {
            load_items(target, data)?;
        }
        Ok(row)
    }

    /// Adds the rows of an outcome to the report.
    pub fn record(&mut self, workload: &Workload, setting: Setting, outcome: &Outcome) -> Row {
        let row = Row::new(&self.report.section_name(), workload, setting, outcome);
        let parts = row.parts(workload, &outcome.tally);
        self.report.row(row.clone());
        for part in parts {
            self.report.row(part);
        }
        if let Some(failure) = &outcome.tally.failure {
            eprintln!("{}: a wrong answer: {failure}", workload.name);
        }
        row
    }

    pub fn shape(&self, connections: u32, rate: Option<f64>) -> Shape {
        Shape {
            connections: connections as usize,
            threads: self.options.threads as usize,
            warm_up: Duration::from_secs_f64(self.options.warm_up),
            duration: Duration::from_secs_f64(self.options.seconds),
            rate,
        }
    }

    /// The modes to measure: of a server that runs already there is only one.
    fn durability(&self, tables: &Tables) -> Vec<String> {
        match self.options.endpoint {
            Some(_) => vec!["as configured".to_owned()],
            None => tables.durability.clone(),
        }
    }

    /// The server to measure in the first of these modes, and its name.
    pub fn start_first(&self, tables: &Tables) -> io::Result<(Target, Setting)> {
        let durability = self.durability(tables).swap_remove(0);
        let (target, server) = self.start(tables, &durability)?;
        let data = DataSet::new(target.address.to_string(), tables.item_bytes[0], tables.items[0], tables.indexes[0].0);
        let setting = setting(&server, &durability, &data, tables.connections[0]);
        Ok((target, setting))
    }

    fn start(&self, tables: &Tables, durability: &str) -> io::Result<(Target, String)> {
        if let Some(endpoint) = &self.options.endpoint {
            return Ok((Target::existing(endpoint, self.options.pid)?, endpoint.clone()));
        }
        let target = self.start_jormundb(&tables.server_arg, durability)?;
        let arguments: Vec<_> = tables.server_arg.iter().map(|argument| format!(" {argument}")).collect();
        Ok((target, format!("JormunDB{}", arguments.concat())))
    }

    pub fn start_jormundb(&self, arguments: &[String], durability: &str) -> io::Result<Target> {
        let missing = || io::Error::other("this needs --server or --endpoint");
        let program: &Path = self.options.server.as_deref().ok_or_else(missing)?;
        Target::jormundb(program, arguments, &self.options.dir, durability)
    }
}

impl Setting {
    fn sentence(&self) -> String {
        let Setting { server, durability, item_bytes, items, connections, .. } = self;
        let indexes = match self.indexes {
            0 => String::new(),
            count => format!(", {count} indexes"),
        };
        format!(
            "{server}, durability {durability}, {items} items of {item_bytes} B{indexes}, {connections} connections"
        )
    }
}

pub fn setting(server: &str, durability: &str, data: &DataSet, connections: u32) -> Setting {
    Setting {
        server: server.to_owned(),
        durability: durability.to_owned(),
        item_bytes: data.item_bytes as u32,
        items: data.items,
        indexes: data.indexes.unwrap_or(0),
        connections,
        rate: None,
        note: None,
    }
}

/// Creates the tables of a data set and fills them; what was there under their names is removed.
pub fn load(target: &Target, data: &DataSet, with_series: bool) -> io::Result<()> {
    control_plane::delete_tables(target.address, data)?;
    control_plane::create_tables(target.address, data)?;
    load_items(target, data)?;
    if with_series {
        let requests = (data.partitions() * PARTITION_ITEMS).div_ceil(data.load_batch() as u64);
        measure::load(&LOAD_SERIES, data, target, requests, "loading partitions")?;
    }
    target.settle();
    Ok(())
}

/// Those that are not there yet.
pub fn load_items(target: &Target, data: &DataSet) -> io::Result<()> {
    let requests = (data.items - data.loaded).div_ceil(data.load_batch() as u64);
    measure::load(&LOAD_ITEMS, data, target, requests, "loading items")?;
    data.inserted.fetch_max(data.items, Ordering::Relaxed);
    Ok(())
}
