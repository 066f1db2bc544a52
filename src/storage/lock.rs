//! The lock of a directory: an `fcntl` lock on its file `LOCK`, as RocksDB takes it on a database that it opens for
//! writing. It takes none on one that it only reads.
//!
//! The lock is the process's: a process must not take it on a database that it has open for writing.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use rustix::fs::{FlockOperation, fcntl_lock};

/// Several may share a lock; who holds it exclusively holds it alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Shared,
    Exclusive,
}

/// Locks a directory as long as the file is open; [`io::ErrorKind::WouldBlock`] if another process holds it. `None`:
/// the directory cannot be written, so nobody can lock it.
pub(super) fn take(directory: &Path, mode: Mode) -> io::Result<Option<File>> {
    let name = directory.join("LOCK");
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&name);
    let (file, operation) = match (opened, mode) {
        (Ok(file), Mode::Exclusive) => (file, FlockOperation::NonBlockingLockExclusive),
        (Ok(file), Mode::Shared) => (file, FlockOperation::NonBlockingLockShared),
        (Err(error), Mode::Exclusive) => return Err(error),
        (Err(_), Mode::Shared) => match File::open(&name) {
            Ok(file) => (file, FlockOperation::NonBlockingLockShared),
            Err(_) => return Ok(None),
        },
    };
    match fcntl_lock(&file, operation) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => Err(io::ErrorKind::WouldBlock.into()),
        Err(error) => Err(error.into()),
    }
}
