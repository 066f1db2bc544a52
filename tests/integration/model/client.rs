//! A client that owns some keys: it knows every answer about them, whatever others do meanwhile.
//!
//! ```text
//!             answer as the model foretold            no answer: the server died
//! step --> call --------------------------> applied   call ------------------> in doubt
//!                                              ^                                  |
//!                                              |   settle, after the restart: all or nothing is there
//!                                              +----------------------------------+
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value as Json, json};

use super::batch::Get;
use super::capacity::Report;
use super::database::{Change, Database, Operation, View, schema};
use super::generate::Generator;
use super::page::{Page, Scan};
use super::transaction::TransactWrite;
use super::value::{Item, answered, sort_sets};
use crate::http::Connection;
use crate::random::Random;

/// Transactions whose tokens a client may send again.
const RECENT_COUNT_MAX: usize = 4;

pub struct Client {
    pub generator: Generator,
    pub database: Database,
    /// How often each operation was answered with each status.
    pub tally: Tally,
    recent: VecDeque<TransactWrite>,
    doubt: Option<Doubt>,
}

pub type Tally = BTreeMap<(&'static str, u16), u64>;

/// What was on its way when the server died.
#[derive(Default)]
struct Doubt {
    changes: Vec<Change>,
    atomic: bool,
    transaction: Option<TransactWrite>,
}

/// The server died before its answer.
pub struct Died;

impl Client {
    pub fn new(number: u8, seed: u64) -> Client {
        let generator = Generator { random: Random(seed), client: number };
        let (database, recent) = (Database::default(), VecDeque::new());
        Client { generator, database, tally: Tally::new(), recent, doubt: None }
    }

    /// Operations until the server dies or `limit` is reached by all clients together.
    pub fn run(&mut self, connection: &mut Connection, done: &AtomicU64, limit: u64) -> Result<(), Died> {
        while done.load(Ordering::Relaxed) < limit {
            self.step(connection, done)?;
        }
        Ok(())
    }

    fn step(&mut self, connection: &mut Connection, done: &AtomicU64) -> Result<(), Died> {
        let generator = &mut self.generator;
        let operation: Box<dyn Operation> = match generator.random.below(100) {
            0..40 => Box::new(generator.item_write()),
            40..50 => Box::new(generator.get()),
            50..57 => Box::new(generator.batch_write()),
            57..62 => Box::new(generator.batch_get()),
            62..75 => return self.transact(connection, done),
            75..80 => Box::new(generator.transact_get()),
            80..98 => return self.query(connection, done),
            _ => return self.census(connection, done),
        };
        self.call(connection, &*operation, done)
    }

    /// Calls an operation, compares the answer with the model's, and changes the model.
    fn call(&mut self, connection: &mut Connection, operation: &dyn Operation, done: &AtomicU64) -> Result<(), Died> {
        let outcome = operation.outcome(&self.database, View::Plain);
        let parameters = operation.parameters();
        let Some((status, mut answer)) = connection.attempt(operation.name(), &parameters) else {
            self.doubt = Some(Doubt { changes: outcome.changes, atomic: outcome.atomic, transaction: None });
            return Err(Died);
        };
        sort_sets(&mut answer);
        operation.sort(&mut answer);
        if (status, &answer) != (outcome.status, &outcome.answer) {
            // With the index that comes and goes, a write costs more.
            let with_late = operation.outcome(&self.database, View::WithLate);
            assert!(
                (status, &answer) == (with_late.status, &with_late.answer),
                "client {}: {} {parameters}\nanswered {status} {answer}\nand not  {} {}",
                self.generator.client,
                operation.name(),
                outcome.status,
                outcome.answer
            );
        }
        outcome.changes.into_iter().for_each(|change| self.database.apply(change));
        self.database.tokens.extend(outcome.token);
        *self.tally.entry((operation.name(), status)).or_default() += 1;
        done.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// A new transaction, or one of the last again: as it was, or with something else under its token.
    fn transact(&mut self, connection: &mut Connection, done: &AtomicU64) -> Result<(), Died> {
        let random = &mut self.generator.random;
        let repeated = (!self.recent.is_empty() && random.once_in(4))
            .then(|| self.recent[random.below(self.recent.len() as u64) as usize].clone());
        let mut transaction = self.generator.transact_write();
        if let Some(repeated) = repeated {
            let is_changed = self.generator.random.once_in(4);
            let report = self.generator.report();
            transaction = if is_changed { TransactWrite { token: repeated.token, ..transaction } } else { repeated };
            transaction.report = report;
        }
        if transaction.token.is_some() {
            self.recent.push_back(transaction.clone());
            if self.recent.len() > RECENT_COUNT_MAX {
                self.recent.pop_front();
            }
        }
        let result = self.call(connection, &transaction, done);
        if let Some(doubt) = &mut self.doubt {
            doubt.transaction = Some(transaction);
        }
        result
    }

    /// A Query, page after page to its end.
    fn query(&mut self, connection: &mut Connection, done: &AtomicU64) -> Result<(), Died> {
        let mut next = Some(self.generator.query());
        while let Some(query) = next {
            self.call(connection, &query, done)?;
            next = query.next(&self.database).filter(|_| query.outcome(&self.database, View::Plain).status == 200);
        }
        Ok(())
    }

    /// A Scan of a table or an index, by pages and segments, that finds the items of this client.
    fn census(&mut self, connection: &mut Connection, done: &AtomicU64) -> Result<(), Died> {
        let source = self.generator.source();
        let filter = self.generator.mine(source.table);
        let segments = 1 + self.generator.random.below(3);
        let limit = Some(20 + self.generator.random.below(80) as usize);
        let page = Page { filter: Some(filter), limit, ..Page::all(source) };
        let mut found = Vec::new();
        for segment in 0..segments {
            let segment = (segments > 1).then_some((segment, segments));
            let mut scan = Scan { page: page.clone(), segment, start: None };
            loop {
                let Some((status, mut answer)) = connection.attempt("Scan", &scan.parameters()) else {
                    self.doubt = Some(Doubt::default());
                    return Err(Died);
                };
                done.fetch_add(1, Ordering::Relaxed);
                sort_sets(&mut answer);
                assert_eq!(status, 200, "{answer}");
                let items = answer["Items"].as_array().unwrap();
                assert_eq!(answer["Count"], json!(items.len()));
                let is_full = answer["ScannedCount"] == json!(limit);
                found.extend(items.iter().cloned());
                scan.start = answer.get("LastEvaluatedKey").cloned();
                assert!(!is_full || scan.start.is_some(), "a full page says where the next one begins");
                if scan.start.is_none() {
                    break;
                }
            }
        }
        let expected = source.items(&self.database).into_iter().filter_map(|item| source.row(item));
        let mut expected: Vec<Json> = expected.map(|row| answered(&row)).collect();
        expected.sort_by_key(Json::to_string);
        found.sort_by_key(Json::to_string);
        assert_eq!(found, expected, "client {}: what a Scan in {segments} segments finds", self.generator.client);
        Ok(())
    }

    /// After a restart: finds out whether what was in doubt happened, and takes it into the model.
    pub fn settle(&mut self, connection: &mut Connection) {
        let Some(doubt) = self.doubt.take() else { return };
        let visible = |change: &Change| self.database.get(change.table, &change.key) != change.new.as_ref();
        let changes: Vec<Change> = doubt.changes.into_iter().filter(visible).collect();
        let happened: Vec<bool> = changes.iter().map(|change| self.has_happened(change, connection)).collect();
        let any_happened = happened.contains(&true);
        assert!(!doubt.atomic || !any_happened || !happened.contains(&false), "half of this happened: {changes:?}");
        for (change, _) in changes.into_iter().zip(happened).filter(|(_, happened)| *happened) {
            self.database.apply(change);
        }
        let Some(mut transaction) = doubt.transaction.filter(|transaction| transaction.token.is_some()) else { return };
        if any_happened {
            self.database.tokens.extend(transaction.token_record());
        }
        // Sent again, it must have happened once. Without a report, because a transaction that changed nothing answers
        // alike whether it is known by its token or not.
        transaction.report = Report::None;
        assert!(self.call(connection, &transaction, &AtomicU64::new(0)).is_ok(), "the server died again");
    }

    fn has_happened(&self, change: &Change, connection: &mut Connection) -> bool {
        let (table, key) = (change.table, change.key.clone());
        let get = Get { table, key, consistent: true, projection: None, report: Report::None };
        let Some((_, mut answer)) = connection.attempt("GetItem", &get.parameters()) else { panic!("the server died") };
        sort_sets(&mut answer);
        let shown = |item: Option<&Item>| item.map_or_else(|| json!({}), |item| json!({"Item": answered(item)}));
        let old = self.database.get(change.table, &change.key);
        let happened = answer == shown(change.new.as_ref());
        assert!(happened || answer == shown(old), "after a kill {answer} is neither {old:?} nor {:?}", change.new);
        happened
    }
}

#[test]
fn the_items_of_clients_are_apart() {
    let mut items = Vec::new();
    for number in 0..8 {
        let mut generator = Generator { random: Random(1), client: number };
        for _ in 0..200 {
            items.push((number, generator.item_write().write));
        }
    }
    for (owner, write) in &items {
        let key = schema(write.table).key_item(&write.key());
        for number in 0..8 {
            let mine = Generator { random: Random(1), client: number }.mine(write.table);
            assert_eq!(mine.holds(&key), number == *owner, "{key:?}");
        }
    }
}
