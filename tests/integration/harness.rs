//! Starts, stops and kills the server.
//!
//! A [`Server`] owns its process: dropping it kills the process by its id, also when the test panics.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::http::Connection;
use crate::shim::Disk;

/// Generous, because it only bounds how long a broken server is waited for.
const START_TIMEOUT: Duration = Duration::from_secs(60);
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

pub struct Server {
    process: Child,
    pub address: SocketAddr,
    pub banner: String,
    /// From the start of the process to its line `Ready to accept connections`.
    pub ready_after: Duration,
}

impl Server {
    /// A server with an empty data directory, which lives as long as the returned guard.
    pub fn start() -> (Server, TempDir) {
        let directory = tempfile::tempdir().unwrap();
        (Server::start_in(directory.path(), &[]), directory)
    }

    pub fn start_in(directory: &Path, flags: &[&str]) -> Server {
        Server::start_with_log(directory, flags, Stdio::inherit())
    }

    /// `log` is its standard error.
    pub fn start_with_log(directory: &Path, flags: &[&str], log: Stdio) -> Server {
        let mut command = command(directory, flags);
        command.stderr(log);
        Server::spawn(command)
    }

    /// A server whose data is on a disk that can fail. With `journal` a power cut can follow its kill.
    pub fn start_on(disk: &Disk, flags: &[&str], journal: bool) -> Server {
        let mut command = command(&disk.path(), flags);
        command.envs(disk.environment(journal)).stderr(disk.log_file());
        Server::spawn(command)
    }

    fn spawn(mut command: Command) -> Server {
        let started = Instant::now();
        let mut process = command.spawn().unwrap();
        let lines = read_lines(process.stdout.take().unwrap());
        let mut banner = String::new();
        loop {
            let left = START_TIMEOUT.saturating_sub(started.elapsed());
            let Ok(line) = lines.recv_timeout(left) else {
                process.kill().ok();
                panic!("the server did not become ready: {:?}, it printed {banner:?}", process.wait());
            };
            banner.push_str(&line);
            banner.push('\n');
            if line.contains("Ready to accept connections") {
                break;
            }
        }
        let address = banner
            .lines()
            .find_map(|line| line.trim().strip_prefix("address")?.trim().strip_prefix("http://")?.parse().ok())
            .unwrap_or_else(|| panic!("no address in {banner:?}"));
        Server { process, address, banner, ready_after: started.elapsed() }
    }

    /// Starts and stops a server: all that it printed on both streams.
    pub fn start_in_and_stop(directory: &Path, flags: &[&str]) -> String {
        let mut process = command(directory, flags).stderr(Stdio::piped()).spawn().unwrap();
        let lines = read_lines(process.stdout.take().unwrap());
        let stderr = read_lines(process.stderr.take().unwrap());
        let mut server = Server {
            process,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            banner: String::new(),
            ready_after: Duration::ZERO,
        };
        while !server.banner.contains("Ready to accept connections") {
            server.banner += &lines.recv_timeout(START_TIMEOUT).expect("the server becomes ready");
            server.banner.push('\n');
        }
        let banner = std::mem::take(&mut server.banner);
        assert!(server.terminate().success());
        banner + &stderr.iter().collect::<Vec<_>>().join("\n")
    }

    pub fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Sends SIGTERM and waits for the end.
    pub fn terminate(self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.id())]).status().unwrap();
        assert!(status.success());
    }

    /// The status of a server that is about to end.
    pub fn wait(mut self) -> ExitStatus {
        let deadline = Instant::now() + STOP_TIMEOUT;
        while Instant::now() < deadline {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            thread::sleep(Duration::from_millis(5));
        }
        panic!("the server did not stop within {STOP_TIMEOUT:?}");
    }

    /// Ends the server without giving it a chance to write anything (SIGKILL).
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Resident memory in bytes, as the kernel counts it now.
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Runs the server in expectation of a refusal: its status and what it printed on both streams.
pub fn run_to_end(directory: &Path, flags: &[&str]) -> (ExitStatus, String) {
    let mut process = command(directory, flags).stderr(Stdio::piped()).spawn().unwrap();
    let (mut stdout, mut stderr) = (process.stdout.take().unwrap(), process.stderr.take().unwrap());
    let other = thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).unwrap();
        text
    });
    let deadline = Instant::now() + START_TIMEOUT;
    let status = loop {
        match process.try_wait().unwrap() {
            Some(status) => break status,
            None if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
            None => {
                process.kill().unwrap();
                break process.wait().unwrap();
            }
        }
    };
    let mut text = String::new();
    stdout.read_to_string(&mut text).unwrap();
    (status, text + &other.join().unwrap())
}

/// The program without flags and without the variables that stand for flags.
pub fn program() -> Command {
    let mut command = Command::new(PathBuf::from(env!("CARGO_BIN_EXE_jormundb")));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("JORMUN_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

fn command(directory: &Path, flags: &[&str]) -> Command {
    let mut command = program();
    for (flag, default) in [("--port", "0"), ("--host", "127.0.0.1")] {
        if !flags.contains(&flag) {
            command.args([flag, default]);
        }
    }
    command.arg("--data-dir").arg(directory).args(flags);
    command.stdout(Stdio::piped());
    command
}

/// Reads to the end on a thread of its own, so that the server can always print.
fn read_lines(output: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            sender.send(line).ok();
        }
    });
    receiver
}
