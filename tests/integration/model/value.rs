//! Attribute values of the model. The derived orders of strings, numbers and bytes are DynamoDB's.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

pub type Item = BTreeMap<String, Value>;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    S(String),
    N(Number),
    B(Vec<u8>),
    Bool(bool),
    Null,
    Ss(BTreeSet<String>),
    Ns(BTreeSet<Number>),
    L(Vec<Value>),
    M(Item),
}

/// A number in hundredths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number(pub i64);

impl Number {
    /// As DynamoDB answers it.
    fn canonical(self) -> String {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (integer, hundredths) = (self.0.unsigned_abs() / 100, self.0.unsigned_abs() % 100);
        let text = format!("{sign}{integer}.{hundredths:02}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }

    /// As the model sends it: never in the form that is answered, unless it is zero.
    fn unusual(self) -> String {
        format!("{}e-2", self.0)
    }

    /// Two significant digits a byte on each side of the point, one byte more, and one for a sign.
    fn size(self) -> usize {
        let text = self.canonical();
        let digits = text.trim_start_matches('-');
        let (integer, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let integer = if fraction.is_empty() { integer.trim_end_matches('0') } else { integer };
        let fraction = if integer == "0" { fraction.trim_start_matches('0') } else { fraction };
        let integer = integer.trim_start_matches('0');
        1 + integer.len().div_ceil(2) + fraction.len().div_ceil(2) + usize::from(self.0 < 0)
    }
}

impl Value {
    pub fn s(text: impl Into<String>) -> Value {
        Value::S(text.into())
    }

    /// An integer.
    pub fn n(integer: i64) -> Value {
        Value::N(Number(100 * integer))
    }

    pub fn type_name(&self) -> &'static str {
        match self {
            Value::S(_) => "S",
            Value::N(_) => "N",
            Value::B(_) => "B",
            Value::Bool(_) => "BOOL",
            Value::Null => "NULL",
            Value::Ss(_) => "SS",
            Value::Ns(_) => "NS",
            Value::L(_) => "L",
            Value::M(_) => "M",
        }
    }

    pub fn size(&self) -> usize {
        match self {
            Value::S(text) => text.len(),
            Value::N(number) => number.size(),
            Value::B(bytes) => bytes.len(),
            Value::Bool(_) | Value::Null => 1,
            Value::Ss(members) => members.iter().map(String::len).sum(),
            Value::Ns(members) => members.iter().map(|member| member.size()).sum(),
            Value::L(elements) => 3 + elements.iter().map(|element| 1 + element.size()).sum::<usize>(),
            Value::M(map) => 3 + map.len() + item_size(map),
        }
    }

    /// As DynamoDB answers it.
    pub fn answered(&self) -> Json {
        self.json(Number::canonical)
    }

    /// As the model sends it.
    pub fn sent(&self) -> Json {
        self.json(Number::unusual)
    }

    fn json(&self, number: fn(Number) -> String) -> Json {
        let value = match self {
            Value::S(text) => json!(text),
            Value::N(value) => json!(number(*value)),
            Value::B(bytes) => json!(STANDARD.encode(bytes)),
            Value::Bool(value) => json!(value),
            Value::Null => json!(true),
            Value::Ss(members) => json!(members),
            Value::Ns(members) => members.iter().map(|member| number(*member)).collect(),
            Value::L(elements) => elements.iter().map(|element| element.json(number)).collect(),
            Value::M(map) => map.iter().map(|(name, value)| (name.clone(), value.json(number))).collect(),
        };
        json!({ self.type_name(): value })
    }
}

pub fn item_size(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + value.size()).sum()
}

pub fn answered(item: &Item) -> Json {
    item.iter().map(|(name, value)| (name.clone(), value.answered())).collect()
}

pub fn sent(item: &Item) -> Json {
    item.iter().map(|(name, value)| (name.clone(), value.sent())).collect()
}

/// Sorts the members of sets, which have no order.
pub fn sort_sets(answer: &mut Json) {
    match answer {
        Json::Array(elements) => elements.iter_mut().for_each(sort_sets),
        Json::Object(members) => {
            for (name, value) in members {
                match value {
                    Json::Array(set) if matches!(name.as_str(), "SS" | "NS") => set.sort_by_key(Json::to_string),
                    _ => sort_sets(value),
                }
            }
        }
        _ => {}
    }
}

#[test]
fn numbers_have_dynamodbs_form_and_size() {
    for (hundredths, text, size) in
        [(0, "0", 1), (100, "1", 2), (-100, "-1", 3), (250, "2.5", 3), (5, "0.05", 2), (1_000_000, "10000", 2)]
    {
        assert_eq!((Number(hundredths).canonical().as_str(), Number(hundredths).size()), (text, size));
    }
}
