//! One row of a table: a run, or one kind of a mixture's requests.

use crate::measure::Outcome;
use crate::tally::Tally;
use crate::workload::{Family, Workload};
use hdrhistogram::Histogram;
use serde::Serialize;
use std::time::Duration;

#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub section: String,
    pub workload: String,
    /// With the rate and the note.
    pub title: String,
    #[serde(skip)]
    pub plain_title: &'static str,
    #[serde(skip)]
    pub family: Family,
    /// One kind of a mixture's requests: latencies only, since the rest is not told apart.
    pub is_part: bool,
    #[serde(flatten)]
    pub setting: Setting,
    pub requests: u64,
    pub seconds: f64,
    pub requests_per_second: f64,
    pub items_per_request: f64,
    pub errors: u64,
    /// Requests of an open loop that were due and had not left when it ended.
    pub unsent: u64,
    /// Microseconds per request.
    pub server_cpu_us: Option<f64>,
    pub client_cpu_us: Option<f64>,
    pub latency_us: Latency,
    /// Quantile and microseconds, for a plot.
    pub percentiles: Vec<(f64, f64)>,
}

/// The circumstances of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Setting {
    pub server: String,
    pub durability: String,
    pub item_bytes: u32,
    pub items: u64,
    pub indexes: u32,
    pub connections: u32,
    /// Requests per second of an open loop.
    pub rate: Option<f64>,
    /// What else distinguishes it from rows of the same title.
    pub note: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Latency {
    pub mean: f64,
    pub p50: f64,
    pub p90: f64,
    pub p95: f64,
    pub p99: f64,
    #[serde(rename = "p99.9")]
    pub p999: f64,
    pub max: f64,
}

/// Points of a percentile plot for each factor of ten of `1 / (1 - quantile)`.
const POINTS_PER_DECADE: u32 = 12;

impl Row {
    pub fn new(section: &str, workload: &Workload, setting: Setting, outcome: &Outcome) -> Row {
        let tally = &outcome.tally;
        let requests = tally.requests();
        let per_request = |cpu: Option<Duration>| cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / requests.max(1) as f64);
        let open = setting.rate.map_or_else(String::new, |rate| format!(", open loop at {rate:.0}/s"));
        let note = setting.note.as_ref().map_or_else(String::new, |note| format!(", {note}"));
        let latency = tally.latency();
        Row {
            section: section.to_owned(),
            workload: workload.name.to_owned(),
            title: format!("{}{open}{note}", workload.title),
            plain_title: workload.title,
            family: workload.family,
            is_part: false,
            setting,
            requests,
            seconds: outcome.seconds,
            requests_per_second: requests as f64 / outcome.seconds,
            items_per_request: tally.items as f64 / requests.max(1) as f64,
            errors: tally.errors,
            unsent: tally.unsent,
            server_cpu_us: per_request(outcome.server_cpu),
            client_cpu_us: per_request(outcome.client_cpu),
            latency_us: Latency::of(&latency),
            percentiles: percentiles(&latency),
        }
    }

    /// One row for each kind of request, where there is more than one.
    pub fn parts(&self, workload: &Workload, tally: &Tally) -> Vec<Row> {
        if workload.mix.len() < 2 {
            return Vec::new();
        }
        let part = |(histogram, (_, step)): (&Histogram<u64>, &(u32, crate::step::Step))| Row {
            title: format!("- {}", step.label()),
            is_part: true,
            requests: histogram.len(),
            requests_per_second: histogram.len() as f64 / self.seconds,
            items_per_request: 0.0,
            errors: 0,
            unsent: 0,
            server_cpu_us: None,
            client_cpu_us: None,
            latency_us: Latency::of(histogram),
            percentiles: percentiles(histogram),
            ..self.clone()
        };
        tally.latencies.iter().zip(workload.mix).map(part).collect()
    }
}

impl Latency {
    fn of(histogram: &Histogram<u64>) -> Latency {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
        Latency {
            mean: (histogram.mean() / 10.0).round() / 100.0,
            p50: at(0.5),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
            p999: at(0.999),
            max: histogram.max() as f64 / 1e3,
        }
    }

    pub fn columns(&self) -> [f64; 7] {
        [self.mean, self.p50, self.p90, self.p95, self.p99, self.p999, self.max]
    }
}

/// As far out as at least one value lies beyond.
fn percentiles(histogram: &Histogram<u64>) -> Vec<(f64, f64)> {
    let beyond = |index: u32| 10f64.powf(f64::from(index) / f64::from(POINTS_PER_DECADE));
    let reach = histogram.len() as f64;
    let steps = (0..).take_while(|&index| beyond(index) <= reach.max(1.0) && index <= 6 * POINTS_PER_DECADE);
    let points = steps.map(|index| {
        let quantile = 1.0 - 1.0 / beyond(index);
        ((quantile * 1e8).round() / 1e8, histogram.value_at_quantile(quantile) as f64 / 1e3)
    });
    points.collect()
}

#[cfg(test)]
pub mod fixture {
    use super::*;

    pub fn setting() -> Setting {
        Setting {
            server: "JormunDB".into(),
            durability: "os".into(),
            item_bytes: 400,
            items: 1_000,
            indexes: 0,
            connections: 64,
            rate: None,
            note: None,
        }
    }

    /// Three right answers after 100, 200 and 300 us and a wrong one after 2.5 s, in one millisecond.
    pub fn row() -> Row {
        let mut tally = Tally::new(1);
        for micros in [100, 200, 300] {
            tally.record(0, Duration::from_micros(micros), Some(10), b"");
        }
        tally.record(0, Duration::from_millis(2_500), None, b"bad");
        let cpu = Some(Duration::from_micros(40));
        let outcome = Outcome { tally, seconds: 0.001, server_cpu: cpu, client_cpu: None };
        Row::new("operations", Workload::find("get").unwrap(), setting(), &outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_per_request() {
        let row = fixture::row();
        assert_eq!((row.requests, row.errors, row.requests_per_second), (4, 1, 4_000.0));
        assert_eq!((row.items_per_request, row.server_cpu_us, row.client_cpu_us), (7.5, Some(10.0), None));
        assert!((row.latency_us.p50 / 200.0 - 1.0).abs() < 0.002, "{:?}", row.latency_us);
    }

    #[test]
    fn percentiles_rise_and_end_where_the_values_do() {
        let mut histogram = Histogram::<u64>::new(3).unwrap();
        (1..=1_000u64).for_each(|value| histogram.record(value * 1_000).unwrap());
        let points = percentiles(&histogram);
        assert!(points.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1), "{points:?}");
        assert!((points.last().unwrap().0 - 0.999).abs() < 1e-9, "{points:?}");
    }
}
