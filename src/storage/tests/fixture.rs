//! Tables, items and mutations for tests, from short texts.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use bumpalo::Bump;

use crate::model::fixture;
pub use crate::model::fixture::key_attributes;
use crate::model::table::{
    IndexDefinition, IndexKind, IndexStatus, KeySchema, Projection, TableDefinition, Throughput,
};
use crate::model::{Attribute, EncodedItem, Map, Number, Value};
use crate::storage::*;

pub fn options(path: &std::path::Path) -> StoreOptions {
    StoreOptions {
        path: path.into(),
        durability: Durability::Os,
        hot_cache_bytes: 1 << 20,
        block_cache_bytes: 8 << 20,
        memtable_bytes: 4 << 20,
        statistics: true,
        disk_reserve_bytes: 0,
        recover_damaged_log: false,
    }
}

/// A table with hash key `p` (S) and, if asked for, range key `s` (S).
pub fn table_definition(name: &str, has_sort_key: bool) -> TableDefinition {
    let range: &[_] = if has_sort_key { &[("s", 'S')] } else { &[] };
    fixture::table_definition(name, &[("p", 'S')], range)
}

/// `projection` as in `KEYS_ONLY`, `ALL` or `INCLUDE x y`.
pub fn with_index(
    definition: &mut TableDefinition,
    name: &str,
    hash: &[(&str, char)],
    range: &[(&str, char)],
    projection: &str,
) {
    let mut words = projection.split(' ');
    definition.indexes.push(IndexDefinition {
        name: name.into(),
        number: definition.next_index_number,
        kind: IndexKind::Global,
        key: KeySchema { hash: key_attributes(hash), range: key_attributes(range) },
        projection: match words.next() {
            Some("ALL") => Projection::All,
            Some("KEYS_ONLY") => Projection::KeysOnly,
            _ => Projection::Include(words.map(str::to_owned).collect()),
        },
        status: IndexStatus::Active,
        throughput: Throughput::default(),
        on_demand_limits: None,
    });
    definition.next_index_number += 1;
}

/// An item from `name=value` words: a string, `#` a number, `@` a binary.
pub fn item<'a>(text: &str, arena: &'a Bump) -> EncodedItem<'a> {
    let mut attributes = bumpalo::collections::Vec::new_in(arena);
    for word in text.split(' ') {
        let (name, value) = word.split_once('=').expect("name=value");
        let value: &str = arena.alloc_str(value);
        let value = match value.as_bytes().first() {
            Some(b'#') => Value::N(Number::from_canonical(&value[1..])),
            Some(b'@') => Value::B(&value.as_bytes()[1..]),
            _ => Value::S(value),
        };
        attributes.push(Attribute { name: arena.alloc_str(name), value });
    }
    EncodedItem::encode(Map::from_unsorted(attributes), arena)
}

/// The inverse of [`item`], by attribute name.
pub fn text(bytes: &[u8]) -> String {
    let arena = Bump::new();
    let item = EncodedItem::open(bytes).unwrap().decode(&arena).unwrap();
    let words: Vec<String> = item
        .iter()
        .map(|Attribute { name, value }| match value {
            Value::S(text) => format!("{name}={text}"),
            Value::N(number) => format!("{name}=#{}", number.as_str()),
            Value::B(bytes) => format!("{name}=@{}", String::from_utf8_lossy(bytes)),
            other => panic!("{other:?}"),
        })
        .collect();
    words.join(" ")
}

/// The row key of the item with hash key `p` and range key `s`.
pub fn row_key(table: &Table, p: &str, s: Option<&str>) -> Vec<u8> {
    table.row_key(KeyValue::S(p), s.map(KeyValue::S), &Bump::new()).to_vec()
}

/// What a test mutation does with one target.
#[derive(Clone, Debug)]
pub enum Change {
    Put(String),
    PutIfAbsent(String),
    Delete,
    Keep,
    Refuse,
    Panic,
    /// Adds to the number in attribute `n` of an item that also has attribute `p`; refuses to go below zero.
    Add(i64),
}

/// A mutation whose outcome can be waited for.
pub struct TestMutation {
    pub targets: Vec<(Arc<Table>, Vec<u8>, Change)>,
    pub atomic: bool,
    pub tier: Tier,
    /// What each decision saw.
    pub seen: Vec<Option<String>>,
    pub refused: bool,
    /// ClientRequestToken: token, fingerprint, time.
    pub token: Option<(&'static str, u128, u64)>,
    pub done: mpsc::Sender<(Finished, Outcome)>,
    pub waker: Arc<dyn Wake>,
}

/// What a completed mutation left.
#[derive(Debug, PartialEq)]
pub struct Finished {
    pub seen: Vec<Option<String>>,
    pub refused: bool,
}

#[derive(Default)]
pub struct CountingWaker(pub AtomicUsize);

impl Wake for CountingWaker {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Mutation for TestMutation {
    fn target_count(&self) -> usize {
        self.targets.len()
    }

    fn target(&self, index: usize) -> Target<'_> {
        let (table, row_key, _) = &self.targets[index];
        Target { table, row_key }
    }

    fn atomic(&self) -> bool {
        self.atomic
    }

    fn idempotency(&self) -> Option<Idempotency<'_>> {
        self.token.map(|(token, fingerprint, now_ms)| Idempotency { token, fingerprint, now_ms })
    }

    fn replay(&mut self, _: usize, item: Option<EncodedItem<'_>>) {
        self.seen.push(item.map(|item| text(item.as_bytes())));
    }

    fn request_bytes(&self) -> usize {
        100
    }

    fn tier(&self) -> Tier {
        self.tier
    }

    fn decide<'s>(&mut self, index: usize, old: Option<EncodedItem<'s>>, scratch: &'s Bump) -> Decision<'s> {
        self.seen.push(old.map(|item| text(item.as_bytes())));
        let decision = match &self.targets[index].2 {
            Change::Put(text) => Decision::Put(item(text, scratch)),
            Change::PutIfAbsent(_) if old.is_some() => Decision::Refuse,
            Change::PutIfAbsent(text) => Decision::Put(item(text, scratch)),
            Change::Delete => Decision::Delete,
            Change::Keep => Decision::Keep,
            Change::Refuse => Decision::Refuse,
            Change::Panic => panic!("as the test asked for"),
            Change::Add(amount) => add(old, *amount, scratch),
        };
        self.refused |= matches!(decision, Decision::Refuse);
        decision
    }

    fn complete(self: Box<Self>, outcome: Outcome) {
        let TestMutation { seen, refused, done, .. } = *self;
        let _ = done.send((Finished { seen, refused }, outcome));
    }

    fn waker(&self) -> &Arc<dyn Wake> {
        &self.waker
    }
}

fn add<'s>(old: Option<EncodedItem<'s>>, amount: i64, scratch: &'s Bump) -> Decision<'s> {
    let Some(old) = old else { return Decision::Refuse };
    let Ok(Some(Value::N(number))) = old.get("n", scratch) else { return Decision::Refuse };
    let sum = number.as_str().parse::<i64>().unwrap() + amount;
    if sum < 0 {
        return Decision::Refuse;
    }
    let words = text(old.as_bytes());
    let kept: Vec<&str> = words.split(' ').filter(|word| !word.starts_with("n=")).collect();
    Decision::Put(item(&format!("{} n=#{sum}", kept.join(" ")), scratch))
}

/// A mutation of `(table, p, s, change)` targets and where its outcome arrives.
pub fn mutation(
    targets: &[(&Arc<Table>, &str, Option<&str>, Change)],
    atomic: bool,
) -> (Box<TestMutation>, mpsc::Receiver<(Finished, Outcome)>) {
    let (done, receiver) = mpsc::channel();
    let targets = targets
        .iter()
        .map(|(table, p, s, change)| (Arc::clone(table), row_key(table, p, *s), change.clone()))
        .collect();
    let waker: Arc<dyn Wake> = Arc::new(CountingWaker::default());
    let (tier, token) = (Tier::Any, None);
    (Box::new(TestMutation { targets, atomic, tier, seen: vec![], refused: false, token, done, waker }), receiver)
}

/// Submits and waits.
pub fn commit(
    store: &Store,
    targets: &[(&Arc<Table>, &str, Option<&str>, Change)],
    atomic: bool,
) -> (Finished, Outcome) {
    let (mutation, receiver) = mutation(targets, atomic);
    assert!(store.submit(mutation).is_ok(), "the queue has room");
    receiver.recv().expect("every mutation is completed")
}

/// Commits one change that must not fail.
pub fn write(store: &Store, table: &Arc<Table>, p: &str, s: Option<&str>, change: Change) -> Finished {
    let (finished, outcome) = commit(store, &[(table, p, s, change)], false);
    assert!(matches!(outcome, Outcome::Committed), "{outcome:?}");
    finished
}

pub fn create(store: &Store, definition: TableDefinition) -> Arc<Table> {
    store.alter(move |draft| draft.create(definition)).unwrap()
}

pub fn drop_table(store: &Store, table: &Arc<Table>) {
    let table = Arc::clone(table);
    store
        .alter(move |draft| {
            draft.drop_table(&table);
            Ok::<(), Error>(())
        })
        .unwrap();
}

pub fn get(store: &Store, table: &Table, p: &str, s: Option<&str>) -> Option<String> {
    match store.get(&row_key(table, p, s), Tier::Any).unwrap() {
        Lookup::Found(bytes) => Some(text(&bytes)),
        Lookup::Missing => None,
        Lookup::WouldBlock => panic!("Tier::Any never would block"),
    }
}

/// All rows of a range, as (key, item text).
pub fn rows(store: &Store, bounds: Bounds<'_>, direction: Direction) -> Vec<(Vec<u8>, String)> {
    let mut rows = store.scan(bounds, ScanOptions { direction, tier: Tier::Any, fill_cache: true });
    let mut found = Vec::new();
    loop {
        match rows.advance().unwrap() {
            Row::Found { key, value } => found.push((key.to_vec(), text(value))),
            Row::End => return found,
            Row::WouldBlock => panic!("Tier::Any never would block"),
        }
    }
}

/// Checks that every index of a table, and all counters, are what the table's items imply: an index being created holds
/// entries up to its cursor.
pub fn check_indexes(store: &Store, table: &Table) {
    let arena = Bump::new();
    let items = rows(store, table.space().all(&arena), Direction::Forward);
    assert_eq!(table.item_count(), items.len() as u64);
    let encoded: Vec<EncodedItem<'_>> = items.iter().map(|(_, text)| item(text, &arena)).collect();
    assert_eq!(table.size_bytes(), encoded.iter().map(|item| item.size() as u64).sum::<u64>());
    let mut expected = vec![BTreeMap::new(); table.indexes().len()];
    for (item, (row_key, _)) in encoded.into_iter().zip(&items) {
        for change in index_changes(table, None, Some(item), &arena).unwrap() {
            let entry = change.after.unwrap();
            if !table.indexes()[change.index].covers(row_key) {
                continue;
            }
            expected[change.index].insert(entry.row_key.to_vec(), entry.item);
        }
    }
    for (index, expected) in table.indexes().iter().zip(expected) {
        let found = rows(store, index.space().all(&arena), Direction::Forward);
        assert_eq!(index.size_bytes(), expected.values().map(|item| item.size() as u64).sum::<u64>());
        let expected: Vec<_> = expected.into_iter().map(|(key, item)| (key, text(item.as_bytes()))).collect();
        assert_eq!(found, expected, "{}", index.name());
        assert_eq!(index.item_count(), found.len() as u64);
    }
}
