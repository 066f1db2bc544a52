use std::collections::BTreeMap;
use std::sync::Arc;

use super::fixture::*;
use crate::storage::*;

/// SplitMix64: small, seeded, good enough to pick operations.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn pick<'p>(&mut self, choices: &[&'p str]) -> &'p str {
        choices[self.below(choices.len() as u64) as usize]
    }
}

const HASH_KEYS: [&str; 5] = ["a", "b", "aa", "é", "\u{1}"];
const RANGE_KEYS: [&str; 5] = ["1", "2", "10", "\u{1}x", "zz"];

type Model = BTreeMap<(String, String), String>;

fn random_item(random: &mut Random, p: &str, s: &str) -> String {
    let mut item = format!("p={p} s={s} v={}", random.below(1000));
    for (name, values) in [
        ("g", &["x", "y", "", "#1"][..]),
        ("n", &["#1", "#10", "#-2.5", "1"]),
        ("x", &["1", "2"]),
        ("b", &["@\u{0}", "@1", "@"]),
    ] {
        if random.below(3) > 0 {
            item += &format!(" {name}={}", random.pick(values));
        }
    }
    // Sorted, as the store gives it back.
    let arena = bumpalo::Bump::new();
    text(super::fixture::item(&item, &arena).as_bytes())
}

/// One random mutation, applied to the store and to the model.
fn step(random: &mut Random, store: &Store, tables: &mut [(Arc<Table>, Model)]) {
    let atomic = random.below(4) == 0;
    let mut keys: BTreeMap<(usize, &str, &str), Change> = BTreeMap::new();
    for _ in 0..1 + random.below(4) {
        let table = random.below(tables.len() as u64) as usize;
        let (p, s) = (random.pick(&HASH_KEYS), random.pick(&RANGE_KEYS));
        let change = match random.below(10) {
            0..5 => Change::Put(random_item(random, p, s)),
            5 => Change::PutIfAbsent(random_item(random, p, s)),
            6..8 => Change::Delete,
            8 => Change::Keep,
            _ => Change::Refuse,
        };
        keys.insert((table, p, s), change);
    }
    let targets: Vec<_> =
        keys.iter().map(|((table, p, s), change)| (&tables[*table].0, *p, Some(*s), change.clone())).collect();
    let (finished, outcome) = commit(store, &targets, atomic);
    assert!(matches!(outcome, Outcome::Committed), "{outcome:?}");
    let model_of = |table: usize, p: &str, s: &str| tables[table].1.get(&(p.to_owned(), s.to_owned()));
    let seen: Vec<_> = keys.keys().map(|(table, p, s)| model_of(*table, p, s).cloned()).collect();
    assert_eq!(finished.seen, seen);
    let is_refused = |((_, change), old): (&(_, &Change), &Option<String>)| match change {
        Change::Refuse => true,
        Change::PutIfAbsent(_) => old.is_some(),
        _ => false,
    };
    let changes: Vec<_> = keys.iter().collect();
    let refused: Vec<bool> = changes.iter().zip(&seen).map(is_refused).collect();
    assert_eq!(finished.refused, refused.contains(&true));
    if atomic && finished.refused {
        return;
    }
    for (((table, p, s), change), refused) in keys.into_iter().zip(refused) {
        let key = (p.to_owned(), s.to_owned());
        match change {
            Change::Put(text) | Change::PutIfAbsent(text) if !refused => {
                tables[table].1.insert(key, text);
            }
            Change::Delete => {
                tables[table].1.remove(&key);
            }
            _ => {}
        }
    }
}

fn check(store: &Store, table: &Table, model: &Model) {
    let arena = bumpalo::Bump::new();
    let mut found: Vec<String> =
        rows(store, table.space().all(&arena), Direction::Forward).into_iter().map(|(_, text)| text).collect();
    found.sort();
    let mut expected: Vec<String> = model.values().cloned().collect();
    expected.sort();
    assert_eq!(found, expected);
    for p in HASH_KEYS {
        let of_partition = |direction| {
            let bounds = table.space().query(&[KeyValue::S(p)], &[], None, &arena);
            rows(store, bounds, direction).into_iter().map(|(_, text)| text).collect::<Vec<_>>()
        };
        let expected: Vec<String> =
            model.iter().filter(|((hash, _), _)| hash == p).map(|(_, text)| text.clone()).collect();
        assert_eq!(of_partition(Direction::Forward), expected);
        assert_eq!(of_partition(Direction::Backward), expected.into_iter().rev().collect::<Vec<_>>());
    }
    check_indexes(store, table);
}

#[test]
fn random_mutations_match_a_model_across_restarts() {
    for seed in 0..6 {
        println!("seed {seed}");
        let mut random = Random(seed);
        let directory = tempfile::tempdir().unwrap();
        let mut store = Store::open(&options(directory.path())).unwrap();
        let mut tables: Vec<(Arc<Table>, Model)> = (0..2)
            .map(|number| {
                let mut definition = table_definition(&format!("t{number}"), true);
                with_index(&mut definition, "keys", &[("g", 'S')], &[], "KEYS_ONLY");
                with_index(&mut definition, "include", &[("g", 'S')], &[("n", 'N')], "INCLUDE x v");
                with_index(&mut definition, "local", &[("p", 'S')], &[("n", 'N')], "ALL");
                with_index(&mut definition, "many", &[("p", 'S'), ("x", 'S')], &[("n", 'N'), ("b", 'B')], "ALL");
                (create(&store, definition), Model::new())
            })
            .collect();
        for _ in 0..8 {
            for _ in 0..60 {
                step(&mut random, &store, &mut tables);
            }
            for (table, model) in &tables {
                check(&store, table, model);
            }
            match random.below(3) {
                0 => store.close().unwrap(),
                1 => {}
                _ => continue,
            }
            tables.iter_mut().for_each(|(table, _)| *table = Arc::new(Table::new(table.definition().clone(), None)));
            drop(store);
            store = Store::open(&options(directory.path())).unwrap();
            for (table, model) in &mut tables {
                *table = store.table(table.name()).unwrap();
                check(&store, table, model);
            }
        }
    }
}
