//! One thread of the generator: non-blocking keep-alive connections on one epoll instance.
//!
//! ```text
//!          closed loop: at once                      answer complete
//! idle -- open loop: when the next is due --> busy ------------------> idle
//! ```
//!
//! Closed loop: a connection's next request leaves when its answer is there, and latency counts from then. Open loop:
//! request `n` is due at `start + n * interval`, whatever happened to the others, and latency counts from the moment it
//! was due: time that a request spends waiting for a free connection is the server's fault and is counted.

use crate::framing::Protocol;
use crate::tally::Tally;
use crate::workload::{Chooser, Plan};
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::time::Timespec;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

/// At least this often a thread looks at the window.
const WAIT_MAX: Duration = Duration::from_millis(20);

/// An answer that is still missing this long after its request, at the end of a window, is an error.
const OVERDUE: Duration = Duration::from_secs(5);

/// Read at once; larger answers are put together from several reads.
const READ_BYTES: usize = 256 * 1024;

/// Between the threads of a run and whoever directs it. A run is a sequence of windows; each request counts in the
/// window in which its answer arrives, and at the end of a window every thread hands over what it has counted.
pub struct Control {
    window: AtomicU32,
    /// Requests answered so far.
    pub completed: AtomicU64,
}

/// The window that ends a run.
pub const STOP: u32 = u32::MAX;

/// Measured windows and others, which are warm-ups and pauses, take turns.
pub fn is_measured(window: u32) -> bool {
    window % 2 == 1
}

impl Control {
    pub fn new() -> Control {
        Control { window: AtomicU32::new(0), completed: AtomicU64::new(0) }
    }

    pub fn enter(&self, window: u32) {
        self.window.store(window, Ordering::Release);
    }

    pub fn window(&self) -> u32 {
        self.window.load(Ordering::Acquire)
    }
}

/// What a thread has counted in a window.
pub type Counted = (u32, Tally);

struct Connection {
    stream: TcpStream,
    /// The part of an answer that has arrived, if not all of it has.
    input: Vec<u8>,
    output: Vec<u8>,
    sent: usize,
    awaits_room: bool,
    busy: bool,
    step: usize,
    begun: Instant,
    follow_up: Option<u64>,
}

/// A fixed rate.
struct Pace {
    due: Instant,
    interval: Duration,
}

pub struct Client<'p> {
    plan: &'p Plan<'p>,
    control: &'p Control,
    protocol: Protocol,
    chooser: Chooser,
    epoll: OwnedFd,
    address: SocketAddr,
    connections: Vec<Connection>,
    idle: Vec<usize>,
    pace: Option<Pace>,
    exhausted: bool,
    window: u32,
    tally: Tally,
    counted: Sender<Counted>,
    buffer: Vec<u8>,
}

impl<'p> Client<'p> {
    pub fn connect(
        plan: &'p Plan<'p>,
        control: &'p Control,
        address: SocketAddr,
        connections: usize,
        seed: u64,
        counted: Sender<Counted>,
    ) -> io::Result<Client<'p>> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut client = Client {
            plan,
            control,
            protocol: plan.steps[0].1.protocol(),
            chooser: Chooser::new(seed),
            epoll,
            address,
            connections: Vec::with_capacity(connections),
            idle: (0..connections).rev().collect(),
            pace: None,
            exhausted: false,
            window: 0,
            tally: Tally::new(plan.steps.len()),
            counted,
            buffer: vec![0; READ_BYTES],
        };
        for index in 0..connections {
            let stream = open(&client.epoll, address, index)?;
            client.connections.push(Connection {
                stream,
                input: Vec::new(),
                output: Vec::new(),
                sent: 0,
                awaits_room: false,
                busy: false,
                step: 0,
                begun: Instant::now(),
                follow_up: None,
            });
        }
        Ok(client)
    }

    /// Runs until it is told to stop, or until there is nothing more to ask for. `interval` makes it an open loop.
    pub fn run(mut self, interval: Option<Duration>) -> io::Result<()> {
        let result = self.run_windows(interval);
        if result.is_err() {
            self.control.enter(STOP);
        }
        result
    }

    fn run_windows(&mut self, interval: Option<Duration>) -> io::Result<()> {
        // An open loop sleeps until a request is due; the kernel's default is to wake it up to 50 us late.
        rustix::thread::set_current_timer_slack(NonZeroU64::new(1))?;
        let mut events = Vec::with_capacity(256);
        self.pace = interval.map(|interval| Pace { due: Instant::now(), interval });
        loop {
            let window = self.control.window();
            if window == STOP {
                self.end_window();
                return Ok(());
            }
            if window != self.window {
                if is_measured(self.window) {
                    self.end_window()
                } else {
                    self.hand_over()
                }
                self.window = window;
            }
            self.start_requests()?;
            if self.exhausted && self.idle.len() == self.connections.len() {
                self.end_window();
                return Ok(());
            }
            events.clear();
            let wait = self.wait_time();
            let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(wait.subsec_nanos()) };
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in &events {
                let index = { event.data }.u64() as usize;
                if { event.flags }.contains(EventFlags::OUT) {
                    self.send(index)?;
                }
                if { event.flags }.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
                    self.receive(index)?;
                }
            }
        }
    }

    fn wait_time(&self) -> Duration {
        let until_due = |pace: &Pace| pace.due.saturating_duration_since(Instant::now());
        match &self.pace {
            Some(pace) if !self.idle.is_empty() => until_due(pace).min(WAIT_MAX),
            _ => WAIT_MAX,
        }
    }

    /// Gives work to idle connections.
    fn start_requests(&mut self) -> io::Result<()> {
        let now = Instant::now();
        while !self.exhausted {
            let Some(&index) = self.idle.last() else { break };
            let begun = match &mut self.pace {
                Some(pace) if pace.due > now => break,
                Some(pace) => {
                    let due = pace.due;
                    pace.due += pace.interval;
                    due
                }
                None => now,
            };
            if self.begin(index, begun)? {
                self.idle.pop();
            }
        }
        Ok(())
    }

    /// False when there is nothing more to ask for.
    fn begin(&mut self, index: usize, begun: Instant) -> io::Result<bool> {
        let connection = &mut self.connections[index];
        connection.output.clear();
        let next = self.plan.next(&mut self.chooser, &mut connection.follow_up, &mut connection.output);
        let Some(step) = next else {
            self.exhausted = true;
            return Ok(false);
        };
        (connection.step, connection.begun, connection.sent, connection.busy) = (step, begun, 0, true);
        self.send(index)?;
        Ok(true)
    }

    fn send(&mut self, index: usize) -> io::Result<()> {
        let connection = &mut self.connections[index];
        let mut needs_room = false;
        while connection.sent < connection.output.len() && !needs_room {
            match connection.stream.write(&connection.output[connection.sent..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => connection.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => needs_room = true,
                Err(error) => return Err(error),
            }
        }
        if needs_room != connection.awaits_room {
            connection.awaits_room = needs_room;
            let flags = if needs_room { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
            epoll::modify(&self.epoll, &connection.stream, EventData::new_u64(index as u64), flags)?;
        }
        Ok(())
    }

    fn receive(&mut self, index: usize) -> io::Result<()> {
        let connection = &mut self.connections[index];
        let count = match connection.stream.read(&mut self.buffer) {
            Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "the server closed a connection")),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        let arrived = &self.buffer[..count];
        if !connection.input.is_empty() {
            connection.input.extend_from_slice(arrived);
        }
        let bytes = if connection.input.is_empty() { arrived } else { &connection.input };
        let malformed = |_| io::Error::new(ErrorKind::InvalidData, "an answer is not well-formed");
        let Some(answer) = self.protocol.frame(bytes).map_err(malformed)? else {
            if connection.input.is_empty() {
                connection.input.extend_from_slice(arrived);
            }
            return Ok(());
        };
        if !connection.busy || answer.length != bytes.len() {
            return Err(io::Error::new(ErrorKind::InvalidData, "an answer that nobody asked for"));
        }
        let now = Instant::now();
        let body = &bytes[answer.body];
        let items = if answer.success { self.plan.steps[connection.step].1.items(body) } else { None };
        self.tally.record(connection.step, now - connection.begun, items, body);
        connection.input.clear();
        connection.busy = false;
        if answer.closes {
            // Not all servers keep connections; what it costs is theirs, like the rest of their answer.
            connection.stream = open(&self.epoll, self.address, index)?;
        }
        self.control.completed.fetch_add(1, Ordering::Relaxed);
        if self.pace.is_some() || self.exhausted || !self.begin(index, now)? {
            self.idle.push(index);
        }
        Ok(())
    }

    /// Nobody receives when the run has failed; then there is nobody to tell either.
    fn hand_over(&mut self) {
        let tally = std::mem::replace(&mut self.tally, Tally::new(self.plan.steps.len()));
        let _ = self.counted.send((self.window, tally));
    }

    /// The current window is over: what is still missing of it counts as wrong. Requests that were due and have not
    /// left are given up, so that what follows does not begin with the backlog of something else.
    fn end_window(&mut self) {
        let now = Instant::now();
        for connection in self.connections.iter().filter(|connection| connection.busy) {
            if now - connection.begun > OVERDUE {
                self.tally.note_missing();
            }
        }
        if let Some(pace) = &mut self.pace {
            let behind = now.saturating_duration_since(pace.due);
            self.tally.unsent += (behind.as_secs_f64() / pace.interval.as_secs_f64()) as u64;
            pace.due = pace.due.max(now);
        }
        self.hand_over();
    }
}

/// A connection whose events bear `index`.
fn open(epoll: &OwnedFd, address: SocketAddr, index: usize) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    epoll::add(epoll, &stream, EventData::new_u64(index as u64), EventFlags::IN)?;
    Ok(stream)
}
