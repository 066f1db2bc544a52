//! A load generator for servers that speak the DynamoDB API.
//!
//! ```text
//! options, section -> session -> process (start the server) -> control_plane (tables) -> measure ... -> report
//!                                                                                          |
//!                            threads: client <- workload <- keys, data_set <- template     |
//!                                     client -> framing, step -> tally  -------------------+
//! ```
//!
//! Latency is measured from the moment a request was due to the arrival of its whole answer; every answer is checked.
//! The generator's own ceiling is measured against an answerer that does nothing else, and its CPU time is a column of
//! each table: where that is not small beside the server's, the throughput says as much about the generator.

mod answerer;
mod back_fill;
mod beside;
mod chart;
mod client;
mod control_plane;
mod data_set;
mod framing;
mod growth;
mod keys;
mod measure;
mod options;
mod peers;
mod process;
mod progress;
mod report;
mod row;
mod section;
mod session;
mod soak;
mod step;
mod tally;
mod targets;
mod template;
mod vitals;
mod workload;

use clap::Parser;
use options::Options;
use session::Session;
use std::process::ExitCode;

fn main() -> ExitCode {
    let options = Options::parse();
    let result = match options.answer {
        Some(body_bytes) => answerer::serve(body_bytes),
        None => Session::new(options).and_then(Session::run),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("jormundb-load: {error}");
            ExitCode::FAILURE
        }
    }
}
