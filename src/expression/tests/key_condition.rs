//! Key conditions: narrowed from conditions, then fitted to schemas.

use bumpalo::Bump;

use super::{substitutions, value};
use crate::expression::ast::ConditionAst;
use crate::expression::{ExpressionError, ExpressionKind, KeyClauses, KeyTest};
use crate::model::{KeyAttribute, KeyKind, KeySchema};

/// `a:S,b:N|c:B` is a schema with the hash attributes a and b and the range attribute c.
fn schema(text: &str) -> KeySchema {
    let attributes = |text: &str| {
        let attributes = text.split(',').filter(|attribute| !attribute.is_empty()).map(|attribute| {
            let (name, kind) = attribute.split_once(':').unwrap();
            let kind = match kind {
                "S" => KeyKind::S,
                "N" => KeyKind::N,
                _ => KeyKind::B,
            };
            KeyAttribute { name: name.into(), kind }
        });
        attributes.collect()
    };
    let (hash, range) = text.split_once('|').unwrap_or((text, ""));
    KeySchema { hash: attributes(hash), range: attributes(range) }
}

fn bind<'a>(text: &str, given: &str, arena: &'a Bump) -> Result<KeyClauses<'a>, ExpressionError> {
    let substitutions = substitutions(given, arena)?;
    ConditionAst::parse(ExpressionKind::KeyCondition, text)?.bind_key(&substitutions, arena)
}

const SIMPLE: &str = "pk:S|sk:N";

#[test]
fn fitting_conditions() {
    let arena = Bump::new();
    let given = ":a=\"h\" :b=1 :c=3 :p=\"x\" :q=\"y\" #k=\"pk\"";
    let number = |text| value(text, &arena);
    let (one, three, x, y) = (number("1"), number("3"), number("\"x\""), number("\"y\""));
    let rows: Vec<(&str, &str, &[crate::model::Value], Option<KeyTest>)> = vec![
        ("pk = :a", SIMPLE, &[], None),
        ("#k = :a", SIMPLE, &[], None),
        (":a = pk", SIMPLE, &[], None),
        ("(pk = :a)", "pk:S", &[], None),
        ("pk = :a AND sk = :b", SIMPLE, std::slice::from_ref(&one), None),
        ("sk = :b AND pk = :a", SIMPLE, std::slice::from_ref(&one), None),
        ("pk = :a AND sk < :b", SIMPLE, &[], Some(KeyTest::Less(one))),
        ("pk = :a AND sk <= :b", SIMPLE, &[], Some(KeyTest::LessEqual(one))),
        ("pk = :a AND sk > :b", SIMPLE, &[], Some(KeyTest::Greater(one))),
        ("pk = :a AND sk >= :b", SIMPLE, &[], Some(KeyTest::GreaterEqual(one))),
        ("pk = :a AND :b < sk", SIMPLE, &[], Some(KeyTest::Greater(one))),
        (":b >= sk AND :a = pk", SIMPLE, &[], Some(KeyTest::LessEqual(one))),
        ("(pk = :a) AND (sk > :b)", SIMPLE, &[], Some(KeyTest::Greater(one))),
        ("pk = :a AND sk BETWEEN :b AND :c", SIMPLE, &[], Some(KeyTest::Between(one, three))),
        ("pk = :a AND begins_with(sk, :p)", "pk:S|sk:S", &[], Some(KeyTest::BeginsWith(x))),
        // Several attributes, in any order of the text.
        ("i = :b AND j = :p AND h = :c", "h:N,i:N|j:S,k:S", std::slice::from_ref(&x), None),
        (
            "i = :b AND k > :q AND j = :p AND h = :c",
            "h:N,i:N|j:S,k:S",
            std::slice::from_ref(&x),
            Some(KeyTest::Greater(y)),
        ),
        ("h = :b AND i = :b", "h:N,i:N|j:S,k:S", &[], None),
        ("h = :b AND j < :q AND i = :b", "h:N,i:N|j:S,k:S", &[], Some(KeyTest::Less(y))),
    ];
    for (text, key, range_equal, range_test) in rows {
        let clauses = bind(text, given, &arena).expect(text);
        let condition = clauses.resolve(&schema(key), &arena).expect(text);
        assert_eq!(condition.hash.len(), schema(key).hash.len(), "{text}");
        assert_eq!((condition.range_equal, condition.range_test), (range_equal, range_test), "{text}");
    }
    let condition = bind("i = :b AND h = :c", given, &arena).unwrap().resolve(&schema("h:N,i:N"), &arena).unwrap();
    assert_eq!(condition.hash, [three, one]);
    assert_eq!(KeyTest::Between(one, three).values().collect::<Vec<_>>(), [one, three]);
}

#[test]
fn refused_before_the_schema() {
    let arena = Bump::new();
    let operator = |name: &str| format!("Invalid operator used in KeyConditionExpression: {name}");
    let condition = |rule: &str| format!("Invalid condition in KeyConditionExpression: {rule}");
    let first = |name: &str| condition(&format!("{name} operator must have the key attribute as its first operand"));
    let several = || condition("Multiple attribute names used in one condition");
    let none = || condition("No key attribute specified");
    let nested = || "KeyConditionExpressions cannot contain nested operations".to_owned();
    let deep = || "KeyConditionExpressions cannot have conditions on nested attributes".to_owned();
    let twice = || "KeyConditionExpressions must only contain one condition per key".to_owned();
    let given = ":v=\"v\" :w=\"w\" :t=\"S\" :n=1";
    for (text, expected) in [
        ("a = :v or b = :w", operator("OR")),
        ("NOT a = :v", operator("NOT")),
        ("a = :v AND NOT b = :w", operator("NOT")),
        ("a <> :v", operator("<>")),
        ("a IN (:v)", operator("IN")),
        ("attribute_exists(a)", operator("attribute_exists")),
        ("attribute_not_exists(a)", operator("attribute_not_exists")),
        ("attribute_type(a, :t)", operator("attribute_type")),
        ("contains(a, :v)", operator("contains")),
        (":v between b and c", first("BETWEEN")),
        ("begins_with(:v, a)", first("begins_with")),
        ("a > size(b)", nested()),
        ("size(a) = :n", nested()),
        ("a = size(:v)", nested()),
        ("a between size(b) and :n", nested()),
        ("a > b", several()),
        ("a between b and :w", several()),
        ("begins_with(a, b)", several()),
        ("a.d > :v", deep()),
        ("a[0] = :v", deep()),
        (":v > :w", none()),
        (":v between :v and :w", none()),
        ("begins_with(:v, :w)", none()),
        ("a > :v and a < :w", twice()),
        ("a = :v AND b = :v AND a = :v", twice()),
        // An operator comes before what it joins, and clauses come from left to right.
        ("a <> :v OR b IN (:w)", operator("OR")),
        ("NOT (a <> :v OR b = :w)", operator("NOT")),
        ("a <> :v AND (b = :v OR c = :w)", operator("<>")),
        ("(b = :v OR c = :w) AND a <> :v", operator("OR")),
        ("a.b = :v AND c <> :v", deep()),
        // The rules for conditions come first, wherever they are broken.
        ("a = :v OR b = :x", "".into()),
        ("a <> :v AND c = c", "".into()),
    ] {
        let error = bind(text, given, &arena).expect_err(text).into_message();
        if expected.is_empty() {
            assert!(error.starts_with("Invalid KeyConditionExpression: "), "{text}: {error}");
        } else {
            assert_eq!(error, expected, "{text}");
        }
    }
    let error = bind("pk = :v AND size(x) = :n AND", given, &arena).unwrap_err();
    assert_eq!(error.message(), "Invalid KeyConditionExpression: Syntax error; token: \"<EOF>\", near: \"AND\"");
    let error = bind("begins_with(a, :n)", given, &arena).unwrap_err();
    assert_eq!(
        error.message(),
        "Invalid KeyConditionExpression: Incorrect operand type for operator or function; operator or function: \
         begins_with, operand type: N"
    );
}

#[test]
fn refused_by_the_schema() {
    let arena = Bump::new();
    let given = ":s=\"h\" :n=1 :b=x\"00\" :x=null";
    let missed = |name: &str| format!("Query condition missed key schema element: {name}");
    let unsupported = || "Query key condition not supported".to_owned();
    let mismatch = || {
        let rule = "Condition parameter type does not match schema type";
        format!("One or more parameter values were invalid: {rule}")
    };
    let too_many = |count: usize, keys: usize| {
        format!(
            "The number of query conditions ({count}) exceeds the number of key attributes defined in the schema \
             ({keys})"
        )
    };
    let gap = |lacking: &str, last: &str| {
        format!(
            "RANGE key attributes {lacking} must have equality conditions specified in the query because a condition \
             is present on key attribute {last}"
        )
    };
    let hash =
        |names: &str| format!("HASH key attributes {names} must have equality conditions specified in the query");
    let multiple = "h:S,i:S|j:N,k:N,l:N";
    for (text, key, expected) in [
        ("sk = :n", SIMPLE, missed("pk")),
        ("extra = :s AND sk = :n", SIMPLE, missed("pk")),
        ("pk > :s", SIMPLE, unsupported()),
        ("pk > :s AND sk = :n", SIMPLE, unsupported()),
        ("begins_with(pk, :s)", "pk:S", unsupported()),
        ("pk = :s AND extra = :n", SIMPLE, missed("sk")),
        ("pk = :s AND sk = :n", "pk:S", unsupported()),
        ("pk = :s AND sk = :n AND x = :n", SIMPLE, too_many(3, 2)),
        ("pk = :n", SIMPLE, mismatch()),
        ("pk = :b", SIMPLE, mismatch()),
        ("pk = :x", SIMPLE, mismatch()),
        ("pk = :s AND sk = :s", SIMPLE, mismatch()),
        ("pk = :s AND sk > :s", SIMPLE, mismatch()),
        ("pk = :s AND begins_with(sk, :s)", SIMPLE, mismatch()),
        ("pk = :s AND sk BETWEEN :s AND :s", SIMPLE, mismatch()),
        ("h = :s", multiple, hash("i")),
        ("h = :s AND i > :s", multiple, hash("i")),
        ("j = :n", multiple, hash("h, i")),
        ("h = :s AND i = :s AND k = :n", multiple, gap("j", "k")),
        ("h = :s AND i = :s AND l = :n", multiple, gap("j, k", "l")),
        ("h = :s AND i = :s AND j > :n AND k = :n", multiple, gap("j", "k")),
        ("h = :s AND i = :s AND j > :n AND k > :n", multiple, gap("j", "k")),
        ("h = :s AND i = :s AND j = :n AND k > :n AND l = :n", multiple, gap("k", "l")),
        ("h = :s AND i = :n", multiple, mismatch()),
        ("h = :s AND i = :s AND j = :s", multiple, mismatch()),
        ("h = :s AND i = :s AND x = :n", multiple, missed("j")),
        ("h = :s AND i = :s AND j = :n AND x = :n", multiple, missed("k")),
    ] {
        let clauses = bind(text, given, &arena).expect(text);
        let error = clauses.resolve(&schema(key), &arena).expect_err(text);
        assert_eq!(error.message(), expected, "{text} on {key}");
    }
}
