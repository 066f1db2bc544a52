//! Why the store refuses or fails. `Display` texts are for the log; clients are told `InternalServerError`, or
//! `ServiceUnavailable` if the disk is full.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::model::Corrupt;

/// A failure of an open store. Cheap to clone: a failed batch tells all its mutations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Stored bytes do not follow the format; says what was being read.
    Corrupt(Arc<str>),
    /// RocksDB or the system below it failed, or a decision panicked.
    Engine(Arc<str>),
    /// An earlier write or sync failed with the given cause. Nothing is written any more until the server is restarted,
    /// because what the disk holds is not known.
    Poisoned(Arc<str>),
    /// There is no space for writes, or too little. Nothing of this one was written; a later one may succeed.
    DiskFull,
    /// The store is shutting down.
    Closed,
}

/// Why a data directory was not opened.
#[derive(Debug)]
pub enum OpenError {
    /// Another process holds the directory's lock.
    InUse { path: PathBuf },
    /// Written by a later version of this program.
    NewerFormat { path: PathBuf, found: u32, supported: u32 },
    /// Not a data directory of this program, or damaged.
    Corrupt { path: PathBuf, detail: String },
    /// The log lacks changes that were on the disk. `damage` says where; the numbers are RocksDB's, of the last change
    /// that is left and of the last that must be there.
    DamagedLog { path: PathBuf, damage: String, reached: u64, required: u64 },
    /// The directory cannot be created, read or written.
    Io { path: PathBuf, detail: String },
}

impl Error {
    pub(super) fn corrupt(what: impl Into<Arc<str>>) -> Error {
        Error::Corrupt(what.into())
    }

    pub(super) fn engine(cause: impl fmt::Display) -> Error {
        Error::Engine(cause.to_string().into())
    }
}

impl From<Corrupt> for Error {
    fn from(Corrupt: Corrupt) -> Error {
        Error::corrupt("a stored item does not follow the format")
    }
}

impl From<rocksdb::Error> for Error {
    fn from(error: rocksdb::Error) -> Error {
        match error.kind() {
            rocksdb::ErrorKind::Corruption => Error::Corrupt(error.into_string().into()),
            _ => Error::Engine(error.into_string().into()),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Corrupt(what) => write!(formatter, "corrupt data: {what}"),
            Error::Engine(cause) => write!(formatter, "storage engine: {cause}"),
            Error::Poisoned(cause) => {
                write!(formatter, "writes are refused until the server is restarted, because one failed: {cause}")
            }
            Error::DiskFull => write!(formatter, "the disk is full"),
            Error::Closed => write!(formatter, "the store is closed"),
        }
    }
}

impl std::error::Error for Error {}

impl fmt::Display for OpenError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::InUse { path } => {
                write!(formatter, "data directory {} is in use by another process", path.display())
            }
            OpenError::NewerFormat { path, found, supported } => write!(
                formatter,
                "data directory {} has format version {found}, this server understands up to {supported}: \
                 it was written by a newer version",
                path.display()
            ),
            OpenError::Corrupt { path, detail } => {
                write!(formatter, "data directory {} is damaged or not a data directory: {detail}", path.display())
            }
            OpenError::DamagedLog { path, damage, reached, required } => write!(
                formatter,
                "data directory {}: the log is damaged: {damage}. Changes {} to {required} (of rows, index entries and \
                 counters) were written and cannot be read; nothing was opened or changed. Restore a backup, or copy \
                 the directory and start once with --recover-damaged-log to go on without them",
                path.display(),
                reached + 1
            ),
            OpenError::Io { path, detail } => {
                write!(formatter, "data directory {} cannot be opened: {detail}", path.display())
            }
        }
    }
}

impl std::error::Error for OpenError {}
