//! Legacy parameters. A row writes a condition as `EQ 1`, `BETWEEN 1 2`, `NULL`.

use bumpalo::Bump;

use super::{Notation, item};
use crate::expression::legacy::{
    AttributeCondition, AttributeUpdate, ComparisonOperator, ConditionalOperator, ExpectedAttribute, UpdateAction,
    bind_attribute_updates, bind_attributes_to_get, bind_expected, bind_filter, bind_key_conditions,
    check_conditional_operator,
};
use crate::expression::{ExpressionError, KeyTest};
use crate::model::{KeyAttribute, KeyKind, KeySchema, Value};

const INVALID: &str = "One or more parameter values were invalid: ";

fn values<'a>(text: &str, arena: &'a Bump) -> &'a [Value<'a>] {
    let mut notation = Notation { text: arena.alloc_str(&format!("{text}]")), arena };
    arena.alloc_slice_fill_iter(notation.values_until("]"))
}

fn condition<'a>(attribute: &'a str, text: &str, arena: &'a Bump) -> AttributeCondition<'a> {
    let (operator, operands) = text.split_once(' ').unwrap_or((text, ""));
    let operator = ComparisonOperator::find(operator).expect(operator);
    AttributeCondition { attribute, operator, values: values(operands, arena) }
}

fn filter(text: &str, document: &str) -> Result<bool, String> {
    let arena = Bump::new();
    let bound = bind_filter(&[condition("a", text, &arena)], None, &arena).map_err(ExpressionError::into_message)?;
    Ok(bound.evaluate(&item(document, &arena)))
}

#[test]
fn operators() {
    for (text, document, expected) in [
        ("EQ 1", "a=1.0", true),
        ("EQ 1", "a=2", false),
        ("EQ 1", "", false),
        ("EQ <1 2>", "a=<2 1>", true),
        ("NE 1", "a=2", true),
        ("NE 1", "a=1", false),
        ("NE 1", "", true),
        ("LT 2", "a=1", true),
        ("LT 2", "a=\"1\"", false),
        ("LE 2", "a=2", true),
        ("GT 2", "a=10", true),
        ("GE 2", "", false),
        ("BETWEEN 1 3", "a=2", true),
        ("BETWEEN 1 3", "a=4", false),
        ("BETWEEN 1 1", "a=1", true),
        ("IN 1 2", "a=2", true),
        ("IN 1 2", "a=3", false),
        ("IN 1 2", "", false),
        ("NULL", "", true),
        ("NULL", "a=null", false),
        ("NOT_NULL", "a=null", true),
        ("NOT_NULL", "", false),
        ("BEGINS_WITH \"ab\"", "a=\"abc\"", true),
        ("BEGINS_WITH \"ab\"", "a=<\"ab\">", false),
        ("BEGINS_WITH x\"01\"", "a=x\"0102\"", true),
        ("CONTAINS \"b\"", "a=\"abc\"", true),
        ("CONTAINS \"b\"", "a=<\"b\">", true),
        ("CONTAINS 2", "a=[1 2]", true),
        ("CONTAINS true", "a=[true]", true),
        ("CONTAINS \"b\"", "", false),
        ("NOT_CONTAINS \"b\"", "a=\"abc\"", false),
        ("NOT_CONTAINS \"x\"", "a=\"abc\"", true),
        ("NOT_CONTAINS \"x\"", "a=<\"b\">", true),
        ("NOT_CONTAINS \"x\"", "", false),
    ] {
        assert_eq!(filter(text, document), Ok(expected), "{text} on {document}");
    }
}

#[test]
fn refused_operands() {
    let count = |name: &str| format!("{INVALID}Invalid number of argument(s) for the {name} ComparisonOperator");
    let kind = |name: &str, kind: &str| {
        format!("{INVALID}ComparisonOperator {name} is not valid for {kind} AttributeValue type")
    };
    let same = format!("{INVALID}AttributeValues inside AttributeValueList must be of same type");
    let order = "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound";
    for (text, expected) in [
        ("EQ", count("EQ")),
        ("NE 1 2", count("NE")),
        ("BETWEEN 1", count("BETWEEN")),
        ("BETWEEN 1 2 3", count("BETWEEN")),
        ("IN", count("IN")),
        ("NULL 1", count("NULL")),
        ("NOT_NULL 1", count("NOT_NULL")),
        ("BEGINS_WITH", count("BEGINS_WITH")),
        ("IN 1 \"x\"", same.clone()),
        ("BETWEEN 1 \"x\"", same.clone()),
        ("LT <\"x\">", kind("LT", "SS")),
        ("LE true", kind("LE", "BOOL")),
        ("GT [1]", kind("GT", "L")),
        ("GE {}", kind("GE", "M")),
        ("BETWEEN null null", kind("BETWEEN", "NULL")),
        ("IN <1>", kind("IN", "NS")),
        ("BEGINS_WITH 1", kind("BEGINS_WITH", "N")),
        ("CONTAINS <1>", kind("CONTAINS", "NS")),
        ("NOT_CONTAINS []", kind("NOT_CONTAINS", "L")),
        ("BETWEEN 3 1", order.to_owned()),
        ("BETWEEN \"b\" \"a\"", order.to_owned()),
    ] {
        assert_eq!(filter(text, ""), Err(expected), "{text}");
    }
}

#[test]
fn joined_conditions() {
    let arena = Bump::new();
    let tests = ["EQ 1", "NOT_CONTAINS \"x\"", "NE 3"];
    for (document, all, any) in [
        ("a=1 b=\"y\" c=2", true, true),
        ("a=1 c=2", false, true),
        ("a=2 b=\"y\" c=3", false, true),
        ("a=2 b=\"x\" c=3", false, false),
        ("a=2 c=3", false, false),
        ("c=3 b=\"y\"", false, true),
        ("a=2", false, true),
    ] {
        let conditions: Vec<_> =
            ["a", "b", "c"].iter().zip(tests).map(|(name, text)| condition(name, text, &arena)).collect();
        let evaluate = |operator| bind_filter(&conditions, operator, &arena).unwrap().evaluate(&item(document, &arena));
        assert_eq!(evaluate(None), all, "{document}");
        assert_eq!(evaluate(Some(ConditionalOperator::And)), all, "{document}");
        assert_eq!(evaluate(Some(ConditionalOperator::Or)), any, "{document}");
    }
    assert!(bind_filter(&[], None, &arena).unwrap().evaluate(&item("", &arena)));
}

#[test]
fn conditions_are_bounded() {
    let arena = Bump::new();
    let names: Vec<String> = (0..301).map(|index| format!("a{index}")).collect();
    let conditions: Vec<_> = names.iter().map(|name| condition(name, "NOT_CONTAINS \"x\"", &arena)).collect();
    let all = names[..300].iter().map(|name| format!("{name}=\"y\" ")).collect::<String>();
    for (operator, document, expected) in [
        (None, all.as_str(), true),
        (None, all.trim_start_matches("a0=\"y\" "), false),
        (Some(ConditionalOperator::Or), "a299=\"y\"", true),
        (Some(ConditionalOperator::Or), "a300=\"y\"", false),
    ] {
        let bound = bind_filter(&conditions[..300], operator, &arena).unwrap();
        assert_eq!(bound.evaluate(&item(document, &arena)), expected);
    }
    let error = bind_filter(&conditions, None, &arena).unwrap_err();
    assert_eq!(error.message(), format!("{INVALID}The request contains too many conditions; condition count: 301"));
    let expected = ExpectedAttribute { attribute: "a", value: None, exists: Some(false), operator: None, values: None };
    assert!(
        bind_expected(&[expected; 300], None, &arena).is_ok() && bind_expected(&[expected; 301], None, &arena).is_err()
    );
    let operands = |count| format!("IN{}", " 1".repeat(count));
    assert_eq!(filter(&operands(100), "a=1"), Ok(true));
    assert!(filter(&operands(101), "a=1").is_err());
}

#[test]
fn conditional_operators_join_something() {
    let check =
        |count| check_conditional_operator(Some(ConditionalOperator::Or), count).err().map(|e| e.into_message());
    let too_few = "ConditionalOperator can only be used when Filter or Expected has two or more elements";
    assert_eq!(check(None).as_deref(), Some("ConditionalOperator cannot be used without Filter or Expected"));
    assert_eq!(check(Some(0)).as_deref(), Some(too_few));
    assert_eq!(check(Some(1)).as_deref(), Some(too_few));
    assert_eq!(check(Some(2)), None);
    assert!(check_conditional_operator(None, None).is_ok());
}

#[test]
fn expectations() {
    let arena = Bump::new();
    let one = Value::Bool(true);
    let list: &[Value] = &[Value::Bool(true)];
    let nothing = ExpectedAttribute { attribute: "a", value: None, exists: None, operator: None, values: None };
    let eq = Some(ComparisonOperator::Eq);
    let accepted = [
        (ExpectedAttribute { value: Some(one), ..nothing }, [true, false, false]),
        (ExpectedAttribute { value: Some(one), exists: Some(true), ..nothing }, [true, false, false]),
        (ExpectedAttribute { exists: Some(false), ..nothing }, [false, false, true]),
        (ExpectedAttribute { operator: eq, value: Some(one), ..nothing }, [true, false, false]),
        (ExpectedAttribute { operator: eq, values: Some(list), ..nothing }, [true, false, false]),
        (
            ExpectedAttribute { operator: Some(ComparisonOperator::Ne), values: Some(list), ..nothing },
            [false, true, true],
        ),
        (ExpectedAttribute { operator: Some(ComparisonOperator::Null), ..nothing }, [false, false, true]),
        (
            ExpectedAttribute { operator: Some(ComparisonOperator::NotNull), values: Some(&[]), ..nothing },
            [true, true, false],
        ),
    ];
    for (expected, results) in accepted {
        let condition = bind_expected(&[expected], None, &arena).unwrap();
        let seen = ["a=true", "a=1", ""].map(|document| condition.evaluate(&item(document, &arena)));
        assert_eq!(seen, results, "{expected:?}");
    }
    for (expected, rule) in [
        (nothing, "Value must be provided when Exists is null for Attribute: a"),
        (
            ExpectedAttribute { exists: Some(true), ..nothing },
            "Value must be provided when Exists is true for Attribute: a",
        ),
        (
            ExpectedAttribute { exists: Some(false), value: Some(one), ..nothing },
            "Value cannot be used when Exists is false for Attribute: a",
        ),
        (
            ExpectedAttribute { value: Some(one), values: Some(list), operator: eq, ..nothing },
            "Value and AttributeValueList cannot be used together for Attribute: a",
        ),
        (
            ExpectedAttribute { exists: Some(true), operator: eq, value: Some(one), ..nothing },
            "Exists and ComparisonOperator cannot be used together for Attribute: a",
        ),
        (
            ExpectedAttribute { operator: eq, ..nothing },
            "Value or AttributeValueList must be used with ComparisonOperator: EQ for Attribute: a",
        ),
        (
            ExpectedAttribute { values: Some(list), ..nothing },
            "AttributeValueList can only be used with a ComparisonOperator for Attribute: a",
        ),
        (
            ExpectedAttribute { operator: Some(ComparisonOperator::Between), values: Some(list), ..nothing },
            "Invalid number of argument(s) for the BETWEEN ComparisonOperator",
        ),
    ] {
        let error = bind_expected(&[expected], None, &arena).unwrap_err();
        assert_eq!(error.message(), format!("{INVALID}{rule}"));
    }
}

#[test]
fn key_conditions() {
    let arena = Bump::new();
    let attribute = |name: &str, kind| KeyAttribute { name: name.into(), kind };
    let schema = KeySchema { hash: vec![attribute("h", KeyKind::S)], range: vec![attribute("r", KeyKind::N)] };
    let one = Value::N(crate::model::Number::from_canonical("1"));
    let two = Value::N(crate::model::Number::from_canonical("2"));
    let bind = |range: &str| {
        let conditions = [condition("h", "EQ \"x\"", &arena), condition("r", range, &arena)];
        bind_key_conditions(&conditions, &arena).and_then(|clauses| clauses.resolve(&schema, &arena))
    };
    assert_eq!(bind("EQ 1").unwrap().range_equal, [one]);
    for (text, test) in [
        ("LT 1", KeyTest::Less(one)),
        ("LE 1", KeyTest::LessEqual(one)),
        ("GT 1", KeyTest::Greater(one)),
        ("GE 1", KeyTest::GreaterEqual(one)),
        ("BETWEEN 1 2", KeyTest::Between(one, two)),
    ] {
        assert_eq!(bind(text).unwrap().range_test, Some(test), "{text}");
    }
    for text in ["NE 1", "IN 1", "CONTAINS 1", "NOT_CONTAINS 1", "NULL", "NOT_NULL"] {
        let error = bind(text).unwrap_err();
        assert_eq!(error.message(), "Attempted conditional constraint is not an indexable operation", "{text}");
    }
    let mismatch = format!("{INVALID}Condition parameter type does not match schema type");
    for text in ["EQ \"x\"", "BEGINS_WITH \"x\"", "LT x\"00\""] {
        assert_eq!(bind(text).unwrap_err().message(), mismatch, "{text}");
    }
}

#[test]
fn attributes_to_get() {
    let arena = Bump::new();
    let projection = bind_attributes_to_get(&["c", "a", "x.y"], &arena).unwrap();
    let document = item("a=1 b=2 c=3 x={y=4} x.y=5", &arena);
    assert_eq!(projection.apply(&document, &arena), item("a=1 c=3 x.y=5", &arena));
    let error = bind_attributes_to_get(&["a", "b", "a"], &arena).unwrap_err();
    assert_eq!(error.message(), format!("{INVALID}Duplicate value in attribute name: a"));
}

#[test]
fn attribute_updates() {
    use UpdateAction::{Add, Delete, Put};
    let mismatch = "Type mismatch for attribute to update";
    for (action, operand, old, expected) in [
        (Put, "1", "", Ok("a=1")),
        (Put, "[]", "a=1 b=2", Ok("a=[] b=2")),
        (Add, "1", "", Ok("a=1")),
        (Add, "1", "a=2", Ok("a=3")),
        (Add, "<1>", "a=<2>", Ok("a=<1 2>")),
        (Add, "[2]", "a=[1]", Ok("a=[1 2]")),
        (Add, "[2]", "", Ok("a=[2]")),
        (Add, "1", "a=\"x\"", Err(mismatch)),
        (Add, "[1]", "a=1", Err(mismatch)),
        (Delete, "", "a=1 b=2", Ok("b=2")),
        (Delete, "", "b=2", Ok("b=2")),
        (Delete, "<1>", "a=<1 2>", Ok("a=<2>")),
        (Delete, "<1>", "a=<1> b=2", Ok("b=2")),
        (Delete, "<1>", "b=2", Ok("b=2")),
        (Delete, "<1>", "a=<\"x\">", Err(mismatch)),
    ] {
        let arena = Bump::new();
        let value = values(operand, &arena).first().copied();
        let update = bind_attribute_updates(&[AttributeUpdate { attribute: "a", value, action }], &arena).unwrap();
        let seen = update.apply(Some(item(old, &arena)), item("", &arena), &arena).map_err(|error| error.to_string());
        let expected = expected.map(|new| Some(item(new, &arena))).map_err(str::to_owned);
        assert_eq!(seen, expected, "{action:?} {operand} on {old}");
    }
    for (action, operand, rule) in [
        (Put, "", "Only DELETE action is allowed when no attribute value is specified"),
        (Add, "", "Only DELETE action is allowed when no attribute value is specified"),
        (Delete, "1", "DELETE action with value is not supported for the type N"),
        (Add, "\"x\"", "ADD action is not supported for the type S"),
        (Add, "{}", "ADD action is not supported for the type M"),
    ] {
        let arena = Bump::new();
        let value = values(operand, &arena).first().copied();
        let error = bind_attribute_updates(&[AttributeUpdate { attribute: "a", value, action }], &arena).unwrap_err();
        assert_eq!(error.message(), format!("{INVALID}{rule}"));
    }
    let arena = Bump::new();
    let key = item("k=1", &arena);
    let apply = |updates: &[AttributeUpdate<'static>]| {
        bind_attribute_updates(updates, &arena).unwrap().apply(None, key, &arena).unwrap()
    };
    assert_eq!(apply(&[]), Some(key));
    assert_eq!(apply(&[AttributeUpdate { attribute: "a", value: None, action: Delete }]), None);
}
