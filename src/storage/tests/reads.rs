use bumpalo::Bump;

use super::fixture::*;
use crate::storage::*;

#[test]
fn segments_of_a_scan_hold_every_item_once_and_partitions_whole() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&options(directory.path())).unwrap();
    let table = create(&store, table_definition("t", true));
    for number in 0..300 {
        let (p, s) = ((number % 60).to_string(), number.to_string());
        write(&store, &table, &p, Some(&s), Change::Put(format!("p={p} s={s}")));
    }
    let arena = Bump::new();
    let all = rows(&store, table.space().all(&arena), Direction::Forward);
    assert_eq!(all.len(), 300);
    for segment_count in [1, 2, 3, 8, 1000] {
        let mut joined = Vec::new();
        for segment in 0..segment_count {
            let bounds = table.space().segment(segment, segment_count, &arena);
            let found = rows(&store, bounds, Direction::Forward);
            assert!(found.iter().all(|(key, _)| bounds.contains(key)));
            joined.extend(found);
        }
        assert_eq!(joined, all, "{segment_count} segments, in the order of the whole scan");
    }
}

#[test]
fn pages_continue_where_the_last_one_ended() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&options(directory.path())).unwrap();
    let mut definition = table_definition("t", true);
    // All entries have one index key: the primary key tells them apart.
    with_index(&mut definition, "g", &[("g", 'S')], &[], "ALL");
    let table = create(&store, definition);
    for number in 0..25 {
        let s = format!("{number:02}");
        write(&store, &table, "x", Some(&s), Change::Put(format!("p=x s={s} g=1")));
    }
    let arena = Bump::new();
    let spaces = [(table.space(), KeyValue::S("x")), (table.index("g").unwrap().space(), KeyValue::S("1"))];
    for (space, partition) in spaces {
        for direction in [Direction::Forward, Direction::Backward] {
            let bounds = space.query(&[partition], &[], None, &arena);
            let whole = rows(&store, bounds, direction);
            let (mut paged, mut rest) = (Vec::new(), bounds);
            loop {
                let page: Vec<_> = rows(&store, rest, direction).into_iter().take(4).collect();
                let Some((last, _)) = page.last() else { break };
                rest = bounds.after(arena.alloc_slice_copy(last), direction, &arena);
                // The row may be gone by the time of the next page.
                let s = page.last().unwrap().1.split("s=").nth(1).unwrap().to_owned();
                paged.extend(page);
                write(&store, &table, "x", Some(&s), Change::Delete);
                write(&store, &table, "x", Some(&s), Change::Put(format!("p=x s={s} g=1")));
            }
            assert_eq!(paged, whole);
            assert_eq!(whole.len(), 25);
        }
    }
}

/// Reads that would touch the disk say so instead of waiting, and instead of ending early.
#[test]
fn the_memory_tier_never_takes_a_cold_block_for_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&options(directory.path())).unwrap();
    let table = create(&store, table_definition("t", true));
    let padding = "v".repeat(3000);
    for number in 0..40 {
        let s = format!("{number:02}");
        write(&store, &table, "x", Some(&s), Change::Put(format!("p=x s={s} v={padding}")));
    }
    let arena = Bump::new();
    let bounds = table.space().query(&[KeyValue::S("x")], &[], None, &arena);
    let count = |store: &Store, tier| {
        let mut rows = store.scan(bounds, ScanOptions { direction: Direction::Forward, tier, fill_cache: true });
        let mut count = 0;
        loop {
            match rows.advance().unwrap() {
                Row::Found { .. } => count += 1,
                Row::End => return (count, true),
                Row::WouldBlock => return (count, false),
            }
        }
    };
    assert_eq!(count(&store, Tier::Memory), (40, true), "from the memtable");
    store.close().unwrap();
    drop((store, table));
    let store = Store::open(&options(directory.path())).unwrap();
    let table = store.table("t").unwrap();
    let (cold, ended) = count(&store, Tier::Memory);
    assert!(cold < 40 && !ended);
    let key = row_key(&table, "x", Some("39"));
    assert!(matches!(store.get(&key, Tier::Memory), Ok(Lookup::WouldBlock)));
    assert_eq!(count(&store, Tier::Any), (40, true));
    assert_eq!(count(&store, Tier::Memory), (40, true), "from the block cache");
    assert!(matches!(store.get(&key, Tier::Memory), Ok(Lookup::Found(_))));
    assert!(matches!(store.get(&row_key(&table, "x", Some("3")), Tier::Memory), Ok(Lookup::Missing)));
}

#[test]
fn a_snapshot_and_a_scan_keep_their_moment() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&options(directory.path())).unwrap();
    let table = create(&store, table_definition("t", true));
    for s in ["a", "b"] {
        write(&store, &table, "x", Some(s), Change::Put(format!("p=x s={s} v=1")));
    }
    let snapshot = store.snapshot();
    let arena = Bump::new();
    let options = ScanOptions { direction: Direction::Forward, tier: Tier::Any, fill_cache: true };
    let mut scan = store.scan(table.space().all(&arena), options);
    assert!(matches!(scan.advance(), Ok(Row::Found { .. })));
    for s in ["a", "b", "c"] {
        write(&store, &table, "x", Some(s), Change::Put(format!("p=x s={s} v=2")));
    }
    let Ok(Row::Found { value, .. }) = scan.advance() else { panic!("the second row") };
    assert_eq!(text(value), "p=x s=b v=1");
    assert_eq!(scan.advance(), Ok(Row::End));
    assert_eq!(scan.advance(), Ok(Row::End));
    let Ok(Lookup::Found(bytes)) = snapshot.get(&row_key(&table, "x", Some("a")), Tier::Memory) else {
        panic!("a row")
    };
    assert_eq!(text(&bytes), "p=x s=a v=1");
    assert!(matches!(snapshot.get(&row_key(&table, "x", Some("c")), Tier::Any), Ok(Lookup::Missing)));
}

#[test]
fn an_empty_range_is_empty() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&options(directory.path())).unwrap();
    let table = create(&store, table_definition("t", true));
    write(&store, &table, "x", Some("b"), Change::Put("p=x s=b".into()));
    let arena = Bump::new();
    let between = SortCondition::Between(KeyValue::S("c"), KeyValue::S("a"));
    for direction in [Direction::Forward, Direction::Backward] {
        let bounds = table.space().query(&[KeyValue::S("x")], &[], Some(between), &arena);
        assert_eq!(rows(&store, bounds, direction), []);
    }
}
