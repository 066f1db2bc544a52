//! Ordered scans over a range of keys, in both directions.

use rocksdb::{DBRawIterator, ErrorKind, ReadOptions, ReadTier};

use super::bounds::{Bounds, Direction};
use super::engine::Engine;
use super::error::Error;
use super::read::Tier;

/// How to scan.
#[derive(Clone, Copy, Debug)]
pub struct ScanOptions {
    pub direction: Direction,
    pub tier: Tier,
    /// Whether blocks read from the disk go to the block cache. Query: yes. Scan: no, it would flush what is hot.
    pub fill_cache: bool,
}

/// Rows of a range in order, all from the moment at which the scan began. What it returned is valid until the next
/// call.
pub struct Rows<'s> {
    iterator: DBRawIterator<'s>,
    direction: Direction,
    /// The bound at which the scan begins.
    start: &'s [u8],
    position: Position,
}

/// Where a scan stands.
enum Position {
    BeforeFirst,
    AtRow,
    /// Past the last row: stays so.
    AtEnd,
}

/// One step of a scan.
#[derive(Debug, PartialEq, Eq)]
pub enum Row<'r> {
    Found {
        key: &'r [u8],
        value: &'r [u8],
    },
    /// No further row in the range.
    End,
    /// `Tier::Memory` does not suffice for the next row: begin anew on the pool. The scan is over.
    WouldBlock,
}

impl Engine {
    pub(super) fn scan<'s>(&'s self, bounds: Bounds<'s>, options: ScanOptions) -> Rows<'s> {
        let mut read_options = ReadOptions::default();
        if options.tier == Tier::Memory {
            read_options.set_read_tier(ReadTier::BlockCache);
        }
        read_options.fill_cache(options.fill_cache);
        // RocksDB stops by itself at the bounds, without a look at the block behind them.
        read_options.set_iterate_lower_bound(bounds.lower);
        read_options.set_iterate_upper_bound(bounds.upper);
        // Within one partition the bloom filters over space and hash rule out most files; beyond it they must not be
        // asked.
        read_options.set_prefix_same_as_start(bounds.are_in_one_partition());
        read_options.set_total_order_seek(!bounds.are_in_one_partition());
        // Bounds that exclude each other are no error of the caller, but RocksDB asserts that they do not.
        let position = if bounds.is_empty() { Position::AtEnd } else { Position::BeforeFirst };
        let start = match options.direction {
            Direction::Forward => bounds.lower,
            Direction::Backward => bounds.upper,
        };
        Rows { iterator: self.db.raw_iterator_opt(read_options), direction: options.direction, start, position }
    }
}

impl Rows<'_> {
    /// The next row in the scan's direction.
    pub fn advance(&mut self) -> Result<Row<'_>, Error> {
        match (&self.position, self.direction) {
            (Position::BeforeFirst, Direction::Forward) => self.iterator.seek(self.start),
            // The upper bound itself is excluded by the read options.
            (Position::BeforeFirst, Direction::Backward) => self.iterator.seek_for_prev(self.start),
            (Position::AtRow, Direction::Forward) => self.iterator.next(),
            (Position::AtRow, Direction::Backward) => self.iterator.prev(),
            (Position::AtEnd, _) => return Ok(Row::End),
        }
        self.position = if self.iterator.valid() { Position::AtRow } else { Position::AtEnd };
        // An iterator ends in the same silent way at the last row, at a block that is not in memory and at a corrupt
        // one.
        if matches!(self.position, Position::AtEnd) {
            return match self.iterator.status() {
                Ok(()) => Ok(Row::End),
                Err(error) if error.kind() == ErrorKind::Incomplete => Ok(Row::WouldBlock),
                Err(error) => Err(error.into()),
            };
        }
        match self.iterator.item() {
            Some((key, value)) => Ok(Row::Found { key, value }),
            None => Ok(Row::End),
        }
    }
}
