//! What the wire syntax costs: a request's body to borrowed values, and a stored item to the body of an answer.
//!
//! Budgets: decoding 50 B / 500 B / 20 KB 0.1 / 0.8 / 23 us, encoding 500 B 0.25 to 0.36 us, its checksum 0.02 us.
//!
//! `cargo bench --bench json`

mod data;

use std::hint::black_box;

use bumpalo::Bump;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

use jormundb::json::{Writer, decode, is_json};
use jormundb::model::EncodedItem;

/// A GetItem of about 50 bytes.
const SMALL: &str = r#"{"TableName":"t","Key":{"pk":{"S":"user-000001"}}}"#;

fn decode_requests(criterion: &mut Criterion) {
    let bodies = [("50 B", SMALL.to_owned()), ("500 B", data::medium()), ("20 KB", data::large())];
    let mut group = criterion.benchmark_group("json/decode");
    let mut arena = Bump::new();
    for (size, body) in &bodies {
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(*size, |bencher| {
            bencher.iter(|| {
                arena.reset();
                decode::<data::Request<'_>>(black_box(body.as_bytes()), &arena).is_ok()
            });
        });
    }
    group.finish();
    criterion.bench_function("json/only whether it is JSON/500 B", |bencher| {
        bencher.iter(|| is_json(black_box(bodies[1].1.as_bytes())));
    });
}

/// Straight from the stored bytes, as GetItem does; and from a decoded item, as UpdateItem's `ALL_NEW` does.
fn encode_items(criterion: &mut Criterion) {
    let mut out = Vec::with_capacity(64 * 1024);
    for (size, body) in [("500 B", data::medium()), ("20 KB", data::large())] {
        let arena = Bump::new();
        let item = data::item(&body, &arena);
        let stored = EncodedItem::encode(item, &arena);
        criterion.bench_function(&format!("json/encode a stored item/{size}"), |bencher| {
            bencher.iter(|| {
                out.clear();
                Writer::new(&mut out).stored_item(black_box(stored)).is_ok()
            });
        });
        criterion.bench_function(&format!("json/encode a decoded item/{size}"), |bencher| {
            bencher.iter(|| {
                out.clear();
                Writer::new(&mut out).item(black_box(item));
            });
        });
        criterion.bench_function(&format!("json/checksum/{size}"), |bencher| {
            bencher.iter(|| crc32fast::hash(black_box(&out)));
        });
    }
}

criterion_group!(benches, decode_requests, encode_items);
criterion_main!(benches);
