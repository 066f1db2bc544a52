//! The memory that requests in flight may hold, all loops together.
//!
//! A usual request lives in a few KB of its loop's buffers: with [`UNCOUNTED_BYTES_MAX`] for its head, its body, its
//! arena and its answer, the number of connections bounds it. Whatever is larger, or has to be waited for, is counted
//! here before the memory grows:
//!
//! | what | counted | when there is no room |
//! |---|---|---|
//! | a large read buffer | from an unfinished head to the head's end | 503, closed |
//! | a body that did not come with its head | its announced or arrived length | 503, closed |
//! | an unpacked body, and the decoded form of a large one | while a thread of the pool works on it | 503 |
//! | an answer above [`UNCOUNTED_BYTES_MAX`] | until the peer has taken it | 503 instead, if nothing was written |
//!
//! Invariants:
//! 1. What is held never passes the limit, except by answers to writes: a write that was made is acknowledged. Their
//!    number is bounded by the queue of the committer.
//! 2. Answers take at most [`ANSWERS_PART`] of the limit, so that readers who do not read cannot shut out writers.
//! 3. What was taken is in a [`Charge`], which gives it back at the latest when it is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Pieces of memory up to this size are not counted: 20,000 connections, each with a body and an answer of this size,
/// hold 160 MB.
pub const UNCOUNTED_BYTES_MAX: usize = 4096;

/// The arena of a body on top of the body: `{"L":[{"N":"1"},...]}` has 9 bytes a value and becomes 24 in a vector that
/// doubles as it grows.
pub const DECODED_BYTES_PER_BODY_BYTE: usize = 7;

/// The part of the limit that answers may take, as a fraction.
const ANSWERS_PART: (usize, usize) = (3, 4);

/// Counts bytes; the allocations are its callers'.
#[derive(Debug)]
pub struct Budget {
    bytes_max: usize,
    held_bytes: AtomicUsize,
}

impl Budget {
    pub fn new(bytes_max: usize) -> Budget {
        Budget { bytes_max, held_bytes: AtomicUsize::new(0) }
    }

    /// Takes room for something that does not exist yet; false when there is not as much left.
    #[must_use]
    fn take(&self, bytes: usize) -> bool {
        self.take_below(bytes, self.bytes_max)
    }

    /// Takes room for an answer, which may be dropped when this is refused.
    #[must_use]
    fn take_for_answer(&self, bytes: usize) -> bool {
        let (part, whole) = ANSWERS_PART;
        self.take_below(bytes, self.bytes_max / whole * part)
    }

    /// Counts what exists and must go on existing.
    fn take_regardless(&self, bytes: usize) {
        self.held_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn give_back(&self, bytes: usize) {
        self.held_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Bytes that may be held.
    pub fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// Bytes held now.
    pub fn held_bytes(&self) -> usize {
        self.held_bytes.load(Ordering::Relaxed)
    }

    fn take_below(&self, bytes: usize, limit: usize) -> bool {
        // The sum is looked at first and added afterwards, in one step: two that take at once cannot both get the last.
        self.held_bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
                held.checked_add(bytes).filter(|&total| total <= limit)
            })
            .is_ok()
    }
}

/// What one holder has taken.
#[derive(Debug)]
pub struct Charge {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Charge {
    /// Nothing yet.
    pub fn none(budget: &Arc<Budget>) -> Charge {
        Charge { budget: Arc::clone(budget), bytes: 0 }
    }

    /// Makes this at least `bytes`, if there is room. Small totals need none.
    #[must_use]
    pub fn raise_to(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        if bytes <= UNCOUNTED_BYTES_MAX || more == 0 {
            return true;
        }
        let taken = self.budget.take(more);
        if taken {
            self.bytes += more;
        }
        taken
    }

    /// Adds an answer of this length. `must`: it may not be dropped.
    #[must_use]
    pub fn add_answer(&mut self, bytes: usize, must: bool) -> bool {
        if bytes <= UNCOUNTED_BYTES_MAX {
            return true;
        }
        if must {
            self.budget.take_regardless(bytes);
        } else if !self.budget.take_for_answer(bytes) {
            return false;
        }
        self.bytes += bytes;
        true
    }

    pub fn release(&mut self) {
        if self.bytes > 0 {
            self.budget.give_back(std::mem::take(&mut self.bytes));
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_holds_and_room_comes_back() {
        let budget = Budget::new(1000);
        assert!(budget.take(600));
        assert!(!budget.take(401));
        assert!(budget.take(400));
        budget.give_back(600);
        assert_eq!(budget.held_bytes(), 400);
        assert!(!budget.take(usize::MAX));
        assert_eq!(budget.held_bytes(), 400);
    }

    #[test]
    fn answers_leave_a_quarter_to_others() {
        let budget = Budget::new(1000);
        assert!(budget.take_for_answer(750));
        assert!(!budget.take_for_answer(1));
        assert!(budget.take(250));
        budget.take_regardless(5000);
        assert_eq!(budget.held_bytes(), 6000);
        assert!(!budget.take(1));
        assert!(!budget.take_for_answer(1));
    }

    #[test]
    fn a_charge_gives_back_what_it_took() {
        let budget = Arc::new(Budget::new(100_000));
        let mut body = Charge::none(&budget);
        assert!(body.raise_to(UNCOUNTED_BYTES_MAX));
        assert_eq!(budget.held_bytes(), 0);
        assert!(body.raise_to(50_000) && body.raise_to(60_000) && body.raise_to(10_000));
        assert_eq!(budget.held_bytes(), 60_000);
        assert!(!body.raise_to(100_001));
        let mut answers = Charge::none(&budget);
        assert!(answers.add_answer(UNCOUNTED_BYTES_MAX, false) && answers.add_answer(15_000, false));
        assert!(!answers.add_answer(5_000, false));
        assert!(answers.add_answer(50_000, true));
        assert_eq!(budget.held_bytes(), 125_000);
        drop(answers);
        body.release();
        body.release();
        assert_eq!(budget.held_bytes(), 0);
    }

    #[test]
    fn threads_that_take_at_once_never_pass_the_limit() {
        let budget = Budget::new(64);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        if budget.take(16) {
                            assert!(budget.held_bytes() <= 64);
                            budget.give_back(16);
                        }
                    }
                });
            }
        });
        assert_eq!(budget.held_bytes(), 0);
    }
}
