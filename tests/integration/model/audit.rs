//! While no client works: every table and every index holds what the model says, in an order that pages and segments
//! keep, and DescribeTable counts what is there.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::client::Client;
use super::database::{Database, View, schema};
use super::generate::Generator;
use super::page::{Page, Scan, Source};
use super::schema::{LATE, SORTED, TABLE_COUNT};
use super::value::{Item, answered, item_size, sort_sets};
use crate::http::Connection;
use crate::random::Random;

/// Bounds how long a broken server is waited for.
const BACKFILL_TIMEOUT: Duration = Duration::from_secs(60);

/// Everything that all clients know.
pub fn union(clients: &[Client]) -> Database {
    let mut all = Database::default();
    for client in clients {
        for (table, items) in all.tables.iter_mut().zip(&client.database.tables) {
            table.extend(items.clone());
        }
    }
    all
}

pub fn describe(connection: &mut Connection, table: usize) -> Json {
    let request = json!({"TableName": schema(table).name});
    connection.call("DescribeTable", &request.to_string())["Table"].take()
}

/// Whether a table has the index that comes and goes, once it is no longer being created.
pub fn settled_view(connection: &mut Connection) -> View {
    let deadline = Instant::now() + BACKFILL_TIMEOUT;
    loop {
        let table = describe(connection, SORTED);
        let indexes = table["GlobalSecondaryIndexes"].as_array().unwrap();
        match indexes.iter().find(|index| index["IndexName"] == LATE.name).map(|index| &index["IndexStatus"]) {
            None => return View::Plain,
            Some(status) if status == "ACTIVE" => return View::WithLate,
            Some(_) => assert!(Instant::now() < deadline, "the index is not filled: {table}"),
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Compares the server with the model; `view` says which indexes there are.
pub fn audit(connection: &mut Connection, database: &Database, view: View, random: &mut Random) {
    // No client: only its pages are used, which fit the items of whom they may.
    let client = random.below(8) as u8;
    let mut generator = Generator { random: Random(random.next()), client };
    for table in 0..TABLE_COUNT {
        check_description(&describe(connection, table), database, table, view);
        for index in [None].into_iter().chain(view.indexes(table).map(Some)) {
            let source = Source { table, index };
            let items = read_all(connection, database, source);
            check_order(source, &items);
            let page = Page { limit: Some(1 + generator.random.below(150) as usize), ..generator.page(source, false) };
            check_pages(connection, Scan { page, segment: None, start: None }, &items);
            check_segments(connection, &mut generator, source, &items);
        }
    }
}

fn check_description(description: &Json, database: &Database, table: usize, view: View) {
    let name = schema(table).name;
    let volume = |items: &[Item]| (items.len(), items.iter().map(item_size).sum::<usize>());
    let all: Vec<Item> = database.tables[table].values().cloned().collect();
    let (count, bytes) = volume(&all);
    assert_eq!((&description["ItemCount"], &description["TableSizeBytes"]), (&json!(count), &json!(bytes)), "{name}");
    let mut described = BTreeMap::new();
    for member in ["GlobalSecondaryIndexes", "LocalSecondaryIndexes"] {
        for index in description[member].as_array().into_iter().flatten() {
            described.insert(index["IndexName"].to_string(), (&index["ItemCount"], &index["IndexSizeBytes"]));
        }
    }
    let indexes: Vec<_> = view.indexes(table).collect();
    assert_eq!(described.len(), indexes.len(), "{name}: {described:?}");
    for index in indexes {
        let entries: Vec<Item> = all.iter().filter_map(|item| index.entry(schema(table), item)).collect();
        let (count, bytes) = volume(&entries);
        let found = described[&json!(index.name).to_string()];
        assert_eq!(found, (&json!(count), &json!(bytes)), "{name} {}", index.name);
    }
}

fn answer_of(connection: &mut Connection, scan: &Scan) -> Json {
    let mut answer = connection.call("Scan", &scan.parameters().to_string());
    sort_sets(&mut answer);
    answer
}

/// The items of a source in the order of a Scan, each found once.
fn read_all<'d>(connection: &mut Connection, database: &'d Database, source: Source) -> Vec<&'d Item> {
    let items = read_segment(connection, database, source, None);
    let mut found: Vec<_> = items.iter().map(|item| schema(source.table).key_of(item)).collect();
    found.sort();
    let expected: Vec<_> = source.items(database).into_iter().map(|item| schema(source.table).key_of(item)).collect();
    assert_eq!(found, expected, "{}", title(source));
    items
}

/// The items of a segment, each as the model has it.
fn read_segment<'d>(
    connection: &mut Connection,
    database: &'d Database,
    source: Source,
    segment: Option<(u64, u64)>,
) -> Vec<&'d Item> {
    let key_item = |item: &Item| {
        let names = schema(source.table).key_names();
        names.map(|name| (name.to_owned(), item[name].answered())).collect::<Json>().to_string()
    };
    let known: BTreeMap<String, &Item> =
        source.items(database).into_iter().map(|item| (key_item(item), item)).collect();
    let mut scan = Scan { page: Page::all(source), segment, start: None };
    let mut items = Vec::new();
    loop {
        let answer = answer_of(connection, &scan);
        for row in answer["Items"].as_array().unwrap() {
            let key: Json = schema(source.table).key_names().map(|name| (name.to_owned(), row[name].clone())).collect();
            let item = known.get(&key.to_string()).unwrap_or_else(|| panic!("{} holds {row}", title(source)));
            let expected = answered(&source.row(item).unwrap());
            assert_eq!(row, &expected, "{}", title(source));
            items.push(*item);
        }
        scan.start = answer.get("LastEvaluatedKey").cloned();
        if scan.start.is_none() {
            return items;
        }
    }
}

/// Items of one partition stand together, ordered by their sort keys.
fn check_order(source: Source, items: &[&Item]) {
    let hash = |item: &Item| source.hash_names().iter().map(|name| item[*name].clone()).collect::<Vec<_>>();
    let mut partitions: Vec<_> = items.iter().map(|item| hash(item)).collect();
    partitions.dedup();
    let count = partitions.len();
    partitions.sort();
    partitions.dedup();
    assert_eq!(partitions.len(), count, "{}: a partition in pieces", title(source));
    for pair in items.windows(2).filter(|pair| hash(pair[0]) == hash(pair[1])) {
        assert!(source.order(pair[0]) < source.order(pair[1]), "{}: {pair:?}", title(source));
    }
}

/// A Scan whose items are known, page after page.
fn check_pages(connection: &mut Connection, mut scan: Scan, items: &[&Item]) {
    let mut left = items;
    loop {
        let (expected, evaluated) = scan.page.answer(left);
        let answer = answer_of(connection, &scan);
        assert_eq!(answer, expected, "{}", scan.parameters());
        left = &left[evaluated..];
        scan.start = answer.get("LastEvaluatedKey").cloned();
        if scan.start.is_none() {
            return;
        }
    }
}

/// Segments divide the items between them and keep their order.
fn check_segments(connection: &mut Connection, generator: &mut Generator, source: Source, items: &[&Item]) {
    let count = 2 + generator.random.below(6);
    let mut all = Vec::new();
    for number in 0..count {
        let database = &of_items(source.table, items);
        let segment: Vec<Item> =
            read_segment(connection, database, source, Some((number, count))).into_iter().cloned().collect();
        let page = Page { limit: Some(1 + generator.random.below(50) as usize), ..generator.page(source, false) };
        let scan = Scan { page, segment: Some((number, count)), start: None };
        check_pages(connection, scan, &segment.iter().collect::<Vec<_>>());
        all.extend(segment);
    }
    assert!(all.iter().eq(items.iter().copied()), "{}: {count} segments", title(source));
}

fn of_items(table: usize, items: &[&Item]) -> Database {
    let mut database = Database::default();
    database.tables[table] = items.iter().map(|item| (schema(table).key_of(item), (*item).clone())).collect();
    database
}

fn title(source: Source) -> String {
    format!("{} {}", schema(source.table).name, source.index.map_or("", |index| index.name))
}
