//! What the keys on disk cost. Each request encodes one for every item that it names, with the hash of its partition;
//! RocksDB compares them bytewise, some twenty times for a look-up in a table of a million.
//!
//! Budget: none of its own in the cost model; encoding a key has to stay below 0.1 us, comparing two at what memory
//! costs.
//!
//! `cargo bench --bench key_codec`

use std::hint::black_box;

use bumpalo::Bump;
use criterion::{Criterion, criterion_group, criterion_main};

use jormundb::model::{KeyAttribute, KeyKind, KeySchema, Number};
use jormundb::storage::{KeyValue, Space, decode_row_key};

const SPACE: Space = Space::new(7, 0);

fn keys() -> [(&'static str, KeyValue<'static>, Option<KeyValue<'static>>); 4] {
    [
        ("a string", KeyValue::S("CUSTOMER#48213"), None),
        ("two strings", KeyValue::S("CUSTOMER#48213"), Some(KeyValue::S("ORDER#2026-03-14T09:26:53Z"))),
        (
            "a string and a number",
            KeyValue::S("CUSTOMER#48213"),
            Some(KeyValue::N(Number::from_canonical("1773480413.25"))),
        ),
        ("16 bytes", KeyValue::B(b"\x01\x8e\x3f\x00\x9c\xd7\x7a\x42\xb1\x00\xf3\x5d\x20\x8a\x61\x0c"), None),
    ]
}

fn encode(criterion: &mut Criterion) {
    let mut arena = Bump::new();
    for (name, partition, sort) in keys() {
        criterion.bench_function(&format!("key/encode/{name}"), |bencher| {
            bencher.iter(|| {
                arena.reset();
                SPACE.row_key(&[black_box(partition)], black_box(sort).as_slice(), &[], &arena).len()
            });
        });
    }
}

fn decode(criterion: &mut Criterion) {
    let attribute = |name: &str, kind| KeyAttribute { name: name.to_owned(), kind };
    let schema = KeySchema { hash: vec![attribute("pk", KeyKind::S)], range: vec![attribute("sk", KeyKind::S)] };
    let (keys_arena, mut arena) = (Bump::new(), Bump::new());
    let (_, partition, sort) = keys()[1];
    let row_key = SPACE.row_key(&[partition], sort.as_slice(), &[], &keys_arena);
    criterion.bench_function("key/decode/two strings", |bencher| {
        bencher.iter(|| {
            arena.reset();
            decode_row_key(black_box(row_key), &schema, &arena).is_ok()
        });
    });
}

/// Neighbours of one partition, which differ late; and items of two partitions, which the hash tells apart early.
fn compare(criterion: &mut Criterion) {
    let arena = Bump::new();
    let key = |partition, sort| SPACE.row_key(&[KeyValue::S(partition)], &[KeyValue::S(sort)], &[], &arena);
    let first = key("CUSTOMER#48213", "ORDER#2026-03-14T09:26:53Z");
    let neighbour = key("CUSTOMER#48213", "ORDER#2026-03-14T09:26:54Z");
    let stranger = key("CUSTOMER#48214", "ORDER#2026-03-14T09:26:53Z");
    for (name, other) in [("one partition", neighbour), ("two partitions", stranger)] {
        criterion.bench_function(&format!("key/compare/{name}"), |bencher| {
            bencher.iter(|| black_box(first).cmp(black_box(other)));
        });
    }
}

criterion_group!(benches, encode, decode, compare);
criterion_main!(benches);
