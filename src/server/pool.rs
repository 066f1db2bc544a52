//! The blocking pool: threads that do what would hold up a loop.
//!
//! Reads that need the disk, long pages, the control plane, large bodies and their hashes, and the packing and
//! unpacking of compressed ones run here. The queue is bounded; a job that finds it full goes back to its loop, which
//! answers with a retryable error. A result goes to the mailbox of the job's loop. Wake-ups are coalesced on both
//! sides: a job wakes a thread only if one sleeps, and the mailbox signals once per drain.

use crate::http::auth::signature;
use crate::http::encoding::{COMPRESSED_BODY_BYTES_MIN, Coding};
use crate::metrics::{Counter, Histogram, Reading};
use crate::operation::{
    Mailbox, Operation, Outcome, PendingWrite, Place, RequestMemory, Response, Service, Step, Wake, Worker, refuse,
};
use crate::server::budget::{Budget, Charge, DECODED_BYTES_PER_BODY_BYTE};
use crate::server::door::{self, BODY_BYTES_MAX};
use crate::server::mailbox::{LoopMailbox, Message, UnpackError};
use crate::server::sys;
use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

/// Jobs that may wait for each thread. At 100 us a job the last of them waits a tenth of a second.
const JOBS_PER_THREAD_MAX: usize = 1024;

/// Long work makes way for the loops and the committer, which many wait for, where all of them want a core. A thread of
/// this niceness still gets a tenth of one.
const NICE: i32 = 10;

/// Work for the pool, and where its result goes.
pub struct Job {
    pub queued: Instant,
    pub token: u64,
    pub mailbox: Arc<LoopMailbox>,
    pub work: Work,
}

pub enum Work {
    /// Runs an operation with blocking reads; answers, or submits a write to the committer.
    Execute { operation: &'static Operation, memory: Box<RequestMemory>, response: Response, accepts: Option<Coding> },
    /// Brings the old items of a write into memory and submits the write again.
    Warm { write: Box<PendingWrite>, response: Response },
    /// Hashes a large request body, as it was sent, for its signature.
    Hash { memory: Box<RequestMemory> },
    /// Unpacks a request body.
    Unpack { coding: Coding, memory: Box<RequestMemory> },
    /// Packs an answer.
    Pack { coding: Coding, memory: Option<Box<RequestMemory>>, response: Response },
}

/// The sending side, shared by all loops.
pub struct Pool {
    state: Mutex<State>,
    available: Condvar,
    jobs_max: usize,
    thread_count: usize,
    refused: Counter,
    /// How long jobs waited for a thread, in nanoseconds.
    waits: Histogram,
}

/// A pool as it is now.
#[derive(Clone, Debug)]
pub struct PoolFigures {
    pub queued: usize,
    pub queued_max: usize,
    pub running: usize,
    pub threads: usize,
    pub refused: u64,
    pub waits: Reading,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    sleeping: usize,
    closed: bool,
}

impl Pool {
    /// Starts `threads` threads, which run until [`Pool::close`] and end when the queue is empty.
    pub fn start(
        threads: usize,
        service: &Arc<Service>,
        budget: &Arc<Budget>,
    ) -> io::Result<(Arc<Pool>, Vec<JoinHandle<()>>)> {
        let pool = Arc::new(Pool {
            state: Mutex::default(),
            available: Condvar::new(),
            jobs_max: threads * JOBS_PER_THREAD_MAX,
            thread_count: threads,
            refused: Counter::new(),
            waits: Histogram::of_times(),
        });
        let mut handles = Vec::with_capacity(threads);
        for index in 0..threads {
            let (pool, service, budget) = (Arc::clone(&pool), Arc::clone(service), Arc::clone(budget));
            let thread = thread::Builder::new().name(format!("pool-{index}"));
            handles.push(thread.spawn(move || Thread::new(service, &budget).run(&pool))?);
        }
        Ok((pool, handles))
    }

    /// Queues a job. A full queue gives it back.
    pub fn submit(&self, job: Job) -> Result<(), Job> {
        let mut state = self.lock();
        if state.queue.len() >= self.jobs_max || state.closed {
            self.refused.add(1);
            return Err(job);
        }
        state.queue.push_back(job);
        let wake = state.sleeping > 0;
        drop(state);
        if wake {
            self.available.notify_one();
        }
        Ok(())
    }

    pub fn close(&self) {
        self.lock().closed = true;
        self.available.notify_all();
    }

    /// The next job, or `None` when the pool is closed and empty.
    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.queue.pop_front() {
                return Some(job);
            }
            if state.closed {
                return None;
            }
            state.sleeping += 1;
            state = self.available.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.sleeping -= 1;
        }
    }

    pub fn figures(&self) -> PoolFigures {
        let (queued, sleeping) = {
            let state = self.lock();
            (state.queue.len(), state.sleeping)
        };
        PoolFigures {
            queued,
            queued_max: self.jobs_max,
            running: self.thread_count - sleeping,
            threads: self.thread_count,
            refused: self.refused.get(),
            waits: self.waits.reading(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs under the lock, so the state is whole even if it is marked as poisoned.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a thread owns.
struct Thread {
    service: Arc<Service>,
    worker: Worker,
    /// When it took up what it works on.
    taken: Instant,
    /// The other half of unpacking: takes the plain body, then changes places with the packed one.
    plain: Vec<u8>,
    /// What the present job needs beside what its connection holds.
    charge: Charge,
}

impl Thread {
    fn new(service: Arc<Service>, budget: &Arc<Budget>) -> Thread {
        let (worker, charge) = (Worker::new(Arc::clone(&service)), Charge::none(budget));
        Thread { service, worker, taken: Instant::now(), plain: Vec::new(), charge }
    }

    fn run(mut self, pool: &Pool) {
        if let Err(error) = sys::yield_to_others(NICE) {
            tracing::warn!(%error, "the pool's threads compete with the event loops for the cores");
        }
        while let Some(Job { queued, token, mailbox, work }) = pool.next() {
            let taken = Instant::now();
            pool.waits.observe_time(taken.saturating_duration_since(queued));
            self.taken = taken;
            let result = catch_unwind(AssertUnwindSafe(|| self.perform(token, &mailbox, work)));
            let message = result.unwrap_or_else(|_| {
                // The panic hook has logged where. What the worker had in hand is not to be trusted any more.
                self.worker = Worker::new(Arc::clone(&self.service));
                let mut response = Response::default();
                door::internal_error(&mut response);
                Some(Message::Answered { memory: None, response, packed: None, taken })
            });
            self.charge.release();
            // Without a message the committer has the request, and will answer it.
            if let Some(message) = message {
                mailbox.send(token, message);
                mailbox.wake();
            }
        }
    }

    fn perform(&mut self, token: u64, mailbox: &Arc<LoopMailbox>, work: Work) -> Option<Message> {
        match work {
            Work::Execute { operation, memory, mut response, accepts } => {
                if !self.charge.raise_to(memory.body.len() * DECODED_BYTES_PER_BODY_BYTE) {
                    door::unavailable(&mut response);
                    return Some(Message::Answered { memory: Some(memory), response, packed: None, taken: self.taken });
                }
                match self.worker.execute(operation, memory, Place::Pool, &mut response) {
                    Step::Respond(memory) | Step::Block(memory) => {
                        let packed = accepts.and_then(|coding| pack(coding, &mut response));
                        Some(Message::Answered { memory: Some(memory), response, packed, taken: self.taken })
                    }
                    Step::Commit(write) => self.submit(token, mailbox, write, response),
                }
            }
            Work::Warm { mut write, mut response } => match self.service.warm(&mut write) {
                Ok(()) => self.submit(token, mailbox, write, response),
                Err(error) => {
                    let memory = Some(self.worker.finish(*write, Outcome::Failed(error), &mut response));
                    Some(Message::Answered { memory, response, packed: None, taken: self.taken })
                }
            },
            Work::Hash { memory } => {
                let hash = signature::hash(&memory.body);
                Some(Message::Hashed { memory, hash })
            }
            Work::Unpack { coding, mut memory } => {
                if !self.charge.raise_to(BODY_BYTES_MAX) {
                    return Some(Message::Unpacked { memory, result: Err(UnpackError::NoRoom) });
                }
                let decoded = coding.decode(&memory.body, &mut self.plain, BODY_BYTES_MAX);
                std::mem::swap(&mut memory.body, &mut self.plain);
                self.plain = Vec::new();
                Some(Message::Unpacked { memory, result: decoded.map_err(UnpackError::Body) })
            }
            Work::Pack { coding, memory, mut response } => {
                let packed = pack(coding, &mut response);
                Some(Message::Answered { memory, response, packed, taken: self.taken })
            }
        }
    }

    fn submit(
        &mut self,
        token: u64,
        mailbox: &Arc<LoopMailbox>,
        write: Box<PendingWrite>,
        mut response: Response,
    ) -> Option<Message> {
        let (mailbox, waker): (Arc<dyn Mailbox>, Arc<dyn Wake>) = (mailbox.clone(), mailbox.clone());
        let (write, error) = self.service.submit(write, &mailbox, &waker, token).err()?;
        refuse(&error, &mut response);
        Some(Message::Answered { memory: Some(write.into_memory()), response, packed: None, taken: self.taken })
    }
}

/// Replaces the body of an answer that is long enough by its packed form.
fn pack(coding: Coding, response: &mut Response) -> Option<Coding> {
    if response.body.len() < COMPRESSED_BODY_BYTES_MIN {
        return None;
    }
    let mut packed = Vec::with_capacity(response.body.len() / 4);
    coding.encode(&response.body, &mut packed);
    response.body = packed;
    Some(coding)
}
