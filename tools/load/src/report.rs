//! Results as they come: Markdown on the terminal, and with `--out` as a file beside a JSON file and the plots.

use crate::chart::{Axis, Chart, LINES_MAX, Line, Panel};
use crate::options::Options;
use crate::row::Row;
use crate::section::CEILING;
use crate::targets::{self, Finding};
use crate::workload::Family;
use serde::Serialize;
use std::fs;
use std::io;
use std::path::PathBuf;

pub struct Report {
    machine: String,
    out: Option<PathBuf>,
    text: String,
    section: String,
    pub rows: Vec<Row>,
    findings: Vec<Finding>,
}

/// A result above this part of the generator's ceiling says as much about the generator as about the server.
const NEAR_CEILING: f64 = 0.8;

const COLUMNS: [&str; 12] = [
    "workload",
    "requests/s",
    "mean",
    "p50",
    "p90",
    "p95",
    "p99",
    "p99.9",
    "max",
    "errors",
    "server CPU",
    "client CPU",
];

impl Report {
    pub fn new(out: Option<PathBuf>) -> io::Result<Report> {
        if let Some(out) = &out {
            fs::create_dir_all(out)?;
        }
        let machine = machine();
        Ok(Report { machine, out, text: String::new(), section: String::new(), rows: Vec::new(), findings: Vec::new() })
    }

    /// A line of the report.
    pub fn say(&mut self, line: &str) {
        println!("{line}");
        self.text.push_str(line);
        self.text.push('\n');
    }

    pub fn opening(&mut self, options: &Options) {
        let Options { threads, seconds, warm_up, rounds, .. } = options;
        let line = format!(
            "{}; generator: {threads} thread(s), {seconds} s per row behind {warm_up} s of warm-up, {rounds} round(s).",
            self.machine
        );
        self.say(&line);
        self.say("Latencies and CPU time per request in microseconds; server and generator on one machine.");
    }

    pub fn section(&mut self, name: &str, title: &str) {
        self.section = name.to_owned();
        self.say(&format!("\n## {title}"));
    }

    pub fn section_name(&self) -> String {
        self.section.clone()
    }

    /// The title and the head of a table of rows.
    pub fn table(&mut self, title: &str) {
        let rule = std::iter::once("---").chain(std::iter::repeat_n("---:", COLUMNS.len() - 1));
        let rule = format!("|{}|", rule.collect::<Vec<_>>().join("|"));
        let head = markdown(COLUMNS.map(str::to_owned).into_iter());
        self.say(&format!("\n### {title}\n\n{head}\n{rule}"));
    }

    pub fn row(&mut self, row: Row) {
        self.say(&table_row(&row));
        self.rows.push(row);
    }

    pub fn finding(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// The plots of the section, and everything so far to the files: a run that is cut short leaves what it has.
    pub fn end_section(&mut self) -> io::Result<()> {
        let limited = limited_by_the_generator(&self.rows, &self.section);
        if !limited.is_empty() {
            let percent = 100.0 * NEAR_CEILING;
            self.say(&format!(
                "\nAbove {percent:.0} % of the generator's ceiling, so limited by it: {}.",
                limited.join("; ")
            ));
        }
        let rows: Vec<_> = self.rows.iter().filter(|row| row.section == self.section && !row.is_part).collect();
        let charts = percentile_charts(&self.section, &rows);
        for (file, chart) in charts {
            self.figure(&file, &chart)?;
        }
        self.save("")
    }

    /// A plot, beside the report and shown in it.
    pub fn figure(&mut self, file: &str, chart: &Chart) -> io::Result<()> {
        let Some(out) = &self.out else { return Ok(()) };
        fs::write(out.join(file), chart.svg())?;
        self.text.push_str(&format!("\n![{}]({file})\n", chart.title));
        Ok(())
    }

    /// A file beside the report.
    pub fn attach(&self, file: &str, content: &str) -> io::Result<()> {
        self.out.as_ref().map_or(Ok(()), |out| fs::write(out.join(file), content))
    }

    /// The table of targets, and the files.
    pub fn finish(mut self) -> io::Result<()> {
        let mut findings = std::mem::take(&mut self.findings);
        findings.extend(targets::of_rows(&self.rows));
        self.findings = findings;
        let table = targets::table(&self.findings);
        if !table.is_empty() {
            println!("{table}");
        }
        self.save(&table)?;
        if let Some(out) = &self.out {
            eprintln!("written: {}", out.display());
        }
        Ok(())
    }

    fn save(&self, targets: &str) -> io::Result<()> {
        #[derive(Serialize)]
        struct File<'r> {
            machine: &'r str,
            rows: &'r [Row],
            findings: &'r [Finding],
        }
        let Some(out) = &self.out else { return Ok(()) };
        let file = File { machine: &self.machine, rows: &self.rows, findings: &self.findings };
        fs::write(out.join("results.json"), serde_json::to_string(&file)? + "\n")?;
        fs::write(out.join("results.md"), format!("{}{targets}", self.text))
    }
}

/// Titles of a section's closed loops that come near what the generator does against the fixed answer.
fn limited_by_the_generator<'r>(rows: &'r [Row], section: &str) -> Vec<&'r str> {
    let of_ceiling = |row: &&Row| row.section == CEILING;
    let ceiling = rows.iter().filter(of_ceiling).map(|row| row.requests_per_second).fold(0.0, f64::max);
    let is_limited = |row: &&Row| {
        let is_closed = !row.is_part && row.setting.rate.is_none();
        row.section == section && section != CEILING && is_closed && row.requests_per_second > NEAR_CEILING * ceiling
    };
    match ceiling > 0.0 {
        true => rows.iter().filter(is_limited).map(|row| row.title.as_str()).collect(),
        false => Vec::new(),
    }
}

fn table_row(row: &Row) -> String {
    let mut cells = vec![row.title.clone(), thousands(row.requests_per_second)];
    cells.extend(row.latency_us.columns().map(micros));
    let optional = |value: Option<f64>| value.map_or_else(String::new, micros);
    let errors = if row.is_part { String::new() } else { (row.errors + row.unsent).to_string() };
    cells.extend([errors, optional(row.server_cpu_us), optional(row.client_cpu_us)]);
    markdown(cells.into_iter())
}

fn markdown(cells: impl Iterator<Item = String>) -> String {
    format!("| {} |", cells.collect::<Vec<_>>().join(" | "))
}

/// One plot of all rows, or, where these are too many, one for each family of workloads, and if need be several.
fn percentile_charts(section: &str, rows: &[&Row]) -> Vec<(String, Chart)> {
    let groups: Vec<(String, Vec<&Row>)> = if rows.len() <= LINES_MAX {
        vec![(section.to_owned(), rows.to_vec())]
    } else {
        let of_family = |family: Family| {
            let rows: Vec<_> = rows.iter().filter(|row| row.family == family).copied().collect();
            (format!("{section}-{}", family.name()), rows)
        };
        Family::ALL.into_iter().map(of_family).collect()
    };
    let mut charts = Vec::new();
    for (name, rows) in groups {
        for (index, chunk) in rows.chunks(LINES_MAX).enumerate() {
            let name = if index == 0 { name.clone() } else { format!("{name}-{}", index + 1) };
            charts.push((format!("percentiles-{name}.svg"), percentile_chart(&name, chunk)));
        }
    }
    charts
}

/// Latency by percentile. The axis is logarithmic in what lies beyond a percentile: each nine takes as much room.
fn percentile_chart(name: &str, rows: &[&Row]) -> Chart {
    let beyond = |quantile: f64| 1.0 / (1.0 - quantile).max(1e-9);
    let lines = rows.iter().map(|row| Line {
        label: label(row, rows),
        points: row.percentiles.iter().map(|&(quantile, micros)| (beyond(quantile), micros)).collect(),
    });
    let lines: Vec<_> = lines.collect();
    let values = || lines.iter().flat_map(|line| line.points.iter().map(|point| point.1));
    let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
    let reach = lines.iter().filter_map(|line| line.points.last()).map(|point| point.0).fold(10.0, f64::max);
    const NINES: [(f64, &str); 8] = [
        (1.0, "0"),
        (2.0, "50 %"),
        (1e1, "90 %"),
        (1e2, "99 %"),
        (1e3, "99.9 %"),
        (1e4, "99.99 %"),
        (1e5, "99.999 %"),
        (1e6, "99.9999 %"),
    ];
    let shown = NINES.iter().position(|(beyond, _)| *beyond >= reach).unwrap_or(NINES.len() - 1);
    let ticks = NINES[..=shown].iter().map(|(beyond, name)| (*beyond, (*name).to_owned())).collect();
    let y = Axis::logarithmic(if low.is_finite() { low } else { 1.0 }, high, duration);
    let panel = Panel { label: "latency".into(), height: 340.0, y, lines };
    let title = format!("Latency by percentile: {name}");
    Chart { title, x: Axis::logarithmic_with(ticks), x_label: "percentile".into(), panels: vec![panel] }
}

/// What distinguishes a row from the others of a plot.
fn label(row: &Row, rows: &[&Row]) -> String {
    let aspects: [fn(&Row) -> String; 9] = [
        |row| row.setting.server.clone(),
        |row| row.plain_title.to_owned(),
        |row| if row.setting.rate.is_some() { "open loop" } else { "closed loop" }.to_owned(),
        |row| row.setting.note.clone().unwrap_or_default(),
        |row| row.setting.durability.clone(),
        |row| format!("{} connections", row.setting.connections),
        |row| format!("{} B", row.setting.item_bytes),
        |row| format!("{} indexes", row.setting.indexes),
        |row| format!("{} items", thousands(row.setting.items as f64)),
    ];
    let differs = |aspect: &fn(&Row) -> String| rows.iter().any(|other| aspect(other) != aspect(row));
    let mut parts: Vec<String> = aspects.iter().filter(|aspect| differs(aspect)).map(|aspect| aspect(row)).collect();
    parts.retain(|part| !part.is_empty());
    if parts.is_empty() { row.title.clone() } else { parts.join(", ") }
}

/// What numbers depend on beside the program.
fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let model = read("/proc/cpuinfo")
        .lines()
        .find_map(|line| line.strip_prefix("model name").and_then(|rest| rest.split_once(": ")))
        .map_or_else(|| "unknown processor".to_owned(), |(_, model)| model.to_owned());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (kernel, load) = (read("/proc/sys/kernel/osrelease"), read("/proc/loadavg"));
    let load = load.split(' ').next().unwrap_or_default();
    format!("{model}, {cores} cores, Linux {}, load {load} at the start", kernel.trim())
}

/// `50 us`, `2 ms`, `1 s`
fn duration(micros: f64) -> String {
    match micros {
        micros if micros < 1e3 => format!("{micros} us"),
        micros if micros < 1e6 => format!("{} ms", micros / 1e3),
        micros => format!("{} s", micros / 1e6),
    }
}

/// Three significant digits where they are few.
pub fn micros(value: f64) -> String {
    match value {
        value if value < 100.0 => format!("{value:.1}"),
        value => thousands(value),
    }
}

/// `1,234,567`
pub fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::fixture;

    #[test]
    fn a_row_has_a_cell_for_each_column() {
        let row = table_row(&fixture::row());
        assert!(row.starts_with("| GetItem, uniform | 4,000 | 625,"), "{row}");
        assert!(row.ends_with("| 1 | 10.0 |  |"), "{row}");
        assert_eq!(row.matches('|').count(), COLUMNS.len() + 1);
    }

    #[test]
    fn a_plot_has_a_line_for_each_row_and_says_what_differs() {
        let mut other = fixture::row();
        other.setting.connections = 1;
        let row = fixture::row();
        let rows = [&row, &other];
        assert_eq!(rows.map(|row| label(row, &rows)), ["64 connections", "1 connections"]);
        let charts = percentile_charts("connections", &rows);
        assert_eq!(charts.len(), 1);
        let svg = charts[0].1.svg();
        assert_eq!((charts[0].0.as_str(), svg.matches("<polyline").count()), ("percentiles-connections.svg", 2));
    }

    #[test]
    fn what_comes_near_the_ceiling_is_named() {
        let row = |section: &str, title: &str, rate| {
            let mut row = fixture::row();
            (row.section, row.title, row.requests_per_second) = (section.into(), title.into(), rate);
            row
        };
        let mut rows =
            vec![row("operations", "near", 81.0), row("operations", "far", 79.0), row("other", "else", 90.0)];
        assert!(limited_by_the_generator(&rows, "operations").is_empty(), "without a ceiling");
        rows.push(row(CEILING, "fixed", 100.0));
        assert_eq!(limited_by_the_generator(&rows, "operations"), ["near"]);
    }

    #[test]
    fn many_rows_make_several_plots() {
        let row = fixture::row();
        let rows = vec![&row; LINES_MAX + 1];
        let files: Vec<_> = percentile_charts("x", &rows).into_iter().map(|(file, _)| file).collect();
        assert_eq!(files, ["percentiles-x-reads.svg", "percentiles-x-reads-2.svg"]);
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!([0.0, 999.0, 1_000.0, 1_234_567.4].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([9.96, 99.9, 1_234.5].map(micros), ["10.0", "99.9", "1,234"]);
        assert_eq!([50.0, 2e3, 1e6].map(duration), ["50 us", "2 ms", "1 s"]);
    }
}
