//! Findings and progress: a bar on a terminal, plain lines otherwise.

use std::collections::HashMap;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};

use crate::storage::{Finding, Observer};

/// Findings of one table or index that are listed one by one. A whole index may be missing.
const LISTED_MAX: u64 = 20;

/// Between two lines of progress.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// What a stage counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Rows,
    Bytes,
}

/// Tells what happens to who started the command.
pub struct Console {
    unit: Unit,
    display: Display,
    /// By place. Bounded by the number of tables and indexes.
    found: HashMap<String, u64>,
}

enum Display {
    Bar(ProgressBar),
    Lines { stage: String, total: u64, last: Instant },
}

impl Console {
    pub fn new(unit: Unit) -> Console {
        let display = match io::stderr().is_terminal() {
            true => Display::Bar(ProgressBar::new(0)),
            false => Display::Lines { stage: String::new(), total: 0, last: Instant::now() },
        };
        Console { unit, display, found: HashMap::new() }
    }

    /// Ends the progress and says how many findings were not listed.
    pub fn finish(self) {
        if let Display::Bar(bar) = &self.display {
            bar.finish_and_clear();
        }
        let mut unlisted: Vec<_> = self.found.iter().filter(|(_, count)| **count > LISTED_MAX).collect();
        unlisted.sort();
        for (place, count) in unlisted {
            println!("{place}: {} more, not listed", HumanCount(count - LISTED_MAX));
        }
    }

    fn print(&self, line: &str) {
        match &self.display {
            Display::Bar(bar) => bar.suspend(|| println!("{line}")),
            Display::Lines { .. } => println!("{line}"),
        }
    }

    fn style(&self, total: u64) -> ProgressStyle {
        let template = match (self.unit, total) {
            (_, 0) => "{spinner} {msg}",
            (Unit::Rows, _) => "{msg} [{bar:30}] {human_pos}/{human_len} rows, {eta} left",
            (Unit::Bytes, _) => "{msg} [{bar:30}] {bytes}/{total_bytes}, {eta} left",
        };
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
    }
}

impl Observer for Console {
    fn begin(&mut self, stage: &str, total: u64) {
        let style = self.style(total);
        match &mut self.display {
            Display::Bar(bar) => {
                bar.set_style(style);
                bar.set_message(stage.to_owned());
                bar.set_length(total);
                bar.reset();
                bar.enable_steady_tick(Duration::from_millis(200));
            }
            Display::Lines { stage: current, total: current_total, last } => {
                eprintln!("{stage}");
                (*current, *current_total, *last) = (stage.to_owned(), total, Instant::now());
            }
        }
    }

    fn advance(&mut self, done: u64) {
        match &mut self.display {
            Display::Bar(bar) => bar.set_position(done),
            Display::Lines { stage, total, last } if last.elapsed() >= LINE_INTERVAL => {
                *last = Instant::now();
                match self.unit {
                    Unit::Rows => eprintln!("{stage}: {} of {} rows", HumanCount(done), HumanCount(*total)),
                    Unit::Bytes => eprintln!("{stage}: {} of {}", HumanBytes(done), HumanBytes(*total)),
                }
            }
            Display::Lines { .. } => {}
        }
    }

    fn find(&mut self, finding: Finding) {
        let Finding { place, what } = finding;
        let count = self.found.entry(place.clone()).or_default();
        *count += 1;
        if *count <= LISTED_MAX {
            self.print(&format!("{place}: {what}"));
        }
    }

    fn note(&mut self, line: &str) {
        self.print(&format!("note: {line}"));
    }
}
