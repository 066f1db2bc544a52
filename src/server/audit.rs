//! The audit log: one JSON line for each write that was made, or that the state of the data refused.
//!
//! ```text
//! line = {"time","requestId","client","accessKeyId","operation","outcome","tables":[name],
//!         "keys":[{"table","key":{attribute: value}}],"keysOmitted"} LF
//!
//! connection --append--> pending (bounded) --swap--> the thread --write--> file
//!     ^                                                  |
//!     +------------- room for as many bytes -------------+
//! ```
//!
//! Invariants:
//!
//! 1. A line is queued before its answer is sent, and each line is written once. A log with holes would prove nothing,
//!    so nothing is ever dropped while the server runs: when [`PENDING_BYTES_MAX`] wait, answers wait too, and while
//!    the file cannot be written the thread tries again once a second and `/readyz` says so.
//! 2. The lines of one connection are in the order of its requests.
//! 3. What waits in the queue when the process is killed is lost: the writes are durable, their lines are not.
//! 4. A line has at most [`LINE_BYTES_MAX`] bytes; keys beyond are counted, not listed.
//!
//! SIGHUP makes the thread open the file anew, after whoever rotates logs has renamed it.

use crate::clock::Clock;
use crate::clock::utc_label;
use crate::http::response::RequestId;
use crate::metrics::Counter;
use crate::server::request_log::text_member;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Lines that wait to be written: 20,000 usual ones.
const PENDING_BYTES_MAX: usize = 8 << 20;

/// What a line may have at most: 16 KB of keys and the longest key, with every byte of it escaped.
const LINE_BYTES_MAX: usize = 64 << 10;

const _: () = assert!(PENDING_BYTES_MAX >= 16 * LINE_BYTES_MAX, "many of the longest lines may wait");

/// How often the thread looks for a reason to open the file anew, or tries again to write.
const INTERVAL: Duration = Duration::from_secs(1);

/// How often a stopping server tries to write what is left.
const LAST_ATTEMPTS_MAX: u32 = 3;

/// The log that connections append to.
pub struct AuditLog {
    pending: Mutex<Pending>,
    changed: Condvar,
    /// Bytes that may still be queued.
    room: Semaphore,
    failing: AtomicBool,
    /// Set by SIGHUP.
    reopen: Arc<AtomicBool>,
    lines: Counter,
    failures: Counter,
}

#[derive(Default)]
struct Pending {
    bytes: Vec<u8>,
    closed: bool,
}

/// A write, as far as its operation knows it.
pub struct Entry<'e> {
    pub request_id: RequestId,
    pub client: SocketAddr,
    /// Of a verified signature.
    pub access_key_id: Option<&'e str>,
    pub operation: &'static str,
    /// The type of its error, if it has one.
    pub error: Option<&'static str>,
    /// The members from `tables` on, as [`crate::operation::PendingWrite::describe`] writes them.
    pub members: &'e [u8],
}

/// The thread that writes, for the end.
pub struct AuditThread {
    log: Arc<AuditLog>,
    thread: JoinHandle<()>,
}

impl AuditLog {
    /// Opens the file for appending and starts the thread.
    pub fn start(path: &Path, reopen: Arc<AtomicBool>) -> io::Result<AuditThread> {
        let file = open(path)?;
        let log = Arc::new(AuditLog {
            pending: Mutex::default(),
            changed: Condvar::new(),
            room: Semaphore::new(PENDING_BYTES_MAX),
            failing: AtomicBool::new(false),
            reopen,
            lines: Counter::new(),
            failures: Counter::new(),
        });
        let mut writer = Writer { log: Arc::clone(&log), path: path.into(), file };
        let thread = thread::Builder::new().name("audit".into()).spawn(move || writer.run())?;
        Ok(AuditThread { log, thread })
    }

    /// Queues the line of a write; waits when too much is queued.
    pub async fn append(&self, entry: &Entry<'_>) {
        let mut line = Vec::with_capacity(512);
        entry.write(Clock::System.now_ms(), &mut line);
        // The room of a line is given back when it is written. The semaphore is never closed.
        if let Ok(room) = self.room.acquire_many(line.len().min(LINE_BYTES_MAX) as u32).await {
            room.forget();
        }
        self.lock().bytes.extend_from_slice(&line);
        self.lines.add(1);
        self.changed.notify_one();
    }

    /// The file cannot be written at present.
    pub fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// Lines queued, and failed attempts to write.
    pub fn counts(&self) -> (u64, u64) {
        (self.lines.get(), self.failures.get())
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AuditThread {
    pub fn log(&self) -> &Arc<AuditLog> {
        &self.log
    }

    /// Writes what is queued and ends the thread. Nobody may append any more.
    pub fn stop(self) {
        self.log.lock().closed = true;
        self.log.changed.notify_one();
        super::join(self.thread);
    }
}

impl Entry<'_> {
    /// Everything in it is ASCII without anything to escape, but for the members, which are JSON.
    fn write(&self, now_ms: u64, line: &mut Vec<u8>) {
        // A Vec takes whatever is written.
        let _ = write!(
            line,
            "{{\"time\":\"{}Z\",\"requestId\":\"{}\",\"client\":\"{}\",",
            utc_label(now_ms),
            self.request_id.as_str(),
            self.client
        );
        if let Some(id) = self.access_key_id {
            let _ = write!(line, "\"accessKeyId\":\"{id}\",");
        }
        let _ = write!(line, "\"operation\":\"{}\",\"outcome\":\"{}\",", self.operation, self.error.unwrap_or("ok"));
        line.extend_from_slice(self.members);
        line.extend_from_slice(b"}\n");
        debug_assert!(line.len() <= LINE_BYTES_MAX);
    }
}

/// The members of an entry for a request that changes a table or its settings: the table's name or ARN, as far as it
/// can be told without decoding the request.
pub fn describe_change(body: &[u8]) -> Vec<u8> {
    let name = [&b"\"TableName\""[..], b"\"ResourceArn\""].iter().find_map(|member| text_member(body, member));
    // Names and ARNs that were accepted have nothing to escape.
    let name = name.filter(|name| name.iter().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(byte)));
    let quote = if name.is_some() { &b"\""[..] } else { b"" };
    [b"\"tables\":[", quote, name.unwrap_or_default(), quote, b"],\"keys\":[],\"keysOmitted\":0"].concat()
}

struct Writer {
    log: Arc<AuditLog>,
    path: PathBuf,
    file: File,
}

impl Writer {
    fn run(&mut self) {
        let mut bytes = Vec::new();
        loop {
            let closed = self.take(&mut bytes);
            if self.log.reopen.swap(false, Ordering::Relaxed) {
                self.reopen();
            }
            if !self.write(&bytes) {
                let lines = bytes.iter().filter(|&&byte| byte == b'\n').count();
                tracing::error!(lines, "the end of the audit log could not be written");
            }
            self.log.room.add_permits(bytes.len());
            if closed && bytes.is_empty() {
                return;
            }
            bytes.clear();
        }
    }

    /// Waits for lines, but not longer than [`INTERVAL`], and takes them. Returns whether no more will come.
    fn take(&self, bytes: &mut Vec<u8>) -> bool {
        let idle = |pending: &mut Pending| pending.bytes.is_empty() && !pending.closed;
        let pending = self.log.lock();
        let (mut pending, _) =
            self.log.changed.wait_timeout_while(pending, INTERVAL, idle).unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut pending.bytes, bytes);
        pending.closed
    }

    /// Tries until all is written. False: the server stops, and it still cannot be.
    fn write(&mut self, mut bytes: &[u8]) -> bool {
        let mut last_attempts = 0;
        while !bytes.is_empty() {
            match self.file.write(bytes) {
                Ok(count) if count > 0 => {
                    bytes = &bytes[count..];
                    self.log.failing.store(false, Ordering::Relaxed);
                    continue;
                }
                Ok(_) => self.failed("writing", &io::ErrorKind::WriteZero.into()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => self.failed("writing", &error),
            }
            if self.log.lock().closed {
                last_attempts += 1;
                if last_attempts == LAST_ATTEMPTS_MAX {
                    return false;
                }
            }
            thread::sleep(INTERVAL);
            // Whoever makes room may have put another file in its place.
            if self.log.reopen.swap(false, Ordering::Relaxed) {
                self.reopen();
            }
        }
        true
    }

    fn reopen(&mut self) {
        match open(&self.path) {
            Ok(file) => self.file = file,
            // The file that is open goes on being written.
            Err(error) => self.failed("opening", &error),
        }
    }

    fn failed(&self, doing: &str, error: &io::Error) {
        self.log.failures.add(1);
        if doing == "writing" && self.log.failing.swap(true, Ordering::Relaxed) {
            return;
        }
        let path = self.path.display();
        tracing::error!(%path, %error, "{doing} the audit log failed; answers to writes wait until it can be written");
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn entry(members: &[u8]) -> Entry<'_> {
        Entry {
            request_id: RequestId::from_random([1, 2, 3]),
            client: ([127, 0, 0, 1], 5).into(),
            access_key_id: None,
            operation: "PutItem",
            error: None,
            members,
        }
    }

    fn append(log: &AuditLog, members: &[u8]) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(log.append(&entry(members)));
    }

    #[test]
    fn a_line_is_one_object() {
        let mut line = Vec::new();
        let error = Some("ConditionalCheckFailedException");
        Entry { access_key_id: Some("AKIA"), error, ..entry(b"\"tables\":[\"a\"]") }.write(1_000, &mut line);
        let id = RequestId::from_random([1, 2, 3]);
        let expected = format!(
            "{{\"time\":\"1970-01-01T00:00:01.000Z\",\"requestId\":\"{}\",\"client\":\"127.0.0.1:5\",\"accessKeyId\":\
             \"AKIA\",\"operation\":\"PutItem\",\"outcome\":\"ConditionalCheckFailedException\",\"tables\":[\"a\"]}}\n",
            id.as_str()
        );
        assert_eq!(String::from_utf8(line).expect("text"), expected);
    }

    #[test]
    fn changes_of_tables_name_them() {
        let check = |body: &str, name: &str| {
            let expected = format!("\"tables\":[{name}],\"keys\":[],\"keysOmitted\":0");
            assert_eq!(String::from_utf8_lossy(&describe_change(body.as_bytes())), expected, "{body}");
        };
        check(r#"{"TableName":"Music"}"#, "\"Music\"");
        check(
            r#"{"ResourceArn":"arn:aws:dynamodb:a:0:table/Music","Tags":[]}"#,
            "\"arn:aws:dynamodb:a:0:table/Music\"",
        );
        check(r#"{"TableName":"M\u0075sic"}"#, "");
        check("{}", "");
    }

    #[test]
    fn lines_follow_a_rotation_and_none_is_lost() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (path, rotated) = (directory.path().join("audit"), directory.path().join("audit.1"));
        let reopen = Arc::new(AtomicBool::new(false));
        let thread = AuditLog::start(&path, Arc::clone(&reopen)).expect("a writable directory");
        let log = Arc::clone(thread.log());
        append(&log, b"\"number\":1");
        fs::rename(&path, &rotated).expect("the same directory");
        reopen.store(true, Ordering::Relaxed);
        while !path.exists() {
            thread::yield_now();
        }
        append(&log, b"\"number\":2");
        thread.stop();
        assert_eq!((log.counts(), log.is_failing()), ((2, 0), false));
        let both = [rotated, path].map(|path| fs::read_to_string(path).expect("a file")).concat();
        for number in [1, 2] {
            assert_eq!(both.matches(&format!("\"number\":{number}}}\n")).count(), 1, "{both}");
        }
    }

    /// /dev/full takes no byte: the file system is full.
    #[test]
    fn a_full_disk_holds_answers_back_and_is_told() {
        let thread = AuditLog::start(Path::new("/dev/full"), Arc::default()).expect("a device of Linux");
        let log = Arc::clone(thread.log());
        append(&log, b"\"number\":1");
        while !log.is_failing() {
            thread::yield_now();
        }
        // The queue takes what fits; then an append waits.
        let line = |log: &AuditLog| PENDING_BYTES_MAX - log.room.available_permits();
        let line_bytes = line(&log);
        let rest = PENDING_BYTES_MAX / line_bytes - 1;
        (0..rest).for_each(|_| append(&log, b"\"number\":1"));
        assert!(log.room.available_permits() < line_bytes);
        let mut waiting = std::pin::pin!(async { log.append(&entry(b"\"number\":1")).await });
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(std::future::Future::poll(waiting.as_mut(), &mut context).is_pending());
        thread.stop();
        assert!(log.is_failing());
    }
}
