use std::time::Duration;

use super::fixture::*;
use crate::storage::*;

fn open_error(path: &std::path::Path) -> OpenError {
    match Store::open(&options(path)) {
        Ok(_) => panic!("the directory must be refused"),
        Err(error) => error,
    }
}

/// A closed store with one item.
fn filled() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&options(directory.path())).unwrap();
    let table = create(&store, table_definition("t", false));
    write(&store, &table, "x", None, Change::Put("p=x v=1".into()));
    store.close().unwrap();
    directory
}

#[test]
fn a_directory_is_opened_once() {
    let directory = filled();
    let store = Store::open(&options(directory.path())).unwrap();
    let error = open_error(directory.path());
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("is in use by another process"), "{error}");
    drop(store);
    assert!(Store::open(&options(directory.path())).is_ok());
}

#[test]
fn a_newer_format_is_refused() {
    let directory = filled();
    let store = Store::open(&options(directory.path())).unwrap();
    store.engine.db.put(layout::MetadataKey::format_version(), 2u32.to_le_bytes()).unwrap();
    drop(store);
    let error = open_error(directory.path());
    assert!(matches!(error, OpenError::NewerFormat { found: 2, supported: 1, .. }), "{error}");
}

#[test]
fn corrupt_metadata_is_refused() {
    use layout::MetadataKey;
    for (key, value) in [
        (MetadataKey::format_version(), &b"1"[..]),
        (MetadataKey::format_version(), &[0; 4]),
        (MetadataKey::next_table_id(), b""),
        (MetadataKey::next_table_id(), &[1, 0, 0, 0]),
        (MetadataKey::table(1), b"{\"name\":"),
        (MetadataKey::table(7), b"\xff\xff"),
        (MetadataKey::counters(1), b"123"),
    ] {
        let directory = filled();
        let store = Store::open(&options(directory.path())).unwrap();
        store.engine.db.put(key, value).unwrap();
        drop(store);
        let error = open_error(directory.path());
        assert!(matches!(error, OpenError::Corrupt { .. }), "{:?} {value:?}: {error}", key.as_ref());
    }
}

#[test]
fn foreign_and_damaged_directories_are_refused() {
    let damage = |change: &dyn Fn(&std::path::Path)| {
        let directory = filled();
        change(directory.path());
        let error = open_error(directory.path());
        assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
    };
    damage(&|path| std::fs::remove_file(path.join("CURRENT")).unwrap());
    damage(&|path| std::fs::write(path.join("CURRENT"), "nonsense").unwrap());
    let table_file = |path: &std::path::Path| {
        let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
        entries.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "sst")).unwrap()
    };
    damage(&|path| std::fs::remove_file(table_file(path)).unwrap());
    damage(&|path| {
        let file = table_file(path);
        let mut bytes = std::fs::read(&file).unwrap();
        bytes.iter_mut().for_each(|byte| *byte ^= 0x55);
        std::fs::write(file, bytes).unwrap();
    });
    // A RocksDB database of something else.
    let directory = tempfile::tempdir().unwrap();
    rocksdb::DB::open_default(directory.path()).unwrap().put(b"k", b"v").unwrap();
    let error = open_error(directory.path());
    assert!(error.to_string().contains("without this server's format version"), "{error}");
    // A file where the directory should be.
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(matches!(open_error(&file), OpenError::Io { .. }));
    // Other files do not matter.
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("README"), "").unwrap();
    assert!(Store::open(&options(directory.path())).is_ok());
}

#[test]
fn every_durability_mode_keeps_what_was_acknowledged() {
    for durability in [Durability::Sync, Durability::Interval(Duration::from_millis(1)), Durability::Os] {
        for clean in [true, false] {
            let directory = tempfile::tempdir().unwrap();
            let options = StoreOptions { durability, ..options(directory.path()) };
            let mut definition = table_definition("t", true);
            with_index(&mut definition, "g", &[("g", 'S')], &[("n", 'N')], "ALL");
            let store = Store::open(&options).unwrap();
            let table = create(&store, definition);
            for number in 0..200 {
                let (p, s) = ((number % 7).to_string(), number.to_string());
                write(&store, &table, &p, Some(&s), Change::Put(format!("p={p} s={s} g=a n=#{number}")));
            }
            if clean {
                store.close().unwrap();
            }
            drop((store, table));
            let store = Store::open(&options).unwrap();
            let table = store.table("t").unwrap();
            assert_eq!(table.item_count(), 200, "{durability:?}");
            check_indexes(&store, &table);
        }
    }
}
