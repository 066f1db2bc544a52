//! Updates of the model.

use super::expression::{Path, Placeholders, project, resolve, sum};
use super::value::{Item, Number, Value};

const MISSING: &str = "The provided expression refers to an attribute that does not exist in the item";
const OPERAND_TYPE: &str = "An operand in the update expression has an incorrect data type";
const DOCUMENT_PATH: &str = "The document path provided in the update expression is invalid for update";

/// What happens to one path.
#[derive(Clone, Debug)]
pub enum Action {
    Set(Value),
    /// The value of another path.
    Copy(Path),
    /// Another path's number and this one.
    Sum(Path, Number),
    /// As `Sum`, beginning with zero.
    SumOrZero(Path, Number),
    /// Elements at the end of a list that may not be there.
    Append(Vec<Value>),
    Remove,
    /// ADD.
    Add(Value),
    /// DELETE.
    Delete(Value),
}

/// Actions by path: in this order they are judged.
#[derive(Clone, Debug, Default)]
pub struct Update(pub Vec<(Path, Action)>);

impl Action {
    fn only_removes(&self) -> bool {
        matches!(self, Action::Remove | Action::Delete(_))
    }

    fn clause(&self) -> &'static str {
        match self {
            Action::Remove => "REMOVE",
            Action::Add(_) => "ADD",
            Action::Delete(_) => "DELETE",
            _ => "SET",
        }
    }

    fn text(&self, path: Path, placeholders: &mut Placeholders) -> String {
        let target = placeholders.path(path);
        match self {
            Action::Set(value) => format!("{target} = {}", placeholders.value(value)),
            Action::Copy(from) => format!("{target} = {}", placeholders.path(from)),
            Action::Sum(from, number) if number.0 < 0 => {
                let number = placeholders.value(&Value::N(Number(-number.0)));
                format!("{target} = {} - {number}", placeholders.path(from))
            }
            Action::Sum(from, number) => {
                format!("{target} = {} + {}", placeholders.path(from), placeholders.value(&Value::N(*number)))
            }
            Action::SumOrZero(from, number) => {
                let [zero, number] = [Value::n(0), Value::N(*number)].map(|value| placeholders.value(&value));
                format!("{target} = if_not_exists({}, {zero}) + {number}", placeholders.path(from))
            }
            Action::Append(elements) => {
                let [empty, elements] = [Vec::new(), elements.clone()].map(|list| placeholders.value(&Value::L(list)));
                format!("{target} = list_append(if_not_exists({target}, {empty}), {elements})")
            }
            Action::Remove => target,
            Action::Add(value) | Action::Delete(value) => format!("{target} {}", placeholders.value(value)),
        }
    }

    /// What becomes of a path's value.
    fn apply(&self, current: Option<&Value>, old: &Item) -> Result<Option<Value>, &'static str> {
        let number = |value: &Value, number: &Number| sum(value, *number).ok_or(OPERAND_TYPE);
        match self {
            Action::Set(value) => Ok(Some(value.clone())),
            Action::Copy(from) => resolve(old, from).cloned().map(Some).ok_or(MISSING),
            Action::Sum(from, delta) => number(resolve(old, from).ok_or(MISSING)?, delta).map(Some),
            Action::SumOrZero(from, delta) => number(resolve(old, from).unwrap_or(&Value::n(0)), delta).map(Some),
            Action::Append(elements) => match current {
                None => Ok(Some(Value::L(elements.clone()))),
                Some(Value::L(list)) => Ok(Some(Value::L([list.as_slice(), elements.as_slice()].concat()))),
                Some(_) => Err(OPERAND_TYPE),
            },
            Action::Remove => Ok(None),
            Action::Add(operand) => add(current, operand).map(Some).ok_or(OPERAND_TYPE),
            Action::Delete(operand) => delete(current, operand).ok_or(OPERAND_TYPE),
        }
    }
}

fn add(current: Option<&Value>, operand: &Value) -> Option<Value> {
    match (current, operand) {
        (None, operand) => Some(operand.clone()),
        (Some(current), Value::N(number)) => sum(current, *number),
        (Some(Value::Ss(left)), Value::Ss(right)) => Some(Value::Ss(left | right)),
        (Some(Value::Ns(left)), Value::Ns(right)) => Some(Value::Ns(left | right)),
        _ => None,
    }
}

/// An emptied set is no attribute.
fn delete(current: Option<&Value>, operand: &Value) -> Option<Option<Value>> {
    match (current, operand) {
        (None, _) => Some(None),
        (Some(Value::Ss(left)), Value::Ss(right)) => {
            let rest = left - right;
            Some((!rest.is_empty()).then_some(Value::Ss(rest)))
        }
        (Some(Value::Ns(left)), Value::Ns(right)) => {
            let rest = left - right;
            Some((!rest.is_empty()).then_some(Value::Ns(rest)))
        }
        _ => None,
    }
}

impl Update {
    /// `None` if there are no actions: the parameter is left out then.
    pub fn text(&self, placeholders: &mut Placeholders) -> Option<String> {
        let mut text = String::new();
        for clause in ["SET", "REMOVE", "ADD", "DELETE"] {
            let actions = self.0.iter().filter(|(_, action)| action.clause() == clause);
            let actions: Vec<String> = actions.map(|(path, action)| action.text(path, placeholders)).collect();
            if !actions.is_empty() {
                text.push_str(&format!("{clause} {} ", actions.join(", ")));
            }
        }
        (!text.is_empty()).then_some(text)
    }

    /// The new item; `None` if there is none and the update only takes away.
    pub fn apply(&self, old: Option<&Item>, key: &Item) -> Result<Option<Item>, &'static str> {
        if old.is_none() && !self.0.is_empty() && self.0.iter().all(|(_, action)| action.only_removes()) {
            return Ok(None);
        }
        let nothing = Item::new();
        let before = old.unwrap_or(&nothing);
        let mut new = old.unwrap_or(key).clone();
        for (path, action) in &self.0 {
            let (map, name) = match path.split_once('.') {
                None => (&mut new, *path),
                Some((parent, member)) => match new.get_mut(parent) {
                    Some(Value::M(map)) => (map, member),
                    None if old.is_none() && action.only_removes() => continue,
                    _ => return Err(DOCUMENT_PATH),
                },
            };
            match action.apply(resolve(before, path), before)? {
                Some(value) => map.insert(name.to_owned(), value),
                None => map.remove(name),
            };
        }
        Ok(Some(new))
    }

    /// What UPDATED_OLD and UPDATED_NEW show of an item.
    pub fn touched(&self, item: &Item) -> Item {
        project(item, &self.0.iter().map(|(path, _)| *path).collect::<Vec<_>>())
    }
}
