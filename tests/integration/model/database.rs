//! The model: tables as maps in memory, and what every operation answers of them.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::schema::{Index, Key, LATE, SCHEMAS, SORTED, Schema, TABLE_COUNT};
use super::value::Item;

pub type Table = BTreeMap<Key, Item>;

#[derive(Default)]
pub struct Database {
    pub tables: [Table; TABLE_COUNT],
    /// Tokens of transactions that were done, with what they did.
    pub tokens: BTreeMap<String, Json>,
}

/// Which indexes there are at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    Plain,
    WithLate,
}

/// An operation of the API with its parameters.
pub trait Operation {
    fn name(&self) -> &'static str;

    fn parameters(&self) -> Json;

    /// What the server has to answer, and what changes by it.
    fn outcome(&self, database: &Database, view: View) -> Outcome;

    /// Brings an answer into the order of the model where DynamoDB has none.
    fn sort(&self, _answer: &mut Json) {}
}

#[derive(Debug)]
pub struct Outcome {
    pub status: u16,
    pub answer: Json,
    pub changes: Vec<Change>,
    /// Whether all changes happen or none.
    pub atomic: bool,
    /// A token that counts from now on, and what it stands for.
    pub token: Option<(String, Json)>,
}

/// An item that is replaced, created or removed.
#[derive(Clone, Debug)]
pub struct Change {
    pub table: usize,
    pub key: Key,
    pub new: Option<Item>,
}

impl View {
    pub fn indexes(self, table: usize) -> impl Iterator<Item = &'static Index> {
        SCHEMAS[table].indexes.iter().chain((self == View::WithLate && table == SORTED).then_some(&LATE))
    }
}

pub fn schema(table: usize) -> &'static Schema {
    &SCHEMAS[table]
}

impl Outcome {
    pub fn success(answer: Json) -> Outcome {
        Outcome { status: 200, answer, changes: Vec::new(), atomic: true, token: None }
    }

    /// A refusal; `error` is its type.
    pub fn refusal(error: &str, member: &str, text: &str) -> Outcome {
        Outcome { status: 400, ..Outcome::success(json!({"__type": error, member: text})) }
    }

    pub fn invalid(text: &str) -> Outcome {
        Outcome::refusal("com.amazon.coral.validate#ValidationException", "message", text)
    }
}

impl Database {
    pub fn get(&self, table: usize, key: &Key) -> Option<&Item> {
        self.tables[table].get(key)
    }

    pub fn apply(&mut self, change: Change) {
        match change.new {
            Some(item) => self.tables[change.table].insert(change.key, item),
            None => self.tables[change.table].remove(&change.key),
        };
    }
}
