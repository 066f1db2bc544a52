//! One event loop: a thread with its own ring, listener, buffers, worker and mailbox.
//!
//! ```text
//! main task      once a second: clock, date header, deadlines; ends the loop when it is stopped and empty
//! accept task    listener -> one task per connection
//! mailbox task   eventfd -> results of the committer and the pool -> the connections that wait for them
//! connections    see `connection`
//! ```
//!
//! All tasks run on this one thread, so what they share needs no lock; no borrow of it is held across an await.

use crate::http::date::HttpDate;
use crate::http::response::RequestId;
use crate::operation::{Mailbox, PendingWrite, Response, Service, Wake, Worker};
use crate::server::access::Access;
use crate::server::budget::Budget;
use crate::server::buffers::Buffers;
use crate::server::connection::{self, Connection};
use crate::server::counters::{LoopCounters, Row};
use crate::server::mailbox::{LoopMailbox, Message, Waiters};
use crate::server::pool::Pool;
use crate::server::reaper::Reaper;
use crate::server::slow_log::{SlowLog, SlowRequest};
use crate::server::{Options, Shared, sys};
use std::cell::{Cell, RefCell};
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::Notify;
use tokio_uring::net::{TcpListener, TcpStream};

/// Submission entries of a ring: enough for every connection of a busy loop to have an operation queued between two
/// visits to the kernel. More are submitted in several visits. The ring takes 400 KB.
pub const RING_ENTRIES: u32 = 2048;

/// What a machine with little locked memory gets.
const RING_ENTRIES_FALLBACK: u32 = 256;

/// How long a stopped loop waits for requests in flight.
const DRAIN_SECONDS_MAX: u64 = 10;

/// How long the loop waits before it accepts again when there is no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How often a loop looks how late its timers are. Costs 20 us of CPU a second.
const LAG_INTERVAL: Duration = Duration::from_millis(100);

/// Clients that are told at one time that there are too many connections; beyond, they are dropped without a word.
const TURNED_AWAY_MAX: usize = 64;

/// What the tasks of a loop share.
pub struct LoopContext {
    pub options: Options,
    pub pool: Arc<Pool>,
    pub mailbox: Arc<LoopMailbox>,
    pub buffers: RefCell<Buffers>,
    pub reaper: RefCell<Reaper>,
    pub waiters: RefCell<Waiters>,
    pub counters: Arc<LoopCounters>,
    pub slow_log: SlowLog,
    /// The access keys, if the server has any.
    pub access: Option<RefCell<Access>>,
    shared: Arc<Shared>,
    service: Arc<Service>,
    worker: RefCell<Worker>,
    /// The mailbox as the committer knows it.
    reply_to: Arc<dyn Mailbox>,
    waker: Arc<dyn Wake>,
    listener: RawFd,
    started: Instant,
    seconds: Cell<u32>,
    date: Cell<HttpDate>,
    random: Cell<u64>,
    connections: Cell<usize>,
    turned_away: Cell<usize>,
    /// The loop has been told to stop, or has become empty.
    changed: Notify,
}

/// What a loop needs to start, made by the thread that starts it.
pub struct LoopSeed {
    pub listener: std::net::TcpListener,
    pub mailbox: Arc<LoopMailbox>,
    pub counters: Arc<LoopCounters>,
    pub shared: Arc<Shared>,
    pub service: Arc<Service>,
    pub pool: Arc<Pool>,
    pub options: Options,
}

/// Makes the ring of the calling thread.
pub fn new_runtime() -> io::Result<tokio_uring::Runtime> {
    let build = |entries| tokio_uring::Runtime::new(tokio_uring::builder().entries(entries));
    build(RING_ENTRIES).or_else(|error| match error.raw_os_error() {
        Some(libc::ENOMEM) => build(RING_ENTRIES_FALLBACK),
        _ => Err(error),
    })
}

/// Runs a loop on the calling thread until it is stopped and empty.
pub fn run(runtime: &tokio_uring::Runtime, seed: LoopSeed) {
    runtime.block_on(async move {
        let listener = TcpListener::from_std(seed.listener);
        let (clock, region) = (&seed.service.clock, &seed.options.region);
        let access = seed.options.access_keys.clone().map(|keys| Access::new(keys, region, clock.clone()));
        let context = Rc::new(LoopContext {
            access: access.map(RefCell::new),
            reply_to: Arc::clone(&seed.mailbox) as Arc<dyn Mailbox>,
            waker: Arc::clone(&seed.mailbox) as Arc<dyn Wake>,
            worker: RefCell::new(Worker::new(Arc::clone(&seed.service))),
            service: seed.service,
            shared: seed.shared,
            slow_log: SlowLog::new(u64::from(seed.options.slow_request_ms)),
            options: seed.options,
            pool: seed.pool,
            mailbox: seed.mailbox,
            buffers: RefCell::default(),
            reaper: RefCell::default(),
            waiters: RefCell::default(),
            counters: seed.counters,
            listener: listener.as_raw_fd(),
            started: Instant::now(),
            seconds: Cell::new(1),
            date: Cell::new(date_now()),
            random: Cell::new(uuid::Uuid::new_v4().as_u64_pair().0),
            connections: Cell::new(0),
            turned_away: Cell::new(0),
            changed: Notify::new(),
        });
        tokio_uring::spawn(receive_messages(Rc::clone(&context)));
        tokio_uring::spawn(accept_connections(Rc::clone(&context), listener));
        if context.options.watch_lag {
            tokio_uring::spawn(watch_lag(Rc::clone(&context)));
        }
        keep_time(&context).await;
    });
}

fn date_now() -> HttpDate {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    HttpDate::from_unix_seconds(since_epoch.as_secs())
}

/// The main task.
async fn keep_time(context: &LoopContext) {
    let mut stop_begun: Option<Instant> = None;
    loop {
        let _ = tokio::time::timeout(Duration::from_secs(1), context.changed.notified()).await;
        // A u32 of seconds lasts for 136 years.
        context.seconds.set(1 + context.started.elapsed().as_secs() as u32);
        context.date.set(date_now());
        let expired = context.reaper.borrow_mut().sweep(context.seconds());
        if expired > 0 {
            tracing::debug!(expired, "connections timed out");
        }
        if !context.is_stopping() {
            continue;
        }
        let begun = *stop_begun.get_or_insert_with(|| {
            context.stop_accepting();
            Instant::now()
        });
        if context.connections.get() == 0 {
            return;
        }
        if begun.elapsed().as_secs() >= DRAIN_SECONDS_MAX {
            tracing::warn!(connections = context.connections.get(), "requests still in flight are given up");
            context.reaper.borrow_mut().close_all();
            return;
        }
    }
}

/// Measures how late a timer fires: as long as the loop was busy with something else. Timers are accurate to a
/// millisecond.
async fn watch_lag(context: Rc<LoopContext>) {
    while !context.is_stopping() {
        let due = Instant::now() + LAG_INTERVAL;
        tokio::time::sleep_until(due.into()).await;
        context.counters.lagged(due.elapsed());
    }
}

async fn accept_connections(context: Rc<LoopContext>, listener: TcpListener) {
    while !context.is_stopping() {
        match listener.accept().await {
            Ok((stream, peer)) => context.welcome(stream, peer),
            Err(_) if context.is_stopping() => return,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn receive_messages(context: Rc<LoopContext>) {
    let event = match context.mailbox.event() {
        Ok(event) => tokio_uring::fs::File::from_std(event),
        Err(error) => {
            tracing::error!(%error, "an event loop has no mailbox");
            return;
        }
    };
    let mut counter = vec![0; 8];
    let mut inbox = Vec::new();
    loop {
        let (result, returned) = event.read_at(counter, 0).await;
        counter = returned;
        if let Err(error) = result {
            tracing::error!(%error, "an event loop cannot read its mailbox");
            tokio::time::sleep(ACCEPT_PAUSE).await;
        }
        context.mailbox.drain(&mut inbox);
        let mut waiters = context.waiters.borrow_mut();
        for (token, message) in inbox.drain(..) {
            waiters.deliver(token, message);
        }
        drop(waiters);
        if context.is_stopping() {
            context.changed.notify_one();
        }
    }
}

impl LoopContext {
    fn welcome(self: &Rc<Self>, stream: TcpStream, peer: SocketAddr) {
        let shared = &self.shared;
        if shared.connections.fetch_add(1, Ordering::Relaxed) >= self.options.connections_max {
            shared.connections.fetch_sub(1, Ordering::Relaxed);
            shared.connections_refused.fetch_add(1, Ordering::Relaxed);
            if self.turned_away.get() < TURNED_AWAY_MAX {
                self.turned_away.set(self.turned_away.get() + 1);
                let context = Rc::clone(self);
                tokio_uring::spawn(async move {
                    connection::turn_away(stream, Rc::clone(&context)).await;
                    context.turned_away.set(context.turned_away.get() - 1);
                });
            }
            return;
        }
        shared.connections_accepted.fetch_add(1, Ordering::Relaxed);
        self.connections.set(self.connections.get() + 1);
        tokio_uring::spawn(Connection::run(stream, peer, Rc::clone(self)));
    }

    /// Each connection calls this once, at its end.
    pub fn connection_closed(&self) {
        self.shared.connections.fetch_sub(1, Ordering::Relaxed);
        self.connections.set(self.connections.get() - 1);
        if self.connections.get() == 0 && self.is_stopping() {
            self.changed.notify_one();
        }
    }

    fn stop_accepting(&self) {
        // The pending accept completes with an error.
        sys::shutdown_socket(self.listener, Shutdown::Both);
        self.reaper.borrow_mut().close_idle();
    }

    pub fn is_stopping(&self) -> bool {
        self.shared.stopping.load(Ordering::Relaxed)
    }

    /// The loop's clock: whole seconds since its start, renewed once a second.
    pub fn seconds(&self) -> u32 {
        self.seconds.get()
    }

    pub fn date(&self) -> HttpDate {
        self.date.get()
    }

    pub fn next_request_id(&self) -> RequestId {
        RequestId::from_random([self.next_random(), self.next_random(), self.next_random()])
    }

    /// SplitMix64. Request ids must differ; nothing depends on their being hard to guess.
    fn next_random(&self) -> u64 {
        let state = self.random.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.random.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Runs something on the loop's worker. `None`: it panicked; the worker has been replaced.
    pub fn with_worker<R>(&self, action: impl FnOnce(&mut Worker) -> R) -> Option<R> {
        let mut worker = self.worker.borrow_mut();
        match catch_unwind(AssertUnwindSafe(|| action(&mut worker))) {
            Ok(result) => Some(result),
            Err(_) => {
                // The panic hook has logged where. What the worker had in hand is not to be trusted any more.
                *worker = Worker::new(Arc::clone(&self.service));
                None
            }
        }
    }

    /// Counts a slow request, and takes down what its line in the log is to say.
    pub fn note_slow(
        &self,
        row: Row,
        body: &[u8],
        request_bytes: usize,
        response: &Response,
    ) -> Option<Box<SlowRequest>> {
        self.counters.slow();
        self.slow_log.note(self.seconds(), row.name(), body, request_bytes, response)
    }

    /// Hands a write to the committer, which answers under `token`.
    pub fn submit(
        &self,
        write: Box<PendingWrite>,
        token: u64,
    ) -> Result<(), (Box<PendingWrite>, crate::error::ApiError)> {
        self.service.submit(write, &self.reply_to, &self.waker, token)
    }

    /// Waits for the message under a registered token.
    pub async fn message(&self, token: u64) -> Message {
        std::future::poll_fn(|task| self.waiters.borrow_mut().poll(token, task)).await
    }

    /// What requests in flight may hold.
    pub fn budget(&self) -> &Arc<Budget> {
        &self.shared.budget
    }
}
