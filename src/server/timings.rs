//! Where the time of a request goes.
//!
//! ```text
//! receive -> unpack -> execute ----------------------------------------------> [pack] -> [send]
//!                         |-> queue -> execute on the pool -------------------^
//!                         |-> queue -> commit -> write -> answer -------------^
//! ```
//!
//! A request is in one stage at a time; each change of stage costs one look at the clock (22 ns), and none at all
//! unless somebody wants to know: a threshold for slow requests is set, or the request asks for `Server-Timing`. A
//! GetItem that memory answers has one stage and needs no look beside the two that its histogram needs anyway.

use crate::metrics::nanoseconds;
use crate::storage::CommitTimes;
use std::io::Write;
use std::time::{Duration, Instant};

/// What is being done or waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The body arrives after the head.
    Receive,
    /// The body is decompressed.
    Unpack,
    /// Decoding, reads, and the encoding of an answer that needs no commit.
    Execute,
    /// Waiting for a thread of the pool or for the committer.
    Queue,
    /// The committer gathers a batch and decides.
    Commit,
    /// The batch is written and, in durability mode sync, synced.
    Write,
    /// The loop is woken, and the answer to a write encoded.
    Answer,
    /// The answer is compressed.
    Pack,
    /// A large answer is taken by the client.
    Send,
}

impl Stage {
    pub const ALL: [(Stage, &'static str); 9] = [
        (Stage::Receive, "receive"),
        (Stage::Unpack, "unpack"),
        (Stage::Execute, "execute"),
        (Stage::Queue, "queue"),
        (Stage::Commit, "commit"),
        (Stage::Write, "write"),
        (Stage::Answer, "answer"),
        (Stage::Pack, "pack"),
        (Stage::Send, "send"),
    ];
}

/// The stages of one request so far.
#[derive(Clone, Copy, Debug)]
pub struct Timings {
    wanted: bool,
    stage: Stage,
    since: Instant,
    /// In [`TICK_NANOSECONDS`].
    ticks: [u32; Stage::ALL.len()],
}

/// Every connection has its timings, so a stage's time takes four bytes: up to seven minutes.
const TICK_NANOSECONDS: u64 = 100;

impl Timings {
    /// A request that arrived at `arrived` and, if its body was not with its head, is received only now.
    pub fn begin(arrived: Instant, wanted: bool) -> Timings {
        Timings { wanted, stage: Stage::Execute, since: arrived, ticks: [0; Stage::ALL.len()] }
    }

    /// A stage begins now.
    pub fn enter(&mut self, stage: Stage) {
        if self.wanted {
            self.enter_at(stage, Instant::now());
        }
    }

    /// A stage began at `at`.
    pub fn enter_at(&mut self, stage: Stage, at: Instant) {
        if self.wanted {
            // Never back: two threads may have looked at the clock in another order than they tell of it.
            let at = at.max(self.since);
            self.add(self.stage, at - self.since);
            self.stage = stage;
            self.since = at;
        }
    }

    /// A write comes back from the committer.
    pub fn committed(&mut self, times: CommitTimes) {
        self.enter_at(Stage::Commit, times.taken);
        self.enter_at(Stage::Write, times.decided);
        self.enter_at(Stage::Answer, times.written);
    }

    fn add(&mut self, stage: Stage, time: Duration) {
        let ticks = u32::try_from(nanoseconds(time) / TICK_NANOSECONDS).unwrap_or(u32::MAX);
        let sum = &mut self.ticks[stage as usize];
        *sum = sum.saturating_add(ticks);
    }

    /// Stages that took any time, with milliseconds.
    pub fn stages(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let stages = Stage::ALL.iter().map(|&(stage, name)| (name, self.ticks[stage as usize]));
        let milliseconds = |ticks| (u64::from(ticks) * TICK_NANOSECONDS) as f64 / 1e6;
        stages.filter(|&(_, ticks)| ticks > 0).map(move |(name, ticks)| (name, milliseconds(ticks)))
    }

    /// The line of a response's head, with its CRLF.
    pub fn header(&self, total: Duration) -> Vec<u8> {
        let mut line = b"server-timing: ".to_vec();
        for (name, milliseconds) in self.stages().chain([("total", nanoseconds(total) as f64 / 1e6)]) {
            // A Vec takes whatever is written.
            let _ = write!(line, "{name};dur={milliseconds:.3}, ");
        }
        line.truncate(line.len() - 2);
        line.extend_from_slice(b"\r\n");
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(start: Instant, micros: u64) -> Instant {
        start + Duration::from_micros(micros)
    }

    #[test]
    fn a_request_is_in_one_stage_at_a_time() {
        let start = Instant::now();
        let mut timings = Timings::begin(start, true);
        timings.enter_at(Stage::Queue, after(start, 10));
        let (taken, decided, written) = (after(start, 30), after(start, 60), after(start, 1060));
        timings.committed(CommitTimes { taken, decided, written });
        timings.enter_at(Stage::Send, after(start, 1100));
        let expected = [("execute", 0.01), ("queue", 0.02), ("commit", 0.03), ("write", 1.0), ("answer", 0.04)];
        assert!(timings.stages().eq(expected), "{timings:?}");
        let header = String::from_utf8(timings.header(Duration::from_micros(1100))).expect("text");
        let expected = "server-timing: execute;dur=0.010, queue;dur=0.020, commit;dur=0.030, write;dur=1.000, \
            answer;dur=0.040, total;dur=1.100\r\n";
        assert_eq!(header, expected);
        for (index, (stage, _)) in Stage::ALL.iter().enumerate() {
            assert_eq!(*stage as usize, index);
        }
    }

    #[test]
    fn nothing_is_measured_that_nobody_wants() {
        let mut timings = Timings::begin(Instant::now(), false);
        timings.enter(Stage::Queue);
        timings.enter_at(Stage::Pack, Instant::now() + Duration::from_secs(1));
        assert_eq!(timings.stages().count(), 0);
    }

    #[test]
    fn stages_never_overlap() {
        let start = Instant::now();
        let mut timings = Timings::begin(after(start, 100), true);
        timings.enter_at(Stage::Queue, start);
        timings.enter_at(Stage::Execute, after(start, 150));
        assert!(timings.stages().eq([("queue", 0.05)]), "{timings:?}");
    }
}
