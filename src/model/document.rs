//! What an expression is evaluated against: anything that can be asked for one attribute by name.

use std::cell::Cell;

use bumpalo::Bump;

use super::item::{Corrupt, EncodedItem};
use super::value::{Item, Map, Value};

/// A source of top-level attributes.
pub trait Document<'a> {
    fn attribute(&self, name: &str) -> Option<Value<'a>>;
}

impl<'a> Document<'a> for Map<'a> {
    fn attribute(&self, name: &str) -> Option<Value<'a>> {
        self.get(name)
    }
}

/// Attributes decoded one by one before the whole item is. Each look-up walks the item, and one that repeats decodes
/// the attribute again: a condition may name one large list 300 times.
const SINGLE_LOOKUP_COUNT_MAX: u32 = 4;

/// A stored item of which only the attributes asked for are decoded, unless many are.
///
/// An expression sees a corrupt attribute as absent; whoever evaluated it must ask [`StoredDocument::check`] before
/// acting on the result.
pub struct StoredDocument<'a> {
    item: EncodedItem<'a>,
    arena: &'a Bump,
    corrupt: Cell<bool>,
    lookup_count: Cell<u32>,
    whole: Cell<Option<Item<'a>>>,
}

impl<'a> StoredDocument<'a> {
    pub fn new(item: EncodedItem<'a>, arena: &'a Bump) -> StoredDocument<'a> {
        StoredDocument { item, arena, corrupt: Cell::new(false), lookup_count: Cell::new(0), whole: Cell::new(None) }
    }

    fn find(&self, name: &str) -> Result<Option<Value<'a>>, Corrupt> {
        if let Some(whole) = self.whole.get() {
            return Ok(whole.get(name));
        }
        self.lookup_count.set(self.lookup_count.get() + 1);
        if self.lookup_count.get() <= SINGLE_LOOKUP_COUNT_MAX {
            return self.item.get(name, self.arena);
        }
        let whole = self.item.decode(self.arena)?;
        self.whole.set(Some(whole));
        Ok(whole.get(name))
    }

    /// Whether everything that was read followed the format.
    pub fn check(&self) -> Result<(), Corrupt> {
        if self.corrupt.get() { Err(Corrupt) } else { Ok(()) }
    }
}

impl<'a> Document<'a> for StoredDocument<'a> {
    fn attribute(&self, name: &str) -> Option<Value<'a>> {
        self.find(name).unwrap_or_else(|Corrupt| {
            self.corrupt.set(true);
            None
        })
    }
}
