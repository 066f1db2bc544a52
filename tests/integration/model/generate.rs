//! Random operations. All keys and index keys of a client begin with its number, so that no other client's items come
//! into its answers; they are few, so that most operations meet an item that is there.

use std::collections::{BTreeMap, BTreeSet};

use super::batch::{BatchGet, BatchWrite, Get, Keys};
use super::capacity::Report;
use super::database::schema;
use super::expression::{Comparison, Condition, Path};
use super::page::{Page, Query, Show, Source};
use super::schema::{Key, SORTED};
use super::transaction::{TransactGet, TransactWrite};
use super::update::{Action, Update};
use super::value::{Item, Number, Value};
use super::write::{ItemWrite, Kind, Returns, Write};
use crate::random::Random;

/// Numbers of a client lie within this many above its number times this.
const NUMBERS_PER_CLIENT: i64 = 1000;

/// Attributes that are not keys of a table.
const ATTRIBUTES: [Path; 11] = ["g", "n", "b", "s", "z", "x", "y", "t", "l", "m", "pad"];

const PATHS: [Path; 13] = ["g", "n", "b", "s", "z", "x", "y", "t", "l", "m", "m.k", "m.d", "pad"];

pub struct Generator {
    pub random: Random,
    pub client: u8,
}

impl Generator {
    /// A condition that the items of this client alone meet, whatever index holds them.
    pub fn mine(&self, table: usize) -> Condition {
        let first = i64::from(self.client) * NUMBERS_PER_CLIENT;
        match schema(table).hash {
            "p" => Condition::BeginsWith("p", Value::s(format!("c{}:", self.client))),
            "pb" => Condition::BeginsWith("pb", Value::B(vec![self.client])),
            _ => Condition::Between("pn", Value::n(first), Value::n(first + NUMBERS_PER_CLIENT - 1)),
        }
    }

    fn text(&mut self, endings: &[&str]) -> Value {
        let ending = self.random.pick(endings);
        Value::s(format!("c{}:{ending}", self.client))
    }

    fn bytes(&mut self, endings: &[&[u8]]) -> Value {
        let ending = self.random.pick(endings);
        Value::B([&[self.client], *ending].concat())
    }

    fn number(&mut self, hundredths: &[i64]) -> Value {
        let first = i64::from(self.client) * NUMBERS_PER_CLIENT * 100;
        Value::N(Number(first + self.random.pick(hundredths)))
    }

    fn table(&mut self) -> usize {
        *self.random.pick(&[SORTED, SORTED, SORTED, 1, 2])
    }

    fn key(&mut self, table: usize) -> Key {
        schema(table).key_names().map(|name| self.value(name)).collect()
    }

    /// A value as an attribute usually has it.
    fn value(&mut self, attribute: Path) -> Value {
        match attribute {
            "p" => self.text(&["a", "aa", "b", "é", "\u{1}"]),
            "r" => Value::N(Number(*self.random.pick(&[-250, -1, 0, 50, 100, 200, 1000, 10_000_000]))),
            "pb" => self.bytes(&[&[], &[0], &[0, 0], &[1], &[1, 0], &[127], &[255], &[255, 255]]),
            "pn" => self.number(&[0, 50, 100, 700]),
            "rb" => Value::B(self.random.pick(&[&[0][..], &[0, 0], &[1], &[255], b"a"]).to_vec()),
            "g" => self.text(&["x", "y"]),
            "n" => self.number(&[0, 25, 100, 200]),
            "b" => self.bytes(&[&[], &[0], &[255]]),
            "s" => self.text(&["a", "b", "ab"]),
            "z" => self.text(&["z"]),
            "y" => Value::N(Number(self.random.below(2000) as i64 - 1000)),
            "t" => self.set(),
            "l" => Value::L((0..self.random.below(4)).map(|_| self.scalar()).collect()),
            "m" => {
                let names = ["k", "d", "e"].into_iter().filter(|_| !self.random.once_in(3)).collect::<Vec<_>>();
                Value::M(names.iter().map(|name| ((*name).to_owned(), self.scalar())).collect())
            }
            "pad" => {
                let bytes = if self.random.once_in(20) { 5000 } else { self.random.below(400) };
                Value::s("x".repeat(bytes as usize))
            }
            _ => self.scalar(),
        }
    }

    fn scalar(&mut self) -> Value {
        match self.random.below(6) {
            0 => Value::s(*self.random.pick(&["", "a", "ab", "b"])),
            1 => Value::Bool(self.random.once_in(2)),
            2 => Value::Null,
            3 => Value::B(vec![0, 1, 2]),
            _ => Value::N(Number(self.random.below(400) as i64 - 200)),
        }
    }

    fn set(&mut self) -> Value {
        let members = 1 + self.random.below(3);
        if self.random.once_in(5) {
            return Value::Ns((0..members).map(|_| Number(50 * self.random.below(5) as i64)).collect());
        }
        Value::Ss((0..members).map(|_| (*self.random.pick(&["a", "b", "c", "d"])).to_owned()).collect())
    }

    /// A value that is to be written: rarely one that an index refuses.
    fn new_value(&mut self, table: usize, attribute: Path) -> Value {
        let refused = table == SORTED && self.random.once_in(60);
        match attribute {
            "g" if refused => Value::n(1),
            "b" if refused => Value::B(Vec::new()),
            _ => self.value(attribute),
        }
    }

    fn item(&mut self, table: usize) -> Item {
        let key = self.key(table);
        let mut item = schema(table).key_item(&key);
        for name in ATTRIBUTES {
            let is_left_out = if name == "z" { !self.random.once_in(5) } else { self.random.once_in(4) };
            if !is_left_out {
                item.insert(name.to_owned(), self.new_value(table, name));
            }
        }
        item
    }

    /// A condition on attributes among `paths`.
    fn condition(&mut self, paths: &[Path], depth: u32) -> Condition {
        if depth > 0 && self.random.once_in(3) {
            let mut inner = || Box::new(self.condition(paths, depth - 1));
            let (left, right) = (inner(), inner());
            return match self.random.below(3) {
                0 => Condition::And(left, right),
                1 => Condition::Or(left, right),
                _ => Condition::Not(left),
            };
        }
        let path = *self.random.pick(paths);
        let (value, other) = (self.value(path), self.value(path));
        let is_ordered = matches!(value, Value::S(_) | Value::N(_) | Value::B(_));
        match self.random.below(8) {
            0 => Condition::Exists(path),
            1 => Condition::NotExists(path),
            2 => Condition::In(path, vec![value, other]),
            3 if is_ordered && value.type_name() == other.type_name() => {
                Condition::Between(path, value.clone().min(other.clone()), value.max(other))
            }
            4 => Condition::Contains(path, self.scalar()),
            5 => Condition::Size(path, *self.random.pick(&Comparison::ALL), self.random.below(5) as i64),
            6 if matches!(value, Value::S(_) | Value::B(_)) => Condition::BeginsWith(path, value),
            _ if is_ordered => Condition::Compare(path, *self.random.pick(&Comparison::ALL), value),
            _ => Condition::Compare(path, *self.random.pick(&[Comparison::Equal, Comparison::NotEqual]), value),
        }
    }

    fn update(&mut self, table: usize) -> Update {
        let mut actions = BTreeMap::new();
        for _ in 0..self.random.below(5) {
            let path = *self.random.pick(&PATHS);
            // A map and its members at once would overlap.
            if path == "m" || actions.keys().all(|known| *known != "m") || !path.starts_with("m.") {
                actions.insert(path, self.action(table, path));
            }
        }
        if actions.contains_key("m") {
            actions.retain(|path: &Path, _| !path.starts_with("m."));
        }
        Update(actions.into_iter().collect())
    }

    fn action(&mut self, table: usize, path: Path) -> Action {
        let amount = Number(self.random.below(300) as i64 - 150);
        match (path, self.random.below(6)) {
            (_, 0) => Action::Remove,
            ("y", 1) => Action::Sum("y", amount),
            ("y", 2) => Action::SumOrZero("y", amount),
            ("y", 3) => Action::Sum("n", amount),
            ("y", 4) => Action::Add(Value::N(amount)),
            ("y", _) if self.random.once_in(3) => Action::Set(Value::s("no number")),
            ("t", 1 | 2) => Action::Add(self.set()),
            ("t", 3 | 4) => Action::Delete(self.set()),
            ("l", 1..4) => Action::Append(vec![self.scalar()]),
            ("x", 1) => Action::Copy(["y", "s", "x", "m.k"][self.random.below(4) as usize]),
            ("m.d", 1 | 2) => Action::Add(Value::N(amount)),
            ("m.k" | "m.d", _) => Action::Set(self.scalar()),
            _ => Action::Set(self.new_value(table, path)),
        }
    }

    pub fn report(&mut self) -> Report {
        *self.random.pick(&[Report::None, Report::Total, Report::Indexes])
    }

    fn projection(&mut self) -> Option<Vec<Path>> {
        self.random.once_in(3).then(|| self.paths(&PATHS))
    }

    /// Some of the paths, none within another.
    fn paths(&mut self, among: &[Path]) -> Vec<Path> {
        let mut picked: BTreeSet<Path> = (0..1 + self.random.below(4)).map(|_| *self.random.pick(among)).collect();
        if picked.contains("m") {
            picked.retain(|path| !path.starts_with("m."));
        }
        picked.into_iter().collect()
    }

    /// A condition once in `once_in` times.
    fn write(&mut self, kind: Kind, table: usize, once_in: u64) -> Write {
        let condition = self.random.once_in(once_in).then(|| self.condition(&PATHS, 2));
        let item_on_failure = condition.is_some() && self.random.once_in(2);
        Write { table, kind, condition, item_on_failure }
    }

    pub fn item_write(&mut self) -> ItemWrite {
        let table = self.table();
        let (kind, returns) = match self.random.below(10) {
            0..4 => (Kind::Put(self.item(table)), *self.random.pick(&[Returns::None, Returns::AllOld])),
            4 | 5 => (Kind::Delete(self.key(table)), *self.random.pick(&[Returns::None, Returns::AllOld])),
            _ => {
                let all = [Returns::None, Returns::AllOld, Returns::UpdatedOld, Returns::AllNew, Returns::UpdatedNew];
                (Kind::Update(self.key(table), self.update(table)), *self.random.pick(&all))
            }
        };
        let write = self.write(kind, table, 3);
        ItemWrite { write, returns, report: self.report(), metrics: self.random.once_in(4) }
    }

    pub fn get(&mut self) -> Get {
        let table = self.table();
        let (key, consistent) = (self.key(table), self.random.once_in(2));
        Get { table, key, consistent, projection: self.projection(), report: self.report() }
    }

    pub fn batch_get(&mut self) -> BatchGet {
        let mut tables: BTreeMap<usize, Keys> = BTreeMap::new();
        for (table, key) in self.targets(12) {
            let (consistent, projection) = (self.random.once_in(2), self.projection());
            tables.entry(table).or_insert(Keys { keys: Vec::new(), consistent, projection }).keys.push(key);
        }
        BatchGet { tables, report: self.report() }
    }

    /// Tables and keys; once in 40 times one may be there twice.
    fn targets(&mut self, count_max: u64) -> Vec<(usize, Key)> {
        let mut targets = Vec::new();
        let is_careless = self.random.once_in(40);
        for _ in 0..1 + self.random.below(count_max) {
            let table = self.table();
            let key = self.key(table);
            if is_careless || !targets.contains(&(table, key.clone())) {
                targets.push((table, key));
            }
        }
        targets
    }

    /// An item with this key.
    fn item_at(&mut self, table: usize, key: &Key) -> Item {
        let mut item = self.item(table);
        item.extend(schema(table).key_item(key));
        item
    }

    pub fn batch_write(&mut self) -> BatchWrite {
        let mut writes = Vec::new();
        for (table, key) in self.targets(12) {
            let kind = if self.random.once_in(3) { Kind::Delete(key) } else { Kind::Put(self.item_at(table, &key)) };
            writes.push(Write { table, kind, condition: None, item_on_failure: false });
        }
        BatchWrite { writes, report: self.report() }
    }

    pub fn transact_write(&mut self) -> TransactWrite {
        let mut writes = Vec::new();
        for (table, key) in self.targets(6) {
            let write = match self.random.below(8) {
                0 => self.write(Kind::Check(key), table, 1),
                1 => self.write(Kind::Delete(key), table, 5),
                2..5 => {
                    let item = self.item_at(table, &key);
                    self.write(Kind::Put(item), table, 5)
                }
                _ => {
                    let mut update = self.update(table);
                    if update.0.is_empty() {
                        update.0.push(("y", Action::Add(Value::n(1))));
                    }
                    self.write(Kind::Update(key, update), table, 5)
                }
            };
            writes.push(write);
        }
        let token = (!self.random.once_in(3)).then(|| format!("{}-{:x}", self.client, self.random.next()));
        TransactWrite { writes, token, report: self.report() }
    }

    pub fn transact_get(&mut self) -> TransactGet {
        let targets = self.targets(8);
        let gets = targets.into_iter().map(|(table, key)| (table, key, self.projection())).collect();
        TransactGet { gets, report: self.report() }
    }

    pub fn source(&mut self) -> Source {
        let table = self.table();
        let index = self.random.below(1 + schema(table).indexes.len() as u64) as usize;
        Source { table, index: index.checked_sub(1).map(|position| &schema(table).indexes[position]) }
    }

    /// A page of a source, of a Query if `is_query`: its filter must not look at the source's key.
    pub fn page(&mut self, source: Source, is_query: bool) -> Page {
        let key_names = [source.hash_names(), source.range_names()].concat();
        let allowed: Vec<Path> = PATHS.into_iter().filter(|path| !is_query || !key_names.contains(path)).collect();
        let projected: Vec<Path> = PATHS
            .into_iter()
            .chain(schema(source.table).key_names())
            .filter(|path| !source.is_global() || source.projects(super::expression::attribute(path)))
            .collect();
        let is_complete = ATTRIBUTES.iter().all(|name| source.projects(name));
        let show = match self.random.below(6) {
            0 => Show::Count,
            1 | 2 => Show::Paths(self.paths(&projected)),
            3 if is_complete || !source.is_global() => Show::AllAttributes,
            _ => Show::Row,
        };
        Page {
            source,
            limit: self.random.once_in(2).then(|| 1 + self.random.below(6) as usize),
            filter: self.random.once_in(2).then(|| self.condition(&allowed, 1)),
            show,
            consistent: !source.is_global() && self.random.once_in(2),
            report: self.report(),
        }
    }

    pub fn query(&mut self) -> Query {
        let source = self.source();
        let equal = |name: Path, value: Value| Condition::Compare(name, Comparison::Equal, value);
        let mut key: Vec<Condition> =
            source.hash_names().into_iter().map(|name| equal(name, self.value(name))).collect();
        // Equalities of the first sort key attributes, then any test of the next.
        for name in source.range_names() {
            if self.random.once_in(2) {
                break;
            }
            let clause = self.key_clause(name);
            let goes_on = matches!(clause, Condition::Compare(_, Comparison::Equal, _));
            key.push(clause);
            if !goes_on {
                break;
            }
        }
        Query { page: self.page(source, true), key, forward: self.random.once_in(2), start: None }
    }

    fn key_clause(&mut self, name: Path) -> Condition {
        let (value, other) = (self.value(name), self.value(name));
        match self.random.below(4) {
            0 => Condition::Between(name, value.clone().min(other.clone()), value.max(other)),
            1 if !matches!(value, Value::N(_)) => Condition::BeginsWith(name, value),
            _ => {
                let tests = Comparison::ALL.map(|test| match test {
                    Comparison::NotEqual => Comparison::Equal,
                    test => test,
                });
                Condition::Compare(name, *self.random.pick(&tests), value)
            }
        }
    }
}
