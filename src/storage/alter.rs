//! Changes of the catalog: tables created, redefined and dropped.
//!
//! An alteration is a closure that looks at the catalog and drafts changes. It runs on the committer thread between two
//! batches, so what it checked still holds when it takes effect. Its changes are one WriteBatch, synced in every
//! durability mode, and become visible as one new snapshot of the catalog, or none of them do.
//!
//! Dropping deletes the rows in that batch too (a range tombstone); the [`super::reclaim`] thread gives their space
//! back later and after a restart goes on with what it had not finished.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};

use rocksdb::WriteBatch;

use super::backfill::drop_records;
use super::catalog::{Catalog, TABLE_ROWS, Table};
use super::commit::Committer;
use super::error::Error;
use super::layout::MetadataKey;
use super::queue::Queue;
use super::reclaim::Dropped;
use crate::model::TableDefinition;

/// An alteration in the making.
pub struct Draft {
    catalog: Catalog,
    batch: WriteBatch,
    superseded: Vec<Arc<Table>>,
    dropped_tables: Vec<Arc<Table>>,
    dropped_rows: Vec<Dropped>,
}

impl Draft {
    fn new(catalog: &Catalog) -> Draft {
        Draft {
            catalog: catalog.clone(),
            batch: WriteBatch::new(),
            superseded: Vec::new(),
            dropped_tables: Vec::new(),
            dropped_rows: Vec::new(),
        }
    }

    /// The catalog with the changes drafted so far.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Creates a table. Its `id` is assigned here; the numbers of its indexes, from 1 up, and `next_index_number` are
    /// the caller's.
    ///
    /// The name must be free: the caller has looked.
    pub fn create(&mut self, mut definition: TableDefinition) -> Result<Arc<Table>, Error> {
        assert!(self.catalog.table(&definition.name).is_none(), "the name of a new table is free");
        let id = self.catalog.next_table_id();
        let next_id = id.checked_add(1).ok_or_else(|| Error::engine("all table ids are used up"))?;
        definition.id = id;
        self.catalog.set_next_table_id(next_id);
        self.batch.put(MetadataKey::next_table_id(), next_id.to_le_bytes());
        let table = Arc::new(Table::new(definition, None));
        self.put(&table)?;
        Ok(table)
    }

    /// Gives a table a new definition: the same name and id, other settings and indexes. Rows of an index that is not
    /// in it any more are dropped. An index that is new in it is maintained from now on. If it is ACTIVE, entries of
    /// older items are not made; if it is CREATING, [`super::backfill`] makes them and then sets it ACTIVE.
    pub fn replace(&mut self, table: &Arc<Table>, definition: TableDefinition) -> Result<Arc<Table>, Error> {
        let current = self.current(table);
        assert!(
            definition.id == current.id() && definition.name == current.name(),
            "a table keeps its id and its name"
        );
        for index in current.indexes() {
            if !definition.indexes.iter().any(|kept| kept.number == index.number()) {
                self.drop_rows(current.id(), index.number(), index.item_count());
            }
        }
        drop_records(&current, &definition.indexes, &mut self.batch);
        let replacement = Arc::new(Table::new(definition, Some(&current)));
        self.put(&replacement)?;
        self.superseded.push(current);
        Ok(replacement)
    }

    /// Drops a table with all its rows.
    pub fn drop_table(&mut self, table: &Arc<Table>) {
        let current = self.current(table);
        self.catalog.remove(current.name());
        self.batch.delete(MetadataKey::table(current.id()));
        self.batch.delete(MetadataKey::counters(current.id()));
        drop_records(&current, &[], &mut self.batch);
        self.drop_rows(current.id(), TABLE_ROWS, current.item_count());
        self.dropped_tables.push(current);
    }

    fn current(&self, table: &Arc<Table>) -> Arc<Table> {
        let current = self.catalog.table(table.name()).filter(|current| current.id() == table.id());
        Arc::clone(current.expect("the caller has found the table in this draft's catalog"))
    }

    fn put(&mut self, table: &Arc<Table>) -> Result<(), Error> {
        let record = sonic_rs::to_vec(table.definition()).map_err(Error::engine)?;
        self.batch.put(MetadataKey::table(table.id()), record);
        self.catalog.insert(Arc::clone(table));
        Ok(())
    }

    /// A range tombstone makes reads near it slower until it is compacted away: none without rows.
    fn drop_rows(&mut self, table_id: u32, index_number: u16, row_count: u64) {
        if row_count > 0 {
            let dropped = Dropped { table_id, index_number };
            let (lower, upper) = dropped.bounds();
            self.batch.delete_range(lower, upper);
            self.batch.put(MetadataKey::dropped(table_id, index_number), b"");
            self.dropped_rows.push(dropped);
        }
    }
}

impl Committer {
    /// Runs an alteration on the committer thread.
    pub(super) fn alter<T, E: From<Error>>(&mut self, change: impl FnOnce(&mut Draft) -> Result<T, E>) -> Result<T, E> {
        self.engine.check_poison()?;
        let mut draft = Draft::new(&self.catalog.load());
        let value = catch_unwind(AssertUnwindSafe(|| change(&mut draft)))
            .unwrap_or_else(|_| Err(Error::engine("an alteration panicked").into()))?;
        if !draft.batch.is_empty() {
            self.engine.write(draft.batch, true)?;
            self.catalog.store(Arc::new(draft.catalog));
            draft.superseded.iter().for_each(|table| table.mark_superseded());
            draft.dropped_tables.iter().for_each(|table| table.mark_dropped());
            self.reclaimer.add(draft.dropped_rows);
            self.backfiller.notify();
        }
        Ok(value)
    }
}

impl Queue {
    /// Has the committer run an alteration and waits for its end.
    pub(super) fn alter<T, E>(&self, change: impl FnOnce(&mut Draft) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.push_run(Box::new(move |committer| {
            // The receiver is below: it waits.
            let _ = sender.send(committer.alter(change));
        }));
        // A closed queue has dropped the closure and the sender with it.
        receiver.recv().unwrap_or_else(|_| Err(Error::Closed.into()))
    }
}
