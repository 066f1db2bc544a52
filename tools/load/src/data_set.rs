//! The stored data and the requests on it.
//!
//! Two tables per item size. `items` has a partition key only (`user0000000000` and up); `series` has partitions of
//! [`PARTITION_ITEMS`] items with a numeric sort key, for Query. With indexes, an item of `items` has the attributes
//! `g1` to `g5`, each drawn anew by every put, and the table a global index on the first few of them: a put then takes
//! one entry out of each index and puts another one in, which is the dearest that an index can be.

use crate::step::Step;
use crate::template::{Body, KEY_DIGITS, Noise, Template};
use std::sync::atomic::{AtomicU64, Ordering};

/// Items of one partition of the series table, and on average of a partition of an index.
pub const PARTITION_ITEMS: u64 = 100;

/// Items of one Scan request, on average: it reads one of as many segments as make that.
const SCAN_ITEMS: u64 = 1_000;

/// Attributes for indexes, where there are any. Items have all of them however many indexes there are, so that a
/// put with one index and a put with five differ in nothing else.
pub const INDEXED_ATTRIBUTES: u32 = 5;

/// Bytes of an item beside its payload: names, key and version.
const ITEM_OVERHEAD: usize = "pk".len() + "user".len() + KEY_DIGITS + "version".len() + 2 + "data".len();
const INDEXED_OVERHEAD: usize = INDEXED_ATTRIBUTES as usize * ("g1".len() + KEY_DIGITS);
const SERIES_OVERHEAD: usize = "pk".len() + "part".len() + KEY_DIGITS + "sk".len() + 2 + "data".len();

/// The stored data, as far as requests depend on it.
pub struct DataSet {
    pub host: String,
    pub table: String,
    pub series_table: String,
    pub item_bytes: usize,
    pub items: u64,
    /// Global indexes of the items table; `None`: its items have no attributes for them either.
    pub indexes: Option<u32>,
    /// Keys that requests choose from; `items`, unless a part of the data is to be hot.
    pub hot_items: u64,
    /// Keys below this are there, and loading begins behind them.
    pub loaded: u64,
    /// Keys below this have been given out by inserts.
    pub inserted: AtomicU64,
    pub noise: Noise,
}

impl DataSet {
    pub fn new(host: String, item_bytes: u32, items: u64, indexes: Option<u32>) -> DataSet {
        let suffix = indexes.map_or_else(String::new, |count| format!("-{count}-indexes"));
        DataSet {
            host,
            table: format!("jormundb-load-{item_bytes}{suffix}"),
            series_table: format!("jormundb-load-{item_bytes}{suffix}-series"),
            item_bytes: item_bytes as usize,
            items,
            indexes,
            hot_items: items,
            loaded: 0,
            inserted: AtomicU64::new(items),
            noise: Noise::new(),
        }
    }

    /// From now on there are to be so many items, of which those that were loaded are there; the hot ones stay as many.
    pub fn grow(&mut self, items: u64) {
        (self.loaded, self.items) = (self.items, items);
        self.inserted.fetch_max(items, Ordering::Relaxed);
    }

    pub fn tables(&self) -> [&str; 2] {
        [&self.table, &self.series_table]
    }

    pub fn partitions(&self) -> u64 {
        (self.items / PARTITION_ITEMS).max(1)
    }

    /// Items of a loading batch, so that its request stays small.
    pub fn load_batch(&self) -> usize {
        const REQUEST_BYTES: usize = 256 * 1024;
        (REQUEST_BYTES / self.item_bytes).clamp(1, 25).min(self.items as usize)
    }

    pub fn scan_segments(&self) -> u64 {
        (self.items / SCAN_ITEMS).clamp(1, 1_000_000)
    }

    fn item(&self, body: Body, key: usize) -> Body {
        let body = body.text(r#"{"pk":{"S":"user"#).key(key).text(r#""},"version":{"N":"1"}"#);
        let (body, overhead) = match self.indexes {
            Some(_) => (self.indexed_attributes(body), ITEM_OVERHEAD + INDEXED_OVERHEAD),
            None => (body, ITEM_OVERHEAD),
        };
        body.text(r#","data":{"S":""#).payload(self.item_bytes.saturating_sub(overhead).max(1)).text(r#""}}"#)
    }

    fn indexed_attributes(&self, body: Body) -> Body {
        (1..=INDEXED_ATTRIBUTES).fold(body, |body, number| {
            body.text(&format!(r#","g{number}":{{"S":""#)).random(self.partitions()).text(r#""}"#)
        })
    }

    fn series_item(&self, body: Body, keys: usize) -> Body {
        body.text(r#"{"pk":{"S":"part"#)
            .key(keys)
            .text(r#""},"sk":{"N":""#)
            .key(keys + 1)
            .text(r#""},"data":{"S":""#)
            .payload(self.item_bytes.saturating_sub(SERIES_OVERHEAD).max(1))
            .text(r#""}}"#)
    }

    /// `{"TableName":"...",<rest>`; the caller closes it.
    fn on_table(&self, table: &str, rest: &str) -> Body {
        Body::default().text(&format!(r#"{{"TableName":"{table}",{rest}"#))
    }

    /// `"Key":` and what else there is, of one item.
    fn keyed(&self, operation: &str, rest: &str) -> Template {
        let body = self.on_table(&self.table, r#""Key":{"pk":{"S":"user"#).key(0).text(r#""}}"#);
        body.text(rest).text("}").dynamodb(&self.host, operation)
    }

    fn put(&self, rest: &str) -> Template {
        let body = self.on_table(&self.table, r#""Item":"#);
        self.item(body, 0).text(rest).text("}").dynamodb(&self.host, "PutItem")
    }

    /// `each` for every index, with commas between.
    fn joined(&self, body: Body, count: usize, each: impl Fn(Body, usize) -> Body) -> Body {
        (0..count).fold(body, |body, index| each(if index == 0 { body } else { body.text(",") }, index))
    }

    fn batch_write(&self, table: &str, count: usize, item: impl Fn(Body, usize) -> Body) -> Template {
        let body = Body::default().text(&format!(r#"{{"RequestItems":{{"{table}":["#));
        let put = |body: Body, index| item(body.text(r#"{"PutRequest":{"Item":"#), index).text("}}");
        self.joined(body, count, put).text("]}}").dynamodb(&self.host, "BatchWriteItem")
    }

    /// The first items of a partition, which `key` names; `index` is the member that names an index, or nothing.
    fn query(&self, table: &str, index: &str, condition: &str, key: impl Fn(Body) -> Body, limit: usize) -> Template {
        let rest =
            format!(r#"{index}"KeyConditionExpression":"{condition}","ExpressionAttributeValues":{{":p":{{"S":""#);
        let body = key(self.on_table(table, &rest));
        body.text(&format!(r#""}}}},"Limit":{limit}}}"#)).dynamodb(&self.host, "Query")
    }

    pub fn template(&self, step: Step) -> Template {
        const UPDATE: &str = concat!(
            r##","UpdateExpression":"SET #v = #v + :one","ExpressionAttributeNames":{"#v":"version"},"##,
            r##""ExpressionAttributeValues":{":one":{"N":"1"}}"##
        );
        const UPDATE_ANY: &str = concat!(
            r##","UpdateExpression":"ADD #v :one","ExpressionAttributeNames":{"#v":"version"},"##,
            r##""ExpressionAttributeValues":{":one":{"N":"1"}}"##
        );
        const CONDITION: &str = concat!(
            r##","ConditionExpression":"attribute_exists(pk) AND #v >= :zero","##,
            r##""ExpressionAttributeNames":{"#v":"version"},"ExpressionAttributeValues":{":zero":{"N":"0"}}"##
        );
        match step {
            Step::Health => Template::health(&self.host),
            Step::GetItem | Step::GetMissing | Step::GetLatest | Step::GetAny | Step::ReadModify => {
                self.keyed("GetItem", "")
            }
            Step::PutItem | Step::InsertItem => self.put(""),
            Step::PutItemIf => self.put(CONDITION),
            Step::UpdateItem => self.keyed("UpdateItem", UPDATE),
            Step::UpdateAny => self.keyed("UpdateItem", UPDATE_ANY),
            Step::DeleteItem | Step::DeleteAny => self.keyed("DeleteItem", ""),
            Step::Query(limit) => self.query(&self.series_table, "", "pk = :p", |body| body.text("part").key(0), limit),
            Step::QueryIndex(limit) => {
                let key = |body: Body| body.random(self.partitions());
                self.query(&self.table, r#""IndexName":"by-g1","#, "g1 = :p", key, limit)
            }
            Step::Scan => self
                .on_table(&self.table, &format!(r#""TotalSegments":{},"Segment":"#, self.scan_segments()))
                .number(0)
                .text("}")
                .dynamodb(&self.host, "Scan"),
            Step::BatchWrite(count) | Step::LoadItems(count) => {
                self.batch_write(&self.table, count, |body, index| self.item(body, index))
            }
            Step::LoadSeries(count) => {
                self.batch_write(&self.series_table, count, |body, index| self.series_item(body, 2 * index))
            }
            Step::BatchGet(count) => {
                let body = Body::default().text(&format!(r#"{{"RequestItems":{{"{}":{{"Keys":["#, self.table));
                let key = |body: Body, index| body.text(r#"{"pk":{"S":"user"#).key(index).text(r#""}}"#);
                self.joined(body, count, key).text("]}}}").dynamodb(&self.host, "BatchGetItem")
            }
            Step::TransactWrite(count) => {
                let body = Body::default().text(r#"{"TransactItems":["#);
                let put = |body: Body, index| {
                    self.item(body.text(&format!(r#"{{"Put":{{"TableName":"{}","Item":"#, self.table)), index)
                        .text("}}")
                };
                self.joined(body, count, put).text("]}").dynamodb(&self.host, "TransactWriteItems")
            }
            Step::RedisGet => Body::default().text("*2\r\n$3\r\nGET\r\n$14\r\nuser").key(0).text("\r\n").bare(),
            Step::RedisSet | Step::RedisLoad => Body::default()
                .text("*3\r\n$3\r\nSET\r\n$14\r\nuser")
                .key(0)
                .text(&format!("\r\n${}\r\n", self.item_bytes))
                .payload(self.item_bytes)
                .text("\r\n")
                .bare(),
        }
    }
}
