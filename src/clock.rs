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
    /// Milliseconds since 1970-01-01 UTC, the precision in which DynamoDB answers times.
    pub fn now_ms(&self) -> u64 {
        match self {
            // u64 milliseconds last for 584 million years.
            Clock::System => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64,
            Clock::Manual(ms) => ms.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_stands_still() {
        let ms = Arc::new(AtomicU64::new(5));
        let clock = Clock::Manual(Arc::clone(&ms));
        assert_eq!(clock.now_ms(), 5);
        ms.store(7, Ordering::Relaxed);
        assert_eq!(clock.now_ms(), 7);
        assert!(Clock::System.now_ms() > clock.now_ms());
    }
}
