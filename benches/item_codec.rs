//! What the stored form of an item costs. A write encodes one; a read opens it and writes its answer straight from
//! the bytes (see the bench `json`); a condition finds the attributes that it names; an update decodes all.
//!
//! Budget: opening and finding an attribute are part of the 2 to 2.9 us of a read from the block cache and have to
//! vanish in it; encoding is part of the 3 to 5 us of a write in the committer.
//!
//! `cargo bench --bench item_codec`

mod data;

use std::hint::black_box;

use bumpalo::Bump;
use criterion::{Criterion, criterion_group, criterion_main};

use jormundb::model::EncodedItem;

fn measure(criterion: &mut Criterion, size: &str, body: &str, last_attribute: &str) {
    let (items, mut arena) = (Bump::new(), Bump::new());
    let item = data::item(body, &items);
    let stored = EncodedItem::encode(item, &items);
    criterion.bench_function(&format!("item/encode/{size}"), |bencher| {
        bencher.iter(|| {
            arena.reset();
            EncodedItem::encode(black_box(item), &arena).size()
        });
    });
    criterion.bench_function(&format!("item/open/{size}"), |bencher| {
        bencher.iter(|| EncodedItem::open(black_box(stored.as_bytes())).is_ok());
    });
    criterion.bench_function(&format!("item/get the last attribute/{size}"), |bencher| {
        bencher.iter(|| stored.get_raw(black_box(last_attribute)).is_ok_and(|value| value.is_some()));
    });
    criterion.bench_function(&format!("item/decode/{size}"), |bencher| {
        bencher.iter(|| {
            arena.reset();
            black_box(stored).decode(&arena).map(|item| item.len())
        });
    });
}

fn codec(criterion: &mut Criterion) {
    measure(criterion, "500 B", &data::medium(), "weight");
    measure(criterion, "20 KB", &data::large(), "weight");
}

criterion_group!(benches, codec);
criterion_main!(benches);
