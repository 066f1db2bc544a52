//! Tables as they are now: definitions, live counters, and the snapshot that every request reads without a lock.
//!
//! Life of a [`Table`] (all transitions happen on the committer thread, after the batch that makes them durable):
//!
//! ```text
//!              Draft::create            Draft::replace
//!    (none) ------------------> current ---------------> superseded      the new version shares id, counters and fate
//!                                  |                          |
//!                                  | Draft::drop_table        | (its successor is dropped)
//!                                  v                          v
//!                               dropped <---------------------+
//! ```
//!
//! A request works with the version that it found. The committer writes with the current one, so an index created while
//! a mutation was in the queue is maintained for that mutation too.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bumpalo::Bump;

use super::backfill::Fill;
use super::engine::Engine;
use super::error::Error;
use super::key::{KeyValue, Space};
use super::layout::{self, CounterRecord, MetadataKey};
use crate::model::table::{IndexStatus, Projection};
use crate::model::{IndexDefinition, TableDefinition};

/// Index number of the table itself.
pub(super) const TABLE_ROWS: u16 = 0;

/// A version of a table.
#[derive(Debug)]
pub struct Table {
    definition: TableDefinition,
    indexes: Vec<TableIndex>,
    counter: Arc<Counter>,
    dropped: Arc<AtomicBool>,
    superseded: AtomicBool,
}

/// An index of a [`Table`].
#[derive(Debug)]
pub struct TableIndex {
    definition: IndexDefinition,
    space: Space,
    counter: Arc<Counter>,
    /// How far it is filled while it is being created.
    fill: Arc<Fill>,
    projected: Projected,
}

/// What an index entry holds.
#[derive(Debug)]
pub(super) enum Projected {
    All,
    /// Sorted and distinct; keys of index and table included.
    Names(Vec<String>),
}

/// Rows and bytes of a table or index. Only the committer stores; it stores what is already in the WAL.
#[derive(Debug, Default)]
pub(super) struct Counter {
    rows: AtomicU64,
    bytes: AtomicU64,
}

impl Counter {
    pub fn load(&self) -> (u64, u64) {
        (self.rows.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }

    pub fn store(&self, rows: u64, bytes: u64) {
        self.rows.store(rows, Ordering::Relaxed);
        self.bytes.store(bytes, Ordering::Relaxed);
    }
}

impl Table {
    /// The first version of a table, or the version after `previous`, whose counters and fate it shares.
    pub(super) fn new(definition: TableDefinition, previous: Option<&Table>) -> Table {
        let indexes = definition
            .indexes
            .iter()
            .map(|index| {
                let known =
                    previous.and_then(|table| table.indexes.iter().find(|known| known.number() == index.number));
                TableIndex {
                    definition: index.clone(),
                    space: Space::new(definition.id, index.number),
                    counter: known.map_or_else(Arc::default, |known| Arc::clone(&known.counter)),
                    fill: known.map_or_else(Arc::default, |known| Arc::clone(&known.fill)),
                    projected: Projected::new(index, &definition),
                }
            })
            .collect();
        Table {
            indexes,
            counter: previous.map_or_else(Arc::default, |table| Arc::clone(&table.counter)),
            dropped: previous.map_or_else(Arc::default, |table| Arc::clone(&table.dropped)),
            superseded: AtomicBool::new(false),
            definition,
        }
    }

    pub fn definition(&self) -> &TableDefinition {
        &self.definition
    }

    pub fn name(&self) -> &str {
        &self.definition.name
    }

    /// In the order of the definition.
    pub fn indexes(&self) -> &[TableIndex] {
        &self.indexes
    }

    pub fn index(&self, name: &str) -> Option<&TableIndex> {
        self.indexes.iter().find(|index| index.definition.name == name)
    }

    /// Where the items are.
    pub fn space(&self) -> Space {
        Space::new(self.definition.id, TABLE_ROWS)
    }

    /// The key of an item's row: of [`super::Target`], [`super::Store::get`] and ExclusiveStartKey.
    pub fn row_key<'a>(&self, partition: KeyValue<'_>, sort: Option<KeyValue<'_>>, arena: &'a Bump) -> &'a [u8] {
        self.space().row_key(&[partition], sort.as_slice(), &[], arena)
    }

    /// Number of items, exact.
    pub fn item_count(&self) -> u64 {
        self.counter.load().0
    }

    /// Sum of the items' sizes by DynamoDB's rule, exact.
    pub fn size_bytes(&self) -> u64 {
        self.counter.load().1
    }

    /// Whether the table is gone. A reader that found rows missing asks this afterwards: a scan that runs into a drop
    /// may see only a part of the table.
    pub fn is_dropped(&self) -> bool {
        self.dropped.load(Ordering::Acquire)
    }

    pub(super) fn id(&self) -> u32 {
        self.definition.id
    }

    pub(super) fn is_superseded(&self) -> bool {
        self.superseded.load(Ordering::Acquire)
    }

    pub(super) fn mark_superseded(&self) {
        self.superseded.store(true, Ordering::Release);
    }

    pub(super) fn mark_dropped(&self) {
        self.dropped.store(true, Ordering::Release);
        self.mark_superseded();
    }

    /// The table's own counter, then those of its indexes in the order of the definition.
    pub(super) fn counters(&self) -> impl Iterator<Item = (u16, &Counter)> {
        let indexes = self.indexes.iter().map(|index| (index.number(), &*index.counter));
        std::iter::once((TABLE_ROWS, &*self.counter)).chain(indexes)
    }

    /// Takes over a stored counters record. Numbers of indexes that are gone are left out.
    fn restore_counters(&self, records: &[CounterRecord]) {
        for record in records {
            if let Some((_, counter)) = self.counters().find(|(number, _)| *number == record.index_number) {
                counter.store(record.rows, record.bytes);
            }
        }
    }
}

impl TableIndex {
    pub fn definition(&self) -> &IndexDefinition {
        &self.definition
    }

    pub fn name(&self) -> &str {
        &self.definition.name
    }

    /// Where the index rows are.
    pub fn space(&self) -> Space {
        self.space
    }

    /// The key of an index row: of ExclusiveStartKey. `primary` is the item's key in its table.
    pub fn row_key<'a>(
        &self,
        partition: &[KeyValue<'_>],
        sort: &[KeyValue<'_>],
        primary: &[KeyValue<'_>],
        arena: &'a Bump,
    ) -> &'a [u8] {
        self.space.row_key(partition, sort, primary, arena)
    }

    /// Number of entries, exact.
    pub fn item_count(&self) -> u64 {
        self.counter.load().0
    }

    /// Sum of the entries' sizes by DynamoDB's rule, exact.
    pub fn size_bytes(&self) -> u64 {
        self.counter.load().1
    }

    pub(super) fn number(&self) -> u16 {
        self.definition.number
    }

    /// Whether the items that were there before it are still being added to it.
    pub fn is_being_created(&self) -> bool {
        self.definition.status == IndexStatus::Creating
    }

    /// Whether the entry of the item in this row is the committer's to maintain: of an index being created, only the
    /// items that the back-fill has passed.
    pub(super) fn covers(&self, row_key: &[u8]) -> bool {
        !self.is_being_created() || self.fill.has_passed(row_key)
    }

    pub(super) fn fill(&self) -> &Fill {
        &self.fill
    }

    pub(super) fn projected(&self) -> &Projected {
        &self.projected
    }
}

impl Projected {
    fn new(index: &IndexDefinition, table: &TableDefinition) -> Projected {
        let listed = match &index.projection {
            Projection::All => return Projected::All,
            Projection::KeysOnly => &[][..],
            Projection::Include(names) => names,
        };
        let keys = table.key.attributes().chain(index.key.attributes()).map(|attribute| attribute.name.clone());
        let mut names: Vec<String> = keys.chain(listed.iter().cloned()).collect();
        names.sort_unstable();
        names.dedup();
        Projected::Names(names)
    }
}

/// All tables at one moment.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    tables: BTreeMap<String, Arc<Table>>,
    next_table_id: u32,
}

impl Catalog {
    pub fn table(&self, name: &str) -> Option<&Arc<Table>> {
        self.tables.get(name)
    }

    /// In byte order of names: the order of ListTables.
    pub fn tables(&self) -> impl ExactSizeIterator<Item = &Arc<Table>> {
        self.tables.values()
    }

    /// Tables whose names are greater than `name`, in byte order: ListTables after ExclusiveStartTableName.
    pub fn tables_after(&self, name: &str) -> impl Iterator<Item = &Arc<Table>> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.tables.range::<str, _>((Excluded(name), Unbounded)).map(|(_, table)| table)
    }

    /// The current version of a table; `None` if it is dropped.
    pub(super) fn current<'c>(&'c self, table: &'c Arc<Table>) -> Option<&'c Arc<Table>> {
        if !table.is_superseded() {
            return Some(table);
        }
        self.table(table.name()).filter(|current| current.id() == table.id())
    }

    pub(super) fn next_table_id(&self) -> u32 {
        self.next_table_id
    }

    pub(super) fn set_next_table_id(&mut self, id: u32) {
        self.next_table_id = id;
    }

    pub(super) fn insert(&mut self, table: Arc<Table>) {
        self.tables.insert(table.name().to_owned(), table);
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.tables.remove(name);
    }

    /// Reads all records of tables and their counters.
    pub(super) fn load(engine: &Engine) -> Result<Catalog, Error> {
        let next_table_id = match engine.metadata(MetadataKey::next_table_id())? {
            Some(value) => layout::read_u32(&value, "the next table id")?,
            None => layout::TABLE_ID_FIRST,
        };
        let mut catalog = Catalog { tables: BTreeMap::new(), next_table_id };
        for (_, value) in engine.metadata_of_kind(MetadataKey::TABLE)? {
            let definition: TableDefinition = sonic_rs::from_slice(&value)
                .map_err(|error| Error::corrupt(format!("the record of a table cannot be read: {error}")))?;
            let table = Table::new(definition, None);
            if let Some(value) = engine.metadata(MetadataKey::counters(table.id()))? {
                table.restore_counters(&layout::read_counters(&value)?);
            }
            for index in table.indexes.iter().filter(|index| index.is_being_created()) {
                index.fill.restore(engine, table.id(), index.number())?;
            }
            if table.id() >= next_table_id || catalog.table(table.name()).is_some() {
                return Err(Error::corrupt(format!("the record of table {} contradicts the catalog", table.name())));
            }
            catalog.insert(Arc::new(table));
        }
        Ok(catalog)
    }
}
