//! From a complete request to its answer, wherever that is made.
//!
//! ```text
//! perform --> verify (door, with access keys) --> unpack (pool, if compressed) --> settle (door)
//!         --> execute --> pack (pool, if asked for and long)
//!
//! execute --> Worker on this loop --Respond--------------------------------------------> answer
//!    |                           \--Block----> pool: Worker with blocking reads --------> answer
//!    |                            \                        \--Commit--> committer
//!    |                             --Commit--> committer --Committed--> Worker::finish -> answer
//!    +-- a large body --> pool                     \--Cold--> pool: warm, then committer again
//! ```
//!
//! What leaves the loop takes a token along, under which its message comes back: see [`super::mailbox`].

use crate::http::auth::signature::{self, HASH_BYTES};
use crate::http::encoding::{COMPRESSED_BODY_BYTES_MIN, Coding, DecodeError};
use crate::operation::{Operation, Outcome, Place, RequestMemory, Response, Step, refuse};
use crate::server::budget::Charge;
use crate::server::door::{self, Envelope, Settled};
use crate::server::event_loop::LoopContext;
use crate::server::mailbox::{Message, UnpackError};
use crate::server::pool::{Job, Work};
use crate::server::timings::{Stage, Timings};
use std::sync::Arc;
use std::time::Instant;

/// Bodies above this are decoded on the pool: decoding takes about 1 us per KB.
const INLINE_BODY_BYTES_MAX: usize = 256 * 1024;

/// An answer before its head is written.
pub struct Answer {
    /// To be given back to the loop; lost when the operation panicked.
    pub memory: Option<Box<RequestMemory>>,
    pub response: Response,
    /// The coding in which the body already is.
    pub packed: Option<Coding>,
    /// A write was made, so this answer must be given.
    pub wrote: bool,
    /// The operation panicked: its connection is closed after the answer.
    pub faulty: bool,
    /// What the audit log is to say of the write that was decided, see [`crate::server::audit::Entry`].
    pub audit: Option<Vec<u8>>,
}

impl Answer {
    fn plain(memory: Box<RequestMemory>, response: Response) -> Answer {
        Answer { memory: Some(memory), response, packed: None, wrote: false, faulty: false, audit: None }
    }

    fn fault(mut response: Response) -> Answer {
        door::internal_error(&mut response);
        Answer { memory: None, response, packed: None, wrote: false, faulty: true, audit: None }
    }

    /// The answer to work that found the pool full.
    fn no_room(work: Work) -> Answer {
        let (memory, mut response) = match work {
            Work::Execute { memory, response, .. } => (Some(memory), response),
            Work::Warm { write, response } => (Some(write.into_memory()), response),
            Work::Pack { memory, response, .. } => (memory, response),
            Work::Unpack { memory, .. } | Work::Hash { memory } => (Some(memory), Response::default()),
        };
        door::unavailable(&mut response);
        Answer { memory, response, packed: None, wrote: false, faulty: false, audit: None }
    }
}

/// Answers a request whose body, as it was sent, is in `memory`.
/// `charge` is what the connection holds for the body.
pub async fn perform(
    context: &LoopContext,
    envelope: &mut Envelope,
    mut memory: Box<RequestMemory>,
    charge: &mut Charge,
    timings: &mut Timings,
) -> Answer {
    // The waits that only rare requests need are boxed, so that the task of a connection stays small.
    if let Some(access) = context.access.as_ref().filter(|_| envelope.must_be_verified()) {
        let body_hash = match memory.body.len() > INLINE_BODY_BYTES_MAX {
            false => signature::hash(&memory.body),
            true => match Box::pin(hash_on_pool(context, memory)).await {
                Ok((returned, hash)) => {
                    memory = returned;
                    hash
                }
                Err(answer) => return answer,
            },
        };
        envelope.verify(access, &body_hash);
    }
    let mut response = context.buffers.borrow_mut().lend_response();
    let memory = match envelope.coding {
        None => memory,
        Some(_) if envelope.is_unauthorized() => {
            // Nothing is unpacked for them: what they sent is judged as if it were empty.
            memory.body.clear();
            memory
        }
        Some(coding) => {
            timings.enter(Stage::Unpack);
            let (memory, mut result) = Box::pin(unpack(context, coding, memory)).await;
            timings.enter(Stage::Execute);
            if result.is_ok() && !charge.raise_to(memory.body.capacity()) {
                result = Err(UnpackError::NoRoom);
            }
            match result {
                Ok(()) => memory,
                Err(error) => {
                    match error {
                        UnpackError::NoRoom => door::unavailable(&mut response),
                        // What does not unpack is answered as DynamoDB answers it.
                        UnpackError::Body(error) => {
                            tracing::debug!(?error, "request body does not unpack");
                            door::internal_error(&mut response);
                        }
                    }
                    return Answer::plain(memory, response);
                }
            }
        }
    };
    let answer = match envelope.settle(&memory.body, &context.options.region, &mut response) {
        Settled::Answered => Answer::plain(memory, response),
        Settled::Execute(operation) => execute(context, operation, memory, response, envelope.accepts, timings).await,
    };
    match envelope.accepts {
        Some(coding) if answer.packed.is_none() && answer.response.body.len() >= COMPRESSED_BODY_BYTES_MIN => {
            timings.enter(Stage::Pack);
            Box::pin(pack(context, coding, answer)).await
        }
        _ => answer,
    }
}

/// Runs an operation: on this thread if memory can answer, else wherever it must wait.
async fn execute(
    context: &LoopContext,
    operation: &'static Operation,
    memory: Box<RequestMemory>,
    mut response: Response,
    accepts: Option<Coding>,
    timings: &mut Timings,
) -> Answer {
    if memory.body.len() > INLINE_BODY_BYTES_MAX {
        return Box::pin(execute_on_pool(context, operation, memory, response, accepts, timings)).await;
    }
    match context.with_worker(|worker| worker.execute(operation, memory, Place::Loop, &mut response)) {
        None => Answer::fault(response),
        Some(Step::Respond(memory)) => Answer::plain(memory, response),
        Some(Step::Block(memory)) => {
            Box::pin(execute_on_pool(context, operation, memory, response, accepts, timings)).await
        }
        Some(Step::Commit(write)) => {
            let token = context.waiters.borrow_mut().register();
            timings.enter(Stage::Queue);
            match context.submit(write, token) {
                Ok(()) => outcome(context, token, response, timings).await,
                Err((write, error)) => {
                    context.waiters.borrow_mut().cancel(token);
                    refuse(&error, &mut response);
                    Answer::plain(write.into_memory(), response)
                }
            }
        }
    }
}

async fn execute_on_pool(
    context: &LoopContext,
    operation: &'static Operation,
    memory: Box<RequestMemory>,
    response: Response,
    accepts: Option<Coding>,
    timings: &mut Timings,
) -> Answer {
    timings.enter(Stage::Queue);
    let (response, spare) = (context.buffers.borrow_mut().lend_page(), response);
    match submit_to_pool(context, Work::Execute { operation, memory, response, accepts }) {
        Err(work) => Answer::no_room(work),
        Ok(token) => outcome(context, token, spare, timings).await,
    }
}

/// Waits for what the committer or the pool makes of a request. `response` is for an answer that is encoded here.
async fn outcome(context: &LoopContext, mut token: u64, mut response: Response, timings: &mut Timings) -> Answer {
    loop {
        match context.message(token).await {
            Message::Committed { write, outcome: Outcome::Cold } => {
                timings.enter(Stage::Queue);
                token = match submit_to_pool(context, Work::Warm { write, response }) {
                    Ok(token) => token,
                    Err(work) => return Answer::no_room(work),
                };
                response = context.buffers.borrow_mut().lend_response();
            }
            Message::Committed { write, outcome } => {
                if let Some(times) = write.times() {
                    timings.committed(times);
                }
                let audit = context.options.audit.is_some().then(|| {
                    let mut members = Vec::new();
                    write.describe(&mut members);
                    members
                });
                let finished = context.with_worker(|worker| worker.finish(*write, outcome, &mut response));
                return match finished {
                    Some(memory) => Answer { wrote: true, audit, ..Answer::plain(memory, response) },
                    // The write was made all the same.
                    None => Answer { audit, ..Answer::fault(response) },
                };
            }
            Message::Answered { memory, response: answered, packed, taken } => {
                timings.enter_at(Stage::Execute, taken);
                context.buffers.borrow_mut().take_back_response(response);
                let faulty = memory.is_none();
                return Answer { memory, response: answered, packed, wrote: false, faulty, audit: None };
            }
            Message::Unpacked { .. } | Message::Hashed { .. } => unreachable!("nothing was to be unpacked or hashed"),
        }
    }
}

/// Queues work and returns the token of its message. A full pool gives the work back.
fn submit_to_pool(context: &LoopContext, work: Work) -> Result<u64, Work> {
    let token = context.waiters.borrow_mut().register();
    let job = Job { queued: Instant::now(), token, mailbox: Arc::clone(&context.mailbox), work };
    match context.pool.submit(job) {
        Ok(()) => Ok(token),
        Err(job) => {
            context.waiters.borrow_mut().cancel(token);
            Err(job.work)
        }
    }
}

/// Unpacks a request body on the pool: a few KB can become 16 MiB.
async fn unpack(
    context: &LoopContext,
    coding: Coding,
    memory: Box<RequestMemory>,
) -> (Box<RequestMemory>, Result<(), UnpackError>) {
    match submit_to_pool(context, Work::Unpack { coding, memory }) {
        Err(Work::Unpack { memory, .. }) => (memory, Err(UnpackError::NoRoom)),
        Err(_) => unreachable!("the pool gives back what it was given"),
        Ok(token) => match context.message(token).await {
            Message::Unpacked { memory, result } => (memory, result),
            // The unpacking itself panicked.
            _ => (context.buffers.borrow_mut().lend_memory(), Err(UnpackError::Body(DecodeError::Broken))),
        },
    }
}

/// Hashes a request body on the pool, 1 us per KB without special instructions.
async fn hash_on_pool(
    context: &LoopContext,
    memory: Box<RequestMemory>,
) -> Result<(Box<RequestMemory>, [u8; HASH_BYTES]), Answer> {
    match submit_to_pool(context, Work::Hash { memory }) {
        Err(work) => Err(Answer::no_room(work)),
        Ok(token) => match context.message(token).await {
            Message::Hashed { memory, hash } => Ok((memory, hash)),
            _ => Err(Answer::fault(Response::default())),
        },
    }
}

/// Packs an answer on the pool: it costs ten times what the request did. A full pool leaves the answer plain.
async fn pack(context: &LoopContext, coding: Coding, answer: Answer) -> Answer {
    let Answer { memory, response, wrote, faulty, audit, .. } = answer;
    match submit_to_pool(context, Work::Pack { coding, memory, response }) {
        Err(Work::Pack { memory, response, .. }) => Answer { memory, response, packed: None, wrote, faulty, audit },
        Err(_) => unreachable!("the pool gives back what it was given"),
        Ok(token) => match context.message(token).await {
            Message::Answered { memory, response, packed, .. } => {
                Answer { memory, response, packed, wrote, faulty, audit }
            }
            _ => unreachable!("packing is answered with an answer"),
        },
    }
}
