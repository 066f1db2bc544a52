//! One connection: requests in, answers out, in order.
//!
//! ```text
//!            first bytes            complete head            complete body
//!   Idle ------------------> Head ------------------> Body ------------------> Execute
//!    ^  ^    (fill)           |      (next_head)       |      (receive_body)      |
//!    |  |                     | malformed              | too large, malformed     | answered (execute)
//!    |  |                     v                        v                          v
//!    |  |                   Linger <---------------------------------------  Output --- more complete requests: Head
//!    |  |                (drain, close)          connection: close                |
//!    |  +-------------------------------------------------------------------------+
//!    |                       everything read is answered: written at once (flush)
//!    +--- end of input, deadline of the reaper, shutdown: closed
//! ```
//!
//! Invariants:
//! 1. One request of a connection is executed at a time; its answer is in `output` before the next head is looked at.
//!    So answers leave in the order of the requests.
//! 2. `output` is bounded: it is written when it passes [`FLUSH_BYTES`], and before anything more is read.
//! 3. While nothing of a request has arrived, the connection holds a small read buffer and nothing else of the loop's.
//! 4. Whoever must act next is noted with the [`super::reaper`] before each wait, so no peer can make it endless.

use crate::http::chunked::{ChunkedDecoder, ChunkedError};
use crate::http::encoding::Coding;
use crate::http::request::{self, Framing, HeadError};
use crate::http::response::{self, ContentType, RequestId, ResponseHead};
use crate::operation::{Operation, RequestMemory, Response};
use crate::server::audit::{self, Entry};
use crate::server::budget::Charge;
use crate::server::buffers::{BODY_BYTES_KEPT_MAX, INPUT_BYTES_LARGE};
use crate::server::counters::{Answered, Closing, Row};
use crate::server::dispatch::{self, Answer};
use crate::server::door::{self, BODY_BYTES_MAX, Envelope};
use crate::server::event_loop::LoopContext;
use crate::server::reaper::{Awaited, Expiry};
use crate::server::request_log::RequestLog;
use crate::server::slow_log::SlowRequest;
use crate::server::sys;
use crate::server::timings::{Stage, Timings};
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio_uring::buf::BoundedBuf;
use tokio_uring::net::TcpStream;

/// Pipelined answers are collected up to here, then written. A larger answer is written from its own buffer.
const FLUSH_BYTES: usize = 64 * 1024;

/// How long a head may take in all, and how long a peer may let a body or an answer stand still.
const PROGRESS_SECONDS_MAX: u32 = 30;

/// A body must arrive, and an answer must be taken, at this rate on the whole, so that trickling bytes does not hold
/// memory for long.
const BYTES_PER_SECOND_MIN: usize = 64 * 1024;

/// After a refusal, this much of what the peer still sends is read and dropped, so that it gets to see the answer:
/// closing a socket with unread input makes the kernel reset the connection.
const LINGER_BYTES_MAX: usize = 2 * BODY_BYTES_MAX;
const LINGER_SECONDS_MAX: u32 = 5;

pub struct Connection {
    stream: TcpStream,
    /// For the audit log, if there is one.
    peer: Option<Box<SocketAddr>>,
    context: Rc<LoopContext>,
    /// Place with the reaper.
    watch: usize,
    /// What has been read; the bytes before `consumed` have been dealt with.
    input: Vec<u8>,
    consumed: usize,
    output: Vec<u8>,
    /// When a head that has begun to arrive must be complete.
    head_deadline: Option<u32>,
    /// What this connection holds of the memory for requests: for a large read buffer, for the body of the present
    /// request, and for answers that have not been sent.
    input_charge: Charge,
    body_charge: Charge,
    answer_charge: Charge,
    /// When the request in work had arrived in whole.
    arrived: Instant,
    /// Of the request in work.
    timings: Timings,
    /// Why it ends, unless the reaper knows better.
    closing: Closing,
}

/// What the head of an answer says beside what follows from its request.
struct Parts {
    request_id: RequestId,
    packed: Option<Coding>,
    keep_alive: bool,
    /// The line `Server-Timing`, if it was asked for.
    timing: Vec<u8>,
}

/// How the serving of a connection ended.
enum Ending {
    /// Nothing more to say or hear.
    Close,
    /// An answer has been sent that the peer should see, though it may still be sending.
    Linger,
}

/// A refusal of a request whose body cannot be read to its end.
enum BodyError {
    TooLarge,
    Malformed,
    /// The memory for requests is used up.
    NoRoom,
    Disconnected,
}

impl From<io::Error> for BodyError {
    fn from(_: io::Error) -> BodyError {
        BodyError::Disconnected
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut buffers = self.context.buffers.borrow_mut();
        buffers.take_back_input(std::mem::take(&mut self.input));
        buffers.take_back_output(std::mem::take(&mut self.output));
        // Before the stream, which is dropped after this, gives its descriptor back to the kernel.
        let expiry = self.context.reaper.borrow_mut().leave(self.watch);
        self.context.counters.closed(match expiry {
            Some(Expiry::Idle) => Closing::Idle,
            Some(Expiry::Progress) => Closing::Timeout,
            None => self.closing,
        });
        self.context.connection_closed();
    }
}

impl Connection {
    /// Serves a connection to its end.
    pub async fn run(stream: TcpStream, peer: SocketAddr, context: Rc<LoopContext>) {
        let watch = context.reaper.borrow_mut().enter(stream.as_raw_fd());
        let input = context.buffers.borrow_mut().lend_input();
        let peer = context.options.audit.as_ref().map(|_| Box::new(peer));
        let charge = || Charge::none(context.budget());
        let mut connection = Connection {
            input_charge: charge(),
            body_charge: charge(),
            answer_charge: charge(),
            stream,
            peer,
            context,
            watch,
            input,
            consumed: 0,
            output: Vec::new(),
            head_deadline: None,
            arrived: Instant::now(),
            timings: Timings::begin(Instant::now(), false),
            closing: Closing::Client,
        };
        if let Ok(Ending::Linger) = connection.serve().await {
            // Boxed, as are the other rare waits: the task of an idle connection must be small.
            Box::pin(connection.linger()).await;
        }
    }

    /// An error means that the peer is gone.
    async fn serve(&mut self) -> io::Result<Ending> {
        loop {
            match self.next_head() {
                Ok(Some(envelope)) => {
                    if let Some(ending) = self.serve_request(envelope).await? {
                        self.flush().await?;
                        return Ok(ending);
                    }
                    if self.output.len() >= FLUSH_BYTES {
                        self.flush().await?;
                    }
                }
                Ok(None) => {
                    self.flush().await?;
                    if self.unread().is_empty() && self.context.is_stopping() {
                        self.closing = Closing::Shutdown;
                        return Ok(Ending::Close);
                    }
                    if !self.make_room() {
                        self.refuse(Row::MALFORMED, door::SERVICE_UNAVAILABLE);
                        self.write_unavailable();
                        self.flush().await?;
                        return Ok(Ending::Linger);
                    }
                    if self.fill().await? == 0 {
                        return Ok(Ending::Close);
                    }
                }
                Err(error) => {
                    tracing::debug!(?error, "request head refused");
                    self.refuse(Row::MALFORMED, door::BAD_REQUEST);
                    self.write_bad_request();
                    self.flush().await?;
                    return Ok(Ending::Linger);
                }
            }
        }
    }

    fn unread(&self) -> &[u8] {
        &self.input[self.consumed..]
    }

    /// Takes a complete head from the input.
    fn next_head(&mut self) -> Result<Option<Envelope>, HeadError> {
        let Some(head) = request::parse(&self.input[self.consumed..])? else { return Ok(None) };
        let envelope = door::admit(&head, self.context.access.as_ref());
        self.consumed += head.head_bytes;
        self.head_deadline = None;
        Ok(Some(envelope))
    }

    /// Reads more input, for which there is room. Zero: the peer has finished sending.
    async fn fill(&mut self) -> io::Result<usize> {
        let now = self.context.seconds();
        let awaited = match self.input.is_empty() {
            true => Awaited::Request { until: now.saturating_add(self.context.options.idle_timeout_seconds) },
            false => Awaited::Progress { until: *self.head_deadline.get_or_insert(now + PROGRESS_SECONDS_MAX) },
        };
        self.await_from_peer(awaited);
        let buffer = std::mem::take(&mut self.input);
        let start = buffer.len();
        let (result, slice) = self.stream.read(buffer.slice(start..)).await;
        self.input = slice.into_inner();
        self.arrived = Instant::now();
        self.await_from_peer(Awaited::Nothing);
        result
    }

    /// Makes space behind the input: by forgetting what has been dealt with, then by taking a large buffer. An empty
    /// input is in a small buffer afterwards. False: the memory for requests is used up.
    fn make_room(&mut self) -> bool {
        if self.consumed == self.input.len() {
            self.input.clear();
            if self.input.capacity() >= INPUT_BYTES_LARGE {
                let mut buffers = self.context.buffers.borrow_mut();
                let small = buffers.lend_input();
                buffers.take_back_input(std::mem::replace(&mut self.input, small));
                self.input_charge.release();
            }
        } else if self.consumed > 0 {
            self.input.copy_within(self.consumed.., 0);
            self.input.truncate(self.input.len() - self.consumed);
        }
        self.consumed = 0;
        self.input.len() < self.input.capacity() || self.enlarge_input()
    }

    /// Takes a large read buffer. False: the memory for requests is used up.
    fn enlarge_input(&mut self) -> bool {
        let granted = self.input_charge.raise_to(INPUT_BYTES_LARGE);
        if granted {
            self.context.buffers.borrow_mut().enlarge_input(&mut self.input);
        }
        granted
    }

    fn await_from_peer(&self, awaited: Awaited) {
        self.context.reaper.borrow_mut().set(self.watch, awaited);
    }

    /// Receives the body and answers. `Some`: this was the connection's last request.
    async fn serve_request(&mut self, mut envelope: Envelope) -> io::Result<Option<Ending>> {
        let mut memory = self.context.buffers.borrow_mut().lend_memory();
        let wanted = envelope.server_timing || self.context.slow_log.is_on();
        self.timings = Timings::begin(self.arrived, wanted);
        let received = if envelope.is_too_large() {
            Err(BodyError::TooLarge)
        } else if self.take_whole_body(envelope.framing, &mut memory.body) {
            self.charge_body(memory.body.len())
        } else {
            self.timings.enter_at(Stage::Receive, self.arrived);
            let received = Box::pin(self.receive_body(&envelope, &mut memory.body)).await;
            self.arrived = Instant::now();
            self.timings.enter_at(Stage::Execute, self.arrived);
            received
        };
        let keep_alive = match received {
            Ok(()) => self.answer(&mut envelope, memory).await?,
            Err(error) => {
                self.context.buffers.borrow_mut().take_back_memory(memory);
                self.body_charge.release();
                return self.refuse_body(&envelope, &error).map(Some);
            }
        };
        Ok(if keep_alive { None } else { Some(Ending::Linger) })
    }

    /// The usual case: the body came with the head.
    fn take_whole_body(&mut self, framing: Framing, body: &mut Vec<u8>) -> bool {
        let unread = &self.input[self.consumed..];
        let length = match framing {
            Framing::None => 0,
            Framing::Length(length) if length <= unread.len() as u64 => length as usize,
            Framing::Length(_) | Framing::Chunked => return false,
        };
        body.extend_from_slice(&unread[..length]);
        self.consumed += length;
        true
    }

    async fn receive_body(&mut self, envelope: &Envelope, body: &mut Vec<u8>) -> Result<(), BodyError> {
        if envelope.expects_continue && self.unread().is_empty() {
            self.lend_output();
            self.output.extend_from_slice(response::CONTINUE);
        }
        // Nothing may wait in the output while the peer is waited for.
        self.flush().await?;
        match envelope.framing {
            Framing::None => Ok(()),
            // `is_too_large` has been asked, so the length fits.
            Framing::Length(length) => self.receive_counted(length as usize, body).await,
            Framing::Chunked => self.receive_chunked(body).await,
        }
    }

    /// Reads exactly `length` bytes, directly into `body`: what follows stays in the socket.
    async fn receive_counted(&mut self, length: usize, body: &mut Vec<u8>) -> Result<(), BodyError> {
        self.charge_body(length)?;
        body.extend_from_slice(&self.input[self.consumed..]);
        self.consumed = self.input.len();
        let begun = self.context.seconds();
        while body.len() < length {
            // Memory grows with what arrives, not with what is announced.
            let room = body.len().max(BODY_BYTES_KEPT_MAX / 2).min(length - body.len());
            body.reserve(room);
            self.await_from_peer(self.progress_deadline(begun, body.len()));
            let buffer = std::mem::take(body);
            let (start, end) = (buffer.len(), length.min(buffer.capacity()));
            let (result, slice) = self.stream.read(buffer.slice(start..end)).await;
            *body = slice.into_inner();
            if result? == 0 {
                return Err(BodyError::Disconnected);
            }
        }
        self.await_from_peer(Awaited::Nothing);
        Ok(())
    }

    async fn receive_chunked(&mut self, body: &mut Vec<u8>) -> Result<(), BodyError> {
        let mut decoder = ChunkedDecoder::default();
        let begun = self.context.seconds();
        loop {
            let progress = decoder.decode(&self.input[self.consumed..], body, BODY_BYTES_MAX);
            let progress = progress.map_err(|error| match error {
                ChunkedError::TooLarge => BodyError::TooLarge,
                ChunkedError::Malformed => BodyError::Malformed,
            })?;
            self.consumed += progress.consumed;
            if progress.done {
                return Ok(());
            }
            self.charge_body(body.capacity())?;
            if self.input.capacity() < INPUT_BYTES_LARGE && !self.enlarge_input() {
                return Err(BodyError::NoRoom);
            }
            // All input is consumed: an unfinished body takes every byte.
            self.input.clear();
            self.consumed = 0;
            self.await_from_peer(self.progress_deadline(begun, body.len()));
            let buffer = std::mem::take(&mut self.input);
            let (result, buffer) = self.stream.read(buffer).await;
            self.input = buffer;
            self.await_from_peer(Awaited::Nothing);
            if result? == 0 {
                return Err(BodyError::Disconnected);
            }
        }
    }

    /// The peer must make progress, and keep up the minimal rate counted from the start.
    fn progress_deadline(&self, begun: u32, transferred_bytes: usize) -> Awaited {
        // At most 256 seconds for the largest body.
        let earned = (transferred_bytes / BYTES_PER_SECOND_MIN) as u32;
        let by_rate = begun + PROGRESS_SECONDS_MAX + earned;
        Awaited::Progress { until: by_rate.min(self.context.seconds() + PROGRESS_SECONDS_MAX) }
    }

    /// `total_bytes` is what the body needs in all.
    fn charge_body(&mut self, total_bytes: usize) -> Result<(), BodyError> {
        if self.body_charge.raise_to(total_bytes) { Ok(()) } else { Err(BodyError::NoRoom) }
    }

    /// Counts a request that is answered before it has been read, which ends its connection.
    fn refuse(&mut self, row: Row, error: &'static str) {
        self.context.counters.unread(row, error);
        self.closing = Closing::Refusal;
    }

    fn refuse_body(&mut self, envelope: &Envelope, error: &BodyError) -> io::Result<Ending> {
        match error {
            BodyError::Disconnected => return Ok(Ending::Close),
            BodyError::Malformed => {
                self.refuse(envelope.row(), door::BAD_REQUEST);
                self.write_bad_request();
            }
            BodyError::TooLarge => {
                self.refuse(envelope.row(), door::REQUEST_TOO_LARGE);
                let (date, request_id) = (self.context.date(), self.context.next_request_id());
                self.lend_output();
                response::write_too_large(&date, request_id, &mut self.output);
            }
            BodyError::NoRoom => {
                self.refuse(envelope.row(), door::SERVICE_UNAVAILABLE);
                self.write_unavailable();
            }
        }
        Ok(Ending::Linger)
    }

    /// Answers a complete request, and tells whether the connection goes on.
    async fn answer(&mut self, envelope: &mut Envelope, memory: Box<RequestMemory>) -> io::Result<bool> {
        let request_bytes = memory.body.len();
        let log = self.context.options.verbose.then(|| RequestLog::begin(envelope, &memory.body));
        let mut answer =
            dispatch::perform(&self.context, envelope, memory, &mut self.body_charge, &mut self.timings).await;
        let done = Instant::now();
        self.timings.enter_at(Stage::Send, done);
        let time = done.saturating_duration_since(self.arrived);
        let audit = self.audited(envelope, &mut answer);
        let slow = self.slow(envelope, &answer, time, request_bytes);
        if let Some(memory) = answer.memory.take() {
            self.context.buffers.borrow_mut().take_back_memory(memory);
        }
        self.body_charge.release();
        if !self.answer_charge.add_answer(answer.response.body.capacity(), answer.wrote) {
            answer.response.body = Vec::new();
            answer.packed = None;
            door::unavailable(&mut answer.response);
        }
        if let Some(log) = log {
            log.end(answer.response.status);
        }
        self.context.counters.answered(&Answered {
            row: envelope.row(),
            time,
            request_bytes,
            response_bytes: answer.response.body.len(),
            error: answer.response.error,
        });
        let keep_alive = self.goes_on(envelope, answer.faulty);
        let timing = if envelope.server_timing { self.timings.header(time) } else { Vec::new() };
        let parts = Parts { request_id: self.context.next_request_id(), packed: answer.packed, keep_alive, timing };
        if answer.response.body.len() < FLUSH_BYTES && audit.is_none() && slow.is_none() {
            self.write_response(envelope, answer.response, &parts);
        } else {
            // Boxed with all that it needs, as it is rare.
            Box::pin(self.finish(envelope, answer.response, parts, audit, slow, time)).await?;
        }
        Ok(keep_alive)
    }

    /// Sends an answer that is large, or of which somebody wants to know.
    async fn finish(
        &mut self,
        envelope: &Envelope,
        response: Response,
        parts: Parts,
        audit: Option<Vec<u8>>,
        slow: Option<Box<SlowRequest>>,
        time: Duration,
    ) -> io::Result<()> {
        if let Some(members) = audit {
            self.note_write(envelope, parts.request_id, response.error, &members).await;
        }
        let request_id = parts.request_id;
        let sent = if response.body.len() >= FLUSH_BYTES {
            self.send_large(envelope, response, parts).await
        } else {
            self.write_response(envelope, response, &parts);
            Ok(())
        };
        if let Some(slow) = slow {
            self.timings.enter(Stage::Execute);
            slow.log(request_id, time, &self.timings);
        }
        sent
    }

    /// What the audit log is to say of a request, if anything.
    fn audited(&self, envelope: &Envelope, answer: &mut Answer) -> Option<Vec<u8>> {
        self.context.options.audit.as_ref()?;
        let changes_catalog = envelope.operation().is_some_and(Operation::changes_catalog);
        if changes_catalog && answer.response.status == 200 {
            return answer.memory.as_ref().map(|memory| audit::describe_change(&memory.body));
        }
        answer.audit.take()
    }

    /// What the log is to say of a request that took long.
    fn slow(
        &self,
        envelope: &Envelope,
        answer: &Answer,
        time: Duration,
        request_bytes: usize,
    ) -> Option<Box<SlowRequest>> {
        let memory = answer.memory.as_ref().filter(|_| self.context.slow_log.is_slow(time))?;
        self.context.note_slow(envelope.row(), &memory.body, request_bytes, &answer.response)
    }

    /// Notes a write in the audit log, before its answer is sent.
    async fn note_write(
        &self,
        envelope: &Envelope,
        request_id: RequestId,
        error: Option<&'static str>,
        members: &[u8],
    ) {
        let (Some(log), Some(peer)) = (&self.context.options.audit, &self.peer) else { return };
        let (client, operation) = (**peer, envelope.row().name());
        let keys = self.context.options.access_keys.as_ref();
        let access_key_id = keys.zip(envelope.verified_key).map(|(keys, place)| keys.id(place));
        log.append(&Entry { request_id, client, access_key_id, operation, error, members }).await;
    }

    /// Whether the connection is kept after this answer.
    fn goes_on(&mut self, envelope: &Envelope, faulty: bool) -> bool {
        if faulty {
            self.closing = Closing::Fault;
        } else if self.context.is_stopping() {
            self.closing = Closing::Shutdown;
        } else {
            return envelope.keep_alive;
        }
        false
    }

    fn lend_output(&mut self) {
        if self.output.capacity() == 0 {
            self.output = self.context.buffers.borrow_mut().lend_output();
        }
    }

    /// Appends an answer to the output and gives its buffer back.
    fn write_response(&mut self, envelope: &Envelope, response: Response, parts: &Parts) {
        let with_body = self.write_response_head(envelope, &response, parts);
        if with_body {
            self.output.extend_from_slice(&response.body);
        }
        self.context.buffers.borrow_mut().take_back_response(response);
    }

    /// Sends a large answer from the buffer in which it was encoded.
    async fn send_large(&mut self, envelope: &Envelope, mut response: Response, parts: Parts) -> io::Result<()> {
        let with_body = self.write_response_head(envelope, &response, &parts);
        // What was charged for this answer stays until it is sent.
        let charge = std::mem::replace(&mut self.answer_charge, Charge::none(self.context.budget()));
        self.flush().await?;
        if with_body {
            let body = std::mem::take(&mut response.body);
            response.body = self.write_all(body).await?;
        }
        drop(charge);
        self.context.buffers.borrow_mut().take_back_response(response);
        Ok(())
    }

    /// Whether the body is to follow.
    fn write_response_head(&mut self, envelope: &Envelope, response: &Response, parts: &Parts) -> bool {
        self.lend_output();
        let manner = envelope.manner(response.status);
        let head = ResponseHead {
            status: response.status,
            content_type: manner.content_type,
            content_length: response.body.len(),
            crc32: crc32fast::hash(&response.body),
            coding: parts.packed,
            keep_alive: parts.keep_alive,
            cors: envelope.cors,
            request_id: parts.request_id,
            date: &self.context.date(),
            extra_lines: if parts.timing.is_empty() { manner.extra_lines } else { &parts.timing },
        };
        head.write(&mut self.output);
        manner.with_body
    }

    /// The answer to what is not HTTP: status 400 without a body.
    fn write_bad_request(&mut self) {
        self.lend_output();
        let response = Response { status: 400, ..Response::default() };
        write_last_answer(&self.context, &response, None, &mut self.output);
    }

    /// The answer where the memory for requests is used up.
    fn write_unavailable(&mut self) {
        self.lend_output();
        write_unavailable(&self.context, &mut self.output);
    }

    /// Writes the output. Afterwards it is back with the loop.
    ///
    /// Through the ring, although the socket nearly always takes everything at once: the writes of all connections then
    /// reach the kernel together, which costs less than a `send` for each (6.1 against 6.9 us per request, 64
    /// connections).
    async fn flush(&mut self) -> io::Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        let output = std::mem::take(&mut self.output);
        let output = self.write_all(output).await?;
        self.context.buffers.borrow_mut().take_back_output(output);
        self.answer_charge.release();
        Ok(())
    }

    /// Writes a buffer that is not empty.
    async fn write_all(&self, mut buffer: Vec<u8>) -> io::Result<Vec<u8>> {
        let begun = self.context.seconds();
        let mut written = 0;
        while written < buffer.len() {
            self.await_from_peer(self.progress_deadline(begun, written));
            let (result, slice) = self.stream.write(buffer.slice(written..)).submit().await;
            buffer = slice.into_inner();
            match result? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => written += count,
            }
        }
        self.await_from_peer(Awaited::Nothing);
        Ok(buffer)
    }

    /// Sends the end of the connection and drops what still comes, for a while.
    async fn linger(&mut self) {
        sys::shutdown_socket(self.stream.as_raw_fd(), Shutdown::Write);
        self.await_from_peer(Awaited::Progress { until: self.context.seconds() + LINGER_SECONDS_MAX });
        let mut dropped_bytes = 0;
        let mut buffer = std::mem::take(&mut self.input);
        while dropped_bytes < LINGER_BYTES_MAX {
            buffer.clear();
            let (result, returned) = self.stream.read(buffer).await;
            buffer = returned;
            match result {
                Ok(count) if count > 0 => dropped_bytes += count,
                _ => break,
            }
        }
        self.input = buffer;
    }
}

/// Appends a retryable refusal, after which the connection is closed.
fn write_unavailable(context: &LoopContext, output: &mut Vec<u8>) {
    let mut response = Response::default();
    door::unavailable(&mut response);
    write_last_answer(context, &response, Some(ContentType::default()), output);
}

/// Appends the answer to a request of which nothing but its failure is known.
fn write_last_answer(
    context: &LoopContext,
    response: &Response,
    content_type: Option<ContentType>,
    output: &mut Vec<u8>,
) {
    let head = ResponseHead {
        status: response.status,
        content_type,
        content_length: response.body.len(),
        crc32: crc32fast::hash(&response.body),
        coding: None,
        keep_alive: false,
        cors: false,
        request_id: context.next_request_id(),
        date: &context.date(),
        extra_lines: b"",
    };
    head.write(output);
    output.extend_from_slice(&response.body);
}

/// Tells a client that there are too many connections. The caller has not counted this one.
pub async fn turn_away(stream: TcpStream, context: Rc<LoopContext>) {
    let fd = stream.as_raw_fd();
    let mut answer = Vec::new();
    write_unavailable(&context, &mut answer);
    let watch = context.reaper.borrow_mut().enter(fd);
    let until = context.seconds() + LINGER_SECONDS_MAX;
    context.reaper.borrow_mut().set(watch, Awaited::Progress { until });
    let (_, answer) = stream.write(answer).submit().await;
    sys::shutdown_socket(fd, Shutdown::Write);
    // One read for the request that the client has sent meanwhile, so that it gets to see the answer.
    let _ = stream.read(answer).await;
    context.reaper.borrow_mut().leave(watch);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn future_bytes<A, B, C, F>(_: impl FnOnce(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    /// Beside it, an idle connection holds its read buffer of 2 KB; 4 KB in all is the budget.
    #[test]
    fn the_task_of_a_connection_is_small() {
        let bytes = future_bytes(Connection::run);
        assert!(bytes <= 1536, "{bytes}");
    }
}
