//! An index against its table, in both directions, in bounded memory.
//!
//! The entries that the items imply and the entries that are there are two sets. Each is read once, in the order in
//! which it lies on the disk, and summed up in a [`Digest`] that does not depend on the order. Equal digests: equal
//! sets. Only if they differ does [`differences`] look for every entry of one side on the other.

use bumpalo::Bump;
use xxhash_rust::xxh3::Xxh3;

use super::item::readable;
use super::walk::{Step, walk};
use crate::model::EncodedItem;
use crate::storage::engine::Engine;
use crate::storage::index::{IndexEntry, index_entry};
use crate::storage::{Error, Lookup, Table, TableIndex, Tier, decode_index_row_key};

/// A set of rows: how many, their sizes by DynamoDB's rule, and the sum of their hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Digest {
    pub rows: u64,
    pub bytes: u64,
    hashes: u128,
}

impl Digest {
    pub fn add(&mut self, key: &[u8], value: &[u8]) {
        let mut hash = Xxh3::new();
        hash.update(&(key.len() as u64).to_le_bytes());
        hash.update(key);
        hash.update(value);
        self.rows += 1;
        self.bytes = self.bytes.wrapping_add(EncodedItem::open(value).map_or(0, |item| item.size() as u64));
        self.hashes = self.hashes.wrapping_add(hash.digest128());
    }
}

/// How an index is not what its table implies.
pub(super) enum Difference<'a> {
    Missing(IndexEntry<'a>),
    /// The entry is there with other attributes; this is what it should be.
    Different(IndexEntry<'a>),
    /// The row key of an entry that no item implies.
    Extra(&'a [u8]),
}

/// The entry that an item should have in an index now.
pub(super) fn implied<'a>(
    table: &Table,
    index: &TableIndex,
    row_key: &[u8],
    item: EncodedItem<'a>,
    arena: &'a Bump,
) -> Result<Option<IndexEntry<'a>>, Error> {
    if !index.covers(row_key) {
        return Ok(None);
    }
    index_entry(table, index, item, arena)
}

/// Gives all differences to `visit`: the missing and different ones in the order of the table, then the extra ones in
/// the order of the index. Rows that cannot be read are on neither side: nothing is known of them.
pub(super) fn differences(
    engine: &Engine,
    table: &Table,
    index: &TableIndex,
    mut visit: impl FnMut(Difference<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut arena = Bump::new();
    walk(engine, table.space(), |step| {
        let Step::Row { key, value } = step else { return Ok(()) };
        arena.reset();
        let Ok(item) = readable(table, key, value, &arena) else { return Ok(()) };
        let Some(entry) = implied(table, index, key, item, &arena)? else { return Ok(()) };
        match engine.get(entry.row_key, Tier::Any) {
            Ok(Lookup::Missing) => visit(Difference::Missing(entry)),
            Ok(Lookup::Found(stored)) if *stored != *entry.item.as_bytes() => visit(Difference::Different(entry)),
            Ok(Lookup::Found(_) | Lookup::WouldBlock) | Err(_) => Ok(()),
        }
    })?;
    let mut arena = Bump::new();
    walk(engine, index.space(), |step| {
        let Step::Row { key, .. } = step else { return Ok(()) };
        arena.reset();
        match is_extra(engine, table, index, key, &arena)? {
            true => visit(Difference::Extra(key)),
            false => Ok(()),
        }
    })
}

/// Whether no item implies an entry with this row key. `false` if the item cannot be read.
fn is_extra(engine: &Engine, table: &Table, index: &TableIndex, key: &[u8], arena: &Bump) -> Result<bool, Error> {
    let (index_key, table_key) = (&index.definition().key, &table.definition().key);
    let Ok(values) = decode_index_row_key(key, index_key, table_key, arena) else { return Ok(true) };
    let (partition, sort) = values[index_key.len()..].split_at(table_key.hash.len());
    let item_key = table.space().row_key(partition, sort, &[], arena);
    match engine.get(item_key, Tier::Any) {
        Ok(Lookup::Missing) => Ok(true),
        Ok(Lookup::Found(stored)) => match readable(table, item_key, &stored, arena) {
            Ok(item) => {
                Ok(implied(table, index, item_key, item.copied(arena), arena)?.is_none_or(|entry| entry.row_key != key))
            }
            Err(_) => Ok(false),
        },
        Ok(Lookup::WouldBlock) | Err(_) => Ok(false),
    }
}
