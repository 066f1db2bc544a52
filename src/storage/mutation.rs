//! What a write request is to the store: the items it touches, and how each old item becomes a new one.
//!
//! The store never knows expressions. It calls, on the committer thread and in this order:
//!
//! ```text
//! target_count, target(i)...      which rows
//! idempotency                     whether it was done before: then replay(0, item), replay(1, item) and no decide
//! decide(0, old), decide(1, old)  all old items are in memory before the first decide
//! waker                           the batch is written and synced as the durability mode says
//! complete(outcome)               exactly once, also after a failure
//! wake                            once per distinct waker and batch, after all completions
//! ```

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use bumpalo::Bump;

use super::catalog::Table;
use super::error::Error;
use super::idempotency::Idempotency;
use super::read::Tier;
use crate::model::EncodedItem;

/// One write request in flight.
/// `Any`, so that a refused mutation can be turned back into what was submitted.
pub trait Mutation: Any + Send {
    /// How many items it touches, 1 to 100.
    fn target_count(&self) -> usize;

    /// An item that it touches. The targets of one mutation must be distinct.
    fn target(&self, index: usize) -> Target<'_>;

    /// Whether a refused target takes the others with it (TransactWriteItems).
    fn atomic(&self) -> bool;

    /// Memory that the request holds while it waits: the queue is bounded by the sum.
    fn request_bytes(&self) -> usize;

    /// How old items may be read. A mutation that comes back as [`Outcome::Cold`] although it was warmed (the cache is
    /// smaller than what is going on) must answer `Tier::Any`, so that it ends: then the committer waits for the disk.
    fn tier(&self) -> Tier {
        Tier::Memory
    }

    /// The token under which it is done at most once. Only of an atomic mutation.
    fn idempotency(&self) -> Option<Idempotency<'_>> {
        None
    }

    /// A target as it is now, of a mutation that was done before: called for each instead of `decide`.
    fn replay(&mut self, _index: usize, _item: Option<EncodedItem<'_>>) {}

    /// What becomes of one target. Called once per target, in order, for targets `0..target_count()`; with `atomic` the
    /// remaining ones are asked even after a refusal, because TransactionCanceledException lists a reason for each.
    ///
    /// A panic in here fails this mutation only.
    fn decide<'s>(&mut self, index: usize, old: Option<EncodedItem<'s>>, scratch: &'s Bump) -> Decision<'s>;

    /// When its batch went through the committer; called before `complete`.
    fn timed(&mut self, _times: CommitTimes) {}

    /// Takes the mutation back to whoever waits for it. Must not block.
    fn complete(self: Box<Self>, outcome: Outcome);

    /// Whom to wake after completions. Mutations of one loop share one `Arc`.
    fn waker(&self) -> &Arc<dyn Wake>;
}

/// A row that a mutation touches.
#[derive(Clone, Copy)]
pub struct Target<'m> {
    /// The table as the request found it; the committer uses its current version.
    pub table: &'m Arc<Table>,
    /// From [`Table::row_key`].
    pub row_key: &'m [u8],
}

/// What becomes of an item.
#[derive(Clone, Copy, Debug)]
pub enum Decision<'s> {
    /// It stays as it is.
    Keep,
    /// It is replaced or created. The new item's key attributes are those of the row key.
    Put(EncodedItem<'s>),
    /// It is removed; nothing happens if there is none.
    Delete,
    /// Nothing is written. The mutation keeps its own error; with `atomic` none of its targets is written.
    Refuse,
}

/// When a batch went through the committer.
#[derive(Clone, Copy, Debug)]
pub struct CommitTimes {
    /// The committer took up its first mutation.
    pub taken: Instant,
    /// All its mutations were decided, and their writing began.
    pub decided: Instant,
    /// It was written, and synced if the durability mode says so.
    pub written: Instant,
}

/// How a mutation ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Decided, and what was decided is as durable as the mode says. Also when it was refused: what the refusal saw is
    /// durable.
    Committed,
    /// A mutation with the same token and fingerprint was done before; nothing was decided or written.
    Replayed,
    /// A mutation with the same token and another fingerprint was done before; nothing was decided or written.
    TokenMismatch,
    /// An old item is not in memory; nothing was decided. [`super::Store::warm`] it on the pool, then submit it again.
    Cold,
    /// A table of it was dropped before its turn came; nothing was written.
    TableGone,
    /// Nothing of it will be acknowledged. It may have been decided.
    Failed(Error),
}

/// A loop's mailbox, or whatever waits for completions.
pub trait Wake: Send + Sync {
    fn wake(&self);
}
