//! Parsed expressions by their text.
//!
//! Clients send the same few texts over and over, with values beside them. Each worker keeps its own cache, so there is
//! no lock, and a hit is one hash and one comparison.
//!
//! Invariants:
//! 1. An entry stands in the set of [`WAYS`] slots that its hash selects.
//! 2. `memory_bytes` is the sum over all entries, and at most [`MEMORY_BYTES_MAX`] after every insertion.
//! 3. What does not parse is not kept.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::ast::{ConditionAst, ProjectionAst, UpdateAst};
use super::error::{ExpressionError, ExpressionKind};

/// Slots that one text may occupy: the oldest of them makes room.
const WAYS: usize = 4;

/// Sets of slots. More texts than `WAYS * SET_COUNT` are generated ones, which no cache serves.
const SET_COUNT: usize = 256;

/// Texts and trees together. A usual entry takes half a kilobyte, so the count of slots binds first; this bounds what a
/// client can pin with the longest expressions, and holds once for each worker.
const MEMORY_BYTES_MAX: usize = 4 << 20;

const _: () = assert!(SET_COUNT.is_power_of_two());

/// A worker's cache.
pub struct Cache {
    entries: Vec<Option<Entry>>,
    memory_bytes: usize,
    /// Counts look-ups: entries know when they were last used.
    now: u64,
    /// Where the search for memory to free goes on.
    hand: usize,
}

struct Entry {
    hash: u64,
    kind: ExpressionKind,
    text: Box<str>,
    tree: Tree,
    used_at: u64,
    memory_bytes: usize,
}

enum Tree {
    Condition(ConditionAst),
    Projection(ProjectionAst),
    Update(UpdateAst),
}

impl Default for Cache {
    fn default() -> Cache {
        Cache::new()
    }
}

impl Cache {
    pub fn new() -> Cache {
        let entries = std::iter::repeat_with(|| None).take(WAYS * SET_COUNT).collect();
        Cache { entries, memory_bytes: 0, now: 0, hand: 0 }
    }

    /// A ConditionExpression, FilterExpression or KeyConditionExpression.
    pub fn condition(&mut self, kind: ExpressionKind, text: &str) -> Result<&ConditionAst, ExpressionError> {
        match self.tree(kind, text, || ConditionAst::parse(kind, text).map(Tree::Condition))? {
            Tree::Condition(ast) => Ok(ast),
            Tree::Projection(_) | Tree::Update(_) => unreachable!("an entry's kind is that of its tree"),
        }
    }

    pub fn projection(&mut self, text: &str) -> Result<&ProjectionAst, ExpressionError> {
        let kind = ExpressionKind::Projection;
        match self.tree(kind, text, || ProjectionAst::parse(text).map(Tree::Projection))? {
            Tree::Projection(ast) => Ok(ast),
            Tree::Condition(_) | Tree::Update(_) => unreachable!("an entry's kind is that of its tree"),
        }
    }

    pub fn update(&mut self, text: &str) -> Result<&UpdateAst, ExpressionError> {
        let kind = ExpressionKind::Update;
        match self.tree(kind, text, || UpdateAst::parse(text).map(Tree::Update))? {
            Tree::Update(ast) => Ok(ast),
            Tree::Condition(_) | Tree::Projection(_) => unreachable!("an entry's kind is that of its tree"),
        }
    }

    fn tree(
        &mut self,
        kind: ExpressionKind,
        text: &str,
        parse: impl FnOnce() -> Result<Tree, ExpressionError>,
    ) -> Result<&Tree, ExpressionError> {
        self.now += 1;
        let hash = xxh3_64_with_seed(text.as_bytes(), kind as u64);
        let slot = match self.find(hash, kind, text) {
            Some(slot) => slot,
            None => {
                let tree = parse()?;
                self.insert(Entry::new(hash, kind, text, tree))
            }
        };
        match &mut self.entries[slot] {
            Some(entry) => {
                entry.used_at = self.now;
                Ok(&entry.tree)
            }
            None => unreachable!("the slot was just found or filled"),
        }
    }

    fn find(&self, hash: u64, kind: ExpressionKind, text: &str) -> Option<usize> {
        set(hash).find(|&slot| {
            self.entries[slot]
                .as_ref()
                .is_some_and(|entry| entry.hash == hash && entry.kind == kind && *entry.text == *text)
        })
    }

    /// Puts the entry in the place of the one in its set that was not used for longest.
    fn insert(&mut self, entry: Entry) -> usize {
        let used_at = |slot: &usize| self.entries[*slot].as_ref().map_or(0, |entry| entry.used_at);
        let slot = set(entry.hash).min_by_key(used_at).unwrap_or_default();
        self.remove(slot);
        while self.memory_bytes + entry.memory_bytes > MEMORY_BYTES_MAX && self.memory_bytes > 0 {
            self.hand = (self.hand + 1) % self.entries.len();
            self.remove(self.hand);
        }
        self.memory_bytes += entry.memory_bytes;
        self.entries[slot] = Some(entry);
        slot
    }

    fn remove(&mut self, slot: usize) {
        if let Some(entry) = self.entries[slot].take() {
            self.memory_bytes -= entry.memory_bytes;
        }
    }
}

impl Entry {
    fn new(hash: u64, kind: ExpressionKind, text: &str, tree: Tree) -> Entry {
        let tree_bytes = match &tree {
            Tree::Condition(ast) => ast.memory_bytes(),
            Tree::Projection(ast) => ast.memory_bytes(),
            Tree::Update(ast) => ast.memory_bytes(),
        };
        let memory_bytes = size_of::<Entry>() + text.len() + tree_bytes;
        Entry { hash, kind, text: text.into(), tree, used_at: 0, memory_bytes }
    }
}

/// The slots in which a hash may stand.
fn set(hash: u64) -> std::ops::Range<usize> {
    let first = (hash as usize & (SET_COUNT - 1)) * WAYS;
    first..first + WAYS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_sums(cache: &Cache) {
        let sum: usize = cache.entries.iter().flatten().map(|entry| entry.memory_bytes).sum();
        assert_eq!(cache.memory_bytes, sum);
        assert!(sum <= MEMORY_BYTES_MAX);
    }

    #[test]
    fn one_text_means_different_things_in_different_parameters() {
        let mut cache = Cache::new();
        assert_eq!(cache.projection("a").unwrap().paths.len(), 1);
        let error = cache.condition(ExpressionKind::Filter, "a").unwrap_err();
        assert_eq!(error.message(), "Invalid FilterExpression: Syntax error; token: \"<EOF>\", near: \"a\"");
        assert_eq!(cache.condition(ExpressionKind::Condition, "a = b").unwrap().kind, ExpressionKind::Condition);
        assert_eq!(cache.condition(ExpressionKind::Filter, "a = b").unwrap().kind, ExpressionKind::Filter);
        assert_eq!(cache.update("REMOVE a").unwrap().actions.len(), 1);
        assert_eq!(cache.entries.iter().flatten().count(), 4);
        check_sums(&cache);
    }

    #[test]
    fn a_text_in_use_outlives_passing_ones() {
        let mut cache = Cache::new();
        let hot = "SET a = a + :one";
        cache.update(hot).unwrap();
        for index in 0..20_000 {
            cache.projection(&format!("a{index}")).unwrap();
            let kind = ExpressionKind::Update;
            assert!(cache.find(xxh3_64_with_seed(hot.as_bytes(), kind as u64), kind, hot).is_some());
            cache.update(hot).unwrap();
        }
        assert!(cache.entries.iter().flatten().count() <= WAYS * SET_COUNT);
        check_sums(&cache);
    }

    #[test]
    fn long_texts_are_bounded_by_bytes() {
        let mut cache = Cache::new();
        for index in 0..2000 {
            let text = format!("a{index},{}", (0..600).map(|n| format!("b{n}")).collect::<Vec<_>>().join(","));
            cache.projection(&text).unwrap();
            check_sums(&cache);
        }
        assert!(cache.memory_bytes > MEMORY_BYTES_MAX / 2);
    }
}
