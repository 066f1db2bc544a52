//! Each kind of damage, done through RocksDB itself: it is found, and what can be mended is.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use bumpalo::Bump;

use super::{Catalog, Directory, Engine, Finding, Observer, Repair, Selection, Verification, index};
use crate::model::table::IndexStatus;
use crate::storage::layout::MetadataKey;
use crate::storage::tests::fixture::*;
use crate::storage::{KeyValue, Store, Table};

/// Remembers what it is told.
#[derive(Default)]
struct Recorder {
    /// `place: what`.
    findings: Vec<String>,
    notes: Vec<String>,
    /// Panics at this finding, as a crash would end a command.
    panics_at: Option<usize>,
}

impl Observer for Recorder {
    fn begin(&mut self, _: &str, _: u64) {}

    fn advance(&mut self, _: u64) {}

    fn find(&mut self, Finding { place, what }: Finding) {
        self.findings.push(format!("{place}: {what}"));
        assert!(self.panics_at != Some(self.findings.len()), "as the test asked for");
    }

    fn note(&mut self, line: &str) {
        self.notes.push(line.to_owned());
    }
}

const ITEM_COUNT: usize = 60;

/// A directory with table `t` (p, s), four indexes, and an empty table `u`; no server uses it.
fn filled() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&options(directory.path())).unwrap();
    let mut definition = table_definition("t", true);
    with_index(&mut definition, "keys", &[("g", 'S')], &[], "KEYS_ONLY");
    with_index(&mut definition, "some", &[("g", 'S')], &[("n", 'N')], "INCLUDE x");
    with_index(&mut definition, "all", &[("g", 'S'), ("h", 'B')], &[("n", 'N')], "ALL");
    let table = create(&store, definition);
    create(&store, table_definition("u", false));
    for number in 0..ITEM_COUNT {
        let (p, s) = (format!("p{}", number % 7), number.to_string());
        let text = format!("p={p} s={s} g=g{} h=@{number} n=#{number} x=1 y=2", number % 3);
        write(&store, &table, &p, Some(&s), Change::Put(text));
    }
    let (mut mutation, receiver) = mutation(&[(&table, "p1", Some("1"), Change::Keep)], true);
    mutation.token = Some(("token", 1, 1_772_345_678_123));
    assert!(store.submit(mutation).is_ok());
    receiver.recv().unwrap();
    store.close().unwrap();
    directory
}

/// Writes to a directory what no server would.
fn damage(path: &Path, change: impl FnOnce(&rocksdb::DB, &Table)) {
    let engine = Engine::open_existing(&options(path)).unwrap();
    let catalog = Catalog::load(&engine).unwrap();
    change(&engine.db, catalog.table("t").unwrap());
    engine.flush().unwrap();
}

fn verify(path: &Path) -> (Verification, Recorder) {
    let mut recorder = Recorder::default();
    let verification = Directory::open(path).unwrap().verify(&mut recorder).unwrap();
    assert_eq!(verification.difference_count, recorder.findings.len() as u64);
    (verification, recorder)
}

fn rebuild(path: &Path, selection: &Selection, dry_run: bool) -> (Repair, Recorder) {
    let mut recorder = Recorder::default();
    let directory = if dry_run { Directory::open(path) } else { Directory::open_for_repair(path) };
    let repair = directory.unwrap().rebuild(selection, dry_run, &mut recorder).unwrap();
    (repair, recorder)
}

/// The row key in an index of an item of [`filled`].
fn entry_key(table: &Table, index: &str, number: usize, arena: &Bump) -> Vec<u8> {
    let text = format!("p=p{} s={number} g=g{} h=@{number} n=#{number} x=1 y=2", number % 7, number % 3);
    let index = table.index(index).unwrap();
    index::implied(table, index, b"", item(&text, arena), arena).unwrap().unwrap().row_key.to_vec()
}

fn primary(number: usize) -> (String, String) {
    (format!("p{}", number % 7), number.to_string())
}

fn item_key(table: &Table, number: usize) -> Vec<u8> {
    let (p, s) = primary(number);
    row_key(table, &p, Some(&s))
}

#[test]
fn a_sound_directory_is_clean_and_stays_as_it_is() {
    let directory = filled();
    let listing = || {
        let entries = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap());
        let mut files: Vec<_> = entries.map(|entry| (entry.file_name(), fs::read(entry.path()).unwrap())).collect();
        files.sort();
        files
    };
    let before = listing();
    let (verification, recorder) = verify(directory.path());
    assert_eq!((recorder.findings, recorder.notes), (vec![], vec![]));
    let [t, u] = verification.tables.as_slice() else { panic!("{verification:?}") };
    assert_eq!((t.name.as_str(), t.items, u.items), ("t", ITEM_COUNT as u64, 0));
    assert!(t.indexes.iter().all(|(_, entries, _)| *entries == ITEM_COUNT as u64), "{t:?}");
    assert_eq!(rebuild(directory.path(), &Selection::default(), true).0.difference_count, 0);
    assert!(before == listing(), "not a byte is changed");
}

/// A kind of damage: what it does, and what is said of it, one text for each difference.
type Damage = (&'static str, fn(&rocksdb::DB, &Table), &'static [&'static str]);

/// What `rebuild` mends.
const REPAIRABLE: &[Damage] = &[
    (
        "a missing entry",
        |db, table| db.delete(entry_key(table, "some", 5, &Bump::new())).unwrap(),
        &[
            "index t.some: missing entry g=\"g2\" n=5 of item p=\"p5\" s=\"5\"",
            "index t.some: the catalog counts 60 rows",
        ],
    ),
    (
        "an entry of an item that is gone",
        |db, table| {
            let (p, s) = primary(4);
            db.delete(row_key(table, &p, Some(&s))).unwrap();
        },
        &[
            "table t: the catalog counts 60 rows",
            "index t.keys: extra entry g=\"g1\" of item p=\"p4\" s=\"4\"",
            "index t.some: extra entry g=\"g1\" n=4 of item",
            "index t.all: extra entry g=\"g1\" h=0x34 n=4 of item",
        ],
    ),
    (
        "an entry under a key that its item does not have",
        |db, table| {
            let (arena, index) = (Bump::new(), table.index("keys").unwrap());
            let primary = [KeyValue::S("p4"), KeyValue::S("4")];
            let key = index.row_key(&[KeyValue::S("other")], &[], &primary, &arena);
            db.put(key, item("g=other p=p4 s=4", &arena).as_bytes()).unwrap();
        },
        &["index t.keys: extra entry g=\"other\" of item p=\"p4\" s=\"4\"", "index t.keys: the catalog counts 60 rows"],
    ),
    (
        "another projection",
        |db, table| {
            let arena = Bump::new();
            let other = item("g=g1 n=#4 p=p4 s=4 x=2", &arena);
            db.put(entry_key(table, "some", 4, &arena), other.as_bytes()).unwrap();
        },
        &["index t.some: the entry's attributes are not its item's: g=\"g1\" n=4 of item p=\"p4\" s=\"4\""],
    ),
    (
        "an entry whose bytes are no item",
        |db, table| db.put(entry_key(table, "all", 4, &Bump::new()), b"nonsense").unwrap(),
        &["index t.all: the entry's attributes are not its item's: g=\"g1\"", "index t.all: the catalog counts"],
    ),
    (
        "an entry whose key does not decode",
        |db, table| {
            let key = [&table.index("keys").unwrap().space().prefix()[..], b"nonsense"].concat();
            db.put(key, b"").unwrap();
        },
        &["index t.keys: extra entry key 0x", "index t.keys: the catalog counts 60 rows"],
    ),
    (
        "wrong counters",
        |db, table| db.put(MetadataKey::counters(table.id()), [&[0, 0][..], &[7; 16]].concat()).unwrap(),
        &[
            "table t: the catalog counts",
            "index t.keys: the catalog counts 0 rows of 0 bytes, there are 60 of",
            "index t.some: the catalog counts 0 rows",
            "index t.all: the catalog counts 0 rows",
        ],
    ),
];

fn check_findings(name: &str, found: &[String], expected: &[&str]) {
    for text in expected {
        assert!(found.iter().any(|finding| finding.contains(text)), "{name}: {text:?} is not in {found:#?}");
    }
    // Removing rows changes counters too: those are the only ones that a row above may leave out.
    let others = found.iter().filter(|finding| !expected.iter().any(|text| finding.contains(text)));
    let unexpected: Vec<_> = others.filter(|finding| !finding.contains("the catalog counts")).collect();
    assert!(unexpected.is_empty(), "{name}: {unexpected:#?}");
}

#[test]
fn damaged_indexes_are_found_and_rebuilt() {
    for (name, change, expected) in REPAIRABLE {
        let directory = filled();
        damage(directory.path(), change);
        let found = verify(directory.path()).1.findings;
        check_findings(name, &found, expected);
        let (repair, tried) = rebuild(directory.path(), &Selection::default(), true);
        // Its counters are compared with what the index will hold, not with what it holds.
        let of_rows = expected.iter().copied().filter(|text| !text.contains("the catalog counts"));
        check_findings(name, &tried.findings, &of_rows.collect::<Vec<_>>());
        assert_eq!(tried.findings.len() as u64, repair.difference_count, "{name}");
        assert_eq!((repair.damage_count, repair.table_count, repair.index_count), (0, 2, 3), "{name}");
        assert_eq!(verify(directory.path()).1.findings, found, "{name}: a dry run changes nothing");
        let (repair, mended) = rebuild(directory.path(), &Selection::default(), false);
        assert_eq!(repair.difference_count, tried.findings.len() as u64, "{name}");
        assert_eq!(mended.findings, tried.findings, "{name}");
        assert_eq!(verify(directory.path()).1.findings, Vec::<String>::new(), "{name}");
        assert_eq!(rebuild(directory.path(), &Selection::default(), false).0.difference_count, 0, "{name}");
        // What it left is what a server would have written.
        let store = Store::open(&options(directory.path())).unwrap();
        check_indexes(&store, &store.table("t").unwrap());
    }
}

#[test]
fn only_the_named_indexes_are_rebuilt() {
    let directory = filled();
    damage(directory.path(), |db, table| {
        for index in ["keys", "some"] {
            db.delete(entry_key(table, index, 5, &Bump::new())).unwrap();
        }
    });
    let select = |table: Option<&str>, index: Option<&str>| Selection {
        table: table.map(str::to_owned),
        index: index.map(str::to_owned),
    };
    for (selection, expected) in [
        (select(Some("none"), None), (0, 0)),
        (select(Some("t"), Some("none")), (0, 0)),
        (select(Some("u"), None), (1, 0)),
        (select(None, Some("some")), (1, 1)),
    ] {
        let repair = rebuild(directory.path(), &selection, false).0;
        assert_eq!((repair.table_count, repair.index_count), expected, "{selection:?}");
    }
    let left = verify(directory.path()).1.findings;
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left.iter().all(|finding| finding.starts_with("index t.keys: ")), "{left:?}");
}

/// What only a backup mends.
const DAMAGE: &[Damage] = &[
    (
        "bytes that are no item",
        |db, table| db.put(item_key(table, 4), b"nonsense").unwrap(),
        &["table t: item p=\"p4\" s=\"4\": its bytes do not follow the format"],
    ),
    (
        "a wrong size",
        |db, table| {
            let mut bytes = db.get(item_key(table, 4)).unwrap().unwrap();
            bytes[1] += 1;
            db.put(item_key(table, 4), bytes).unwrap();
        },
        &["table t: item p=\"p4\" s=\"4\": its stored size is", "index t.all: the entry's attributes"],
    ),
    (
        "bytes behind an item's end",
        |db, table| {
            let bytes = [&db.get(item_key(table, 4)).unwrap().unwrap()[..], b"x"].concat();
            db.put(item_key(table, 4), bytes).unwrap();
        },
        &["item p=\"p4\" s=\"4\": its bytes are not in the canonical form", "index t.all: the entry's attributes"],
    ),
    (
        "the item of another key",
        |db, table| db.put(item_key(table, 4), item("p=p4 s=5", &Bump::new()).as_bytes()).unwrap(),
        &["item p=\"p4\" s=\"4\": its key attributes are not those of its row's key"],
    ),
    (
        "an item without its key",
        |db, table| db.put(item_key(table, 4), item("p=p4", &Bump::new()).as_bytes()).unwrap(),
        &["item p=\"p4\" s=\"4\": its key attributes are missing or not valid"],
    ),
    (
        "a wrong partition hash",
        |db, table| {
            let mut key = row_key(table, "new", Some("x"));
            key[7] ^= 1;
            db.put(key, item("p=new s=x", &Bump::new()).as_bytes()).unwrap();
        },
        &["item p=\"new\" s=\"x\": the partition hash in the row's key is not that of its partition"],
    ),
    (
        "a key that does not decode",
        |db, table| db.put([&table.space().prefix()[..], b"nonsense"].concat(), b"").unwrap(),
        &["table t: item key 0x0000000100006e6f6e73656e7365: the row's key cannot be decoded"],
    ),
    (
        "an item above the limit",
        |db, table| {
            let (arena, key) = (Bump::new(), row_key(table, "big", Some("x")));
            let text = format!("p=big s=x y={}", "y".repeat(410_000));
            db.put(key, item(&text, &arena).as_bytes()).unwrap();
        },
        &["item p=\"big\" s=\"x\": it has 410007 bytes, more than 409600"],
    ),
    (
        "records of no known kind and of no table",
        |db, _| {
            db.put(b"\0\0\0\0?", b"").unwrap();
            db.put(MetadataKey::counters(99), b"").unwrap();
            db.put(MetadataKey::cursor(1, 1), b"").unwrap();
            db.put(MetadataKey::dropped(1, 1), b"").unwrap();
            db.put(MetadataKey::fill(1, 2), b"").unwrap();
        },
        &[
            "catalog: key 0x000000003f: a record of no known kind",
            "a record of table id 99, which does not exist",
            "a back-fill of an index of table t that is not being created",
            "the counts of a back-fill have 0 bytes",
            "table id 1, index number 1 exists and is recorded as dropped",
        ],
    ),
    (
        "request tokens of another length, without a token, out of their time",
        |db, _| {
            let key = |bucket: u64, token: &[u8]| [&MetadataKey::bucket(bucket)[..], token].concat();
            db.put(key(0, b"a"), b"").unwrap();
            db.put(key(0, b""), [0; 24]).unwrap();
            db.put(key(1, b"b"), [0; 24]).unwrap();
        },
        &["request token has 0 bytes", "a request token is empty", "time of a request token is not in its bucket"],
    ),
    (
        "rows of a table that never existed",
        |db, _| db.put([&[0, 0, 1, 0][..], &[0; 12]].concat(), b"").unwrap(),
        &["files: 1 rows (16 bytes) of table id 256, index number 0, which never existed"],
    ),
];

#[test]
fn damaged_records_are_found() {
    for (name, change, expected) in DAMAGE {
        let directory = filled();
        damage(directory.path(), change);
        check_findings(name, &verify(directory.path()).1.findings, expected);
        // Whatever it is, it does not stop a rebuild and nothing but indexes and counters is changed.
        rebuild(directory.path(), &Selection::default(), false);
    }
}

#[test]
fn entries_of_items_that_cannot_be_read_stay() {
    let directory = filled();
    let (arena, mut key) = (Bump::new(), Vec::new());
    damage(directory.path(), |db, table| {
        db.put(item_key(table, 4), b"nonsense").unwrap();
        key = entry_key(table, "all", 4, &arena);
    });
    let (repair, _) = rebuild(directory.path(), &Selection::default(), false);
    assert_eq!((repair.difference_count, repair.damage_count), (0, 1));
    damage(directory.path(), |db, _| assert!(db.get(&key).unwrap().is_some(), "the only copy of the item"));
}

#[test]
fn what_a_drop_left_is_no_fault() {
    let directory = filled();
    damage(directory.path(), |db, _| {
        db.put(MetadataKey::next_table_id(), 9u32.to_le_bytes()).unwrap();
        db.put([&[0, 0, 0, 7][..], &[0; 12]].concat(), b"row").unwrap();
        db.put(MetadataKey::dropped(7, 0), b"").unwrap();
    });
    let Recorder { findings, notes, .. } = verify(directory.path()).1;
    assert_eq!(findings, Vec::<String>::new());
    assert!(notes.iter().any(|note| note.contains("dropped rows of table id 7")), "{notes:?}");
    assert!(notes.iter().any(|note| note.contains("1 rows (19 bytes) of table id 7")), "{notes:?}");
}

#[test]
fn an_index_being_created_has_the_entries_up_to_its_cursor() {
    let directory = filled();
    let store = Store::open(&options(directory.path())).unwrap();
    store.stop_backfill();
    let table = store.table("t").unwrap();
    let mut definition = table.definition().clone();
    with_index(&mut definition, "new", &[("g", 'S')], &[], "ALL");
    definition.indexes.last_mut().unwrap().status = IndexStatus::Creating;
    store.alter(move |draft| draft.replace(&table, definition)).unwrap();
    store.close().unwrap();
    drop(store);
    let (verification, recorder) = verify(directory.path());
    assert_eq!(recorder.findings, Vec::<String>::new());
    assert_eq!(verification.tables[0].indexes[3], ("new".to_owned(), 0, 0));
}

#[test]
fn a_rebuild_that_is_cut_off_can_be_repeated() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&options(directory.path())).unwrap();
    let mut definition = table_definition("t", false);
    with_index(&mut definition, "all", &[("g", 'S')], &[], "ALL");
    let table = create(&store, definition);
    for number in 0..1500 {
        let text = format!("p={number} g=a x={}", "x".repeat(2000));
        write(&store, &table, &number.to_string(), None, Change::Put(text));
    }
    store.close().unwrap();
    drop((store, table));
    damage(directory.path(), |db, table| {
        let arena = Bump::new();
        let all = table.indexes()[0].space().all(&arena);
        let mut batch = rocksdb::WriteBatch::new();
        batch.delete_range(all.lower, all.upper);
        db.write(batch).unwrap();
    });
    let mut recorder = Recorder { panics_at: Some(1200), ..Recorder::default() };
    let cut_off = catch_unwind(AssertUnwindSafe(|| {
        Directory::open_for_repair(directory.path()).unwrap().rebuild(&Selection::default(), false, &mut recorder)
    }));
    assert!(cut_off.is_err());
    let left = verify(directory.path()).1.findings;
    assert!(left.len() > 300 && left.len() < 1500, "a part is done: {}", left.len());
    rebuild(directory.path(), &Selection::default(), false);
    assert_eq!(verify(directory.path()).1.findings, Vec::<String>::new());
}

/// The table files of a directory, flipped at one byte, do not verify: wherever the byte is.
#[test]
fn a_flipped_byte_is_found_with_its_file() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&options(directory.path())).unwrap();
    let table = create(&store, table_definition("t", false));
    for number in 0..600 {
        // Hashes that LZ4 cannot shorten: many blocks.
        let x: String = (0..8).map(|part| format!("{:x}", xxhash_rust::xxh3::xxh3_64(&[number as u8, part]))).collect();
        write(&store, &table, &number.to_string(), None, Change::Put(format!("p={number} x={x}")));
    }
    store.close().unwrap();
    drop((store, table));
    let is_table_file = |path: &std::path::PathBuf| path.extension().is_some_and(|extension| extension == "sst");
    let file = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path()).find(is_table_file).unwrap();
    let (name, bytes) = (file.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&file).unwrap());
    let mut keys_shown = 0;
    for position in (0..bytes.len()).step_by(bytes.len() / 50) {
        let mut flipped = bytes.clone();
        flipped[position] ^= 0x10;
        fs::write(&file, flipped).unwrap();
        let said = match Directory::open(directory.path()) {
            Err(error) => error.to_string(),
            Ok(opened) => {
                let mut recorder = Recorder::default();
                let failed = opened.verify(&mut recorder).err().map(|error| error.to_string());
                keys_shown += usize::from(recorder.findings.iter().any(|finding| finding.contains("after p=")));
                recorder.findings.join("\n") + &failed.unwrap_or_default()
            }
        };
        assert!(said.contains(&name), "byte {position} of {}: {said:?}", bytes.len());
    }
    assert!(keys_shown > 25, "{keys_shown}: most bytes are those of data blocks");
    fs::write(&file, bytes).unwrap();
    assert_eq!(verify(directory.path()).1.findings, Vec::<String>::new());
}
