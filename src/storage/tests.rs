//! Tests of the whole store on a real directory, beside an obviously right model.

/// Tables, items and mutations from short texts.
pub mod fixture;

/// The committer: decisions, atomicity, failures.
mod commits;

/// Transactions that are not done twice.
mod tokens;

/// The catalog: create, replace, drop, reclaim.
mod alterations;

/// Indexes that are added to a table with items.
mod backfills;

/// Opening: locks, versions, damage, restarts.
mod directory;

/// The log after crashes and damage.
mod logs;

/// Random operations against a `BTreeMap`.
mod random;

/// Ranges, directions and tiers of reads.
mod reads;

/// The hot-item cache in front of it all.
mod hot_items;

/// How mutations come together in one batch.
mod groups;
