//! The on-disk format, version 1. Another program can read a data directory from this file, [`super::key`] (components
//! of keys) and [`crate::model::item`] (items).
//!
//! A data directory is one RocksDB database (LZ4, bytewise comparator, WAL) with the column family `default` only.
//!
//! ```text
//! key         = metadata-key | row-key
//! row-key     = table-id index-number partition-hash partition [ sort ]                 -- index-number %x0000
//!             | table-id index-number partition-hash partition [ sort ] primary-key     -- an index row
//! table-id    = u32 big-endian, 1 and up         -- never used again, also after the table is gone
//! index-number = u16 big-endian                  -- 0 the table itself, 1 and up its indexes; never used again
//! partition-hash = u64 big-endian                -- XXH3-64, seed 0, of the bytes of `partition`
//! partition   = 1*4 component                    -- hash attributes, in the order of the key schema
//! sort        = 1*4 component                    -- range attributes, in the order of the key schema
//! primary-key = component [ component ]          -- the item's key in its table: equal index keys never collide
//! component                                      -- see key.rs
//!
//! metadata-key = %x00000000 kind
//! kind        = "v"                              -- value: format version, u32 little-endian
//!             | "n"                              -- value: table id that the next table gets, u32 little-endian
//!             | "t" table-id                     -- value: JSON of model::table::TableDefinition
//!             | "c" table-id                     -- value: counters
//!             | "d" table-id index-number        -- value: empty. Rows of a dropped table (0) or index: deleted,
//!                                                   but their space is still to be given back
//!             | "b" table-id index-number        -- value: row key. An index being created holds the entries of the
//!                                                   table's items up to this one; no record: of none
//!             | "p" table-id index-number        -- value: fill-counts. Beside a `b` record; none: not counted
//!             | "i" bucket token                 -- value: fingerprint time. A transaction with this
//!                                                   ClientRequestToken (UTF-8) was done; see idempotency.rs
//! bucket      = u64 big-endian                   -- time / 600,000: the ten minutes in which it was done
//! fingerprint = u128 little-endian               -- XXH3-128 of what it asked for
//! time        = u64 little-endian                -- milliseconds since 1970-01-01 UTC
//! counters    = 1*( index-number-le rows bytes ) -- first the table itself (0), then its indexes
//! index-number-le = u16 little-endian
//! rows = bytes = u64 little-endian               -- rows, and the sum of their sizes by DynamoDB's rule
//! fill-counts = items skipped                    -- items up to the cursor, and the damaged ones among them
//! items = skipped = u64 little-endian
//!
//! value of a row-key with index number 0         -- the item (model/item.rs)
//! value of an index row                          -- an item: the projected attributes and the keys of index and table
//! ```
//!
//! Invariants: bytewise order of the rows of a table or index is the order of Scan (partition hash) and, within a
//! partition, of Query. An index row exists exactly if the item has all key attributes of the index with the right
//! type, not empty and within the limits of length; while an index is being created, only of the items up to its `b`
//! record. Counters are written in the batch that changes rows, so they are
//! exact after a crash.

use bumpalo::Bump;

use super::error::Error;

/// Version of the format described above; also in the metadata under `v`.
pub(super) const FORMAT_VERSION: u32 = 1;

/// Table id of the metadata: sorts before every table.
const METADATA_TABLE: [u8; 4] = [0; 4];

pub(super) const TABLE_ID_FIRST: u32 = 1;

/// Bytes of table id and index number at the start of a row key.
pub(super) const SPACE_BYTES: usize = 4 + 2;

/// Bytes of the partition hash that follow.
pub(super) const HASH_BYTES: usize = 8;

/// A metadata key, built on the stack.
#[derive(Clone, Copy)]
pub(super) struct MetadataKey {
    bytes: [u8; 11],
    length: usize,
}

impl MetadataKey {
    pub fn format_version() -> MetadataKey {
        MetadataKey::new(MetadataKey::VERSION, &[])
    }

    pub fn next_table_id() -> MetadataKey {
        MetadataKey::new(MetadataKey::NEXT_TABLE_ID, &[])
    }

    pub fn table(id: u32) -> MetadataKey {
        MetadataKey::new(MetadataKey::TABLE, &id.to_be_bytes())
    }

    pub fn counters(id: u32) -> MetadataKey {
        MetadataKey::new(MetadataKey::COUNTERS, &id.to_be_bytes())
    }

    pub fn dropped(id: u32, index_number: u16) -> MetadataKey {
        MetadataKey::of_index(MetadataKey::DROPPED, id, index_number)
    }

    pub fn cursor(id: u32, index_number: u16) -> MetadataKey {
        MetadataKey::of_index(MetadataKey::CURSOR, id, index_number)
    }

    pub fn fill(id: u32, index_number: u16) -> MetadataKey {
        MetadataKey::of_index(MetadataKey::FILL, id, index_number)
    }

    fn of_index(kind: u8, id: u32, index_number: u16) -> MetadataKey {
        let mut suffix = [0; 6];
        suffix[..4].copy_from_slice(&id.to_be_bytes());
        suffix[4..].copy_from_slice(&index_number.to_be_bytes());
        MetadataKey::new(kind, &suffix)
    }

    fn new(kind: u8, suffix: &[u8]) -> MetadataKey {
        let mut bytes = [0; 11];
        bytes[..4].copy_from_slice(&METADATA_TABLE);
        bytes[4] = kind;
        bytes[5..5 + suffix.len()].copy_from_slice(suffix);
        MetadataKey { bytes, length: 5 + suffix.len() }
    }

    /// Where the metadata keys of one kind lie: lower bound and exclusive upper bound.
    pub fn range(kind: u8) -> ([u8; 5], [u8; 5]) {
        let mut bounds = [[0, 0, 0, 0, kind], [0, 0, 0, 0, kind]];
        bounds[1][4] += 1;
        (bounds[0], bounds[1])
    }

    pub const VERSION: u8 = b'v';
    pub const NEXT_TABLE_ID: u8 = b'n';
    pub const TABLE: u8 = b't';
    pub const COUNTERS: u8 = b'c';
    pub const DROPPED: u8 = b'd';
    pub const CURSOR: u8 = b'b';
    pub const FILL: u8 = b'p';
    pub const TOKEN: u8 = b'i';

    /// Bytes of an `i` key up to its token.
    pub const BUCKET_BYTES: usize = 5 + 8;

    /// What the keys of the `i` records of a bucket begin with; also their lower bound.
    pub fn bucket(bucket: u64) -> [u8; MetadataKey::BUCKET_BYTES] {
        let mut bytes = [0; MetadataKey::BUCKET_BYTES];
        bytes[4] = MetadataKey::TOKEN;
        bytes[5..].copy_from_slice(&bucket.to_be_bytes());
        bytes
    }
}

impl AsRef<[u8]> for MetadataKey {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// The key of an `i` record.
pub(super) fn idempotency_key<'a>(bucket: u64, token: &str, arena: &'a Bump) -> &'a [u8] {
    let prefix = MetadataKey::bucket(bucket);
    let mut key = bumpalo::collections::Vec::with_capacity_in(prefix.len() + token.len(), arena);
    key.extend_from_slice(&prefix);
    key.extend_from_slice(token.as_bytes());
    key.into_bump_slice()
}

/// Reads a u32 value, as the format version and the next table id are.
pub(super) fn read_u32(value: &[u8], what: &str) -> Result<u32, Error> {
    match value.try_into() {
        Ok(bytes) => Ok(u32::from_le_bytes(bytes)),
        Err(_) => Err(Error::corrupt(format!("{what} has {} bytes instead of 4", value.len()))),
    }
}

/// Table id and index number in the key of a `d` or `b` record.
pub(super) fn read_dropped_key(key: &[u8]) -> Result<(u32, u16), Error> {
    match key.get(5..).unwrap_or_default() {
        &[a, b, c, d, e, f] => Ok((u32::from_be_bytes([a, b, c, d]), u16::from_be_bytes([e, f]))),
        _ => Err(Error::corrupt("the key of a record of a dropped table or a cursor has the wrong length")),
    }
}

/// One element of a counters record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CounterRecord {
    pub index_number: u16,
    pub rows: u64,
    pub bytes: u64,
}

const COUNTER_BYTES: usize = 2 + 8 + 8;

pub(super) fn write_counters(counters: impl Iterator<Item = CounterRecord>, value: &mut Vec<u8>) {
    for counter in counters {
        value.extend_from_slice(&counter.index_number.to_le_bytes());
        value.extend_from_slice(&counter.rows.to_le_bytes());
        value.extend_from_slice(&counter.bytes.to_le_bytes());
    }
}

pub(super) const FILL_COUNTS_BYTES: usize = 2 * 8;

pub(super) fn fill_counts(items: u64, skipped: u64) -> [u8; FILL_COUNTS_BYTES] {
    let mut value = [0; FILL_COUNTS_BYTES];
    value[..8].copy_from_slice(&items.to_le_bytes());
    value[8..].copy_from_slice(&skipped.to_le_bytes());
    value
}

/// Items and skipped items.
pub(super) fn read_fill_counts(value: &[u8]) -> Result<(u64, u64), Error> {
    match value.as_chunks::<8>() {
        ([items, skipped], []) => Ok((u64::from_le_bytes(*items), u64::from_le_bytes(*skipped))),
        _ => Err(Error::corrupt(format!("the counts of a back-fill have {} bytes", value.len()))),
    }
}

pub(super) fn read_counters(value: &[u8]) -> Result<Vec<CounterRecord>, Error> {
    let (records, rest) = value.as_chunks::<COUNTER_BYTES>();
    if !rest.is_empty() {
        return Err(Error::corrupt(format!("a counters record has {} bytes", value.len())));
    }
    let field = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    Ok(records
        .iter()
        .map(|record| CounterRecord {
            index_number: u16::from_le_bytes([record[0], record[1]]),
            rows: field(&record[2..10]),
            bytes: field(&record[10..]),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_keys_are_the_documented_ones() {
        for (key, bytes) in [
            (MetadataKey::format_version(), &b"\0\0\0\0v"[..]),
            (MetadataKey::next_table_id(), b"\0\0\0\0n"),
            (MetadataKey::table(1), b"\0\0\0\0t\0\0\0\x01"),
            (MetadataKey::counters(0x0102_0304), b"\0\0\0\0c\x01\x02\x03\x04"),
            (MetadataKey::cursor(7, 258), b"\0\0\0\0b\0\0\0\x07\x01\x02"),
            (MetadataKey::dropped(7, 258), b"\0\0\0\0d\0\0\0\x07\x01\x02"),
            (MetadataKey::fill(7, 258), b"\0\0\0\0p\0\0\0\x07\x01\x02"),
        ] {
            assert_eq!(key.as_ref(), bytes);
        }
        let arena = Bump::new();
        assert_eq!(idempotency_key(258, "tk", &arena), b"\0\0\0\0i\0\0\0\0\0\0\x01\x02tk");
        assert_eq!(MetadataKey::range(b't'), (*b"\0\0\0\0t", *b"\0\0\0\0u"));
        assert_eq!(read_dropped_key(MetadataKey::dropped(7, 258).as_ref()), Ok((7, 258)));
        assert!(read_dropped_key(b"\0\0\0\0d\0").is_err());
    }

    #[test]
    fn counters_round_trip_and_reject_other_lengths() {
        let counters = [
            CounterRecord { index_number: 0, rows: 1, bytes: u64::MAX },
            CounterRecord { index_number: 513, rows: 1 << 40, bytes: 0 },
        ];
        let mut value = Vec::new();
        write_counters(counters.into_iter(), &mut value);
        assert_eq!(value.len(), 36);
        assert_eq!(&value[..10], [0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(read_counters(&value), Ok(counters.to_vec()));
        for length in [1, 17, 19, 35] {
            assert!(matches!(read_counters(&value[..length]), Err(Error::Corrupt(_))), "{length}");
        }
    }

    #[test]
    fn counts_of_a_back_fill_round_trip_and_reject_other_lengths() {
        let value = fill_counts(258, u64::MAX);
        assert_eq!((&value[..3], read_fill_counts(&value)), (&[2, 1, 0][..], Ok((258, u64::MAX))));
        for length in [0, 8, 15] {
            assert!(matches!(read_fill_counts(&value[..length]), Err(Error::Corrupt(_))), "{length}");
        }
        assert!(read_fill_counts(&[0; 24]).is_err());
    }
}
