//! Copies of a database, and databases from copies: RocksDB's BackupEngine.
//!
//! ```text
//! BACKUP_DIR/meta/<id>               which files a backup has, with their checksums; written last, then renamed
//! BACKUP_DIR/shared_checksum/        table files, each copied once for all backups that have it
//! BACKUP_DIR/private/<id>/           what changes: manifest, options, the log
//! BACKUP_DIR/LOCK                    held by the process that makes a backup; shared by those that restore one
//! ```
//!
//! Invariants:
//!
//! 1. A backup begins with a flush, so all that was acknowledged before is in its table files. These are the rows up
//!    to a batch of the committer, and a batch is all of a transaction with its index entries and counters.
//! 2. The log is copied while it is being written. [`restore`] leaves it out: table files alone are the consistent
//!    state of the flush.
//! 3. A backup exists once its file in `meta` does. What an interrupted one has left is removed by the next.
//! 4. While a backup is made, no table file that it copies is deleted: a busy server needs more space meanwhile.

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::io;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, TryLockError};
use std::thread;
use std::time::Duration;

use rocksdb::Env;
use rocksdb::backup::{BackupEngine, BackupEngineOptions, RestoreOptions};

use super::engine::Engine;
use super::lock::{self, Mode};
use super::progress::Observer;
use super::verify::options;
use super::{Error, OpenError, Store};

/// How often progress is looked for: RocksDB does not tell of it, the growing files do.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Where the log of a backup goes to when it is restored, before it is removed.
const LOG_DIRECTORY: &str = "log-of-backup";

/// Why there is no backup, or nothing is restored from one.
#[derive(Debug)]
pub enum BackupError {
    /// Another backup is being made, of this database or into this directory, or one is being restored from there.
    Busy,
    /// The directory cannot be used for what is asked.
    Unsuitable {
        path: PathBuf,
        detail: String,
    },
    Io {
        path: PathBuf,
        error: io::Error,
    },
    /// RocksDB failed, or found a file of the backup damaged.
    Engine(Error),
}

/// One backup in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupInfo {
    /// From 1 up.
    pub id: u32,
    pub time_s: u64,
    pub file_count: u32,
    /// All files of the backup, also those that it shares with others.
    pub bytes: u64,
}

/// The end of [`BackupSource::create`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupReport {
    pub info: BackupInfo,
    /// What the backup directory has grown by.
    pub copied_bytes: u64,
    pub purged_count: usize,
}

/// A database to make backups of, open in this process.
pub struct BackupSource {
    engine: Arc<Engine>,
    /// Held while a backup is made.
    running: Mutex<()>,
}

impl Store {
    /// For backups beside all other work. There is one, because it lets one backup be made at a time.
    pub fn backup_source(&self) -> BackupSource {
        BackupSource { engine: Arc::clone(&self.engine), running: Mutex::default() }
    }
}

impl BackupSource {
    /// Opens a data directory that no server uses.
    pub fn open(data_directory: &Path) -> Result<BackupSource, OpenError> {
        let engine = Engine::open_existing(&options(data_directory))?;
        Ok(BackupSource { engine: Arc::new(engine), running: Mutex::default() })
    }

    /// Adds a backup of the database as it is now to `target`, which is empty or has earlier ones, and then removes all
    /// but the latest `keep`. Blocks until it is done.
    pub fn create(
        &self,
        target: &Path,
        keep: Option<usize>,
        observer: &mut dyn Observer,
    ) -> Result<BackupReport, BackupError> {
        let _running = match self.running.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(BackupError::Busy),
        };
        self.engine.check_poison()?;
        prepare(target, self.engine.db.path())?;
        let _lock = take_lock(target, Mode::Exclusive)?;
        let mut backups = open(target)?;
        let before = bytes_below(target);
        observer.begin("backup", self.bytes_to_copy(target));
        watch(
            || backups.create_new_backup_flush(&self.engine.db, true),
            || observer.advance(bytes_below(target).saturating_sub(before)),
        )?;
        let copied_bytes = bytes_below(target).saturating_sub(before);
        observer.advance(copied_bytes);
        let mut purged_count = 0;
        if let Some(keep) = keep {
            purged_count = infos(&backups).len().saturating_sub(keep);
            backups.purge_old_backups(keep)?;
        }
        let info = infos(&backups).last().copied().ok_or_else(|| Error::engine("the new backup is not listed"))?;
        Ok(BackupReport { info, copied_bytes, purged_count })
    }

    /// What the table files that are not in the backup directory take. Their names there begin with their number.
    fn bytes_to_copy(&self, target: &Path) -> u64 {
        let shared = fs::read_dir(target.join("shared_checksum")).into_iter().flatten().flatten();
        let known: HashSet<String> =
            shared.filter_map(|entry| entry.file_name().to_str()?.split('_').next().map(str::to_owned)).collect();
        let files = self.engine.db.live_files().unwrap_or_default();
        let number = |name: &str| name.trim_start_matches('/').trim_end_matches(".sst").to_owned();
        files.iter().filter(|file| !known.contains(&number(&file.name))).map(|file| file.size as u64).sum()
    }
}

/// All backups in a directory, the oldest first.
pub fn list_backups(directory: &Path) -> Result<Vec<BackupInfo>, BackupError> {
    require_backups(directory)?;
    Ok(infos(&open(directory)?))
}

/// Makes a data directory from a backup, the latest if none is named. `target` must be empty or not exist; if the
/// backup turns out to be damaged, it is empty again.
pub fn restore(
    directory: &Path,
    id: Option<u32>,
    target: &Path,
    observer: &mut dyn Observer,
) -> Result<BackupInfo, BackupError> {
    require_backups(directory)?;
    let _backup_lock = take_lock(directory, Mode::Shared)?;
    let mut backups = open(directory)?;
    let infos = infos(&backups);
    let chosen = match id {
        Some(id) => infos.iter().find(|info| info.id == id),
        None => infos.last(),
    };
    let Some(info) = chosen.copied() else {
        let detail = id.map_or_else(|| "it holds no backup".into(), |id| format!("it holds no backup {id}"));
        return Err(BackupError::Unsuitable { path: directory.into(), detail });
    };
    fs::create_dir_all(target).map_err(|error| BackupError::Io { path: target.into(), error })?;
    require_empty(target)?;
    observer.begin("restore", info.bytes);
    let log = target.join(LOG_DIRECTORY);
    let work = || {
        // RocksDB compares checksums as it copies, and gives the file CURRENT its name at the end: until then no server
        // starts in the directory.
        backups.restore_from_backup(target, &log, &RestoreOptions::default(), info.id)
    };
    let restored = watch(work, || observer.advance(bytes_below(target)));
    // Ends the thread that copies: it goes on after an error.
    drop(backups);
    match restored {
        Ok(()) => {
            observer.advance(info.bytes);
            fs::remove_dir_all(&log).map_err(|error| BackupError::Io { path: log, error })?;
            Ok(info)
        }
        Err(error) => {
            empty(target);
            let detail = format!("backup {} cannot be restored: {error}", info.id);
            Err(BackupError::Unsuitable { path: directory.into(), detail })
        }
    }
}

/// Works on a thread of its own and looks at the progress meanwhile.
fn watch<T: Send>(work: impl FnOnce() -> T + Send, mut look: impl FnMut()) -> T {
    thread::scope(|scope| {
        let (alive, ended) = channel::<()>();
        let worker = scope.spawn(move || {
            let _alive = alive;
            work()
        });
        while ended.recv_timeout(POLL_INTERVAL) == Err(RecvTimeoutError::Timeout) {
            look();
        }
        worker.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

fn open(directory: &Path) -> Result<BackupEngine, BackupError> {
    let options = BackupEngineOptions::new(directory)?;
    Ok(BackupEngine::open(&options, &Env::new()?)?)
}

/// In the order of their ids.
fn infos(backups: &BackupEngine) -> Vec<BackupInfo> {
    let mut infos: Vec<BackupInfo> = backups
        .get_backup_info()
        .iter()
        .map(|info| BackupInfo {
            id: info.backup_id,
            time_s: u64::try_from(info.timestamp).unwrap_or(0),
            file_count: info.num_files,
            bytes: info.size,
        })
        .collect();
    infos.sort_unstable_by_key(|info| info.id);
    infos
}

/// Creates the backup directory, unless it would be in the data directory or has other things in it.
fn prepare(target: &Path, data_directory: &Path) -> Result<(), BackupError> {
    let io = |error| BackupError::Io { path: target.into(), error };
    let data = data_directory.canonicalize().map_err(io)?;
    let existing = target.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(target);
    if existing.canonicalize().map_err(io)?.starts_with(&data) {
        let detail = "it is in the data directory".into();
        return Err(BackupError::Unsuitable { path: target.into(), detail });
    }
    fs::create_dir_all(target).map_err(io)?;
    if target.join("meta").is_dir() { Ok(()) } else { require_empty(target) }
}

fn require_backups(directory: &Path) -> Result<(), BackupError> {
    match directory.join("meta").is_dir() {
        true => Ok(()),
        false => Err(BackupError::Unsuitable { path: directory.into(), detail: "it holds no backups".into() }),
    }
}

/// But for what a lock and a new file system put there.
fn require_empty(directory: &Path) -> Result<(), BackupError> {
    let io = |error| BackupError::Io { path: directory.into(), error };
    for entry in fs::read_dir(directory).map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        if name != "LOCK" && name != "lost+found" {
            let detail = format!("it is not empty: it holds {}", name.to_string_lossy());
            return Err(BackupError::Unsuitable { path: directory.into(), detail });
        }
    }
    Ok(())
}

/// Removes what an unfinished restore has put into an empty directory, as far as that is possible.
fn empty(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if name != "lost+found" {
            let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        }
    }
}

fn take_lock(directory: &Path, mode: Mode) -> Result<Option<fs::File>, BackupError> {
    lock::take(directory, mode).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => BackupError::Busy,
        _ => BackupError::Io { path: directory.into(), error },
    })
}

/// Sizes of all files in and below a directory. Files that vanish meanwhile do not count.
fn bytes_below(directory: &Path) -> u64 {
    let mut bytes = 0;
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes += bytes_below(&entry.path()),
            Ok(metadata) => bytes += metadata.len(),
            Err(_) => {}
        }
    }
    bytes
}

impl From<Error> for BackupError {
    fn from(error: Error) -> BackupError {
        BackupError::Engine(error)
    }
}

impl From<rocksdb::Error> for BackupError {
    fn from(error: rocksdb::Error) -> BackupError {
        BackupError::Engine(error.into())
    }
}

impl fmt::Display for BackupError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BackupError::Busy => {
                write!(formatter, "another backup is being made or restored; try again when it is done")
            }
            BackupError::Unsuitable { path, detail } => write!(formatter, "{}: {detail}", path.display()),
            BackupError::Io { path, error } => write!(formatter, "{}: {error}", path.display()),
            BackupError::Engine(error) => write!(formatter, "{error}"),
        }
    }
}

impl std::error::Error for BackupError {}
