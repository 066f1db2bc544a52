//! When the committer waits for more mutations, so that they share a sync, and when it had better not.

/// After waiting in vain the committer does without for one batch, then two, four and so on, up to this many.
const HASTY_BATCH_COUNT_MAX: u32 = 64;

/// Whether waiting for more mutations pays. It does if those who were just answered come back before half a sync is
/// over; where the sync is quick beside the clients and the loops, they do not, and waiting only idles the disk:
/// 64 connections on two cores, a sync of 0.15 ms: 34,800 PutItem/s without waiting, 30,700 with.
#[derive(Default)]
pub(super) struct Haste {
    /// Batches that are not to wait for anybody.
    batch_count: u32,
    /// How many it will be when waiting is in vain again.
    next_batch_count: u32,
}

impl Haste {
    /// Whether to wait before the next batch.
    pub fn ends(&mut self) -> bool {
        let ends = self.batch_count == 0;
        self.batch_count = self.batch_count.saturating_sub(1);
        ends
    }

    /// What a wait was good for.
    pub fn learn(&mut self, late: bool) {
        if late {
            self.batch_count = self.next_batch_count.max(1);
            self.next_batch_count = (2 * self.batch_count).min(HASTY_BATCH_COUNT_MAX);
        } else {
            self.next_batch_count = 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many batches do without a wait, after each of these waits.
    #[track_caller]
    fn check(haste: &mut Haste, waits: &[(bool, u32)]) {
        for (late, expected) in waits {
            assert!(haste.ends(), "a wait");
            haste.learn(*late);
            let mut batch_count = 0;
            while haste.batch_count > 0 {
                assert!(!haste.ends());
                batch_count += 1;
            }
            assert_eq!(batch_count, *expected);
        }
    }

    #[test]
    fn vain_waits_become_rare_and_good_ones_stay() {
        let mut haste = Haste::default();
        check(&mut haste, &[(false, 0), (true, 1), (true, 2), (true, 4), (true, 8), (false, 0), (false, 0), (true, 1)]);
        check(&mut haste, &[(true, 2), (true, 4), (true, 8), (true, 16), (true, 32), (true, 64), (true, 64)]);
    }
}
