//! TransactWriteItems and TransactGetItems.

use serde_json::{Value as Json, json};

use super::batch::{consumed_of_tables, is_distinct, projection_parameters, shown, sort_consumed};
use super::capacity::{Halves, Report};
use super::database::{Change, Database, Operation, Outcome, View, schema};
use super::expression::Path;
use super::schema::{Key, TABLE_COUNT};
use super::value::{answered, item_size, sent};
use super::write::{CONDITION_FAILED, Kind, Refusal, Write};

const TWICE: &str = "Transaction request cannot include multiple operations on one item";
const MISMATCH: &str = "DynamoDB rejected the request because you retried a request with a different payload but with \
                        an idempotent token that was already used.";

#[derive(Clone, Debug)]
pub struct TransactWrite {
    pub writes: Vec<Write>,
    pub token: Option<String>,
    pub report: Report,
}

impl TransactWrite {
    fn items(&self) -> Json {
        let member = |write: &Write| match write.kind {
            Kind::Put(_) => "Put",
            Kind::Update(..) => "Update",
            Kind::Delete(_) => "Delete",
            Kind::Check(_) => "ConditionCheck",
        };
        self.writes.iter().map(|write| json!({member(write): write.parameters()})).collect()
    }

    /// The token and what it stands for, once the transaction is done.
    pub fn token_record(&self) -> Option<(String, Json)> {
        self.token.clone().map(|token| (token, self.items()))
    }

    /// The answer of a transaction that was done before: it reads what is there now.
    fn replayed(&self, database: &Database) -> Outcome {
        let mut halves: [Option<Halves>; TABLE_COUNT] = Default::default();
        for write in &self.writes {
            let bytes = database.get(write.table, &write.key()).map_or(0, item_size);
            halves[write.table].get_or_insert_default().add(Halves::read(bytes, true).of_transaction());
        }
        let mut answer = json!({});
        consumed_of_tables(self.report, halves, Some("ReadCapacityUnits"), &mut answer);
        Outcome::success(answer)
    }

    fn decided(&self, database: &Database, view: View) -> Outcome {
        let mut halves: [Option<Halves>; TABLE_COUNT] = Default::default();
        let mut changes: Vec<Change> = Vec::new();
        let mut reasons = Vec::new();
        for write in &self.writes {
            let old = database.get(write.table, &write.key());
            let applied = write.apply(old);
            reasons.push(reason(applied.as_ref().err()));
            let Ok(new) = applied else { continue };
            halves[write.table].get_or_insert_default().add(write.halves(view, old, new.as_ref()).of_transaction());
            changes.push(write.change(new));
        }
        if changes.len() < self.writes.len() {
            return cancelled(reasons);
        }
        let mut answer = json!({});
        consumed_of_tables(self.report, halves, Some("WriteCapacityUnits"), &mut answer);
        Outcome { changes, token: self.token_record(), ..Outcome::success(answer) }
    }
}

fn reason(refusal: Option<&Refusal>) -> Json {
    match refusal {
        None => json!({"Code": "None"}),
        Some(Refusal::Invalid(text)) => json!({"Code": "ValidationError", "Message": text}),
        Some(Refusal::Condition(None)) => json!({"Code": "ConditionalCheckFailed", "Message": CONDITION_FAILED}),
        Some(Refusal::Condition(Some(item))) => {
            json!({"Code": "ConditionalCheckFailed", "Message": CONDITION_FAILED, "Item": answered(item)})
        }
    }
}

fn cancelled(reasons: Vec<Json>) -> Outcome {
    let codes: Vec<&str> = reasons.iter().filter_map(|reason| reason["Code"].as_str()).collect();
    let codes = codes.join(", ");
    let text = format!("Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]");
    let error = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
    let mut refusal = Outcome::refusal(error, "Message", &text);
    refusal.answer["CancellationReasons"] = reasons.into();
    refusal
}

impl Operation for TransactWrite {
    fn name(&self) -> &'static str {
        "TransactWriteItems"
    }

    fn parameters(&self) -> Json {
        let mut request = json!({"TransactItems": self.items()});
        if let Some(token) = &self.token {
            request["ClientRequestToken"] = json!(token);
        }
        self.report.parameter(&mut request);
        request
    }

    fn outcome(&self, database: &Database, view: View) -> Outcome {
        let faults: Vec<Option<Refusal>> =
            self.writes.iter().map(|write| write.check().err().map(Refusal::Invalid)).collect();
        let empty_key = faults.iter().flatten().find_map(|fault| match fault {
            Refusal::Invalid(text) if text.contains("empty binary value") => Some(text),
            _ => None,
        });
        if let Some(text) = empty_key {
            return Outcome::invalid(text);
        }
        if faults.iter().any(Option::is_some) {
            return cancelled(faults.iter().map(|fault| reason(fault.as_ref())).collect());
        }
        if !is_distinct(self.writes.iter().map(|write| (write.table, write.key())).collect()) {
            return Outcome::invalid(TWICE);
        }
        match self.token.as_ref().and_then(|token| database.tokens.get(token)) {
            None => self.decided(database, view),
            Some(items) if *items == self.items() => self.replayed(database),
            Some(_) => {
                let error = "com.amazonaws.dynamodb.v20120810#IdempotentParameterMismatchException";
                Outcome::refusal(error, "Message", MISMATCH)
            }
        }
    }

    fn sort(&self, answer: &mut Json) {
        sort_consumed(answer);
    }
}

pub struct TransactGet {
    pub gets: Vec<(usize, Key, Option<Vec<Path>>)>,
    pub report: Report,
}

impl Operation for TransactGet {
    fn name(&self) -> &'static str {
        "TransactGetItems"
    }

    fn parameters(&self) -> Json {
        let gets = self.gets.iter().map(|(table, key, projection)| {
            let schema = schema(*table);
            let mut get = json!({"TableName": schema.name, "Key": sent(&schema.key_item(key))});
            projection_parameters(projection.as_deref(), &mut get);
            json!({"Get": get})
        });
        let mut request = json!({"TransactItems": gets.collect::<Vec<_>>()});
        self.report.parameter(&mut request);
        request
    }

    fn outcome(&self, database: &Database, _: View) -> Outcome {
        if !is_distinct(self.gets.iter().map(|(table, key, _)| (table, key)).collect()) {
            return Outcome::invalid(TWICE);
        }
        let mut halves: [Option<Halves>; TABLE_COUNT] = Default::default();
        let mut responses = Vec::new();
        for (table, key, projection) in &self.gets {
            let item = database.get(*table, key);
            let read = Halves::read(item.map_or(0, item_size), true).of_transaction();
            halves[*table].get_or_insert_default().add(read);
            // A projection that picks nothing leaves `Item` out.
            let shown = item.map(|item| shown(item, projection.as_deref())).filter(|shown| !shown.is_empty());
            responses.push(shown.map_or_else(|| json!({}), |shown| json!({"Item": answered(&shown)})));
        }
        let mut answer = json!({"Responses": responses});
        consumed_of_tables(self.report, halves, Some("ReadCapacityUnits"), &mut answer);
        Outcome::success(answer)
    }

    fn sort(&self, answer: &mut Json) {
        sort_consumed(answer);
    }
}
