//! How other threads hand results back to a loop.
//!
//! The committer and the pool push messages into a queue and then wake the loop by one write to its eventfd, on which a
//! task of the loop has a read pending in the ring. The task drains the queue and wakes the connections that wait.
//!
//! Invariants:
//! 1. A wake-up costs at most one write to the eventfd per drain: `signaled` is set by the first waker and cleared by
//!    the drain *before* it takes the queue, so a message pushed later finds it cleared and signals again.
//! 2. A connection registers a token before its request leaves the loop and waits until the answer is delivered. Its
//!    task is never dropped while it waits, so each message finds its waiter, and the queue holds at most one message
//!    for each connection of the loop.

use crate::http::auth::signature::HASH_BYTES;
use crate::http::encoding::{Coding, DecodeError};
use crate::operation::{Mailbox, Outcome, PendingWrite, RequestMemory, Response, Wake};
use crate::server::sys;
use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

/// What comes back to a loop.
pub enum Message {
    /// From the committer.
    Committed { write: Box<PendingWrite>, outcome: Outcome },
    /// From the pool: a request is answered. `memory` is lost when the operation panicked. A thread began with it when
    /// `taken` says.
    Answered { memory: Option<Box<RequestMemory>>, response: Response, packed: Option<Coding>, taken: Instant },
    /// From the pool: a compressed request body is unpacked.
    Unpacked { memory: Box<RequestMemory>, result: Result<(), UnpackError> },
    /// From the pool: a large request body is hashed.
    Hashed { memory: Box<RequestMemory>, hash: [u8; HASH_BYTES] },
}

/// Why a request body is not unpacked.
pub enum UnpackError {
    /// It is broken, or too large.
    Body(DecodeError),
    /// The server has no memory for it now.
    NoRoom,
}

/// The receiving end of one loop, shared with every thread that works for it.
pub struct LoopMailbox {
    queue: Mutex<Vec<(u64, Message)>>,
    signaled: AtomicBool,
    event: File,
}

impl LoopMailbox {
    pub fn new() -> io::Result<LoopMailbox> {
        Ok(LoopMailbox { queue: Mutex::default(), signaled: AtomicBool::new(false), event: sys::eventfd()? })
    }

    /// Another handle of the eventfd, for the loop to read.
    pub fn event(&self) -> io::Result<File> {
        self.event.try_clone()
    }

    pub fn send(&self, token: u64, message: Message) {
        // A panic cannot leave the queue half changed: a push is all that happens under the lock.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push((token, message));
    }

    /// Moves all messages into `inbox`, which is empty and whose memory the queue takes over.
    pub fn drain(&self, inbox: &mut Vec<(u64, Message)>) {
        debug_assert!(inbox.is_empty());
        self.signaled.store(false, Ordering::SeqCst);
        std::mem::swap(inbox, &mut *self.queue.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Mailbox for LoopMailbox {
    fn push(&self, token: u64, write: Box<PendingWrite>, outcome: Outcome) {
        self.send(token, Message::Committed { write, outcome });
    }
}

impl Wake for LoopMailbox {
    fn wake(&self) {
        if self.signaled.swap(true, Ordering::SeqCst) {
            return;
        }
        // The counter cannot overflow, as it is read to zero between two writes, so this neither blocks nor fails.
        if let Err(error) = (&self.event).write_all(&1u64.to_ne_bytes()) {
            tracing::error!(%error, "cannot wake an event loop");
        }
    }
}

/// The connections of a loop that wait for a message, by token.
#[derive(Default)]
pub struct Waiters {
    slots: Vec<Slot>,
    free: Vec<usize>,
}

enum Slot {
    Free,
    Waiting(Option<Waker>),
    Delivered(Message),
}

impl Waiters {
    /// The token under which one message can be delivered.
    pub fn register(&mut self) -> u64 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::Free);
            self.slots.len() - 1
        });
        self.slots[index] = Slot::Waiting(None);
        index as u64
    }

    /// Takes back a token whose request has not left the loop after all.
    pub fn cancel(&mut self, token: u64) {
        self.slots[token as usize] = Slot::Free;
        self.free.push(token as usize);
    }

    pub fn deliver(&mut self, token: u64, message: Message) {
        let slot = &mut self.slots[token as usize];
        let Slot::Waiting(waker) = std::mem::replace(slot, Slot::Delivered(message)) else {
            unreachable!("a message for token {token}, for which nobody waits");
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub fn poll(&mut self, token: u64, context: &mut Context<'_>) -> Poll<Message> {
        let slot = &mut self.slots[token as usize];
        match std::mem::replace(slot, Slot::Free) {
            Slot::Delivered(message) => {
                self.free.push(token as usize);
                Poll::Ready(message)
            }
            Slot::Waiting(_) | Slot::Free => {
                *slot = Slot::Waiting(Some(context.waker().clone()));
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn message(status: u16) -> Message {
        Message::Answered {
            memory: None,
            response: Response { status, ..Response::default() },
            packed: None,
            taken: Instant::now(),
        }
    }

    fn status(message: &Message) -> u16 {
        match message {
            Message::Answered { response, .. } => response.status,
            _ => 0,
        }
    }

    #[test]
    fn many_wakes_are_one_signal_per_drain() {
        let mailbox = LoopMailbox::new().expect("an eventfd");
        let mut event = mailbox.event().expect("another handle");
        let mut counter = [0; 8];
        for round in 1..4 {
            for status in 0..10 {
                mailbox.send(7, message(round * 100 + status));
                mailbox.wake();
            }
            event.read_exact(&mut counter).expect("a signal");
            assert_eq!(u64::from_ne_bytes(counter), 1);
            let mut inbox = Vec::new();
            mailbox.drain(&mut inbox);
            let statuses: Vec<u16> = inbox.iter().map(|(_, message)| status(message)).collect();
            assert_eq!(statuses, (0..10).map(|status| round * 100 + status).collect::<Vec<_>>());
        }
    }

    #[test]
    fn messages_find_their_waiter_before_and_after_it_polls() {
        let mut waiters = Waiters::default();
        let mut context = Context::from_waker(Waker::noop());
        let (first, second) = (waiters.register(), waiters.register());
        assert!(waiters.poll(first, &mut context).is_pending());
        waiters.deliver(second, message(2));
        waiters.deliver(first, message(1));
        for (token, expected) in [(first, 1), (second, 2)] {
            let Poll::Ready(message) = waiters.poll(token, &mut context) else { panic!("delivered") };
            assert_eq!(status(&message), expected);
        }
        let third = waiters.register();
        waiters.cancel(third);
        assert_eq!(waiters.slots.len(), 2, "slots are used again");
    }
}
