//! How far the log is known to be on the disk, written down twice, so that a start can tell a torn tail from damage.
//!
//! RocksDB ends the replay of a log at the first record that is not whole. That is right for a tail that a crash tore,
//! and would be a silent loss anywhere before. The difference is what was known to be on the disk:
//!
//! - **In the log**: each batch ends with a mark, the sequence number up to which the log was synced when the batch was
//!   written. Whoever finds the batch knows that everything up to this number was there before it.
//! - **Beside the log**, in the file `SYNCED`, overwritten after each write and each sync and never synced itself: what
//!   is found there may be old, never too new. It covers the last batches, which no later one vouches for. While the
//!   machine has not been booted anew it also says what was written: that is with the system and cannot be torn.
//!
//! ```text
//! SYNCED := "JRMNSYNC" boot(16) synced(8) written(8) xxh3(8)      numbers little-endian, the hash over all before it
//! mark   := 03 0c "SYNC" synced(8)                                RocksDB's log data: in the log and nowhere else
//! ```
//!
//! Invariant: neither number is ever greater than what is true at that moment.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rocksdb::WriteBatch;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// A name that RocksDB takes for none of its files, and so leaves alone.
const FILE_NAME: &str = "SYNCED";

const MAGIC: &[u8; 8] = b"JRMNSYNC";
const FILE_BYTES: usize = 48;

/// What follows the tag and the length of log data.
const MARK_NAME: &[u8; 4] = b"SYNC";
pub(super) const MARK_BYTES: usize = 14;
const MARK_PREFIX: &[u8; 6] = b"\x03\x0cSYNC";

/// Changes with the machine's boot.
const BOOT_ID_PATH: &str = "/proc/sys/kernel/random/boot_id";

/// Both numbers, of a store that is open.
pub(super) struct SyncMark {
    file: File,
    boot: [u8; 16],
    reach: Mutex<Reach>,
}

/// Sequence numbers of RocksDB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Reach {
    synced: u64,
    written: u64,
}

impl SyncMark {
    /// The sequence number that a start has to reach: 0 if no, or a damaged, file says.
    pub fn required(directory: &Path) -> io::Result<u64> {
        let bytes = match fs::read(directory.join(FILE_NAME)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            bytes => bytes?,
        };
        Ok(match decode(&bytes) {
            Some((boot, reach)) if boot == boot_id() => reach.written.max(reach.synced),
            Some((_, reach)) => reach.synced,
            // Torn by a power cut when it was new, or damaged: the marks in the log are left.
            None => 0,
        })
    }

    /// Begins anew: everything up to `sequence` is on the disk.
    pub fn create(directory: &Path, sequence: u64) -> io::Result<SyncMark> {
        let path = directory.join(FILE_NAME);
        // Not truncated: at every moment there is one valid mark.
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        let reach = Reach { synced: sequence, written: sequence };
        let mark = SyncMark { file, boot: boot_id(), reach: Mutex::new(reach) };
        mark.file.write_all_at(&encode(mark.boot, reach), 0)?;
        mark.file.sync_all()?;
        // A start that dropped a damaged log must not find it again: its names are removed for good.
        File::open(directory)?.sync_all()?;
        Ok(mark)
    }

    /// Ends a batch with its mark.
    pub fn stamp(&self, batch: &mut WriteBatch) {
        let synced = self.lock().synced.to_le_bytes();
        let mut data = [0; MARK_BYTES - 2];
        data[..4].copy_from_slice(MARK_NAME);
        data[4..].copy_from_slice(&synced);
        batch.put_log_data(data);
    }

    /// Everything up to `sequence` is in the log.
    pub fn written(&self, sequence: u64) {
        self.advance(|reach| reach.written = reach.written.max(sequence));
    }

    /// Everything up to `sequence` is in the log, and the log on the disk.
    pub fn synced(&self, sequence: u64) {
        self.advance(|reach| {
            reach.synced = reach.synced.max(sequence);
            reach.written = reach.written.max(sequence);
        });
    }

    fn advance(&self, change: impl FnOnce(&mut Reach)) {
        let mut reach = self.lock();
        let before = *reach;
        change(&mut reach);
        if *reach != before {
            // What was there before stays true, so a failure only makes the next start less demanding.
            let _ = self.file.write_all_at(&encode(self.boot, *reach), 0);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Reach> {
        self.reach.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The mark that a batch, as the log holds it, ends with.
pub(super) fn read_mark(batch: &[u8]) -> Option<u64> {
    let (_, mark) = batch.split_last_chunk::<MARK_BYTES>()?;
    Some(u64::from_le_bytes(mark.strip_prefix(MARK_PREFIX)?.try_into().ok()?))
}

/// Of a machine that has none: never the same twice.
fn boot_id() -> [u8; 16] {
    match fs::read(BOOT_ID_PATH) {
        Ok(text) => xxh3_128(&text).to_le_bytes(),
        Err(_) => uuid::Uuid::new_v4().into_bytes(),
    }
}

fn encode(boot: [u8; 16], reach: Reach) -> [u8; FILE_BYTES] {
    let mut bytes = [0; FILE_BYTES];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..24].copy_from_slice(&boot);
    bytes[24..32].copy_from_slice(&reach.synced.to_le_bytes());
    bytes[32..40].copy_from_slice(&reach.written.to_le_bytes());
    let hash = xxh3_64(&bytes[..40]);
    bytes[40..].copy_from_slice(&hash.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<([u8; 16], Reach)> {
    let bytes: &[u8; FILE_BYTES] = bytes.try_into().ok()?;
    let word = |at: usize| Some(u64::from_le_bytes(bytes[at..at + 8].try_into().ok()?));
    if &bytes[..8] != MAGIC || word(40)? != xxh3_64(&bytes[..40]) {
        return None;
    }
    Some((bytes[8..24].try_into().ok()?, Reach { synced: word(24)?, written: word(32)? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_file_is_none() {
        let reach = Reach { synced: 7, written: 9 };
        let bytes = encode([5; 16], reach);
        assert_eq!(decode(&bytes), Some(([5; 16], reach)));
        for at in 0..FILE_BYTES {
            let mut bytes = bytes;
            bytes[at] ^= 1;
            assert_eq!(decode(&bytes), None, "{at}");
            assert_eq!(decode(&bytes[..at]), None, "{at}");
        }
    }

    #[test]
    fn only_in_the_same_boot_what_was_written_has_to_be_there() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(SyncMark::required(directory.path()).unwrap(), 0);
        let mark = SyncMark::create(directory.path(), 3).unwrap();
        mark.synced(5);
        mark.written(9);
        mark.synced(6);
        assert_eq!(SyncMark::required(directory.path()).unwrap(), 9);
        let earlier_boot = encode([1; 16], Reach { synced: 6, written: 9 });
        fs::write(directory.path().join(FILE_NAME), earlier_boot).unwrap();
        assert_eq!(SyncMark::required(directory.path()).unwrap(), 6);
    }

    #[test]
    fn a_batch_ends_with_its_mark() {
        let directory = tempfile::tempdir().unwrap();
        let mark = SyncMark::create(directory.path(), 300).unwrap();
        let mut batch = WriteBatch::new();
        batch.put(b"k", b"v");
        assert_eq!(read_mark(batch.data()), None);
        mark.stamp(&mut batch);
        assert_eq!(read_mark(batch.data()), Some(300));
        assert_eq!(batch.len(), 1, "a mark is no change");
    }
}
