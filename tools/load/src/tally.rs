//! What was measured: a latency histogram for each kind of request, items, errors.

use hdrhistogram::Histogram;
use std::time::Duration;

/// Nanoseconds. Latencies beyond are recorded as this much.
const LATENCY_MAX: u64 = 120_000_000_000;

/// Values are kept with this many digits: an error of at most 0.1 %.
const DIGITS: u8 = 3;

/// As much of a wrong answer is shown.
const FAILURE_BYTES: usize = 300;

#[derive(Clone, Debug)]
pub struct Tally {
    /// By step.
    pub latencies: Vec<Histogram<u64>>,
    pub items: u64,
    pub errors: u64,
    /// The first wrong answer.
    pub failure: Option<String>,
    /// Requests of an open loop that were due and had not left when it ended.
    pub unsent: u64,
}

impl Tally {
    pub fn new(steps: usize) -> Tally {
        Tally {
            latencies: (0..steps).map(|_| new_histogram()).collect(),
            items: 0,
            errors: 0,
            failure: None,
            unsent: 0,
        }
    }

    /// `items`: what the answer stood for; `None` for a wrong one, whose latency counts too.
    pub fn record(&mut self, step: usize, latency: Duration, items: Option<u64>, body: &[u8]) {
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(LATENCY_MAX);
        self.latencies[step].saturating_record(nanoseconds);
        match items {
            Some(items) => self.items += items,
            None => {
                self.errors += 1;
                self.note_failure(body);
            }
        }
    }

    /// Keeps the first wrong answer's text.
    pub fn note_failure(&mut self, body: &[u8]) {
        if self.failure.is_none() {
            let shown = &body[..body.len().min(FAILURE_BYTES)];
            self.failure = Some(String::from_utf8_lossy(shown).into_owned());
        }
    }

    /// An answer that has not come.
    pub fn note_missing(&mut self) {
        self.errors += 1;
        self.note_failure(b"no answer for more than five seconds");
    }

    pub fn merge(&mut self, other: Tally) {
        for (mine, theirs) in self.latencies.iter_mut().zip(&other.latencies) {
            mine.add(theirs).expect("all histograms have the same bounds");
        }
        self.items += other.items;
        self.errors += other.errors;
        self.failure = self.failure.take().or(other.failure);
        self.unsent += other.unsent;
    }

    pub fn requests(&self) -> u64 {
        self.latencies.iter().map(Histogram::len).sum()
    }

    /// All kinds of requests together.
    pub fn latency(&self) -> Histogram<u64> {
        let mut all = new_histogram();
        for histogram in &self.latencies {
            all.add(histogram).expect("all histograms have the same bounds");
        }
        all
    }
}

fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_MAX, DIGITS).expect("constant bounds are valid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_sorted_values() {
        let mut tally = Tally::new(2);
        for micros in 1..=10_000u64 {
            tally.record((micros % 2) as usize, Duration::from_micros(micros), Some(2), b"");
        }
        let all = tally.latency();
        for (quantile, micros) in [(0.5, 5_000), (0.9, 9_000), (0.99, 9_900), (0.999, 9_990), (1.0, 10_000)] {
            let found = all.value_at_quantile(quantile) as f64 / 1e3;
            assert!((found / f64::from(micros) - 1.0).abs() < 0.002, "{quantile}: {found}");
        }
        assert_eq!((tally.requests(), tally.items, tally.errors), (10_000, 20_000, 0));
    }

    #[test]
    fn merging_adds_and_keeps_the_first_failure() {
        let mut left = Tally::new(1);
        let mut right = Tally::new(1);
        left.record(0, Duration::from_millis(1), Some(1), b"");
        right.record(0, Duration::from_secs(1_000), None, b"first");
        right.record(0, Duration::from_millis(1), None, b"second");
        right.note_missing();
        left.merge(right);
        assert_eq!((left.requests(), left.items, left.errors), (3, 1, 3));
        assert_eq!(left.failure.as_deref(), Some("first"));
        assert!(left.latency().max() >= LATENCY_MAX, "a value out of range is kept as the largest");
    }
}
