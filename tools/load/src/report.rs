//! Results as Markdown tables and as JSON.

use crate::measure::Outcome;
use crate::tally::Tally;
use hdrhistogram::Histogram;
use std::fmt::Write;
use std::fs;
use std::time::Duration;

pub const QUANTILES: [(&str, f64); 5] = [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p99.9", 0.999)];

/// One row: a run, or one kind of a mixture's requests.
pub struct Row {
    pub title: String,
    /// What the run was made on, for the JSON file.
    pub setting: Setting,
    pub requests: u64,
    pub seconds: f64,
    pub items_per_request: f64,
    pub errors: u64,
    pub unsent: u64,
    /// Microseconds per request.
    pub server_cpu: Option<f64>,
    pub client_cpu: Option<f64>,
    /// Microseconds.
    pub mean: f64,
    pub quantiles: [f64; QUANTILES.len()],
    pub max: f64,
}

/// The circumstances of a run.
#[derive(Clone)]
pub struct Setting {
    pub server: String,
    pub durability: String,
    pub item_bytes: u32,
    pub items: u64,
    pub connections: u32,
    pub rate: Option<f64>,
}

impl Row {
    pub fn new(title: String, setting: Setting, outcome: &Outcome) -> Row {
        let requests = outcome.tally.requests();
        let per_request = |cpu: Option<Duration>| cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / requests.max(1) as f64);
        Row {
            errors: outcome.tally.errors,
            unsent: outcome.tally.unsent,
            items_per_request: outcome.tally.items as f64 / requests.max(1) as f64,
            server_cpu: per_request(outcome.server_cpu),
            client_cpu: per_request(outcome.client_cpu),
            ..Row::of_latencies(title, setting, outcome.seconds, &outcome.tally.latency())
        }
    }

    /// One row for each kind of request of a mixture: latencies only, since the rest is not told apart.
    pub fn parts(setting: &Setting, seconds: f64, tally: &Tally, labels: &[&str]) -> Vec<Row> {
        let part = |(histogram, label): (&Histogram<u64>, &&str)| {
            Row::of_latencies(format!("- {label}"), setting.clone(), seconds, histogram)
        };
        tally.latencies.iter().zip(labels).map(part).collect()
    }

    fn of_latencies(title: String, setting: Setting, seconds: f64, latency: &Histogram<u64>) -> Row {
        let micros = |nanoseconds: u64| nanoseconds as f64 / 1e3;
        Row {
            title,
            setting,
            requests: latency.len(),
            seconds,
            items_per_request: 0.0,
            errors: 0,
            unsent: 0,
            server_cpu: None,
            client_cpu: None,
            mean: latency.mean() / 1e3,
            quantiles: QUANTILES.map(|(_, quantile)| micros(latency.value_at_quantile(quantile))),
            max: micros(latency.max()),
        }
    }

    pub fn requests_per_second(&self) -> f64 {
        self.requests as f64 / self.seconds
    }

    fn cells(&self) -> Vec<String> {
        let mut cells = vec![self.title.clone(), thousands(self.requests_per_second()), micros(self.mean)];
        cells.extend(self.quantiles.iter().map(|&value| micros(value)));
        cells.push(micros(self.max));
        cells.push((self.errors + self.unsent).to_string());
        let optional = |value: Option<f64>| value.map_or_else(String::new, micros);
        cells.push(optional(self.server_cpu));
        cells.push(optional(self.client_cpu));
        cells
    }

    fn json(&self) -> String {
        let Setting { server, durability, item_bytes, items, connections, rate } = &self.setting;
        let number = |value: Option<f64>| value.map_or_else(|| "null".to_owned(), |value| format!("{value:.3}"));
        let mut text = format!(
            r#"{{"workload":"{}","server":"{}","durability":"{}","item_bytes":{item_bytes},"items":{items},"#,
            escape(&self.title),
            escape(server),
            escape(durability)
        );
        let _ = write!(
            text,
            r#""connections":{connections},"rate":{},"requests":{},"seconds":{:.3},"requests_per_second":{:.1},"#,
            number(*rate),
            self.requests,
            self.seconds,
            self.requests_per_second()
        );
        let _ = write!(
            text,
            r#""items_per_request":{:.3},"errors":{},"unsent":{},"server_cpu_us":{},"client_cpu_us":{},"#,
            self.items_per_request,
            self.errors,
            self.unsent,
            number(self.server_cpu),
            number(self.client_cpu)
        );
        let _ = write!(text, r#""latency_us":{{"mean":{:.1}"#, self.mean);
        for ((name, _), value) in QUANTILES.iter().zip(self.quantiles) {
            let _ = write!(text, r#","{name}":{value:.1}"#);
        }
        let _ = write!(text, r#","max":{:.1}}}}}"#, self.max);
        text
    }
}

/// The head of a Markdown table of rows. Latencies and CPU times are microseconds.
pub fn table_head() -> String {
    let mut names = vec!["workload", "requests/s", "mean"];
    names.extend(QUANTILES.iter().map(|(name, _)| *name));
    names.extend(["max", "errors", "server CPU", "client CPU"]);
    let rule = std::iter::once("---").chain(std::iter::repeat_n("---:", names.len() - 1));
    format!("{}\n|{}|", markdown(names.iter().map(|name| (*name).to_owned())), rule.collect::<Vec<_>>().join("|"))
}

pub fn table_row(row: &Row) -> String {
    markdown(row.cells().into_iter())
}

fn markdown(cells: impl Iterator<Item = String>) -> String {
    format!("| {} |", cells.collect::<Vec<_>>().join(" | "))
}

/// A file of all rows.
pub fn write_json(path: &std::path::Path, machine: &str, rows: &[Row]) -> std::io::Result<()> {
    let rows: Vec<_> = rows.iter().map(Row::json).collect();
    fs::write(path, format!("{{\"machine\":\"{}\",\"rows\":[\n{}\n]}}\n", escape(machine), rows.join(",\n")))
}

/// What numbers depend on beside the program.
pub fn machine() -> String {
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

fn escape(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', r#"\""#)
}

/// Three significant digits where they are few.
fn micros(value: f64) -> String {
    match value {
        value if value < 100.0 => format!("{value:.1}"),
        value => thousands(value),
    }
}

/// `1,234,567`
fn thousands(value: f64) -> String {
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

    fn row() -> Row {
        let mut tally = Tally::new(1);
        for micros in [100, 200, 300] {
            tally.record(0, Duration::from_micros(micros), Some(10), b"");
        }
        tally.record(0, Duration::from_millis(2_500), None, b"bad");
        let cpu = Some(Duration::from_micros(40));
        let outcome = Outcome { tally, seconds: 0.001, server_cpu: cpu, client_cpu: None };
        let setting = Setting {
            server: "a \"b\"".into(),
            durability: "os".into(),
            item_bytes: 400,
            items: 1_000,
            connections: 64,
            rate: None,
        };
        Row::new("get".into(), setting, &outcome)
    }

    #[test]
    fn a_row_has_a_cell_for_each_column() {
        let row = table_row(&row());
        assert!(row.starts_with("| get | 4,000 | 625,"), "{row}");
        assert!(row.ends_with("| 1 | 10.0 |  |"), "{row}");
        let columns = |text: &str| text.matches('|').count();
        for line in table_head().lines() {
            assert_eq!(columns(line), columns(&row));
        }
    }

    #[test]
    fn json_is_complete() {
        let json = row().json();
        for part in [
            r#""workload":"get","server":"a \"b\"","durability":"os""#,
            r#""rate":null,"requests":4,"#,
            r#""items_per_request":7.500,"errors":1,"unsent":0,"server_cpu_us":10.000,"client_cpu_us":null"#,
            r#""p50":200."#,
        ] {
            assert!(json.contains(part), "{part}: {json}");
        }
        assert_eq!(json.matches('{').count(), json.matches('}').count());
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!([0.0, 999.0, 1_000.0, 1_234_567.4].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([9.96, 99.9, 1_234.5].map(micros), ["10.0", "99.9", "1,234"]);
    }
}
