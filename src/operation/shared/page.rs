//! Pages of Query and Scan: which rows, how many, what is shown of each, and where the next page begins.
//!
//! A page ends after `Limit` evaluated items, or with the item that brings the evaluated data to 1 MB; only then
//! there is a LastEvaluatedKey, even if nothing is left behind it. The filter runs after both.

use std::sync::Arc;

use bumpalo::{Bump, collections::Vec as BumpVec};

use super::report::{CapacityReport, read_halves, write_consumed_capacity};
use crate::error::ApiError;
use crate::expression::{Condition, Projection};
use crate::json::Writer;
use crate::model::limits::PAGE_BYTES_MAX;
use crate::model::{Attribute, EncodedItem, Item, KeyAttribute, KeySchema, Map, StoredDocument};
use crate::operation::call::Call;
use crate::operation::get_item::write_projected;
use crate::operation::worker::Failure;
use crate::storage::{
    Bounds, Direction, KeyValue, Lookup, Row, ScanOptions, Space, Table, TableIndex, decode_index_row_key,
    decode_row_key,
};

/// What one request may read on an event loop before it moves to the pool: some 100 us of work.
const LOOP_ITEM_COUNT_MAX: usize = 256;
pub const LOOP_BYTES_MAX: usize = 128 * 1024;

/// The rows that are read: a table's or one of its indexes'.
#[derive(Clone)]
pub struct Source {
    pub table: Arc<Table>,
    /// Position in [`Table::indexes`].
    pub index: Option<usize>,
}

/// A page to be read.
pub struct Page<'a> {
    pub source: &'a Source,
    pub bounds: Bounds<'a>,
    pub direction: Direction,
    pub limit: Option<usize>,
    pub filter: Option<Condition<'a>>,
    pub show: Show<'a>,
    pub consistent: bool,
    pub capacity: CapacityReport,
    /// Whether blocks that this page reads stay in the cache.
    pub fill_cache: bool,
}

/// What is shown of an item.
pub enum Show<'a> {
    /// Select=COUNT. `fetched`: the filter looks at what only the whole item has.
    Count { fetched: bool },
    /// What the row holds.
    Row(Option<Projection<'a>>),
    /// The whole item, fetched from the table by the index row's primary key.
    Fetched(Option<Projection<'a>>),
}

/// What has been read so far.
#[derive(Default)]
struct Progress<'a> {
    evaluated_count: usize,
    shown_count: usize,
    row_bytes: usize,
    /// Half units of the items fetched from the table.
    fetched_halves: u64,
    last_key: Option<&'a [u8]>,
}

impl Source {
    pub fn index(&self) -> Option<&TableIndex> {
        self.index.map(|position| &self.table.indexes()[position])
    }

    pub fn space(&self) -> Space {
        self.index().map_or_else(|| self.table.space(), TableIndex::space)
    }

    /// The key that orders the rows.
    pub fn key(&self) -> &KeySchema {
        self.index().map_or(&self.table.definition().key, |index| &index.definition().key)
    }

    /// Key attributes of the row, then for an index those of the table: what LastEvaluatedKey holds.
    pub fn key_attributes(&self) -> impl Iterator<Item = &KeyAttribute> + Clone {
        let table_key = self.index.map(|_| &self.table.definition().key);
        self.key().attributes().chain(table_key.into_iter().flat_map(KeySchema::attributes))
    }

    /// The row that an ExclusiveStartKey stands for.
    pub fn start_row<'a>(&self, start: Map<'a>, arena: &'a Bump) -> Result<&'a [u8], StartKeyFault> {
        let mut names: Vec<&str> = self.key_attributes().map(|attribute| attribute.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        if !start.iter().map(|attribute| attribute.name).eq(names) {
            return Err(StartKeyFault::Names);
        }
        let value = |attribute: &KeyAttribute| {
            let value = start.get(&attribute.name).filter(|value| attribute.kind.matches(value));
            value.and_then(KeyValue::from_value).ok_or(StartKeyFault::Types)
        };
        let values = |attributes: &[KeyAttribute]| attributes.iter().map(value).collect::<Result<Vec<_>, _>>();
        let key = self.key();
        let (hash, range) = (values(&key.hash)?, values(&key.range)?);
        let primary = match self.index {
            Some(_) => {
                let table_key = &self.table.definition().key;
                [values(&table_key.hash)?, values(&table_key.range)?].concat()
            }
            None => Vec::new(),
        };
        Ok(self.space().row_key(&hash, &range, &primary, arena))
    }

    /// The LastEvaluatedKey of a row.
    fn last_evaluated_key<'a>(&self, row_key: &'a [u8], arena: &'a Bump) -> Result<Item<'a>, Failure> {
        let table_key = &self.table.definition().key;
        let values = match self.index() {
            Some(index) => decode_index_row_key(row_key, &index.definition().key, table_key, arena)?,
            None => decode_row_key(row_key, table_key, arena)?,
        };
        let mut attributes = BumpVec::new_in(arena);
        for (attribute, value) in self.key_attributes().zip(values) {
            attributes.push(Attribute { name: &*arena.alloc_str(&attribute.name), value: value.into_value() });
        }
        Ok(Map::from_unsorted(attributes))
    }

    /// The item of an index row in the table.
    fn fetch<'s>(&self, call: &'s Call<'_>, index_row_key: &[u8], arena: &Bump) -> Result<Lookup<'s>, Failure> {
        let index = self.index().expect("only index rows are fetched from the table");
        let table_key = &self.table.definition().key;
        let values = decode_index_row_key(index_row_key, &index.definition().key, table_key, arena)?;
        let primary = &values[index.definition().key.len()..];
        let row_key = self.table.row_key(primary[0], primary.get(1).copied(), arena);
        Ok(call.service.store.get_for_page(row_key, call.tier)?)
    }
}

/// What is wrong with an ExclusiveStartKey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartKeyFault {
    Names,
    Types,
}

impl StartKeyFault {
    const INVALID: &str = "The provided starting key is invalid";

    /// As Scan answers it: of an index it says less.
    pub fn scan_error(self, source: &Source) -> ApiError {
        match source.index {
            Some(_) => ApiError::validation(Self::INVALID),
            None => StartKeyFault::Types.query_error(source),
        }
    }

    /// As Query answers it: it tells names from types.
    pub fn query_error(self, source: &Source) -> ApiError {
        match self {
            StartKeyFault::Types if source.index.is_none() => {
                ApiError::validation(format!("{}: The provided key element does not match the schema", Self::INVALID))
            }
            _ => ApiError::validation(Self::INVALID),
        }
    }
}

impl<'a> Page<'a> {
    /// Reads the page and writes the whole answer.
    pub fn run(&self, call: &mut Call<'_>, arena: &'a Bump) -> Result<(), Failure> {
        let mut out = std::mem::take(call.out);
        let result = self.write(call, &mut Writer::new(&mut out), arena);
        *call.out = out;
        result
    }

    fn write(&self, call: &Call<'_>, writer: &mut Writer<'_>, arena: &'a Bump) -> Result<(), Failure> {
        writer.open(b'{');
        let shows_items = !matches!(self.show, Show::Count { .. });
        if shows_items {
            writer.name("Items");
            writer.open(b'[');
        }
        let progress = self.read(call, writer, arena)?;
        if shows_items {
            writer.close(b']');
        }
        writer.name("Count").integer(progress.shown_count);
        writer.name("ScannedCount").integer(progress.evaluated_count);
        if let Some(row_key) = progress.last_key {
            writer.name("LastEvaluatedKey").item(self.source.last_evaluated_key(row_key, arena)?);
        }
        if self.capacity != CapacityReport::None {
            writer.name("ConsumedCapacity");
            let halves = read_halves(progress.row_bytes, self.consistent);
            let (table_halves, index_halves) = match self.source.index {
                Some(index) => (progress.fetched_halves, &[(index, halves)][..]),
                None => (halves, &[][..]),
            };
            write_consumed_capacity(&self.source.table, self.capacity, table_halves, index_halves, writer);
        }
        writer.close(b'}');
        Ok(())
    }

    fn read(&self, call: &Call<'_>, writer: &mut Writer<'_>, arena: &'a Bump) -> Result<Progress<'a>, Failure> {
        let options = ScanOptions { direction: self.direction, tier: call.tier, fill_cache: self.fill_cache };
        let mut rows = call.service.store.scan(self.bounds, options);
        let mut progress = Progress::default();
        // What one item needs while it is evaluated.
        let mut scratch = Bump::new();
        loop {
            match rows.advance()? {
                Row::Found { key, value } => {
                    self.evaluate(call, key, value, &mut progress, writer, &scratch)?;
                    let page_is_full =
                        self.limit == Some(progress.evaluated_count) || progress.row_bytes >= PAGE_BYTES_MAX;
                    if page_is_full {
                        progress.last_key = Some(arena.alloc_slice_copy(key));
                        return Ok(progress);
                    }
                }
                Row::End => return Ok(progress),
                Row::WouldBlock => return Err(Failure::WouldBlock),
            }
            scratch.reset();
            if progress.evaluated_count > LOOP_ITEM_COUNT_MAX || progress.row_bytes > LOOP_BYTES_MAX {
                call.require_pool()?;
            }
        }
    }

    fn evaluate(
        &self,
        call: &Call<'_>,
        key: &[u8],
        value: &[u8],
        progress: &mut Progress<'_>,
        writer: &mut Writer<'_>,
        scratch: &Bump,
    ) -> Result<(), Failure> {
        let row = EncodedItem::open(value)?;
        progress.evaluated_count += 1;
        progress.row_bytes += row.size();
        let (fetched, projection) = match &self.show {
            Show::Count { fetched } => (*fetched, None),
            Show::Row(projection) => (false, projection.as_ref()),
            Show::Fetched(projection) => (true, projection.as_ref()),
        };
        if !fetched {
            return self.show_item(row, projection, progress, writer, scratch);
        }
        match self.source.fetch(call, key, scratch)? {
            Lookup::Found(stored) => {
                let item = EncodedItem::open(&stored)?;
                progress.fetched_halves += read_halves(item.size(), self.consistent);
                self.show_item(item, projection, progress, writer, scratch)
            }
            // Removed since the scan began.
            Lookup::Missing => Ok(()),
            Lookup::WouldBlock => Err(Failure::WouldBlock),
        }
    }

    fn show_item(
        &self,
        item: EncodedItem<'_>,
        projection: Option<&Projection<'_>>,
        progress: &mut Progress<'_>,
        writer: &mut Writer<'_>,
        scratch: &Bump,
    ) -> Result<(), Failure> {
        if let Some(filter) = &self.filter {
            let document = StoredDocument::new(item, scratch);
            let passes = filter.evaluate(&document);
            document.check()?;
            if !passes {
                return Ok(());
            }
        }
        progress.shown_count += 1;
        if matches!(self.show, Show::Count { .. }) {
            return Ok(());
        }
        write_projected(item, projection, scratch, writer)
    }
}
