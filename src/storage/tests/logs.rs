use std::path::{Path, PathBuf};

use super::fixture::*;
use crate::storage::*;

/// Writes that one after the other span records, blocks and several blocks.
const TEXT_BYTES: [usize; 6] = [10, 300, 9_000, 40_000, 70, 120_000];
const WRITES: usize = 24;

/// A store that ended without flushing, in a mode.
fn crashed(durability: Durability) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&StoreOptions { durability, ..options(directory.path()) }).unwrap();
    let table = create(&store, table_definition("t", false));
    for number in 0..WRITES {
        let text = "x".repeat(TEXT_BYTES[number % TEXT_BYTES.len()]);
        write(&store, &table, &number.to_string(), None, Change::Put(format!("p={number} v={text}")));
    }
    directory
}

fn log(directory: &Path) -> PathBuf {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let logs = entries.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
    logs.max_by_key(|path| path.metadata().unwrap().len()).unwrap()
}

fn flip(file: &Path, at: usize) {
    let mut bytes = std::fs::read(file).unwrap();
    bytes[at] ^= 0x10;
    std::fs::write(file, bytes).unwrap();
}

fn item_count(directory: &Path, recover_damaged_log: bool) -> Result<u64, OpenError> {
    let store = Store::open(&StoreOptions { recover_damaged_log, ..options(directory) })?;
    let table = store.table("t").map_or(0, |table| {
        check_indexes(&store, &table);
        table.item_count()
    });
    Ok(table)
}

/// All files with their bytes, but RocksDB's own log of what it does.
fn contents(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let paths = paths.filter(|path| !path.file_name().unwrap().to_string_lossy().starts_with("LOG"));
    let mut files: Vec<_> = paths.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    files.sort();
    files
}

/// The oracle is RocksDB itself.
#[test]
fn a_replay_ends_where_the_reader_of_the_log_says() {
    let directory = crashed(Durability::Os);
    let log = log(directory.path());
    let whole = std::fs::read(&log).unwrap();
    let replayed = || {
        let options = rocksdb::Options::default();
        rocksdb::DB::open_for_read_only(&options, directory.path(), false).unwrap().latest_sequence_number()
    };
    let reader_says = |reached: u64| {
        let logs = wal::inspect(directory.path()).unwrap();
        assert!(logs.reaches(reached) && !logs.reaches(reached + 1), "{reached}: {logs:?}");
        logs
    };
    let all = replayed();
    assert_eq!(reader_says(all).logs[0].beyond, 0);
    for at in (0..whole.len()).step_by(whole.len() / 60) {
        flip(&log, at);
        let reached = replayed();
        assert!(reached < all, "a flip at {at} is noticed");
        assert_eq!(
            reader_says(reached).damaged_after(reached).unwrap().name,
            log.file_name().unwrap().to_str().unwrap()
        );
        std::fs::write(&log, &whole[..at]).unwrap();
        reader_says(replayed());
        std::fs::write(&log, &whole).unwrap();
    }
}

#[test]
fn a_log_that_lost_what_was_acknowledged_is_refused_and_left_as_it_is() {
    for durability in [Durability::Sync, Durability::Os] {
        // In `os`, the file beside the log is what says that nothing was torn: the machine has not been booted since.
        for (numerator, is_last) in [(1, false), (3, false), (5, false), (6, true)] {
            let directory = crashed(durability);
            let log = log(directory.path());
            let bytes = log.metadata().unwrap().len() as usize;
            flip(&log, (bytes - 1) * numerator / 6);
            let before = contents(directory.path());
            let error = item_count(directory.path(), false).unwrap_err();
            assert!(matches!(error, OpenError::DamagedLog { .. }), "{error}");
            let text = error.to_string();
            let name = log.file_name().unwrap().to_string_lossy();
            assert!(text.contains(&*name) && text.contains("from byte "), "{text}");
            assert!(text.contains("--recover-damaged-log") && text.contains("Restore a backup"), "{text}");
            assert!(contents(directory.path()) == before, "nothing is changed by a refusal");
            // As asked for, everything before the damage, and that is the new state.
            let left = item_count(directory.path(), true).unwrap();
            assert!(if is_last { left == WRITES as u64 - 1 } else { left < WRITES as u64 }, "{left}");
            assert_eq!(item_count(directory.path(), false).unwrap(), left);
        }
    }
}

#[test]
fn a_missing_log_is_refused() {
    let directory = crashed(Durability::Sync);
    std::fs::remove_file(log(directory.path())).unwrap();
    let error = item_count(directory.path(), false).unwrap_err();
    assert!(matches!(&error, OpenError::DamagedLog { damage, .. } if damage == "a log file is missing"), "{error}");
}

/// What a power cut may do to the file beside the log is to take it away: the marks in the log are left.
#[test]
fn without_the_file_beside_it_the_log_speaks_for_itself() {
    let lost_file = |directory: &Path| std::fs::remove_file(directory.join("SYNCED")).unwrap();
    let synced = crashed(Durability::Sync);
    lost_file(synced.path());
    let file = log(synced.path());
    flip(&file, file.metadata().unwrap().len() as usize / 2);
    let error = item_count(synced.path(), false).unwrap_err();
    assert!(matches!(error, OpenError::DamagedLog { .. }), "{error}");

    // Unsynced, the same damage is a torn tail.
    let unsynced = crashed(Durability::Os);
    lost_file(unsynced.path());
    let file = log(unsynced.path());
    flip(&file, file.metadata().unwrap().len() as usize / 2);
    assert!((1..WRITES as u64).contains(&item_count(unsynced.path(), false).unwrap()));
}

#[test]
fn a_torn_tail_starts_wherever_it_is_torn() {
    let directory = crashed(Durability::Os);
    let file = log(directory.path());
    let whole = std::fs::read(&file).unwrap();
    let before = contents(directory.path());
    let mut last = 0;
    for at in (0..whole.len()).step_by(whole.len() / 20) {
        let copy = tempfile::tempdir().unwrap();
        for (path, bytes) in before.iter().filter(|(path, _)| !path.ends_with("SYNCED")) {
            std::fs::write(copy.path().join(path.file_name().unwrap()), bytes).unwrap();
        }
        std::fs::write(copy.path().join(file.file_name().unwrap()), &whole[..at]).unwrap();
        // Cut at its very beginning, it has lost the table too: no mark is left to say so.
        match item_count(copy.path(), false) {
            Ok(count) => {
                assert!(count >= last, "a longer log holds more: {count} after {last}");
                last = count;
            }
            Err(error) => panic!("cut at byte {at}: {error}"),
        }
    }
    assert!(last >= WRITES as u64 - 2, "{last}");
}
