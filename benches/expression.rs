//! What expressions cost: parsed from text, found in the cache, bound, and used on an item of 20 attributes.
//!
//! Budget: none of its own in the cost model; what a request pays for an expression (found in the cache, bound, used)
//! has to stay below 1 us of the 7 to 11 that a write takes. Parsing happens once for each text on each event loop.
//!
//! `cargo bench --bench expression`

use std::hint::black_box;

use bumpalo::Bump;
use criterion::{Criterion, criterion_group, criterion_main};

use jormundb::expression::ast::{ConditionAst, ProjectionAst, UpdateAst};
use jormundb::expression::{Cache, ExpressionKind, Substitutions};
use jormundb::model::{Attribute, EncodedItem, Item, Map, Number, StoredDocument, Value};

const CONDITION: &str =
    "attribute_exists(pk) AND (#state = :open OR a05 BETWEEN :low AND :high) AND NOT contains(a07, :text)";
const UPDATE: &str = "SET #state = :open, a05 = if_not_exists(a05, :low) + :high, m.deep = :text REMOVE a09";
const PROJECTION: &str = "pk, #state, a05, a12, m.deep, l[0]";

/// `pk`, 16 strings and numbers in turns, a map, a list and a state.
fn item(arena: &Bump) -> Item<'_> {
    let mut attributes = bumpalo::collections::Vec::new_in(arena);
    for index in 0..16 {
        let value = match index % 2 {
            0 => Value::S("a string of twenty b"),
            _ => Value::N(Number::from_canonical("1234567")),
        };
        attributes.push(Attribute { name: arena.alloc_str(&format!("a{index:02}")), value });
    }
    let deep = arena.alloc([Attribute { name: "deep", value: Value::Bool(true) }]);
    attributes.push(Attribute { name: "l", value: Value::L(arena.alloc([Value::Null, Value::Bool(false)])) });
    attributes.push(Attribute { name: "m", value: Value::M(Map::from_sorted(deep)) });
    attributes.push(Attribute { name: "pk", value: Value::S("key") });
    attributes.push(Attribute { name: "state", value: Value::S("closed") });
    Map::from_unsorted(attributes)
}

const VALUES: &[Attribute<'static>] = &[
    Attribute { name: ":high", value: Value::N(Number::ZERO) },
    Attribute { name: ":low", value: Value::N(Number::ZERO) },
    Attribute { name: ":open", value: Value::S("open") },
    Attribute { name: ":text", value: Value::S("xyz") },
];

fn substitutions(arena: &Bump) -> Substitutions<'_> {
    let values = Map::from_sorted(arena.alloc_slice_copy(VALUES));
    Substitutions::new(Some(&[("#state", "state")]), Some(values), arena).expect("well-formed placeholders")
}

fn parse(criterion: &mut Criterion) {
    criterion.bench_function("parse/condition", |bencher| {
        bencher.iter(|| ConditionAst::parse(ExpressionKind::Condition, black_box(CONDITION)));
    });
    criterion.bench_function("parse/update", |bencher| bencher.iter(|| UpdateAst::parse(black_box(UPDATE))));
    criterion.bench_function("parse/projection", |bencher| {
        bencher.iter(|| ProjectionAst::parse(black_box(PROJECTION)));
    });
    let mut cache = Cache::new();
    criterion.bench_function("parse/condition, cached", |bencher| {
        bencher.iter(|| cache.condition(ExpressionKind::Condition, black_box(CONDITION)).is_ok());
    });
}

fn bind(criterion: &mut Criterion) {
    let mut arena = Bump::new();
    let condition = ConditionAst::parse(ExpressionKind::Condition, CONDITION).expect("a condition");
    criterion.bench_function("bind/condition, with its placeholders", |bencher| {
        bencher.iter(|| {
            arena.reset();
            let substitutions = substitutions(&arena);
            black_box(condition.bind(&substitutions, &arena).is_ok() && substitutions.check_used().is_err())
        });
    });
    let update = UpdateAst::parse(UPDATE).expect("an update");
    criterion.bench_function("bind/update, with its placeholders", |bencher| {
        bencher.iter(|| {
            arena.reset();
            let substitutions = substitutions(&arena);
            black_box(update.bind(&substitutions, &arena).is_ok() && substitutions.check_used().is_ok())
        });
    });
}

fn evaluate(criterion: &mut Criterion) {
    let arena = Bump::new();
    let substitutions = substitutions(&arena);
    let item = item(&arena);
    let stored = EncodedItem::encode(item, &arena);
    let condition = ConditionAst::parse(ExpressionKind::Condition, CONDITION).expect("a condition");
    let condition = condition.bind(&substitutions, &arena).expect("its placeholders");
    criterion.bench_function("evaluate/condition on a decoded item", |bencher| {
        bencher.iter(|| condition.evaluate(black_box(&item)));
    });
    let mut scratch = Bump::new();
    criterion.bench_function("evaluate/condition on a stored item", |bencher| {
        bencher.iter(|| {
            scratch.reset();
            condition.evaluate(&StoredDocument::new(black_box(stored), &scratch))
        });
    });
    let projection = ProjectionAst::parse(PROJECTION).expect("a projection");
    let projection = projection.bind(&substitutions, &arena).expect("its placeholders");
    criterion.bench_function("evaluate/projection of a stored item", |bencher| {
        bencher.iter(|| {
            scratch.reset();
            projection.apply(&StoredDocument::new(black_box(stored), &scratch), &scratch).len()
        });
    });
    let update = UpdateAst::parse(UPDATE).expect("an update").bind(&substitutions, &arena).expect("its placeholders");
    criterion.bench_function("evaluate/update of a decoded item", |bencher| {
        bencher.iter(|| {
            scratch.reset();
            update.apply(Some(black_box(item)), Map::EMPTY, &scratch).is_ok_and(|new| new.is_some())
        });
    });
    criterion.bench_function("evaluate/touched parts of an update", |bencher| {
        bencher.iter(|| {
            scratch.reset();
            update.touched(black_box(&item), &scratch).len()
        });
    });
}

criterion_group!(benches, parse, bind, evaluate);
criterion_main!(benches);
