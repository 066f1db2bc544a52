//! The server: sockets to operations and back.
//!
//! ```text
//! listener (one per loop) -> event_loop -> connection -> door -> operation::Worker, on the loop
//!                                             ^                     |          |
//!                                             |                  pool       committer
//!                                             +---- mailbox <-------+----------+
//! ```
//!
//! A connection lives and dies on the loop that accepted it. What a loop cannot do at once is done by the [`pool`] or
//! the committer, and comes back through the loop's [`mailbox`].

mod event_loop;

mod listener;

mod connection;

mod door;

mod access;

mod dispatch;

mod request_log;

mod counters;

mod timings;

mod slow_log;

pub mod audit;

mod monitor;

mod pool;

mod mailbox;

mod buffers;

mod budget;

mod reaper;

mod sys;

pub use access::{Access, AccessKey, AccessKeys, Secret};
pub use event_loop::RING_ENTRIES;
pub use listener::Listeners;
pub use monitor::Monitor;
pub use sys::{raise_open_files_limit, return_large_memory};

use crate::operation::{Service, Wake};
use audit::AuditLog;
use budget::Budget;
use counters::LoopCounters;
use event_loop::LoopSeed;
use mailbox::LoopMailbox;
use pool::Pool;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

/// What the server is told.
#[derive(Clone)]
pub struct Options {
    /// One per listening socket.
    pub io_threads: usize,
    pub pool_threads: usize,
    pub connections_max: usize,
    pub idle_timeout_seconds: u32,
    /// What requests in flight may hold, see [`budget`].
    pub request_memory_bytes: usize,
    /// Names the server in its health answer.
    pub region: String,
    /// Log each request.
    pub verbose: bool,
    /// Log requests that take as long; 0: none.
    pub slow_request_ms: u32,
    /// Where writes are noted.
    pub audit: Option<Arc<AuditLog>>,
    /// Measure how late the loops' timers are.
    pub watch_lag: bool,
    /// Who may use the server; `None`: whoever can connect.
    pub access_keys: Option<Arc<AccessKeys>>,
}

/// What all loops share.
pub struct Shared {
    stopping: AtomicBool,
    connections: AtomicUsize,
    connections_accepted: AtomicU64,
    connections_refused: AtomicU64,
    budget: Arc<Budget>,
}

impl Shared {
    fn new(options: &Options) -> Shared {
        Shared {
            stopping: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
            connections_accepted: AtomicU64::new(0),
            connections_refused: AtomicU64::new(0),
            budget: Arc::new(Budget::new(options.request_memory_bytes)),
        }
    }
}

impl Shared {
    fn connection_counts(&self) -> ConnectionCounts {
        ConnectionCounts {
            open: self.connections.load(Ordering::Relaxed),
            accepted: self.connections_accepted.load(Ordering::Relaxed),
            refused: self.connections_refused.load(Ordering::Relaxed),
        }
    }
}

/// Counters of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionCounts {
    pub open: usize,
    pub accepted: u64,
    /// Told that there are too many.
    pub refused: u64,
}

/// The parts of a server that count.
pub struct Observed {
    shared: Arc<Shared>,
    loops: Vec<Arc<LoopCounters>>,
    pool: Arc<Pool>,
    audit: Option<Arc<AuditLog>>,
    connections_max: usize,
}

/// A running server.
pub struct Server {
    address: SocketAddr,
    connections_max: usize,
    audit: Option<Arc<AuditLog>>,
    shared: Arc<Shared>,
    mailboxes: Vec<Arc<LoopMailbox>>,
    loops: Vec<JoinHandle<()>>,
    counters: Vec<Arc<LoopCounters>>,
    pool: Arc<Pool>,
    pool_threads: Vec<JoinHandle<()>>,
}

/// Why a server cannot start, with the likely cause.
#[derive(Debug)]
pub enum StartError {
    Bind { address: SocketAddr, error: io::Error },
    Ring(io::Error),
    Thread(io::Error),
}

/// Binds one socket for each loop. The address is known before the rest exists, and a port that is taken is found out
/// before the store is opened; whoever connects already waits for [`Server::start`].
pub fn bind(address: SocketAddr, io_threads: usize) -> Result<Listeners, StartError> {
    Listeners::bind(address, io_threads).map_err(|error| StartError::Bind { address, error })
}

impl Server {
    /// Makes the rings and starts serving. When this returns, connections are accepted.
    pub fn start(listeners: Listeners, options: &Options, service: &Arc<Service>) -> Result<Server, StartError> {
        let address = listeners.address();
        let listeners = listeners.listen().map_err(|error| StartError::Bind { address, error })?;
        let shared = Arc::new(Shared::new(options));
        let (pool, pool_threads) =
            Pool::start(options.pool_threads, service, &shared.budget).map_err(StartError::Thread)?;
        let mut server = Server {
            address,
            connections_max: options.connections_max,
            audit: options.audit.clone(),
            shared,
            mailboxes: Vec::new(),
            loops: Vec::new(),
            counters: Vec::new(),
            pool,
            pool_threads,
        };
        for (index, listener) in listeners.into_iter().enumerate() {
            if let Err(error) = server.start_loop(index, listener, options, service) {
                server.stop();
                return Err(error);
            }
        }
        Ok(server)
    }

    /// Returns when the loop's ring exists, since only its own thread can make it.
    fn start_loop(
        &mut self,
        index: usize,
        listener: TcpListener,
        options: &Options,
        service: &Arc<Service>,
    ) -> Result<(), StartError> {
        let mailbox = Arc::new(LoopMailbox::new().map_err(StartError::Thread)?);
        let counters = Arc::<LoopCounters>::default();
        let seed = LoopSeed {
            listener,
            counters: Arc::clone(&counters),
            mailbox: Arc::clone(&mailbox),
            shared: Arc::clone(&self.shared),
            service: Arc::clone(service),
            pool: Arc::clone(&self.pool),
            options: options.clone(),
        };
        let (report, started) = mpsc::channel();
        let body = move || match event_loop::new_runtime() {
            Ok(runtime) => {
                // The starter waits for this, so it is there to receive it.
                let _ = report.send(Ok(()));
                event_loop::run(&runtime, seed);
            }
            Err(error) => {
                let _ = report.send(Err(error));
            }
        };
        let thread = thread::Builder::new().name(format!("loop-{index}")).spawn(body).map_err(StartError::Thread)?;
        self.mailboxes.push(mailbox);
        self.counters.push(counters);
        self.loops.push(thread);
        match started.recv() {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(StartError::Ring(error)),
            Err(_) => Err(StartError::Ring(io::Error::other("the thread of the event loop has ended"))),
        }
    }

    /// The real address, also when port 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn connection_counts(&self) -> ConnectionCounts {
        self.shared.connection_counts()
    }

    /// What a monitor looks at. It may be kept longer than the server.
    pub fn observed(&self) -> Observed {
        Observed {
            shared: Arc::clone(&self.shared),
            loops: self.counters.clone(),
            pool: Arc::clone(&self.pool),
            audit: self.audit.clone(),
            connections_max: self.connections_max,
        }
    }

    /// What requests in flight hold of their memory now.
    pub fn request_memory_bytes(&self) -> usize {
        self.shared.budget.held_bytes()
    }

    /// Stops accepting, closes idle connections, finishes what is in flight (for ten seconds at most) and returns when
    /// all threads have ended. The store may be closed afterwards.
    pub fn stop(self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        for mailbox in &self.mailboxes {
            mailbox.wake();
        }
        for thread in self.loops {
            join(thread);
        }
        self.pool.close();
        for thread in self.pool_threads {
            join(thread);
        }
    }
}

fn join(thread: JoinHandle<()>) {
    let name = thread.thread().name().unwrap_or_default().to_owned();
    if thread.join().is_err() {
        tracing::error!(thread = name, "a thread of the server has panicked");
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Bind { address, error } => {
                write!(f, "cannot listen on {address}: {error}")?;
                match error.kind() {
                    io::ErrorKind::AddrInUse => {
                        write!(
                            f,
                            " (another server has port {}; stop it or choose another with --port)",
                            address.port()
                        )
                    }
                    io::ErrorKind::AddrNotAvailable => {
                        write!(f, " (this machine has no such address; see --host)")
                    }
                    io::ErrorKind::PermissionDenied => {
                        write!(f, " (ports below 1024 need CAP_NET_BIND_SERVICE; see --port)")
                    }
                    _ => Ok(()),
                }
            }
            StartError::Ring(error) => {
                write!(f, "cannot set up io_uring: {error}")?;
                match error.raw_os_error() {
                    Some(libc::EPERM | libc::EACCES) => write!(
                        f,
                        " (io_uring is forbidden: by the sysctl kernel.io_uring_disabled, or by the seccomp profile of \
                         the container; with Docker use --security-opt seccomp=unconfined or a profile that allows it)"
                    ),
                    Some(libc::ENOSYS) => write!(f, " (this kernel has no io_uring: Linux 5.11 or later is needed)"),
                    Some(libc::ENOMEM) => write!(f, " (too little locked memory: raise `ulimit -l`)"),
                    Some(libc::EMFILE | libc::ENFILE) => write!(f, " (too few open files: raise `ulimit -n`)"),
                    _ => Ok(()),
                }
            }
            StartError::Thread(error) => write!(f, "cannot start a thread: {error}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StartError::Bind { error, .. } | StartError::Ring(error) | StartError::Thread(error) => Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_errors_name_the_likely_cause() {
        let bind = |code| StartError::Bind {
            address: "127.0.0.1:80".parse().expect("an address"),
            error: io::Error::from_raw_os_error(code),
        };
        let ring = |code| StartError::Ring(io::Error::from_raw_os_error(code));
        let rows = [
            (bind(libc::EADDRINUSE), "another server has port 80"),
            (bind(libc::EADDRNOTAVAIL), "--host"),
            (bind(libc::EACCES), "ports below 1024"),
            (ring(libc::EPERM), "kernel.io_uring_disabled"),
            (ring(libc::ENOSYS), "Linux 5.11"),
            (ring(libc::ENOMEM), "ulimit -l"),
            (ring(libc::EMFILE), "ulimit -n"),
        ];
        for (error, cause) in rows {
            assert!(error.to_string().contains(cause), "{error}");
        }
    }
}
