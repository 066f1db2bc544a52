//! GetItem, BatchGetItem and BatchWriteItem.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::capacity::{Halves, Report};
use super::database::{Database, Operation, Outcome, View, schema};
use super::expression::{Path, Placeholders, project};
use super::schema::{Key, TABLE_COUNT};
use super::value::{Item, answered, item_size, sent};
use super::write::{Kind, Write};

const DUPLICATES: &str = "Provided list of item keys contains duplicates";

pub struct Get {
    pub table: usize,
    pub key: Key,
    pub consistent: bool,
    pub projection: Option<Vec<Path>>,
    pub report: Report,
}

impl Operation for Get {
    fn name(&self) -> &'static str {
        "GetItem"
    }

    fn parameters(&self) -> Json {
        let schema = schema(self.table);
        let mut request = json!({"TableName": schema.name, "Key": sent(&schema.key_item(&self.key)),
            "ConsistentRead": self.consistent});
        projection_parameters(self.projection.as_deref(), &mut request);
        self.report.parameter(&mut request);
        request
    }

    fn outcome(&self, database: &Database, _: View) -> Outcome {
        let item = database.get(self.table, &self.key);
        let mut answer = json!({});
        if let Some(item) = item {
            answer["Item"] = answered(&shown(item, self.projection.as_deref()));
        }
        let halves = Halves::read(item.map_or(0, item_size), self.consistent);
        self.report.answer(&mut answer, schema(self.table).name, &halves);
        Outcome::success(answer)
    }
}

/// Adds ProjectionExpression and its names.
pub fn projection_parameters(paths: Option<&[Path]>, request: &mut Json) {
    let Some(paths) = paths else { return };
    let mut placeholders = Placeholders::default();
    request["ProjectionExpression"] = json!(placeholders.projection(paths));
    placeholders.finish(request);
}

/// The item, or what a projection picks of it.
pub fn shown(item: &Item, projection: Option<&[Path]>) -> Item {
    projection.map_or_else(|| item.clone(), |paths| project(item, paths))
}

/// The keys of one table.
pub struct Keys {
    pub keys: Vec<Key>,
    pub consistent: bool,
    pub projection: Option<Vec<Path>>,
}

/// By table.
pub struct BatchGet {
    pub tables: BTreeMap<usize, Keys>,
    pub report: Report,
}

impl Operation for BatchGet {
    fn name(&self) -> &'static str {
        "BatchGetItem"
    }

    fn parameters(&self) -> Json {
        let mut request = json!({"RequestItems": {}});
        for (table, wanted) in &self.tables {
            let schema = schema(*table);
            let keys: Vec<Json> = wanted.keys.iter().map(|key| sent(&schema.key_item(key))).collect();
            let mut part = json!({"Keys": keys, "ConsistentRead": wanted.consistent});
            projection_parameters(wanted.projection.as_deref(), &mut part);
            request["RequestItems"][schema.name] = part;
        }
        self.report.parameter(&mut request);
        request
    }

    fn outcome(&self, database: &Database, _: View) -> Outcome {
        if self.tables.values().any(|wanted| !is_distinct(wanted.keys.iter().collect())) {
            return Outcome::invalid(DUPLICATES);
        }
        let mut answer = json!({"Responses": {}, "UnprocessedKeys": {}});
        let mut consumed = Vec::new();
        for (table, wanted) in &self.tables {
            let name = schema(*table).name;
            let mut halves = Halves::default();
            let mut items = Vec::new();
            for item in wanted.keys.iter().map(|key| database.get(*table, key)) {
                halves.add(Halves::read(item.map_or(0, item_size), wanted.consistent));
                items.extend(item.map(|item| answered(&shown(item, wanted.projection.as_deref()))));
            }
            answer["Responses"][name] = items.into();
            consumed.push(self.report.consumed(name, &halves, None));
        }
        if self.report != Report::None {
            answer["ConsumedCapacity"] = consumed.into();
        }
        self.sort(&mut answer);
        Outcome::success(answer)
    }

    fn sort(&self, answer: &mut Json) {
        let responses = answer.get_mut("Responses").and_then(Json::as_object_mut);
        for items in responses.into_iter().flat_map(Map::values_mut).filter_map(Json::as_array_mut) {
            items.sort_by_key(Json::to_string);
        }
        sort_consumed(answer);
    }
}

pub fn is_distinct<T: Ord>(mut targets: Vec<T>) -> bool {
    targets.sort();
    targets.windows(2).all(|pair| pair[0] != pair[1])
}

/// Of several tables in the order of their names.
pub fn sort_consumed(answer: &mut Json) {
    if let Some(consumed) = answer.get_mut("ConsumedCapacity").and_then(Json::as_array_mut) {
        consumed.sort_by_key(|consumed| consumed["TableName"].to_string());
    }
}

/// Puts and deletes.
pub struct BatchWrite {
    pub writes: Vec<Write>,
    pub report: Report,
}

impl BatchWrite {
    /// In the order in which the server sees them: by name of the table.
    fn ordered(&self) -> Vec<&Write> {
        let mut writes: Vec<&Write> = self.writes.iter().collect();
        writes.sort_by_key(|write| schema(write.table).name);
        writes
    }
}

impl Operation for BatchWrite {
    fn name(&self) -> &'static str {
        "BatchWriteItem"
    }

    fn parameters(&self) -> Json {
        let mut requests: BTreeMap<&str, Vec<Json>> = BTreeMap::new();
        for write in &self.writes {
            let schema = schema(write.table);
            requests.entry(schema.name).or_default().push(match &write.kind {
                Kind::Put(item) => json!({"PutRequest": {"Item": sent(item)}}),
                _ => json!({"DeleteRequest": {"Key": sent(&schema.key_item(&write.key()))}}),
            });
        }
        let mut request = json!({"RequestItems": requests});
        self.report.parameter(&mut request);
        request
    }

    fn outcome(&self, database: &Database, view: View) -> Outcome {
        let writes = self.ordered();
        if let Some(text) = writes.iter().find_map(|write| write.check().err()) {
            return Outcome::invalid(&text);
        }
        if !is_distinct(writes.iter().map(|write| (write.table, write.key())).collect()) {
            return Outcome::invalid(DUPLICATES);
        }
        let mut halves: [Option<Halves>; TABLE_COUNT] = Default::default();
        let mut changes = Vec::new();
        for write in writes {
            let old = database.get(write.table, &write.key());
            let Ok(new) = write.apply(old) else { unreachable!("a batch has no conditions") };
            halves[write.table].get_or_insert_default().add(write.halves(view, old, new.as_ref()));
            changes.push(write.change(new));
        }
        let mut answer = json!({"UnprocessedItems": {}});
        consumed_of_tables(self.report, halves, None, &mut answer);
        Outcome { changes, atomic: false, ..Outcome::success(answer) }
    }

    fn sort(&self, answer: &mut Json) {
        sort_consumed(answer);
    }
}

/// Adds ConsumedCapacity, one entry a table.
pub fn consumed_of_tables(
    report: Report,
    halves: [Option<Halves>; TABLE_COUNT],
    kind: Option<&str>,
    answer: &mut Json,
) {
    if report == Report::None {
        return;
    }
    let halves = halves.into_iter().enumerate().filter_map(|(table, halves)| Some((table, halves?)));
    answer["ConsumedCapacity"] =
        halves.map(|(table, halves)| report.consumed(schema(table).name, &halves, kind)).collect();
    sort_consumed(answer);
}
