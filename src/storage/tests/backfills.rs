use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bumpalo::Bump;

use super::fixture::*;
use crate::model::table::IndexStatus;
use crate::storage::backfill::{Progress, SLICE_ROW_COUNT_MIN as SLICE_ROW_COUNT, step};
use crate::storage::layout::MetadataKey;
use crate::storage::*;

/// A store with a table `t` (p) of so many items: two in three have a string `g`, every sixth a number.
fn store(item_count: usize) -> (tempfile::TempDir, Store, Arc<Table>) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&options(directory.path())).unwrap();
    let table = create(&store, table_definition("t", false));
    for number in 0..item_count {
        write(&store, &table, &number.to_string(), None, Change::Put(item_text(number, number % 6)));
    }
    (directory, store, table)
}

fn item_text(number: usize, choice: usize) -> String {
    match choice {
        0 | 1 => format!("p={number} x=1"),
        2 => format!("p={number} g=#{number} x=1"),
        choice => format!("p={number} g=group{choice} x={choice}"),
    }
}

/// Gives the table an index being created on `g`.
fn add_index(store: &Store, name: &str) -> Arc<Table> {
    let table = store.table("t").unwrap();
    let mut definition = table.definition().clone();
    with_index(&mut definition, name, &[("g", 'S')], &[], "INCLUDE x");
    definition.indexes.last_mut().unwrap().status = IndexStatus::Creating;
    store.alter(move |draft| draft.replace(&table, definition)).unwrap()
}

fn remove_indexes(store: &Store) -> Arc<Table> {
    let table = store.table("t").unwrap();
    let mut definition = table.definition().clone();
    definition.indexes.clear();
    store.alter(move |draft| draft.replace(&table, definition)).unwrap()
}

/// One slice of the table's last index, whatever the thread does.
fn slice(store: &Store) -> Progress {
    let table = store.table("t").unwrap();
    step(&store.engine, &store.queue, &table, table.definition().next_index_number - 1, SLICE_ROW_COUNT)
        .unwrap()
        .progress
}

fn wait_until_active(store: &Store) -> Arc<Table> {
    let start = Instant::now();
    loop {
        let table = store.table("t").unwrap();
        if !table.indexes().iter().any(TableIndex::is_being_created) {
            return table;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "the index becomes ACTIVE");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn record_count(store: &Store) -> usize {
    [b'b', b'p'].map(|kind| store.engine.metadata_of_kind(kind).unwrap().len()).iter().sum()
}

#[test]
fn an_index_is_filled_with_what_was_there() {
    for item_count in [0, 1, SLICE_ROW_COUNT - 1, SLICE_ROW_COUNT, SLICE_ROW_COUNT + 1, 1000] {
        let (_directory, store, _) = store(item_count);
        let table = add_index(&store, "g");
        assert!(table.indexes()[0].is_being_created());
        let table = wait_until_active(&store);
        check_indexes(&store, &table);
        let expected = (0..item_count).filter(|number| number % 6 > 2).count();
        assert_eq!(table.indexes()[0].item_count(), expected as u64, "a number is no key of a string index");
        assert_eq!(record_count(&store), 0, "the records go with the end");
    }
}

#[test]
fn every_kind_of_write_between_every_two_slices() {
    let item_count = 8 * SLICE_ROW_COUNT;
    let (_directory, store, _) = store(item_count);
    store.stop_backfill();
    add_index(&store, "g");
    let table = store.table("t").unwrap();
    let mut slice_count = 0;
    loop {
        for number in (slice_count * 11 % 7..item_count).step_by(7) {
            let change = match (number + slice_count) % 5 {
                0 => Change::Delete,
                choice => Change::Put(item_text(number, choice + 1)),
            };
            write(&store, &table, &number.to_string(), None, change);
        }
        write(&store, &table, &format!("new{slice_count}"), None, Change::Put(format!("p=new{slice_count} g=n")));
        check_indexes(&store, &store.table("t").unwrap());
        let progress = slice(&store);
        check_indexes(&store, &store.table("t").unwrap());
        slice_count += 1;
        match progress {
            Progress::Going => {}
            Progress::Finished => break,
            Progress::Gone => panic!("it is there"),
        }
    }
    assert!((6..14).contains(&slice_count), "{slice_count} slices for about 8 times their items");
    assert_eq!(slice(&store), Progress::Gone);
    let table = store.table("t").unwrap();
    write(&store, &table, "last", None, Change::Put("p=last g=n".into()));
    check_indexes(&store, &table);
}

#[test]
fn a_restart_goes_on_from_the_cursor() {
    let (directory, mut store, _) = store(700);
    store.stop_backfill();
    add_index(&store, "g");
    let mut seen = BTreeSet::new();
    for _ in 0..3 {
        assert_eq!(slice(&store), Progress::Going);
        let table = store.table("t").unwrap();
        assert!(seen.insert(table.indexes()[0].fill().cursor()), "the cursor moves");
        write(&store, &table, "5", None, Change::Put(item_text(5, seen.len() + 2)));
    }
    let entry_count = store.table("t").unwrap().indexes()[0].item_count();
    assert!(entry_count > 30);
    store.engine.flush().unwrap();
    drop(store);
    store = Store::open(&options(directory.path())).unwrap();
    let table = wait_until_active(&store);
    check_indexes(&store, &table);
    assert!(table.indexes()[0].item_count() > entry_count);
    drop(store);
    store = Store::open(&options(directory.path())).unwrap();
    check_indexes(&store, &store.table("t").unwrap());
    assert!(!store.table("t").unwrap().indexes()[0].is_being_created());
}

#[test]
fn the_cursor_of_a_restart_is_that_of_the_last_slice() {
    let (directory, mut store, _) = store(700);
    store.stop_backfill();
    add_index(&store, "g");
    slice(&store);
    let cursor = store.table("t").unwrap().indexes()[0].fill().cursor();
    let record = |store: &Store| store.engine.metadata(MetadataKey::cursor(1, 1)).unwrap();
    assert_eq!(record(&store).as_deref(), Some(cursor.as_slice()));
    // Settings that change meanwhile do not lose it.
    let table = store.table("t").unwrap();
    let mut definition = table.definition().clone();
    definition.deletion_protection = true;
    let table = store.alter(move |draft| draft.replace(&table, definition)).unwrap();
    assert_eq!(table.indexes()[0].fill().cursor(), cursor);
    check_indexes(&store, &table);
    drop(store);
    store = Store::open(&options(directory.path())).unwrap();
    check_indexes(&store, &wait_until_active(&store));
    assert_eq!(record(&store), None);
}

#[test]
fn an_index_that_goes_while_it_is_filled_leaves_nothing() {
    let (_directory, store, _) = store(700);
    store.stop_backfill();
    let space = add_index(&store, "g").indexes()[0].space();
    slice(&store);
    assert_eq!(record_count(&store), 2);
    remove_indexes(&store);
    assert_eq!(slice(&store), Progress::Gone);
    assert_eq!((record_count(&store), rows(&store, space.all(&Bump::new()), Direction::Forward)), (0, vec![]));
    // Again under the same name: another number, from the beginning.
    let table = add_index(&store, "g");
    assert_eq!((table.indexes()[0].item_count(), table.indexes()[0].fill().cursor()), (0, vec![]));
    while slice(&store) == Progress::Going {}
    check_indexes(&store, &store.table("t").unwrap());
    remove_indexes(&store);
    add_index(&store, "g");
    slice(&store);
    drop_table(&store, &store.table("t").unwrap());
    assert_eq!(record_count(&store), 0);
}

#[test]
fn writers_and_the_thread_at_the_same_time() {
    let (_directory, store, table) = store(4000);
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for writer in 0..3 {
            let (store, table, ended) = (&store, &table, &ended);
            scope.spawn(move || {
                let mut round = writer;
                while !ended.load(Ordering::Relaxed) {
                    let number = round * 7919 % 5000;
                    let change = match round % 4 {
                        0 => Change::Delete,
                        choice => Change::Put(item_text(number, choice + round % 3)),
                    };
                    write(store, table, &number.to_string(), None, change);
                    round += 3;
                }
            });
        }
        for round in 0..3 {
            add_index(&store, "g");
            wait_until_active(&store);
            if round < 2 {
                remove_indexes(&store);
            }
        }
        ended.store(true, Ordering::Relaxed);
    });
    let table = store.table("t").unwrap();
    check_indexes(&store, &table);
    assert!(table.indexes()[0].item_count() > 1000);
}

/// Damages stored items: foreign bytes, a body that ends early, an attribute that is not what its tag says.
fn damage(store: &Store, table: &Table, numbers: [usize; 3]) {
    let whole = item("p=x g=y x=1", &Bump::new()).as_bytes().to_vec();
    let mut text = whole.clone();
    let position = text.iter().rposition(|byte| *byte == b'y').unwrap();
    text[position] = 0xff;
    for (number, bytes) in numbers.iter().zip([b"junk", &whole[..8], &text]) {
        store.engine.db.put(row_key(table, &number.to_string(), None), bytes).unwrap();
    }
}

#[test]
fn damaged_items_are_left_out_counted_and_do_not_stop_the_others() {
    let (directory, store, table) = store(400);
    store.stop_backfill();
    damage(&store, &table, [0, 150, 300]);
    add_index(&store, "g");
    let mut last =
        BackfillProgress { table: "t".into(), index: "g".into(), items_done: 0, items_total: 400, skipped: 0 };
    assert_eq!(store.backfills(), [last.clone()]);
    assert_eq!(slice(&store), Progress::Going);
    let now = store.backfills().pop().unwrap();
    assert_eq!(now.items_done, SLICE_ROW_COUNT as u64);
    last = BackfillProgress { items_done: now.items_done, skipped: now.skipped, ..last };
    assert_eq!(now, last);
    drop(store);

    // What was counted before a restart still counts.
    let store = Store::open(&options(directory.path())).unwrap();
    let active = wait_until_active(&store);
    assert_eq!(store.statistics().backfill_skipped_count + last.skipped, 3);
    assert_eq!((store.backfills(), record_count(&store)), (vec![], 0));
    let damaged = [0, 150, 300];
    let expected = (0..400).filter(|number| number % 6 > 2 && !damaged.contains(number)).count();
    assert_eq!(active.indexes()[0].item_count(), expected as u64);

    // Their bytes are not known, so nothing can be decided on them; the others are as they should be.
    let (_, outcome) = commit(&store, &[(&active, "0", None, Change::Put("p=0 g=z".into()))], false);
    assert!(matches!(outcome, Outcome::Failed(Error::Corrupt(_))), "{outcome:?}");
    write(&store, &active, "4", None, Change::Put("p=4 g=z".into()));
    for number in damaged {
        let undamaged = item(&item_text(number, 0), &Bump::new()).as_bytes().to_vec();
        store.engine.db.put(row_key(&active, &number.to_string(), None), undamaged).unwrap();
    }
    let arena = Bump::new();
    let keys = |space: Space| rows(&store, space.all(&arena), Direction::Forward);
    assert_eq!(keys(active.indexes()[0].space()).len(), expected);
    assert_eq!(keys(active.space()).len(), 400);
}

/// What a write would be refused for was permitted before the index: DynamoDB leaves such items out.
#[test]
fn items_whose_key_attributes_do_not_fit_are_not_in_the_index() {
    let (_directory, store, table) = store(0);
    let [long, longest, too_long] = [1024, 2048, 2049].map(|length| "z".repeat(length));
    let items = [
        ("in: the longest partition key", format!("g={longest} n=#1"), true),
        ("out: one byte more", format!("g={too_long} n=#1"), false),
        ("out: a number for a string", "g=#1 n=#1".to_owned(), false),
        ("out: a binary for a string", "g=@x n=#1".to_owned(), false),
        ("out: empty", "g= n=#1".to_owned(), false),
        ("out: a string for a number", format!("g=x n={long}"), false),
        ("out: no sort key", "g=x".to_owned(), false),
        ("in", "g=x n=#-1.5".to_owned(), true),
    ];
    for (number, (_, text, _)) in items.iter().enumerate() {
        write(&store, &table, &number.to_string(), None, Change::Put(format!("p={number} {text}")));
    }
    let mut definition = table.definition().clone();
    with_index(&mut definition, "g", &[("g", 'S')], &[("n", 'N')], "KEYS_ONLY");
    definition.indexes.last_mut().unwrap().status = IndexStatus::Creating;
    store.alter(move |draft| draft.replace(&table, definition)).unwrap();
    let table = wait_until_active(&store);
    check_indexes(&store, &table);
    let rows = rows(&store, table.indexes()[0].space().all(&Bump::new()), Direction::Forward);
    for (number, (what, _, is_in)) in items.iter().enumerate() {
        let found = rows.iter().any(|(_, text)| text.split(' ').any(|word| word == format!("p={number}")));
        assert_eq!(found, *is_in, "{what}");
    }
    assert_eq!(store.statistics().backfill_skipped_count, 0, "they are not damaged");
}
