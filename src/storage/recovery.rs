//! Whether a data directory may be opened: a log that lost what was on the disk is refused, one whose tail was torn is
//! not.
//!
//! ```text
//! marks in SYNCED and in the logs -> `required`: what a replay has to reach
//!   the logs reach it                             -> open
//!   they do not, RocksDB does (its table files)   -> open
//!   nobody does                                   -> refuse; with `recover_damaged_log` open without what is lost
//! ```
//!
//! The question is asked before RocksDB opens the directory for writing, because its replay removes the logs that it
//! has read: after a refusal the directory is as it was, and can be copied, examined and restored.

use std::path::Path;

use rocksdb::{DB, Options};

use super::error::OpenError;
use super::sync_mark::SyncMark;
use super::wal;

/// Refuses a damaged log, or says what is lost if `recovers` is set. For a directory that holds a database.
pub(super) fn check_log(path: &Path, options: &Options, recovers: bool) -> Result<(), OpenError> {
    let io = |error: std::io::Error| OpenError::Io { path: path.into(), detail: error.to_string() };
    let at_least = SyncMark::required(path).map_err(io)?;
    let logs = wal::inspect(path).map_err(io)?;
    let required = logs.synced().max(at_least);
    if logs.reaches(required) {
        return Ok(());
    }
    // Says why it cannot be opened at all better than this could.
    let Ok(database) = DB::open_for_read_only(options, path, false) else { return Ok(()) };
    let reached = database.latest_sequence_number();
    if reached >= required {
        return Ok(());
    }
    let damage = match logs.damaged_after(reached) {
        Some(log) => format!("{} is not readable from byte {} on ({} batches follow)", log.name, log.end, log.beyond),
        None => "a log file is missing".to_owned(),
    };
    if recovers {
        let lost = required - reached;
        tracing::error!(damage, reached, lost, "going on without changes that were in the damaged log, as asked for");
        return Ok(());
    }
    Err(OpenError::DamagedLog { path: path.into(), damage, reached, required })
}
