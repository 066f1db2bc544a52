//! What is asked: the workloads, and which keys their requests name.

use crate::data_set::{DataSet, PARTITION_ITEMS};
use crate::keys::{Random, Spread, Zipfian};
use crate::step::Step;
use crate::template::Template;
use std::sync::atomic::{AtomicU64, Ordering};

/// Keys from here on are never stored.
const MISSING_KEYS: u64 = 9_000_000_000;

/// A mixture of requests.
pub struct Workload {
    pub name: &'static str,
    pub title: &'static str,
    pub family: Family,
    pub zipfian: bool,
    /// With their shares in percent.
    pub mix: &'static [(u32, Step)],
}

/// Which workloads are drawn in one plot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Reads,
    Writes,
    Pages,
    Batches,
    Mixes,
}

impl Family {
    pub const ALL: [Family; 5] = [Family::Reads, Family::Writes, Family::Pages, Family::Batches, Family::Mixes];

    pub fn name(self) -> &'static str {
        match self {
            Family::Reads => "reads",
            Family::Writes => "writes",
            Family::Pages => "pages",
            Family::Batches => "batches",
            Family::Mixes => "mixes",
        }
    }
}

use Family::{Batches, Mixes, Pages, Reads, Writes};

type Mix = &'static [(u32, Step)];

const fn uniform(family: Family, name: &'static str, title: &'static str, mix: Mix) -> Workload {
    Workload { name, title, family, zipfian: false, mix }
}

const fn zipfian(family: Family, name: &'static str, title: &'static str, mix: Mix) -> Workload {
    Workload { name, title, family, zipfian: true, mix }
}

/// In the order of a default run.
pub const WORKLOADS: &[Workload] = &[
    uniform(Reads, "health", "GET / (fixed answer)", &[(100, Step::Health)]),
    uniform(Reads, "get", "GetItem, uniform", &[(100, Step::GetItem)]),
    zipfian(Reads, "get-zipfian", "GetItem, zipfian", &[(100, Step::GetItem)]),
    uniform(Reads, "get-miss", "GetItem, absent", &[(100, Step::GetMissing)]),
    uniform(Writes, "put", "PutItem", &[(100, Step::PutItem)]),
    uniform(Writes, "put-if", "PutItem with condition", &[(100, Step::PutItemIf)]),
    uniform(Writes, "update", "UpdateItem", &[(100, Step::UpdateItem)]),
    uniform(Pages, "query-1", "Query, 1 item", &[(100, Step::Query(1))]),
    uniform(Pages, "query-10", "Query, 10 items", &[(100, Step::Query(10))]),
    uniform(Pages, "query-100", "Query, 100 items", &[(100, Step::Query(100))]),
    uniform(Pages, "query-index-1", "Query on an index, 1 item", &[(100, Step::QueryIndex(1))]),
    uniform(Pages, "query-index-10", "Query on an index, 10 items", &[(100, Step::QueryIndex(10))]),
    uniform(Pages, "query-index-100", "Query on an index, up to 100 items", &[(100, Step::QueryIndex(100))]),
    uniform(Pages, "scan", "Scan, 1000 items", &[(100, Step::Scan)]),
    uniform(Batches, "batch-get", "BatchGetItem, 100", &[(100, Step::BatchGet(100))]),
    uniform(Batches, "batch-write", "BatchWriteItem, 25", &[(100, Step::BatchWrite(25))]),
    uniform(Batches, "transact-2", "TransactWriteItems, 2", &[(100, Step::TransactWrite(2))]),
    uniform(Batches, "transact-25", "TransactWriteItems, 25", &[(100, Step::TransactWrite(25))]),
    zipfian(Mixes, "ycsb-a", "YCSB A: 50 read, 50 update", &[(50, Step::GetItem), (50, Step::UpdateItem)]),
    zipfian(Mixes, "ycsb-b", "YCSB B: 95 read, 5 update", &[(95, Step::GetItem), (5, Step::UpdateItem)]),
    zipfian(Mixes, "ycsb-c", "YCSB C: read", &[(100, Step::GetItem)]),
    zipfian(Mixes, "ycsb-d", "YCSB D: 95 read latest, 5 insert", &[(95, Step::GetLatest), (5, Step::InsertItem)]),
    zipfian(
        Mixes,
        "ycsb-f",
        "YCSB F: 50 read, 50 read-modify-write",
        &[(50, Step::GetItem), (50, Step::ReadModify), (0, Step::PutItem)],
    ),
    uniform(Writes, "delete", "DeleteItem", &[(100, Step::DeleteItem)]),
];

/// Everything at once on a bounded set of keys: what one writes another deletes.
pub const SOAK: Workload = zipfian(
    Mixes,
    "soak",
    "mixed load",
    &[
        (45, Step::GetAny),
        (20, Step::PutItem),
        (15, Step::UpdateAny),
        (5, Step::DeleteAny),
        (5, Step::Query(10)),
        (3, Step::QueryIndex(10)),
        (1, Step::Scan),
        (2, Step::BatchGet(100)),
        (2, Step::BatchWrite(25)),
        (2, Step::TransactWrite(2)),
    ],
);

pub const LOAD_ITEMS: Workload = uniform(Batches, "load", "load", &[(100, Step::LoadItems(25))]);
pub const LOAD_SERIES: Workload = uniform(Batches, "load-series", "load", &[(100, Step::LoadSeries(25))]);
pub const REDIS_LOAD: Workload = uniform(Writes, "redis-load", "load", &[(100, Step::RedisLoad)]);
pub const REDIS_GET: Workload = uniform(Reads, "redis-get", "GET", &[(100, Step::RedisGet)]);
pub const REDIS_SET: Workload = uniform(Writes, "redis-set", "SET", &[(100, Step::RedisSet)]);

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

    pub fn reads_index(&self) -> bool {
        self.any(|step| matches!(step, Step::QueryIndex(_)))
    }

    pub fn deletes(&self) -> bool {
        self.any(|step| step == Step::DeleteItem)
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
        let zipfian = workload.zipfian.then(|| Zipfian::new(data.hot_items));
        let spread = zipfian.clone().map_or(Spread::Uniform(data.hot_items), Spread::Zipfian);
        let sized = |step| match step {
            Step::LoadItems(_) => Step::LoadItems(data.load_batch()),
            Step::LoadSeries(_) => Step::LoadSeries(data.load_batch()),
            step => step,
        };
        let prepare = |&(share, step): &(u32, Step)| (share, sized(step), data.template(sized(step)));
        let first = if workload.any(|step| matches!(step, Step::LoadItems(_))) { data.loaded } else { 0 };
        Plan { data, spread, zipfian, steps: workload.mix.iter().map(prepare).collect(), turn: AtomicU64::new(first) }
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
            Step::Health | Step::QueryIndex(_) => {}
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
            | Step::GetAny
            | Step::PutItem
            | Step::PutItemIf
            | Step::UpdateItem
            | Step::UpdateAny
            | Step::DeleteAny
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
    use crate::framing::http_message;
    use crate::template::KEY_DIGITS;
    use std::collections::BTreeSet;

    fn data(items: u64) -> DataSet {
        DataSet::new("127.0.0.1:1".into(), 400, items, Some(1))
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
        &request[http_message(request.as_bytes()).unwrap().unwrap().body]
    }

    fn keys(request: &str) -> Vec<&str> {
        body(request).split("user").skip(1).map(|rest| &rest[..KEY_DIGITS]).collect()
    }

    #[test]
    fn names_are_distinct_and_shares_are_whole() {
        let names: BTreeSet<_> = WORKLOADS.iter().map(|workload| workload.name).collect();
        assert_eq!(names.len(), WORKLOADS.len());
        for workload in WORKLOADS.iter().chain([&SOAK]) {
            assert_eq!(workload.mix.iter().map(|(share, _)| share).sum::<u32>(), 100, "{}", workload.name);
        }
    }

    #[test]
    fn every_request_is_whole_and_balanced() {
        let data = data(1_000);
        for workload in WORKLOADS.iter().chain([&SOAK, &LOAD_ITEMS, &LOAD_SERIES]) {
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
    fn what_grows_is_loaded_behind_what_is_there() {
        let mut data = data(1_000);
        data.grow(1_500);
        let made = requests(&LOAD_ITEMS, &data, 1_000);
        let loaded: BTreeSet<_> = made.iter().flat_map(|(_, request)| keys(request)).collect();
        assert_eq!((loaded.len(), loaded.first().copied()), (500, Some("0000001000")));
        assert_eq!(data.hot_items, 1_000);
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
}
