//! What the text alone decides: accepted forms, and the texts of refusals.

use crate::expression::ast::{ConditionAst, ProjectionAst, UpdateAst};
use crate::expression::{ExpressionError, ExpressionKind};

/// Parses, prints and parses again.
fn condition(text: &str) -> Result<String, ExpressionError> {
    let ast = ConditionAst::parse(ExpressionKind::Condition, text)?;
    let printed = ast.to_string();
    assert_eq!(ConditionAst::parse(ExpressionKind::Condition, &printed).as_ref(), Ok(&ast), "{text} as {printed}");
    Ok(printed)
}

fn projection(text: &str) -> Result<String, ExpressionError> {
    let ast = ProjectionAst::parse(text)?;
    let printed = ast.to_string();
    assert_eq!(ProjectionAst::parse(&printed).as_ref(), Ok(&ast), "{text} as {printed}");
    Ok(printed)
}

fn update(text: &str) -> Result<String, ExpressionError> {
    let ast = UpdateAst::parse(text)?;
    let printed = ast.to_string();
    assert_eq!(UpdateAst::parse(&printed).as_ref(), Ok(&ast), "{text} as {printed}");
    Ok(printed)
}

/// `Ok` rows say how the tree is printed; `""` means as it was written. `Err` rows omit the prefix.
fn check(
    parse: fn(&str) -> Result<String, ExpressionError>,
    kind: ExpressionKind,
    rows: &[(&str, Result<&str, &str>)],
) {
    for (text, expected) in rows {
        match (parse(text), expected) {
            (Ok(printed), Ok("")) => assert_eq!(printed, *text),
            (Ok(printed), Ok(expected)) => assert_eq!(printed, *expected, "{text}"),
            (Err(error), Err(detail)) => {
                assert_eq!(error.message(), format!("Invalid {}: {detail}", kind.parameter()), "{text}");
            }
            (seen, expected) => panic!("{text}: {seen:?} instead of {expected:?}"),
        }
    }
}

/// Rows of a syntax error: text, token, near.
fn check_syntax_errors(
    parse: fn(&str) -> Result<String, ExpressionError>,
    kind: ExpressionKind,
    rows: &[(&str, &str, &str)],
) {
    for (text, token, near) in rows {
        let detail = format!("Syntax error; token: \"{token}\", near: \"{near}\"");
        check(parse, kind, &[(text, Err(&detail))]);
    }
}

#[test]
fn accepted_conditions() {
    check(
        condition,
        ExpressionKind::Condition,
        &[
            ("a = :v", Ok("")),
            ("a<>:v", Ok("a <> :v")),
            (":v=a", Ok(":v = a")),
            ("a < :v", Ok("")),
            ("a <= :v", Ok("")),
            ("a > :v", Ok("")),
            ("a >= :v", Ok("")),
            (":a = :a", Ok("")),
            ("#a = #b", Ok("")),
            ("a[0][1].b = :v", Ok("")),
            ("a . b [ 0 ] = :v", Ok("a.b[0] = :v")),
            ("a\t.\r\nb = :v", Ok("a.b = :v")),
            ("#a.#b[3].c = :v", Ok("")),
            ("a.#b = :v", Ok("")),
            ("a[0007] = :v", Ok("a[7] = :v")),
            ("a[2147483647] = :v", Ok("")),
            ("(a.b).c = :v", Ok("a.b.c = :v")),
            ("(a)[1] = :v", Ok("a[1] = :v")),
            ("((a).b).c = :v", Ok("a.b.c = :v")),
            ("(a) = (:v)", Ok("a = :v")),
            ("a = :v AND b = :w", Ok("")),
            ("a = :v and b = :w oR c = :x", Ok("(a = :v AND b = :w) OR c = :x")),
            ("a = :v OR b = :w AND c = :x", Ok("a = :v OR (b = :w AND c = :x)")),
            ("(a = :v OR b = :w) AND c = :x", Ok("")),
            ("a = b AND c = d AND e = f", Ok("")),
            ("a = b AND (c = d AND e = f)", Ok("")),
            ("(a = b AND c = d) AND e = f", Ok("a = b AND c = d AND e = f")),
            ("a = b OR c = d OR e = f", Ok("")),
            ("a = b OR c = d AND e = f OR g = h", Ok("a = b OR (c = d AND e = f) OR g = h")),
            ("a = b AND c = d OR e = f AND g = h", Ok("(a = b AND c = d) OR (e = f AND g = h)")),
            ("NOT a = b", Ok("")),
            ("not(a = b)", Ok("NOT a = b")),
            ("NOT NOT NOT NOT a < b", Ok("")),
            ("NOT a = b AND c = d", Ok("")),
            ("NOT (a = b AND c = d)", Ok("")),
            ("a = b AND NOT c = d", Ok("")),
            ("a = b OR NOT (c = d OR e = f)", Ok("")),
            ("NOT (a) = b", Ok("NOT a = b")),
            ("a BETWEEN :x AND :y", Ok("")),
            ("a between b and c and d = e", Ok("a BETWEEN b AND c AND d = e")),
            ("a BETWEEN :x AND :y OR NOT b BETWEEN :x AND :y", Ok("")),
            ("(a)between((b.c).d)and(c)", Ok("a BETWEEN b.c.d AND c")),
            ("a IN (:x)", Ok("")),
            ("a in(:x,:y , b.c)", Ok("a IN (:x, :y, b.c)")),
            ("a IN ((b), (c))", Ok("a IN (b, c)")),
            ("(a) IN (b) AND c = d", Ok("a IN (b) AND c = d")),
            ("size(a) IN (:x, size(b))", Ok("")),
            ("attribute_exists(a)", Ok("")),
            ("attribute_not_exists ( a.b[0] )", Ok("attribute_not_exists(a.b[0])")),
            ("(attribute_exists(a))", Ok("attribute_exists(a)")),
            ("NOT attribute_exists(a)", Ok("")),
            ("attribute_type(a, :t)", Ok("")),
            ("begins_with(a, :p) OR contains(b, :q)", Ok("")),
            ("contains((a), (:v))", Ok("contains(a, :v)")),
            ("size(a) > :n", Ok("")),
            (":n < size(a)", Ok("")),
            ("(size(a)) = size(b)", Ok("size(a) = size(b)")),
            ("size(size(size(a))) = :n", Ok("")),
            ("size(a, b) = :n", Ok("")),
            ("attribute_exists(a, b, c)", Ok("")),
            ("((a = b) AND c = d)", Ok("a = b AND c = d")),
            ("((a = b) AND (c = d)) OR (e = f)", Ok("(a = b AND c = d) OR e = f")),
            ("(NOT (a = b))", Ok("NOT a = b")),
            // Keywords of updates are no keywords here, but reserved; function names are free.
            ("contains = :v AND begins_with = :w", Ok("")),
            ("set1 = :v", Ok("")),
            ("ands = :v", Ok("")),
        ],
    );
}

#[test]
fn refused_conditions() {
    let many = |count: usize| vec!["a = b"; count].join(" OR ");
    let redundant = Err("The expression has redundant parentheses;");
    let misuse = "The function is not allowed to be used this way in an expression; function:";
    let misused = |name: &str| format!("{misuse} {name}");
    let (size, exists, contains) = (misused("size"), misused("attribute_exists"), misused("contains"));
    let long = format!("a = {}", "b".repeat(4105));
    check(
        condition,
        ExpressionKind::Condition,
        &[
            ("", Err("The expression can not be empty;")),
            (&long, Err("Expression size has exceeded the maximum allowed size; expression size: 4109")),
            (&many(151), Err("The expression contains too many operators; operator count: 301")),
            ("((a = b))", redundant),
            ("((a)) = b", redundant),
            ("a > ((b))", redundant),
            ("(a)between(((b.c)).d)and(c)", redundant),
            ("NOT ((a = b))", redundant),
            ("a IN (((b)))", redundant),
            ("((attribute_exists(a)))", redundant),
            ("((a)).b = c", redundant),
            ("(((a = b)) OR c = d)", redundant),
            ("f(a)", Err("Invalid function name; function: f")),
            ("f(a) = b", Err("Invalid function name; function: f")),
            ("f(g(a)) = b", Err("Invalid function name; function: f")),
            ("size(a) = b AND h(c)", Err("Invalid function name; function: h")),
            ("attRIbute_exIsts(a)", Err("Invalid function name; function: attRIbute_exIsts")),
            ("if_not_exists(a, b) = c", Err("Invalid function name; function: if_not_exists")),
            ("list_append(a, b) = c", Err("Invalid function name; function: list_append")),
            ("size(a)", Err(&size)),
            ("NOT size(a)", Err(&size)),
            ("(size(a)) AND b = c", Err(&size)),
            ("a = b OR size(a)", Err(&size)),
            ("attribute_exists(a) = b", Err(&exists)),
            ("a = attribute_exists(b)", Err(&exists)),
            ("(attribute_exists(a)) = b", Err(&exists)),
            ("contains(a, contains(b, c))", Err(&contains)),
            ("attribute_exists(contains(a, b))", Err(&contains)),
            ("a IN (contains(a, b))", Err(&contains)),
            ("a BETWEEN b AND contains(c, d)", Err(&contains)),
            // The outer function stands first in the text.
            ("contains(attribute_exists(a), b) = c", Err(&contains)),
            ("abort = a", Err("Attribute name is a reserved keyword; reserved keyword: abort")),
            ("a = b AND Status = :v", Err("Attribute name is a reserved keyword; reserved keyword: Status")),
            ("a.b.nAmE = :v", Err("Attribute name is a reserved keyword; reserved keyword: nAmE")),
            ("set = :v", Err("Attribute name is a reserved keyword; reserved keyword: set")),
            ("size = :v", Err("Attribute name is a reserved keyword; reserved keyword: size")),
            ("true = a", Err("Attribute name is a reserved keyword; reserved keyword: true")),
            ("a[2147483648] = b", Err("List index is not within the allowable range; index: [2147483648]")),
            (
                "a[99999999999999999999] = b",
                Err("List index is not within the allowable range; index: [99999999999999999999]"),
            ),
            // Which mistake wins.
            ("((f(size(abort)))) = ", Err("Syntax error; token: \"<EOF>\", near: \"=\"")),
            ("((f(abort))) = size(a)", redundant),
            ("f(abort) = a OR size(b)", Err("Invalid function name; function: f")),
            ("size(a) OR abort = b", Err(&size)),
        ],
    );
    assert!(condition(&many(150)).is_ok());
    // Parentheses and functions are no operators.
    let functions = vec!["(contains(a,b))"; 200].join("AND");
    assert!(condition(&functions).is_ok());
}

#[test]
fn syntax_errors_of_conditions() {
    check_syntax_errors(
        condition,
        ExpressionKind::Condition,
        &[
            (" ", "<EOF>", ""),
            ("a", "<EOF>", "a"),
            ("a ", "<EOF>", "a"),
            (":v", "<EOF>", ":v"),
            ("(a)", "<EOF>", ")"),
            ("!!!", "!", "!!"),
            ("attribute_not_exists(", "<EOF>", "("),
            ("a = = b", "=", "= = b"),
            ("a =", "<EOF>", "="),
            ("= b", "=", "= b"),
            ("a b = c", "b", "a b ="),
            ("a > 4", "4", "> 4"),
            ("a = \"x\"", "\"", "= \"x"),
            ("a = 'x'", "'", "= 'x"),
            ("a = -1", "-", "= -1"),
            ("a = b = c", "=", "b = c"),
            ("a = b c = d", "c", "b c ="),
            ("(a = b) = c", "=", ") = c"),
            ("(a = b) c", "c", ") c"),
            ("a AND b = c", "AND", "a AND b"),
            ("a = b AND", "<EOF>", "AND"),
            ("a = b AND c", "<EOF>", "c"),
            ("a = b AND OR c = d", "OR", "AND OR c"),
            ("(a = b", "<EOF>", "b"),
            ("a = b)", ")", "b)"),
            ("()", ")", "()"),
            ("NOT", "<EOF>", "NOT"),
            ("NOT a", "<EOF>", "a"),
            ("a = NOT b", "NOT", "= NOT b"),
            ("a NOT IN (b)", "NOT", "a NOT IN"),
            ("a IN", "<EOF>", "IN"),
            ("a IN b", "b", "IN b"),
            ("a IN ()", ")", "()"),
            ("a IN (b", "<EOF>", "b"),
            ("a IN (b,)", ")", ",)"),
            ("a IN (b c)", "c", "b c)"),
            ("a IN (b = c)", "=", "b = c"),
            ("a BETWEEN b", "<EOF>", "b"),
            ("a BETWEEN b OR c", "OR", "b OR c"),
            ("a BETWEEN b AND", "<EOF>", "AND"),
            ("a BETWEEN (b AND c)", "AND", "b AND c"),
            ("a BETWEEN b, c", ",", "b, c"),
            ("a = (b = c)", "=", "b = c"),
            ("a = (b AND c)", "AND", "b AND c"),
            ("size(a = b) = c", "=", "a = b"),
            ("size() = a", ")", "() ="),
            ("size(a", "<EOF>", "a"),
            ("size(a,) = b", ")", ",) ="),
            ("size(NOT a) = b", "NOT", "(NOT a"),
            ("size(a).b = c", ".", ").b"),
            ("size(a)(b)", "(", ")(b"),
            ("(f(a))(b)", "(", ")(b"),
            ("#f(a)", "(", "#f(a"),
            (":f(a)", "(", ":f(a"),
            ("a. = b", "=", ". = b"),
            ("a.:b = c", ":b", ".:b ="),
            ("a..b = c", ".", "..b"),
            (".a = b", ".", ".a"),
            ("[0] = b", "[", "[0"),
            ("a[:i] = b", ":i", "[:i]"),
            ("a[#n] = b", "#n", "[#n]"),
            ("a[b] = c", "b", "[b]"),
            ("a[-1] = c", "-", "[-1"),
            ("a[4.5] = c", ".", "4.5"),
            ("a[0 = c", "=", "0 = c"),
            ("a[] = c", "]", "[] ="),
            (":a.b = c", ".", ":a.b"),
            ("_a = b", "_", "_a"),
            ("a = _b", "_", "= _b"),
            ("a = #", "#", "= #"),
            ("a = :", ":", "= :"),
            ("a-b = c", "-", "a-b"),
            ("é = c", "é", "é ="),
            ("a! = c", "!", "a! ="),
            ("a == c", "=", "== c"),
            ("a != c", "!", "a !="),
            ("a > < c", "<", "> < c"),
            ("between = c", "between", "between ="),
            ("a.and = c", "and", ".and ="),
            ("in(a)", "in", "in("),
            ("a + b = c", "+", "a + b"),
            ("a, b", ",", "a, b"),
            ("a = b;", ";", "b;"),
        ],
    );
}

#[test]
fn projections() {
    check(
        projection,
        ExpressionKind::Projection,
        &[
            ("a", Ok("")),
            ("a,b , c", Ok("a, b, c")),
            ("a.b[0].#c, #d", Ok("")),
            ("a[3], a[1]", Ok("")),
            ("a, a", Ok("")),
            ("", Err("The expression can not be empty;")),
            ("a, abort", Err("Attribute name is a reserved keyword; reserved keyword: abort")),
            ("and", Err("Attribute name is a reserved keyword; reserved keyword: and")),
            ("a.state", Err("Attribute name is a reserved keyword; reserved keyword: state")),
            ("a[2147483648]", Err("List index is not within the allowable range; index: [2147483648]")),
        ],
    );
    let long = "a".repeat(4097);
    check(
        projection,
        ExpressionKind::Projection,
        &[(&long, Err("Expression size has exceeded the maximum allowed size; expression size: 4097"))],
    );
    check_syntax_errors(
        projection,
        ExpressionKind::Projection,
        &[
            ("  ", "<EOF>", ""),
            ("whatever(x)", "(", "whatever(x"),
            (":a", ":a", ":a"),
            ("a,", "<EOF>", ","),
            (",a", ",", ",a"),
            ("a,,b", ",", ",,b"),
            ("a..b", ".", "..b"),
            ("a[b]", "b", "[b]"),
            ("(a)", "(", "(a"),
            ("(a,b)", "(", "(a"),
            ("a-b", "-", "a-b"),
            ("a b", "b", "a b"),
            ("a = b", "=", "a = b"),
            ("a[1", "<EOF>", "1"),
            ("abort(", "(", "abort("),
            ("a.0", "0", ".0"),
        ],
    );
}

#[test]
fn accepted_updates() {
    check(
        update,
        ExpressionKind::Update,
        &[
            ("SET a = :v", Ok("")),
            ("set a=b", Ok("SET a = b")),
            ("SET a = b, c = d", Ok("")),
            ("set a[1] = b", Ok("SET a[1] = b")),
            ("SET #a.#b[2].c = :v", Ok("")),
            ("SET a = b + :c", Ok("")),
            ("SET a = b-c", Ok("SET a = b - c")),
            ("set a = (b + c)", Ok("SET a = b + c")),
            ("set a = ((b.c.d)+(e))", Ok("SET a = b.c.d + e")),
            ("set a = (((b)))", Ok("SET a = b")),
            ("SET a = (b) - (:c)", Ok("SET a = b - :c")),
            ("SET a = if_not_exists(a, b) + c", Ok("")),
            ("SET a = c - if_not_exists(a, :z)", Ok("")),
            ("SET a = if_not_exists(a, if_not_exists(b, c))", Ok("")),
            ("SET a = list_append(a, :l), b = list_append(:l, if_not_exists(b, :e))", Ok("")),
            ("SET a = list_append((a), ((b)))", Ok("SET a = list_append(a, b)")),
            ("SET a = if_not_exists(a)", Ok("")),
            ("REMOVE a, b.c, d[3]", Ok("")),
            ("ADD a :v, b.c :w", Ok("")),
            ("DELETE a :v,b :w", Ok("DELETE a :v, b :w")),
            ("REMOVE a SET b = c DELETE d :e ADD f :g", Ok("")),
            ("add a:v remove b", Ok("ADD a :v REMOVE b")),
            ("SET a = :vREMOVE b = c", Err("Syntax error; token: \"b\", near: \":vREMOVE b =\"")),
            ("SET setting = :v", Ok("")),
            ("SET if_not_exists = :v", Ok("")),
            ("SET a = SIZE_1", Ok("")),
            ("SET #set = :v", Ok("")),
        ],
    );
}

#[test]
fn refused_updates() {
    let twice = |name: &str| format!("The \"{name}\" section can only be used once in an update expression;");
    let (set, remove, add, delete) = (twice("SET"), twice("REMOVE"), twice("ADD"), twice("DELETE"));
    let long = format!("SET a = {}", "b".repeat(4097));
    let plus = (0..301).map(|n| format!("a{n}=b+c")).collect::<Vec<_>>().join(",");
    check(
        update,
        ExpressionKind::Update,
        &[
            ("", Err("The expression can not be empty;")),
            (&long, Err("Expression size has exceeded the maximum allowed size;")),
            (&format!("SET {plus}"), Err("The expression contains too many operators; operator count: 301")),
            ("SET a = :v SET b = :w", Err(&set)),
            ("REMOVE a SET b = c REMOVE d", Err(&remove)),
            ("ADD a :v add b :w", Err(&add)),
            ("DELETE a :v DELETE b :w SET c = :x SET d = :y", Err(&delete)),
            ("SET status = :v", Err("Attribute name is a reserved keyword; reserved keyword: status")),
            ("SET a = Status", Err("Attribute name is a reserved keyword; reserved keyword: Status")),
            ("REMOVE a.and", Err("Attribute name is a reserved keyword; reserved keyword: and")),
            ("SET a = f(b)", Err("Invalid function name; function: f")),
            ("SET a = size(b)", Err("Invalid function name; function: size")),
            ("SET a = attribute_exists(b)", Err("Invalid function name; function: attribute_exists")),
            ("SET a = If_not_exists(a, b)", Err("Invalid function name; function: If_not_exists")),
            ("SET a = list_append(f(b), g(c))", Err("Invalid function name; function: f")),
            ("SET a = b[2147483648]", Err("List index is not within the allowable range; index: [2147483648]")),
            // Which mistake wins.
            ("SET a = f(status) SET b = ", Err("Syntax error; token: \"<EOF>\", near: \"=\"")),
            ("SET a = f(status) SET b = c", Err("Attribute name is a reserved keyword; reserved keyword: status")),
            ("SET a = f(b) SET b = c", Err("Invalid function name; function: f")),
        ],
    );
}

#[test]
fn syntax_errors_of_updates() {
    check_syntax_errors(
        update,
        ExpressionKind::Update,
        &[
            (" \n", "<EOF>", ""),
            ("INVALID SYNTAX", "INVALID", "INVALID SYNTAX"),
            ("SET _123 = :v", "_", "SET _123"),
            ("SET", "<EOF>", "SET"),
            ("set a", "<EOF>", "a"),
            ("set a =", "<EOF>", "="),
            ("set a = b + c + d", "+", "c + d"),
            ("set a = b - c + d", "+", "c + d"),
            ("set a = (b + c) + d", "+", ") + d"),
            ("set a = b + (c + d)", "+", "c + d"),
            ("set a = b + ", "<EOF>", "+"),
            ("set a = b * c", "*", "b * c"),
            ("set a = -b", "-", "= -b"),
            ("set a = 1", "1", "= 1"),
            ("set a[1] = 1", "1", "= 1"),
            ("remove a = b", "=", "a = b"),
            ("remove a b", "b", "a b"),
            ("remove", "<EOF>", "remove"),
            ("add a = b", "=", "a = b"),
            ("add a b", "b", "a b"),
            ("add a", "<EOF>", "a"),
            ("add a (:v)", "(", "a (:v"),
            ("delete a b", "b", "a b"),
            ("set :a = b", ":a", "set :a ="),
            ("remove :a", ":a", "remove :a"),
            ("set (a = b)", "(", "set (a"),
            ("set (a) = b", "(", "set (a"),
            ("set a = (b.c).d + e", ".", ").d"),
            ("SET if_not_exist(a, b) = a", "(", "if_not_exist(a"),
            ("SET a = :v,", "<EOF>", ","),
            ("SET a = :v, SET b = :w", "SET", ", SET b"),
            ("SET a = :v AND b = :w", "AND", ":v AND b"),
            ("SET a :v", ":v", "a :v"),
            ("SET a = b c", "c", "b c"),
            ("SET a = (b", "<EOF>", "b"),
            ("SET a = b)", ")", "b)"),
            ("SET a = ()", ")", "()"),
            ("SET a = list_append()", ")", "()"),
            ("SET a = list_append(a, b + c)", "+", "b + c"),
            ("SET a = list_append(a, (b + c))", "+", "b + c"),
            ("SET a = list_append(a b)", "b", "a b)"),
            ("SET a = list_append(a, b", "<EOF>", "b"),
            ("SET a = list_append(a, b).c", ".", ").c"),
            ("SET add = :v", "add", "SET add ="),
            ("SET a = b.remove", "remove", ".remove"),
            ("SET a = :v.b", ".", ":v.b"),
            ("SET a = :v; REMOVE b", ";", ":v; REMOVE"),
            ("ADD a :v b :w", "b", ":v b :w"),
            ("a = :v", "a", "a ="),
        ],
    );
}
