//! What the server is held to: figures that are taken inside one run, with their limits.

use crate::row::Row;
use serde::Serialize;
use std::fmt::Write;

/// Where a figure has to lie.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub enum Limit {
    AtMost(f64),
    AtLeast(f64),
    /// Shown, not judged.
    None,
}

/// A figure, measured once or in several rounds.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    pub name: String,
    pub values: Vec<f64>,
    pub limit: Limit,
}

impl Finding {
    pub fn new(name: impl Into<String>, values: Vec<f64>, limit: Limit) -> Finding {
        Finding { name: name.into(), values, limit }
    }

    /// `None` without values.
    fn row(&self) -> Option<String> {
        let median = median(&self.values)?;
        let (low, high) = self.values.iter().fold((f64::INFINITY, 0f64), |(low, high), &v| (low.min(v), high.max(v)));
        let range = if self.values.len() > 1 { format!(" ({}-{})", figure(low), figure(high)) } else { String::new() };
        let (limit, met) = match self.limit {
            Limit::AtMost(limit) => (format!("<= {}", figure(limit)), if median <= limit { "yes" } else { "no" }),
            Limit::AtLeast(limit) => (format!(">= {}", figure(limit)), if median >= limit { "yes" } else { "no" }),
            Limit::None => (String::new(), ""),
        };
        Some(format!("| {} | {}{range} | {} | {limit} | {met} |", self.name, figure(median), self.values.len()))
    }
}

/// The middle one, or the mean of the two in the middle.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (sorted.get(sorted.len().checked_sub(1)? / 2)?, sorted.get(sorted.len() / 2)?);
    Some((low + high) / 2.0)
}

/// A Markdown table; empty without findings.
pub fn table(findings: &[Finding]) -> String {
    let mut table = String::new();
    for row in findings.iter().filter_map(Finding::row) {
        if table.is_empty() {
            table += "\n## Targets\n\nMedian and range of the rounds.\n\n";
            table += "| figure | measured | rounds | target | met |\n|---|---:|---:|---:|---|\n";
        }
        let _ = writeln!(table, "{row}");
    }
    table
}

/// What can be read from the tables of workloads.
pub fn of_rows(rows: &[Row]) -> Vec<Finding> {
    let mut findings = of_operations(rows);
    for row in rows.iter().filter(|row| row.section == "open-loop" && row.setting.rate.is_some()) {
        let name = format!("{}, durability {}: p99 / p50", row.title, row.setting.durability);
        findings.push(Finding::new(name, vec![row.latency_us.p99 / row.latency_us.p50], Limit::AtMost(5.0)));
    }
    let with_indexes = |workload: &str, count: u32| {
        let matches = |row: &&Row| row.section == "indexes" && row.workload == workload && row.setting.indexes == count;
        rows.iter().find(matches)?.server_cpu_us
    };
    for count in [1, 5] {
        if let (Some(with), Some(without)) = (with_indexes("put", count), with_indexes("put", 0)) {
            let name = format!("PutItem, CPU with {count} indexes / without");
            findings.push(Finding::new(name, vec![with / without], Limit::None));
        }
    }
    findings
}

fn of_operations(rows: &[Row]) -> Vec<Finding> {
    let find = |workload: &str| {
        let matches = |row: &&Row| row.section == "operations" && row.workload == workload && !row.is_part;
        rows.iter().find(matches)
    };
    let cpu = |workload: &str| find(workload)?.server_cpu_us;
    let mut findings = Vec::new();
    for (workload, limit) in [("get", 1.35), ("get-zipfian", 1.35), ("put", 2.2)] {
        if let (Some(row), Some(cpu), Some(base)) = (find(workload), cpu(workload), cpu("health")) {
            let name = format!("{} / `GET /`, CPU, one run", row.title);
            findings.push(Finding::new(name, vec![cpu / base], Limit::AtMost(limit)));
        }
    }
    if let (Some(many), Some(one)) = (find("query-100"), find("query-1"))
        && let (Some(many_cpu), Some(one_cpu)) = (many.server_cpu_us, one.server_cpu_us)
    {
        let per_item = (many_cpu - one_cpu) / (many.items_per_request - one.items_per_request).max(1.0);
        findings.push(Finding::new("Query of 100, CPU us per item", vec![per_item], Limit::AtMost(0.6)));
    }
    if let (Some(scan), Some(cpu)) = (find("scan"), cpu("scan")) {
        let millions = scan.items_per_request / cpu;
        findings.push(Finding::new("Scan, million items per CPU second", vec![millions], Limit::AtLeast(1.0)));
    }
    findings
}

/// Three significant digits, more or less.
pub fn figure(value: f64) -> String {
    match value {
        value if value < 0.1 => format!("{value:.4}"),
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::fixture;

    #[test]
    fn the_median_is_judged() {
        let check = |values: &[f64], limit, row: &str| {
            assert_eq!(Finding::new("x", values.to_vec(), limit).row().as_deref(), Some(row));
        };
        check(&[1.0], Limit::AtMost(1.35), "| x | 1.00 | 1 | <= 1.35 | yes |");
        check(&[9.0, 1.0, 2.0], Limit::AtMost(1.5), "| x | 2.00 (1.00-9.00) | 3 | <= 1.50 | no |");
        check(&[2.0, 4.0], Limit::AtLeast(3.0), "| x | 3.00 (2.00-4.00) | 2 | >= 3.00 | yes |");
        check(&[250.4], Limit::None, "| x | 250 | 1 |  |  |");
        assert_eq!(Finding::new("x", Vec::new(), Limit::None).row(), None);
        assert_eq!(table(&[]), "");
    }

    #[test]
    fn figures_are_read_from_rows() {
        let row = |workload: &str, items, cpu| {
            let mut row = fixture::row();
            (row.workload, row.items_per_request, row.server_cpu_us) = (workload.to_owned(), items, Some(cpu));
            row
        };
        let rows = [row("query-1", 1.0, 10.0), row("query-100", 100.0, 59.5), row("scan", 1_000.0, 800.0)];
        let values: Vec<_> = of_rows(&rows).into_iter().map(|finding| finding.values[0]).collect();
        assert_eq!(values, [0.5, 1.25]);
    }
}
