//! The bounded queue in front of the committer.
//!
//! Many threads push, one takes all that is there. A push wakes the committer only if it sleeps, so under load a
//! hand-over costs a lock and no system call. What was taken counts against the bounds until it is released: a slow
//! sync shows at the door.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::commit::Committer;
use super::mutation::Mutation;

/// Mutations waiting or in work: more than the 10,000 connections that the server is built for, each with one request.
pub(super) const MUTATION_COUNT_MAX: usize = 16 * 1024;

/// Request memory of all of them: eight requests of the greatest size (16 MiB).
pub(super) const REQUEST_BYTES_MAX: usize = 128 * 1024 * 1024;

const _: () = assert!(REQUEST_BYTES_MAX >= 2 * 16 * 1024 * 1024, "two of the largest requests must fit");

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

#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Default)]
struct State {
    work: VecDeque<Work>,
    /// Pushed and not released.
    mutation_count: usize,
    request_bytes: usize,
    committer_sleeps: bool,
    closed: bool,
}

impl Queue {
    pub fn push(&self, mutation: Box<dyn Mutation>) -> Result<(), Refusal> {
        let bytes = mutation.request_bytes();
        let mut state = self.lock();
        if state.closed {
            return Err(Refusal::Closed(mutation));
        }
        if state.mutation_count >= MUTATION_COUNT_MAX || state.request_bytes.saturating_add(bytes) > REQUEST_BYTES_MAX {
            return Err(Refusal::Full(mutation));
        }
        state.mutation_count += 1;
        state.request_bytes += bytes;
        self.add(state, Work::Commit(mutation));
        Ok(())
    }

    /// Returns whether the queue is open. Not bounded: alterations and slices of a back-fill wait for their end before
    /// the next, and there is one thread that reclaims space.
    pub fn push_run(&self, run: Box<dyn FnOnce(&mut Committer) + Send>) -> bool {
        let state = self.lock();
        if state.closed {
            return false;
        }
        self.add(state, Work::Run(run));
        true
    }

    fn add(&self, mut state: MutexGuard<'_, State>, work: Work) {
        state.work.push_back(work);
        let wake = mem::take(&mut state.committer_sleeps);
        drop(state);
        if wake {
            self.filled.notify_one();
        }
    }

    /// Waits for work and exchanges it for the (empty) `work`. `false`: closed, and all work is done.
    pub fn take(&self, work: &mut VecDeque<Work>) -> bool {
        let mut state = self.lock();
        while state.work.is_empty() {
            if state.closed {
                return false;
            }
            state.committer_sleeps = true;
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.committer_sleeps = false;
        mem::swap(&mut state.work, work);
        true
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
        state.committer_sleeps = false;
        drop(state);
        self.filled.notify_one();
    }

    pub fn is_closed(&self) -> bool {
        self.lock().closed
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
