//! One run: threads, phases, CPU times.

use crate::client::{Client, Control, Phase};
use crate::process::{Target, own_cpu_time};
use crate::tally::Tally;
use crate::workload::{DataSet, Plan, Workload};
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::Ordering;
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

/// Loading a data set does not take longer than this.
const LOAD_MAX: Duration = Duration::from_secs(86_400);

const LOAD_CONNECTIONS: usize = 16;

/// How the requests of a run are spaced and for how long.
#[derive(Clone, Copy)]
pub struct Shape {
    pub connections: usize,
    pub threads: usize,
    pub warm_up: Duration,
    pub duration: Duration,
    /// Requests per second; `None`: closed loop.
    pub rate: Option<f64>,
}

/// What a run has shown.
pub struct Outcome {
    pub tally: Tally,
    pub seconds: f64,
    /// CPU time of the server and of the generator in these seconds.
    pub server_cpu: Option<Duration>,
    pub client_cpu: Option<Duration>,
}

/// Runs a workload.
pub fn run(workload: &Workload, data: &DataSet, target: &Target, shape: Shape) -> io::Result<Outcome> {
    run_watched(workload, data, target, shape, |_| {})
}

/// Runs a loading workload to its end, with a progress bar on a terminal. `requests` is what it takes.
pub fn load(workload: &Workload, data: &DataSet, target: &Target, requests: u64, what: &str) -> io::Result<()> {
    let shape = Shape {
        connections: LOAD_CONNECTIONS.min(requests as usize).max(1),
        threads: 1,
        warm_up: Duration::ZERO,
        duration: LOAD_MAX,
        rate: None,
    };
    let mut progress = Progress::new(what, requests);
    let outcome = run_watched(workload, data, target, shape, |completed| progress.show(completed))?;
    let items_per_second = outcome.tally.items as f64 / outcome.seconds;
    progress.end(&format!("{} items in {:.1} s, {items_per_second:.0}/s", outcome.tally.items, outcome.seconds));
    match outcome.tally.errors {
        0 => Ok(()),
        errors => Err(io::Error::other(format!(
            "{errors} requests failed while loading: {}",
            outcome.tally.failure.unwrap_or_default()
        ))),
    }
}

/// `watch` is told the number of answers so far, every now and then.
fn run_watched(
    workload: &Workload,
    data: &DataSet,
    target: &Target,
    shape: Shape,
    mut watch: impl FnMut(u64),
) -> io::Result<Outcome> {
    let plan = Plan::new(workload, data);
    let control = Control::new();
    if shape.warm_up.is_zero() {
        control.enter(Phase::Record);
    }
    let threads = shape.threads.min(shape.connections);
    let interval = shape.rate.map(|rate| Duration::from_secs_f64(threads as f64 / rate));
    let clients: Vec<_> = (0..threads)
        .map(|index| {
            let connections = (shape.connections + index) / threads;
            Client::connect(&plan, &control, target.address, connections, index as u64 + 1)
        })
        .collect::<io::Result<_>>()?;
    thread::scope(|scope| {
        let handles: Vec<_> = clients.into_iter().map(|client| scope.spawn(move || client.run(interval))).collect();
        let mut sleep = |duration| {
            let begun = Instant::now();
            while begun.elapsed() < duration && !handles.iter().all(ScopedJoinHandle::is_finished) {
                thread::sleep((duration - begun.elapsed().min(duration)).min(Duration::from_millis(10)));
                watch(control.completed.load(Ordering::Relaxed));
            }
        };
        sleep(shape.warm_up);
        let (begun, server_before, client_before) = (Instant::now(), target.cpu_time(), own_cpu_time());
        control.enter(Phase::Record);
        sleep(shape.duration);
        let (server_after, client_after) = (target.cpu_time(), own_cpu_time());
        control.enter(Phase::Stop);
        let seconds = begun.elapsed().as_secs_f64();
        let mut tally = Tally::new(plan.steps.len());
        for handle in handles {
            tally.merge(handle.join().map_err(|_| io::Error::other("a thread of the generator panicked"))??);
        }
        let spent = |after: Option<Duration>, before: Option<Duration>| Some(after?.saturating_sub(before?));
        let (server_cpu, client_cpu) = (spent(server_after, server_before), spent(client_after, client_before));
        Ok(Outcome { tally, seconds, server_cpu, client_cpu })
    })
}

/// A bar on a terminal, a line elsewhere.
struct Progress<'w> {
    what: &'w str,
    total: u64,
    shown: Option<u64>,
    is_terminal: bool,
}

impl<'w> Progress<'w> {
    fn new(what: &'w str, total: u64) -> Progress<'w> {
        Progress { what, total: total.max(1), shown: None, is_terminal: io::stderr().is_terminal() }
    }

    fn show(&mut self, completed: u64) {
        let percent = (100 * completed / self.total).min(100);
        if self.is_terminal && self.shown != Some(percent) {
            self.shown = Some(percent);
            eprint!("\r{} [{:<50}] {percent:3} %", self.what, "#".repeat(percent as usize / 2));
            let _ = io::stderr().flush();
        }
    }

    fn end(&self, result: &str) {
        let clear = if self.is_terminal { "\r\x1b[K" } else { "" };
        eprintln!("{clear}{}: {result}", self.what);
    }
}
