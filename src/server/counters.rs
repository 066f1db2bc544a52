//! What one event loop counts.
//!
//! Only the loop's own thread adds, so a request costs a few loads and stores (see [`crate::metrics`]); only the
//! monitor reads. Errors are counted under a lock of the loop's own, which nobody but a scrape contends for, because
//! their types are open-ended; a request that succeeds does not come near it.

use crate::metrics::{Counter, Histogram, Reading, nanoseconds};
use crate::operation::OPERATIONS;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What a request counts as: an operation, or one of the things that are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row(u8);

/// Names of the rows after those of the operations.
const OTHER_ROWS: [&str; 5] = ["(health)", "(preflight)", "(unknown)", "(unauthorized)", "(malformed)"];

const ROW_COUNT: usize = OPERATIONS.len() + OTHER_ROWS.len();

const _: () = assert!(ROW_COUNT <= u8::MAX as usize, "a row's number is a byte");

impl Row {
    pub const HEALTH: Row = Row::other(0);
    pub const PREFLIGHT: Row = Row::other(1);
    /// No operation of ours.
    pub const UNKNOWN: Row = Row::other(2);
    /// The signature is missing or wrong.
    pub const UNAUTHORIZED: Row = Row::other(3);
    /// The head could not be read.
    pub const MALFORMED: Row = Row::other(4);

    const fn other(index: usize) -> Row {
        Row((OPERATIONS.len() + index) as u8)
    }

    /// Of the operation at an index of [`OPERATIONS`].
    pub fn of_operation(index: usize) -> Row {
        debug_assert!(index < OPERATIONS.len());
        Row(index as u8)
    }

    pub fn all() -> impl Iterator<Item = Row> {
        (0..ROW_COUNT as u8).map(Row)
    }

    pub fn name(self) -> &'static str {
        let index = usize::from(self.0);
        OPERATIONS.get(index).map_or_else(|| OTHER_ROWS[index - OPERATIONS.len()], |operation| operation.name)
    }
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// The client closed it, or asked for its end.
    Client,
    /// No request came for as long as the idle time-out allows.
    Idle,
    /// The client took too long over a request or an answer.
    Timeout,
    /// After a refusal that leaves the connection in an unknown state: malformed, too large, no memory.
    Refusal,
    /// An operation panicked.
    Fault,
    /// The server stops.
    Shutdown,
}

impl Closing {
    pub const ALL: [(Closing, &'static str); 6] = [
        (Closing::Client, "client"),
        (Closing::Idle, "idle"),
        (Closing::Timeout, "timeout"),
        (Closing::Refusal, "refusal"),
        (Closing::Fault, "fault"),
        (Closing::Shutdown, "shutdown"),
    ];
}

/// Aligned, so that no two loops write to one cache line.
#[repr(align(128))]
pub struct LoopCounters {
    rows: [RowCounters; ROW_COUNT],
    errors: Mutex<Vec<ErrorCount>>,
    closed: [Counter; Closing::ALL.len()],
    /// How late a timer of the loop fired, in nanoseconds: the time that it had no chance to look at it.
    lag: Histogram,
    slow: Counter,
}

struct RowCounters {
    /// From the arrival of the whole request to its answer being ready, in nanoseconds.
    times: Histogram,
    /// Requests whose body was not read to its end.
    unread: Counter,
    request_bytes: Counter,
    response_bytes: Counter,
}

impl RowCounters {
    const fn new() -> RowCounters {
        RowCounters {
            times: Histogram::of_times(),
            unread: Counter::new(),
            request_bytes: Counter::new(),
            response_bytes: Counter::new(),
        }
    }
}

/// Answers with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorCount {
    pub row: Row,
    /// The name that DynamoDB's `__type` ends with.
    pub error: &'static str,
    pub count: u64,
}

/// A request that has been answered.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    pub row: Row,
    pub time: Duration,
    /// Bodies as sent.
    pub request_bytes: usize,
    pub response_bytes: usize,
    pub error: Option<&'static str>,
}

/// The sums over several loops for one row.
#[derive(Clone, Debug)]
pub struct RowFigures {
    pub row: Row,
    pub requests: u64,
    pub times: Reading,
    pub request_bytes: u64,
    pub response_bytes: u64,
}

impl Default for LoopCounters {
    fn default() -> LoopCounters {
        LoopCounters {
            rows: [const { RowCounters::new() }; ROW_COUNT],
            errors: Mutex::default(),
            closed: [const { Counter::new() }; Closing::ALL.len()],
            lag: Histogram::of_times(),
            slow: Counter::new(),
        }
    }
}

/// For the loop's own thread.
impl LoopCounters {
    pub fn answered(&self, answered: &Answered) {
        let row = &self.rows[usize::from(answered.row.0)];
        row.times.observe_alone(nanoseconds(answered.time));
        row.request_bytes.add_alone(answered.request_bytes as u64);
        row.response_bytes.add_alone(answered.response_bytes as u64);
        if let Some(error) = answered.error {
            self.failed(answered.row, error);
        }
    }

    /// A request that was refused before its body was read to its end.
    pub fn unread(&self, row: Row, error: &'static str) {
        self.rows[usize::from(row.0)].unread.add_alone(1);
        self.failed(row, error);
    }

    fn failed(&self, row: Row, error: &'static str) {
        let mut errors = self.lock_errors();
        match errors.iter_mut().find(|known| known.row == row && known.error == error) {
            Some(known) => known.count += 1,
            None => errors.push(ErrorCount { row, error, count: 1 }),
        }
    }

    pub fn closed(&self, closing: Closing) {
        self.closed[closing as usize].add_alone(1);
    }

    /// A request took as long as is to be logged.
    pub fn slow(&self) {
        self.slow.add_alone(1);
    }

    pub fn lagged(&self, late: Duration) {
        self.lag.observe_alone(nanoseconds(late));
    }

    /// A panic cannot leave the list half changed.
    fn lock_errors(&self) -> MutexGuard<'_, Vec<ErrorCount>> {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For the monitor.
impl LoopCounters {
    pub fn slow_count(&self) -> u64 {
        self.slow.get()
    }

    pub fn lag(&self) -> Reading {
        self.lag.reading()
    }

    /// The sums of all loops, of every row in their order.
    pub fn rows<'c>(loops: impl Iterator<Item = &'c LoopCounters> + Clone) -> Vec<RowFigures> {
        let figures = |row: Row| {
            let counters = loops.clone().map(|counters| &counters.rows[usize::from(row.0)]);
            let sum = |counter: fn(&RowCounters) -> &Counter| counters.clone().map(|row| counter(row).get()).sum();
            let times = Reading::total(counters.clone().map(|row| row.times.reading()))?;
            let unread: u64 = sum(|row| &row.unread);
            Some(RowFigures {
                row,
                requests: times.count() + unread,
                times,
                request_bytes: sum(|row| &row.request_bytes),
                response_bytes: sum(|row| &row.response_bytes),
            })
        };
        Row::all().filter_map(figures).collect()
    }

    pub fn errors<'c>(loops: impl Iterator<Item = &'c LoopCounters>) -> Vec<ErrorCount> {
        let mut total: Vec<ErrorCount> = Vec::new();
        for counters in loops {
            for &error in counters.lock_errors().iter() {
                match total.iter_mut().find(|known| known.row == error.row && known.error == error.error) {
                    Some(known) => known.count += error.count,
                    None => total.push(error),
                }
            }
        }
        total
    }

    pub fn closings<'c>(loops: impl Iterator<Item = &'c LoopCounters> + Clone) -> Vec<(&'static str, u64)> {
        let sum = |closing: Closing| loops.clone().map(|counters| counters.closed[closing as usize].get()).sum();
        Closing::ALL.iter().map(|&(closing, name)| (name, sum(closing))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_names_and_closings_are_in_order() {
        let names: Vec<_> = Row::all().map(Row::name).collect();
        assert_eq!(names.len(), ROW_COUNT);
        assert_eq!(Row::of_operation(0).name(), OPERATIONS[0].name);
        assert_eq!(Row::HEALTH.name(), "(health)");
        assert_eq!(Row::MALFORMED.name(), "(malformed)");
        for (index, (closing, _)) in Closing::ALL.iter().enumerate() {
            assert_eq!(*closing as usize, index);
        }
    }

    #[test]
    fn loops_add_up() {
        let loops = [LoopCounters::default(), LoopCounters::default()];
        let row = Row::of_operation(3);
        let answered =
            |error| Answered { row, time: Duration::from_micros(7), request_bytes: 10, response_bytes: 100, error };
        for counters in &loops {
            counters.answered(&answered(None));
            counters.answered(&answered(Some("ValidationException")));
            counters.unread(row, "RequestTooLarge");
            counters.closed(Closing::Idle);
        }
        loops[1].answered(&answered(Some("ValidationException")));
        let rows = LoopCounters::rows(loops.iter());
        let figures = rows.iter().find(|figures| figures.row == row).expect("each row is there");
        assert_eq!((figures.requests, figures.times.count(), figures.times.sum), (7, 5, 35_000));
        assert_eq!((figures.request_bytes, figures.response_bytes), (50, 500));
        assert!(rows.iter().all(|other| other.row == row || other.requests == 0));
        let count = |error, count| ErrorCount { row, error, count };
        let errors = LoopCounters::errors(loops.iter());
        assert_eq!(errors, [count("ValidationException", 3), count("RequestTooLarge", 2)]);
        let closings = LoopCounters::closings(loops.iter());
        assert!(closings.iter().all(|&(name, count)| count == if name == "idle" { 2 } else { 0 }), "{closings:?}");
    }
}
