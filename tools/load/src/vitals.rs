//! What a process takes of the machine, as /proc tells it: CPU time, memory, file handles, threads; and its directory.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// A moment of a process; what cannot be read is 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct Vitals {
    pub resident_bytes: u64,
    pub open_files: u64,
    pub threads: u64,
    /// Blocks that the data directory takes on the disk.
    pub directory_bytes: u64,
}

impl Vitals {
    pub fn read(pid: Option<u32>, directory: Option<&Path>) -> Vitals {
        let mut vitals = Vitals { directory_bytes: directory.map_or(0, directory_bytes), ..Vitals::default() };
        let Some(pid) = pid else { return vitals };
        if let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) {
            vitals.resident_bytes = status_field(&status, "VmRSS:") * 1024;
            vitals.threads = status_field(&status, "Threads:");
        }
        vitals.open_files = fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |entries| entries.count() as u64);
        vitals
    }
}

/// The number behind a name of `/proc/<pid>/status`.
fn status_field(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Files that vanish meanwhile do not count.
fn directory_bytes(directory: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => directory_bytes(&entry.path()),
        Ok(metadata) => metadata.blocks() * 512,
        Err(_) => 0,
    });
    sizes.sum()
}

/// CPU time of this process.
pub fn own_cpu_time() -> Option<Duration> {
    cpu_time("self")
}

/// User and system time of a process with all its threads, those that the kernel runs for its io_uring included. The
/// kernel counts in ticks of 10 ms, which is 0.1 us per operation at 100,000 operations.
pub fn cpu_time(pid: &str) -> Option<Duration> {
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

    #[test]
    fn a_process_is_alive() {
        let vitals = Vitals::read(Some(std::process::id()), Some(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")));
        assert!(vitals.resident_bytes > 100_000 && vitals.open_files > 2 && vitals.threads > 0, "{vitals:?}");
        assert!(vitals.directory_bytes > 10_000, "{vitals:?}");
        assert_eq!(status_field("Name:\tx\nVmRSS:\t  1234 kB\n", "VmRSS:"), 1_234);
    }
}
