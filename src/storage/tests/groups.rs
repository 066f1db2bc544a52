use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::fixture::*;
use crate::storage::Table;
use crate::storage::mutation::Mutation;
use crate::storage::queue::{HELD_UP_MS_MAX, Queue, Refusal, Taken, Work};

/// No test waits for so long: what ends a wait is what happens.
const LONG: Duration = Duration::from_secs(3600);

fn a_mutation() -> Box<dyn Mutation> {
    let table = Arc::new(Table::new(table_definition("t", false), None));
    mutation(&[(&table, "a", None, Change::Keep)], false).0
}

fn push(queue: &Queue, count: usize) {
    for _ in 0..count {
        assert!(queue.push(a_mutation()).is_ok(), "the queue has room");
    }
}

/// How much work a committer gets that has completed `completed` mutations; `None` if there will be no more.
fn taken(queue: &Queue, completed: usize, patience: Duration) -> Option<usize> {
    let mut work = VecDeque::new();
    (queue.take(&mut work, completed, patience) != Taken::Closed).then_some(work.len())
}

#[test]
fn without_patience_what_is_there_is_taken() {
    let queue = Queue::default();
    push(&queue, 2);
    assert_eq!(taken(&queue, 5, Duration::ZERO), Some(2));
}

#[test]
fn the_first_batch_waits_for_nobody() {
    let queue = Queue::default();
    push(&queue, 1);
    assert_eq!(taken(&queue, 0, LONG), Some(1));
}

#[test]
fn a_batch_waits_for_as_many_as_there_were_in_the_last_one() {
    let queue = Queue::default();
    push(&queue, 2);
    std::thread::scope(|scope| {
        let committer = scope.spawn(|| taken(&queue, 3, LONG));
        while queue.wanted() == 0 {
            std::thread::yield_now();
        }
        push(&queue, 2);
        assert_eq!(queue.wanted(), 5, "4 are not enough to wake it");
        push(&queue, 1);
        assert_eq!(committer.join().expect("no panic"), Some(5));
    });
}

#[test]
fn patience_ends() {
    let queue = Queue::default();
    push(&queue, 1);
    assert_eq!(taken(&queue, 100, Duration::from_millis(1)), Some(1));
    std::thread::scope(|scope| {
        // With nothing in the queue the wait goes on, and then ends with the first to come.
        let committer = scope.spawn(|| taken(&queue, 100, Duration::from_nanos(1)));
        push(&queue, 1);
        assert_eq!(committer.join().expect("no panic"), Some(1));
    });
}

#[test]
fn a_wait_tells_whether_it_was_in_vain() {
    let queue = Queue::default();
    let wait = |pushed, completed| {
        push(&queue, pushed);
        let mut work = VecDeque::new();
        queue.take(&mut work, completed, Duration::from_nanos(1))
    };
    // Nobody was to be waited for; half of them came; all but one did.
    assert_eq!(wait(2, 0), Taken::Work);
    assert_eq!(wait(4, 4), Taken::WorkLate);
    assert_eq!(wait(9, 1), Taken::Work);
}

#[test]
fn a_committer_that_is_held_up_gets_nothing_more() {
    let queue = Queue::with_batch_begun(Duration::from_millis(HELD_UP_MS_MAX + 1));
    assert!(matches!(queue.push(a_mutation()), Err(Refusal::Full(_))));
    // The next batch.
    queue.begin();
    push(&queue, 2);
    assert_eq!(taken(&queue, 0, Duration::ZERO), Some(2));
}

#[test]
fn other_work_and_the_end_do_not_wait_for_mutations() {
    let queue = Queue::default();
    push(&queue, 1);
    assert!(queue.push_run(Box::new(|_| {})));
    assert_eq!(taken(&queue, 100, LONG), Some(2));
    push(&queue, 1);
    std::thread::scope(|scope| {
        let committer = scope.spawn(|| (taken(&queue, 100, LONG), taken(&queue, 100, LONG)));
        queue.close();
        assert_eq!(committer.join().expect("no panic"), (Some(1), None));
    });
}

#[test]
fn work_is_in_the_order_of_its_coming() {
    let queue = Queue::default();
    push(&queue, 1);
    assert!(queue.push_run(Box::new(|_| {})));
    push(&queue, 1);
    let mut work = VecDeque::new();
    assert_eq!(queue.take(&mut work, 0, LONG), Taken::Work);
    assert!(matches!(work.make_contiguous(), [Work::Commit(_), Work::Run(_), Work::Commit(_)]));
}
