//! RocksDB's write-ahead log as bytes: read before RocksDB replays it, because the replay ends without a word at the
//! first record that is not whole.
//!
//! ```text
//! log file := block*                         of 32,768 bytes, the last one may be shorter
//! block    := record* zeros                  no record crosses a block; fewer bytes left than a header has: zeros
//! record   := crc(4) length(2) type(1) log number(4) payload       masked CRC-32C over type, log number and payload
//! type     := 5 whole batch | 6 its first part | 7 a middle part | 8 the last
//! batch    := sequence(8) count(4) change* mark                    see `sync_mark`
//! ```
//!
//! After the last record anything may follow: zeros, the torn end of a batch, or, in a log written over an older one,
//! records of that one, which are recognised by their number. So the end of a log is no error in itself. It is one
//! if batches that are known to have been on the disk lie beyond it ([`inspect`] finds the marks; [`Inspection::check`]
//! decides).
//!
//! Invariant: nothing here changes a file, and any bytes give a result.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::sync_mark::read_mark;

const BLOCK_BYTES: usize = 32 * 1024;
const HEADER_BYTES: usize = 11;

const WHOLE: u8 = 5;
const FIRST: u8 = 6;
const MIDDLE: u8 = 7;
const LAST: u8 = 8;

/// Sequence and count.
const BATCH_HEADER_BYTES: usize = 12;

/// One log file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LogFile {
    pub name: String,
    number: u64,
    /// Sequence number of the first change.
    first: Option<u64>,
    /// Sequence number that follows the last batch before `end`.
    next: u64,
    /// Where whole batches, one after the other from the beginning, end.
    pub end: u64,
    /// Whole batches that were found beyond.
    pub beyond: u64,
    /// The greatest mark, beyond the end too.
    synced: u64,
}

/// All logs of a data directory.
#[derive(Debug, Default)]
pub(super) struct Inspection {
    /// By number.
    pub logs: Vec<LogFile>,
}

impl Inspection {
    /// The sequence number that was on the disk for certain, as far as the logs themselves say.
    pub fn synced(&self) -> u64 {
        self.logs.iter().map(|log| log.synced).max().unwrap_or(0)
    }

    /// Whether the logs show that a replay reaches this sequence number. Otherwise only RocksDB knows, because a change
    /// may have left the log for a table file.
    pub fn reaches(&self, sequence: u64) -> bool {
        let mut next = None;
        for log in self.logs.iter().filter(|log| log.first.is_some()) {
            if next.is_some() && log.first != next {
                break;
            }
            next = Some(log.next);
        }
        next.unwrap_or(1) > sequence
    }

    /// Where a replay that ended after the change `reached` met damage.
    pub fn damaged_after(&self, reached: u64) -> Option<&LogFile> {
        let ends_there = |log: &&LogFile| log.first.is_some() && log.next == reached + 1;
        // A log without one whole batch is damaged at its beginning.
        let begins_damaged = |log: &&LogFile| log.beyond > 0 || log.first.is_none();
        self.logs.iter().rev().find(ends_there).or_else(|| self.logs.iter().find(begins_damaged))
    }
}

/// Reads all logs of a data directory.
pub(super) fn inspect(directory: &Path) -> io::Result<Inspection> {
    let mut logs = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let Some(number) = name.strip_suffix(".log").and_then(|digits| digits.parse().ok()) else { continue };
        let file = File::open(directory.join(&name))?;
        logs.push(read_log(file, name, number)?);
    }
    logs.sort_by_key(|log| log.number);
    Ok(Inspection { logs })
}

/// Reads one log to its end, over damage too.
fn read_log(mut file: impl Read, name: String, number: u64) -> io::Result<LogFile> {
    let log = LogFile { name, number, first: None, next: 0, end: 0, beyond: 0, synced: 0 };
    let mut reader = Reader { log, batch: Vec::new(), open: false, is_whole: true, position: 0 };
    let mut block = Vec::with_capacity(BLOCK_BYTES);
    loop {
        block.clear();
        (&mut file).take(BLOCK_BYTES as u64).read_to_end(&mut block)?;
        reader.read_block(&block);
        reader.position += block.len() as u64;
        if block.len() < BLOCK_BYTES {
            return Ok(reader.log);
        }
    }
}

struct Reader {
    log: LogFile,
    /// Parts of a batch so far.
    batch: Vec<u8>,
    /// Whether parts are being gathered.
    open: bool,
    /// Until the first damage.
    is_whole: bool,
    /// Of the block in the file.
    position: u64,
}

impl Reader {
    fn read_block(&mut self, block: &[u8]) {
        let mut at = 0;
        while block.len() - at >= HEADER_BYTES {
            match read_record(&block[at..], self.log.number) {
                Some((kind, payload)) => {
                    at += HEADER_BYTES + payload.len();
                    self.add(kind, payload, self.position + at as u64);
                }
                None => {
                    self.is_whole = false;
                    self.open = false;
                    // A record may begin anywhere now, but only one of this log has its number and a matching checksum.
                    at += 1;
                }
            }
        }
    }

    fn add(&mut self, kind: u8, payload: &[u8], end: u64) {
        match kind {
            WHOLE | FIRST => {
                // The batch before has no end.
                self.is_whole &= !self.open;
                self.batch.clear();
                self.batch.extend_from_slice(payload);
                self.open = kind == FIRST;
            }
            MIDDLE | LAST if self.open => {
                self.batch.extend_from_slice(payload);
                self.open = kind == MIDDLE;
            }
            // The end of a batch whose beginning is damaged still carries its mark.
            LAST => {
                self.is_whole = false;
                self.log.beyond += 1;
                self.log.synced = self.log.synced.max(read_mark(payload).unwrap_or(0));
                return;
            }
            _ => return,
        }
        if !self.open {
            self.finish_batch(end);
        }
    }

    fn finish_batch(&mut self, end: u64) {
        let Some((header, _)) = self.batch.split_first_chunk::<BATCH_HEADER_BYTES>() else { return };
        let sequence = u64::from_le_bytes([0, 1, 2, 3, 4, 5, 6, 7].map(|at| header[at]));
        let count = u32::from_le_bytes([8, 9, 10, 11].map(|at| header[at]));
        let log = &mut self.log;
        log.synced = log.synced.max(read_mark(&self.batch).unwrap_or(0));
        if self.is_whole {
            log.first.get_or_insert(sequence);
            log.next = sequence.wrapping_add(count.into());
            log.end = end;
        } else {
            log.beyond += 1;
        }
    }
}

/// The record at the beginning of `bytes`: its type and payload, if it is one of this log and whole.
fn read_record(bytes: &[u8], log_number: u64) -> Option<(u8, &[u8])> {
    let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
    let [c0, c1, c2, c3, l0, l1, kind, n0, n1, n2, n3] = *header;
    if !(WHOLE..=LAST).contains(&kind) || u32::from_le_bytes([n0, n1, n2, n3]) != log_number as u32 {
        return None;
    }
    let payload = rest.get(..u16::from_le_bytes([l0, l1]).into())?;
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&header[6..]), payload);
    (mask(checksum) == u32::from_le_bytes([c0, c1, c2, c3])).then_some((kind, payload))
}

/// A checksum of bytes that hold checksums is stored like this, by RocksDB and LevelDB alike.
fn mask(checksum: u32) -> u32 {
    checksum.rotate_right(15).wrapping_add(0xa282_ead8)
}
