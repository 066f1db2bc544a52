//! What tests of operations run in: a database without sockets.

use std::sync::{Arc, Condvar, Mutex};

use bumpalo::Bump;

use crate::clock::Clock;
use crate::model::arn::Location;
use crate::model::fixture::table_definition;
use crate::operation::{
    Mailbox, Operation, Outcome, PendingWrite, Place, RequestMemory, Response, Service, Step, Wake, Worker,
};
use crate::storage::{Durability, Error, Store, StoreOptions};

/// A service over a store in a temporary directory, with one worker: what a loop and the pool do, on one thread.
pub struct Database {
    worker: Worker,
    mailbox: Arc<Outbox>,
    directory: tempfile::TempDir,
}

/// Where committed writes arrive.
#[derive(Default)]
struct Outbox {
    finished: Mutex<Option<(Box<PendingWrite>, Outcome)>>,
    arrived: Condvar,
}

impl Wake for Outbox {
    fn wake(&self) {
        self.arrived.notify_all();
    }
}

impl Mailbox for Outbox {
    fn push(&self, _: u64, write: Box<PendingWrite>, outcome: Outcome) {
        *self.finished.lock().unwrap() = Some((write, outcome));
    }
}

impl Database {
    fn open(directory: tempfile::TempDir, clock: Clock) -> Database {
        let store = Store::open(&StoreOptions {
            path: directory.path().join("data"),
            durability: Durability::Os,
            hot_cache_bytes: 1 << 20,
            block_cache_bytes: 8 << 20,
            disk_reserve_bytes: 0,
            recover_damaged_log: false,
            memtable_bytes: 8 << 20,
            statistics: false,
        })
        .unwrap();
        let location = Location { region: "us-east-1".into(), account: "000000000000".into() };
        let service = Service { store, location, endpoint: "127.0.0.1:8002".into(), clock };
        Database { worker: Worker::new(Arc::new(service)), mailbox: Arc::default(), directory }
    }

    /// A database with the tables `hashed` (S `p`) and `sorted` (S `p`, N `r`; a local index `by_l` on N `l`, keys
    /// only; a global index `by_g` on S `g`, with `x` included).
    pub fn with_tables() -> Database {
        Database::with_tables_at(Clock::System)
    }

    /// The same with a clock of the test's.
    pub fn with_tables_at(clock: Clock) -> Database {
        let mut database = Database::open(tempfile::tempdir().unwrap(), clock);
        let hashed = r#"{"TableName":"hashed","BillingMode":"PAY_PER_REQUEST",
            "AttributeDefinitions":[{"AttributeName":"p","AttributeType":"S"}],
            "KeySchema":[{"AttributeName":"p","KeyType":"HASH"}]}"#;
        let sorted = r#"{"TableName":"sorted","BillingMode":"PAY_PER_REQUEST",
            "AttributeDefinitions":[{"AttributeName":"p","AttributeType":"S"},{"AttributeName":"r","AttributeType":"N"},
                {"AttributeName":"l","AttributeType":"N"},{"AttributeName":"g","AttributeType":"S"}],
            "KeySchema":[{"AttributeName":"p","KeyType":"HASH"},{"AttributeName":"r","KeyType":"RANGE"}],
            "LocalSecondaryIndexes":[{"IndexName":"by_l","Projection":{"ProjectionType":"KEYS_ONLY"},
                "KeySchema":[{"AttributeName":"p","KeyType":"HASH"},{"AttributeName":"l","KeyType":"RANGE"}]}],
            "GlobalSecondaryIndexes":[{"IndexName":"by_g","Projection":{"ProjectionType":"INCLUDE",
                "NonKeyAttributes":["x"]},"KeySchema":[{"AttributeName":"g","KeyType":"HASH"}]}]}"#;
        for table in [hashed, sorted] {
            let (status, body) = database.call("CreateTable", table);
            assert_eq!(status, 200, "{body}");
        }
        database
    }

    /// Leaves indexes being created as they are until a restart.
    pub fn stop_backfill(&self) {
        self.worker.service().store.stop_backfill();
    }

    /// Creates so many tables more, all at once.
    pub fn add_tables(&self, count: usize) {
        let created = self.worker.service().store.alter(move |draft| {
            for number in 0..count {
                draft.create(table_definition(&format!("more{number}"), &[("p", 'S')], &[]))?;
            }
            Ok::<(), Error>(())
        });
        created.unwrap();
    }

    /// Closes the store and opens it again.
    pub fn restart(self) -> Database {
        let Database { worker, directory, .. } = self;
        let clock = worker.service().clock.clone();
        drop(worker);
        Database::open(directory, clock)
    }

    /// Runs one request to its end.
    pub fn call(&mut self, operation: &str, body: &str) -> (u16, String) {
        let operation = Operation::find(operation).unwrap();
        let mut memory = Box::new(RequestMemory { body: body.into(), arena: Bump::new() });
        let mut response = Response::default();
        for place in [Place::Loop, Place::Pool] {
            match self.worker.execute(operation, memory, place, &mut response) {
                Step::Respond(_) => break,
                Step::Block(lent) => memory = lent,
                Step::Commit(write) => {
                    let (mut write, mut outcome) = self.commit(write);
                    if matches!(outcome, Outcome::Cold) {
                        self.worker.service().warm(&mut write).unwrap();
                        (write, outcome) = self.commit(write);
                    }
                    self.worker.finish(*write, outcome, &mut response);
                    break;
                }
            }
        }
        (response.status, String::from_utf8(response.body).unwrap())
    }

    fn commit(&self, write: Box<PendingWrite>) -> (Box<PendingWrite>, Outcome) {
        let (mailbox, waker): (Arc<dyn Mailbox>, Arc<dyn Wake>) = (self.mailbox.clone(), self.mailbox.clone());
        let submitted = self.worker.service().submit(write, &mailbox, &waker, 0);
        assert!(submitted.is_ok(), "the queue has room");
        let mut finished = self.mailbox.finished.lock().unwrap();
        loop {
            match finished.take() {
                Some(result) => return result,
                None => finished = self.mailbox.arrived.wait(finished).unwrap(),
            }
        }
    }

    /// Runs a request that is to succeed with exactly this answer.
    pub fn answers(&mut self, operation: &str, body: &str, expected: &str) {
        let (status, answer) = self.call(operation, body);
        assert_eq!((status, answer.as_str()), (200, expected), "{operation} {body}");
    }

    /// Runs a request that is to fail with this type and text.
    pub fn refuses(&mut self, operation: &str, body: &str, kind: &str, text: &str) {
        let (status, answer) = self.call(operation, body);
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        let actual_kind = answer["__type"].as_str().unwrap().split('#').nth(1).unwrap().to_owned();
        let actual_text = answer.get("message").or(answer.get("Message")).and_then(|text| text.as_str()).unwrap_or("");
        assert_eq!((status, actual_kind.as_str(), actual_text), (400, kind, text), "{operation} {body}");
    }

    /// Puts items into a table.
    pub fn fill(&mut self, table: &str, items: &[&str]) {
        for item in items {
            self.answers("PutItem", &format!(r#"{{"TableName":"{table}","Item":{item}}}"#), "{}");
        }
    }
}
