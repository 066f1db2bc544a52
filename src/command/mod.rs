//! Maintenance of a data directory: `jormundb <command>`.
//!
//! | Command | Needs | Exit status |
//! |---|---|---|
//! | `verify` | that no server runs | 0 all is well, 1 something differs, 2 it cannot be read |
//! | `rebuild-index` | that no server runs | 0 all is well now, 1 something still differs, 2 it cannot be read |
//! | `backup` | nothing: a running server is asked to do it ([`control`]) | 0 done, 2 not done |
//! | `restore` | an empty directory | 0 done, 2 not done |
//!
//! Results go to the standard output, progress and errors to the standard error.

/// Findings and progress on a terminal or as lines.
mod console;

/// The socket by which a running server is asked for a backup.
pub mod control;

/// Checking a directory.
mod verify;

/// Mending indexes.
mod rebuild_index;

/// Making and listing backups.
mod backup;

/// A directory from a backup.
mod restore;

use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;

/// What to do instead of serving.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Check a data directory that no server uses: checksums, catalog, every item, every index entry
    ///
    /// Changes nothing. Exit status: 0 all is well, 1 something differs, 2 the directory cannot be read
    Verify,

    /// Check indexes against their tables and repair what differs, while no server uses the directory
    RebuildIndex(rebuild_index::Arguments),

    /// Add a backup to a directory of backups; a running server is asked to do it and goes on serving
    ///
    /// Contains everything that was acknowledged before. Files that an earlier backup holds are not copied again
    Backup(backup::Arguments),

    /// Make a new data directory from a backup
    Restore(restore::Arguments),
}

impl Command {
    pub fn run(&self, data_dir: &Path) -> ExitCode {
        match self {
            Command::Verify => verify::run(data_dir),
            Command::RebuildIndex(arguments) => rebuild_index::run(arguments, data_dir),
            Command::Backup(arguments) => backup::run(arguments, data_dir),
            Command::Restore(arguments) => restore::run(arguments, data_dir),
        }
    }
}

/// Something is not as it should be, as opposed to a command that failed.
const DIFFERENCES: u8 = 1;

/// The command could not do what it was asked.
const FAILED: u8 = 2;

fn failed(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("jormundb: {error}");
    ExitCode::from(FAILED)
}
