//! The server against a model: random operations of all kinds by concurrent clients, every answer compared in full,
//! every table and index compared at rest, the server killed at random moments in between.
//!
//! ```text
//! start --> settle --------> audit --------> load ------------------------------------> kill --+
//!   ^       what was in      tables and      owners of keys: every answer is foretold          |
//!   |       doubt, happened  indexes equal   registers: what was seen is linearizable          |
//!   |       or did not       the model       an index is created and deleted                   |
//!   +------------------------------------------------------------------------------------------+
//! ```
//!
//! `MODEL_SEED`, `MODEL_STEPS` and `MODEL_KILLS` choose the seed, how many requests there are in all and how often the
//! server is killed meanwhile; `make model-test` sets them. A seed repeats the requests of each client, not the moments
//! at which they meet.

/// At rest: server and model hold the same.
mod audit;

/// Reads by key, and batches.
mod batch;

/// ConsumedCapacity.
mod capacity;

/// A client that owns keys.
mod client;

/// Tables in memory.
mod database;

/// Conditions and projections.
mod expression;

/// Random operations.
mod generate;

/// The checker of linearizability.
mod history;

/// Query and Scan.
mod page;

/// Clients that share keys.
mod registers;

/// Tables and indexes.
mod schema;

/// Transactions.
mod transaction;

/// Updates.
mod update;

/// Attribute values.
mod value;

/// Single writes.
mod write;

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;

use self::audit::{audit, settled_view, union};
use self::client::{Client, Died, Tally};
use self::database::View;
use self::registers::Registers;
use self::schema::{LATE, SCHEMAS, SORTED};
use crate::harness::Server;
use crate::http::Connection;
use crate::random::{Random, environment};

/// By turns: room for everything, memory tables that go to the disk again and again, no cache of items.
const FLAGS: [&[&str]; 3] = [
    &["--durability", "sync"],
    &["--durability", "os", "--hot-cache", "1MB", "--block-cache", "1MB", "--memtable", "1MB"],
    &["--durability", "interval=5", "--hot-cache", "0"],
];

/// Clients that own keys, and as many that share registers.
const CLIENT_COUNT: u8 = 8;

fn create_tables(connection: &mut Connection) {
    for definition in SCHEMAS.iter().map(schema::Schema::definition).chain(registers::definitions()) {
        connection.call("CreateTable", &definition.to_string());
    }
}

/// Creates and deletes an index of a table in use, again and again.
fn alter(connection: &mut Connection, mut view: View, done: &AtomicU64, limit: u64) -> Result<(), Died> {
    while done.load(Ordering::Relaxed) < limit {
        let table = schema::SCHEMAS[SORTED].name;
        let request = match view {
            View::Plain => {
                let definitions = schema::attribute_definitions(LATE.key_names().collect());
                json!({"TableName": table, "AttributeDefinitions": definitions,
                    "GlobalSecondaryIndexUpdates": [{"Create": LATE.definition()}]})
            }
            View::WithLate => {
                json!({"TableName": table, "GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": LATE.name}}]})
            }
        };
        let (status, answer) = connection.attempt("UpdateTable", &request).ok_or(Died)?;
        assert_eq!(status, 200, "{answer}");
        let is_created = |table: &serde_json::Value| {
            let indexes = table["GlobalSecondaryIndexes"].as_array().unwrap();
            indexes.iter().all(|index| index["IndexStatus"] == "ACTIVE")
        };
        loop {
            thread::sleep(Duration::from_millis(1));
            let (_, answer) = connection.attempt("DescribeTable", &json!({"TableName": table})).ok_or(Died)?;
            if is_created(&answer["Table"]) {
                break;
            }
        }
        view = if view == View::Plain { View::WithLate } else { View::Plain };
    }
    Ok(())
}

/// One life of the server under load, until `limit` requests are done in all; then it is killed if `is_last` is not
/// set.
fn load(
    server: &Server,
    (clients, registers): (&mut [Client], &Registers),
    view: View,
    random: &mut Random,
    done: &AtomicU64,
    (limit, is_last): (u64, bool),
) {
    // Clients stop by themselves in the last life only.
    let stop = if is_last { limit } else { u64::MAX };
    thread::scope(|scope| {
        let mut threads = Vec::new();
        for (number, client) in clients.iter_mut().enumerate() {
            let (mut connection, mut other) = (server.connect(), server.connect());
            threads.push(scope.spawn(move || client.run(&mut connection, done, stop)));
            let random = Random(random.next());
            threads.push(scope.spawn(move || registers.run(number, random, &mut other, done, stop)));
        }
        let mut connection = server.connect();
        let altering = scope.spawn(move || alter(&mut connection, view, done, stop));
        // A client that ends early has found a difference.
        while done.load(Ordering::Relaxed) < limit && !threads.iter().any(|thread| thread.is_finished()) {
            thread::sleep(Duration::from_micros(200));
        }
        if !is_last {
            thread::sleep(Duration::from_micros(random.below(3000)));
            server.signal("KILL");
        }
        let died = threads.into_iter().map(|thread| thread.join().expect("no client found a difference").is_err());
        assert!(died.collect::<Vec<_>>().iter().all(|died| *died != is_last));
        altering.join().expect("the index comes and goes").ok();
    });
}

/// The state in which the server is at rest, compared with what the clients know.
fn compare(server: &Server, clients: &mut [Client], registers: &mut Registers, random: &mut Random) -> (View, usize) {
    let mut connection = server.connect();
    for client in clients.iter_mut() {
        client.settle(&mut connection);
    }
    let explained = registers.check(&mut connection, usize::from(CLIENT_COUNT));
    let view = settled_view(&mut connection);
    audit(&mut connection, &union(clients), view, random);
    (view, explained)
}

#[test]
fn the_server_answers_as_the_model_and_keeps_what_it_answered() {
    let seed = environment("MODEL_SEED", 1);
    let (steps, kills) = (environment("MODEL_STEPS", 4000), environment("MODEL_KILLS", 3));
    println!("MODEL_SEED={seed} MODEL_STEPS={steps} MODEL_KILLS={kills}");
    let mut random = Random(seed);
    let directory = tempfile::tempdir().unwrap();
    let mut clients: Vec<Client> = (0..CLIENT_COUNT).map(|number| Client::new(number, random.next())).collect();
    let mut registers = Registers::default();
    let (done, mut explained) = (AtomicU64::new(0), 0);
    for life in 0..=kills {
        let server = Server::start_in(directory.path(), FLAGS[life as usize % FLAGS.len()]);
        if life == 0 {
            create_tables(&mut server.connect());
        }
        let (view, explained_now) = compare(&server, &mut clients, &mut registers, &mut random);
        explained += explained_now;
        let limit = steps * (life + 1) / (kills + 1);
        load(&server, (&mut clients, &registers), view, &mut random, &done, (limit, life == kills));
        if life == kills {
            explained += compare(&server, &mut clients, &mut registers, &mut random).1;
            assert_eq!(server.terminate().code(), Some(0));
        } else {
            server.wait();
        }
    }
    println!("{} requests, {explained} linearized, {kills} kills", done.load(Ordering::Relaxed));
    let mut tally = Tally::new();
    for (outcome, count) in clients.iter().flat_map(|client| &client.tally) {
        *tally.entry(*outcome).or_default() += count;
    }
    println!("{tally:?}");
    for refused in ["PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"] {
        assert!([200, 400].iter().all(|status| tally.contains_key(&(refused, *status))), "{refused} both ways");
    }
}
