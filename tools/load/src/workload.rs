//! What is asked: the workloads, their requests, and what a right answer looks like.
//!
//! Two tables per item size. `items` has a partition key only (`user0000000000` and up); `series` has partitions of
//! [`PARTITION_ITEMS`] items with a numeric sort key, for Query.

use crate::framing::Protocol;
use crate::keys::{Random, Spread, Zipfian};
use crate::template::{Body, KEY_DIGITS, Noise, Template};
use std::sync::atomic::{AtomicU64, Ordering};

/// Items of one partition of the series table.
pub const PARTITION_ITEMS: u64 = 100;

/// Items of one Scan request, on average: it reads one of as many segments as make that.
const SCAN_ITEMS: u64 = 1_000;

/// Keys from here on are never stored.
const MISSING_KEYS: u64 = 9_000_000_000;

/// Bytes of an item beside its payload: names, key and version.
const ITEM_OVERHEAD: usize = "pk".len() + "user".len() + KEY_DIGITS + "version".len() + 2 + "data".len();
const SERIES_OVERHEAD: usize = "pk".len() + "part".len() + KEY_DIGITS + "sk".len() + 2 + "data".len();

/// One kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// `GET /`: what a request costs that no operation is behind.
    Health,
    GetItem,
    GetMissing,
    /// One of the items that were inserted last; it may not be there yet.
    GetLatest,
    PutItem,
    /// A new item.
    InsertItem,
    PutItemIf,
    UpdateItem,
    /// Each item once.
    DeleteItem,
    Query(usize),
    Scan,
    BatchWrite(usize),
    BatchGet(usize),
    TransactWrite(usize),
    /// A GetItem; the connection's next request is the PutItem of the same key, which is the workload's last step.
    ReadModify,
    /// BatchWriteItem of all items in turn.
    LoadItems(usize),
    LoadSeries(usize),
    RedisGet,
    RedisSet,
    /// SET of all keys in turn.
    RedisLoad,
}

/// A mixture of requests.
pub struct Workload {
    pub name: &'static str,
    pub title: &'static str,
    pub zipfian: bool,
    /// With their shares in percent.
    pub mix: &'static [(u32, Step)],
}

const fn uniform(name: &'static str, title: &'static str, mix: &'static [(u32, Step)]) -> Workload {
    Workload { name, title, zipfian: false, mix }
}

const fn zipfian(name: &'static str, title: &'static str, mix: &'static [(u32, Step)]) -> Workload {
    Workload { name, title, zipfian: true, mix }
}

/// In the order of a default run.
pub const WORKLOADS: &[Workload] = &[
    uniform("health", "GET / (fixed answer)", &[(100, Step::Health)]),
    uniform("get", "GetItem, uniform", &[(100, Step::GetItem)]),
    zipfian("get-zipfian", "GetItem, zipfian", &[(100, Step::GetItem)]),
    uniform("get-miss", "GetItem, absent", &[(100, Step::GetMissing)]),
    uniform("put", "PutItem", &[(100, Step::PutItem)]),
    uniform("put-if", "PutItem with condition", &[(100, Step::PutItemIf)]),
    uniform("update", "UpdateItem", &[(100, Step::UpdateItem)]),
    uniform("query-1", "Query, 1 item", &[(100, Step::Query(1))]),
    uniform("query-10", "Query, 10 items", &[(100, Step::Query(10))]),
    uniform("query-100", "Query, 100 items", &[(100, Step::Query(100))]),
    uniform("scan", "Scan, 1000 items", &[(100, Step::Scan)]),
    uniform("batch-get", "BatchGetItem, 100", &[(100, Step::BatchGet(100))]),
    uniform("batch-write", "BatchWriteItem, 25", &[(100, Step::BatchWrite(25))]),
    uniform("transact-2", "TransactWriteItems, 2", &[(100, Step::TransactWrite(2))]),
    uniform("transact-25", "TransactWriteItems, 25", &[(100, Step::TransactWrite(25))]),
    zipfian("ycsb-a", "YCSB A: 50 read, 50 update", &[(50, Step::GetItem), (50, Step::UpdateItem)]),
    zipfian("ycsb-b", "YCSB B: 95 read, 5 update", &[(95, Step::GetItem), (5, Step::UpdateItem)]),
    zipfian("ycsb-c", "YCSB C: read", &[(100, Step::GetItem)]),
    zipfian("ycsb-d", "YCSB D: 95 read latest, 5 insert", &[(95, Step::GetLatest), (5, Step::InsertItem)]),
    zipfian(
        "ycsb-f",
        "YCSB F: 50 read, 50 read-modify-write",
        &[(50, Step::GetItem), (50, Step::ReadModify), (0, Step::PutItem)],
    ),
    uniform("delete", "DeleteItem", &[(100, Step::DeleteItem)]),
];

pub const LOAD_ITEMS: Workload = uniform("load", "load", &[(100, Step::LoadItems(25))]);
pub const LOAD_SERIES: Workload = uniform("load-series", "load", &[(100, Step::LoadSeries(25))]);
pub const REDIS_LOAD: Workload = uniform("redis-load", "load", &[(100, Step::RedisLoad)]);
pub const REDIS_GET: Workload = uniform("redis-get", "redis GET", &[(100, Step::RedisGet)]);
pub const REDIS_SET: Workload = uniform("redis-set", "redis SET", &[(100, Step::RedisSet)]);

impl Workload {
    pub fn find(name: &str) -> Option<&'static Workload> {
        WORKLOADS.iter().find(|workload| workload.name == name)
    }

    fn any(&self, test: impl Fn(Step) -> bool) -> bool {
        self.mix.iter().any(|&(_, step)| test(step))
    }

    pub fn reads_series(&self) -> bool {
        self.any(|step| matches!(step, Step::Query(_)))
    }

    pub fn deletes(&self) -> bool {
        self.any(|step| step == Step::DeleteItem)
    }
}

impl Step {
    pub fn label(self) -> &'static str {
        match self {
            Step::Health => "GET /",
            Step::GetItem | Step::GetMissing | Step::GetLatest => "read",
            Step::PutItem | Step::PutItemIf => "write",
            Step::InsertItem => "insert",
            Step::UpdateItem => "update",
            Step::DeleteItem => "delete",
            Step::ReadModify => "read to modify",
            Step::Query(_) => "query",
            Step::Scan => "scan",
            Step::BatchWrite(_) | Step::LoadItems(_) | Step::LoadSeries(_) => "batch write",
            Step::BatchGet(_) => "batch get",
            Step::TransactWrite(_) => "transaction",
            Step::RedisGet => "GET",
            Step::RedisSet | Step::RedisLoad => "SET",
        }
    }

    pub fn protocol(self) -> Protocol {
        match self {
            Step::RedisGet | Step::RedisSet | Step::RedisLoad => Protocol::Resp,
            _ => Protocol::Http,
        }
    }

    /// Items that a right answer stands for; `None` when it is not what was asked for.
    pub fn items(self, body: &[u8]) -> Option<u64> {
        let one_if = |right: bool| right.then_some(1);
        match self {
            Step::Health => one_if(body.starts_with(b"healthy")),
            Step::GetItem | Step::ReadModify => one_if(body.starts_with(br#"{"Item":{"#)),
            Step::GetLatest => one_if(body.starts_with(b"{")),
            Step::Query(_) | Step::Scan => count(body),
            Step::BatchGet(items) => at_an_end(body, br#""UnprocessedKeys":{}"#).map(|_| items as u64),
            Step::BatchWrite(items) | Step::LoadItems(items) | Step::LoadSeries(items) => {
                at_an_end(body, br#""UnprocessedItems":{}"#).map(|_| items as u64)
            }
            Step::TransactWrite(items) => (body == b"{}").then_some(items as u64),
            Step::RedisGet => one_if(!body.is_empty()),
            Step::RedisSet | Step::RedisLoad => one_if(body == b"+OK\r\n"),
            Step::GetMissing
            | Step::PutItem
            | Step::InsertItem
            | Step::PutItemIf
            | Step::UpdateItem
            | Step::DeleteItem => one_if(body == b"{}"),
        }
    }
}

/// The `Count` of a page.
fn count(body: &[u8]) -> Option<u64> {
    let digits = at_an_end(body, br#""Count":"#)?;
    let end = digits.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}

/// What follows a text that stands near the beginning or the end of a body: the middle of a large answer is not read.
fn at_an_end<'b>(body: &'b [u8], text: &[u8]) -> Option<&'b [u8]> {
    const NEAR_BYTES: usize = 512;
    let tail = &body[body.len().saturating_sub(NEAR_BYTES)..];
    let head = &body[..body.len().min(NEAR_BYTES)];
    [tail, head].into_iter().find_map(|part| Some(&part[memchr::memmem::find(part, text)? + text.len()..]))
}

/// The stored data, as far as requests depend on it.
pub struct DataSet {
    pub host: String,
    pub table: String,
    pub series_table: String,
    pub item_bytes: usize,
    pub items: u64,
    /// Keys below this have been given out by inserts.
    pub inserted: AtomicU64,
    pub noise: Noise,
}

impl DataSet {
    pub fn partitions(&self) -> u64 {
        (self.items / PARTITION_ITEMS).max(1)
    }

    /// Items of a loading batch, so that its request stays small.
    pub fn load_batch(&self) -> usize {
        const REQUEST_BYTES: usize = 256 * 1024;
        (REQUEST_BYTES / self.item_bytes).clamp(1, 25).min(self.items as usize)
    }

    fn scan_segments(&self) -> u64 {
        (self.items / SCAN_ITEMS).clamp(1, 1_000_000)
    }

    fn item(&self, body: Body, key: usize) -> Body {
        body.text(r#"{"pk":{"S":"user"#)
            .key(key)
            .text(r#""},"version":{"N":"1"},"data":{"S":""#)
            .payload(self.item_bytes.saturating_sub(ITEM_OVERHEAD).max(1))
            .text(r#""}}"#)
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

    pub fn template(&self, step: Step) -> Template {
        const UPDATE: &str = concat!(
            r##","UpdateExpression":"SET #v = #v + :one","ExpressionAttributeNames":{"#v":"version"},"##,
            r##""ExpressionAttributeValues":{":one":{"N":"1"}}"##
        );
        const CONDITION: &str = concat!(
            r##","ConditionExpression":"attribute_exists(pk) AND #v >= :zero","##,
            r##""ExpressionAttributeNames":{"#v":"version"},"ExpressionAttributeValues":{":zero":{"N":"0"}}"##
        );
        match step {
            Step::Health => Template::health(&self.host),
            Step::GetItem | Step::GetMissing | Step::GetLatest | Step::ReadModify => self.keyed("GetItem", ""),
            Step::PutItem | Step::InsertItem => self.put(""),
            Step::PutItemIf => self.put(CONDITION),
            Step::UpdateItem => self.keyed("UpdateItem", UPDATE),
            Step::DeleteItem => self.keyed("DeleteItem", ""),
            Step::Query(limit) => self
                .on_table(
                    &self.series_table,
                    r#""KeyConditionExpression":"pk = :p","ExpressionAttributeValues":{":p":{"S":"part"#,
                )
                .key(0)
                .text(&format!(r#""}}}},"Limit":{limit}}}"#))
                .dynamodb(&self.host, "Query"),
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

/// A workload on a data set, shared by the threads that run it.
pub struct Plan<'d> {
    data: &'d DataSet,
    spread: Spread,
    zipfian: Option<Zipfian>,
    pub steps: Vec<(u32, Step, Template)>,
    /// How far the steps have come that go through the keys in turn.
    turn: AtomicU64,
}

impl<'d> Plan<'d> {
    pub fn new(workload: &Workload, data: &'d DataSet) -> Plan<'d> {
        let zipfian = workload.zipfian.then(|| Zipfian::new(data.items));
        let spread = zipfian.clone().map_or(Spread::Uniform(data.items), Spread::Zipfian);
        let sized = |step| match step {
            Step::LoadItems(_) => Step::LoadItems(data.load_batch()),
            Step::LoadSeries(_) => Step::LoadSeries(data.load_batch()),
            step => step,
        };
        let prepare = |&(share, step): &(u32, Step)| (share, sized(step), data.template(sized(step)));
        Plan { data, spread, zipfian, steps: workload.mix.iter().map(prepare).collect(), turn: AtomicU64::new(0) }
    }

    /// Appends the next request to `output` and names its step; `None` when there is nothing more to ask for.
    /// `follow_up` belongs to the connection: the key of its next request, if the last one settled that.
    pub fn next(&self, chooser: &mut Chooser, follow_up: &mut Option<u64>, output: &mut Vec<u8>) -> Option<usize> {
        chooser.keys.clear();
        let index = match follow_up.take() {
            Some(key) => {
                chooser.keys.push(key);
                self.steps.len() - 1
            }
            None => {
                let index = self.choose_step(&mut chooser.random);
                self.choose_keys(self.steps[index].1, chooser)?;
                if self.steps[index].1 == Step::ReadModify {
                    *follow_up = chooser.keys.first().copied();
                }
                index
            }
        };
        self.steps[index].2.write(&chooser.keys, &mut chooser.random, &self.data.noise, output);
        Some(index)
    }

    fn choose_step(&self, random: &mut Random) -> usize {
        if self.steps.len() == 1 {
            return 0;
        }
        let mut drawn = random.below(100) as u32;
        for (index, (share, ..)) in self.steps.iter().enumerate() {
            if drawn < *share {
                return index;
            }
            drawn -= share;
        }
        0
    }

    fn choose_keys(&self, step: Step, chooser: &mut Chooser) -> Option<()> {
        let (random, keys, items) = (&mut chooser.random, &mut chooser.keys, self.data.items);
        match step {
            Step::Health => {}
            Step::GetMissing => keys.push(MISSING_KEYS + random.below(1_000_000_000)),
            Step::GetLatest => {
                let rank = self.zipfian.as_ref().map_or(0, |zipfian| zipfian.rank(random));
                keys.push((self.data.inserted.load(Ordering::Relaxed) - 1).saturating_sub(rank));
            }
            Step::InsertItem => keys.push(self.data.inserted.fetch_add(1, Ordering::Relaxed)),
            Step::DeleteItem | Step::RedisLoad => keys.push(self.take_turn(1, items)?),
            Step::Query(_) => keys.push(random.below(self.data.partitions())),
            Step::Scan => keys.push(random.below(self.data.scan_segments())),
            Step::BatchWrite(count) | Step::BatchGet(count) | Step::TransactWrite(count) => {
                // Distinct, because DynamoDB refuses a batch that names a key twice.
                let (first, stride) = (self.spread.key(random), (items / count as u64).max(1));
                keys.extend((0..count as u64).map(|index| (first + index * stride) % items.max(count as u64)));
            }
            Step::LoadItems(count) => {
                let first = self.take_turn(count as u64, items)?;
                keys.extend(first..first + count as u64);
            }
            Step::LoadSeries(count) => {
                let first = self.take_turn(count as u64, self.data.partitions() * PARTITION_ITEMS)?;
                let positions = first..first + count as u64;
                keys.extend(positions.flat_map(|at| [at / PARTITION_ITEMS, at % PARTITION_ITEMS]));
            }
            Step::GetItem
            | Step::PutItem
            | Step::PutItemIf
            | Step::UpdateItem
            | Step::ReadModify
            | Step::RedisGet
            | Step::RedisSet => keys.push(self.spread.key(random)),
        }
        Some(())
    }

    /// The first of the next `count` of `total` keys; the last group is moved down, so as to be as large as the others.
    fn take_turn(&self, count: u64, total: u64) -> Option<u64> {
        let first = self.turn.fetch_add(count, Ordering::Relaxed);
        (first < total).then(|| first.min(total - count))
    }
}

/// What a thread chooses requests with.
pub struct Chooser {
    random: Random,
    keys: Vec<u64>,
}

impl Chooser {
    pub fn new(seed: u64) -> Chooser {
        Chooser { random: Random::new(seed), keys: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::http_body;
    use std::collections::BTreeSet;

    fn data(items: u64) -> DataSet {
        DataSet {
            host: "127.0.0.1:1".into(),
            table: "Items".into(),
            series_table: "Series".into(),
            item_bytes: 400,
            items,
            inserted: AtomicU64::new(items),
            noise: Noise::new(),
        }
    }

    fn requests(workload: &Workload, data: &DataSet, count: usize) -> Vec<(usize, String)> {
        let plan = Plan::new(workload, data);
        let (mut chooser, mut follow_up) = (Chooser::new(1), None);
        let mut made = Vec::new();
        for _ in 0..count {
            let mut output = Vec::new();
            let Some(step) = plan.next(&mut chooser, &mut follow_up, &mut output) else { break };
            made.push((step, String::from_utf8(output).unwrap()));
        }
        made
    }

    fn body(request: &str) -> &str {
        &request[http_body(request.as_bytes()).unwrap().unwrap()]
    }

    fn keys(request: &str) -> Vec<&str> {
        body(request).split("user").skip(1).map(|rest| &rest[..KEY_DIGITS]).collect()
    }

    #[test]
    fn names_are_distinct_and_shares_are_whole() {
        let names: BTreeSet<_> = WORKLOADS.iter().map(|workload| workload.name).collect();
        assert_eq!(names.len(), WORKLOADS.len());
        for workload in WORKLOADS {
            assert_eq!(workload.mix.iter().map(|(share, _)| share).sum::<u32>(), 100, "{}", workload.name);
        }
    }

    #[test]
    fn every_request_is_whole_and_balanced() {
        let data = data(1_000);
        for workload in WORKLOADS.iter().chain([&LOAD_ITEMS, &LOAD_SERIES]) {
            for (_, request) in requests(workload, &data, 20) {
                let body = body(&request);
                assert_eq!(body.matches('{').count(), body.matches('}').count(), "{body}");
                assert_eq!(body.matches('"').count() % 2, 0, "{body}");
            }
        }
    }

    #[test]
    fn batches_name_each_key_once() {
        for (items, step) in [(1_000, Step::BatchGet(100)), (101, Step::BatchGet(100)), (10, Step::BatchWrite(25))] {
            let data = data(items);
            let plan = Plan { steps: vec![(100, step, data.template(step))], ..Plan::new(&LOAD_ITEMS, &data) };
            let (mut chooser, mut output) = (Chooser::new(2), Vec::new());
            for _ in 0..100 {
                output.clear();
                plan.next(&mut chooser, &mut None, &mut output).unwrap();
                let request = String::from_utf8(output.clone()).unwrap();
                let keys = keys(&request);
                assert_eq!(keys.len(), keys.iter().collect::<BTreeSet<_>>().len(), "{keys:?}");
            }
        }
    }

    #[test]
    fn loading_covers_every_key() {
        let data = data(1_010);
        let made = requests(&LOAD_ITEMS, &data, 1_000);
        let loaded: BTreeSet<_> = made.iter().flat_map(|(_, request)| keys(request)).collect();
        assert_eq!((loaded.len(), made.len()), (1_010, 41));
        assert_eq!(requests(&LOAD_SERIES, &data, 1_000).len(), 40);
    }

    #[test]
    fn a_read_to_modify_is_followed_by_its_write() {
        let data = data(1_000);
        let made = requests(Workload::find("ycsb-f").unwrap(), &data, 1_000);
        let pairs: Vec<_> = made.windows(2).filter(|pair| pair[0].0 == 1).collect();
        assert!((250..420).contains(&pairs.len()), "a third of the requests: {}", pairs.len());
        for pair in pairs {
            assert_eq!(pair[1].0, 2);
            assert_eq!(keys(&pair[0].1), keys(&pair[1].1));
        }
    }

    #[test]
    fn answers_are_checked() {
        let rows: &[(Step, &str, Option<u64>)] = &[
            (Step::GetItem, r#"{"Item":{"pk":{"S":"a"}}}"#, Some(1)),
            (Step::GetItem, "{}", None),
            (Step::GetMissing, "{}", Some(1)),
            (Step::GetMissing, r#"{"Item":{}}"#, None),
            (Step::Query(10), r#"{"Items":[],"Count":10,"ScannedCount":10}"#, Some(10)),
            (Step::Scan, r#"{"Count":7,"Items":[]}"#, Some(7)),
            (Step::Scan, r#"{"Items":[]}"#, None),
            (Step::BatchWrite(25), r#"{"UnprocessedItems":{}}"#, Some(25)),
            (Step::BatchWrite(25), r#"{"UnprocessedItems":{"T":[]}}"#, None),
            (Step::RedisSet, "+OK\r\n", Some(1)),
            (Step::RedisGet, "", None),
        ];
        for (step, body, items) in rows {
            assert_eq!(step.items(body.as_bytes()), *items, "{step:?} {body}");
        }
    }
}
