//! What an expression is evaluated against: anything that can be asked for one attribute by name.

use std::cell::Cell;

use bumpalo::Bump;

use super::item::{Corrupt, EncodedItem};
use super::value::{Map, Value};

/// A source of top-level attributes.
pub trait Document<'a> {
    fn attribute(&self, name: &str) -> Option<Value<'a>>;
}

impl<'a> Document<'a> for Map<'a> {
    fn attribute(&self, name: &str) -> Option<Value<'a>> {
        self.get(name)
    }
}

/// A stored item of which only the attributes asked for are decoded.
///
/// An expression sees a corrupt attribute as absent; whoever evaluated it must ask [`StoredDocument::check`] before
/// acting on the result.
pub struct StoredDocument<'a> {
    item: EncodedItem<'a>,
    arena: &'a Bump,
    corrupt: Cell<bool>,
}

impl<'a> StoredDocument<'a> {
    pub fn new(item: EncodedItem<'a>, arena: &'a Bump) -> StoredDocument<'a> {
        StoredDocument { item, arena, corrupt: Cell::new(false) }
    }

    /// Whether everything that was read followed the format.
    pub fn check(&self) -> Result<(), Corrupt> {
        if self.corrupt.get() { Err(Corrupt) } else { Ok(()) }
    }
}

impl<'a> Document<'a> for StoredDocument<'a> {
    fn attribute(&self, name: &str) -> Option<Value<'a>> {
        self.item.get(name, self.arena).unwrap_or_else(|Corrupt| {
            self.corrupt.set(true);
            None
        })
    }
}
