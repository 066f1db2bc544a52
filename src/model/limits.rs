//! DynamoDB's limits, in one place. Sizes are in bytes unless the name says otherwise.

/// An item: names and values together.
pub const ITEM_BYTES_MAX: usize = 409_600;
/// Levels of nesting of a value, the scalar at the end included.
pub const NESTING_DEPTH_MAX: usize = 32;
pub const ATTRIBUTE_NAME_BYTES_MAX: usize = 65_535;
pub const PARTITION_KEY_BYTES_MAX: usize = 2048;
pub const SORT_KEY_BYTES_MAX: usize = 1024;
/// Names of key attributes, of non-key attributes of an index, and of the TTL attribute.
pub const KEY_NAME_LENGTH_MAX: usize = 255;

/// Tables of an account in a region, before AWS raises it on request.
pub const TABLE_COUNT_MAX: usize = 2500;
pub const TABLE_NAME_LENGTH_MIN: usize = 3;
pub const TABLE_NAME_LENGTH_MAX: usize = 255;
pub const LOCAL_INDEX_COUNT_MAX: usize = 5;
pub const GLOBAL_INDEX_COUNT_MAX: usize = 20;
/// Attributes of one kind in the key of a global secondary index.
pub const INDEX_KEY_ATTRIBUTE_COUNT_MAX: usize = 4;
pub const NON_KEY_ATTRIBUTE_COUNT_MAX: usize = 20;
pub const NON_KEY_ATTRIBUTE_TOTAL_MAX: usize = 100;
pub const CAPACITY_UNITS_MAX: u64 = 1_000_000_000_000;
pub const TAG_COUNT_MAX: usize = 50;
pub const TAG_KEY_LENGTH_MAX: usize = 128;
pub const TAG_VALUE_LENGTH_MAX: usize = 256;
pub const TAG_PAGE_COUNT: usize = 10;
pub const TABLE_PAGE_COUNT_MAX: usize = 100;

pub const BATCH_GET_COUNT_MAX: usize = 100;
pub const BATCH_WRITE_COUNT_MAX: usize = 25;
/// Data of one BatchGetItem answer.
pub const BATCH_GET_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Data that one page of Query or Scan evaluates.
pub const PAGE_BYTES_MAX: usize = 1024 * 1024;
pub const SEGMENT_COUNT_MAX: i64 = 1_000_000;

/// One read unit covers this much of an item, one write unit the second.
pub const READ_UNIT_BYTES: usize = 4096;
pub const WRITE_UNIT_BYTES: usize = 1024;
