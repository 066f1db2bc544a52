//! One row of a table: is it what the format says, and the item of its key?

use bumpalo::Bump;

use crate::model::limits::{ATTRIBUTE_NAME_BYTES_MAX, ITEM_BYTES_MAX, NESTING_DEPTH_MAX};
use crate::model::{EncodedItem, Item};
use crate::storage::index::primary_key;
use crate::storage::layout::{HASH_BYTES, SPACE_BYTES};
use crate::storage::{Table, decode_row_key};

/// What is wrong with a row.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub what: String,
    /// Whether the item can still be read and is the item of its key, so that its index entries are known.
    pub is_readable: bool,
}

/// The item of a row of a table, in every respect: hash, key, form, size, limits.
pub(super) fn check<'a>(
    table: &Table,
    row_key: &'a [u8],
    value: &'a [u8],
    arena: &'a Bump,
) -> Result<EncodedItem<'a>, Problem> {
    check_key(table, row_key, arena).map_err(|what| Problem { what, is_readable: false })?;
    let item = readable(table, row_key, value, arena).map_err(|what| Problem { what, is_readable: false })?;
    let decoded = item.decode(arena).map_err(|_| Problem { what: UNREADABLE.into(), is_readable: false })?;
    match check_form(item, decoded, arena).or_else(|| check_limits(decoded)) {
        None => Ok(item),
        Some(what) => Err(Problem { what, is_readable: true }),
    }
}

const UNREADABLE: &str = "its bytes do not follow the format of items";

/// The item of a row, if it can be decoded and its key attributes are those of the row's key.
pub(super) fn readable<'a>(
    table: &Table,
    row_key: &[u8],
    value: &'a [u8],
    arena: &'a Bump,
) -> Result<EncodedItem<'a>, String> {
    let item = EncodedItem::open(value).map_err(|_| UNREADABLE)?;
    item.decode(arena).map_err(|_| UNREADABLE)?;
    let primary = primary_key(table, item, arena).map_err(|_| "its key attributes are missing or not valid")?;
    let (partition, sort) = primary.split_at(table.definition().key.hash.len());
    match table.space().row_key(partition, sort, &[], arena) == row_key {
        true => Ok(item),
        false => Err("its key attributes are not those of its row's key".into()),
    }
}

/// Whether the key decodes, has the hash of its partition and is in the one form that its values have.
fn check_key(table: &Table, row_key: &[u8], arena: &Bump) -> Result<(), String> {
    let key = &table.definition().key;
    let values = decode_row_key(row_key, key, arena).map_err(|_| "the row's key cannot be decoded")?;
    let (partition, sort) = values.split_at(key.hash.len());
    let expected = table.space().row_key(partition, sort, &[], arena);
    let components = SPACE_BYTES + HASH_BYTES;
    match (expected == row_key, expected.get(components..) == row_key.get(components..)) {
        (true, _) => Ok(()),
        (false, true) => Err("the partition hash in the row's key is not that of its partition".into()),
        (false, false) => Err("the row's key is not in its canonical form".into()),
    }
}

fn check_form(item: EncodedItem<'_>, decoded: Item<'_>, arena: &Bump) -> Option<String> {
    let (stored, size) = (item.size(), decoded.size());
    if stored != size {
        return Some(format!("its stored size is {stored} instead of {size} bytes"));
    }
    let is_canonical = EncodedItem::encode(decoded, arena).as_bytes() == item.as_bytes();
    (!is_canonical).then(|| "its bytes are not in the canonical form of items".into())
}

fn check_limits(decoded: Item<'_>) -> Option<String> {
    let depth = decoded.iter().map(|attribute| attribute.value.depth()).max().unwrap_or(0);
    let name_bytes = decoded.iter().map(|attribute| attribute.name.len()).max().unwrap_or(0);
    if decoded.size() > ITEM_BYTES_MAX {
        Some(format!("it has {} bytes, more than {ITEM_BYTES_MAX}", decoded.size()))
    } else if depth > NESTING_DEPTH_MAX {
        Some(format!("it is nested {depth} levels deep, more than {NESTING_DEPTH_MAX}"))
    } else if name_bytes > ATTRIBUTE_NAME_BYTES_MAX {
        Some(format!("an attribute's name has {name_bytes} bytes, more than {ATTRIBUTE_NAME_BYTES_MAX}"))
    } else {
        None
    }
}
