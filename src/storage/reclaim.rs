//! Giving back the space of dropped tables and indexes.
//!
//! ```text
//! Draft::drop_rows                    rows deleted by a range tombstone, `d` record written, both in one batch
//!   -> Reclaimer::add
//!   -> reclaim: whole table files of the range are removed, what is left of it is compacted away if it is much,
//!               alone or together with what is left of others
//!   -> the committer deletes the `d` record; until then a restart begins anew with `reclaim`
//! ```
//!
//! The order matters only for space: nobody reads the rows of an id that is not in the catalog.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rocksdb::WriteBatch;

use super::catalog::TABLE_ROWS;
use super::engine::Engine;
use super::error::Error;
use super::layout::{self, MetadataKey};
use super::queue::Queue;

/// With less than this left in table files by all that was dropped lately, ordinary compactions will do.
const COMPACTION_BYTES_MIN: u64 = 8 * 1024 * 1024;

/// So many small remains are kept in mind. Where tables come and go faster than that, compactions are many anyway.
const REMAINS_COUNT_MAX: usize = 256;

/// Rows that are deleted but still take space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dropped {
    pub table_id: u32,
    /// 0: the whole table, indexes included.
    pub index_number: u16,
}

impl Dropped {
    /// Lower and exclusive upper bound of the row keys. Neither number can be the greatest of its type, or there would
    /// be no next.
    pub fn bounds(self) -> ([u8; layout::SPACE_BYTES], [u8; layout::SPACE_BYTES]) {
        let prefix = |table_id, index_number| super::key::Space::new(table_id, index_number).prefix();
        let Dropped { table_id, index_number } = self;
        if index_number == TABLE_ROWS {
            (prefix(table_id, 0), prefix(table_id.saturating_add(1), 0))
        } else {
            (prefix(table_id, index_number), prefix(table_id, index_number.saturating_add(1)))
        }
    }
}

/// The work of the reclaiming thread.
#[derive(Default)]
pub(super) struct Reclaimer {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Bounded by the number of tables and indexes that existed.
    dropped: VecDeque<Dropped>,
    closed: bool,
}

impl Reclaimer {
    /// With what was not finished before the last restart.
    pub fn load(engine: &Engine) -> Result<Reclaimer, Error> {
        let mut dropped = VecDeque::new();
        for (key, _) in engine.metadata_of_kind(MetadataKey::DROPPED)? {
            let (table_id, index_number) = layout::read_dropped_key(&key)?;
            dropped.push_back(Dropped { table_id, index_number });
        }
        Ok(Reclaimer { state: Mutex::new(State { dropped, closed: false }), changed: Condvar::new() })
    }

    pub fn add(&self, dropped: Vec<Dropped>) {
        if !dropped.is_empty() {
            self.lock().dropped.extend(dropped);
            self.changed.notify_one();
        }
    }

    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// The thread's body: works until `close`.
    pub fn run(&self, engine: &Engine, queue: &Queue) {
        let mut remains = VecDeque::new();
        while let Some(dropped) = self.next() {
            if let Err(error) = reclaim(engine, dropped, &mut remains) {
                let table_id = dropped.table_id;
                tracing::warn!(table_id, %error, "the space of a dropped table is not given back yet");
                continue;
            }
            queue.push_run(Box::new(move |committer| {
                let mut batch = WriteBatch::new();
                batch.delete(MetadataKey::dropped(dropped.table_id, dropped.index_number));
                // A failure poisons the store, which says so itself; the record then stays for the next start.
                let _ = committer.engine.write(batch, false);
            }));
        }
    }

    /// Waits for work. `None`: closed.
    fn next(&self) -> Option<Dropped> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(dropped) = state.dropped.pop_front() {
                return Some(dropped);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `remains`: what was reclaimed before and was not worth a compaction of its own.
fn reclaim(engine: &Engine, dropped: Dropped, remains: &mut VecDeque<Dropped>) -> Result<(), Error> {
    let (lower, upper) = dropped.bounds();
    engine.db.delete_file_in_range(lower, upper)?;
    let bytes_of = |dropped: &Dropped| {
        let (lower, upper) = dropped.bounds();
        engine.file_bytes_between(&lower, &upper)
    };
    remains.push_back(dropped);
    remains.retain(|dropped| bytes_of(dropped) > 0);
    if remains.iter().map(bytes_of).sum::<u64>() >= COMPACTION_BYTES_MIN {
        for (lower, upper) in remains.drain(..).map(Dropped::bounds) {
            engine.db.compact_range(Some(lower), Some(upper));
        }
    }
    if remains.len() > REMAINS_COUNT_MAX {
        remains.pop_front();
    }
    Ok(())
}

/// Starts the reclaiming thread.
pub(super) fn spawn(
    reclaimer: Arc<Reclaimer>,
    engine: Arc<Engine>,
    queue: Arc<Queue>,
) -> std::io::Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new().name("reclaim".into()).spawn(move || reclaimer.run(&engine, &queue))
}
