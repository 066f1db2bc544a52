//! Texts that are made to exhaust a parser: they cost no stack and no more than linear time.

use std::time::{Duration, Instant};

use bumpalo::Bump;

use super::{item, substitutions};
use crate::expression::ast::{ConditionAst, ProjectionAst, UpdateAst};
use crate::expression::{ExpressionKind, Update};
use crate::model::limits::NESTING_DEPTH_MAX;
use crate::model::{Attribute, Item, Map, Value};

/// A thread's least stack; the pool's threads have more.
const STACK_BYTES: usize = 256 * 1024;

/// Far more than any of these takes without optimization, far less than any quadratic behaviour would.
const TIME_MAX: Duration = Duration::from_millis(500);

fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(STACK_BYTES).spawn(test).unwrap().join().unwrap();
}

/// Repeats `piece` as often as an expression holds it between `front` and `back`.
fn filled(front: &str, piece: &str, back: &str) -> String {
    let count = (4096 - front.len() - back.len()) / piece.len();
    format!("{front}{}{back}", piece.repeat(count))
}

#[test]
fn nesting_costs_no_stack() {
    on_a_small_stack(|| {
        let balanced = |open: &str, inner: &str, close: &str| {
            let count = (4000 - inner.len()) / (open.len() + close.len());
            format!("{}{inner}{}", open.repeat(count), close.repeat(count))
        };
        let texts = [
            "(".repeat(4096),
            ")".repeat(4096),
            "[".repeat(4096),
            filled("", "NOT ", "a = b"),
            filled("", "NOT(", ""),
            filled("", "size(", ""),
            filled("", "a(", ""),
            filled("a=", "(", ""),
            filled("a IN (", "a,", "a)"),
            filled("", "a BETWEEN ", ""),
            filled("", "a=b AND ", "a=b"),
            filled("a=b", " OR a=b", ""),
            filled("a", ".a", " = b"),
            filled("a", "[0]", " = b"),
            balanced("(", "a", ") = a"),
            balanced("(", "a = b", ")"),
            balanced("(a=b OR ", "a = b", ")"),
            balanced("NOT (", "a = b", ")"),
            balanced("size(", "a", ")") + " = b",
            filled("SET a = ", "(", ""),
            filled("SET a = ", "list_append(", ""),
            format!("SET a = {}", balanced("(", "b", ")")),
            format!("SET a = {}", balanced("list_append(a,", "b", ")")),
            format!("SET a = {}", balanced("if_not_exists(a,", "b", ")")),
            filled("REMOVE a", ",a", ""),
        ];
        for text in texts {
            let started = Instant::now();
            let arena = Bump::new();
            let substitutions = substitutions("", &arena).unwrap();
            if let Ok(ast) = ConditionAst::parse(ExpressionKind::Condition, &text) {
                let _ = ast.to_string();
                let _ = ast.bind(&substitutions, &arena).map(|condition| condition.evaluate(&Map::EMPTY));
            }
            if let Ok(ast) = UpdateAst::parse(&text) {
                let _ = ast.to_string();
                let _ = ast
                    .bind(&substitutions, &arena)
                    .map(|update| update.apply(Some(item("a=[] b=[]", &arena)), Map::EMPTY, &arena));
            }
            if let Ok(ast) = ProjectionAst::parse(&text) {
                let _ = ast.bind(&substitutions, &arena);
            }
            assert!(started.elapsed() < TIME_MAX, "{:?} for {}", started.elapsed(), &text[..20]);
        }
    });
}

#[test]
fn long_nots_are_refused_for_their_number() {
    let text = format!("{}a = b", "NOT ".repeat(1000));
    let error = ConditionAst::parse(ExpressionKind::Filter, &text).unwrap_err();
    assert_eq!(
        error.message(),
        "Invalid FilterExpression: The expression contains too many operators; operator count: 1001"
    );
}

#[test]
fn deep_but_legal_functions_are_evaluated() {
    on_a_small_stack(|| {
        let arena = Bump::new();
        let none = substitutions("", &arena).unwrap();
        let depth = 200;
        let nested = format!("SET r = {}b{}", "if_not_exists(a,".repeat(depth), ")".repeat(depth));
        let update = UpdateAst::parse(&nested).unwrap().bind(&none, &arena).unwrap();
        let new = update.apply(Some(item("b=7", &arena)), Map::EMPTY, &arena).unwrap();
        assert_eq!(new, Some(item("b=7 r=7", &arena)));
        let nested = format!("SET r = {}b{}", "list_append(a,".repeat(depth), ")".repeat(depth));
        let update = UpdateAst::parse(&nested).unwrap().bind(&none, &arena).unwrap();
        let new = update.apply(Some(item("a=[1] b=[2]", &arena)), Map::EMPTY, &arena).unwrap().unwrap();
        let Some(Value::L(list)) = new.get("r") else { panic!("{new:?}") };
        assert_eq!(list.len(), depth + 1);
    });
}

#[test]
fn list_append_gives_up_before_it_fills_the_memory() {
    let arena = Bump::new();
    let long = Value::L(arena.alloc_slice_fill_copy(100_000, Value::S("")));
    let old: Item = Map::from_sorted(arena.alloc([Attribute { name: "a", value: long }]));
    let none = substitutions("", &arena).unwrap();
    let depth = 250;
    let text = format!("SET r = {}a{}", "list_append(a,".repeat(depth), ")".repeat(depth));
    let update = UpdateAst::parse(&text).unwrap().bind(&none, &arena).unwrap();
    let work = Bump::new();
    let error = update.apply(Some(old), Map::EMPTY, &work).unwrap_err();
    assert_eq!(error.to_string(), "Item size to update has exceeded the maximum allowed size");
    assert!(work.allocated_bytes() < 64 << 20, "{}", work.allocated_bytes());
    // The bound holds for all actions together.
    let text = (0..150).map(|n| format!("r{n} = list_append(a, a)")).collect::<Vec<_>>().join(", ");
    let update = UpdateAst::parse(&format!("SET {text}")).unwrap().bind(&none, &arena).unwrap();
    let work = Bump::new();
    assert!(update.apply(Some(old), Map::EMPTY, &work).is_err());
    assert!(work.allocated_bytes() < 64 << 20, "{}", work.allocated_bytes());
}

#[test]
fn thousands_of_paths_are_compared_quickly() {
    let arena = Bump::new();
    let none = substitutions("", &arena).unwrap();
    let distinct = (0..800).map(|n| format!("a{n}")).collect::<Vec<_>>().join(",");
    for (text, fits) in [
        (distinct.clone(), true),
        (format!("{distinct},a799"), false),
        (format!("a0.b,{distinct}"), false),
        (filled("b", ",a", ""), false),
    ] {
        let ast = ProjectionAst::parse(&text).unwrap();
        let started = Instant::now();
        assert_eq!(ast.bind(&none, &arena).is_ok(), fits, "{}", &text[..20]);
        assert!(started.elapsed() < TIME_MAX, "{:?}", started.elapsed());
    }
    // One long name behind one placeholder, used hundreds of times.
    let long = format!("#n=\"{}\"", "x".repeat(65_535));
    let substitutions = substitutions(&long, &arena).unwrap();
    let text = (0..500).map(|n| format!("#n.a{n}")).collect::<Vec<_>>().join(",");
    let ast = ProjectionAst::parse(&text).unwrap();
    let started = Instant::now();
    assert!(ast.bind(&substitutions, &arena).is_ok());
    assert!(started.elapsed() < TIME_MAX, "{:?}", started.elapsed());
}

#[test]
fn a_deep_document_is_walked_on_a_small_stack() {
    on_a_small_stack(|| {
        let arena = Bump::new();
        let none = substitutions("", &arena).unwrap();
        let depth = NESTING_DEPTH_MAX - 1;
        let deep = item(&format!("a={}1{}", "{a=".repeat(depth), "}".repeat(depth)), &arena);
        let path = vec!["a"; depth + 1].join(".");
        let projection = ProjectionAst::parse(&path).unwrap().bind(&none, &arena).unwrap();
        assert_eq!(projection.apply(&deep, &arena), deep);
        let update = UpdateAst::parse(&format!("REMOVE {path}")).unwrap().bind(&none, &arena).unwrap();
        assert!(update.apply(Some(deep), Map::EMPTY, &arena).unwrap().is_some());
        let too_deep = UpdateAst::parse(&format!("SET {path}.a.a.a.a = a")).unwrap().bind(&none, &arena).unwrap();
        assert!(too_deep.apply(Some(deep), Map::EMPTY, &arena).is_err());
    });
}

#[test]
fn bound_forms_may_change_threads() {
    fn check<T: Send + Sync + Copy>(_: T) {}
    let arena = Bump::new();
    let none = substitutions("", &arena).unwrap();
    check(ConditionAst::parse(ExpressionKind::Condition, "a = b").unwrap().bind(&none, &arena).unwrap());
    check(UpdateAst::parse("SET a = b").unwrap().bind(&none, &arena).unwrap());
    check(ProjectionAst::parse("a").unwrap().bind(&none, &arena).unwrap());
    check(Update::NOTHING);
}
