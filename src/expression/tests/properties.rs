//! Conditions and projections against evaluators that are written to be obviously right, and texts against printing.

use std::collections::{BTreeMap, BTreeSet};

use bumpalo::Bump;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;

use crate::expression::ast::{ConditionAst, ProjectionAst, UpdateAst};
use crate::expression::{ExpressionKind, Substitutions};
use crate::model::{Attribute, Item, Map, Number, Value};

/// A value that owns what it holds. Numbers are small integers.
#[derive(Clone, Debug, PartialEq)]
pub enum Plain {
    S(String),
    N(i64),
    Null,
    Ss(BTreeSet<String>),
    Ns(BTreeSet<i64>),
    L(Vec<Plain>),
    M(PlainItem),
}

pub type PlainItem = BTreeMap<String, Plain>;

impl Plain {
    pub fn to_value<'a>(&self, arena: &'a Bump) -> Value<'a> {
        let number = |number: &i64| Number::from_canonical(arena.alloc_str(&number.to_string()));
        match self {
            Plain::S(text) => Value::S(arena.alloc_str(text)),
            Plain::N(integer) => Value::N(number(integer)),
            Plain::Null => Value::Null,
            Plain::Ss(members) => {
                Value::Ss(arena.alloc_slice_fill_iter(members.iter().map(|member| &*arena.alloc_str(member))))
            }
            Plain::Ns(members) => Value::Ns(arena.alloc_slice_fill_iter(members.iter().map(number))),
            Plain::L(elements) => {
                Value::L(arena.alloc_slice_fill_iter(elements.iter().map(|element| element.to_value(arena))))
            }
            Plain::M(item) => Value::M(to_item(item, arena)),
        }
    }

    fn type_name(&self) -> &'static str {
        match self {
            Plain::S(_) => "S",
            Plain::N(_) => "N",
            Plain::Null => "NULL",
            Plain::Ss(_) => "SS",
            Plain::Ns(_) => "NS",
            Plain::L(_) => "L",
            Plain::M(_) => "M",
        }
    }
}

pub fn to_item<'a>(item: &PlainItem, arena: &'a Bump) -> Item<'a> {
    let attributes =
        item.iter().map(|(name, value)| Attribute { name: &*arena.alloc_str(name), value: value.to_value(arena) });
    Map::from_sorted(arena.alloc_slice_fill_iter(attributes.collect::<Vec<_>>()))
}

/// Few names and small values, so that paths often lead somewhere.
pub fn plain() -> impl Strategy<Value = Plain> {
    let leaf = prop_oneof![
        "[ab]{0,2}".prop_map(Plain::S),
        (0i64..4).prop_map(Plain::N),
        Just(Plain::Null),
        btree_set("[ab]", 1..3).prop_map(Plain::Ss),
        btree_set(0i64..4, 1..3).prop_map(Plain::Ns),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![vec(inner.clone(), 0..4).prop_map(Plain::L), btree_map("[abc]", inner, 0..3).prop_map(Plain::M)]
    })
}

pub fn plain_item() -> impl Strategy<Value = PlainItem> {
    btree_map("[abc]", plain(), 0..4)
}

#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    Name(String),
    Index(usize),
}

pub type PlainPath = Vec<Step>;

pub fn path() -> impl Strategy<Value = PlainPath> {
    let step = prop_oneof!["[abc]".prop_map(Step::Name), (0usize..4).prop_map(Step::Index)];
    ("[abc]", vec(step, 0..3)).prop_map(|(name, mut rest)| {
        rest.insert(0, Step::Name(name));
        rest
    })
}

/// Mostly paths that lead somewhere in `item`.
pub fn path_in(item: &PlainItem) -> BoxedStrategy<PlainPath> {
    fn collect(value: &Plain, path: &PlainPath, found: &mut Vec<PlainPath>) {
        found.push(path.clone());
        let mut below = |step, value| collect(value, &[path.clone(), vec![step]].concat(), found);
        match value {
            Plain::L(elements) => {
                elements.iter().enumerate().for_each(|(index, element)| below(Step::Index(index), element));
            }
            Plain::M(map) => map.iter().for_each(|(name, value)| below(Step::Name(name.clone()), value)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    item.iter().for_each(|(name, value)| collect(value, &vec![Step::Name(name.clone())], &mut found));
    if found.is_empty() {
        return path().boxed();
    }
    prop_oneof![6 => prop::sample::select(found), 1 => path()].boxed()
}

pub fn print_path(path: &PlainPath) -> String {
    let pieces = path.iter().enumerate().map(|(position, step)| match step {
        Step::Name(name) if position == 0 => name.clone(),
        Step::Name(name) => format!(".{name}"),
        Step::Index(index) => format!("[{index}]"),
    });
    pieces.collect()
}

pub fn resolve<'i>(path: &PlainPath, item: &'i PlainItem) -> Option<&'i Plain> {
    let Step::Name(first) = &path[0] else { return None };
    path[1..].iter().try_fold(item.get(first)?, |value, step| match (value, step) {
        (Plain::M(map), Step::Name(name)) => map.get(name),
        (Plain::L(list), Step::Index(index)) => list.get(*index),
        _ => None,
    })
}

#[derive(Clone, Debug)]
enum Operand {
    Path(PlainPath),
    Value(Plain),
    Size(PlainPath),
}

#[derive(Clone, Debug)]
enum Tree {
    And(Box<Tree>, Box<Tree>),
    Or(Box<Tree>, Box<Tree>),
    Not(Box<Tree>),
    Compare(&'static str, Operand, Operand),
    Between(Operand, Operand, Operand),
    In(Operand, Vec<Operand>),
    Exists(bool, PlainPath),
    HasType(PlainPath, &'static str),
    BeginsWith(Operand, Operand),
    Contains(Operand, Operand),
}

/// `literal` makes the values that are not taken from the item.
fn operand(path: &BoxedStrategy<PlainPath>, literal: impl Strategy<Value = Plain> + 'static) -> BoxedStrategy<Operand> {
    prop_oneof![4 => path.clone().prop_map(Operand::Path), 3 => literal.prop_map(Operand::Value)].boxed()
}

/// Operands of known type mostly have one that the operator takes: others are refused before there is a result.
fn tree(path: BoxedStrategy<PlainPath>) -> impl Strategy<Value = Tree> {
    let equality = prop::sample::select(vec!["=", "<>"]);
    let order = prop::sample::select(vec!["<", "<=", ">", ">="]);
    let type_name = prop::sample::select(vec!["S", "N", "NULL", "SS", "NS", "L", "M", "BOOL"]);
    let text = || operand(&path, "[ab]{0,2}".prop_map(Plain::S));
    let any_value = || operand(&path, plain());
    let number = || operand(&path, (0i64..4).prop_map(Plain::N));
    let ordered = || prop_oneof![3 => text(), 3 => number(), 1 => path.clone().prop_map(Operand::Size)];
    let path = || path.clone();
    let leaf = prop_oneof![
        (equality, any_value(), any_value()).prop_map(|(symbol, left, right)| Tree::Compare(symbol, left, right)),
        (order, ordered(), ordered()).prop_map(|(symbol, left, right)| Tree::Compare(symbol, left, right)),
        (ordered(), number(), number()).prop_map(|(value, low, high)| Tree::Between(value, low, high)),
        (any_value(), vec(any_value(), 1..4)).prop_map(|(value, list)| Tree::In(value, list)),
        (any::<bool>(), path()).prop_map(|(expected, path)| Tree::Exists(expected, path)),
        (path(), type_name).prop_map(|(path, name)| Tree::HasType(path, name)),
        (text(), text()).prop_map(|(text, prefix)| Tree::BeginsWith(text, prefix)),
        (any_value(), any_value()).prop_map(|(container, member)| Tree::Contains(container, member)),
    ];
    leaf.prop_recursive(5, 24, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(left, right)| Tree::And(left.into(), right.into())),
            (inner.clone(), inner.clone()).prop_map(|(left, right)| Tree::Or(left.into(), right.into())),
            inner.prop_map(|inner| Tree::Not(inner.into())),
        ]
    })
}

/// Prints with as few parentheses as precedence allows; collects values under `:v0`, `:v1`, …
struct Printer {
    values: BTreeMap<String, Plain>,
}

impl Printer {
    fn operand(&mut self, operand: &Operand) -> String {
        match operand {
            Operand::Path(path) => print_path(path),
            Operand::Size(path) => format!("size({})", print_path(path)),
            Operand::Value(value) => self.value(value.clone()),
        }
    }

    fn value(&mut self, value: Plain) -> String {
        let name = format!(":v{}", self.values.len());
        self.values.insert(name.clone(), value);
        name
    }

    /// `binding` is how tightly the surrounding operator binds: 0 nothing, 1 OR, 2 AND, 3 NOT.
    fn tree(&mut self, tree: &Tree, binding: u8) -> String {
        let (text, own) = match tree {
            Tree::Or(left, right) => (format!("{} OR {}", self.tree(left, 1), self.tree(right, 1)), 1),
            Tree::And(left, right) => (format!("{} AND {}", self.tree(left, 2), self.tree(right, 2)), 2),
            Tree::Not(inner) => (format!("NOT {}", self.tree(inner, 3)), 3),
            Tree::Compare(symbol, left, right) => {
                (format!("{} {symbol} {}", self.operand(left), self.operand(right)), 4)
            }
            Tree::Between(value, low, high) => {
                (format!("{} BETWEEN {} AND {}", self.operand(value), self.operand(low), self.operand(high)), 4)
            }
            Tree::In(value, list) => {
                let value = self.operand(value);
                let list: Vec<_> = list.iter().map(|element| self.operand(element)).collect();
                (format!("{value} IN ({})", list.join(", ")), 4)
            }
            Tree::Exists(true, path) => (format!("attribute_exists({})", print_path(path)), 4),
            Tree::Exists(false, path) => (format!("attribute_not_exists({})", print_path(path)), 4),
            Tree::HasType(path, name) => {
                (format!("attribute_type({}, {})", print_path(path), self.value(Plain::S((*name).into()))), 4)
            }
            Tree::BeginsWith(text, prefix) => {
                (format!("begins_with({}, {})", self.operand(text), self.operand(prefix)), 4)
            }
            Tree::Contains(container, member) => {
                (format!("contains({}, {})", self.operand(container), self.operand(member)), 4)
            }
        };
        if own < binding { format!("({text})") } else { text }
    }
}

fn naive_operand(operand: &Operand, item: &PlainItem) -> Option<Plain> {
    match operand {
        Operand::Path(path) => resolve(path, item).cloned(),
        Operand::Value(value) => Some(value.clone()),
        Operand::Size(path) => match resolve(path, item)? {
            Plain::S(text) => Some(Plain::N(text.len() as i64)),
            Plain::Ss(members) => Some(Plain::N(members.len() as i64)),
            Plain::Ns(members) => Some(Plain::N(members.len() as i64)),
            Plain::L(elements) => Some(Plain::N(elements.len() as i64)),
            Plain::M(map) => Some(Plain::N(map.len() as i64)),
            Plain::N(_) | Plain::Null => None,
        },
    }
}

fn naive_compare(symbol: &str, left: &Option<Plain>, right: &Option<Plain>) -> bool {
    let order = match (left, right) {
        (Some(Plain::S(left)), Some(Plain::S(right))) => Some(left.cmp(right)),
        (Some(Plain::N(left)), Some(Plain::N(right))) => Some(left.cmp(right)),
        _ => None,
    };
    match symbol {
        "=" => left.is_some() && left == right,
        "<>" => !(left.is_some() && left == right),
        "<" => order.is_some_and(|order| order.is_lt()),
        "<=" => order.is_some_and(|order| order.is_le()),
        ">" => order.is_some_and(|order| order.is_gt()),
        _ => order.is_some_and(|order| order.is_ge()),
    }
}

fn naive(tree: &Tree, item: &PlainItem) -> bool {
    let of = |operand: &Operand| naive_operand(operand, item);
    match tree {
        Tree::And(left, right) => naive(left, item) & naive(right, item),
        Tree::Or(left, right) => naive(left, item) | naive(right, item),
        Tree::Not(inner) => !naive(inner, item),
        Tree::Compare(symbol, left, right) => naive_compare(symbol, &of(left), &of(right)),
        Tree::Between(value, low, high) => {
            naive_compare(">=", &of(value), &of(low)) && naive_compare("<=", &of(value), &of(high))
        }
        Tree::In(value, list) => list.iter().any(|element| naive_compare("=", &of(value), &of(element))),
        Tree::Exists(expected, path) => resolve(path, item).is_some() == *expected,
        Tree::HasType(path, name) => resolve(path, item).is_some_and(|value| value.type_name() == *name),
        Tree::BeginsWith(text, prefix) => match (of(text), of(prefix)) {
            (Some(Plain::S(text)), Some(Plain::S(prefix))) => text.starts_with(&prefix),
            _ => false,
        },
        Tree::Contains(container, member) => match (of(container), of(member)) {
            (Some(Plain::S(text)), Some(Plain::S(part))) => text.contains(&part),
            (Some(Plain::Ss(members)), Some(Plain::S(member))) => members.contains(&member),
            (Some(Plain::Ns(members)), Some(Plain::N(member))) => members.contains(&member),
            (Some(Plain::L(elements)), Some(member)) => elements.contains(&member),
            _ => false,
        },
    }
}

/// What a projection leaves of a value: a list is known by the indexes that were picked.
enum Picked {
    Whole(Plain),
    List(BTreeMap<usize, Picked>),
    Map(BTreeMap<String, Picked>),
}

fn pick(picked: &mut BTreeMap<String, Picked>, path: &PlainPath, item: &PlainItem) {
    let Some(found) = resolve(path, item) else { return };
    let mut place: Option<&mut Picked> = None;
    for (position, step) in path.iter().enumerate() {
        let fresh = || match path.get(position + 1) {
            None => Picked::Whole(found.clone()),
            Some(Step::Index(_)) => Picked::List(BTreeMap::new()),
            Some(Step::Name(_)) => Picked::Map(BTreeMap::new()),
        };
        place = Some(match (place, step) {
            (None, Step::Name(name)) => picked.entry(name.clone()).or_insert_with(fresh),
            (Some(Picked::Map(map)), Step::Name(name)) => map.entry(name.clone()).or_insert_with(fresh),
            (Some(Picked::List(list)), Step::Index(index)) => list.entry(*index).or_insert_with(fresh),
            _ => unreachable!("paths do not overlap or conflict"),
        });
    }
}

fn packed(picked: Picked) -> Plain {
    match picked {
        Picked::Whole(value) => value,
        Picked::List(list) => Plain::L(list.into_values().map(packed).collect()),
        Picked::Map(map) => Plain::M(map.into_iter().map(|(name, picked)| (name, packed(picked))).collect()),
    }
}

/// Paths of which none contains or conflicts with another.
pub fn disjoint(paths: Vec<PlainPath>) -> Vec<PlainPath> {
    let mut kept: Vec<PlainPath> = Vec::new();
    for path in paths {
        let clashes = |other: &PlainPath| match path.iter().zip(other).find(|(left, right)| left != right) {
            None => true,
            Some(pair) => !matches!(pair, (Step::Name(_), Step::Name(_)) | (Step::Index(_), Step::Index(_))),
        };
        if !kept.iter().any(clashes) {
            kept.push(path);
        }
    }
    kept
}

/// Pieces that make anything from noise to expressions.
fn token_soup() -> impl Strategy<Value = String> {
    let pieces = [
        "a",
        "b.c",
        "#n",
        ":v",
        "abort",
        "(",
        ")",
        "[",
        "]",
        "[0]",
        ",",
        ".",
        "=",
        "<>",
        "<=",
        "+",
        "-",
        "AND",
        "OR",
        "NOT",
        "BETWEEN",
        "IN",
        "SET",
        "REMOVE",
        "ADD",
        "DELETE",
        "size(a)",
        "contains(",
        "attribute_exists(a)",
        "list_append(",
        "if_not_exists(",
        "a = b",
        "a = :v",
        "SET a = b",
        "_",
        "é",
        "1",
    ];
    vec(prop::sample::select(pieces.to_vec()), 0..14).prop_map(|pieces| pieces.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn conditions_agree_with_a_naive_evaluator(
        (item, tree) in plain_item().prop_flat_map(|item| (Just(item.clone()), tree(path_in(&item)))),
    ) {
        let arena = Bump::new();
        let mut printer = Printer { values: BTreeMap::new() };
        let text = printer.tree(&tree, 0);
        let values = (!printer.values.is_empty()).then(|| to_item(&printer.values, &arena));
        let substitutions = Substitutions::new(None, values, &arena).unwrap();
        let ast = ConditionAst::parse(ExpressionKind::Condition, &text).unwrap();
        prop_assert_eq!(&ConditionAst::parse(ExpressionKind::Condition, &ast.to_string()).unwrap(), &ast);
        // Operands of a type that is known and wrong are refused; then there is nothing to compare.
        if let Ok(condition) = ast.bind(&substitutions, &arena) {
            prop_assert_eq!(condition.evaluate(&to_item(&item, &arena)), naive(&tree, &item), "{}", text);
        }
    }

    #[test]
    fn projections_agree_with_a_naive_one(
        (item, paths) in plain_item().prop_flat_map(|item| (Just(item.clone()), vec(path_in(&item), 1..6))),
    ) {
        let arena = Bump::new();
        let paths = disjoint(paths);
        let text = paths.iter().map(print_path).collect::<Vec<_>>().join(", ");
        let projection = ProjectionAst::parse(&text).unwrap().bind(&Substitutions::none(), &arena).unwrap();
        let mut picked = BTreeMap::new();
        paths.iter().for_each(|path| pick(&mut picked, path, &item));
        let expected: PlainItem = picked.into_iter().map(|(name, picked)| (name, packed(picked))).collect();
        prop_assert_eq!(projection.apply(&to_item(&item, &arena), &arena), to_item(&expected, &arena), "{}", text);
    }

    #[test]
    fn what_parses_prints_to_itself(text in token_soup(), update in option::of(token_soup())) {
        if let Ok(ast) = ConditionAst::parse(ExpressionKind::Filter, &text) {
            prop_assert_eq!(ConditionAst::parse(ExpressionKind::Filter, &ast.to_string()), Ok(ast));
        }
        if let Ok(ast) = ProjectionAst::parse(&text) {
            prop_assert_eq!(ProjectionAst::parse(&ast.to_string()), Ok(ast));
        }
        let text = update.map_or(text.clone(), |update| format!("SET a = {text} REMOVE {update}"));
        if let Ok(ast) = UpdateAst::parse(&text) {
            prop_assert_eq!(UpdateAst::parse(&ast.to_string()), Ok(ast));
        }
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,60}", operands: option::Probability) {
        let _ = (ConditionAst::parse(ExpressionKind::Filter, &text), ProjectionAst::parse(&text), operands);
        let _ = UpdateAst::parse(&format!("SET {text}"));
    }
}
