use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::fixture::*;
use crate::storage::*;

/// A store with one table `t` (p, s) that has one index on `g`.
fn store() -> (tempfile::TempDir, Store, Arc<Table>) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&options(directory.path())).unwrap();
    let mut definition = table_definition("t", true);
    with_index(&mut definition, "g", &[("g", 'S')], &[], "KEYS_ONLY");
    let table = create(&store, definition);
    (directory, store, table)
}

fn put(text: &str) -> Change {
    Change::Put(text.into())
}

#[test]
fn decisions_become_rows() {
    let (_directory, store, table) = store();
    let a = Some("a");
    for (change, seen, refused, after) in [
        (put("p=x s=a v=1 g=1"), None, false, Some("g=1 p=x s=a v=1")),
        (put("p=x s=a v=2 g=2"), Some("g=1 p=x s=a v=1"), false, Some("g=2 p=x s=a v=2")),
        (Change::PutIfAbsent("p=x s=a v=3".into()), Some("g=2 p=x s=a v=2"), true, Some("g=2 p=x s=a v=2")),
        (Change::Keep, Some("g=2 p=x s=a v=2"), false, Some("g=2 p=x s=a v=2")),
        (Change::Delete, Some("g=2 p=x s=a v=2"), false, None),
        (Change::Delete, None, false, None),
        (Change::PutIfAbsent("p=x s=a n=#4".into()), None, false, Some("n=#4 p=x s=a")),
        (Change::Add(-3), Some("n=#4 p=x s=a"), false, Some("n=#1 p=x s=a")),
        (Change::Add(-3), Some("n=#1 p=x s=a"), true, Some("n=#1 p=x s=a")),
    ] {
        let finished = write(&store, &table, "x", a, change.clone());
        assert_eq!(finished, Finished { seen: vec![seen.map(str::to_owned)], refused }, "{change:?}");
        assert_eq!(get(&store, &table, "x", a).as_deref(), after, "{change:?}");
        check_indexes(&store, &table);
    }
}

#[test]
fn a_transaction_is_all_or_nothing() {
    let (_directory, store, table) = store();
    write(&store, &table, "x", Some("a"), put("p=x s=a n=#5"));
    let transfer = |amount: i64| {
        [
            (&table, "x", Some("a"), Change::Add(-amount)),
            (&table, "x", Some("b"), put("p=x s=b n=#1 g=1")),
            (&table, "x", Some("c"), Change::Delete),
        ]
    };
    let (finished, outcome) = commit(&store, &transfer(6), true);
    assert!(matches!(outcome, Outcome::Committed) && finished.refused);
    // All targets are asked, for the cancellation reasons.
    assert_eq!(finished.seen, [Some("n=#5 p=x s=a".to_owned()), None, None]);
    assert_eq!(get(&store, &table, "x", Some("b")), None);
    let (finished, _) = commit(&store, &transfer(5), true);
    assert!(!finished.refused);
    assert_eq!(get(&store, &table, "x", Some("a")).as_deref(), Some("n=#0 p=x s=a"));
    assert_eq!(get(&store, &table, "x", Some("b")).as_deref(), Some("g=1 n=#1 p=x s=b"));
    // Without `atomic` (BatchWriteItem) a refusal stands alone.
    let (finished, _) = commit(&store, &[transfer(1)[0].clone(), (&table, "x", Some("d"), put("p=x s=d"))], false);
    assert!(finished.refused);
    assert_eq!(get(&store, &table, "x", Some("d")).as_deref(), Some("p=x s=d"));
    check_indexes(&store, &table);
}

/// A mutation that keeps the committer busy until it may go on.
struct Gate {
    inner: TestMutation,
    entered: std::sync::mpsc::Sender<()>,
    go_on: std::sync::mpsc::Receiver<()>,
}

impl Mutation for Gate {
    fn target_count(&self) -> usize {
        1
    }
    fn target(&self, index: usize) -> Target<'_> {
        self.inner.target(index)
    }
    fn atomic(&self) -> bool {
        false
    }
    fn request_bytes(&self) -> usize {
        1
    }
    fn decide<'s>(
        &mut self,
        _index: usize,
        _old: Option<crate::model::EncodedItem<'s>>,
        _scratch: &'s bumpalo::Bump,
    ) -> Decision<'s> {
        self.entered.send(()).unwrap();
        self.go_on.recv().unwrap();
        Decision::Keep
    }
    fn complete(self: Box<Self>, outcome: Outcome) {
        Box::new(self.inner).complete(outcome);
    }
    fn waker(&self) -> &Arc<dyn Wake> {
        &self.inner.waker
    }
}

/// Holds the committer inside a batch until the returned sender is used or dropped.
pub fn hold(store: &Store, table: &Arc<Table>) -> std::sync::mpsc::Sender<()> {
    let (entered, has_entered) = std::sync::mpsc::channel();
    let (may_go_on, go_on) = std::sync::mpsc::channel();
    let (inner, _) = mutation(&[(table, "gate", Some("gate"), Change::Keep)], false);
    assert!(store.submit(Box::new(Gate { inner: *inner, entered, go_on })).is_ok());
    has_entered.recv().unwrap();
    may_go_on
}

#[test]
fn mutations_of_one_batch_see_each_other_and_wake_once() {
    let (_directory, store, table) = store();
    let gate = hold(&store, &table);
    let batches_before = store.statistics().batch_count;
    let waker = Arc::new(CountingWaker(AtomicUsize::new(0)));
    let changes = [
        put("p=x s=a n=#1 g=1"),
        Change::Add(1),
        Change::PutIfAbsent("p=x s=a".into()),
        Change::Add(5),
        Change::Delete,
        Change::PutIfAbsent("p=x s=a n=#1 g=2".into()),
        Change::Add(1),
    ];
    let receivers: Vec<_> = changes
        .into_iter()
        .map(|change| {
            let (mut mutation, receiver) = mutation(&[(&table, "x", Some("a"), change)], false);
            mutation.waker = Arc::clone(&waker) as Arc<dyn Wake>;
            assert!(store.submit(mutation).is_ok());
            receiver
        })
        .collect();
    assert_eq!(store.statistics().queued_count, 8);
    gate.send(()).unwrap();
    let finished: Vec<_> = receivers.iter().map(|receiver| receiver.recv().unwrap().0).collect();
    let seen: Vec<_> = finished.iter().map(|finished| finished.seen[0].as_deref().unwrap_or("-")).collect();
    let [one, two, seven] = ["g=1 n=#1 p=x s=a", "g=1 n=#2 p=x s=a", "g=1 n=#7 p=x s=a"];
    assert_eq!(seen, ["-", one, two, two, seven, "-", "g=2 n=#1 p=x s=a"]);
    assert_eq!(finished.iter().map(|finished| finished.refused).filter(|refused| *refused).count(), 1);
    drop(store.alter(|_| Ok::<(), Error>(())));
    assert!(store.statistics().batch_count - batches_before <= 2, "what waited is one batch");
    assert_eq!(waker.0.load(Ordering::SeqCst), 1);
    assert_eq!(store.statistics().queued_count, 0);
    assert_eq!(get(&store, &table, "x", Some("a")).as_deref(), Some("g=2 n=#2 p=x s=a"));
    check_indexes(&store, &table);
}

#[test]
fn a_panic_fails_its_own_mutation_only() {
    let (_directory, store, table) = store();
    let gate = hold(&store, &table);
    let submit = |targets: &[(&Arc<Table>, &str, Option<&str>, Change)]| {
        let (mutation, receiver) = mutation(targets, false);
        assert!(store.submit(mutation).is_ok());
        receiver
    };
    let before = submit(&[(&table, "x", Some("a"), put("p=x s=a"))]);
    let panics = submit(&[(&table, "x", Some("b"), put("p=x s=b")), (&table, "x", Some("c"), Change::Panic)]);
    let after = submit(&[(&table, "x", Some("d"), put("p=x s=d"))]);
    gate.send(()).unwrap();
    assert!(matches!(before.recv().unwrap().1, Outcome::Committed));
    assert!(matches!(panics.recv().unwrap().1, Outcome::Failed(Error::Engine(_))));
    assert!(matches!(after.recv().unwrap().1, Outcome::Committed));
    assert_eq!(get(&store, &table, "x", Some("b")), None);
    check_indexes(&store, &table);
    assert_eq!(table.item_count(), 2);
}

#[test]
fn after_a_failed_write_nothing_is_acknowledged() {
    let (directory, store, table) = store();
    write(&store, &table, "x", Some("a"), put("p=x s=a"));
    let gate = hold(&store, &table);
    store.engine.fail_writes.store(true, Ordering::SeqCst);
    let (first, first_done) = mutation(&[(&table, "x", Some("a"), Change::Delete)], false);
    // A refusal that rests on the write that fails must not be told either.
    let (second, second_done) = mutation(&[(&table, "x", Some("a"), Change::Add(1))], false);
    assert!(store.submit(first).is_ok() && store.submit(second).is_ok());
    gate.send(()).unwrap();
    for done in [first_done, second_done] {
        let outcome = done.recv().unwrap().1;
        assert!(
            matches!(&outcome, Outcome::Failed(Error::Poisoned(cause)) if cause.contains("injected")),
            "{outcome:?}"
        );
    }
    // Also when the disk works again, until the store is opened anew.
    store.engine.fail_writes.store(false, Ordering::SeqCst);
    let outcome = commit(&store, &[(&table, "x", Some("b"), put("p=x s=b"))], false).1;
    assert!(matches!(outcome, Outcome::Failed(Error::Poisoned(_))), "{outcome:?}");
    let altered = store.alter(|draft| draft.create(table_definition("u", false)));
    assert!(matches!(altered, Err(Error::Poisoned(_))));
    assert_eq!((table.item_count(), store.table("u").is_none()), (1, true));
    assert_eq!(get(&store, &table, "x", Some("a")).as_deref(), Some("p=x s=a"), "reads go on");
    drop(store);
    let store = Store::open(&options(directory.path())).unwrap();
    let table = store.table("t").unwrap();
    write(&store, &table, "x", Some("b"), put("p=x s=b"));
    check_indexes(&store, &table);
    assert_eq!(table.item_count(), 2);
}

#[test]
fn a_cold_item_is_not_decided_until_it_is_warmed() {
    let (directory, store, table) = store();
    // In front of the item more than a block, or it is in one with the metadata that a start reads.
    let padding = "v".repeat(20_000);
    for sort in ["0", "1", "a"] {
        write(&store, &table, "x", Some(sort), put(&format!("p=x s={sort} n=#1 v={padding}")));
    }
    store.close().unwrap();
    drop((store, table));
    let store = Store::open(&options(directory.path())).unwrap();
    let table = store.table("t").unwrap();
    let targets = [(&table, "x", Some("a"), Change::Add(1))];
    let (mut cold, done) = mutation(&targets, false);
    cold.tier = Tier::Memory;
    assert!(store.submit(cold).is_ok());
    let (finished, outcome) = done.recv().unwrap();
    assert!(matches!(outcome, Outcome::Cold), "{outcome:?}");
    assert_eq!(finished.seen, []);
    let (mut warmed, done) = mutation(&targets, false);
    warmed.tier = Tier::Memory;
    store.warm(&*warmed).unwrap();
    assert!(store.submit(warmed).is_ok());
    assert!(matches!(done.recv().unwrap().1, Outcome::Committed));
    assert!(get(&store, &table, "x", Some("a")).unwrap().starts_with("n=#2 p=x s=a"));
}

#[test]
fn a_full_or_closed_queue_gives_the_mutation_back() {
    let (_directory, store, table) = store();
    let gate = hold(&store, &table);
    let mut receivers = Vec::new();
    let refused = loop {
        let (mutation, receiver) = mutation(&[(&table, "x", Some("a"), put("p=x s=a"))], false);
        match store.submit(mutation) {
            Ok(()) => receivers.push(receiver),
            Err(mutation) => break mutation,
        }
    };
    assert_eq!(refused.target_count(), 1);
    assert_eq!(receivers.len() + 1, 16 * 1024);
    gate.send(()).unwrap();
    for receiver in receivers {
        assert!(matches!(receiver.recv().unwrap().1, Outcome::Committed));
    }
    assert!(store.submit(refused).is_ok());
    store.close().unwrap();
    let (mutation, _done) = mutation(&[(&table, "x", Some("a"), Change::Delete)], false);
    assert!(store.submit(mutation).is_err());
    assert_eq!(store.alter(|_| Ok::<(), Error>(())), Err(Error::Closed));
    assert!(get(&store, &table, "x", Some("a")).is_some(), "reads go on");
}

#[test]
fn corrupt_rows_fail_the_mutation_and_nothing_else() {
    let (_directory, store, table) = store();
    store.engine.db.put(row_key(&table, "x", Some("a")), b"\x07junk").unwrap();
    store.engine.db.put(row_key(&table, "x", Some("b")), b"\x01\x01\0\0\0\xff").unwrap();
    for sort in ["a", "b"] {
        let text = format!("p=x s={sort}");
        let (mutation, done) = mutation(&[(&table, "x", Some(sort), put(&text))], false);
        assert!(store.submit(mutation).is_ok());
        let outcome = done.recv().unwrap().1;
        // The test mutation itself cannot print what it cannot decode.
        assert!(matches!(outcome, Outcome::Failed(Error::Corrupt(_) | Error::Engine(_))), "{outcome:?}");
    }
    write(&store, &table, "x", Some("c"), put("p=x s=c"));
}

#[test]
fn concurrent_updates_are_serializable() {
    const THREADS: usize = 8;
    const TRANSFERS: usize = 300;
    let (_directory, store, table) = store();
    for account in 0..4 {
        write(&store, &table, &account.to_string(), Some("a"), put(&format!("p={account} s=a n=#100 g=x")));
    }
    write(&store, &table, "counter", Some("a"), put("p=counter s=a n=#0"));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (store, table) = (&store, &table);
            scope.spawn(move || {
                for round in 0..TRANSFERS {
                    let (from, to) = ((thread + round) % 4, (thread + round * 3 + 1) % 4);
                    let amount = (round % 40) as i64;
                    let [from, to] = [from, to].map(|account| account.to_string());
                    if from != to {
                        let targets = [
                            (table, &*from, Some("a"), Change::Add(-amount)),
                            (table, &*to, Some("a"), Change::Add(amount)),
                        ];
                        assert!(matches!(commit(store, &targets, true).1, Outcome::Committed));
                    }
                    write(store, table, "counter", Some("a"), Change::Add(1));
                }
            });
        }
        // Meanwhile no snapshot sees a transfer half done.
        for _ in 0..200 {
            let snapshot = store.snapshot();
            let sum: i64 = (0..4).map(|account| balance(&snapshot, &table, &account.to_string())).sum();
            assert_eq!(sum, 400);
        }
    });
    let counter = get(&store, &table, "counter", Some("a"));
    assert_eq!(counter, Some(format!("n=#{} p=counter s=a", THREADS * TRANSFERS)));
    check_indexes(&store, &table);
}

fn balance(snapshot: &Snapshot<'_>, table: &Table, account: &str) -> i64 {
    let Lookup::Found(bytes) = snapshot.get(&row_key(table, account, Some("a")), Tier::Any).unwrap() else {
        panic!("the account exists")
    };
    let text = text(&bytes);
    text.split(' ').find_map(|word| word.strip_prefix("n=#")).unwrap().parse().unwrap()
}
