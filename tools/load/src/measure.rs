//! One run: threads, windows, CPU times.
//!
//! ```text
//! window  0        1         2       3         4      STOP
//!         warm-up  measured  pause   measured  pause  end
//! ```
//!
//! A [`Director`] opens and closes the measured windows; what is counted in the others is thrown away.

use crate::client::{Client, Control, Counted, STOP, is_measured};
use crate::data_set::DataSet;
use crate::process::Target;
use crate::progress::Progress;
use crate::tally::Tally;
use crate::vitals::own_cpu_time;
use crate::workload::{Plan, Workload};
use std::io;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver};
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

/// What a window has shown.
pub struct Outcome {
    pub tally: Tally,
    pub seconds: f64,
    /// CPU time of the server and of the generator in these seconds.
    pub server_cpu: Option<Duration>,
    pub client_cpu: Option<Duration>,
}

impl Outcome {
    /// Two windows as if they were one.
    pub fn merge(&mut self, other: Outcome) {
        let sum = |left: Option<Duration>, right: Option<Duration>| Some(left? + right?);
        self.tally.merge(other.tally);
        self.seconds += other.seconds;
        self.server_cpu = sum(self.server_cpu, other.server_cpu);
        self.client_cpu = sum(self.client_cpu, other.client_cpu);
    }
}

/// Runs a workload: a warm-up and one window.
pub fn run(workload: &Workload, data: &DataSet, target: &Target, shape: Shape) -> io::Result<Outcome> {
    direct(workload, data, target, shape, |director| director.window(shape.duration))
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
    let outcome = direct(workload, data, target, shape, |director| {
        director.window_watched(shape.duration, |completed| progress.show(completed))
    })?;
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

/// Runs a workload for as long as `script` directs it.
pub fn direct<T>(
    workload: &Workload,
    data: &DataSet,
    target: &Target,
    shape: Shape,
    script: impl FnOnce(&mut Director) -> io::Result<T>,
) -> io::Result<T> {
    let plan = Plan::new(workload, data);
    let control = Control::new();
    if shape.warm_up.is_zero() {
        control.enter(1);
    }
    let threads = shape.threads.min(shape.connections);
    let interval = shape.rate.map(|rate| Duration::from_secs_f64(threads as f64 / rate));
    let (sender, counted) = mpsc::channel();
    let clients: Vec<_> = (0..threads)
        .map(|index| {
            let connections = (shape.connections + index) / threads;
            Client::connect(&plan, &control, target.address, connections, index as u64 + 1, sender.clone())
        })
        .collect::<io::Result<_>>()?;
    drop(sender);
    thread::scope(|scope| {
        let handles: Vec<_> = clients.into_iter().map(|client| scope.spawn(move || client.run(interval))).collect();
        let mut director = Director { control: &control, counted, target, steps: plan.steps.len(), handles: &handles };
        director.pass(shape.warm_up, &mut |_| {});
        let result = script(&mut director);
        control.enter(STOP);
        // A thread's error is the cause of what the script complains about.
        for handle in handles {
            handle.join().map_err(|_| io::Error::other("a thread of the generator panicked"))??;
        }
        result
    })
}

/// Opens and closes the windows of a run.
pub struct Director<'r> {
    control: &'r Control,
    counted: Receiver<Counted>,
    target: &'r Target,
    steps: usize,
    handles: &'r [ScopedJoinHandle<'r, io::Result<()>>],
}

/// A window that is open.
pub struct Opened {
    window: u32,
    begun: Instant,
    server_cpu: Option<Duration>,
    client_cpu: Option<Duration>,
}

impl Director<'_> {
    pub fn window(&mut self, duration: Duration) -> io::Result<Outcome> {
        self.window_watched(duration, |_| {})
    }

    /// `watch` is told the number of answers so far, every now and then.
    fn window_watched(&mut self, duration: Duration, mut watch: impl FnMut(u64)) -> io::Result<Outcome> {
        let opened = self.open();
        self.pass(duration, &mut watch);
        self.close(opened)
    }

    pub fn open(&mut self) -> Opened {
        let current = self.control.window();
        // Without a warm-up the first is open from the start.
        let window = if is_measured(current) { current } else { current + 1 };
        let opened =
            Opened { window, begun: Instant::now(), server_cpu: self.target.cpu_time(), client_cpu: own_cpu_time() };
        self.enter(window);
        opened
    }

    pub fn close(&mut self, opened: Opened) -> io::Result<Outcome> {
        let spent = |after: Option<Duration>, before: Option<Duration>| Some(after?.saturating_sub(before?));
        let server_cpu = spent(self.target.cpu_time(), opened.server_cpu);
        let client_cpu = spent(own_cpu_time(), opened.client_cpu);
        let seconds = opened.begun.elapsed().as_secs_f64();
        self.enter(opened.window + 1);
        let mut tally = Tally::new(self.steps);
        let mut missing = self.handles.len();
        while missing > 0 {
            match self.counted.recv() {
                Ok((window, counted)) if window == opened.window => {
                    tally.merge(counted);
                    missing -= 1;
                }
                Ok(_) => {}
                Err(_) => return Err(io::Error::other("a thread of the generator ended early")),
            }
        }
        Ok(Outcome { tally, seconds, server_cpu, client_cpu })
    }

    /// A thread that has failed has stopped the run, and the run stays stopped.
    fn enter(&self, window: u32) {
        if self.control.window() != STOP {
            self.control.enter(window);
        }
    }

    /// Waits, but not for threads that have ended.
    pub fn pass(&self, duration: Duration, watch: &mut dyn FnMut(u64)) {
        let begun = Instant::now();
        while begun.elapsed() < duration && !self.handles.iter().all(ScopedJoinHandle::is_finished) {
            thread::sleep((duration - begun.elapsed().min(duration)).min(Duration::from_millis(10)));
            watch(self.control.completed.load(Ordering::Relaxed));
        }
    }
}
