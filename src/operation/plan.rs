//! Writes between their decoding and their answer.
//!
//! ```text
//! loop        operation decodes a Plan that borrows RequestMemory; both become one owned PendingWrite
//! committer   decide(i, old item): condition, change, capacity; results that the answer needs are copied into the plan
//! loop        answer(): attributes, capacity, metrics; the memory goes back to the loop
//! ```

use std::any::Any;
use std::sync::Arc;

use bumpalo::Bump;
use self_cell::self_cell;

use super::call::Service;
use super::shared::key::check_index_keys;
use super::shared::report::{CapacityReport, Reports, WriteUnits, read_halves, write_transaction_reads};
use super::shared::transaction::cancelled;
use super::table::Operation;
use super::worker::{Failure, RequestMemory};
use crate::error::ApiError;
use crate::expression::{Condition, Update, UpdateError};
use crate::json::Writer;
use crate::model::limits::ITEM_BYTES_MAX;
use crate::model::{Corrupt, EncodedItem, Item, Map, StoredDocument};
use crate::storage::{self, CommitTimes, Decision, Idempotency, Mutation, Outcome, Table, Target, Tier, Wake};

/// Beyond this, [`PendingWrite::describe`] counts keys instead of listing them.
const DESCRIBED_BYTES_MAX: usize = 16 << 10;

/// Where a loop takes finished writes back.
pub trait Mailbox: Wake {
    fn push(&self, token: u64, write: Box<PendingWrite>, outcome: Outcome);
}

/// Everything that a write is to do, and what came of it.
pub(super) struct Plan<'a> {
    pub actions: Vec<Action<'a>>,
    pub form: AnswerForm<'a>,
    pub reports: Reports,
}

/// The shape of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AnswerForm<'a> {
    /// PutItem, UpdateItem, DeleteItem: one action.
    Item,
    /// BatchWriteItem: each action for itself.
    Batch,
    /// TransactWriteItems: all actions or none.
    Transaction { token: Option<IdempotencyToken<'a>> },
}

/// ClientRequestToken and what it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IdempotencyToken<'a> {
    pub token: &'a str,
    pub fingerprint: u128,
    /// When the request came.
    pub now_ms: u64,
}

/// One item to be written.
pub(super) struct Action<'a> {
    pub table: Arc<Table>,
    pub row_key: &'a [u8],
    /// The key attributes, which are what an update of a missing item starts from; of a put the whole item.
    pub key: Map<'a>,
    pub change: Change<'a>,
    pub condition: Option<Condition<'a>>,
    pub returns: ReturnValues,
    /// ReturnValuesOnConditionCheckFailure=ALL_OLD.
    pub item_on_failure: bool,
    pub result: ActionResult,
}

/// What is to become of an item that meets the condition.
pub(super) enum Change<'a> {
    /// Nothing: ConditionCheck.
    Check,
    Put(EncodedItem<'a>),
    Delete,
    Update(Update<'a>),
}

/// ReturnValues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ReturnValues {
    #[default]
    None,
    AllOld,
    UpdatedOld,
    AllNew,
    UpdatedNew,
}

/// What the committer leaves for the answer.
#[derive(Default)]
pub(super) struct ActionResult {
    /// Stored form of what `Attributes` shows.
    attributes: Option<Box<[u8]>>,
    error: Option<ActionError>,
    pub units: WriteUnits,
    /// Of a replayed transaction: the size of the item as it is now.
    replayed_bytes: usize,
}

enum ActionError {
    Api(ApiError),
    Storage(storage::Error),
}

impl From<ApiError> for ActionError {
    fn from(error: ApiError) -> ActionError {
        ActionError::Api(error)
    }
}

impl From<UpdateError> for ActionError {
    fn from(error: UpdateError) -> ActionError {
        ActionError::Api(ApiError::validation(error.to_string()))
    }
}

impl From<storage::Error> for ActionError {
    fn from(error: storage::Error) -> ActionError {
        ActionError::Storage(error)
    }
}

impl From<Corrupt> for ActionError {
    fn from(corrupt: Corrupt) -> ActionError {
        ActionError::Storage(corrupt.into())
    }
}

/// What an action makes of the old item.
enum NewItem<'s> {
    Unchanged,
    Stored(EncodedItem<'s>),
    Removed,
}

impl Action<'_> {
    fn decide<'s>(
        &mut self,
        old: Option<EncodedItem<'s>>,
        capacity: CapacityReport,
        scratch: &'s Bump,
    ) -> Decision<'s> {
        match self.evaluate(old, capacity, scratch) {
            Ok(NewItem::Unchanged) => Decision::Keep,
            Ok(NewItem::Stored(item)) => Decision::Put(item),
            Ok(NewItem::Removed) => Decision::Delete,
            Err(error) => {
                self.result.error = Some(error);
                Decision::Refuse
            }
        }
    }

    fn evaluate<'s>(
        &mut self,
        old: Option<EncodedItem<'s>>,
        capacity: CapacityReport,
        scratch: &'s Bump,
    ) -> Result<NewItem<'s>, ActionError> {
        self.check_condition(old, scratch)?;
        let (new, attributes) = self.apply(old, scratch)?;
        self.result.attributes = attributes.map(|item| item.as_bytes().into());
        if capacity != CapacityReport::None {
            let after = match new {
                NewItem::Stored(item) => Some(item),
                NewItem::Unchanged => old,
                NewItem::Removed => None,
            };
            self.result.units = WriteUnits::of(&self.table, old, after, scratch)?;
        }
        Ok(new)
    }

    fn check_condition(&self, old: Option<EncodedItem<'_>>, scratch: &Bump) -> Result<(), ActionError> {
        let Some(condition) = &self.condition else { return Ok(()) };
        let holds = match old {
            Some(item) => {
                let document = StoredDocument::new(item, scratch);
                let holds = condition.evaluate(&document);
                document.check()?;
                holds
            }
            None => condition.evaluate(&Map::EMPTY),
        };
        if holds {
            return Ok(());
        }
        let shown = old.filter(|_| self.item_on_failure).map(|item| item.as_bytes().into());
        Err(ApiError::condition_failed(shown).into())
    }

    /// The new item, and what `Attributes` is to show.
    fn apply<'s>(
        &self,
        old: Option<EncodedItem<'s>>,
        scratch: &'s Bump,
    ) -> Result<(NewItem<'s>, Option<EncodedItem<'s>>), ActionError> {
        let all_old = if self.returns == ReturnValues::AllOld { old } else { None };
        match &self.change {
            Change::Check => Ok((NewItem::Unchanged, None)),
            Change::Put(item) => Ok((NewItem::Stored(item.copied(scratch)), all_old)),
            Change::Delete => Ok((NewItem::Removed, all_old)),
            Change::Update(update) => self.update(update, old, scratch),
        }
    }

    fn update<'s>(
        &self,
        update: &Update<'_>,
        old: Option<EncodedItem<'s>>,
        scratch: &'s Bump,
    ) -> Result<(NewItem<'s>, Option<EncodedItem<'s>>), ActionError> {
        let before = old.map(|item| item.decode(scratch)).transpose()?;
        let Some(after) = update.apply(before, self.key, scratch)? else { return Ok((NewItem::Unchanged, None)) };
        if after.size() > ITEM_BYTES_MAX {
            return Err(ApiError::validation("Item size to update has exceeded the maximum allowed size").into());
        }
        check_index_keys(self.table.definition(), after, true)?;
        let new = EncodedItem::encode(after, scratch);
        let piece = |piece: Item<'_>| (!piece.is_empty()).then(|| EncodedItem::encode(piece, scratch));
        let attributes = match self.returns {
            ReturnValues::None => None,
            ReturnValues::AllOld => old,
            ReturnValues::AllNew => Some(new),
            ReturnValues::UpdatedOld => before.and_then(|before| piece(update.touched(&before, scratch))),
            ReturnValues::UpdatedNew => piece(update.touched(&after, scratch)),
        };
        Ok((NewItem::Stored(new), attributes))
    }
}

self_cell!(
    /// A plan together with the memory that it borrows.
    pub(super) struct WriteCell {
        owner: Box<RequestMemory>,

        #[covariant]
        dependent: Plan,
    }
);

/// A write on its way to the committer and back.
pub struct PendingWrite {
    cell: WriteCell,
    operation: &'static Operation,
    reply: Option<Reply>,
    /// Its old items were read from the disk by [`Service::warm`].
    warmed: bool,
    times: Option<CommitTimes>,
}

/// Where a finished write goes.
struct Reply {
    mailbox: Arc<dyn Mailbox>,
    waker: Arc<dyn Wake>,
    token: u64,
}

impl PendingWrite {
    pub(super) fn new(cell: WriteCell, operation: &'static Operation) -> PendingWrite {
        PendingWrite { cell, operation, reply: None, warmed: false, times: None }
    }

    pub fn operation(&self) -> &'static Operation {
        self.operation
    }

    /// When it went through the committer, once it comes back.
    pub fn times(&self) -> Option<CommitTimes> {
        self.times
    }

    /// The tables and keys that it touches, as members of a JSON object: `"tables":[...],"keys":[...],"keysOmitted":n`.
    /// Keys are listed until they take [`DESCRIBED_BYTES_MAX`].
    pub fn describe(&self, out: &mut Vec<u8>) {
        let actions = &self.plan().actions;
        let mut tables: Vec<&str> = Vec::new();
        for action in actions.iter().filter(|action| !matches!(action.change, Change::Check)) {
            if !tables.contains(&action.table.name()) {
                tables.push(action.table.name());
            }
        }
        let begun = out.len();
        let mut omitted = 0;
        let mut writer = Writer::new(out);
        writer.name("tables").array(|writer| tables.iter().for_each(|table| writer.string(table)));
        writer.name("keys").array(|writer| {
            for action in actions.iter().filter(|action| !matches!(action.change, Change::Check)) {
                if writer.length() - begun >= DESCRIBED_BYTES_MAX {
                    omitted += 1;
                    continue;
                }
                writer.object(|writer| {
                    writer.name("table").string(action.table.name());
                    writer.name("key").object(|writer| {
                        let schema = &action.table.definition().key;
                        for attribute in action.key.iter().filter(|attribute| schema.contains(attribute.name)) {
                            writer.name(attribute.name).value(attribute.value);
                        }
                    });
                });
            }
        });
        writer.name("keysOmitted").integer(omitted);
    }

    /// Gives the memory back.
    pub fn into_memory(self) -> Box<RequestMemory> {
        self.cell.into_owner()
    }

    fn plan(&self) -> &Plan<'_> {
        self.cell.borrow_dependent()
    }

    /// Encodes the answer of a committed write.
    pub(super) fn answer(&self, out: &mut Vec<u8>) -> Result<(), Failure> {
        let plan = self.plan();
        plan.check_results()?;
        let mut writer = Writer::new(out);
        writer.open(b'{');
        match plan.form {
            AnswerForm::Item => plan.write_item_answer(&mut writer)?,
            AnswerForm::Batch => plan.write_batch_answer(&mut writer),
            AnswerForm::Transaction { .. } => plan.write_reports(&mut writer),
        }
        writer.close(b'}');
        Ok(())
    }

    /// Encodes the answer of a transaction that was done before: a success that only read its items.
    pub(super) fn answer_replayed(&self, out: &mut Vec<u8>) {
        let plan = self.plan();
        Writer::new(out).object(|writer| {
            if plan.reports.capacity != CapacityReport::None {
                let halves = |action: &Action<'_>| 2 * read_halves(action.result.replayed_bytes, true);
                let reads = plan.actions.iter().map(|action| (&action.table, halves(action)));
                write_transaction_reads(reads, plan.reports.capacity, writer);
            }
        });
    }
}

impl Plan<'_> {
    /// The error that the answer is, if any action failed.
    fn check_results(&self) -> Result<(), Failure> {
        let mut failed = false;
        for action in &self.actions {
            match &action.result.error {
                None => {}
                Some(ActionError::Storage(error)) => return Err(Failure::Storage(error.clone())),
                Some(ActionError::Api(_)) if matches!(self.form, AnswerForm::Transaction { .. }) => failed = true,
                Some(ActionError::Api(error)) => return Err(Failure::Api(error.clone())),
            }
        }
        if !failed {
            return Ok(());
        }
        let errors = self.actions.iter().map(|action| match &action.result.error {
            Some(ActionError::Api(error)) => Some(error),
            _ => None,
        });
        Err(Failure::Api(cancelled(errors)))
    }

    fn write_item_answer(&self, writer: &mut Writer<'_>) -> Result<(), Failure> {
        let [action] = self.actions.as_slice() else { unreachable!("an item answer has one action") };
        if let Some(attributes) = &action.result.attributes {
            writer.name("Attributes").stored_item(EncodedItem::open(attributes)?)?;
        }
        if self.reports.capacity != CapacityReport::None {
            writer.name("ConsumedCapacity");
            action.result.units.write(&action.table, self.reports.capacity, writer);
        }
        if self.reports.collection_metrics && action.table.definition().local_indexes().next().is_some() {
            writer.name("ItemCollectionMetrics");
            write_collection_metrics(action, writer);
        }
        Ok(())
    }

    fn write_batch_answer(&self, writer: &mut Writer<'_>) {
        writer.name("UnprocessedItems").object(|_| {});
        self.write_reports(writer);
    }

    /// ConsumedCapacity and ItemCollectionMetrics of several actions, by table.
    fn write_reports(&self, writer: &mut Writer<'_>) {
        let mut tables: Vec<Vec<&Action<'_>>> = Vec::new();
        for action in &self.actions {
            match tables.iter_mut().find(|known| Arc::ptr_eq(&known[0].table, &action.table)) {
                Some(actions) => actions.push(action),
                None => tables.push(vec![action]),
            }
        }
        if self.reports.capacity != CapacityReport::None {
            writer.name("ConsumedCapacity").array(|writer| {
                for actions in &tables {
                    let mut units = WriteUnits::default();
                    actions.iter().for_each(|action| units.add(&action.result.units));
                    match self.form {
                        AnswerForm::Transaction { .. } => {
                            units.write_of_transaction(&actions[0].table, self.reports.capacity, writer);
                        }
                        _ => units.write(&actions[0].table, self.reports.capacity, writer),
                    }
                }
            });
        }
        let has_collections = |table: &Table| table.definition().local_indexes().next().is_some();
        let mut with_collections = tables.iter().filter(|actions| has_collections(&actions[0].table)).peekable();
        if self.reports.collection_metrics && with_collections.peek().is_some() {
            writer.name("ItemCollectionMetrics").object(|writer| {
                for actions in with_collections {
                    writer.name(actions[0].table.name()).array(|writer| {
                        let mut seen: Vec<Item<'_>> = Vec::new();
                        for action in actions {
                            let partition = action.partition_key();
                            if !seen.contains(&partition) {
                                seen.push(partition);
                                write_collection_metrics(action, writer);
                            }
                        }
                    });
                }
            });
        }
    }
}

impl<'a> Action<'a> {
    /// The hash attribute alone.
    fn partition_key(&self) -> Map<'a> {
        let name = &self.table.definition().key.hash[0].name;
        let position = self.key.iter().position(|attribute| attribute.name == name.as_str()).unwrap_or_default();
        Map::from_sorted(&self.key.attributes()[position..=position])
    }
}

/// An estimate that covers what one instance can hold: AWS gives a range of GB too.
fn write_collection_metrics(action: &Action<'_>, writer: &mut Writer<'_>) {
    writer.object(|writer| {
        writer.name("ItemCollectionKey").item(action.partition_key());
        writer.name("SizeEstimateRangeGB").array(|writer| {
            writer.units(0);
            writer.units(2);
        });
    });
}

impl Mutation for PendingWrite {
    fn target_count(&self) -> usize {
        self.plan().actions.len()
    }

    fn target(&self, index: usize) -> Target<'_> {
        let action = &self.plan().actions[index];
        Target { table: &action.table, row_key: action.row_key }
    }

    fn atomic(&self) -> bool {
        matches!(self.plan().form, AnswerForm::Transaction { .. })
    }

    fn idempotency(&self) -> Option<Idempotency<'_>> {
        let AnswerForm::Transaction { token } = self.plan().form else { return None };
        token.map(|IdempotencyToken { token, fingerprint, now_ms }| Idempotency { token, fingerprint, now_ms })
    }

    fn replay(&mut self, index: usize, item: Option<EncodedItem<'_>>) {
        self.cell.with_dependent_mut(|_, plan| {
            plan.actions[index].result.replayed_bytes = item.map_or(0, |item| item.size());
        });
    }

    fn request_bytes(&self) -> usize {
        let memory = self.cell.borrow_owner();
        memory.body.capacity() + memory.arena.allocated_bytes()
    }

    fn tier(&self) -> Tier {
        if self.warmed { Tier::Any } else { Tier::Memory }
    }

    fn decide<'s>(&mut self, index: usize, old: Option<EncodedItem<'s>>, scratch: &'s Bump) -> Decision<'s> {
        self.cell.with_dependent_mut(|_, plan| {
            let capacity = plan.reports.capacity;
            plan.actions[index].decide(old, capacity, scratch)
        })
    }

    fn timed(&mut self, times: CommitTimes) {
        self.times = Some(times);
    }

    fn complete(mut self: Box<Self>, outcome: Outcome) {
        let Some(Reply { mailbox, token, .. }) = self.reply.take() else { return };
        mailbox.push(token, self, outcome);
    }

    fn waker(&self) -> &Arc<dyn Wake> {
        &self.reply.as_ref().expect("a submitted write has a reply").waker
    }
}

impl Service {
    /// Queues a write. `Err`: the queue is full or closed; the write comes back untouched, with the answer to give.
    pub fn submit(
        &self,
        mut write: Box<PendingWrite>,
        mailbox: &Arc<dyn Mailbox>,
        waker: &Arc<dyn Wake>,
        token: u64,
    ) -> Result<(), (Box<PendingWrite>, ApiError)> {
        write.reply = Some(Reply { mailbox: Arc::clone(mailbox), waker: Arc::clone(waker), token });
        self.store.submit(write).map_err(|refused| {
            let refused: Box<dyn Any> = refused;
            (refused.downcast().expect("the write that was submitted comes back"), ApiError::throttled())
        })
    }

    /// Reads the old items of a write from the disk into memory. Blocks: for the pool.
    pub fn warm(&self, write: &mut PendingWrite) -> Result<(), storage::Error> {
        write.warmed = true;
        self.store.warm(write)
    }
}
