//! Ranges of keys: what Query's key condition and Scan's segments are on disk.
//!
//! A range is a lower bound and an exclusive upper bound, both plain bytes. That no component is a prefix of another
//! ([`super::key`]) makes every condition one range: with P the key of the partition and e(x) the encoding of x,
//!
//! ```text
//! =  x           [ P e(x)       , after P e(x) )       after k: the first key greater than all that begin with k
//! <  x           [ P            , P e(x)       )
//! <= x           [ P            , after P e(x) )
//! >  x           [ after P e(x) , after P      )
//! >= x           [ P e(x)       , after P      )
//! BETWEEN x y    [ P e(x)       , after P e(y) )
//! begins_with x  [ P e'(x)      , after P e'(x))       e': without the terminator
//! ```

use bumpalo::{Bump, collections::Vec as BumpVec};

use super::key::{KeyValue, Space};
use super::layout::{HASH_BYTES, SPACE_BYTES};

/// Which way a scan goes: `Backward` is ScanIndexForward=false.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Forward,
    Backward,
}

/// Condition on one sort key attribute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SortCondition<'a> {
    Equal(KeyValue<'a>),
    Less(KeyValue<'a>),
    LessOrEqual(KeyValue<'a>),
    Greater(KeyValue<'a>),
    GreaterOrEqual(KeyValue<'a>),
    Between(KeyValue<'a>, KeyValue<'a>),
    /// S or B.
    BeginsWith(KeyValue<'a>),
}

/// The rows with `lower <= key < upper`. Empty if `lower >= upper`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds<'a> {
    pub(super) lower: &'a [u8],
    pub(super) upper: &'a [u8],
}

impl<'a> Bounds<'a> {
    pub fn is_empty(&self) -> bool {
        self.lower >= self.upper
    }

    /// Whether a row is in the range: ExclusiveStartKey must be in that of its segment or partition.
    pub fn contains(&self, row_key: &[u8]) -> bool {
        self.lower <= row_key && row_key < self.upper
    }

    /// What is left of the range after a row in the given direction, whether or not the row exists: ExclusiveStartKey.
    pub fn after(self, row_key: &[u8], direction: Direction, arena: &'a Bump) -> Bounds<'a> {
        match direction {
            Direction::Forward => {
                // The least key greater than `row_key` is `row_key` and one zero byte.
                let mut lower = BumpVec::with_capacity_in(row_key.len() + 1, arena);
                lower.extend_from_slice_copy(row_key);
                lower.push(0);
                Bounds { lower: self.lower.max(lower.into_bump_slice()), upper: self.upper }
            }
            Direction::Backward => Bounds { lower: self.lower, upper: self.upper.min(arena.alloc_slice_copy(row_key)) },
        }
    }

    /// Whether all keys in the range agree in space and partition hash, as those of [`Space::query`] do.
    pub(super) fn are_in_one_partition(&self) -> bool {
        let prefix = |bound: &'a [u8]| bound.get(..SPACE_BYTES + HASH_BYTES);
        prefix(self.lower).is_some_and(|lower| prefix(self.upper) == Some(lower))
    }

    fn with_prefix(prefix: &'a [u8], arena: &'a Bump) -> Bounds<'a> {
        Bounds { lower: prefix, upper: after_prefix(prefix, arena) }
    }
}

impl Space {
    /// All rows.
    pub fn all(self, arena: &Bump) -> Bounds<'_> {
        Bounds::with_prefix(arena.alloc_slice_copy(&self.prefix()), arena)
    }

    /// Segment `segment` of `segment_count` of a parallel scan: equal slices of the space of 64-bit partition hashes.
    pub fn segment(self, segment: u32, segment_count: u32, arena: &Bump) -> Bounds<'_> {
        debug_assert!(segment < segment_count);
        let all = self.all(arena);
        let start_of = |segment: u32| {
            let hash = ((u128::from(segment) << 64).div_ceil(u128::from(segment_count.max(1)))) as u64;
            let mut key = BumpVec::with_capacity_in(SPACE_BYTES + 8, arena);
            key.extend_from_slice_copy(&self.prefix());
            key.extend_from_slice_copy(&hash.to_be_bytes());
            key.into_bump_slice()
        };
        let upper = if segment + 1 >= segment_count { all.upper } else { start_of(segment + 1) };
        Bounds { lower: start_of(segment), upper }
    }

    /// The rows of a partition whose first sort key attributes equal `equal` and whose next one meets `condition`.
    ///
    /// `partition` holds every hash attribute; `equal` can only be non-empty for a global index with several range
    /// attributes.
    pub fn query<'a>(
        self,
        partition: &[KeyValue<'_>],
        equal: &[KeyValue<'_>],
        condition: Option<SortCondition<'_>>,
        arena: &'a Bump,
    ) -> Bounds<'a> {
        let mut prefix = self.partition_key(partition, arena);
        for value in equal {
            value.encode(&mut prefix);
        }
        let prefix: &'a [u8] = prefix.into_bump_slice();
        let whole = Bounds::with_prefix(prefix, arena);
        let at = |value: KeyValue<'_>| {
            let mut key = BumpVec::with_capacity_in(prefix.len() + 32, arena);
            key.extend_from_slice_copy(prefix);
            value.encode(&mut key);
            Bounds::with_prefix(key.into_bump_slice(), arena)
        };
        match condition {
            None => whole,
            Some(SortCondition::Equal(value)) => at(value),
            Some(SortCondition::Less(value)) => Bounds { upper: at(value).lower, ..whole },
            Some(SortCondition::LessOrEqual(value)) => Bounds { upper: at(value).upper, ..whole },
            Some(SortCondition::Greater(value)) => Bounds { lower: at(value).upper, ..whole },
            Some(SortCondition::GreaterOrEqual(value)) => Bounds { lower: at(value).lower, ..whole },
            Some(SortCondition::Between(low, high)) => Bounds { lower: at(low).lower, upper: at(high).upper },
            Some(SortCondition::BeginsWith(value)) => {
                let mut key = BumpVec::with_capacity_in(prefix.len() + 32, arena);
                key.extend_from_slice_copy(prefix);
                value.encode_prefix(&mut key);
                Bounds::with_prefix(key.into_bump_slice(), arena)
            }
        }
    }
}

/// The least key greater than all that begin with `prefix`: its last byte that is not FF is increased, what follows cut
/// off.
///
/// A prefix begins with a table id; ids are handed out from 1 up, so there is always a byte below FF.
fn after_prefix<'a>(prefix: &[u8], arena: &'a Bump) -> &'a [u8] {
    let length = prefix.iter().rposition(|byte| *byte < 0xff).map_or(0, |position| position + 1);
    let after = arena.alloc_slice_copy(&prefix[..length]);
    if let Some(last) = after.last_mut() {
        *last += 1;
    }
    after
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Number;

    const SPACE: Space = Space { table_id: 9, index_number: 0 };

    /// Which of `rows` (partition `p`) a condition selects.
    fn selected<'r>(rows: &[KeyValue<'r>], condition: Option<SortCondition<'_>>) -> Vec<KeyValue<'r>> {
        let arena = Bump::new();
        let bounds = SPACE.query(&[KeyValue::S("p")], &[], condition, &arena);
        let key = |row| SPACE.row_key(&[KeyValue::S("p")], &[row], &[], &arena);
        for neighbour in ["", "o", "p\0", "pp", "q"] {
            assert!(!bounds.contains(SPACE.row_key(&[KeyValue::S(neighbour)], &rows[..1], &[], &arena)));
        }
        rows.iter().copied().filter(|row| bounds.contains(key(*row))).collect()
    }

    #[test]
    fn conditions_select_what_they_say() {
        use SortCondition::*;
        let [a, aa, ab, b, c] = ["a", "aa", "ab\u{10ffff}", "b", "c"].map(KeyValue::S);
        let rows = [a, aa, ab, b, c];
        for (condition, expected) in [
            (None, &rows[..]),
            (Some(Equal(a)), &[a]),
            (Some(Equal(KeyValue::S("ab"))), &[]),
            (Some(Less(b)), &[a, aa, ab]),
            (Some(LessOrEqual(b)), &[a, aa, ab, b]),
            (Some(Greater(a)), &[aa, ab, b, c]),
            (Some(GreaterOrEqual(aa)), &[aa, ab, b, c]),
            (Some(Between(aa, b)), &[aa, ab, b]),
            (Some(Between(b, aa)), &[]),
            (Some(BeginsWith(a)), &[a, aa, ab]),
            (Some(BeginsWith(KeyValue::S(""))), &rows),
            (Some(BeginsWith(KeyValue::S("d"))), &[]),
        ] {
            assert_eq!(selected(&rows, condition), expected, "{condition:?}");
        }
    }

    #[test]
    fn conditions_on_numbers_and_binaries() {
        use SortCondition::*;
        let numbers = ["-10", "-9.5", "0", "2", "10", "100"].map(|text| KeyValue::N(Number::from_canonical(text)));
        assert_eq!(selected(&numbers, Some(Less(numbers[4]))), numbers[..4]);
        assert_eq!(selected(&numbers, Some(Greater(numbers[0]))), numbers[1..]);
        assert_eq!(selected(&numbers, Some(Between(numbers[1], numbers[3]))), numbers[1..4]);
        let binaries = [&b"\x00"[..], b"\x00\xff", b"\x01", b"\xff", b"\xff\xff"].map(KeyValue::B);
        assert_eq!(selected(&binaries, Some(BeginsWith(binaries[0]))), binaries[..2]);
        assert_eq!(selected(&binaries, Some(BeginsWith(binaries[3]))), binaries[3..]);
    }

    #[test]
    fn further_sort_attributes_narrow_the_range() {
        let arena = Bump::new();
        let [a, b] = ["a", "b"].map(KeyValue::S);
        let bounds = SPACE.query(&[a], &[a], Some(SortCondition::Greater(a)), &arena);
        for (sort, inside) in [([a, a], false), ([a, b], true), ([b, b], false)] {
            assert_eq!(bounds.contains(SPACE.row_key(&[a], &sort, &[a], &arena)), inside, "{sort:?}");
        }
    }

    #[test]
    fn segments_are_disjoint_and_cover_all() {
        let arena = Bump::new();
        let all = SPACE.all(&arena);
        for segment_count in [1, 2, 3, 7, 64, 1_000_000] {
            let segments = segment_count.min(64);
            let mut lower = all.lower;
            for segment in 0..segments {
                let bounds = SPACE.segment(segment, segment_count, &arena);
                assert!(bounds.lower.starts_with(lower) && (segment > 0 || bounds.lower[6..] == [0; 8]));
                lower = bounds.upper;
            }
            if segments == segment_count {
                assert_eq!(lower, all.upper);
            }
            let last = SPACE.segment(segment_count - 1, segment_count, &arena);
            assert_eq!(last.upper, all.upper);
        }
    }

    #[test]
    fn an_exclusive_start_leaves_out_the_row_itself() {
        let arena = Bump::new();
        let key = |text| SPACE.row_key(&[KeyValue::S("p")], &[KeyValue::S(text)], &[], &arena);
        let bounds = SPACE.query(&[KeyValue::S("p")], &[], None, &arena);
        let forward = bounds.after(key("b"), Direction::Forward, &arena);
        let backward = bounds.after(key("b"), Direction::Backward, &arena);
        for (text, is_after, is_before) in
            [("a", false, true), ("b", false, false), ("b\0", true, false), ("c", true, false)]
        {
            assert_eq!((forward.contains(key(text)), backward.contains(key(text))), (is_after, is_before), "{text}");
        }
        assert!(
            bounds.after(key("b"), Direction::Forward, &arena).after(key("b"), Direction::Backward, &arena).is_empty()
        );
    }

    #[test]
    fn only_the_range_of_a_query_is_in_one_partition() {
        let arena = Bump::new();
        let negative = KeyValue::N(Number::from_canonical("-99"));
        for partition in [KeyValue::S("p"), KeyValue::B(&[0xff; 9]), negative] {
            let bounds = SPACE.query(&[partition], &[], None, &arena);
            assert!(bounds.are_in_one_partition());
            assert!(SPACE.query(&[partition], &[], Some(SortCondition::Less(negative)), &arena).are_in_one_partition());
            let row_key = SPACE.row_key(&[partition], &[negative], &[], &arena);
            for direction in [Direction::Forward, Direction::Backward] {
                assert!(bounds.after(row_key, direction, &arena).are_in_one_partition());
            }
        }
        assert!(!SPACE.all(&arena).are_in_one_partition());
        assert!(!SPACE.segment(3, 8, &arena).are_in_one_partition());
        assert!(!SPACE.segment(999_999, 1_000_000, &arena).are_in_one_partition());
    }

    #[test]
    fn after_prefix_carries() {
        let arena = Bump::new();
        for (prefix, after) in
            [(&[1, 2][..], &[1, 3][..]), (&[1, 0xff], &[2]), (&[1, 0xff, 0xff, 3], &[1, 0xff, 0xff, 4])]
        {
            assert_eq!(after_prefix(prefix, &arena), after);
        }
    }
}
