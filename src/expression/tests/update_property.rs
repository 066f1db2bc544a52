//! Updates against an applier that is written to be obviously right: it changes a copy of the item action by action,
//! with marks in place of removed list elements, and packs the lists at the end.

use std::collections::BTreeMap;

use bumpalo::Bump;
use proptest::collection::vec;
use proptest::prelude::*;

use super::properties::{
    Plain, PlainItem, PlainPath, Step, disjoint, path_in, plain, plain_item, print_path, resolve, to_item,
};
use crate::expression::Substitutions;
use crate::expression::ast::UpdateAst;
use crate::model::Map;

#[derive(Clone, Debug)]
enum Change {
    Set(Source),
    Sum(Source, i64, Source),
    Remove,
    Add(Plain),
    Delete(Plain),
}

#[derive(Clone, Debug)]
enum Source {
    Path(PlainPath),
    Value(Plain),
    IfNotExists(PlainPath, Box<Source>),
    ListAppend(Box<Source>, Box<Source>),
}

/// A value in the making: elements of lists are known by their old index, and may be gone.
#[derive(Clone, Debug)]
enum Draft {
    Value(Plain),
    List(BTreeMap<usize, Draft>),
    Map(BTreeMap<String, Draft>),
}

fn draft(value: &Plain) -> Draft {
    match value {
        Plain::L(elements) => Draft::List(elements.iter().map(draft).enumerate().collect()),
        Plain::M(map) => Draft::Map(map.iter().map(|(name, value)| (name.clone(), draft(value))).collect()),
        other => Draft::Value(other.clone()),
    }
}

fn finish(draft: Draft) -> Plain {
    match draft {
        Draft::Value(value) => value,
        Draft::List(elements) => Plain::L(elements.into_values().map(finish).collect()),
        Draft::Map(map) => Plain::M(map.into_iter().map(|(name, draft)| (name, finish(draft))).collect()),
    }
}

fn source(path: &BoxedStrategy<PlainPath>) -> impl Strategy<Value = Source> + use<> {
    let path = path.clone();
    let leaf = prop_oneof![path.clone().prop_map(Source::Path), plain().prop_map(Source::Value)];
    leaf.prop_recursive(3, 8, 2, move |inner| {
        let default = (path.clone(), inner.clone());
        prop_oneof![
            2 => default.prop_map(|(path, default)| Source::IfNotExists(path, default.into())),
            1 => (inner.clone(), inner).prop_map(|(front, back)| Source::ListAppend(front.into(), back.into())),
        ]
    })
}

/// A number or a set: what ADD takes.
fn addend() -> impl Strategy<Value = Plain> {
    plain().prop_map(|plain| match plain {
        Plain::Ss(_) | Plain::Ns(_) | Plain::N(_) => plain,
        Plain::S(_) | Plain::Null => Plain::N(1),
        Plain::L(_) | Plain::M(_) => Plain::Ss(["a".to_owned()].into()),
    })
}

fn change(path: &BoxedStrategy<PlainPath>) -> impl Strategy<Value = Change> + use<> {
    let number =
        || prop_oneof![path.clone().prop_map(Source::Path), (0i64..4).prop_map(|n| Source::Value(Plain::N(n)))];
    let sign = prop::sample::select(vec![1i64, -1]);
    let set = addend().prop_filter("a set", |plain| !matches!(plain, Plain::N(_)));
    prop_oneof![
        4 => source(path).prop_map(Change::Set),
        1 => (number(), sign, number()).prop_map(|(left, sign, right)| Change::Sum(left, sign, right)),
        3 => Just(Change::Remove),
        1 => addend().prop_map(Change::Add),
        1 => set.prop_map(Change::Delete),
    ]
}

/// An item and actions that mostly fit it.
fn case() -> impl Strategy<Value = (PlainItem, Vec<(PlainPath, Change)>)> {
    plain_item().prop_flat_map(|item| {
        let path = path_in(&item);
        let actions = vec((path.clone(), change(&path)), 1..6);
        (Just(item), actions)
    })
}

/// The value of a right-hand side; `None` is any error.
fn evaluate(source: &Source, old: &PlainItem) -> Option<Plain> {
    match source {
        Source::Path(path) => resolve(path, old).cloned(),
        Source::Value(value) => Some(value.clone()),
        Source::IfNotExists(path, default) => match resolve(path, old) {
            Some(value) => Some(value.clone()),
            None => evaluate(default, old),
        },
        Source::ListAppend(front, back) => match (evaluate(front, old)?, evaluate(back, old)?) {
            (Plain::L(mut front), Plain::L(back)) => {
                front.extend(back);
                Some(Plain::L(front))
            }
            _ => None,
        },
    }
}

/// The new value of a target: `None` is an error, `Some(None)` no value.
fn new_value(change: &Change, path: &PlainPath, old: &PlainItem) -> Option<Option<Plain>> {
    let current = resolve(path, old).cloned();
    match change {
        Change::Remove => Some(None),
        Change::Set(source) => evaluate(source, old).map(Some),
        Change::Sum(left, sign, right) => match (evaluate(left, old)?, evaluate(right, old)?) {
            (Plain::N(left), Plain::N(right)) => Some(Some(Plain::N(left + sign * right))),
            _ => None,
        },
        Change::Add(operand) => match (current, operand.clone()) {
            (None, operand) => Some(Some(operand)),
            (Some(Plain::N(left)), Plain::N(right)) => Some(Some(Plain::N(left + right))),
            (Some(Plain::Ss(left)), Plain::Ss(right)) => Some(Some(Plain::Ss(&left | &right))),
            (Some(Plain::Ns(left)), Plain::Ns(right)) => Some(Some(Plain::Ns(&left | &right))),
            _ => None,
        },
        Change::Delete(operand) => match (current, operand) {
            (None, _) => Some(None),
            (Some(Plain::Ss(left)), Plain::Ss(right)) => {
                Some(Some(&left - right).filter(|s| !s.is_empty()).map(Plain::Ss))
            }
            (Some(Plain::Ns(left)), Plain::Ns(right)) => {
                Some(Some(&left - right).filter(|s| !s.is_empty()).map(Plain::Ns))
            }
            _ => None,
        },
    }
}

fn apply(actions: &[(PlainPath, Change)], old: &PlainItem) -> Option<PlainItem> {
    let mut new = draft(&Plain::M(old.clone()));
    for (path, change) in actions {
        let value = new_value(change, path, old)?.as_ref().map(|value| Draft::Value(value.clone()));
        let (last, parents) = path.split_last()?;
        let mut place = &mut new;
        for step in parents {
            place = match (place, step) {
                (Draft::Map(map), Step::Name(name)) => map.get_mut(name)?,
                (Draft::List(list), Step::Index(index)) => list.get_mut(index)?,
                _ => return None,
            };
        }
        match (place, last, value) {
            (Draft::Map(map), Step::Name(name), Some(value)) => drop(map.insert(name.clone(), value)),
            (Draft::Map(map), Step::Name(name), None) => drop(map.remove(name)),
            (Draft::List(list), Step::Index(index), Some(value)) => drop(list.insert(*index, value)),
            (Draft::List(list), Step::Index(index), None) => drop(list.remove(index)),
            _ => return None,
        }
    }
    match finish(new) {
        Plain::M(item) => Some(item),
        _ => None,
    }
}

struct Printer {
    values: BTreeMap<String, Plain>,
}

impl Printer {
    fn value(&mut self, value: &Plain) -> String {
        let name = format!(":v{}", self.values.len());
        self.values.insert(name.clone(), value.clone());
        name
    }

    fn source(&mut self, source: &Source) -> String {
        match source {
            Source::Path(path) => print_path(path),
            Source::Value(value) => self.value(value),
            Source::IfNotExists(path, default) => {
                format!("if_not_exists({}, {})", print_path(path), self.source(default))
            }
            Source::ListAppend(front, back) => format!("list_append({}, {})", self.source(front), self.source(back)),
        }
    }

    fn update(&mut self, actions: &[(PlainPath, Change)]) -> String {
        let mut sections: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (path, change) in actions {
            let path = print_path(path);
            let (section, text) = match change {
                Change::Set(source) => ("SET", format!("{path} = {}", self.source(source))),
                Change::Sum(left, sign, right) => {
                    let symbol = if *sign > 0 { '+' } else { '-' };
                    ("SET", format!("{path} = {} {symbol} {}", self.source(left), self.source(right)))
                }
                Change::Remove => ("REMOVE", path),
                Change::Add(value) => ("ADD", format!("{path} {}", self.value(value))),
                Change::Delete(value) => ("DELETE", format!("{path} {}", self.value(value))),
            };
            sections.entry(section).or_default().push(text);
        }
        sections
            .iter()
            .map(|(section, actions)| format!("{section} {}", actions.join(", ")))
            .collect::<Vec<_>>()
            .join(" ")
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn updates_agree_with_a_naive_applier((old, actions) in case()) {
        let arena = Bump::new();
        let (paths, changes): (Vec<_>, Vec<_>) = actions.into_iter().unzip();
        let actions: Vec<_> = disjoint(paths).into_iter().zip(changes).collect();
        let mut printer = Printer { values: BTreeMap::new() };
        let text = printer.update(&actions);
        let values = (!printer.values.is_empty()).then(|| to_item(&printer.values, &arena));
        let substitutions = Substitutions::new(None, values, &arena).unwrap();
        let ast = UpdateAst::parse(&text).unwrap();
        prop_assert_eq!(&UpdateAst::parse(&ast.to_string()).unwrap(), &ast);
        // Operands of a type that is known and wrong are refused; then there is nothing to compare.
        if let Ok(update) = ast.bind(&substitutions, &arena) {
            let new = update.apply(Some(to_item(&old, &arena)), Map::EMPTY, &arena);
            match apply(&actions, &old) {
                Some(expected) => prop_assert_eq!(new, Ok(Some(to_item(&expected, &arena))), "{}", text),
                None => prop_assert!(new.is_err(), "{} gave {:?}", text, new),
            }
        }
    }
}
