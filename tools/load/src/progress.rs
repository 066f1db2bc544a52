//! A bar on a terminal, a line elsewhere.

use std::io::{self, IsTerminal, Write};

pub struct Progress<'w> {
    what: &'w str,
    total: u64,
    shown: Option<u64>,
    is_terminal: bool,
}

impl<'w> Progress<'w> {
    pub fn new(what: &'w str, total: u64) -> Progress<'w> {
        Progress { what, total: total.max(1), shown: None, is_terminal: io::stderr().is_terminal() }
    }

    pub fn show(&mut self, completed: u64) {
        let percent = (100 * completed / self.total).min(100);
        if self.is_terminal && self.shown != Some(percent) {
            self.shown = Some(percent);
            eprint!("\r{} [{:<50}] {percent:3} %", self.what, "#".repeat(percent as usize / 2));
            let _ = io::stderr().flush();
        }
    }

    pub fn end(&self, result: &str) {
        let clear = if self.is_terminal { "\r\x1b[K" } else { "" };
        eprintln!("{clear}{}: {result}", self.what);
    }
}
