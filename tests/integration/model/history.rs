//! A checker of linearizability: whether what concurrent clients saw can be explained by their operations having
//! happened one after the other, each between its call and its return.
//!
//! It is Lowe's just-in-time form of Wing and Gong's search. A configuration is a state of the object together with the
//! operations that have happened in it but not returned. The history is read in the order of time: when an operation
//! returns, every configuration lets pending operations happen, in all orders, until that one has. Configurations that
//! cannot are dropped; a history without any left is not linearizable. Equal configurations are one, so the work grows
//! with the number of concurrent clients and not with the length of the history.
//!
//! An operation without a return (the server died) may have happened at any time after its call, or not at all.
//!
//! Crates: `stateright`'s LinearizabilityTester searches recursively without remembering configurations, which takes
//! forever on histories of thousands of operations, and brings a model checker with a web server along.

use std::collections::HashSet;
use std::hash::Hash;

/// An operation together with what its client saw of it.
pub trait Observed<State> {
    /// The state after it, or none if in this state it would have looked different.
    fn happen(&self, state: &State) -> Option<State>;
}

/// One operation. Times are of one clock that all clients share, all different.
#[derive(Clone, Debug)]
pub struct Record<O> {
    /// At most [`CLIENT_COUNT_MAX`]; a client's operations do not overlap.
    pub client: usize,
    pub called: u64,
    pub returned: Option<u64>,
    pub operation: O,
}

/// Clients are the bits of a word.
pub const CLIENT_COUNT_MAX: usize = 64;

/// Fails with the first return that nothing explains.
pub fn linearize<State, O>(initial: State, history: &[Record<O>]) -> Result<(), &Record<O>>
where
    State: Clone + Eq + Hash,
    O: Observed<State>,
{
    let calls = history.iter().map(|record| (record.called, false, record));
    let returns = history.iter().filter_map(|record| Some((record.returned?, true, record)));
    let mut events: Vec<_> = calls.chain(returns).collect();
    events.sort_by_key(|(time, ..)| *time);
    let mut pending: [Option<&O>; CLIENT_COUNT_MAX] = [None; CLIENT_COUNT_MAX];
    let mut configurations = HashSet::from([(initial, 0_u64)]);
    for (_, is_return, record) in events {
        if !is_return {
            pending[record.client] = Some(&record.operation);
            continue;
        }
        configurations = let_happen(configurations, &pending, record.client);
        if configurations.is_empty() {
            return Err(record);
        }
        pending[record.client] = None;
    }
    Ok(())
}

/// Everything that can follow when pending operations happen until the one of client `returning` has, which is then
/// forgotten.
fn let_happen<State, O>(
    configurations: HashSet<(State, u64)>,
    pending: &[Option<&O>; CLIENT_COUNT_MAX],
    returning: usize,
) -> HashSet<(State, u64)>
where
    State: Clone + Eq + Hash,
    O: Observed<State>,
{
    let mut reached = HashSet::new();
    let mut open: Vec<(State, u64)> = configurations.iter().cloned().collect();
    let mut seen = configurations;
    while let Some((state, happened)) = open.pop() {
        let returning_bit = 1 << returning;
        if happened & returning_bit != 0 {
            reached.insert((state, happened & !returning_bit));
            continue;
        }
        for (client, operation) in pending.iter().enumerate() {
            let bit = 1 << client;
            let Some(operation) = operation.filter(|_| happened & bit == 0) else { continue };
            let Some(after) = operation.happen(&state) else { continue };
            let next = (after, happened | bit);
            if seen.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    reached
}

mod tests {
    use super::*;

    /// A register of one number.
    #[derive(Clone, Copy, Debug)]
    enum Register {
        Write(i64),
        Read(i64),
        /// Expected, new, and whether it was so.
        Swap(i64, i64, bool),
        /// What is added, and the sum, if it was seen.
        Add(i64, Option<i64>),
    }
    use Register::{Add, Read, Swap, Write};

    impl Observed<i64> for Register {
        fn happen(&self, state: &i64) -> Option<i64> {
            match *self {
                Write(value) => Some(value),
                Read(value) => (*state == value).then_some(value),
                Swap(expected, new, true) => (*state == expected).then_some(new),
                Swap(expected, _, false) => (*state != expected).then_some(*state),
                Add(amount, seen) => Some(state + amount).filter(|sum| seen.is_none_or(|seen| seen == *sum)),
            }
        }
    }

    /// Client, call, return (0 is none) and operation; the register begins with 0.
    fn check(rows: &[(usize, u64, u64, Register)], is_linearizable: bool) {
        let record = |&(client, called, returned, operation)| {
            let returned = Some(returned).filter(|time| *time > 0);
            Record { client, called, returned, operation }
        };
        let history: Vec<_> = rows.iter().map(record).collect();
        assert_eq!(linearize(0, &history).is_ok(), is_linearizable, "{rows:?}");
    }

    #[test]
    fn what_can_be_ordered_is_accepted() {
        check(&[], true);
        check(&[(0, 1, 2, Write(1)), (0, 3, 4, Read(1))], true);
        // A read beside a write may see either.
        check(&[(0, 1, 4, Write(1)), (1, 2, 3, Read(0))], true);
        check(&[(0, 1, 4, Write(1)), (1, 2, 3, Read(1))], true);
        // The write that returns later happened first.
        check(&[(0, 1, 6, Write(1)), (1, 2, 5, Write(2)), (2, 3, 4, Read(1)), (2, 7, 8, Read(2))], true);
        check(&[(0, 1, 4, Swap(0, 1, true)), (1, 2, 3, Swap(1, 2, true)), (0, 5, 6, Read(2))], true);
        check(&[(0, 1, 4, Add(1, Some(2))), (1, 2, 3, Add(1, Some(1))), (0, 5, 6, Read(2))], true);
    }

    #[test]
    fn what_cannot_be_ordered_is_rejected() {
        // A stale read.
        check(&[(0, 1, 2, Write(1)), (1, 3, 4, Read(0))], false);
        // A read of what was never written.
        check(&[(0, 1, 4, Write(1)), (1, 2, 3, Read(2))], false);
        // Two reads beside a write that go back in time.
        check(&[(0, 1, 6, Write(1)), (1, 2, 3, Read(1)), (1, 4, 5, Read(0))], false);
        check(&[(0, 1, 8, Write(1)), (1, 2, 3, Read(1)), (2, 4, 5, Read(0))], false);
        // Two writes that two clients see in different orders.
        check(
            &[(0, 1, 20, Write(1)), (1, 2, 21, Write(2)), (2, 3, 4, Read(1)), (2, 5, 6, Read(2)), (3, 7, 8, Read(1))],
            false,
        );
        // A lost update, and two winners of one swap.
        check(&[(0, 1, 4, Add(1, Some(1))), (1, 2, 3, Add(1, Some(1)))], false);
        check(&[(0, 1, 4, Swap(0, 1, true)), (1, 2, 3, Swap(0, 2, true))], false);
        // A swap that failed although nobody stood in its way.
        check(&[(0, 1, 2, Swap(0, 1, false))], false);
    }

    #[test]
    fn an_operation_without_a_return_happened_late_or_not_at_all() {
        check(&[(0, 1, 0, Write(1)), (1, 2, 3, Read(0)), (1, 4, 5, Read(1))], true);
        check(&[(0, 1, 0, Write(1)), (1, 2, 3, Read(0)), (1, 4, 5, Read(0))], true);
        check(&[(0, 1, 0, Add(1, None)), (1, 2, 3, Read(1)), (1, 4, 5, Read(2))], false);
        // Not before its call.
        check(&[(1, 1, 2, Read(1)), (0, 3, 0, Write(1))], false);
    }
}
