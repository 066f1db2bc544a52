//! Reading the rows of a space to its end, past blocks that cannot be read.
//!
//! An iterator of RocksDB ends at a damaged block. The next block begins at a key that nobody tells, but a seek to a
//! key behind the damaged one succeeds. So the least partition hash is searched at which a seek succeeds, with steps
//! that double and then by halves: at most 128 seeks.

use bumpalo::Bump;

use crate::storage::bounds::{Bounds, Direction};
use crate::storage::engine::Engine;
use crate::storage::layout::{HASH_BYTES, SPACE_BYTES};
use crate::storage::scan::{Row, ScanOptions};
use crate::storage::{Error, Space, Tier};

/// Every row is read once: the block cache is for lookups.
pub(super) const SCAN: ScanOptions = ScanOptions { direction: Direction::Forward, tier: Tier::Any, fill_cache: false };

/// What comes next in a space.
pub(super) enum Step<'r> {
    Row {
        key: &'r [u8],
        value: &'r [u8],
    },
    /// Rows after this key, of this or the next partitions, cannot be read. The key is only the space's prefix if not
    /// even the first row can be.
    Damaged {
        after: &'r [u8],
        error: Error,
    },
}

/// Gives all rows of a space to `visit`, in order. Its error ends the walk.
pub(super) fn walk(
    engine: &Engine,
    space: Space,
    mut visit: impl FnMut(Step<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let arena = Bump::new();
    let all = space.all(&arena);
    let mut last = all.lower.to_vec();
    let mut bounds = all;
    loop {
        let Err(error) = read(engine, bounds, &mut last, &mut visit)? else { return Ok(()) };
        visit(Step::Damaged { after: &last, error })?;
        let Some(hash) = next_readable(engine, space, all.upper, hash_of(&last)) else { return Ok(()) };
        last = at_hash(space, hash).to_vec();
        bounds = Bounds { lower: arena.alloc_slice_copy(&last), upper: all.upper };
    }
}

/// The outer error is the visitor's, the inner one the disk's.
fn read(
    engine: &Engine,
    bounds: Bounds<'_>,
    last: &mut Vec<u8>,
    visit: &mut impl FnMut(Step<'_>) -> Result<(), Error>,
) -> Result<Result<(), Error>, Error> {
    let mut rows = engine.scan(bounds, SCAN);
    loop {
        match rows.advance() {
            Ok(Row::Found { key, value }) => {
                last.clear();
                last.extend_from_slice(key);
                visit(Step::Row { key, value })?;
            }
            Ok(Row::End | Row::WouldBlock) => return Ok(Ok(())),
            Err(error) => return Ok(Err(error)),
        }
    }
}

/// The least partition hash after `from` at which reading can go on; `None`: there is none.
fn next_readable(engine: &Engine, space: Space, upper: &[u8], from: u64) -> Option<u64> {
    let is_readable = |hash: u64| {
        let lower = at_hash(space, hash);
        engine.scan(Bounds { lower: &lower, upper }, SCAN).advance().is_ok()
    };
    let (mut unreadable, mut step) = (from, 1);
    let mut readable = loop {
        let candidate = unreadable.saturating_add(step);
        if candidate == unreadable {
            return None;
        }
        if is_readable(candidate) {
            break candidate;
        }
        unreadable = candidate;
        step = step.saturating_mul(2);
    };
    while readable - unreadable > 1 {
        let middle = unreadable + (readable - unreadable) / 2;
        if is_readable(middle) { readable = middle } else { unreadable = middle }
    }
    Some(readable)
}

fn at_hash(space: Space, hash: u64) -> [u8; SPACE_BYTES + HASH_BYTES] {
    let mut key = [0; SPACE_BYTES + HASH_BYTES];
    key[..SPACE_BYTES].copy_from_slice(&space.prefix());
    key[SPACE_BYTES..].copy_from_slice(&hash.to_be_bytes());
    key
}

/// The partition hash in a row key; 0 if it is cut off.
fn hash_of(key: &[u8]) -> u64 {
    let hash = key.get(SPACE_BYTES..SPACE_BYTES + HASH_BYTES).and_then(|bytes| bytes.try_into().ok());
    hash.map_or(0, u64::from_be_bytes)
}
