//! Counters and histograms: what every layer counts with.
//!
//! A number is one atomic word that is read only by whoever shows it, so nothing here locks, allocates or formats. Two
//! ways to add lead to the same number: [`Counter::add`] may be called by any number of threads and costs a locked
//! instruction (20 cycles); [`Counter::add_alone`] is for a counter that one thread at a time changes, as each event
//! loop has its own, and costs a load and a store. Whoever shows the numbers sums them over the loops.
//!
//! Invariant: numbers only grow. A reader may see one request in one number and not yet in another.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Times in nanoseconds: from an answer out of memory to a client that has given up.
pub const TIME_BOUNDS: &[u64] = &[
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// Numbers of things that are done together.
pub const COUNT_BOUNDS: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];

/// Buckets of a histogram, the one without a bound included.
const BUCKET_COUNT_MAX: usize = 20;

const _: () = assert!(TIME_BOUNDS.len() < BUCKET_COUNT_MAX && COUNT_BOUNDS.len() < BUCKET_COUNT_MAX);

/// A number that grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub const fn new() -> Counter {
        Counter(AtomicU64::new(0))
    }

    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// Adds to a counter that no other thread changes at this time; otherwise amounts would be lost.
    pub fn add_alone(&self, amount: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How often values were at most each bound, and their sum.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    /// Values that exceed the bound before and not their own; the bucket after the last bound takes the rest.
    buckets: [Counter; BUCKET_COUNT_MAX],
    sum: Counter,
}

impl Histogram {
    /// Of durations, in nanoseconds.
    pub const fn of_times() -> Histogram {
        Histogram::with_bounds(TIME_BOUNDS)
    }

    /// Of numbers of things.
    pub const fn of_counts() -> Histogram {
        Histogram::with_bounds(COUNT_BOUNDS)
    }

    const fn with_bounds(bounds: &'static [u64]) -> Histogram {
        Histogram { bounds, buckets: [const { Counter::new() }; BUCKET_COUNT_MAX], sum: Counter::new() }
    }

    pub fn observe(&self, value: u64) {
        self.bucket(value).add(1);
        self.sum.add(value);
    }

    pub fn observe_time(&self, time: Duration) {
        self.observe(nanoseconds(time));
    }

    /// As [`Counter::add_alone`].
    pub fn observe_alone(&self, value: u64) {
        self.bucket(value).add_alone(1);
        self.sum.add_alone(value);
    }

    fn bucket(&self, value: u64) -> &Counter {
        &self.buckets[self.bounds.partition_point(|&bound| bound < value)]
    }

    pub fn count(&self) -> u64 {
        self.buckets.iter().map(Counter::get).sum()
    }

    pub fn sum(&self) -> u64 {
        self.sum.get()
    }

    pub fn reading(&self) -> Reading {
        let counts = self.buckets[..=self.bounds.len()].iter().map(Counter::get).collect();
        Reading { bounds: self.bounds, counts, sum: self.sum.get() }
    }
}

/// A histogram as it was at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    pub bounds: &'static [u64],
    /// One for each bound and one for what exceeds them all; not cumulative.
    pub counts: Vec<u64>,
    pub sum: u64,
}

impl Reading {
    /// The sum of readings with the same bounds. `None` without any.
    pub fn total(readings: impl IntoIterator<Item = Reading>) -> Option<Reading> {
        readings.into_iter().reduce(|mut total, reading| {
            debug_assert_eq!(total.bounds, reading.bounds);
            total.counts.iter_mut().zip(&reading.counts).for_each(|(total, count)| *total += count);
            total.sum = total.sum.wrapping_add(reading.sum);
            total
        })
    }

    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// A duration as histograms and counters of time take it: 584 years fit.
pub fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_counted_in_the_first_bucket_whose_bound_it_does_not_exceed() {
        let histogram = Histogram::of_counts();
        for value in [0, 1, 2, 3, 4, 1024, 1025, u64::from(u32::MAX)] {
            histogram.observe(value);
            histogram.observe_alone(value);
        }
        let reading = histogram.reading();
        assert_eq!(reading.bounds, COUNT_BOUNDS);
        assert_eq!(reading.counts, [4, 2, 4, 0, 0, 0, 0, 0, 0, 0, 2, 4]);
        assert_eq!(reading.sum, 2 * (1 + 2 + 3 + 4 + 1024 + 1025 + u64::from(u32::MAX)));
        assert_eq!((reading.count(), histogram.count()), (16, 16));
    }

    #[test]
    fn bounds_rise() {
        for bounds in [TIME_BOUNDS, COUNT_BOUNDS] {
            assert!(bounds.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }

    #[test]
    fn readings_of_several_threads_add_up() {
        let histogram = Histogram::of_times();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1000).for_each(|_| histogram.observe_time(Duration::from_micros(20))));
            }
        });
        let reading = histogram.reading();
        assert_eq!((reading.counts[1], reading.sum), (4000, 4000 * 20_000));
        let total = Reading::total([reading.clone(), reading]).expect("two readings");
        assert_eq!((total.count(), total.counts[1], total.sum), (8000, 8000, 8000 * 20_000));
        assert_eq!(Reading::total([]), None);
    }
}
