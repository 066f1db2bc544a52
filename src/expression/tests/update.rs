//! Updates of items, what they touch, and the texts of binding and applying.

use bumpalo::Bump;

use super::{item, substitutions};
use crate::expression::Update;
use crate::expression::ast::UpdateAst;
use crate::model::{KeyAttribute, KeyKind, KeySchema, Map};

/// The key of every item here.
const KEY: &str = "pk=\"k\"";

fn bind<'a>(text: &str, given: &str, arena: &'a Bump) -> Result<Update<'a>, String> {
    let substitutions = substitutions(given, arena).map_err(|error| error.into_message())?;
    let ast = UpdateAst::parse(text).map_err(|error| error.into_message())?;
    let update = ast.bind(&substitutions, arena).map_err(|error| error.into_message())?;
    substitutions.check_used().map_err(|error| error.into_message())?;
    Ok(update)
}

/// Applies to an item (`None`: there is none) and answers UPDATED_OLD, the new item and UPDATED_NEW.
fn check_all(text: &str, old: Option<&str>, given: &str, expected: Result<(&str, Option<&str>, &str), &str>) {
    let arena = Bump::new();
    let update = bind(text, given, &arena).expect(text);
    let with_key = |attributes: &str| item(&format!("{KEY} {attributes}"), &arena);
    let before = old.map(with_key);
    let seen = update.apply(before, item(KEY, &arena), &arena).map_err(|error| error.to_string());
    let context = format!("{text} on {old:?} with {given}");
    match (seen, expected) {
        (Ok(after), Ok((updated_old, new, updated_new))) => {
            assert_eq!(after, new.map(with_key), "new item: {context}");
            let touched = |document: Option<_>| update.touched(&document.unwrap_or(Map::EMPTY), &arena);
            assert_eq!(touched(before), item(updated_old, &arena), "UPDATED_OLD: {context}");
            assert_eq!(touched(after), item(updated_new, &arena), "UPDATED_NEW: {context}");
        }
        (Err(seen), Err(expected)) => assert_eq!(seen, expected, "{context}"),
        (seen, expected) => panic!("{seen:?} instead of {expected:?}: {context}"),
    }
}

/// Update, item before, substitutions, item after.
fn check(rows: &[(&str, &str, &str, &str)]) {
    for (text, old, given, new) in rows {
        let arena = Bump::new();
        let update = bind(text, given, &arena).expect(text);
        let after = update.apply(Some(item(old, &arena)), item(KEY, &arena), &arena);
        assert_eq!(after, Ok(Some(item(new, &arena))), "{text} on {old} with {given}");
    }
}

#[test]
fn assignments() {
    check(&[
        ("SET a = :v", "", ":v=1", "a=1"),
        ("SET a = :v", "a=[] b=2", ":v=1", "a=1 b=2"),
        ("SET a = b", "b=2", "", "a=2 b=2"),
        ("SET a = b, b = a", "a=1 b=2", "", "a=2 b=1"),
        ("SET a = b.c[1]", "b={c=[1 {d=2}]}", "", "a={d=2} b={c=[1 {d=2}]}"),
        ("SET #a = :v", "", "#a=\"x.y\" :v=1", "x.y=1"),
        ("SET a.b = :v", "a={}", ":v=1", "a={b=1}"),
        ("SET a.b = :v, a.d = :v", "a={b=0 c=2}", ":v=1", "a={b=1 c=2 d=1}"),
        ("SET a.b.c = a.b", "a={b={x=1}}", "", "a={b={c={x=1} x=1}}"),
        ("SET a[1] = :v", "a=[1 2 3]", ":v=9", "a=[1 9 3]"),
        ("SET a[0] = a[2], a[2] = a[0]", "a=[1 2 3]", "", "a=[3 2 1]"),
        ("SET a[9] = :v", "a=[1]", ":v=9", "a=[1 9]"),
        ("SET a[9] = :v, a[5] = :w, a[1] = :x", "a=[1]", ":v=9 :w=5 :x=1", "a=[1 1 5 9]"),
        ("SET a[0].b = :v", "a=[{c=1}]", ":v=9", "a=[{b=9 c=1}]"),
        ("SET a[0] = :v", "a=[]", ":v=9", "a=[9]"),
        ("SET a = (b)", "b=1", "", "a=1 b=1"),
    ]);
}

#[test]
fn sums_and_functions() {
    check(&[
        ("SET a = a + :n", "a=1", ":n=2", "a=3"),
        ("SET a = a - :n", "a=1", ":n=0.5", "a=0.5"),
        ("SET a = :n - a", "a=1", ":n=0.5", "a=-0.5"),
        ("SET a = b + c", "b=0.1 c=0.2", "", "a=0.3 b=0.1 c=0.2"),
        ("SET a = (b + c)", "b=1e20 c=1", "", "a=100000000000000000001 b=1e20 c=1"),
        ("SET a = :n + :n", "", ":n=2", "a=4"),
        ("SET a = if_not_exists(a, :z) + :i", "", ":z=0 :i=1", "a=1"),
        ("SET a = if_not_exists(a, :z) + :i", "a=5", ":z=0 :i=1", "a=6"),
        ("SET a = :i + if_not_exists(a, if_not_exists(b, :z))", "b=7", ":z=0 :i=1", "a=8 b=7"),
        ("SET a = if_not_exists(a, :z)", "a=5", ":z=0", "a=5"),
        ("SET a = if_not_exists(b, :z)", "a=5", ":z=0", "a=0"),
        ("SET a = if_not_exists(b, c)", "b=1", "", "a=1 b=1"),
        ("SET a = if_not_exists(b.c, if_not_exists(d[0], e))", "d=[7]", "", "a=7 d=[7]"),
        ("SET a = list_append(a, :l)", "a=[1]", ":l=[2 3]", "a=[1 2 3]"),
        ("SET a = list_append(:l, a)", "a=[1]", ":l=[2 3]", "a=[2 3 1]"),
        ("SET a = list_append(if_not_exists(a, :e), :l)", "", ":e=[] :l=[1]", "a=[1]"),
        ("SET a = list_append(list_append(a, b), list_append(b, a))", "a=[1] b=[2]", "", "a=[1 2 2 1] b=[2]"),
        ("SET a = if_not_exists(x, list_append(a, :l))", "a=[1]", ":l=[2]", "a=[1 2]"),
        // A default that is not needed is not evaluated.
        ("SET a = if_not_exists(a, list_append(a, x))", "a=1", "", "a=1"),
    ]);
}

#[test]
fn removals() {
    check(&[
        ("REMOVE a", "a=1 b=2", "", "b=2"),
        ("REMOVE x", "b=2", "", "b=2"),
        ("REMOVE a.b", "a={b=1 c=2}", "", "a={c=2}"),
        ("REMOVE a.b", "a={b=1}", "", "a={}"),
        ("REMOVE a.x", "a={b=1}", "", "a={b=1}"),
        ("REMOVE a[1]", "a=[1 2 3]", "", "a=[1 3]"),
        ("REMOVE a[0], a[2]", "a=[1 2 3 4]", "", "a=[2 4]"),
        ("REMOVE a[2], a[0]", "a=[1 2 3 4]", "", "a=[2 4]"),
        ("REMOVE a[9]", "a=[1]", "", "a=[1]"),
        ("REMOVE a[0]", "a=[1]", "", "a=[]"),
        ("REMOVE a[0].b", "a=[{b=1 c=2}]", "", "a=[{c=2}]"),
        ("REMOVE a SET b = a", "a=1", "", "b=1"),
        ("SET b = a REMOVE a", "a=1", "", "b=1"),
        ("SET a[0] = :v REMOVE a[1]", "a=[1 2 3]", ":v=9", "a=[9 3]"),
        ("SET a[5] = :v REMOVE a[1], a[7]", "a=[1 2 3]", ":v=9", "a=[1 3 9]"),
        ("REMOVE a.b SET a.c = :v, d = a.b", "a={b=1}", ":v=2", "a={c=2} d=1"),
    ]);
}

#[test]
fn numbers_and_sets() {
    check(&[
        ("ADD a :n", "", ":n=5", "a=5"),
        ("ADD a :n", "a=1", ":n=-5", "a=-4"),
        ("ADD a :n", "a=0.1", ":n=0.2", "a=0.3"),
        ("ADD a.d[2] :n, a.i :n", "a={d=[0 1 2] i=3}", ":n=10", "a={d=[0 1 12] i=13}"),
        ("ADD a[5] :n", "a=[1]", ":n=10", "a=[1 10]"),
        ("ADD a.x :n", "a={}", ":n=10", "a={x=10}"),
        ("ADD a :s", "", ":s=<\"x\">", "a=<\"x\">"),
        ("ADD a :s", "a=<\"x\" \"z\">", ":s=<\"y\" \"x\">", "a=<\"x\" \"y\" \"z\">"),
        ("ADD a :s", "a=<1 3>", ":s=<2.0 1.0>", "a=<1 2 3>"),
        ("ADD a :s", "a=<x\"01\">", ":s=<x\"00\">", "a=<x\"00\" x\"01\">"),
        ("DELETE a :s", "a=<\"x\" \"y\">", ":s=<\"y\" \"q\">", "a=<\"x\">"),
        ("DELETE a :s", "a=<1 2>", ":s=<2.0>", "a=<1>"),
        ("DELETE a :s", "a=<x\"01\">", ":s=<x\"02\">", "a=<x\"01\">"),
        ("DELETE a :s", "a=<1 2> b=1", ":s=<1 2>", "b=1"),
        ("DELETE a :s", "b=1", ":s=<1 2>", "b=1"),
        ("DELETE a.b :s", "a={b=<1>}", ":s=<1>", "a={}"),
        ("DELETE a[0] :s", "a=[<1> 2]", ":s=<1>", "a=[2]"),
        ("DELETE a[7] :s", "a=[<1> 2]", ":s=<1>", "a=[<1> 2]"),
        ("ADD a :n DELETE b :s SET c = a REMOVE d", "a=1 b=<1 2> d=4", ":n=1 :s=<2>", "a=2 b=<1> c=1"),
    ]);
}

#[test]
fn missing_items() {
    check_all("SET a = :v", None, ":v=1", Ok(("", Some("a=1"), "a=1")));
    check_all("ADD a :v", None, ":v=1", Ok(("", Some("a=1"), "a=1")));
    check_all("ADD a :s DELETE b :s", None, ":s=<1>", Ok(("", Some("a=<1>"), "a=<1>")));
    check_all("SET a = if_not_exists(a, :z) + :i", None, ":z=0 :i=1", Ok(("", Some("a=1"), "a=1")));
    check_all("SET b = :v REMOVE a.b.c, d[0]", None, ":v=1", Ok(("", Some("b=1"), "b=1")));
    for nothing in ["REMOVE a", "REMOVE a.b, c[0].d", "DELETE a :s", "DELETE a.b :s REMOVE c"] {
        let given = if nothing.contains(":s") { ":s=<1>" } else { "" };
        check_all(nothing, None, given, Ok(("", None, "")));
    }
    check_all(
        "SET a = b",
        None,
        "",
        Err("The provided expression refers to an attribute that does not exist in the item"),
    );
    let invalid_path = Err("The document path provided in the update expression is invalid for update");
    check_all("SET a.b = :v", None, ":v=1", invalid_path);
    check_all("ADD a.b :v", None, ":v=1", invalid_path);
    check_all("SET a.b = :v REMOVE a.c", None, ":v=1", invalid_path);
    let arena = Bump::new();
    let key = item(KEY, &arena);
    assert_eq!(Update::NOTHING.apply(None, key, &arena), Ok(Some(key)));
    let old = item("pk=\"k\" a=1", &arena);
    assert_eq!(Update::NOTHING.apply(Some(old), key, &arena), Ok(Some(old)));
}

#[test]
fn touched_parts() {
    for (text, old, given, updated_old, new, updated_new) in [
        ("SET a = :v", "a=1 b=2", ":v=1", "a=1", "a=1 b=2", "a=1"),
        ("SET a = :v", "b=2", ":v=1", "", "a=1 b=2", "a=1"),
        ("REMOVE a", "a=1", "", "a=1", "", ""),
        ("SET a.b.c = :v", "a={b={c=1 d=2} e=3}", ":v=9", "a={b={c=1}}", "a={b={c=9 d=2} e=3}", "a={b={c=9}}"),
        (
            "SET m.x = m.x + :v, l[9] = :e",
            "l=[0 1] m={x=1}",
            ":v=1 :e=\"e\"",
            "m={x=1}",
            "l=[0 1 \"e\"] m={x=2}",
            "m={x=2}",
        ),
        ("REMOVE a SET b = a, c = if_not_exists(c, :z)", "a=1", ":z=5", "a=1", "b=1 c=5", "b=1 c=5"),
        ("SET a[0] = :v, a[2] = :v", "a=[1 2 3]", ":v=9", "a=[1 3]", "a=[9 2 9]", "a=[9 9]"),
        ("SET a[2] = :v", "a=[1 2]", ":v=9", "", "a=[1 2 9]", "a=[9]"),
        ("REMOVE a.c[1]", "a={b=0 c=[1 2 3]}", "", "a={c=[2]}", "a={b=0 c=[1 3]}", "a={c=[3]}"),
        ("REMOVE a.c[2]", "a={b=0 c=[1 2 3]}", "", "a={c=[3]}", "a={b=0 c=[1 2]}", ""),
        ("REMOVE a.b", "a={b=1}", "", "a={b=1}", "a={}", ""),
        ("DELETE a :v", "a=<1>", ":v=<1>", "a=<1>", "", ""),
        ("DELETE a :v", "a=<1 2>", ":v=<1>", "a=<1 2>", "a=<2>", "a=<2>"),
        ("ADD a :v", "a=1", ":v=1", "a=1", "a=2", "a=2"),
    ] {
        check_all(text, Some(old), given, Ok((updated_old, Some(new), updated_new)));
    }
}

#[test]
fn items_that_do_not_fit() {
    let missing = "The provided expression refers to an attribute that does not exist in the item";
    let operand = "An operand in the update expression has an incorrect data type";
    let path = "The document path provided in the update expression is invalid for update";
    let overflow = "Number overflow. Attempting to store a number with magnitude larger than supported range";
    let underflow = "Number underflow. Attempting to store a number with magnitude smaller than supported range";
    let digits = "Attempting to store more than 38 significant digits in a Number";
    for (text, old, given, error) in [
        ("SET a = b", "", "", missing),
        ("SET a = a + :v", "", ":v=1", missing),
        ("SET a = b.c", "b=1", "", missing),
        ("SET a = b[1]", "b=[1]", "", missing),
        ("SET a = list_append(b, :l)", "", ":l=[]", missing),
        ("SET a = if_not_exists(b, c)", "", "", missing),
        ("SET a = a + :v", "a=\"1\"", ":v=1", operand),
        ("SET a = :v - a", "a=[1]", ":v=1", operand),
        ("SET a = list_append(a, :l)", "a=1", ":l=[]", operand),
        ("SET a = list_append(a, :l)", "a=<1>", ":l=[]", operand),
        ("SET a = if_not_exists(x, list_append(a, :l)) + :n", "a=[1]", ":l=[] :n=1", operand),
        ("ADD a :v", "a=\"1\"", ":v=1", operand),
        ("ADD a :v", "a=<1>", ":v=1", operand),
        ("ADD a :v", "a=1", ":v=<1>", operand),
        ("ADD a :v", "a=<\"1\">", ":v=<1>", operand),
        ("DELETE a :v", "a=1", ":v=<1>", operand),
        ("DELETE a :v", "a=<\"1\">", ":v=<1>", operand),
        ("DELETE a :v", "a=[1]", ":v=<1>", operand),
        ("SET a.b = :v", "", ":v=1", path),
        ("SET a.b = :v", "a=1", ":v=1", path),
        ("SET a.b = :v", "a=[1]", ":v=1", path),
        ("SET a[0] = :v", "a={b=1}", ":v=1", path),
        ("SET a[0] = :v", "", ":v=1", path),
        ("SET a[0] = :v", "a=<1>", ":v=1", path),
        ("SET a.b.c = :v", "a={}", ":v=1", path),
        ("SET a[1].b = :v", "a=[{}]", ":v=1", path),
        ("REMOVE a.b", "", "", path),
        ("REMOVE a.b", "a=1", "", path),
        ("REMOVE a[0]", "a={}", "", path),
        ("REMOVE a.b.c", "a={x=1}", "", path),
        ("REMOVE a[3].b", "a=[1]", "", path),
        ("ADD a.b :v", "", ":v=1", path),
        ("DELETE a.b :v", "", ":v=<1>", path),
        ("SET a = a + :v", "a=1e50", ":v=1", digits),
        ("ADD a :v", "a=9e125", ":v=1e125", overflow),
        ("SET a = a - :v", "a=1.1e-130", ":v=1e-130", underflow),
    ] {
        check_all(text, Some(old), given, Err(error));
    }
}

#[test]
fn results_may_not_nest_too_deep() {
    let deep = |levels: usize| format!("{}1{}", "{x=".repeat(levels), "}".repeat(levels));
    let old = format!("a={{b={{}}}} d={}", deep(31));
    let given = |levels| format!(":v={}", deep(levels));
    check_all(
        "SET a = :v",
        Some("a=1"),
        &given(31),
        Ok(("a=1", Some(&format!("a={}", deep(31))), &format!("a={}", deep(31)))),
    );
    let too_deep = Err(
        "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported \
         limit",
    );
    check_all("SET a = :v", Some(&old), &given(32), too_deep);
    check_all("SET a.b.c = :v", Some(&old), &given(30), too_deep);
    check_all("SET a.b = d", Some(&old), "", too_deep);
    check_all("SET e[0] = d", Some(&format!("{old} e=[]")), "", too_deep);
    check_all("SET e = list_append(e, :l)", Some("e=[]"), &format!(":l=[{}]", deep(31)), too_deep);
}

#[test]
fn refused_updates() {
    let pair = |relation: &str, one: &str, two: &str| {
        format!(
            "Two document paths {relation} with each other; must remove or rewrite one of these paths; path one: \
             {one}, path two: {two}"
        )
    };
    let simple = |operator: &str, kind: &str| {
        format!("Incorrect operand type for operator or function; operator: {operator}, operand type: {kind}")
    };
    let kind = |operator: &str, kind: &str| {
        format!(
            "Incorrect operand type for operator or function; operator or function: {operator}, operand type: {kind}"
        )
    };
    let count = |function: &str, count: usize| {
        format!(
            "Incorrect number of operands for operator or function; operator or function: {function}, number of \
             operands: {count}"
        )
    };
    let path = "Operator or function requires a document path; operator or function: if_not_exists";
    let name = "An expression attribute name used in the document path is not defined; attribute name: #a";
    let value = "An expression attribute value used in expression is not defined; attribute value: :v";
    let rows: Vec<(&str, &str, String)> = vec![
        ("SET q = :v, q.r = :v", ":v=1", pair("overlap", "[q]", "[q, r]")),
        ("SET q.r = :v, q = :v", ":v=1", pair("overlap", "[q, r]", "[q]")),
        ("SET a = :v REMOVE a", ":v=1", pair("overlap", "[a]", "[a]")),
        ("ADD a :v SET #a = b", "#a=\"a\" :v=1", pair("overlap", "[a]", "[a]")),
        ("SET a.c = :v REMOVE a[1]", ":v=1", pair("conflict", "[a, c]", "[a, [1]]")),
        ("ADD a :v", ":v=\"x\"", simple("ADD", "STRING")),
        ("ADD a :v", ":v=x\"00\"", simple("ADD", "BINARY")),
        ("ADD a :v", ":v=true", simple("ADD", "BOOLEAN")),
        ("ADD a :v", ":v=null", simple("ADD", "NULL")),
        ("ADD a :v", ":v=[]", simple("ADD", "LIST")),
        ("ADD a :v", ":v={}", simple("ADD", "MAP")),
        ("DELETE a :v", ":v=1", simple("DELETE", "NUMBER")),
        ("DELETE a :v", ":v=\"x\"", simple("DELETE", "STRING")),
        ("SET a = b + :v", ":v=\"x\"", kind("+", "S")),
        ("SET a = :v - b", ":v=[]", kind("-", "L")),
        ("SET a = b + list_append(c, d)", "", kind("+", "L")),
        ("SET a = list_append(a, :v)", ":v=\"x\"", kind("list_append", "S")),
        ("SET a = list_append(:v, a)", ":v=<1>", kind("list_append", "NS")),
        ("SET a = if_not_exists(b, list_append(:v, a))", ":v=1", kind("list_append", "N")),
        ("SET a = if_not_exists(a)", "", count("if_not_exists", 1)),
        ("SET a = if_not_exists(a, b, c)", "", count("if_not_exists", 3)),
        ("SET a = list_append(a)", "", count("list_append", 1)),
        ("SET a = list_append(a, list_append(b))", "", count("list_append", 1)),
        ("SET a = if_not_exists(:v, b)", ":v=1", path.into()),
        ("SET a = if_not_exists(if_not_exists(a, b), b)", "", path.into()),
        ("SET #a = b", "", name.into()),
        ("SET a = #a", "", name.into()),
        ("SET b = :v REMOVE #a", "", name.into()),
        ("SET a = :v", "", value.into()),
        ("ADD a :v", "", value.into()),
        // Which mistake wins.
        ("SET a = :v, a = #a", "", name.into()),
        ("SET a = :v, a = :w", ":w=1", value.into()),
        ("SET a.b = c, d = e, d = f, a[0] = g", "", pair("overlap", "[d]", "[d]")),
        ("SET a.b = c, a[0] = d ADD f :v", ":v=\"x\"", pair("conflict", "[a, b]", "[a, [0]]")),
        ("SET a = if_not_exists(a) ADD f :v", ":v=\"x\"", simple("ADD", "STRING")),
        ("SET a = if_not_exists(a), b = list_append(:v, b)", ":v=1", count("if_not_exists", 1)),
    ];
    for (text, given, detail) in rows {
        let error = bind(text, given, &Bump::new()).expect_err(text);
        assert_eq!(error, format!("Invalid UpdateExpression: {detail}"), "{text}");
    }
}

#[test]
fn keys_are_no_targets() {
    let attribute = |name: &str| KeyAttribute { name: name.into(), kind: KeyKind::S };
    let key = KeySchema { hash: vec![attribute("pk")], range: vec![attribute("sk")] };
    let part = |name: &str| {
        let rule = "One or more parameter values were invalid: Cannot update attribute";
        Some(format!("{rule} {name}. This attribute is part of the key"))
    };
    let nested = "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: Key: sk";
    for (text, expected) in [
        ("SET a = pk", None),
        ("SET a.pk = sk", None),
        ("SET pk = a", part("pk")),
        ("SET a = b REMOVE sk", part("sk")),
        ("SET sk.a = b", Some(nested.to_owned())),
        ("REMOVE sk[0]", Some(nested.to_owned())),
    ] {
        let arena = Bump::new();
        let error = bind(text, "", &arena).unwrap().check_key(&key).err();
        assert_eq!(error.map(|error| error.to_string()), expected, "{text}");
    }
}
