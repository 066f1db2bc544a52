//! Conditions, projections and updates of the model: how they are written and what they mean.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::value::{Item, Number, Value};

/// An attribute, or with dots a member of maps: `m.k`.
pub type Path = &'static str;

/// Expression attribute names and values. Every name gets a placeholder, so that none is a reserved word.
#[derive(Default)]
pub struct Placeholders {
    names: BTreeMap<String, String>,
    values: BTreeMap<String, Json>,
}

impl Placeholders {
    pub fn path(&mut self, path: &str) -> String {
        let parts = path.split('.').map(|name| {
            let placeholder = format!("#{name}");
            self.names.insert(placeholder.clone(), name.to_owned());
            placeholder
        });
        parts.collect::<Vec<_>>().join(".")
    }

    pub fn value(&mut self, value: &Value) -> String {
        let placeholder = format!(":v{}", self.values.len());
        self.values.insert(placeholder.clone(), value.sent());
        placeholder
    }

    pub fn projection(&mut self, paths: &[Path]) -> String {
        paths.iter().map(|path| self.path(path)).collect::<Vec<_>>().join(", ")
    }

    /// Adds the members to a request.
    pub fn finish(self, request: &mut Json) {
        if !self.names.is_empty() {
            request["ExpressionAttributeNames"] = json!(self.names);
        }
        if !self.values.is_empty() {
            request["ExpressionAttributeValues"] = json!(self.values);
        }
    }
}

pub fn resolve<'i>(item: &'i Item, path: &str) -> Option<&'i Value> {
    match path.split_once('.') {
        None => item.get(path),
        Some((name, rest)) => match item.get(name) {
            Some(Value::M(map)) => resolve(map, rest),
            _ => None,
        },
    }
}

/// What a projection picks; members of maps keep their maps.
pub fn project(item: &Item, paths: &[Path]) -> Item {
    let mut picked = Item::new();
    for path in paths {
        let Some(value) = resolve(item, path) else { continue };
        match path.split_once('.') {
            None => drop(picked.insert((*path).to_owned(), value.clone())),
            Some((name, member)) => {
                let map = picked.entry(name.to_owned()).or_insert_with(|| Value::M(Item::new()));
                let Value::M(map) = map else { continue };
                map.insert(member.to_owned(), value.clone());
            }
        }
    }
    picked
}

#[derive(Clone, Copy, Debug)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    pub const ALL: [Comparison; 6] = [
        Comparison::Equal,
        Comparison::NotEqual,
        Comparison::Less,
        Comparison::LessOrEqual,
        Comparison::Greater,
        Comparison::GreaterOrEqual,
    ];

    pub fn text(self) -> &'static str {
        match self {
            Comparison::Equal => "=",
            Comparison::NotEqual => "<>",
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
        }
    }

    /// What is absent or of another type is unequal, and neither less nor greater.
    pub fn holds(self, left: Option<&Value>, right: &Value) -> bool {
        let same_type = left.filter(|left| left.type_name() == right.type_name());
        let Some(left) = same_type else { return matches!(self, Comparison::NotEqual) };
        match self {
            Comparison::Equal => left == right,
            Comparison::NotEqual => left != right,
            Comparison::Less => left < right,
            Comparison::LessOrEqual => left <= right,
            Comparison::Greater => left > right,
            Comparison::GreaterOrEqual => left >= right,
        }
    }
}

#[derive(Clone, Debug)]
pub enum Condition {
    Exists(Path),
    NotExists(Path),
    Compare(Path, Comparison, Value),
    Between(Path, Value, Value),
    In(Path, Vec<Value>),
    BeginsWith(Path, Value),
    Contains(Path, Value),
    Size(Path, Comparison, i64),
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
    Not(Box<Condition>),
}

impl Condition {
    pub fn text(&self, placeholders: &mut Placeholders) -> String {
        match self {
            Condition::Exists(path) => format!("attribute_exists({})", placeholders.path(path)),
            Condition::NotExists(path) => format!("attribute_not_exists({})", placeholders.path(path)),
            Condition::Compare(path, comparison, value) => {
                format!("{} {} {}", placeholders.path(path), comparison.text(), placeholders.value(value))
            }
            Condition::Between(path, lower, upper) => {
                let [lower, upper] = [lower, upper].map(|value| placeholders.value(value));
                format!("{} BETWEEN {lower} AND {upper}", placeholders.path(path))
            }
            Condition::In(path, values) => {
                let values: Vec<String> = values.iter().map(|value| placeholders.value(value)).collect();
                format!("{} IN ({})", placeholders.path(path), values.join(", "))
            }
            Condition::BeginsWith(path, value) => {
                format!("begins_with({}, {})", placeholders.path(path), placeholders.value(value))
            }
            Condition::Contains(path, value) => {
                format!("contains({}, {})", placeholders.path(path), placeholders.value(value))
            }
            Condition::Size(path, comparison, size) => {
                let size = placeholders.value(&Value::n(*size));
                format!("size({}) {} {size}", placeholders.path(path), comparison.text())
            }
            Condition::And(left, right) => {
                format!("({}) AND ({})", left.text(placeholders), right.text(placeholders))
            }
            Condition::Or(left, right) => format!("({}) OR ({})", left.text(placeholders), right.text(placeholders)),
            Condition::Not(inner) => format!("NOT ({})", inner.text(placeholders)),
        }
    }

    pub fn holds(&self, item: &Item) -> bool {
        match self {
            Condition::Exists(path) => resolve(item, path).is_some(),
            Condition::NotExists(path) => resolve(item, path).is_none(),
            Condition::Compare(path, comparison, value) => comparison.holds(resolve(item, path), value),
            Condition::Between(path, lower, upper) => {
                let value = resolve(item, path);
                Comparison::GreaterOrEqual.holds(value, lower) && Comparison::LessOrEqual.holds(value, upper)
            }
            Condition::In(path, values) => resolve(item, path).is_some_and(|value| values.contains(value)),
            Condition::BeginsWith(path, prefix) => match (resolve(item, path), prefix) {
                (Some(Value::S(text)), Value::S(prefix)) => text.starts_with(prefix.as_str()),
                (Some(Value::B(bytes)), Value::B(prefix)) => bytes.starts_with(prefix),
                _ => false,
            },
            Condition::Contains(path, wanted) => match (resolve(item, path), wanted) {
                (Some(Value::S(text)), Value::S(part)) => text.contains(part.as_str()),
                (Some(Value::B(bytes)), Value::B(part)) => {
                    part.is_empty() || bytes.windows(part.len()).any(|window| window == part)
                }
                (Some(Value::Ss(members)), Value::S(member)) => members.contains(member),
                (Some(Value::Ns(members)), Value::N(member)) => members.contains(member),
                (Some(Value::L(elements)), element) => elements.contains(element),
                _ => false,
            },
            Condition::Size(path, comparison, wanted) => {
                let size = resolve(item, path).and_then(size).map(Value::n);
                comparison.holds(size.as_ref(), &Value::n(*wanted))
            }
            Condition::And(left, right) => left.holds(item) && right.holds(item),
            Condition::Or(left, right) => left.holds(item) || right.holds(item),
            Condition::Not(inner) => !inner.holds(item),
        }
    }

    /// The attributes that it looks at.
    pub fn attributes(&self) -> Vec<&'static str> {
        match self {
            Condition::Exists(path)
            | Condition::NotExists(path)
            | Condition::Compare(path, ..)
            | Condition::Between(path, ..)
            | Condition::In(path, _)
            | Condition::BeginsWith(path, _)
            | Condition::Contains(path, _)
            | Condition::Size(path, ..) => vec![attribute(path)],
            Condition::And(left, right) | Condition::Or(left, right) => {
                [left.attributes(), right.attributes()].concat()
            }
            Condition::Not(inner) => inner.attributes(),
        }
    }
}

/// The attribute that a path begins with.
pub fn attribute(path: Path) -> &'static str {
    path.split('.').next().unwrap_or_default()
}

/// What `size` gives; the model's strings are ASCII wherever it is asked.
fn size(value: &Value) -> Option<i64> {
    let size = match value {
        Value::S(text) => text.len(),
        Value::B(bytes) => bytes.len(),
        Value::Ss(members) => members.len(),
        Value::Ns(members) => members.len(),
        Value::L(elements) => elements.len(),
        Value::M(map) => map.len(),
        Value::N(_) | Value::Bool(_) | Value::Null => return None,
    };
    i64::try_from(size).ok()
}

/// The sum of two numbers, if they are numbers.
pub fn sum(left: &Value, right: Number) -> Option<Value> {
    match left {
        Value::N(left) => Some(Value::N(Number(left.0 + right.0))),
        _ => None,
    }
}
