//! Projections of items.

use bumpalo::Bump;

use super::{item, substitutions};
use crate::expression::ast::ProjectionAst;

fn project(text: &str, document: &str, names: &str, check: impl Fn(Result<crate::model::Item, String>, &Bump)) {
    let arena = Bump::new();
    let result = (|| {
        let names = substitutions(names, &arena)?;
        let projection = ProjectionAst::parse(text)?.bind(&names, &arena)?;
        names.check_used()?;
        Ok(projection.apply(&item(document, &arena), &arena))
    })();
    check(result.map_err(|error: crate::expression::ExpressionError| error.into_message()), &arena);
}

#[test]
fn picked_parts() {
    for (text, document, names, expected) in [
        ("a", "a=1 b=2", "", "a=1"),
        ("b, a", "a=1 b=2 c=3", "", "a=1 b=2"),
        ("a, x", "a=1", "", "a=1"),
        ("x", "a=1", "", ""),
        ("a", "", "", ""),
        ("#n", "a.b=1", "#n=\"a.b\"", "a.b=1"),
        ("#n.c", "a={b={c=2}}", "#n=\"a.b\"", ""),
        ("a.b", "a={b=1 c=2}", "", "a={b=1}"),
        ("a.b.c", "a={b={c=1 d=2} e=3}", "", "a={b={c=1}}"),
        ("a.b, a.d", "a={b=1 c=2 d=3}", "", "a={b=1 d=3}"),
        ("a.x", "a={b=1}", "", ""),
        ("a.x.y", "a={x=1}", "", ""),
        ("a.b", "a=[1]", "", ""),
        ("a[0]", "a={b=1}", "", ""),
        ("a[0]", "a=<1>", "", ""),
        ("a[0]", "a=\"text\"", "", ""),
        ("a[1]", "a=[1 2 3]", "", "a=[2]"),
        ("a[3], a[1]", "a=[0 1 2 3]", "", "a=[1 3]"),
        ("a[3], a[1], a[9]", "a=[0 1 2]", "", "a=[1]"),
        ("a[9]", "a=[0 1 2]", "", ""),
        ("a[10], a[9]", "a=[0 1 2 3 4 5 6 7 8 9 10]", "", "a=[9 10]"),
        ("a[0].b, a[2].b", "a=[{b=1 c=2} {b=3} {b=4}]", "", "a=[{b=1} {b=4}]"),
        ("a[0][1], a[0][0]", "a=[[1 2 3]]", "", "a=[[1 2]]"),
        ("a[0].x, a[1].b", "a=[{b=1} {b=2}]", "", "a=[{b=2}]"),
        ("a.b[1].c, d, a.e", "a={b=[{} {c=1}] e=2 f=3} d=4 g=5", "", "a={b=[{c=1}] e=2} d=4"),
        ("a", "a={b={c=1}}", "", "a={b={c=1}}"),
        ("a.b", "a={b=null}", "", "a={b=null}"),
        ("a.b", "a={b={}}", "", "a={b={}}"),
    ] {
        project(text, document, names, |seen, arena| {
            assert_eq!(seen, Ok(item(expected, arena)), "{text} of {document}");
        });
    }
}

#[test]
fn refused_projections() {
    let pair = |relation: &str, one: &str, two: &str| {
        format!(
            "Two document paths {relation} with each other; must remove or rewrite one of these paths; path one: \
             {one}, path two: {two}"
        )
    };
    for (text, names, detail) in [
        ("a, a", "", pair("overlap", "[a]", "[a]")),
        ("a, b, a.b", "", pair("overlap", "[a]", "[a, b]")),
        ("a.b, b, a", "", pair("overlap", "[a, b]", "[a]")),
        ("a[1].b, a[1]", "", pair("overlap", "[a, [1], b]", "[a, [1]]")),
        ("a.b, a.c, a.c.d, a.b.d", "", pair("overlap", "[a, c]", "[a, c, d]")),
        ("#n, a", "#n=\"a\"", pair("overlap", "[a]", "[a]")),
        ("a.b, a[0]", "", pair("conflict", "[a, b]", "[a, [0]]")),
        ("a[0].x, c, a.c", "", pair("conflict", "[a, [0], x]", "[a, c]")),
        ("a.b, a[0], c, c", "", pair("overlap", "[c]", "[c]")),
        (
            "#x, a, a",
            "",
            "An expression attribute name used in the document path is not defined; attribute name: #x".into(),
        ),
    ] {
        project(text, "", names, |seen, _| {
            assert_eq!(seen, Err(format!("Invalid ProjectionExpression: {detail}")), "{text}");
        });
    }
    project("a, b", "", "#n=\"a\" #m=\"b\"", |seen, _| {
        let text = "Value provided in ExpressionAttributeNames unused in expressions: keys: {#m, #n}";
        assert_eq!(seen, Err(text.into()));
    });
}
