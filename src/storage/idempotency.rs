//! What a ClientRequestToken stands for: a transaction is not done twice within ten minutes, across restarts too.
//!
//! ```text
//! no record in force  -- the transaction succeeds, record in its batch -->  in force for WINDOW_MS
//!                     <-- WINDOW_MS later ------------------------------
//! in force: same fingerprint -> Outcome::Replayed; another -> Outcome::TokenMismatch
//! ```
//!
//! Invariants:
//!
//! 1. A record is in the batch of its transaction: neither is there without the other. A cancelled transaction leaves
//!    none, so its token can be used again.
//! 2. Records lie under the bucket of their time. As a bucket is as long as a record is in force, one that is in force
//!    is in the bucket of now or in the one before; all older buckets are deleted as one range. Memory holds nothing.

use bumpalo::Bump;

use super::error::Error;
use super::layout::{self, MetadataKey};

/// How long a record is in force: AWS's ten minutes.
const WINDOW_MS: u64 = 10 * 60 * 1000;

/// Time that one bucket covers.
const BUCKET_MS: u64 = WINDOW_MS;

const _: () = assert!(BUCKET_MS >= WINDOW_MS, "a record in force is in one of two buckets");

/// A transaction's claim to be done once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idempotency<'m> {
    /// 1 to 36 characters that the client chose.
    pub token: &'m str,
    /// Hash of what the request asks for.
    pub fingerprint: u128,
    /// When it came.
    pub now_ms: u64,
}

/// What the record of a token says about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Precedent {
    /// Not in force: so long ago that the token is new again.
    Expired,
    Same,
    Different,
}

impl Idempotency<'_> {
    pub(super) fn bucket(&self) -> u64 {
        self.now_ms / BUCKET_MS
    }

    /// Where a record in force can be; the first is where this request's own goes.
    pub(super) fn keys<'a>(&self, arena: &'a Bump) -> [&'a [u8]; 2] {
        let key = |bucket| layout::idempotency_key(bucket, self.token, arena);
        [key(self.bucket()), key(self.bucket().saturating_sub(1))]
    }

    /// The value of its record.
    pub(super) fn record(&self) -> [u8; RECORD_BYTES] {
        let mut record = [0; RECORD_BYTES];
        record[..16].copy_from_slice(&self.fingerprint.to_le_bytes());
        record[16..].copy_from_slice(&self.now_ms.to_le_bytes());
        record
    }

    /// Compares it with a stored record.
    pub(super) fn precedent(&self, record: &[u8]) -> Result<Precedent, Error> {
        let (Some(fingerprint), Some(time)) = (record.first_chunk(), record.last_chunk()) else {
            return Err(malformed(record));
        };
        if record.len() != RECORD_BYTES {
            return Err(malformed(record));
        }
        let time_ms = u64::from_le_bytes(*time);
        if self.now_ms >= time_ms.saturating_add(WINDOW_MS) {
            return Ok(Precedent::Expired);
        }
        let is_same = u128::from_le_bytes(*fingerprint) == self.fingerprint;
        Ok(if is_same { Precedent::Same } else { Precedent::Different })
    }
}

const RECORD_BYTES: usize = 16 + 8;

/// Checks a stored record against its key: a token, and a time within the bucket.
pub(super) fn check_record(key: &[u8], record: &[u8]) -> Result<(), Error> {
    let Some((prefix, token)) = key.split_at_checked(MetadataKey::BUCKET_BYTES) else {
        return Err(Error::corrupt("the key of a request token is too short"));
    };
    let (Some(time), true) = (record.last_chunk(), record.len() == RECORD_BYTES) else {
        return Err(malformed(record));
    };
    if token.is_empty() || std::str::from_utf8(token).is_err() {
        return Err(Error::corrupt("a request token is empty or not UTF-8"));
    }
    match MetadataKey::bucket(u64::from_le_bytes(*time) / BUCKET_MS) == *prefix {
        true => Ok(()),
        false => Err(Error::corrupt("the time of a request token is not in its bucket")),
    }
}

fn malformed(record: &[u8]) -> Error {
    Error::corrupt(format!("the record of a request token has {} bytes", record.len()))
}

/// Which buckets are deleted already.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    /// All buckets before this one; 0 after a start, so that the first range covers what an earlier process left.
    deleted_before: u64,
}

impl Expiry {
    /// The range of keys to be deleted now that a record goes into `bucket`, if it is the first to go there.
    pub fn advance(
        &mut self,
        bucket: u64,
    ) -> Option<([u8; MetadataKey::BUCKET_BYTES], [u8; MetadataKey::BUCKET_BYTES])> {
        let oldest_kept = bucket.saturating_sub(1);
        if oldest_kept <= self.deleted_before {
            return None;
        }
        let range = (MetadataKey::bucket(self.deleted_before), MetadataKey::bucket(oldest_kept));
        self.deleted_before = oldest_kept;
        Some(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(now_ms: u64, fingerprint: u128) -> Idempotency<'static> {
        Idempotency { token: "t", fingerprint, now_ms }
    }

    #[test]
    fn a_record_is_in_force_for_ten_minutes() {
        let first = at(1_000_000, u128::MAX - 1);
        for (later, expected) in [
            (first, Precedent::Same),
            (at(1_599_999, u128::MAX - 1), Precedent::Same),
            (at(1_599_999, 1), Precedent::Different),
            (at(1_600_000, u128::MAX - 1), Precedent::Expired),
            // The clock was set back.
            (at(999_000, 1), Precedent::Different),
        ] {
            assert_eq!(later.precedent(&first.record()), Ok(expected));
        }
        for length in [0, 8, 16, 23] {
            assert!(matches!(first.precedent(&first.record()[..length]), Err(Error::Corrupt(_))), "{length}");
        }
    }

    #[test]
    fn a_record_in_force_is_in_one_of_two_buckets() {
        let arena = Bump::new();
        for start_ms in [0, 1, 599_999, 600_000, 1_772_345_678_123] {
            let own = at(start_ms, 0).keys(&arena)[0];
            for age_ms in [0, 1, 300_000, 599_999] {
                assert!(at(start_ms + age_ms, 0).keys(&arena).contains(&own), "{start_ms} {age_ms}");
            }
        }
    }

    #[test]
    fn each_bucket_is_deleted_once() {
        let mut expiry = Expiry::default();
        let range = |lower, upper| Some((MetadataKey::bucket(lower), MetadataKey::bucket(upper)));
        for (bucket, expected) in
            [(0, None), (1, None), (7, range(0, 6)), (7, None), (6, None), (8, range(6, 7)), (20, range(7, 19))]
        {
            assert_eq!(expiry.advance(bucket), expected, "{bucket}");
        }
    }
}
