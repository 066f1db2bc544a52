use std::sync::Arc;
use std::time::{Duration, Instant};

use bumpalo::Bump;

use super::fixture::*;
use crate::storage::*;

fn put(text: &str) -> Change {
    Change::Put(text.into())
}

#[test]
fn tables_are_listed_by_name_and_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&options(directory.path())).unwrap();
    for name in ["b", "a.x", "a", "B"] {
        create(&store, table_definition(name, false));
    }
    let names = |store: &Store| store.catalog().tables().map(|table| table.name().to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&store), ["B", "a", "a.x", "b"]);
    let after: Vec<_> = store.catalog().tables_after("a").map(|table| table.name().to_owned()).collect();
    assert_eq!(after, ["a.x", "b"]);
    let definition = store.table("a.x").unwrap().definition().clone();
    drop(store);
    let store = Store::open(&options(directory.path())).unwrap();
    assert_eq!(names(&store), ["B", "a", "a.x", "b"]);
    assert_eq!(*store.table("a.x").unwrap().definition(), definition);
    assert!(store.table("c").is_none());
}

#[test]
fn a_refused_alteration_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&options(directory.path())).unwrap();
    let table = create(&store, table_definition("t", false));
    let refused = store.alter(|draft| {
        draft.create(table_definition("u", false))?;
        let table = Arc::clone(draft.catalog().table("t").unwrap());
        draft.drop_table(&table);
        Err::<(), Error>(Error::Engine("refused".into()))
    });
    assert!(refused.is_err() && store.table("u").is_none() && !table.is_dropped());
    // Our own bug in a closure: reported, and the committer lives on.
    let panicked = store.alter(|draft| draft.create(table_definition("t", false)));
    assert!(matches!(panicked, Err(Error::Engine(_))));
    assert_eq!(create(&store, table_definition("u", false)).definition().id, table.definition().id + 1);
}

#[test]
fn a_recreated_table_never_shows_old_rows() {
    let directory = tempfile::tempdir().unwrap();
    let mut definition = table_definition("t", false);
    with_index(&mut definition, "g", &[("g", 'S')], &[], "ALL");
    let mut store = Store::open(&options(directory.path())).unwrap();
    let mut last_id = 0;
    for round in 0..4 {
        let table = create(&store, definition.clone());
        assert!(table.definition().id > last_id, "ids are never used again");
        last_id = table.definition().id;
        assert_eq!((table.item_count(), get(&store, &table, "x", None)), (0, None));
        let index = table.index("g").unwrap();
        assert_eq!(rows(&store, index.space().all(&Bump::new()), Direction::Forward), []);
        for item in ["x", "y", "z"] {
            write(&store, &table, item, None, put(&format!("p={item} g=1 round={round}")));
        }
        check_indexes(&store, &table);
        let (stale, done) = mutation(&[(&table, "x", None, put("p=x"))], false);
        drop_table(&store, &table);
        assert!(table.is_dropped() && store.table("t").is_none());
        assert!(store.submit(stale).is_ok());
        assert!(matches!(done.recv().unwrap().1, Outcome::TableGone));
        assert_eq!(get(&store, &table, "x", None), None, "the rows are gone at once");
        if round == 1 {
            drop(store);
            store = Store::open(&options(directory.path())).unwrap();
        }
    }
}

#[test]
fn a_mutation_queued_before_an_index_was_created_is_indexed() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&options(directory.path())).unwrap();
    let table = create(&store, table_definition("t", false));
    let mut definition = table.definition().clone();
    with_index(&mut definition, "g", &[("g", 'S')], &[], "KEYS_ONLY");
    let replaced = {
        let table = Arc::clone(&table);
        store.alter(move |draft| draft.replace(&table, definition)).unwrap()
    };
    // Through the version that the request found.
    write(&store, &table, "x", None, put("p=x g=1"));
    check_indexes(&store, &replaced);
    assert_eq!((replaced.index("g").unwrap().item_count(), table.item_count()), (1, 1));
    // An index that is taken away takes its rows with it, and its number is gone.
    let mut definition = replaced.definition().clone();
    definition.indexes.clear();
    with_index(&mut definition, "h", &[("h", 'S')], &[], "KEYS_ONLY");
    let space = replaced.index("g").unwrap().space();
    let last = {
        let table = Arc::clone(&table);
        store.alter(move |draft| draft.replace(&table, definition)).unwrap()
    };
    assert_eq!(rows(&store, space.all(&Bump::new()), Direction::Forward), []);
    write(&store, &replaced, "y", None, put("p=y g=1 h=1"));
    check_indexes(&store, &last);
    drop(store);
    let store = Store::open(&options(directory.path())).unwrap();
    let table = store.table("t").unwrap();
    assert_eq!(*table.definition(), *last.definition());
    check_indexes(&store, &table);
    drop_table(&store, &table);
    assert!(last.is_dropped() || store.table("t").is_none());
}

#[test]
fn dropping_gives_space_back_also_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Store::open(&options(directory.path())).unwrap();
    let padding = "v".repeat(30_000);
    for restart in [false, true] {
        let table = create(&store, table_definition("t", false));
        let other = create(&store, table_definition("u", false));
        for number in 0..600 {
            let noise: String =
                (0..20).map(|position| char::from(b'a' + ((number * 7 + position) % 26) as u8)).collect();
            write(&store, &table, &number.to_string(), None, put(&format!("p={number} v={noise}{padding}")));
            write(&store, &other, &number.to_string(), None, put(&format!("p={number} v=1")));
        }
        store.engine.flush().unwrap();
        if restart {
            // As if the process had ended before the reclaimer got to it.
            store.reclaimer.close();
        }
        drop_table(&store, &table);
        if restart {
            assert_eq!(store.engine.metadata_of_kind(layout::MetadataKey::DROPPED).unwrap().len(), 1);
            drop(store);
            store = Store::open(&options(directory.path())).unwrap();
        }
        let start = Instant::now();
        while !store.engine.metadata_of_kind(layout::MetadataKey::DROPPED).unwrap().is_empty() {
            assert!(start.elapsed() < Duration::from_secs(20), "the drop record goes away");
            std::thread::sleep(Duration::from_millis(5));
        }
        let other = store.table("u").unwrap();
        check_indexes(&store, &other);
        assert_eq!(other.item_count(), 600);
        drop_table(&store, &other);
    }
}
