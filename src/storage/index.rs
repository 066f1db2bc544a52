//! What an item contributes to the indexes of its table.
//!
//! An entry exists exactly if the item has every key attribute of the index with the type of the key schema, not empty
//! and within the limits of length (indexes are sparse). Writers refuse wrong types before they come here; what was
//! written before the index existed is left out. These are pure functions: the committer writes what they say, and the
//! operations count capacity units from the same answer.

use bumpalo::{Bump, collections::Vec as BumpVec};

use super::catalog::{Projected, Table, TableIndex};
use super::error::Error;
use super::key::KeyValue;
use crate::model::limits::{PARTITION_KEY_BYTES_MAX, SORT_KEY_BYTES_MAX, WRITE_UNIT_BYTES};
use crate::model::{Attribute, EncodedItem, KeyAttribute, Map, Number, RawValue};

/// A row of an index.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IndexEntry<'a> {
    pub row_key: &'a [u8],
    /// The projected attributes.
    pub item: EncodedItem<'a>,
}

/// How a write changes one index.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IndexChange<'a> {
    /// Position in [`Table::indexes`].
    pub index: usize,
    pub before: Option<IndexEntry<'a>>,
    pub after: Option<IndexEntry<'a>>,
}

impl IndexChange<'_> {
    /// Write capacity units: one per started KB of an entry that is added, removed or changed in place; a changed index
    /// key is a removal and an addition.
    pub fn write_units(&self) -> u64 {
        let units = |entry: &IndexEntry<'_>| (entry.item.size().div_ceil(WRITE_UNIT_BYTES) as u64).max(1);
        match (&self.before, &self.after) {
            (Some(before), Some(after)) if before.row_key == after.row_key => units(before).max(units(after)),
            (before, after) => before.as_ref().map_or(0, units) + after.as_ref().map_or(0, units),
        }
    }
}

/// The indexes whose entries differ between two states of an item, in the order of [`Table::indexes`].
pub fn index_changes<'a>(
    table: &Table,
    old: Option<EncodedItem<'a>>,
    new: Option<EncodedItem<'a>>,
    arena: &'a Bump,
) -> Result<BumpVec<'a, IndexChange<'a>>, Error> {
    let mut changes = BumpVec::new_in(arena);
    for (index, definition) in table.indexes().iter().enumerate() {
        let entry_of = |item: Option<EncodedItem<'a>>| match item {
            Some(item) => index_entry(table, definition, item, arena),
            None => Ok(None),
        };
        let (before, after) = (entry_of(old)?, entry_of(new)?);
        if before != after {
            changes.push(IndexChange { index, before, after });
        }
    }
    Ok(changes)
}

/// The entry of an item in an index.
pub(super) fn index_entry<'a>(
    table: &Table,
    index: &TableIndex,
    item: EncodedItem<'a>,
    arena: &'a Bump,
) -> Result<Option<IndexEntry<'a>>, Error> {
    let key = &index.definition().key;
    let Some(partition) = key_values(item, &key.hash, PARTITION_KEY_BYTES_MAX, arena)? else { return Ok(None) };
    let Some(sort) = key_values(item, &key.range, SORT_KEY_BYTES_MAX, arena)? else { return Ok(None) };
    let primary = primary_key(table, item, arena)?;
    let row_key = index.space().row_key(&partition, &sort, &primary, arena);
    let item = match index.projected() {
        Projected::All => item,
        Projected::Names(names) => project(item, names, arena)?,
    };
    Ok(Some(IndexEntry { row_key, item }))
}

/// The primary key of a stored item.
pub(super) fn primary_key<'a>(
    table: &Table,
    item: EncodedItem<'a>,
    arena: &'a Bump,
) -> Result<BumpVec<'a, KeyValue<'a>>, Error> {
    let key = &table.definition().key;
    let missing = || Error::corrupt(format!("an item of table {} lacks its primary key", table.name()));
    let mut primary = key_values(item, &key.hash, PARTITION_KEY_BYTES_MAX, arena)?.ok_or_else(missing)?;
    primary.extend(key_values(item, &key.range, SORT_KEY_BYTES_MAX, arena)?.ok_or_else(missing)?);
    Ok(primary)
}

/// The values of key attributes; `None` if one is missing, of another type, empty or too long.
fn key_values<'a>(
    item: EncodedItem<'a>,
    attributes: &[KeyAttribute],
    bytes_max: usize,
    arena: &'a Bump,
) -> Result<Option<BumpVec<'a, KeyValue<'a>>>, Error> {
    let mut values = BumpVec::with_capacity_in(attributes.len(), arena);
    for attribute in attributes {
        use crate::model::KeyKind;
        let value = match (attribute.kind, item.get_raw(&attribute.name)?) {
            (KeyKind::S, Some(RawValue::S(bytes))) if key_length_is_valid(bytes, bytes_max) => {
                KeyValue::S(text(bytes)?)
            }
            (KeyKind::B, Some(RawValue::B(bytes))) if key_length_is_valid(bytes, bytes_max) => KeyValue::B(bytes),
            (KeyKind::N, Some(RawValue::N(bytes))) => {
                let number = Number::canonical(text(bytes)?);
                KeyValue::N(number.ok_or_else(|| Error::corrupt("a stored number is not canonical"))?)
            }
            _ => return Ok(None),
        };
        values.push(value);
    }
    Ok(Some(values))
}

fn key_length_is_valid(bytes: &[u8], bytes_max: usize) -> bool {
    (1..=bytes_max).contains(&bytes.len())
}

fn text(bytes: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(bytes).map_err(|_| Error::corrupt("a stored string is not UTF-8"))
}

/// The attributes of an item that are listed in `names` (sorted): a merge of two sorted lists.
fn project<'a>(item: EncodedItem<'a>, names: &[String], arena: &'a Bump) -> Result<EncodedItem<'a>, Error> {
    let mut projected = BumpVec::with_capacity_in(names.len(), arena);
    let mut names = names.iter().map(String::as_bytes).peekable();
    for attribute in item.attributes()? {
        let (name, value) = attribute?;
        while names.next_if(|listed| *listed < name).is_some() {}
        match names.peek() {
            None => break,
            Some(listed) if *listed == name => {
                projected.push(Attribute { name: text(name)?, value: value.decode(arena)? });
            }
            Some(_) => {}
        }
    }
    Ok(EncodedItem::encode(Map::from_sorted(projected.into_bump_slice()), arena))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Value;
    use crate::storage::tests::fixture::{item, table_definition, with_index};

    fn table() -> Table {
        let mut definition = table_definition("t", true);
        with_index(&mut definition, "keys", &[("g", 'S')], &[], "KEYS_ONLY");
        with_index(&mut definition, "include", &[("g", 'S')], &[("n", 'N')], "INCLUDE x");
        with_index(&mut definition, "all", &[("g", 'S'), ("h", 'B')], &[("n", 'N'), ("s", 'S')], "ALL");
        Table::new(definition, None)
    }

    /// What changes, as `index name: names before -> names after (units)`.
    fn check(old: Option<&str>, new: Option<&str>, expected: &[&str]) {
        let (arena, table) = (Bump::new(), table());
        let [old, new] = [old, new].map(|text| text.map(|text| item(text, &arena)));
        let names = |entry: Option<IndexEntry<'_>>| match entry {
            None => "-".to_owned(),
            Some(entry) => {
                let decoded = entry.item.decode(&arena).unwrap();
                decoded.iter().map(|attribute| attribute.name).collect::<Vec<_>>().join(",")
            }
        };
        let changes = index_changes(&table, old, new, &arena).unwrap();
        let lines: Vec<String> = changes
            .iter()
            .map(|change| {
                let name = table.indexes()[change.index].name();
                format!("{name}: {} -> {} ({})", names(change.before), names(change.after), change.write_units())
            })
            .collect();
        assert_eq!(lines, expected, "{old:?} -> {new:?}");
    }

    #[test]
    fn entries_are_sparse_and_projected() {
        check(None, Some("p=a s=b"), &[]);
        check(None, Some("p=a s=b g=c x=1"), &["keys: - -> g,p,s (1)"]);
        check(None, Some("p=a s=b g=c n=#1 x=1 y=2"), &["keys: - -> g,p,s (1)", "include: - -> g,n,p,s,x (1)"]);
        check(
            None,
            Some("p=a s=b g=c h=@1 n=#1 y=2"),
            &["keys: - -> g,p,s (1)", "include: - -> g,n,p,s (1)", "all: - -> g,h,n,p,s,y (1)"],
        );
        // A wrong type, an empty value: no entry.
        check(None, Some("p=a s=b g=#1"), &[]);
        check(None, Some("p=a s=b g="), &[]);
        check(None, Some("p=a s=b g=c n=1"), &["keys: - -> g,p,s (1)"]);
    }

    #[test]
    fn changes_are_charged_as_dynamodb_does() {
        let old = Some("p=a s=b g=c n=#1 x=1");
        check(old, old, &[]);
        check(old, Some("p=a s=b g=c n=#1 x=1 y=9"), &[]);
        check(old, Some("p=a s=b g=c n=#1 x=2"), &["include: g,n,p,s,x -> g,n,p,s,x (1)"]);
        check(old, Some("p=a s=b g=c n=#2 x=1"), &["include: g,n,p,s,x -> g,n,p,s,x (2)"]);
        check(old, None, &["keys: g,p,s -> - (1)", "include: g,n,p,s,x -> - (1)"]);
        let long = format!("p=a s=b g=c n=#1 x={}", "z".repeat(1500));
        check(old, Some(&long), &["include: g,n,p,s,x -> g,n,p,s,x (2)"]);
    }

    #[test]
    fn too_long_keys_are_left_out_and_a_missing_primary_key_is_corrupt() {
        let (arena, table) = (Bump::new(), table());
        for (length, count) in [(2048, 1), (2049, 0)] {
            let new = item(&format!("p=a s=b g={}", "z".repeat(length)), &arena);
            assert_eq!(index_changes(&table, None, Some(new), &arena).unwrap().len(), count);
        }
        assert!(matches!(index_changes(&table, None, Some(item("p=a g=c", &arena)), &arena), Err(Error::Corrupt(_))));
    }

    #[test]
    fn the_row_key_ends_with_the_primary_key() {
        let (arena, table) = (Bump::new(), table());
        let changes = index_changes(&table, None, Some(item("p=a s=b g=c", &arena)), &arena).unwrap();
        let key = &table.indexes()[0].definition().key;
        let row_key = changes[0].after.unwrap().row_key;
        let values = super::super::decode_index_row_key(row_key, key, &table.definition().key, &arena).unwrap();
        assert_eq!(values.iter().map(|value| value.into_value()).collect::<Vec<_>>(), ["c", "a", "b"].map(Value::S));
    }
}
