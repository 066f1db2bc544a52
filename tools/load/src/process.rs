//! Processes that are measured: start, address, end.

use crate::vitals::{self, Vitals};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// A server may replay a log, or load a JavaScript engine.
const START_MAX: Duration = Duration::from_secs(30);

/// A server that writes what it has in memory takes its time; one that does not end by then is killed.
const STOP_MAX: Duration = Duration::from_secs(20);

/// A server is at rest when it computes less than this part of the time, and is waited for at most so long.
const REST_SHARE: f64 = 0.05;
const REST_WINDOW: Duration = Duration::from_millis(500);
const REST_MAX: Duration = Duration::from_secs(60);

/// What is measured: a process of ours, or one that was there before.
pub struct Target {
    pub address: SocketAddr,
    /// Whose CPU time is read, if it is known.
    pub pid: Option<u32>,
    child: Option<Child>,
    directory: Option<PathBuf>,
}

impl Target {
    /// A server that runs already.
    pub fn existing(endpoint: &str, pid: Option<u32>) -> io::Result<Target> {
        let authority = endpoint.trim_start_matches("http://").trim_end_matches('/');
        let mut addresses = authority.to_socket_addrs()?;
        let address = addresses.next().ok_or_else(|| io::Error::other("the endpoint has no address"))?;
        Ok(Target { address, pid, child: None, directory: None })
    }

    /// Starts JormunDB on a fresh directory and a free port.
    pub fn jormundb(program: &Path, arguments: &[String], base: &Path, durability: &str) -> io::Result<Target> {
        let directory = fresh_directory(base)?;
        let mut command = Command::new(program);
        command.args(["--port", "0", "--host", "127.0.0.1", "--durability", durability]);
        command.arg("--data-dir").arg(&directory).args(arguments);
        Target::announced(command, Some(directory))
    }

    /// Starts this program's own fixed-answer server.
    pub fn answerer(body_bytes: usize) -> io::Result<Target> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--answer", &body_bytes.to_string()]);
        Target::announced(command, None)
    }

    /// Starts Redis; `append_fsync` of `None` keeps everything in memory.
    pub fn redis(program: &Path, base: &Path, append_fsync: Option<&str>) -> io::Result<Target> {
        Target::listening(base, |directory, port| {
            let mut command = Command::new(program);
            command.args(["--port", port, "--bind", "127.0.0.1", "--save", ""]).arg("--dir").arg(directory);
            if let Some(mode) = append_fsync {
                command.args(["--appendonly", "yes", "--appendfsync", mode]);
            }
            command
        })
    }

    /// Starts dynalite on LevelDB, which does not sync its log.
    pub fn dynalite(node: &Path, script: &Path, base: &Path) -> io::Result<Target> {
        Target::listening(base, |directory, port| {
            let mut command = Command::new(node);
            command.arg(script).args(["--host", "127.0.0.1", "--port", port, "--createTableMs", "0"]);
            command.args(["--deleteTableMs", "0", "--path"]).arg(directory);
            command
        })
    }

    /// Starts moto's server, which keeps everything in memory.
    pub fn moto(program: &Path, base: &Path) -> io::Result<Target> {
        Target::listening(base, |_, port| {
            let mut command = Command::new(program);
            command.args(["-H", "127.0.0.1", "-p", port]).stderr(Stdio::null());
            command
        })
    }

    /// Starts dynoxide on a file: SQLite's write-ahead log, synced by every commit.
    pub fn dynoxide(program: &Path, base: &Path) -> io::Result<Target> {
        Target::listening(base, |directory, port| {
            let mut command = Command::new(program);
            command.args(["serve", "--host", "127.0.0.1", "--port", port, "--log", "quiet", "--db-path"]);
            command.arg(directory.join("dynoxide.db"));
            command
        })
    }

    /// Starts a process on a fresh directory and a port that was free a moment ago, and waits until it listens.
    fn listening(base: &Path, command: impl FnOnce(&Path, &str) -> Command) -> io::Result<Target> {
        let directory = fresh_directory(base)?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut command = command(&directory, &port.to_string());
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        let target = Target { address, pid: Some(child.id()), child: Some(child), directory: Some(directory) };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            if begun.elapsed() > START_MAX {
                let program = command.get_program().to_string_lossy();
                return Err(io::Error::other(format!("{program} does not listen")));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(target)
    }

    /// Starts a process that prints `address http://..` and then `Ready`.
    fn announced(mut command: Command, directory: Option<PathBuf>) -> io::Result<Target> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut target = Target { address, pid: Some(child.id()), child: Some(child), directory };
        for line in BufReader::new(output).lines() {
            let line = line?;
            // There may be other addresses, of metrics for example.
            let address = line.strip_prefix("address").and_then(|rest| rest.trim().strip_prefix("http://"));
            if let Some(address) = address {
                target.address = address.parse().map_err(io::Error::other)?;
            }
            if line.starts_with("Ready") {
                return Ok(target);
            }
        }
        Err(io::Error::other("the server ended before it was ready; its message is above"))
    }

    /// CPU time so far.
    pub fn cpu_time(&self) -> Option<Duration> {
        self.pid.and_then(|pid| vitals::cpu_time(&pid.to_string()))
    }

    /// What the process takes of the machine just now.
    pub fn vitals(&self) -> Vitals {
        Vitals::read(self.pid, self.directory.as_deref())
    }

    /// Waits until flushes and compactions of what has just been loaded are over, as far as CPU time tells.
    pub fn settle(&self) {
        let begun = Instant::now();
        let mut before = self.cpu_time();
        while begun.elapsed() < REST_MAX {
            thread::sleep(REST_WINDOW);
            let now = self.cpu_time();
            let (Some(now), Some(earlier)) = (now, before.replace(now.unwrap_or_default())) else { return };
            if now.saturating_sub(earlier) < REST_WINDOW.mul_f64(REST_SHARE) {
                return;
            }
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            stop(child);
        }
        if let Some(directory) = &self.directory {
            let _ = fs::remove_dir_all(directory);
        }
    }
}

/// Asks a process to end, and ends it when it does not.
fn stop(child: &mut Child) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::TERM);
    }
    let begun = Instant::now();
    while matches!(child.try_wait(), Ok(None)) {
        if begun.elapsed() > STOP_MAX {
            let _ = child.kill();
            let _ = child.wait();
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

fn fresh_directory(base: &Path) -> io::Result<PathBuf> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let directory = base.join(format!("jormundb-load-{}-{count}", std::process::id()));
    fs::create_dir_all(&directory)?;
    Ok(directory)
}
