//! Time as a parameter: what needs the time asks a [`Clock`] that it was given, so that tests choose it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where the time comes from.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    #[default]
    System,
    /// Milliseconds that a test sets.
    Manual(Arc<AtomicU64>),
}

impl Clock {
    pub fn now(&self) -> Timestamp {
        match self {
            Clock::System => Timestamp::now(),
            Clock::Manual(millis) => Timestamp::from_unix_millis(millis.load(Ordering::Relaxed)),
        }
    }
}

/// Milliseconds since 1970-01-01 UTC, the precision in which DynamoDB answers times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    fn now() -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // u64 milliseconds last for 584 million years.
        Timestamp(since_epoch.as_millis() as u64)
    }

    pub const fn from_unix_millis(millis: u64) -> Timestamp {
        Timestamp(millis)
    }

    pub const fn unix_millis(self) -> u64 {
        self.0
    }

    pub const fn unix_seconds(self) -> u64 {
        self.0 / 1000
    }

    /// Seconds with their fraction, as times stand in JSON: `1772345678.123`.
    pub fn unix_seconds_fractional(self) -> f64 {
        self.0 as f64 / 1000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        let time = Timestamp::from_unix_millis(1_772_345_678_123);
        assert_eq!(time.unix_seconds(), 1_772_345_678);
        assert_eq!(format!("{}", time.unix_seconds_fractional()), "1772345678.123");
    }

    #[test]
    fn a_manual_clock_stands_still() {
        let millis = Arc::new(AtomicU64::new(5));
        let clock = Clock::Manual(Arc::clone(&millis));
        assert_eq!(clock.now(), Timestamp::from_unix_millis(5));
        millis.store(7, Ordering::Relaxed);
        assert_eq!(clock.now(), Timestamp::from_unix_millis(7));
        assert!(Clock::System.now() > clock.now());
    }
}
