//! The bounded queue in front of the committer.
//!
//! Many threads push, one takes all that is there. A push wakes the committer only if it sleeps and there is as much
//! work as it waits for, so under load a hand-over costs a lock and no system call. What was taken counts against the
//! bounds until it is released: a slow sync shows at the door. So does a committer that is held up, by RocksDB (write
//! stalls) or the disk: after [`HELD_UP_MS_MAX`] nothing more is taken, and clients hear it at once instead of waiting.

use std::collections::VecDeque;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::commit::Committer;
use super::mutation::Mutation;
use crate::metrics::Histogram;

/// Mutations waiting or in work: more than the 10,000 connections that the server is built for, each with one request.
pub(super) const MUTATION_COUNT_MAX: usize = 16 * 1024;

/// Request memory of all of them: eight requests of the greatest size (16 MiB).
pub(super) const REQUEST_BYTES_MAX: usize = 128 * 1024 * 1024;

const _: () = assert!(REQUEST_BYTES_MAX >= 2 * 16 * 1024 * 1024, "two of the largest requests must fit");

/// A batch takes longer only if something holds it up. Shorter than the patience of any client.
pub(super) const HELD_UP_MS_MAX: u64 = 2000;

/// What the committer works on.
pub(super) enum Work {
    Commit(Box<dyn Mutation>),
    /// Anything else that must not run at the same time as a commit.
    Run(Box<dyn FnOnce(&mut Committer) + Send>),
}

/// Why a mutation was not taken; it comes back to its sender.
pub(super) enum Refusal {
    Full(Box<dyn Mutation>),
    Closed(Box<dyn Mutation>),
}

/// What a wait for work ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// There is work, and nobody was waited for in vain.
    Work,
    /// There is work, but those who were waited for did not come.
    WorkLate,
    /// The queue is closed, and all work is done.
    Closed,
}

pub(super) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    created: Instant,
    /// When the batch in work was begun, in milliseconds since `created`; 0: there is none.
    begun_ms: AtomicU64,
    /// How long the first of what is taken together had waited, in nanoseconds.
    pub waits: Histogram,
}

impl Default for Queue {
    fn default() -> Queue {
        Queue {
            state: Mutex::default(),
            filled: Condvar::new(),
            created: Instant::now(),
            begun_ms: AtomicU64::new(0),
            waits: Histogram::of_times(),
        }
    }
}

#[derive(Default)]
struct State {
    work: VecDeque<Work>,
    /// When the first of `work` came.
    first_pushed: Option<Instant>,
    /// Pushed and not released.
    mutation_count: usize,
    request_bytes: usize,
    /// There is work that no mutation is to be waited for with.
    urgent: bool,
    /// The committer sleeps until there is as much work; 0: it is awake.
    wanted: usize,
    closed: bool,
}

impl Queue {
    pub fn push(&self, mutation: Box<dyn Mutation>) -> Result<(), Refusal> {
        let bytes = mutation.request_bytes();
        let mut state = self.lock();
        if state.closed {
            return Err(Refusal::Closed(mutation));
        }
        let is_full =
            state.mutation_count >= MUTATION_COUNT_MAX || state.request_bytes.saturating_add(bytes) > REQUEST_BYTES_MAX;
        if is_full || self.is_held_up() {
            return Err(Refusal::Full(mutation));
        }
        state.mutation_count += 1;
        state.request_bytes += bytes;
        state.first_pushed.get_or_insert_with(Instant::now);
        state.work.push_back(Work::Commit(mutation));
        self.wake(state);
        Ok(())
    }

    /// For the committer: a batch begins.
    pub fn begin(&self) {
        self.begun_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    fn is_held_up(&self) -> bool {
        let begun_ms = self.begun_ms.load(Ordering::Relaxed);
        begun_ms != 0 && self.now_ms() > begun_ms + HELD_UP_MS_MAX
    }

    /// At least 1. A u64 of milliseconds does not overflow.
    fn now_ms(&self) -> u64 {
        self.created.elapsed().as_millis() as u64 + 1
    }

    /// Returns whether the queue is open. Not bounded: alterations and slices of a back-fill wait for their end before
    /// the next, and there is one thread that reclaims space.
    pub fn push_run(&self, run: Box<dyn FnOnce(&mut Committer) + Send>) -> bool {
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        state.work.push_back(Work::Run(run));
        state.urgent = true;
        self.wake(state);
        true
    }

    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let enough = state.work.len() >= state.wanted || state.urgent || state.closed;
        if state.wanted > 0 && enough {
            state.wanted = 0;
            drop(state);
            self.filled.notify_one();
        }
    }

    /// Waits for work and exchanges it for the (empty) `work`.
    ///
    /// Whoever sent the `completed` mutations of the last batch may send the next ones soon, and those can share a
    /// batch with what is here already. So this waits for as many as both together, but not longer than `patience`.
    pub fn take(&self, work: &mut VecDeque<Work>, completed: usize, patience: Duration) -> Taken {
        self.begun_ms.store(0, Ordering::Relaxed);
        let mut taken = Taken::Work;
        let mut state = self.lock();
        let expected = state.work.len() + completed;
        let mut deadline = (!patience.is_zero()).then(|| Instant::now() + patience);
        loop {
            let count = state.work.len();
            if count > 0 && (count >= expected || deadline.is_none() || state.urgent || state.closed) {
                break;
            }
            if state.closed {
                return Taken::Closed;
            }
            match deadline {
                Some(end) => {
                    let rest = end.saturating_duration_since(Instant::now());
                    state.wanted = expected.max(1);
                    let woken = self.filled.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner);
                    state = woken.0;
                    if woken.1.timed_out() {
                        deadline = None;
                        // Some clients pause; if most came, those who are missing are not worth a word.
                        if state.work.len() < expected - expected / 4 {
                            taken = Taken::WorkLate;
                        }
                    }
                }
                None => {
                    state.wanted = 1;
                    state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
        state.wanted = 0;
        state.urgent = false;
        mem::swap(&mut state.work, work);
        let first_pushed = state.first_pushed.take();
        drop(state);
        if let Some(pushed) = first_pushed {
            self.waits.observe_time(pushed.elapsed());
        }
        taken
    }

    /// Makes room for as many mutations and bytes as were completed.
    pub fn release(&self, mutation_count: usize, request_bytes: usize) {
        let mut state = self.lock();
        state.mutation_count -= mutation_count;
        state.request_bytes -= request_bytes;
    }

    /// Refuses further work; what is in the queue is still done.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        self.wake(state);
    }

    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// A queue of which the batch in work was begun so long ago.
    #[cfg(test)]
    pub fn with_batch_begun(ago: Duration) -> Queue {
        let created = Instant::now().checked_sub(ago + Duration::from_millis(1)).expect("the machine runs for longer");
        Queue { created, begun_ms: AtomicU64::new(1), ..Queue::default() }
    }

    /// What a sleeping committer waits for.
    #[cfg(test)]
    pub fn wanted(&self) -> usize {
        self.lock().wanted
    }

    /// Mutations waiting or in work, and their bytes.
    pub fn depth(&self) -> (usize, usize) {
        let state = self.lock();
        (state.mutation_count, state.request_bytes)
    }

    /// A panic while the lock is held cannot leave the state half changed, so poisoning is of no use here.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
