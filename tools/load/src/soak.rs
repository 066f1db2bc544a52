//! A mixed load at saturation for a long time, with a sample of the server's vitals every now and then. The keys are
//! bounded, and what some requests write others delete, so that memory, file handles and the data directory have to
//! level off: what keeps growing is a leak.

use crate::chart::{Axis, Chart, Line, Panel};
use crate::control_plane;
use crate::data_set::DataSet;
use crate::measure::{self, Outcome};
use crate::options::Tables;
use crate::session::{Session, load, setting};
use crate::targets::{Finding, Limit, median};
use crate::vitals::Vitals;
use crate::workload::SOAK;
use serde::Serialize;
use std::fmt::Write;
use std::io;
use std::time::Duration;

/// Of a soak that is a section of a suite.
const SECONDS: f64 = 120.0;

#[derive(Serialize)]
struct Sample {
    /// At its end, since the load began.
    seconds: f64,
    requests_per_second: f64,
    p50_us: f64,
    p99_us: f64,
    max_us: f64,
    errors: u64,
    server_cpu_us: f64,
    resident_bytes: u64,
    open_files: u64,
    threads: u64,
    directory_bytes: u64,
}

pub fn measure(session: &mut Session, tables: &Tables) -> io::Result<()> {
    let given = session.options.soak.is_some();
    // The flags hold for a soak that was asked for by a flag.
    let tables =
        if given { &Tables { indexes: tables.indexes.clone(), ..session.options.tables.clone() } } else { tables };
    let seconds = session.options.soak.unwrap_or(SECONDS);
    let (target, first) = session.start_first(tables)?;
    let items = tables.items_of(first.items, first.item_bytes);
    let data = DataSet::new(target.address.to_string(), first.item_bytes, items, tables.indexes[0].0);
    load(&target, &data, true)?;
    let shape = session.shape(first.connections, None);
    let samples = (seconds / session.options.sample).round().max(1.0) as u32;
    let window = Duration::from_secs_f64(session.options.sample);
    session.report.say(&format!("\n{HEAD}"));
    let report = &mut session.report;
    let (taken, total) = measure::direct(&SOAK, &data, &target, shape, |director| {
        let (mut taken, mut total) = (Vec::new(), None::<Outcome>);
        for index in 1..=samples {
            let outcome = director.window(window)?;
            let sample = Sample::new(f64::from(index) * window.as_secs_f64(), &outcome, target.vitals());
            report.say(&sample.row());
            taken.push(sample);
            match &mut total {
                Some(total) => total.merge(outcome),
                None => total = Some(outcome),
            }
        }
        Ok((taken, total))
    })?;
    if let Some(total) = total {
        let setting = setting(&first.server, &first.durability, &data, first.connections);
        session.report.table("All of it");
        session.record(&SOAK, setting, &total);
    }
    let mut csv = format!("{CSV_HEAD}\n");
    taken.iter().for_each(|sample| csv.push_str(&sample.csv()));
    session.report.attach("soak.csv", &csv)?;
    session.report.attach("soak.json", &(serde_json::to_string(&taken)? + "\n"))?;
    session.report.figure("soak.svg", &chart(&taken))?;
    for finding in growth(&taken) {
        session.report.finding(finding);
    }
    control_plane::delete_tables(target.address, &data)
}

const HEAD: &str = "\
    | second | requests/s | p50 | p99 | max | errors | server CPU | memory MB | files | threads | directory MB |\n\
    |---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|";

const CSV_HEAD: &str = "seconds,requests_per_second,p50_us,p99_us,max_us,errors,server_cpu_us,resident_bytes,\
                        open_files,threads,directory_bytes";

impl Sample {
    fn new(seconds: f64, outcome: &Outcome, vitals: Vitals) -> Sample {
        let latency = outcome.tally.latency();
        let micros = |quantile| latency.value_at_quantile(quantile) as f64 / 1e3;
        let requests = outcome.tally.requests() as f64;
        Sample {
            seconds,
            requests_per_second: (requests / outcome.seconds).round(),
            p50_us: micros(0.5),
            p99_us: micros(0.99),
            max_us: latency.max() as f64 / 1e3,
            errors: outcome.tally.errors,
            server_cpu_us: outcome.server_cpu.map_or(0.0, |cpu| cpu.as_secs_f64() * 1e6 / requests.max(1.0)),
            resident_bytes: vitals.resident_bytes,
            open_files: vitals.open_files,
            threads: vitals.threads,
            directory_bytes: vitals.directory_bytes,
        }
    }

    fn row(&self) -> String {
        format!(
            "| {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {} | {:.1} | {:.0} | {} | {} | {:.0} |",
            self.seconds,
            self.requests_per_second,
            self.p50_us,
            self.p99_us,
            self.max_us,
            self.errors,
            self.server_cpu_us,
            megabytes(self.resident_bytes),
            self.open_files,
            self.threads,
            megabytes(self.directory_bytes)
        )
    }

    fn csv(&self) -> String {
        let mut line =
            format!("{:.1},{},{:.1},{:.1},", self.seconds, self.requests_per_second, self.p50_us, self.p99_us);
        let _ = write!(line, "{:.1},{},{:.2},{},", self.max_us, self.errors, self.server_cpu_us, self.resident_bytes);
        let _ = writeln!(line, "{},{},{}", self.open_files, self.threads, self.directory_bytes);
        line
    }
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// What the last quarter takes over what the second quarter takes: the first one is warming up.
fn growth(samples: &[Sample]) -> Vec<Finding> {
    let quarter = samples.len() / 4;
    if quarter == 0 {
        return Vec::new();
    }
    let (early, late) = (&samples[quarter..2 * quarter], &samples[samples.len() - quarter..]);
    let ratio = |value: &dyn Fn(&Sample) -> f64| {
        let of = |samples: &[Sample]| median(&samples.iter().map(value).collect::<Vec<_>>()).unwrap_or(0.0);
        of(late) / of(early).max(1.0)
    };
    let finding = |what: &str, value: &dyn Fn(&Sample) -> f64| {
        Finding::new(format!("soak, {what}: last quarter / second"), vec![ratio(value)], Limit::None)
    };
    vec![
        finding("memory", &|sample| sample.resident_bytes as f64),
        finding("open files", &|sample| sample.open_files as f64),
        finding("data directory", &|sample| sample.directory_bytes as f64),
        finding("throughput", &|sample| sample.requests_per_second),
    ]
}

/// What a panel draws: its label, and its lines.
type Curve<'c> = (&'c str, fn(&Sample) -> f64);

fn chart(samples: &[Sample]) -> Chart {
    let end = samples.last().map_or(1.0, |sample| sample.seconds);
    let panel = |label: &str, curves: &[Curve]| {
        let line = |(label, value): &Curve| Line {
            label: (*label).to_owned(),
            points: samples.iter().map(|sample| (sample.seconds, value(sample))).collect(),
        };
        let lines: Vec<_> = curves.iter().map(line).collect();
        let high = lines.iter().flat_map(|line| &line.points).map(|point| point.1).fold(0.0, f64::max);
        let y = Axis::linear(high, |value| format!("{}", (value * 100.0).round() / 100.0));
        Panel { label: label.to_owned(), height: 110.0, y, lines }
    };
    let panels = vec![
        panel("thousand requests/s", &[("throughput", |sample| sample.requests_per_second / 1e3)]),
        panel("latency, ms", &[("p50", |sample| sample.p50_us / 1e3), ("p99", |sample| sample.p99_us / 1e3)]),
        panel(
            "MB",
            &[
                ("resident memory", |sample| megabytes(sample.resident_bytes)),
                ("data directory", |sample| megabytes(sample.directory_bytes)),
            ],
        ),
        panel(
            "count",
            &[("open files", |sample| sample.open_files as f64), ("threads", |sample| sample.threads as f64)],
        ),
    ];
    let x = Axis::linear(end, |value| format!("{value}"));
    Chart { title: "Mixed load over time".into(), x, x_label: "seconds".into(), panels }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(index: u32) -> Sample {
        Sample {
            seconds: f64::from(index) * 10.0,
            requests_per_second: 50_000.0,
            p50_us: 100.0,
            p99_us: 900.0,
            max_us: 5_000.0,
            errors: 0,
            server_cpu_us: 12.5,
            resident_bytes: u64::from(index) * 1_000_000,
            open_files: 100,
            threads: 20,
            directory_bytes: 5_000_000,
        }
    }

    #[test]
    fn columns_are_complete() {
        let sample = sample(1);
        let columns = |text: &str, separator| text.trim_end().matches(separator).count();
        assert_eq!(columns(&sample.csv(), ','), columns(CSV_HEAD, ','));
        assert!(HEAD.lines().all(|line| columns(line, '|') == columns(&sample.row(), '|')), "{}", sample.row());
        assert_eq!(sample.csv(), "10.0,50000,100.0,900.0,5000.0,0,12.50,1000000,100,20,5000000\n");
    }

    #[test]
    fn growth_compares_quarters() {
        let samples: Vec<_> = (1..=8).map(sample).collect();
        let values: Vec<_> = growth(&samples).iter().map(|finding| finding.values[0]).collect();
        assert_eq!(values, [7.5 / 3.5, 1.0, 1.0, 1.0]);
        assert!(growth(&samples[..3]).is_empty());
    }

    #[test]
    fn every_curve_is_drawn() {
        let samples: Vec<_> = (1..=8).map(sample).collect();
        assert_eq!(chart(&samples).svg().matches("<polyline").count(), 7);
    }
}
