//! DynamoDB's operations: one file each, and the table that lists them.
//!
//! ```text
//! server -> Worker::execute -> table::Operation::run
//!             Read   decode, look up, answer; `Block` if memory cannot answer
//!             Long   the same, always on the pool: control plane, Scan
//!             Write  decode and check into a `Plan`, then `Commit`: the committer decides, Worker::finish answers
//! ```
//!
//! An operation's file holds its parameters, their decoding, its execution, the encoding of its answer and its tests;
//! what several operations have in common is in `shared`.

mod batch_get_item;

mod batch_write_item;

mod create_table;

mod delete_item;

mod delete_table;

mod describe_endpoints;

mod describe_limits;

mod describe_table;

mod get_item;

mod list_tables;

mod list_tags_of_resource;

mod put_item;

mod query;

mod scan;

mod tag_resource;

mod transact_get_items;

mod transact_write_items;

mod untag_resource;

mod update_item;

mod update_table;

/// What a request runs in: the service, the worker's caches, the tier of its reads.
mod call;

/// Writes between their decoding and their answer.
mod plan;

/// Parameter groups and checks that operations have in common.
mod shared;

/// The operation table.
mod table;

/// Runs operations: one worker a thread.
mod worker;

pub use call::Service;
pub use plan::{Mailbox, PendingWrite};
pub use table::{OPERATIONS, Operation};
pub use worker::{Place, RequestMemory, Response, Step, Worker, refuse};

pub use crate::json::is_json;
pub use crate::storage::{Outcome, Wake};
