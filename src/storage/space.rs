//! A disk that is full, and the reserve that keeps it from being so.
//!
//! ```text
//!                  free < reserve: Space::look                    RocksDB: No space left on device
//! writable <--------------------------------> low       writable <-------------------------------> refused
//!            free >= reserve and an eighth                          a write succeeds: Space::probe
//! ```
//!
//! `low` is the state in which writes are refused before they fail, so that memtables can be flushed, the server
//! stopped and tables dropped. `refused` is what is left if that was not enough: something else took the space, or more
//! was written than the reserve holds until the next look. RocksDB looks for space itself, about every five seconds,
//! and then goes on; the probe notices that. Nothing acknowledged is lost in either state, and neither needs a restart.
//!
//! A failed *sync* is neither: what is on the disk is then unknown, and the store is poisoned (see
//! [`super::engine::Engine::poison`]), whatever the system gave as its reason.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;
use std::{io, sync::Arc};

use nix::sys::statvfs::statvfs;
use rocksdb::WriteBatch;

use super::engine::Engine;
use super::error::Error;
use super::layout::{FORMAT_VERSION, MetadataKey};
use super::queue::Queue;
use super::store::StopSignal;

/// How often the free space is looked at. A quick disk writes a few GB in this time, but what is written comes from
/// requests: tens of MB.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The state of the disk below the data directory.
pub(super) struct Space {
    path: PathBuf,
    reserve_bytes: u64,
    low: AtomicBool,
    refused: AtomicBool,
}

impl Space {
    pub fn new(path: &Path, reserve_bytes: u64) -> Space {
        let (low, refused) = (AtomicBool::new(false), AtomicBool::new(false));
        Space { path: path.into(), reserve_bytes, low, refused }
    }

    /// `Err`: writes are refused for now.
    pub fn check(&self) -> Result<(), Error> {
        if self.low.load(Ordering::Relaxed) { Err(Error::DiskFull) } else { Ok(()) }
    }

    /// Whether a write would be refused or fail for want of space.
    pub fn is_full(&self) -> bool {
        self.low.load(Ordering::Relaxed) || self.refused.load(Ordering::Relaxed)
    }

    /// A write has succeeded. A sync would say nothing: the log can be synced while there is no space for more of it.
    pub fn write_succeeded(&self) {
        // Looked at first: a store to a shared cache line on each write would cost more than this.
        if self.refused.load(Ordering::Relaxed) && self.refused.swap(false, Ordering::Relaxed) {
            tracing::info!("there is space again: writes succeed");
        }
    }

    /// A write failed for want of space.
    pub fn write_failed(&self, cause: &str) -> Error {
        if !self.refused.swap(true, Ordering::Relaxed) {
            tracing::error!(cause, "the disk is full: writes are refused until there is space");
        }
        Error::DiskFull
    }

    /// Compares the free space with the reserve.
    pub fn look(&self) {
        if self.reserve_bytes == 0 {
            return;
        }
        match free_bytes(&self.path) {
            Ok(free_bytes) => self.compare(free_bytes),
            Err(error) => tracing::warn!(%error, "the free space of the disk is not known"),
        }
    }

    fn compare(&self, free_bytes: u64) {
        let reserve_bytes = self.reserve_bytes;
        // Above the reserve by an eighth, so that a compaction that comes and goes does not switch writes on and off.
        let is_low = match self.low.load(Ordering::Relaxed) {
            true => free_bytes < reserve_bytes + reserve_bytes / 8,
            false => free_bytes < reserve_bytes,
        };
        match (self.low.swap(is_low, Ordering::Relaxed), is_low) {
            (false, true) => tracing::error!(free_bytes, reserve_bytes, "the disk is nearly full: writes are refused"),
            (true, false) => tracing::info!(free_bytes, reserve_bytes, "there is space again: writes are accepted"),
            _ => {}
        }
    }

    /// Has the committer write a record as it is already, to learn whether writes succeed again.
    fn probe(queue: &Queue) {
        let (sender, receiver) = mpsc::sync_channel(1);
        queue.push_run(Box::new(move |committer| {
            let mut batch = WriteBatch::new();
            batch.put(MetadataKey::format_version(), FORMAT_VERSION.to_le_bytes());
            // What came of it is in the state.
            let _ = committer.engine.write(batch, false);
            // The receiver is below: it waits.
            let _ = sender.send(());
        }));
        // A closed queue has dropped the closure and the sender with it.
        let _ = receiver.recv();
    }
}

/// Whether RocksDB's error tells of a full disk and of nothing worse.
pub(super) fn is_out_of_space(error: &str) -> bool {
    error.contains("No space left on device") && !error.contains("While fsync") && !error.contains("While fdatasync")
}

/// What this process may still write.
fn free_bytes(path: &Path) -> io::Result<u64> {
    let status = statvfs(path)?;
    Ok(status.blocks_available() * status.fragment_size())
}

/// Starts the thread that looks at the free space.
pub(super) fn spawn(engine: Arc<Engine>, queue: Arc<Queue>, stop: Arc<StopSignal>) -> io::Result<JoinHandle<()>> {
    engine.space.look();
    Builder::new().name("space".into()).spawn(move || {
        while !stop.wait(LOOK_INTERVAL) {
            engine.space.look();
            if engine.space.refused.load(Ordering::Relaxed) && engine.check_poison().is_ok() {
                Space::probe(&queue);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_stop_below_the_reserve_and_go_on_an_eighth_above_it() {
        let space = Space::new(Path::new("/"), 800);
        for (free_bytes, writable) in
            [(801, true), (800, true), (799, false), (800, false), (899, false), (900, true), (800, true), (0, false)]
        {
            space.compare(free_bytes);
            assert_eq!(space.check().is_ok(), writable, "{free_bytes}");
            assert_eq!(space.is_full(), !writable);
        }
    }

    #[test]
    fn only_a_failed_write_is_forgiven() {
        for (error, forgiven) in [
            (
                "IO error: No space left on device: While appending to file: /d/000008.log: No space left on device",
                true,
            ),
            ("IO error: No space left on device: While open a file for appending: /d/000009.sst: No space", true),
            ("IO error: No space left on device: While fdatasync: /d/000008.log: No space left on device", false),
            ("IO error: No space left on device: While fsync a directory: /d: No space left on device", false),
            ("IO error: While appending to file: /d/000008.log: Input/output error", false),
        ] {
            assert_eq!(is_out_of_space(error), forgiven, "{error}");
        }
    }

    #[test]
    fn the_free_space_is_known() {
        assert!(free_bytes(Path::new("/")).unwrap() > 0);
        assert!(free_bytes(Path::new("/no such directory")).is_err());
    }
}
