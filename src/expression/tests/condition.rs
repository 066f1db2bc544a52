//! Conditions on items, and the texts of binding.

use bumpalo::Bump;

use super::{item, substitutions};
use crate::expression::ExpressionKind;
use crate::expression::ast::ConditionAst;

fn evaluate(text: &str, document: &str, given: &str) -> Result<bool, String> {
    let arena = Bump::new();
    let substitutions = substitutions(given, &arena).map_err(|error| error.into_message())?;
    let ast = ConditionAst::parse(ExpressionKind::Condition, text).map_err(|error| error.into_message())?;
    let condition = ast.bind(&substitutions, &arena).map_err(|error| error.into_message())?;
    substitutions.check_used().map_err(|error| error.into_message())?;
    Ok(condition.evaluate(&item(document, &arena)))
}

/// Condition, item, substitutions, result.
fn check(rows: &[(&str, &str, &str, bool)]) {
    for (text, document, given, expected) in rows {
        assert_eq!(evaluate(text, document, given), Ok(*expected), "{text} on {document} with {given}");
    }
}

/// Condition, substitutions, text after the prefix. Items play no part.
fn check_refused(rows: &[(&str, &str, &str)]) {
    for (text, given, detail) in rows {
        assert_eq!(evaluate(text, "", given), Err(format!("Invalid ConditionExpression: {detail}")), "{text}");
    }
}

#[test]
fn comparisons() {
    check(&[
        ("a = :v", "a=1", ":v=1", true),
        ("a = :v", "a=1", ":v=1.0", true),
        ("a = :v", "a=1000", ":v=1e3", true),
        ("a = :v", "a=1", ":v=2", false),
        ("a = :v", "a=1", ":v=\"1\"", false),
        ("a = :v", "b=1", ":v=1", false),
        (":v = a", "a=\"x\"", ":v=\"x\"", true),
        ("a = b", "a=\"x\" b=\"x\"", "", true),
        ("a = b", "a=\"x\" b=\"y\"", "", false),
        ("a = b", "", "", false),
        (":v = :v", "", ":v=null", true),
        (":v = :w", "", ":v=1 :w=1", true),
        ("a = :v", "a=true", ":v=true", true),
        ("a = :v", "a=true", ":v=false", false),
        ("a = :v", "a=null", ":v=null", true),
        ("a = :v", "a=x\"00ff\"", ":v=x\"00ff\"", true),
        ("a = :v", "a=x\"61\"", ":v=\"a\"", false),
        ("a = :v", "a=<\"x\" \"y\">", ":v=<\"y\" \"x\">", true),
        ("a = :v", "a=<1 2>", ":v=<2.0 1e0>", true),
        ("a = :v", "a=<1 2>", ":v=<1 2 3>", false),
        ("a = :v", "a=[1 2]", ":v=[1 2]", true),
        ("a = :v", "a=[1 2]", ":v=[2 1]", false),
        ("a = :v", "a={x=1 y=[2]}", ":v={y=[2.0] x=1}", true),
        ("a = :v", "a={x=1}", ":v={x=1 y=2}", false),
        ("a = :v", "a=[]", ":v={}", false),
        ("a <> :v", "a=1", ":v=2", true),
        ("a <> :v", "a=1", ":v=1", false),
        ("a <> :v", "a=1", ":v=\"1\"", true),
        ("a <> :v", "", ":v=1", true),
        ("a <> b", "", "", true),
        ("a < :v", "a=1", ":v=2", true),
        ("a < :v", "a=2", ":v=2", false),
        ("a <= :v", "a=2", ":v=2", true),
        ("a > :v", "a=10", ":v=9", true),
        ("a > :v", "a=\"10\"", ":v=\"9\"", false),
        ("a >= :v", "a=-1", ":v=-1.0", true),
        ("a < :v", "a=-2", ":v=-1", true),
        ("a < :v", "a=\"a\"", ":v=\"aa\"", true),
        ("a < :v", "a=\"Z\"", ":v=\"a\"", true),
        ("a < :v", "a=\"é\"", ":v=\"z\"", false),
        ("a < :v", "a=x\"7f\"", ":v=x\"80\"", true),
        ("a < :v", "a=\"1\"", ":v=2", false),
        ("a >= :v", "a=\"1\"", ":v=2", false),
        ("a < :v", "", ":v=2", false),
        ("a >= :v", "", ":v=2", false),
        ("NOT a < :v", "", ":v=2", true),
        ("NOT a < :v", "a=\"1\"", ":v=2", true),
        ("a < b", "a=true b=false", "", false),
        ("a <= b", "a=[1] b=[1]", "", false),
        ("a < b", "a=1 b=2", "", true),
        (":v > a", "a=1", ":v=2", true),
    ]);
}

#[test]
fn ranges_and_lists() {
    check(&[
        ("a BETWEEN :x AND :y", "a=2", ":x=1 :y=3", true),
        ("a BETWEEN :x AND :y", "a=1", ":x=1 :y=3", true),
        ("a BETWEEN :x AND :y", "a=3", ":x=1 :y=3", true),
        ("a BETWEEN :x AND :y", "a=4", ":x=1 :y=3", false),
        ("a BETWEEN :x AND :y", "a=\"b\"", ":x=\"a\" :y=\"c\"", true),
        ("a BETWEEN :x AND :y", "a=\"2\"", ":x=1 :y=3", false),
        ("a BETWEEN :x AND :y", "", ":x=1 :y=3", false),
        ("a BETWEEN :x AND :x", "a=1", ":x=1", true),
        ("NOT a BETWEEN :x AND :y", "", ":x=1 :y=3", true),
        ("a BETWEEN b AND c", "a=2 b=1 c=3", "", true),
        ("a BETWEEN b AND c", "a=2 b=3 c=1", "", false),
        ("a BETWEEN b AND c", "a=2 b=\"1\" c=3", "", false),
        ("a BETWEEN b AND :y", "a=2 b=1", ":y=3", true),
        (":x BETWEEN a AND b", "a=1 b=3", ":x=2", true),
        ("size(a) BETWEEN :x AND :y", "a=\"abc\"", ":x=1 :y=3", true),
        ("a BETWEEN size(b) AND size(c)", "a=2 b=[] c=[1 2]", "", true),
        ("a BETWEEN :x AND :y AND b = :x", "a=2 b=1", ":x=1 :y=3", true),
        ("a IN (:x)", "a=1", ":x=1", true),
        ("a IN (:x, :y)", "a=1", ":x=\"1\" :y=1", true),
        ("a IN (:x, :y)", "a=3", ":x=\"1\" :y=1", false),
        ("a IN (:x)", "", ":x=1", false),
        ("a IN (b, c)", "a=1 c=1", "", true),
        ("a IN (b)", "", "", false),
        ("NOT a IN (:x)", "", ":x=1", true),
        ("a IN (:x)", "a=<1 2>", ":x=<2 1>", true),
        ("size(a) IN (:x, size(b))", "a=[1] b=[2]", ":x=0", true),
        (":x IN (a, b)", "a=1 b=2", ":x=2", true),
    ]);
}

#[test]
fn functions() {
    check(&[
        ("attribute_exists(a)", "a=null", "", true),
        ("attribute_exists(a)", "b=1", "", false),
        ("attribute_not_exists(a)", "b=1", "", true),
        ("attribute_not_exists(a)", "a=1", "", false),
        ("attribute_exists(a.b[1].c)", "a={b=[1 {c=2}]}", "", true),
        ("attribute_exists(a.b[2].c)", "a={b=[1 {c=2}]}", "", false),
        ("attribute_exists(a.b)", "a=1", "", false),
        ("attribute_exists(a[0])", "a={x=1}", "", false),
        ("attribute_exists(a[0])", "a=<1>", "", false),
        ("attribute_not_exists(a.b.c)", "", "", true),
        ("attribute_exists(#a)", "x.y=1", "#a=\"x.y\"", true),
        ("attribute_exists(#a)", "x={y=1}", "#a=\"x.y\"", false),
        ("attribute_type(a, :t)", "a=1", ":t=\"N\"", true),
        ("attribute_type(a, :t)", "a=1", ":t=\"S\"", false),
        ("attribute_type(a, :t)", "", ":t=\"S\"", false),
        ("attribute_type(a, :t)", "a=null", ":t=\"NULL\"", true),
        ("attribute_type(a, :t)", "a=true", ":t=\"BOOL\"", true),
        ("attribute_type(a, :t)", "a=<\"x\">", ":t=\"SS\"", true),
        ("attribute_type(a, :t)", "a=<1>", ":t=\"NS\"", true),
        ("attribute_type(a, :t)", "a=<x\"00\">", ":t=\"BS\"", true),
        ("attribute_type(a.b, :t)", "a={b=[]}", ":t=\"L\"", true),
        ("attribute_type(a, :t)", "a={}", ":t=\"M\"", true),
        ("attribute_type(size(a), :t)", "a={}", ":t=\"N\"", true),
        ("begins_with(a, :p)", "a=\"abc\"", ":p=\"ab\"", true),
        ("begins_with(a, :p)", "a=\"abc\"", ":p=\"\"", true),
        ("begins_with(a, :p)", "a=\"abc\"", ":p=\"b\"", false),
        ("begins_with(a, :p)", "a=x\"010203\"", ":p=x\"0102\"", true),
        ("begins_with(a, :p)", "a=\"abc\"", ":p=x\"61\"", false),
        ("begins_with(a, :p)", "a=1", ":p=\"1\"", false),
        ("begins_with(a, :p)", "", ":p=\"\"", false),
        ("begins_with(:p, a)", "a=\"ab\"", ":p=\"abc\"", true),
        ("begins_with(a, b)", "a=\"ab\" b=\"a\"", "", true),
        ("begins_with(:p, :p)", "", ":p=\"a\"", true),
        ("contains(a, :v)", "a=\"abc\"", ":v=\"bc\"", true),
        ("contains(a, :v)", "a=\"abc\"", ":v=\"\"", true),
        ("contains(a, :v)", "a=\"abc\"", ":v=\"ac\"", false),
        ("contains(a, :v)", "a=x\"010203\"", ":v=x\"0203\"", true),
        ("contains(a, :v)", "a=<\"x\" \"y\">", ":v=\"y\"", true),
        ("contains(a, :v)", "a=<\"xy\">", ":v=\"x\"", false),
        ("contains(a, :v)", "a=<1 2>", ":v=2.0", true),
        ("contains(a, :v)", "a=<1 2>", ":v=\"2\"", false),
        ("contains(a, :v)", "a=<x\"01\" x\"02\">", ":v=x\"02\"", true),
        ("contains(a, :v)", "a=[1 \"x\" [2]]", ":v=[2]", true),
        ("contains(a, :v)", "a=[1 \"x\" [2]]", ":v=2", false),
        ("contains(a, :v)", "a=[<1 2>]", ":v=<2 1>", true),
        ("contains(a, :v)", "a={x=1}", ":v=\"x\"", false),
        ("contains(a, :v)", "a=12", ":v=1", false),
        ("contains(a, :v)", "", ":v=1", false),
        ("contains(:v, a)", "a=\"b\"", ":v=\"abc\"", true),
        ("contains(a, size(b))", "a=<3> b=\"abc\"", "", true),
        ("size(a) = :n", "a=\"abc\"", ":n=3", true),
        ("size(a) = :n", "a=\"\"", ":n=0", true),
        ("size(a) = :n", "a=\"é𝄞\"", ":n=3", true),
        ("size(a) = :n", "a=x\"010203\"", ":n=3", true),
        ("size(a) = :n", "a=<1 2 3>", ":n=3", true),
        ("size(a) = :n", "a=<\"x\" \"y\">", ":n=2", true),
        ("size(a) = :n", "a=<x\"00\">", ":n=1", true),
        ("size(a) = :n", "a=[[] [] 1]", ":n=3", true),
        ("size(a) = :n", "a={x=1 y=2}", ":n=2", true),
        ("size(a) < :n", "a=[1]", ":n=10", true),
        ("size(a) <> :n", "a=1", ":n=0", true),
        ("size(a) = :n", "a=1", ":n=1", false),
        ("size(a) = :n", "a=true", ":n=1", false),
        ("size(a) = :n", "", ":n=0", false),
        ("size(a) = size(b)", "a=\"xy\" b=[1 2]", "", true),
        ("size(a) = b", "a=\"xy\" b=2", "", true),
        ("size(:s) = :n", "", ":s=\"abc\" :n=3", true),
        ("size(a.b) > :n", "a={b=[1]}", ":n=0", true),
    ]);
}

#[test]
fn logic() {
    let row = |a: bool, b: bool, c: bool| {
        [("a", a), ("b", b), ("c", c)]
            .iter()
            .filter(|(_, there)| *there)
            .map(|(name, _)| format!("{name}=1 "))
            .collect()
    };
    type Formula = fn(bool, bool, bool) -> bool;
    let formulas: [(&str, Formula); 12] = [
        ("A AND B AND C", |a, b, c| a && b && c),
        ("A OR B OR C", |a, b, c| a || b || c),
        ("A OR B AND C", |a, b, c| a || b && c),
        ("A AND B OR C", |a, b, c| a && b || c),
        ("(A OR B) AND C", |a, b, c| (a || b) && c),
        ("A AND (B OR C)", |a, b, c| a && (b || c)),
        ("NOT A AND B OR C", |a, b, c| !a && b || c),
        ("NOT (A AND B) OR C", |a, b, c| !(a && b) || c),
        ("NOT (A OR B AND C)", |a, b, c| !(a || b && c)),
        ("NOT NOT A OR NOT B AND NOT NOT NOT C", |a, b, c| a || !b && !c),
        ("A AND B OR NOT (C AND (A OR NOT B))", |_, b, c| b || !c),
        ("(A OR B) AND (B OR C) AND (C OR A)", |a, b, c| u8::from(a) + u8::from(b) + u8::from(c) >= 2),
    ];
    for (text, formula) in formulas {
        let text = text.replace('A', "attribute_exists(a)").replace("attribute_exists(a)ND", "AND");
        let text = text.replace('B', "attribute_exists(b)").replace('C', "attribute_exists(c)");
        for bits in 0..8 {
            let [a, b, c] = [bits & 1 != 0, bits & 2 != 0, bits & 4 != 0];
            let document: String = row(a, b, c);
            assert_eq!(evaluate(&text, &document, ""), Ok(formula(a, b, c)), "{text} on {document}");
        }
    }
}

#[test]
fn substituted_names() {
    check(&[
        ("#a = :v", "status=1", "#a=\"status\" :v=1", true),
        ("x.#a = :v", "x={a.b=1}", "#a=\"a.b\" :v=1", true),
        ("#a.#a = :v", "a={a=1}", "#a=\"a\" :v=1", true),
        ("#a[1] = :v", "a b=[1 2]", "#a=\"a b\" :v=2", true),
        ("#a[1] = :v", "a[1]=2", "#a=\"a[1]\" :v=2", false),
        ("#A = #a", "x=1 y=1", "#A=\"x\" #a=\"y\"", true),
    ]);
}

#[test]
fn undefined_and_unused_placeholders() {
    let undefined_name = "An expression attribute name used in the document path is not defined; attribute name: #a";
    let undefined_value = "An expression attribute value used in expression is not defined; attribute value: :v";
    check_refused(&[
        ("#a = b", "", undefined_name),
        ("a.#a = b", "#b=\"x\"", undefined_name),
        ("#a = :v", "", undefined_name),
        ("a = :v", "", undefined_value),
        ("a = :v AND #a = b", "", undefined_value),
        ("a = b AND #a = :v", "", undefined_name),
        ("a = b OR attribute_exists(#a)", "", undefined_name),
        ("size(#a) = b", "", undefined_name),
        ("a IN (b, #a)", "", undefined_name),
        ("#A = b", "#a=\"x\"", &undefined_name.replace("#a", "#A")),
        ("a = :V", ":v=1", &undefined_value.replace(":v", ":V")),
    ]);
    let unused = |parameter: &str, keys: &str| {
        Err(format!("Value provided in {parameter} unused in expressions: keys: {{{keys}}}"))
    };
    assert_eq!(evaluate("a = b", "", "#a=\"x\" :v=1"), unused("ExpressionAttributeNames", "#a"));
    assert_eq!(evaluate("a = :v", "", ":v=1 :w=2 :x=3"), unused("ExpressionAttributeValues", ":w, :x"));
}

#[test]
fn operands_are_checked() {
    let count = |operator: &str, count: usize| {
        format!(
            "Incorrect number of operands for operator or function; operator or function: {operator}, number of \
             operands: {count}"
        )
    };
    let kind = |operator: &str, kind: &str| {
        format!(
            "Incorrect operand type for operator or function; operator or function: {operator}, operand type: {kind}"
        )
    };
    let distinct = |operator: &str, path: &str| {
        format!(
            "The first operand must be distinct from the remaining operands for this operator or function; operator: \
             {operator}, first operand: {path}"
        )
    };
    let path =
        |function: &str| format!("Operator or function requires a document path; operator or function: {function}");
    let bounds = |rule: &str, lower: &str, upper: &str| {
        format!(
            "The BETWEEN operator requires {rule}; lower bound operand: AttributeValue: {lower}, upper bound operand: \
             AttributeValue: {upper}"
        )
    };
    let same_type = "same data type for lower and upper bounds";
    let order = "upper bound to be greater than or equal to lower bound";
    let rows: Vec<(&str, &str, String)> = vec![
        ("size(a, b) = c", "", count("size", 2)),
        ("attribute_exists(a, b)", "", count("attribute_exists", 2)),
        ("attribute_not_exists(a, b, c)", "", count("attribute_not_exists", 3)),
        ("attribute_type(a)", "", count("attribute_type", 1)),
        ("begins_with(a)", "", count("begins_with", 1)),
        ("begins_with(a, b, c)", "", count("begins_with", 3)),
        ("contains(a)", "", count("contains", 1)),
        ("contains(a, size(b, c), d)", "", count("size", 2)),
        ("a IN (b, size(c, d))", "", count("size", 2)),
        ("a BETWEEN size(b, b) AND c", "", count("size", 2)),
        ("a = a", "", distinct("=", "[a]")),
        ("#a <> a", "#a=\"a\"", distinct("<>", "[a]")),
        ("a < a", "", distinct("<", "[a]")),
        ("a >= a", "", distinct(">=", "[a]")),
        ("ab.bc[1].a = ab.bc[1].a", "", distinct("=", "[ab, bc, [1], a]")),
        ("contains(a, a)", "", distinct("contains", "[a]")),
        ("begins_with(a.b, a.#b)", "#b=\"b\"", distinct("begins_with", "[a, b]")),
        ("attribute_type(a, a)", "", distinct("attribute_type", "[a]")),
        ("begins_with(a, :v)", ":v=1", kind("begins_with", "N")),
        ("begins_with(:v, a)", ":v=true", kind("begins_with", "BOOL")),
        ("begins_with(a, :v)", ":v=null", kind("begins_with", "NULL")),
        ("begins_with(a, :v)", ":v=<\"x\">", kind("begins_with", "SS")),
        ("begins_with(a, size(b))", "", kind("begins_with", "N")),
        ("attribute_type(a, :v)", ":v=1", kind("attribute_type", "N")),
        ("attribute_type(a, size(b))", "", kind("attribute_type", "N")),
        ("attribute_type(a, b)", "", kind("attribute_type", "{NS,SS,L,BS,N,M,B,BOOL,NULL,S}")),
        ("size(:v) = a", ":v=1", kind("size", "N")),
        ("size(:v) = a", ":v=true", kind("size", "BOOL")),
        ("a = size(:v)", ":v=null", kind("size", "NULL")),
        ("size(size(a)) = b", "", kind("size", "N")),
        ("a < :v", ":v=true", kind("<", "BOOL")),
        (":v <= a", ":v=null", kind("<=", "NULL")),
        ("a > :v", ":v=[]", kind(">", "L")),
        ("a >= :v", ":v={}", kind(">=", "M")),
        ("a < :v", ":v=<1>", kind("<", "NS")),
        ("a BETWEEN :v AND b", ":v=true", kind("BETWEEN", "BOOL")),
        (":v BETWEEN a AND b", ":v=[]", kind("BETWEEN", "L")),
        ("attribute_exists(:v)", ":v=1", path("attribute_exists")),
        ("attribute_not_exists(:v)", ":v=1", path("attribute_not_exists")),
        ("attribute_exists(size(a))", "", path("attribute_exists")),
        (
            "attribute_type(a, :v)",
            ":v=\"X\"",
            "Invalid attribute type name found; type: X, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}".into(),
        ),
        ("a BETWEEN :v AND :w", ":v=1 :w=\"a\"", bounds(same_type, "{N:1}", "{S:a}")),
        ("a BETWEEN :v AND :w", ":v=\"b\" :w=\"a\"", bounds(order, "{S:b}", "{S:a}")),
        ("a BETWEEN :v AND :w", ":v=10 :w=9", bounds(order, "{N:10}", "{N:9}")),
        ("a BETWEEN :v AND :w", ":v=x\"01\" :w=x\"00\"", bounds(order, "{B:AQ==}", "{B:AA==}")),
        // In a clause: names, values, counts, distinct operands, types.
        ("attribute_exists(a, b) AND a = a", "", count("attribute_exists", 2)),
        ("a = a AND attribute_exists(a, b)", "", distinct("=", "[a]")),
        ("a = a AND b < :v", ":v=true", distinct("=", "[a]")),
        ("b < :v AND a = a", ":v=true", kind("<", "BOOL")),
        // Everything is checked although nothing of it would be evaluated.
        ("attribute_exists(a) AND b < :v", ":v=true", kind("<", "BOOL")),
    ];
    let rows: Vec<_> = rows.iter().map(|(text, given, detail)| (*text, *given, detail.as_str())).collect();
    check_refused(&rows);
}

#[test]
fn lists_of_in_are_bounded() {
    let list = |count: usize| format!("a IN ({})", vec!["b"; count].join(", "));
    assert_eq!(evaluate(&list(100), "a=1 b=1", ""), Ok(true));
    check_refused(&[(
        &list(101),
        "",
        "Incorrect number of operands for operator or function; operator or function: IN, number of operands: 102",
    )]);
}

#[test]
fn paths_are_listed() {
    let arena = Bump::new();
    let text =
        "a = :v AND size(b.c) BETWEEN d AND :w OR attribute_type(e, :t) OR f IN (:v, g[0], size(h)) OR contains(i, j)";
    let given = substitutions(":v=1 :w=2 :t=\"S\"", &arena).unwrap();
    let condition = ConditionAst::parse(ExpressionKind::Filter, text).unwrap().bind(&given, &arena).unwrap();
    let paths: Vec<String> = condition.paths().map(|path| path.to_string()).collect();
    assert_eq!(paths, ["[a]", "[b, c]", "[d]", "[e]", "[f]", "[g, [0]]", "[h]", "[i]", "[j]"]);
}
