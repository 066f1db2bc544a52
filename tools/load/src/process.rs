//! Processes that are measured: start, address, CPU time, end.

use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A server may replay a log, or load a JavaScript engine.
const START_MAX: Duration = Duration::from_secs(30);

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
        let directory = fresh_directory(base)?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut command = Command::new(program);
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        command.arg("--dir").arg(&directory);
        if let Some(mode) = append_fsync {
            command.args(["--appendonly", "yes", "--appendfsync", mode]);
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        let target = Target { address, pid: Some(child.id()), child: Some(child), directory: Some(directory) };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            if begun.elapsed() > START_MAX {
                return Err(io::Error::other("redis-server does not listen"));
            }
            std::thread::sleep(Duration::from_millis(20));
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
            if let Some((_, address)) = line.split_once("http://") {
                target.address = address.trim().parse().map_err(io::Error::other)?;
            }
            if line.starts_with("Ready") {
                return Ok(target);
            }
        }
        Err(io::Error::other("the server ended before it was ready; its message is above"))
    }

    /// CPU time so far.
    pub fn cpu_time(&self) -> Option<Duration> {
        self.pid.and_then(|pid| cpu_time(&pid.to_string()))
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
                let _ = kill_process(pid, Signal::TERM);
            }
            let _ = child.wait();
        }
        if let Some(directory) = &self.directory {
            let _ = fs::remove_dir_all(directory);
        }
    }
}

fn fresh_directory(base: &Path) -> io::Result<PathBuf> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let directory = base.join(format!("jormundb-load-{}-{count}", std::process::id()));
    fs::create_dir_all(&directory)?;
    Ok(directory)
}

/// CPU time of this process.
pub fn own_cpu_time() -> Option<Duration> {
    cpu_time("self")
}

/// User and system time of a process with all its threads, those that the kernel runs for its io_uring included. The
/// kernel counts in ticks of 10 ms, which is 0.1 us per operation at 100,000 operations.
fn cpu_time(pid: &str) -> Option<Duration> {
    let ticks = cpu_ticks(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
    Some(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

/// Fields 14 and 15 of `/proc/<pid>/stat`, counted behind the name, which may contain anything.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_any_name() {
        let stat = "42 (a) b) R 1 42 42 0 -1 4194304 100 0 0 0 17 25 0 0 20 0 1 0 100 1000 10";
        assert_eq!(cpu_ticks(stat), Some(42));
        assert_eq!(cpu_ticks("42 (a"), None);
        assert!(own_cpu_time().is_some());
    }
}
