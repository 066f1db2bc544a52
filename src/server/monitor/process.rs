//! The process as the kernel sees it, from /proc: what Prometheus' own client libraries tell under the same names.

use std::fs;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// The unit of times in /proc/self/stat on every architecture that Linux runs this server on.
const TICK_NANOSECONDS: u64 = 10_000_000;

/// The process now; what the kernel does not tell is 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessFigures {
    pub cpu_nanoseconds: u64,
    pub resident_bytes: u64,
    pub virtual_bytes: u64,
    pub threads: u64,
    pub open_fds: u64,
    pub max_fds: u64,
    pub started_nanoseconds: u64,
}

impl ProcessFigures {
    pub fn read() -> ProcessFigures {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        ProcessFigures {
            cpu_nanoseconds: cpu_ticks(&stat) * TICK_NANOSECONDS,
            resident_bytes: 1024 * number_after(&status, "VmRSS:"),
            virtual_bytes: 1024 * number_after(&status, "VmSize:"),
            threads: number_after(&status, "Threads:"),
            open_fds: fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as u64),
            max_fds: number_after(&limits, "Max open files"),
            started_nanoseconds: started_nanoseconds(&stat),
        }
    }
}

/// The first number in the line that begins with `name`.
fn number_after(text: &str, name: &str) -> u64 {
    let rest = text.lines().find_map(|line| line.strip_prefix(name));
    rest.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

/// A field of /proc/self/stat, counted as proc(5) does. The second one, the name, may hold blanks and parentheses.
fn stat_field(stat: &str, number: usize) -> u64 {
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    after_name.split_whitespace().nth(number - 3).and_then(|field| field.parse().ok()).unwrap_or_default()
}

fn cpu_ticks(stat: &str) -> u64 {
    stat_field(stat, 14) + stat_field(stat, 15)
}

/// Since 1970. Computed once: the clock may be set later.
fn started_nanoseconds(stat: &str) -> u64 {
    static STARTED: OnceLock<u64> = OnceLock::new();
    *STARTED.get_or_init(|| {
        let uptime = fs::read_to_string("/proc/uptime").unwrap_or_default();
        let uptime: f64 = uptime.split(' ').next().and_then(|seconds| seconds.parse().ok()).unwrap_or_default();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let age_nanoseconds =
            (uptime * 1e9) as u64 - (stat_field(stat, 22) * TICK_NANOSECONDS).min((uptime * 1e9) as u64);
        crate::metrics::nanoseconds(now).saturating_sub(age_nanoseconds)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_about_this_process() {
        let figures = ProcessFigures::read();
        assert!(figures.resident_bytes > 1 << 20 && figures.virtual_bytes >= figures.resident_bytes, "{figures:?}");
        assert!(figures.threads >= 1 && figures.open_fds >= 3 && figures.max_fds >= figures.open_fds, "{figures:?}");
        let now = crate::metrics::nanoseconds(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
        assert!((1..=now).contains(&figures.started_nanoseconds), "{figures:?}");
    }

    #[test]
    fn fields_of_stat_are_counted_after_the_name() {
        let stat = "7 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 100 23 0 0 20 0 5 0 4242 9";
        assert_eq!((cpu_ticks(stat), stat_field(stat, 22)), (123, 4242));
        assert_eq!(cpu_ticks(""), 0);
    }
}
