//! The key codec without the store around it.

use bumpalo::{Bump, collections::Vec as BumpVec};

#[path = "../../src/storage/key.rs"]
pub mod key;

#[path = "../../src/storage/layout.rs"]
#[expect(dead_code, reason = "the key codec needs only the lengths of a key's head")]
mod layout;

/// The errors of the store that a codec can give; the rest of them needs RocksDB.
pub mod error {
    use std::sync::Arc;

    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum Error {
        Corrupt(Arc<str>),
    }

    impl Error {
        pub fn corrupt(what: impl Into<Arc<str>>) -> Error {
            Error::Corrupt(what.into())
        }
    }
}

/// Bytes before the components of a row key.
pub const HEAD_BYTES: usize = layout::SPACE_BYTES + layout::HASH_BYTES;

/// The space of a table.
pub fn table_space() -> key::Space {
    key::Space { table_id: 1, index_number: 0 }
}

/// One component of a key.
pub fn encode_component(value: key::KeyValue<'_>) -> Vec<u8> {
    let arena = Bump::new();
    let mut bytes = BumpVec::new_in(&arena);
    value.encode(&mut bytes);
    bytes.to_vec()
}

/// What the encodings of all strings that begin with `value` begin with.
pub fn encode_prefix(value: key::KeyValue<'_>) -> Vec<u8> {
    let arena = Bump::new();
    let mut bytes = BumpVec::new_in(&arena);
    value.encode_prefix(&mut bytes);
    bytes.to_vec()
}
