//! Runs operations: one worker a thread, with that thread's caches.

use std::sync::Arc;

use bumpalo::Bump;

use super::call::{Call, Service};
use super::plan::{PendingWrite, WriteCell};
use super::shared::transaction::token_mismatch;
use super::table::{Operation, Run};
use crate::error::ApiError;
use crate::expression::cache::Cache;
use crate::json::writer::write_error;
use crate::model::Corrupt;
use crate::storage::{self, Outcome, Tier};

/// What one request borrows from: its body, and the arena of everything decoded from it. Lent and reused.
#[derive(Default)]
pub struct RequestMemory {
    pub body: Vec<u8>,
    pub arena: Bump,
}

/// An answer: HTTP status and body.
#[derive(Default)]
pub struct Response {
    pub status: u16,
    /// JSON, or nothing at all for operations without an output shape.
    pub body: Vec<u8>,
    /// The type of the error that it is, without its namespace.
    pub error: Option<&'static str>,
}

/// Which thread executes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// An event loop: must not wait.
    Loop,
    /// A thread of the blocking pool.
    Pool,
}

/// What becomes of a request after [`Worker::execute`].
pub enum Step {
    /// The answer is in the response.
    Respond(Box<RequestMemory>),
    /// It would wait for the disk or take long: execute it again on the pool. Never from the pool.
    Block(Box<RequestMemory>),
    /// Submit it to the committer; when it comes back, [`Worker::finish`] answers.
    Commit(Box<PendingWrite>),
}

/// Why an operation has no answer.
pub(super) enum Failure {
    Api(ApiError),
    WouldBlock,
    Storage(storage::Error),
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Failure {
        Failure::Api(error)
    }
}

impl From<storage::Error> for Failure {
    fn from(error: storage::Error) -> Failure {
        Failure::Storage(error)
    }
}

impl From<Corrupt> for Failure {
    fn from(corrupt: Corrupt) -> Failure {
        Failure::Storage(corrupt.into())
    }
}

/// Executes requests on one thread.
pub struct Worker {
    service: Arc<Service>,
    expressions: Cache,
}

impl Worker {
    pub fn new(service: Arc<Service>) -> Worker {
        Worker { service, expressions: Cache::new() }
    }

    pub fn service(&self) -> &Arc<Service> {
        &self.service
    }

    /// Decodes and runs `memory.body`; the answer, if there is one already, replaces what `response` holds.
    pub fn execute(
        &mut self,
        operation: &'static Operation,
        mut memory: Box<RequestMemory>,
        place: Place,
        response: &mut Response,
    ) -> Step {
        memory.arena.reset();
        response.body.clear();
        let mut call = Call {
            service: &self.service,
            expressions: &mut self.expressions,
            wording: operation.wording,
            tier: if place == Place::Loop { Tier::Memory } else { Tier::Any },
            out: &mut response.body,
        };
        let result = match operation.run {
            Run::Long(_) if place == Place::Loop => return Step::Block(memory),
            Run::Read(run) | Run::Long(run) => run(&mut call, &memory),
            Run::Write(plan) => {
                match WriteCell::try_new_or_recover(memory, |memory| plan(&mut call, memory).map_err(Failure::from)) {
                    Ok(cell) => return Step::Commit(Box::new(PendingWrite::new(cell, operation))),
                    Err((recovered, failure)) => {
                        memory = recovered;
                        Err(failure)
                    }
                }
            }
        };
        match result {
            Ok(()) => response.status = 200,
            Err(Failure::WouldBlock) => return Step::Block(memory),
            Err(Failure::Api(error)) => refuse(&error, response),
            Err(Failure::Storage(error)) => fail(&error, operation, response),
        }
        Step::Respond(memory)
    }

    /// Answers a write that the committer gave back.
    pub fn finish(&mut self, write: PendingWrite, outcome: Outcome, response: &mut Response) -> Box<RequestMemory> {
        response.body.clear();
        let operation = write.operation();
        match outcome {
            Outcome::Committed => match write.answer(&mut response.body) {
                Ok(()) => response.status = 200,
                Err(Failure::Api(error)) => refuse(&error, response),
                Err(Failure::Storage(error)) => fail(&error, operation, response),
                Err(Failure::WouldBlock) => unreachable!("encoding an answer reads nothing"),
            },
            Outcome::Replayed => {
                write.answer_replayed(&mut response.body);
                response.status = 200;
            }
            Outcome::TokenMismatch => refuse(&token_mismatch(), response),
            Outcome::TableGone => refuse(&ApiError::resource_not_found(), response),
            // A write that is still cold after it was warmed reads on the committer, so this is a full pool.
            Outcome::Cold => refuse(&ApiError::throttled(), response),
            Outcome::Failed(error) => fail(&error, operation, response),
        }
        write.into_memory()
    }
}

/// Answers with an error.
pub fn refuse(error: &ApiError, response: &mut Response) {
    response.body.clear();
    describe(error, response);
    if let Err(Corrupt) = write_error(error, &mut response.body) {
        // The item that the error shows is damaged.
        tracing::error!("a stored item does not follow the format");
        response.body.clear();
        let internal = ApiError::internal();
        describe(&internal, response);
        write_error(&internal, &mut response.body).expect("an internal error shows no item");
    }
}

/// Status and type of an error.
fn describe(error: &ApiError, response: &mut Response) {
    let (_, name, status, _) = error.kind.wire();
    response.status = status;
    response.error = Some(name);
}

/// Answers a fault of ours: the cause is for the log.
fn fail(error: &storage::Error, operation: &Operation, response: &mut Response) {
    match error {
        // The log has told of the cause once; each request that meets it would fill the disk further.
        storage::Error::DiskFull => refuse(&ApiError::disk_full(), response),
        storage::Error::Poisoned(_) => refuse(&ApiError::internal(), response),
        _ => {
            tracing::error!(operation = operation.name, %error, "request failed");
            refuse(&ApiError::internal(), response);
        }
    }
}
