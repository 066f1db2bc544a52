//! Contended items: clients read, replace, count, swap and delete a few registers, alone and in transactions over two
//! tables. What they saw must be linearizable, kills included: single operations and transactions in one order, which
//! for transactions is strict serializability.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value as Json, json};

use super::client::Died;
use super::history::{Observed, Record, linearize};
use crate::http::Connection;
use crate::random::Random;

const TABLES: [&str; 2] = ["left", "right"];

/// The first half is in the first table.
const COUNT: usize = 6;

/// The value of each register that there is.
pub type State = [Option<i64>; COUNT];

pub fn definitions() -> impl Iterator<Item = Json> {
    TABLES.iter().map(|name| {
        json!({"TableName": name, "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "N"}],
            "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}]})
    })
}

#[derive(Clone, Copy, Debug)]
enum Action {
    Read,
    Put(i64),
    Add(i64),
    Delete,
    /// Only in a transaction: the condition alone.
    Check,
}

#[derive(Clone, Copy, Debug)]
struct Step {
    register: usize,
    action: Action,
    /// What the register must hold, if that matters.
    condition: Option<Option<i64>>,
}

/// What one step's client saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// The value read, replaced or deleted, or the sum.
    Value(Option<i64>),
    /// A failed condition, with the value that failed it.
    Refused(Option<i64>),
    /// A step of a transaction that wrote, or that did not stand in the way of one that was cancelled.
    Nothing,
}

#[derive(Clone, Debug)]
pub struct Operation {
    steps: Vec<Step>,
    is_transaction: bool,
    /// None if the server died first.
    seen: Option<Vec<Seen>>,
}

impl Operation {
    fn run(&self, state: &State) -> (State, Vec<Seen>) {
        let holds = |step: &Step| step.condition.is_none_or(|wanted| state[step.register] == wanted);
        let is_refused = !self.steps.iter().all(holds);
        let mut after = *state;
        let mut seen = Vec::new();
        for step in &self.steps {
            let old = state[step.register];
            if is_refused {
                seen.push(if holds(step) { Seen::Nothing } else { Seen::Refused(old) });
                continue;
            }
            let new = match step.action {
                Action::Read | Action::Check => old,
                Action::Put(value) => Some(value),
                Action::Add(amount) => Some(old.unwrap_or(0) + amount),
                Action::Delete => None,
            };
            after[step.register] = new;
            seen.push(match step.action {
                Action::Read => Seen::Value(old),
                _ if self.is_transaction => Seen::Nothing,
                Action::Add(_) => Seen::Value(new),
                _ => Seen::Value(old),
            });
        }
        (after, seen)
    }

    fn request(&self) -> (&'static str, Json) {
        let is_read = matches!(self.steps[0].action, Action::Read);
        match self.is_transaction {
            true if is_read => {
                let gets = self.steps.iter().map(|step| json!({"Get": step.target()}));
                ("TransactGetItems", json!({"TransactItems": gets.collect::<Vec<_>>()}))
            }
            true => {
                let actions = self.steps.iter().map(|step| json!({step.member(): step.parameters()}));
                ("TransactWriteItems", json!({"TransactItems": actions.collect::<Vec<_>>()}))
            }
            false => {
                let step = &self.steps[0];
                let mut request = step.parameters();
                match step.action {
                    Action::Read => request["ConsistentRead"] = json!(true),
                    Action::Add(_) => request["ReturnValues"] = json!("UPDATED_NEW"),
                    _ => request["ReturnValues"] = json!("ALL_OLD"),
                }
                (step.operation(), request)
            }
        }
    }

    /// Reads what an answer says of each step.
    fn read_answer(&self, status: u16, answer: &Json) -> Vec<Seen> {
        let value = |item: &Json| item["v"]["N"].as_str().map(|number| number.parse().unwrap());
        if status == 200 {
            let of_step = |(position, step): (usize, &Step)| match (step.action, self.is_transaction) {
                (Action::Read, true) => Seen::Value(value(&answer["Responses"][position]["Item"])),
                (Action::Read, false) => Seen::Value(value(&answer["Item"])),
                (_, true) => Seen::Nothing,
                (_, false) => Seen::Value(value(&answer["Attributes"])),
            };
            return self.steps.iter().enumerate().map(of_step).collect();
        }
        let error = answer["__type"].as_str().unwrap();
        if !self.is_transaction {
            assert!(error.ends_with("#ConditionalCheckFailedException"), "{answer}");
            return vec![Seen::Refused(value(&answer["Item"]))];
        }
        assert!(error.ends_with("#TransactionCanceledException"), "{answer}");
        let reasons = answer["CancellationReasons"].as_array().unwrap();
        let of_reason = |reason: &Json| match reason["Code"].as_str() {
            Some("None") => Seen::Nothing,
            Some("ConditionalCheckFailed") => Seen::Refused(value(&reason["Item"])),
            _ => panic!("{answer}"),
        };
        reasons.iter().map(of_reason).collect()
    }
}

impl Observed<State> for Operation {
    fn happen(&self, state: &State) -> Option<State> {
        let (after, seen) = self.run(state);
        self.seen.as_ref().is_none_or(|observed| *observed == seen).then_some(after)
    }
}

impl Step {
    fn operation(&self) -> &'static str {
        match self.action {
            Action::Read => "GetItem",
            Action::Put(_) => "PutItem",
            Action::Add(_) => "UpdateItem",
            Action::Delete => "DeleteItem",
            Action::Check => unreachable!("a check stands in a transaction"),
        }
    }

    fn member(&self) -> &'static str {
        match self.action {
            Action::Read => "Get",
            Action::Put(_) => "Put",
            Action::Add(_) => "Update",
            Action::Delete => "Delete",
            Action::Check => "ConditionCheck",
        }
    }

    fn target(&self) -> Json {
        let table = TABLES[self.register / (COUNT / TABLES.len())];
        json!({"TableName": table, "Key": {"k": {"N": self.register.to_string()}}})
    }

    fn parameters(&self) -> Json {
        let mut request = self.target();
        let number = |value: i64| json!({"N": value.to_string()});
        match self.action {
            Action::Put(value) => {
                let key = request["Key"].take();
                request = json!({"TableName": request["TableName"], "Item": {"k": key["k"], "v": number(value)}});
            }
            Action::Add(amount) => {
                request["UpdateExpression"] = json!("ADD v :amount");
                request["ExpressionAttributeValues"] = json!({":amount": number(amount)});
            }
            Action::Read | Action::Delete | Action::Check => {}
        }
        match self.condition {
            None => return request,
            Some(None) => request["ConditionExpression"] = json!("attribute_not_exists(v)"),
            Some(Some(wanted)) => {
                request["ConditionExpression"] = json!("v = :wanted");
                request["ExpressionAttributeValues"][":wanted"] = number(wanted);
            }
        }
        request["ReturnValuesOnConditionCheckFailure"] = json!("ALL_OLD");
        request
    }
}

/// The registers, and everything that was done to them since they were last read with nobody else at work.
#[derive(Default)]
pub struct Registers {
    state: State,
    clock: AtomicU64,
    history: Mutex<Vec<Record<Operation>>>,
}

impl Registers {
    /// Operations of one client until the server dies or `limit` is reached by all clients together.
    pub fn run(
        &self,
        client: usize,
        mut random: Random,
        connection: &mut Connection,
        done: &AtomicU64,
        limit: u64,
    ) -> Result<(), Died> {
        // What it saw last of each register: conditions that expect it hold often enough.
        let mut known = self.state;
        while done.load(Ordering::Relaxed) < limit {
            let operation = random_operation(&mut random, &known);
            let operation = self.call(client, operation, connection)?;
            for (step, seen) in operation.steps.iter().zip(operation.seen.iter().flatten()) {
                match seen {
                    Seen::Value(value) | Seen::Refused(value) => known[step.register] = *value,
                    Seen::Nothing => {}
                }
            }
            done.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn call(&self, client: usize, mut operation: Operation, connection: &mut Connection) -> Result<Operation, Died> {
        let (name, request) = operation.request();
        let called = self.clock.fetch_add(1, Ordering::SeqCst);
        let answer = connection.attempt(name, &request);
        let returned = answer.as_ref().map(|_| self.clock.fetch_add(1, Ordering::SeqCst));
        operation.seen = answer.map(|(status, answer)| operation.read_answer(status, &answer));
        let record = Record { client, called, returned, operation: operation.clone() };
        self.history.lock().unwrap().push(record);
        returned.map(|_| operation).ok_or(Died)
    }

    /// With no client at work: reads all registers and judges the history up to here. Returns how many operations it
    /// explained.
    pub fn check(&mut self, connection: &mut Connection, client: usize) -> usize {
        let step = |register| Step { register, action: Action::Read, condition: None };
        let operation = Operation { steps: (0..COUNT).map(step).collect(), is_transaction: true, seen: None };
        let Ok(operation) = self.call(client, operation, connection) else { panic!("the server died") };
        let history = std::mem::take(self.history.get_mut().unwrap());
        linearize(self.state, &history).unwrap_or_else(|record| {
            let around = |other: &&Record<Operation>| other.called.abs_diff(record.called) < 60;
            let around: Vec<String> = history.iter().filter(around).map(|record| format!("{record:?}")).collect();
            panic!("not linearizable at {record:?}, from {:?} with\n{}", self.state, around.join("\n"))
        });
        for (value, seen) in self.state.iter_mut().zip(operation.seen.unwrap()) {
            let Seen::Value(read) = seen else { panic!("a read was refused") };
            *value = read;
        }
        history.len()
    }
}

fn random_operation(random: &mut Random, known: &State) -> Operation {
    let is_transaction = random.once_in(3);
    let first = random.below(COUNT as u64) as usize;
    let count = if is_transaction { 2 + random.below(3) as usize } else { 1 };
    let is_read = random.once_in(3);
    let step = |register: usize| {
        let condition = random.once_in(3).then(|| known[register]);
        let action = match random.below(6) {
            _ if is_read => Action::Read,
            0 if is_transaction && condition.is_some() => Action::Check,
            0 | 1 => Action::Put(random.below(1_000_000) as i64),
            2 => Action::Delete,
            _ => Action::Add(random.below(100) as i64 - 50),
        };
        Step { register, action, condition: condition.filter(|_| !is_read) }
    };
    let steps = (first..first + count).map(|register| register % COUNT).map(step).collect();
    Operation { steps, is_transaction, seen: None }
}
