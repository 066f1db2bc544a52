use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::fixture::*;
use crate::storage::*;

const KEY_COUNT: usize = 8;
const ROUNDS: u64 = 3_000;

fn store(options: StoreOptions) -> (Store, Arc<Table>) {
    let store = Store::open(&options).unwrap();
    let table = create(&store, table_definition("t", false));
    (store, table)
}

/// The number in an item, 0 without one.
fn number(item: Option<String>) -> u64 {
    let number = |item: String| item.split_once("n=#").expect("n").1.split(' ').next().unwrap().parse().unwrap();
    item.map_or(0, number)
}

/// Writers count up in a few items, some of which are deleted and made anew; readers must see no number below the last
/// acknowledged one, nor one below what any reader has seen before they began.
#[test]
fn readers_never_see_an_older_item_than_somebody_saw_before() {
    let directory = tempfile::tempdir().unwrap();
    let (store, table) = store(options(directory.path()));
    let seen: [AtomicU64; KEY_COUNT] = Default::default();
    let (names, done): (Vec<String>, _) =
        ((0..KEY_COUNT).map(|key| format!("k{key}")).collect(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..2)
            .map(|half| {
                let (store, table, names, seen) = (&store, &table, &names, &seen);
                scope.spawn(move || {
                    for round in 1..=ROUNDS {
                        let keys = (0..KEY_COUNT).filter(|key| key % 2 == half);
                        let puts: Vec<_> = keys
                            .clone()
                            .map(|key| (table, &*names[key], None, Change::Put(format!("p={} n=#{round}", names[key]))))
                            .collect();
                        let (_, outcome) = commit(store, &puts, false);
                        assert!(matches!(outcome, Outcome::Committed));
                        for key in keys {
                            seen[key].fetch_max(round, Ordering::SeqCst);
                        }
                    }
                })
            })
            .collect();
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    for key in 0..KEY_COUNT {
                        let floor = seen[key].load(Ordering::SeqCst);
                        let found = number(get(&store, &table, &names[key], None));
                        assert!(found >= floor, "{found} after {floor}");
                        seen[key].fetch_max(found, Ordering::SeqCst);
                    }
                }
            });
        }
        let ended: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
        done.store(true, Ordering::SeqCst);
        ended.into_iter().for_each(|result| result.unwrap());
    });
    for name in &names {
        assert_eq!(number(get(&store, &table, name, None)), ROUNDS);
    }
    assert!(store.statistics().hot_cache.hit_count > 0);
}

#[test]
fn items_are_kept_by_readers_and_overwrites_but_not_by_pages() {
    let directory = tempfile::tempdir().unwrap();
    let (store, table) = store(options(directory.path()));
    let items = || store.statistics().hot_cache.item_count;
    let key = row_key(&table, "a", None);
    write(&store, &table, "a", None, Change::Put("p=a n=#1".into()));
    assert!(matches!(store.get_for_page(&key, Tier::Any), Ok(Lookup::Found(_))));
    assert_eq!(items(), 0, "a new item waits for a reader, and a page is none");
    get(&store, &table, "a", None);
    assert_eq!(items(), 1);
    write(&store, &table, "a", None, Change::Put("p=a n=#2".into()));
    let hits = store.statistics().hot_cache.hit_count;
    assert_eq!(get(&store, &table, "a", None).as_deref(), Some("n=#2 p=a"));
    assert_eq!(store.statistics().hot_cache.hit_count, hits + 1);
    write(&store, &table, "a", None, Change::Delete);
    assert_eq!((items(), get(&store, &table, "a", None)), (0, None));
    write(&store, &table, "b", None, Change::Put("p=b n=#1".into()));
    write(&store, &table, "b", None, Change::Add(1));
    assert_eq!(items(), 1, "what is written again is hot");
}

#[test]
fn a_dropped_table_answers_nothing_from_the_cache() {
    let directory = tempfile::tempdir().unwrap();
    let (store, table) = store(options(directory.path()));
    write(&store, &table, "a", None, Change::Put("p=a n=#1".into()));
    get(&store, &table, "a", None);
    drop_table(&store, &table);
    let anew = create(&store, table_definition("t", false));
    assert_eq!(get(&store, &anew, "a", None), None);
}

/// What the engine has after a failed write is not known; the cache must not say otherwise.
#[test]
fn after_a_failed_write_the_engine_answers() {
    let directory = tempfile::tempdir().unwrap();
    let (store, table) = store(options(directory.path()));
    write(&store, &table, "a", None, Change::Put("p=a n=#1".into()));
    get(&store, &table, "a", None);
    store.engine.fail_writes.store(true, Ordering::Relaxed);
    let (_, outcome) = commit(&store, &[(&table, "a", None, Change::Put("p=a n=#2".into()))], false);
    assert!(matches!(outcome, Outcome::Failed(_)));
    let before = store.statistics().hot_cache;
    assert_eq!(get(&store, &table, "a", None).as_deref(), Some("n=#1 p=a"));
    let after = store.statistics().hot_cache;
    assert_eq!((after.hit_count, after.miss_count), (before.hit_count, before.miss_count + 1));
}

#[test]
fn without_a_cache_everything_is_answered_by_the_engine() {
    let directory = tempfile::tempdir().unwrap();
    let (store, table) = store(StoreOptions { hot_cache_bytes: 0, ..options(directory.path()) });
    write(&store, &table, "a", None, Change::Put("p=a n=#1".into()));
    write(&store, &table, "a", None, Change::Add(1));
    assert_eq!(get(&store, &table, "a", None).as_deref(), Some("n=#2 p=a"));
    assert_eq!(store.statistics().hot_cache, HotCacheStatistics::default());
}
