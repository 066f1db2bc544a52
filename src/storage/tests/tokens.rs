use std::sync::Arc;
use std::sync::mpsc::Receiver;

use super::commits::hold;
use super::fixture::*;
use crate::storage::layout::MetadataKey;
use crate::storage::*;

const START_MS: u64 = 1_772_345_678_123;

/// A store with one table `t` (p).
fn store() -> (tempfile::TempDir, Store, Arc<Table>) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&options(directory.path())).unwrap();
    let table = create(&store, table_definition("t", false));
    (directory, store, table)
}

/// Submits a transaction under a token.
fn submit(
    store: &Store,
    table: &Arc<Table>,
    change: Change,
    token: (&'static str, u128, u64),
) -> Receiver<(Finished, Outcome)> {
    let (mut mutation, receiver) = mutation(&[(table, "x", None, change)], true);
    mutation.token = Some(token);
    assert!(store.submit(mutation).is_ok());
    receiver
}

/// Runs a transaction that adds 1 to the number of item `x`; how it ended, and what it saw.
fn add(store: &Store, table: &Arc<Table>, token: (&'static str, u128, u64)) -> (&'static str, Option<String>) {
    let (mut finished, outcome) = submit(store, table, Change::Add(1), token).recv().unwrap();
    (name(&finished, &outcome), finished.seen.pop().flatten())
}

fn name(finished: &Finished, outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Committed if finished.refused => "refused",
        Outcome::Committed => "committed",
        Outcome::Replayed => "replayed",
        Outcome::TokenMismatch => "mismatch",
        other => panic!("{other:?}"),
    }
}

fn record_count(store: &Store) -> usize {
    store.engine.metadata_of_kind(b'i').unwrap().len()
}

#[test]
fn a_token_holds_for_ten_minutes_and_across_a_restart() {
    let (directory, mut store, table) = store();
    write(&store, &table, "x", None, Change::Put("p=x n=#0".into()));
    for (restart, token, fingerprint, after_ms, ended, seen) in [
        (false, "t", 1, 0, "committed", Some("n=#0 p=x")),
        (false, "t", 1, 1, "replayed", Some("n=#1 p=x")),
        (false, "t", 2, 1, "mismatch", None),
        (false, "u", 2, 1, "committed", Some("n=#1 p=x")),
        (true, "t", 1, 599_999, "replayed", Some("n=#2 p=x")),
        (true, "t", 2, 599_999, "mismatch", None),
        (false, "t", 2, 600_000, "committed", Some("n=#2 p=x")),
        (false, "t", 2, 600_000, "replayed", Some("n=#3 p=x")),
    ] {
        if restart {
            drop(store);
            store = Store::open(&options(directory.path())).unwrap();
        }
        let table = store.table("t").unwrap();
        let found = add(&store, &table, (token, fingerprint, START_MS + after_ms));
        assert_eq!(found, (ended, seen.map(str::to_owned)), "{token} {fingerprint} after {after_ms} ms");
    }
}

#[test]
fn a_refused_transaction_leaves_no_record() {
    let (_directory, store, table) = store();
    assert_eq!(add(&store, &table, ("t", 1, START_MS)).0, "refused");
    assert_eq!(record_count(&store), 0);
    write(&store, &table, "x", None, Change::Put("p=x n=#0".into()));
    assert_eq!(add(&store, &table, ("t", 2, START_MS)).0, "committed");
    assert_eq!(record_count(&store), 1);
    // A transaction that only checks is remembered too.
    let check = |fingerprint| {
        let (finished, outcome) = submit(&store, &table, Change::Keep, ("c", fingerprint, START_MS)).recv().unwrap();
        name(&finished, &outcome)
    };
    assert_eq!([check(1), check(1), check(2)], ["committed", "replayed", "mismatch"]);
}

#[test]
fn transactions_of_one_batch_see_each_others_tokens() {
    let (_directory, store, table) = store();
    write(&store, &table, "x", None, Change::Put("p=x n=#0".into()));
    let gate_table = create(&store, table_definition("gates", true));
    let gate = hold(&store, &gate_table);
    let receivers: Vec<_> = [("t", 1), ("t", 1), ("t", 2), ("u", 1)]
        .map(|(token, fingerprint)| submit(&store, &table, Change::Add(1), (token, fingerprint, START_MS)))
        .into();
    gate.send(()).unwrap();
    let ends: Vec<_> = receivers.iter().map(|receiver| receiver.recv().unwrap()).collect();
    let ends: Vec<_> = ends.iter().map(|(finished, outcome)| name(finished, outcome)).collect();
    assert_eq!(ends, ["committed", "replayed", "mismatch", "committed"]);
    assert_eq!(get(&store, &table, "x", None).as_deref(), Some("n=#2 p=x"));
}

#[test]
fn old_records_are_dropped_also_those_of_an_earlier_process() {
    let (directory, store, table) = store();
    write(&store, &table, "x", None, Change::Put("p=x n=#0".into()));
    let bucket_ms = START_MS / 600_000 * 600_000;
    // Records of the bucket of now and of the one before are kept.
    for (token, minute, count) in [("a", 0, 1), ("b", 5, 2), ("c", 12, 3), ("d", 25, 2), ("e", 31, 2), ("f", 36, 3)] {
        assert_eq!(add(&store, &table, (token, 1, bucket_ms + minute * 60_000)).0, "committed", "{minute}");
        assert_eq!(record_count(&store), count, "{minute}");
    }
    drop(store);
    let store = Store::open(&options(directory.path())).unwrap();
    let table = store.table("t").unwrap();
    assert_eq!(record_count(&store), 3, "a restart drops nothing by itself");
    assert_eq!(add(&store, &table, ("z", 1, START_MS + 86_400_000)).0, "committed");
    assert_eq!(record_count(&store), 1, "only its own is left");
}

#[test]
fn a_damaged_record_fails_its_transaction_only() {
    let (_directory, store, table) = store();
    write(&store, &table, "x", None, Change::Put("p=x n=#0".into()));
    let mut key = MetadataKey::bucket(START_MS / 600_000).to_vec();
    key.push(b't');
    store.engine.db.put(key, b"short").unwrap();
    let (_, outcome) = submit(&store, &table, Change::Add(1), ("t", 1, START_MS)).recv().unwrap();
    assert!(matches!(outcome, Outcome::Failed(Error::Corrupt(_))), "{outcome:?}");
    assert_eq!(add(&store, &table, ("u", 1, START_MS)).0, "committed");
}
