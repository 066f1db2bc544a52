//! Keys as people read them: `Artist="Nina Simone" Year=1965`, binaries in hexadecimal.

use std::fmt::Write;

use bumpalo::Bump;

use crate::model::KeyAttribute;
use crate::storage::{KeyValue, Table, TableIndex, decode_index_row_key, decode_row_key};

/// Longer values are cut: a line of a report is for the eye.
const VALUE_CHARACTERS_MAX: usize = 100;

/// The primary key in the row key of an item.
pub(super) fn item(table: &Table, row_key: &[u8]) -> String {
    let (arena, key) = (Bump::new(), &table.definition().key);
    decode_row_key(row_key, key, &arena).map_or_else(|_| raw(row_key), |values| named(key.attributes(), values))
}

/// `<index key> of item <primary key>` in the row key of an index entry.
pub(super) fn entry(table: &Table, index: &TableIndex, row_key: &[u8]) -> String {
    let (arena, key, primary) = (Bump::new(), &index.definition().key, &table.definition().key);
    let Ok(values) = decode_index_row_key(row_key, key, primary, &arena) else { return raw(row_key) };
    let (of_index, of_table) = values.split_at(key.len());
    format!("{} of item {}", named(key.attributes(), of_index), named(primary.attributes(), of_table))
}

/// The bytes of a key that does not decode.
pub(super) fn raw(key: &[u8]) -> String {
    format!("key 0x{}", cut(&hexadecimal(key)))
}

fn named<'d>(attributes: impl Iterator<Item = &'d KeyAttribute>, values: &[KeyValue<'_>]) -> String {
    let mut text = String::new();
    for (attribute, value) in attributes.zip(values) {
        let separator = if text.is_empty() { "" } else { " " };
        let value = match value {
            KeyValue::S(value) => format!("{:?}", cut(value)),
            KeyValue::N(number) => number.as_str().to_owned(),
            KeyValue::B(bytes) => format!("0x{}", cut(&hexadecimal(bytes))),
        };
        // Writing to a string cannot fail.
        let _ = write!(text, "{separator}{}={value}", attribute.name);
    }
    text
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(VALUE_CHARACTERS_MAX) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}...", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Number;
    use crate::model::fixture::{key_attributes, table_definition};

    #[test]
    fn keys_are_shown_by_name_and_type() {
        let arena = Bump::new();
        let table = Table::new(table_definition("t", &[("p", 'S')], &[("s", 'N')]), None);
        let key = table.row_key(KeyValue::S("a \"b\"\n"), Some(KeyValue::N(Number::from_canonical("-2.5"))), &arena);
        assert_eq!(item(&table, key), r#"p="a \"b\"\n" s=-2.5"#);
        assert_eq!(item(&table, &[0, 1, 0xff]), "key 0x0001ff");
        let binary = key_attributes(&[("b", 'B')]);
        assert_eq!(named(binary.iter(), &[KeyValue::B(&[0, 0xab])]), "b=0x00ab");
        let long = "é".repeat(101);
        assert_eq!(cut(&long), format!("{}...", "é".repeat(100)));
    }
}
