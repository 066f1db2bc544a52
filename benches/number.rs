//! What DynamoDB's numbers cost: up to 38 digits, kept as text. A number is parsed for every `N` of a request and
//! compared for every numeric condition; `SET n = n + :one` adds.
//!
//! Budget: a number of a few digits well below a tenth of the 0.8 us that a whole request of 500 bytes takes to decode.
//!
//! `cargo bench --bench number`

use std::hint::black_box;

use bumpalo::Bump;
use criterion::{Criterion, criterion_group, criterion_main};

use jormundb::model::Number;

/// As they come: a count, a price, a timestamp with a fraction, what only decimal arithmetic keeps.
const NUMBERS: [(&str, &str); 4] = [
    ("3", "count"),
    ("129.95", "price"),
    ("1773480413.250117", "timestamp"),
    ("12345678901234567890123456789012345678", "38 digits"),
];

fn parse(criterion: &mut Criterion) {
    let mut arena = Bump::new();
    for (text, name) in NUMBERS {
        criterion.bench_function(&format!("number/parse/{name}"), |bencher| {
            bencher.iter(|| {
                arena.reset();
                Number::parse(black_box(text), &arena).is_ok()
            });
        });
    }
    criterion.bench_function("number/parse/not canonical: 007.50e2", |bencher| {
        bencher.iter(|| {
            arena.reset();
            Number::parse(black_box("007.50e2"), &arena).is_ok()
        });
    });
}

fn add(criterion: &mut Criterion) {
    let mut arena = Bump::new();
    for (text, name) in NUMBERS {
        let (number, one) = (Number::from_canonical(text), Number::from_canonical("1"));
        criterion.bench_function(&format!("number/add 1/{name}"), |bencher| {
            bencher.iter(|| {
                arena.reset();
                black_box(number).add(black_box(one), &arena).is_ok()
            });
        });
    }
}

fn compare(criterion: &mut Criterion) {
    let pairs = [("129.95", "129.96", "same length"), ("9", "10", "another exponent"), ("-5", "5", "another sign")];
    for (left, right, name) in pairs {
        let (left, right) = (Number::from_canonical(left), Number::from_canonical(right));
        criterion.bench_function(&format!("number/compare/{name}"), |bencher| {
            bencher.iter(|| black_box(left).cmp(&black_box(right)));
        });
    }
}

criterion_group!(benches, parse, add, compare);
criterion_main!(benches);
