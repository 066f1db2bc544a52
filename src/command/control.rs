//! The socket by which a running server is asked for a backup: `control.sock` in its data directory, for its user only.
//!
//! ```text
//! request  = "backup" SP keep SP path LF         -- keep: how many backups stay, 0 for all; path: absolute, without LF
//! answer   = *( "progress" SP bytes SP bytes LF )        -- copied so far, to be copied
//!            ( "done" SP id SP time SP files SP bytes SP copied SP purged LF | "error" SP text LF )
//! ```
//!
//! Who holds the lock of the data directory owns the name: a socket that is there at start is a dead process's and is
//! replaced. One request on each connection; each has a thread, of which there are at most [`CONNECTION_COUNT_MAX`].

use std::fs::{self, File, Permissions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::storage::{BackupInfo, BackupReport, BackupSource, Finding, Observer};

const NAME: &str = "control.sock";

/// What an address of a Unix socket holds, its last zero byte left out.
const ADDRESS_BYTES_MAX: usize = 107;

/// A request with the longest path that Linux has.
const REQUEST_BYTES_MAX: u64 = 4096 + 64;

/// One makes a backup, the others are told that it does.
const CONNECTION_COUNT_MAX: usize = 8;

/// A client that neither sends nor takes anything for so long is given up.
const PATIENCE: Duration = Duration::from_secs(5);

/// After an accept that failed, for want of file descriptors for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The server's end.
pub struct Listener {
    name: PathBuf,
    listener: Arc<UnixListener>,
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

struct Shared {
    source: BackupSource,
    connection_count: AtomicUsize,
    /// Backups being made.
    backup_count: AtomicUsize,
    stopping: AtomicBool,
}

impl Listener {
    /// For a process that holds the lock of the data directory.
    pub fn start(data_dir: &Path, source: BackupSource) -> io::Result<Listener> {
        let name = data_dir.join(NAME);
        match fs::remove_file(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None)?;
        with_address(data_dir, |address| socket.bind(&socket2::SockAddr::unix(address)?))?;
        // Before it listens: until then nobody can connect.
        fs::set_permissions(&name, Permissions::from_mode(0o600))?;
        socket.listen(CONNECTION_COUNT_MAX as i32)?;
        let listener = Arc::new(UnixListener::from(socket));
        let (connection_count, backup_count, stopping) = Default::default();
        let shared = Arc::new(Shared { source, connection_count, backup_count, stopping });
        let (accepting, for_thread) = (Arc::clone(&listener), Arc::clone(&shared));
        let accept = move || accept_all(&accepting, &for_thread);
        let thread = thread::Builder::new().name("control".into()).spawn(accept)?;
        Ok(Listener { name, listener, shared, thread })
    }

    /// Takes no more requests. Returns whether a backup is still being made: it ends with the process.
    pub fn stop(self) -> bool {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes the thread: its accept fails.
        let woken = socket2::SockRef::from(&*self.listener).shutdown(std::net::Shutdown::Both);
        if woken.is_ok() && self.thread.join().is_err() {
            tracing::error!("the thread of the control socket has panicked");
        }
        // A name that somebody has removed does not matter, and what stays is replaced at the next start.
        let _ = fs::remove_file(&self.name);
        self.shared.backup_count.load(Ordering::SeqCst) > 0
    }
}

fn accept_all(listener: &UnixListener, shared: &Arc<Shared>) {
    while !shared.stopping.load(Ordering::SeqCst) {
        match listener.accept() {
            Ok((stream, _)) => {
                // At the bound the connection is closed without an answer.
                if shared.connection_count.fetch_add(1, Ordering::SeqCst) < CONNECTION_COUNT_MAX {
                    let connection = Connection(Arc::clone(shared));
                    let serve = move || connection.serve(stream);
                    // Not waited for: it ends with its client, or with the process.
                    if let Err(error) = thread::Builder::new().name("backup".into()).spawn(serve) {
                        tracing::warn!(%error, "cannot start a thread for a backup");
                    }
                } else {
                    shared.connection_count.fetch_sub(1, Ordering::SeqCst);
                }
            }
            Err(_) if shared.stopping.load(Ordering::SeqCst) => return,
            Err(_) => thread::sleep(ACCEPT_PAUSE),
        }
    }
}

/// Counts as long as it lives.
struct Connection(Arc<Shared>);

impl Connection {
    fn serve(self, stream: UnixStream) {
        let patience = Some(PATIENCE);
        if stream.set_read_timeout(patience).and_then(|()| stream.set_write_timeout(patience)).is_err() {
            return;
        }
        let mut request = Vec::new();
        let read = BufReader::new((&stream).take(REQUEST_BYTES_MAX)).read_until(b'\n', &mut request);
        let parsed = read.ok().and_then(|_| parse_request(&request));
        let mut client = Client { stream: Some(stream), total: 0 };
        match parsed {
            None => client.tell("error not a request of this version of jormundb"),
            Some((keep, target)) => {
                self.0.backup_count.fetch_add(1, Ordering::SeqCst);
                let made = self.0.source.create(&target, keep, &mut client);
                self.0.backup_count.fetch_sub(1, Ordering::SeqCst);
                let target = target.display();
                match made {
                    Ok(report) => {
                        let BackupReport { info: BackupInfo { id, .. }, copied_bytes, .. } = report;
                        tracing::info!(%target, id, copied_bytes, "a backup is made");
                        client.tell(&done(&report));
                    }
                    Err(error) => {
                        tracing::warn!(%target, %error, "a backup is not made");
                        client.tell(&format!("error {}", error.to_string().replace('\n', " ")));
                    }
                }
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.connection_count.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Who asked, as long as it listens. A backup goes on without.
struct Client {
    stream: Option<UnixStream>,
    total: u64,
}

impl Client {
    fn tell(&mut self, line: &str) {
        if let Some(stream) = &mut self.stream
            && stream.write_all(format!("{line}\n").as_bytes()).is_err()
        {
            self.stream = None;
        }
    }
}

impl Observer for Client {
    fn begin(&mut self, _: &str, total: u64) {
        self.total = total;
        self.advance(0);
    }

    fn advance(&mut self, done: u64) {
        self.tell(&format!("progress {done} {}", self.total));
    }

    fn find(&mut self, _: Finding) {}

    fn note(&mut self, _: &str) {}
}

fn parse_request(line: &[u8]) -> Option<(Option<usize>, PathBuf)> {
    let mut words = line.strip_suffix(b"\n")?.strip_prefix(b"backup ")?.splitn(2, |byte| *byte == b' ');
    let keep: usize = std::str::from_utf8(words.next()?).ok()?.parse().ok()?;
    let path = PathBuf::from(std::ffi::OsString::from_vec(words.next()?.to_vec()));
    path.is_absolute().then_some(((keep > 0).then_some(keep), path))
}

fn done(report: &BackupReport) -> String {
    let BackupReport { info, copied_bytes, purged_count } = report;
    let BackupInfo { id, time_s, file_count, bytes } = info;
    format!("done {id} {time_s} {file_count} {bytes} {copied_bytes} {purged_count}")
}

fn parse_done(words: &str) -> Option<BackupReport> {
    let numbers: Vec<u64> = words.split(' ').map(str::parse).collect::<Result<_, _>>().ok()?;
    let &[id, time_s, file_count, bytes, copied_bytes, purged_count] = numbers.as_slice() else { return None };
    let info = BackupInfo { id: id.try_into().ok()?, time_s, file_count: file_count.try_into().ok()?, bytes };
    Some(BackupReport { info, copied_bytes, purged_count: purged_count.try_into().ok()? })
}

/// The server that uses a data directory; `None`: none does, or it has no such socket.
pub fn connect(data_dir: &Path) -> io::Result<Option<UnixStream>> {
    match with_address(data_dir, |address| UnixStream::connect(address)) {
        Ok(stream) => Ok(Some(stream)),
        // No such file, or one that a killed server has left.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Has the server make a backup, and waits for its end.
pub fn request_backup(
    mut server: UnixStream,
    target: &Path,
    keep: Option<u32>,
    observer: &mut dyn Observer,
) -> Result<BackupReport, String> {
    let path = target.as_os_str().as_bytes();
    if path.contains(&b'\n') {
        return Err("a path with a line break cannot be told to the server".into());
    }
    let request = [format!("backup {} ", keep.unwrap_or(0)).as_bytes(), path, b"\n"].concat();
    server.write_all(&request).map_err(|error| format!("the server cannot be asked: {error}"))?;
    let (mut line, mut has_begun) = (String::new(), false);
    let mut answer = BufReader::new(server);
    loop {
        line.clear();
        let ended = !matches!(answer.read_line(&mut line), Ok(length) if length > 0) || !line.ends_with('\n');
        if ended {
            return Err("the server has ended before the backup was made; earlier backups are as they were".into());
        }
        match line.trim_end().split_once(' ') {
            Some(("progress", numbers)) => {
                let numbers = numbers.split_once(' ').map(|(done, total)| (done.parse(), total.parse()));
                let Some((Ok(done), Ok(total))) = numbers else { continue };
                if !has_begun {
                    observer.begin("backup", total);
                    has_begun = true;
                }
                observer.advance(done);
            }
            Some(("done", numbers)) => return parse_done(numbers).ok_or_else(|| unknown(&line)),
            Some(("error", text)) => return Err(text.to_owned()),
            _ => return Err(unknown(&line)),
        }
    }
}

fn unknown(line: &str) -> String {
    format!("the server answers {:?}, which this version of jormundb does not know", line.trim_end())
}

/// The socket's name as an address: through an open file of the directory if it is too long for one.
fn with_address<T>(data_dir: &Path, use_address: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let name = data_dir.join(NAME);
    if name.as_os_str().len() <= ADDRESS_BYTES_MAX {
        return use_address(&name);
    }
    let directory = File::open(data_dir)?;
    use_address(&PathBuf::from(format!("/proc/self/fd/{}/{NAME}", directory.as_raw_fd())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_parsed() {
        for (line, expected) in [
            (&b"backup 0 /a b/c\n"[..], Some((None, "/a b/c"))),
            (b"backup 7 /x\n", Some((Some(7), "/x"))),
            (b"backup 7 x\n", None),
            (b"backup 7 /x", None),
            (b"backup -1 /x\n", None),
            (b"backup /x\n", None),
            (b"restore 1 /x\n", None),
            (b"\n", None),
            (b"", None),
        ] {
            let expected = expected.map(|(keep, path)| (keep, PathBuf::from(path)));
            assert_eq!(parse_request(line), expected, "{line:?}");
        }
    }

    #[test]
    fn reports_round_trip() {
        let info = BackupInfo { id: 1, time_s: 2, file_count: 3, bytes: u64::MAX };
        let report = BackupReport { info, copied_bytes: 5, purged_count: 6 };
        assert_eq!(parse_done(done(&report).strip_prefix("done ").unwrap()), Some(report));
        for words in ["", "1", "1 2 3 4 5 6 7", "a 2 3 4 5 6", "4294967296 2 3 4 5 6"] {
            assert_eq!(parse_done(words), None, "{words}");
        }
    }
}
