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

/// `2024-11-18T14:36:44.149`, UTC: stream labels, and with a Z times for people.
pub fn utc_label(epoch_ms: u64) -> String {
    const DAY_MS: u64 = 24 * 60 * 60 * 1000;
    let (year, month, day) = civil_date(epoch_ms / DAY_MS);
    let (seconds, ms) = (epoch_ms % DAY_MS / 1000, epoch_ms % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}")
}

/// Year, month and day of a number of days since 1970-01-01. Counts years from March on, so that the leap day is the
/// last.
fn civil_date(days: u64) -> (u64, u64, u64) {
    const DAYS_PER_ERA: u64 = 146_097;
    // From 0000-03-01 to 1970-01-01.
    let days = days + 719_468;
    let (era, day_of_era) = (days / DAYS_PER_ERA, days % DAYS_PER_ERA);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let (month, next_year) = if month_from_march < 10 { (month_from_march + 3, 0) } else { (month_from_march - 9, 1) };
    (era * 400 + year_of_era + next_year, month, day)
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

    #[test]
    fn labels_are_utc_dates() {
        for (epoch_ms, label) in [
            (0, "1970-01-01T00:00:00.000"),
            (951_782_400_001, "2000-02-29T00:00:00.001"),
            (1_709_164_800_000, "2024-02-29T00:00:00.000"),
            (1_731_940_604_149, "2024-11-18T14:36:44.149"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000"),
        ] {
            assert_eq!(utc_label(epoch_ms), label);
        }
    }
}
