//! PutItem, UpdateItem, DeleteItem: one write, which is also what batches and transactions are made of.

use serde_json::{Value as Json, json};

use super::capacity::{Halves, Report};
use super::database::{Change, Database, Operation, Outcome, View, schema};
use super::expression::{Condition, Placeholders};
use super::schema::Key;
use super::update::Update;
use super::value::{Item, answered, sent};

pub const CONDITION_FAILED: &str = "The conditional request failed";

#[derive(Clone, Debug)]
pub struct Write {
    pub table: usize,
    pub kind: Kind,
    pub condition: Option<Condition>,
    /// ReturnValuesOnConditionCheckFailure=ALL_OLD.
    pub item_on_failure: bool,
}

#[derive(Clone, Debug)]
pub enum Kind {
    Put(Item),
    Update(Key, Update),
    Delete(Key),
    /// Only in transactions.
    Check(Key),
}

/// Why a write does not happen.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// With the item to be shown.
    Condition(Option<Item>),
    Invalid(String),
}

impl Write {
    pub fn key(&self) -> Key {
        match &self.kind {
            Kind::Put(item) => schema(self.table).key_of(item),
            Kind::Update(key, _) | Kind::Delete(key) | Kind::Check(key) => key.clone(),
        }
    }

    /// The parameters that plain writes and transactions share.
    pub fn parameters(&self) -> Json {
        let schema = schema(self.table);
        let mut placeholders = Placeholders::default();
        let mut request = json!({"TableName": schema.name});
        match &self.kind {
            Kind::Put(item) => request["Item"] = sent(item),
            Kind::Update(key, _) | Kind::Delete(key) | Kind::Check(key) => {
                request["Key"] = sent(&schema.key_item(key));
            }
        }
        if let Kind::Update(_, update) = &self.kind
            && let Some(text) = update.text(&mut placeholders)
        {
            request["UpdateExpression"] = json!(text);
        }
        if let Some(condition) = &self.condition {
            request["ConditionExpression"] = json!(condition.text(&mut placeholders));
        }
        if self.item_on_failure {
            request["ReturnValuesOnConditionCheckFailure"] = json!("ALL_OLD");
        }
        placeholders.finish(&mut request);
        request
    }

    /// What is wrong with it, whatever item is there.
    pub fn check(&self) -> Result<(), String> {
        match &self.kind {
            Kind::Put(item) => schema(self.table).check_index_keys(item, false),
            _ => Ok(()),
        }
    }

    /// The item after the write.
    pub fn apply(&self, old: Option<&Item>) -> Result<Option<Item>, Refusal> {
        let nothing = Item::new();
        if let Some(condition) = &self.condition
            && !condition.holds(old.unwrap_or(&nothing))
        {
            return Err(Refusal::Condition(old.filter(|_| self.item_on_failure).cloned()));
        }
        match &self.kind {
            Kind::Put(item) => Ok(Some(item.clone())),
            Kind::Delete(_) => Ok(None),
            Kind::Check(_) => Ok(old.cloned()),
            Kind::Update(key, update) => {
                let invalid = |text: &str| Refusal::Invalid(text.to_owned());
                let new = update.apply(old, &schema(self.table).key_item(key)).map_err(invalid)?;
                if let Some(new) = &new {
                    schema(self.table).check_index_keys(new, true).map_err(Refusal::Invalid)?;
                }
                Ok(new)
            }
        }
    }

    pub fn change(&self, new: Option<Item>) -> Change {
        Change { table: self.table, key: self.key(), new }
    }

    pub fn halves(&self, view: View, old: Option<&Item>, new: Option<&Item>) -> Halves {
        Halves::write(schema(self.table), view, self.table, old, new)
    }
}

/// ReturnValues.
#[derive(Clone, Copy, Debug)]
pub enum Returns {
    None,
    AllOld,
    UpdatedOld,
    AllNew,
    UpdatedNew,
}

impl Returns {
    fn name(self) -> &'static str {
        match self {
            Returns::None => "NONE",
            Returns::AllOld => "ALL_OLD",
            Returns::UpdatedOld => "UPDATED_OLD",
            Returns::AllNew => "ALL_NEW",
            Returns::UpdatedNew => "UPDATED_NEW",
        }
    }
}

/// A write by itself.
pub struct ItemWrite {
    pub write: Write,
    pub returns: Returns,
    pub report: Report,
    /// ReturnItemCollectionMetrics=SIZE.
    pub metrics: bool,
}

impl ItemWrite {
    fn attributes(&self, old: Option<&Item>, new: Option<&Item>) -> Option<Item> {
        let Kind::Update(_, update) = &self.write.kind else {
            return old.filter(|_| matches!(self.returns, Returns::AllOld)).cloned();
        };
        // An update that creates nothing shows nothing.
        let new = new?;
        let shown = match self.returns {
            Returns::None => None,
            Returns::AllOld => old.cloned(),
            Returns::AllNew => Some(new.clone()),
            Returns::UpdatedOld => old.map(|old| update.touched(old)),
            Returns::UpdatedNew => Some(update.touched(new)),
        };
        shown.filter(|shown| !shown.is_empty())
    }
}

impl Operation for ItemWrite {
    fn name(&self) -> &'static str {
        match self.write.kind {
            Kind::Put(_) => "PutItem",
            Kind::Update(..) => "UpdateItem",
            Kind::Delete(_) => "DeleteItem",
            Kind::Check(_) => unreachable!("a check stands in a transaction"),
        }
    }

    fn parameters(&self) -> Json {
        let mut request = self.write.parameters();
        request["ReturnValues"] = json!(self.returns.name());
        if self.metrics {
            request["ReturnItemCollectionMetrics"] = json!("SIZE");
        }
        self.report.parameter(&mut request);
        request
    }

    fn outcome(&self, database: &Database, view: View) -> Outcome {
        if let Err(text) = self.write.check() {
            return Outcome::invalid(&text);
        }
        let key = self.write.key();
        let old = database.get(self.write.table, &key);
        let new = match self.write.apply(old) {
            Ok(new) => new,
            Err(Refusal::Invalid(text)) => return Outcome::invalid(&text),
            Err(Refusal::Condition(item)) => {
                let error = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException";
                let mut refusal = Outcome::refusal(error, "message", CONDITION_FAILED);
                if let Some(item) = item {
                    refusal.answer["Item"] = answered(&item);
                }
                return refusal;
            }
        };
        let schema = schema(self.write.table);
        let mut answer = json!({});
        if let Some(attributes) = self.attributes(old, new.as_ref()) {
            answer["Attributes"] = answered(&attributes);
        }
        self.report.answer(&mut answer, schema.name, &self.write.halves(view, old, new.as_ref()));
        if self.metrics && schema.indexes.iter().any(|index| index.is_local) {
            answer["ItemCollectionMetrics"] =
                json!({"ItemCollectionKey": {schema.hash: key[0].answered()}, "SizeEstimateRangeGB": [0.0, 1.0]});
        }
        Outcome { changes: vec![self.write.change(new)], ..Outcome::success(answer) }
    }
}
