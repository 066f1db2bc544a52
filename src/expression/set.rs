//! Union and difference of sorted, distinct members.

use std::cmp::Ordering;

use bumpalo::Bump;
use bumpalo::collections::Vec as ArenaVec;

/// All members of either set.
pub fn union<'s, T: Ord + Copy>(left: &[T], right: &[T], arena: &'s Bump) -> &'s [T] {
    let mut members = ArenaVec::with_capacity_in(left.len() + right.len(), arena);
    let (mut left, mut right) = (left, right);
    while let ([first, left_rest @ ..], [other, right_rest @ ..]) = (left, right) {
        let order = first.cmp(other);
        members.push(if order == Ordering::Greater { *other } else { *first });
        if order != Ordering::Greater {
            left = left_rest;
        }
        if order != Ordering::Less {
            right = right_rest;
        }
    }
    members.extend_from_slice(left);
    members.extend_from_slice(right);
    members.into_bump_slice()
}

/// The members of `left` that `right` lacks, or `None` if there are none: sets are never empty.
pub fn difference<'s, T: Ord + Copy>(left: &[T], right: &[T], arena: &'s Bump) -> Option<&'s [T]> {
    let mut members = ArenaVec::with_capacity_in(left.len(), arena);
    let mut right = right;
    for member in left {
        while right.first().is_some_and(|other| other < member) {
            right = &right[1..];
        }
        if right.first() != Some(member) {
            members.push(*member);
        }
    }
    (!members.is_empty()).then(|| members.into_bump_slice() as &[T])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    proptest::proptest! {
        #[test]
        fn agrees_with_a_tree(left: BTreeSet<u8>, right: BTreeSet<u8>) {
            let arena = Bump::new();
            let list = |members: &BTreeSet<u8>| members.iter().copied().collect::<Vec<_>>();
            proptest::prop_assert_eq!(union(&list(&left), &list(&right), &arena), list(&(&left | &right)));
            let rest = difference(&list(&left), &list(&right), &arena);
            proptest::prop_assert_eq!(rest.unwrap_or_default(), list(&(&left - &right)));
            proptest::prop_assert_ne!(rest, Some(&[][..]));
        }
    }
}
