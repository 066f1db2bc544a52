//! The monitor: metrics and health on an address of their own.
//!
//! ```text
//! GET /metrics   OpenMetrics text (see `figures`)
//! GET /healthz   200 as long as the process answers
//! GET /readyz    200 while requests are served and writes can be acknowledged, else 503 with the reason
//!
//!            Monitor::serving            Monitor::stopping
//! Starting ------------------> Serving -------------------> Stopping
//! ```
//!
//! A plain thread accepts, and each connection has a thread for its one request: a scrape may take milliseconds and
//! must not hold up a loop. It may be reached by anybody, so invariants are:
//!
//! 1. At most [`CONNECTION_COUNT_MAX`] connections at a time, the others are told so and closed.
//! 2. A head has at most [`HEAD_BYTES_MAX`] bytes; a whole exchange takes at most [`EXCHANGE_TIME_MAX`], however slowly
//!    the client sends or reads.
//! 3. One page of metrics is made at a time.

mod figures;

mod page;

mod process;

use crate::http::request::{self, Method};
use crate::operation::Service;
use crate::server::{Observed, StartError};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A few scrapers and probes.
const CONNECTION_COUNT_MAX: usize = 16;

/// Scrapers send some 300 bytes.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// Prometheus gives up after ten seconds by default.
const EXCHANGE_TIME_MAX: Duration = Duration::from_secs(5);

const TEXT: &str = "text/plain; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The running monitor.
pub struct Monitor {
    address: SocketAddr,
    listener: Arc<TcpListener>,
    state: Arc<State>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    sources: OnceLock<Sources>,
    stopping: AtomicBool,
    closed: AtomicBool,
    connections: AtomicUsize,
    /// Held while a page is made.
    page: Mutex<()>,
}

/// Where the figures come from.
struct Sources {
    service: Arc<Service>,
    observed: Observed,
}

struct Answer {
    status: u16,
    content_type: &'static str,
    body: String,
}

impl Monitor {
    /// Listens and answers from now on; `/readyz` says that the server starts.
    pub fn start(address: SocketAddr) -> Result<Monitor, StartError> {
        let failed = |error| StartError::Bind { address, error };
        let listener = Arc::new(TcpListener::bind(address).map_err(failed)?);
        let address = listener.local_addr().map_err(failed)?;
        let state = Arc::<State>::default();
        let (listening, shared) = (Arc::clone(&listener), Arc::clone(&state));
        let body = move || accept(&listening, &shared);
        let thread = thread::Builder::new().name("monitor".into()).spawn(body).map_err(StartError::Thread)?;
        Ok(Monitor { address, listener, state, thread })
    }

    /// The real address, also when port 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Requests are served.
    pub fn serving(&self, service: &Arc<Service>, observed: Observed) {
        // Called once; a second call would change nothing.
        let _ = self.state.sources.set(Sources { service: Arc::clone(service), observed });
    }

    /// No new requests are served.
    pub fn stopping(&self) {
        self.state.stopping.store(true, Ordering::Relaxed);
    }

    /// Ends the thread. Exchanges that have begun end with their time or the process.
    pub fn stop(self) {
        self.state.closed.store(true, Ordering::SeqCst);
        // The pending accept returns with an error.
        if let Err(error) = socket2::SockRef::from(&*self.listener).shutdown(Shutdown::Both) {
            tracing::warn!(%error, "cannot stop the monitor");
            return;
        }
        super::join(self.thread);
    }
}

fn accept(listener: &TcpListener, state: &Arc<State>) {
    while !state.closed.load(Ordering::SeqCst) {
        match listener.accept() {
            Ok((stream, _)) => admit(stream, state),
            Err(_) if state.closed.load(Ordering::SeqCst) => return,
            Err(error) => {
                tracing::warn!(%error, "the monitor cannot accept a connection");
                thread::sleep(Duration::from_millis(100));
            }
        }
    }
}

/// Starts a connection's thread, if there is room for one more.
fn admit(mut stream: TcpStream, state: &Arc<State>) {
    let place = Place(Arc::clone(state));
    if state.connections.fetch_add(1, Ordering::Relaxed) >= CONNECTION_COUNT_MAX {
        // It fits into the empty send buffer of a new socket.
        let _ = stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        return;
    }
    let body = move || {
        if let Err(error) = exchange(&mut stream, &place.0) {
            tracing::debug!(%error, "an exchange with the monitor failed");
        }
        drop(place);
    };
    if let Err(error) = thread::Builder::new().name("monitor".into()).spawn(body) {
        tracing::warn!(%error, "the monitor cannot start a thread");
    }
}

/// A place among the connections, given back when dropped.
struct Place(Arc<State>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Reads one request and answers it.
fn exchange(stream: &mut TcpStream, state: &State) -> io::Result<()> {
    let deadline = Instant::now() + EXCHANGE_TIME_MAX;
    let mut input = Vec::new();
    let (answer, with_body) = loop {
        match request::parse(&input) {
            Ok(Some(head)) => {
                break match head.method {
                    Method::Get => (state.answer(head.path), true),
                    Method::Head => (state.answer(head.path), false),
                    _ => (Answer::text(405, "GET only"), true),
                };
            }
            Ok(None) if input.len() < HEAD_BYTES_MAX => {}
            Ok(None) | Err(_) => break (Answer::text(400, "not a request that is understood here"), true),
        }
        stream.set_read_timeout(Some(left(deadline)?))?;
        let mut chunk = [0; 2048];
        match stream.read(&mut chunk)? {
            0 => return Ok(()),
            count => input.extend_from_slice(&chunk[..count]),
        }
    };
    let mut output = format!(
        "HTTP/1.1 {} {}\r\ncontent-type: {}\r\ncontent-length: {}\r\ncache-control: no-store\r\nconnection: \
         close\r\n\r\n",
        answer.status,
        reason(answer.status),
        answer.content_type,
        answer.body.len()
    );
    if with_body {
        output.push_str(&answer.body);
    }
    let mut rest = output.as_bytes();
    while !rest.is_empty() {
        stream.set_write_timeout(Some(left(deadline)?))?;
        let count = stream.write(rest)?;
        rest = &rest[count..];
    }
    stream.shutdown(Shutdown::Write)
}

/// The time until a deadline, never zero.
fn left(deadline: Instant) -> io::Result<Duration> {
    match deadline.checked_duration_since(Instant::now()) {
        Some(left) if !left.is_zero() => Ok(left),
        _ => Err(io::ErrorKind::TimedOut.into()),
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        _ => "Service Unavailable",
    }
}

impl Answer {
    fn text(status: u16, text: &str) -> Answer {
        Answer { status, content_type: TEXT, body: format!("{text}\n") }
    }
}

impl State {
    fn answer(&self, path: &str) -> Answer {
        match path {
            "/metrics" => self.metrics(),
            "/healthz" => Answer::text(200, "alive"),
            "/readyz" => match self.readiness() {
                Ok(()) => Answer::text(200, "ready"),
                Err(reason) => Answer::text(503, &reason),
            },
            _ => Answer::text(404, "/metrics, /healthz and /readyz are here"),
        }
    }

    /// Why the server should get no requests.
    fn readiness(&self) -> Result<(), String> {
        if self.stopping.load(Ordering::Relaxed) {
            return Err("the server is stopping".into());
        }
        let sources = self.sources.get().ok_or("the server is starting")?;
        if sources.observed.audit.as_ref().is_some_and(|log| log.is_failing()) {
            return Err("the audit log cannot be written".into());
        }
        sources.service.store.check_writable().map_err(|error| error.to_string())
    }

    fn metrics(&self) -> Answer {
        let Some(sources) = self.sources.get() else { return Answer::text(503, "the server is starting") };
        let _alone = self.page.lock().unwrap_or_else(PoisonError::into_inner);
        match figures::render(sources, self.readiness().is_ok()) {
            Ok(body) => Answer { status: 200, content_type: OPEN_METRICS, body },
            Err(error) => {
                tracing::error!(%error, "the page of metrics cannot be written");
                Answer::text(503, "the page of metrics cannot be written")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::model::arn::Location;
    use crate::operation::{Operation, Place, RequestMemory, Response, Worker};
    use crate::server::{self, Options, Server};
    use crate::storage::{Durability, Store, StoreOptions};

    fn service(path: &std::path::Path) -> Arc<Service> {
        let options = StoreOptions {
            path: path.into(),
            durability: Durability::Os,
            block_cache_bytes: 1 << 20,
            hot_cache_bytes: 1 << 20,
            memtable_bytes: 1 << 20,
            disk_reserve_bytes: 0,
            recover_damaged_log: false,
            statistics: false,
        };
        Arc::new(Service {
            store: Store::open(&options).expect("a new store opens"),
            location: Location { region: "us-east-1".into(), account: "000000000000".into() },
            endpoint: String::new(),
            clock: Clock::System,
        })
    }

    #[test]
    fn ready_from_the_start_until_a_write_fails_or_the_server_stops() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let service = service(directory.path());
        let options = Options {
            io_threads: 1,
            pool_threads: 1,
            connections_max: 1,
            idle_timeout_seconds: 60,
            request_memory_bytes: 1 << 20,
            region: "us-east-1".into(),
            verbose: false,
            slow_request_ms: 1000,
            audit: None,
            watch_lag: false,
            access_keys: None,
        };
        let listeners = server::bind(([127, 0, 0, 1], 0).into(), 1).expect("a free port");
        let server = Server::start(listeners, &options, &service).expect("the server starts");
        let state = State::default();
        let answer = |path: &str| {
            let Answer { status, body, .. } = state.answer(path);
            (status, body)
        };
        assert_eq!(answer("/readyz"), (503, "the server is starting\n".into()));
        assert_eq!(answer("/metrics").0, 503);
        assert_eq!(answer("/healthz").0, 200);
        assert!(state.sources.set(Sources { service: Arc::clone(&service), observed: server.observed() }).is_ok());
        assert_eq!(answer("/readyz"), (200, "ready\n".into()));

        service.store.fail_writes();
        let body = br#"{"TableName":"items","BillingMode":"PAY_PER_REQUEST",
            "AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}],
            "KeySchema":[{"AttributeName":"id","KeyType":"HASH"}]}"#;
        let memory = Box::new(RequestMemory { body: body.to_vec(), ..RequestMemory::default() });
        let operation = Operation::find("CreateTable").expect("an operation");
        let mut response = Response::default();
        Worker::new(Arc::clone(&service)).execute(operation, memory, Place::Pool, &mut response);
        assert_eq!((response.status, response.error), (500, Some("InternalServerError")));
        let (status, reason) = answer("/readyz");
        assert!(status == 503 && reason.starts_with("writes are refused"), "{reason}");
        assert!(answer("/metrics").1.contains("\njormundb_ready 0.0\n"));

        state.stopping.store(true, Ordering::Relaxed);
        assert_eq!(answer("/readyz"), (503, "the server is stopping\n".into()));
        server.stop();
    }
}
