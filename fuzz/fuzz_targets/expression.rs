//! The five kinds of expression.
//!
//! Input: one byte for the kind, the text up to a line feed, then bytes from which an item and the values of `:a` to
//! `:d` are generated; `#a` to `#d` stand for fixed names. Checked:
//! 1. A tree is printed as a text that gives the same tree.
//! 2. A condition is true of an item exactly if it is true of its stored form and if its negation is false; a
//!    projection picks the same from both.
//! 3. What an update makes keeps the invariants of the model, nests within the limit, comes back from the item codec,
//!    and differs from the item only in what the update names; what is removed is what is missing in its size.
//! 4. A key condition has values of the schema's types for its whole hash key.

#![no_main]

use arbitrary::{Result, Unstructured};
use bumpalo::Bump;
use jormundb_fuzz::expression::ast::{Change, ConditionAst, ProjectionAst, UpdateAst};
use jormundb_fuzz::expression::path::Element;
use jormundb_fuzz::expression::{ExpressionKind, Substitutions, Update};
use jormundb_fuzz::generate::{self, check_map};
use jormundb_fuzz::model::limits::NESTING_DEPTH_MAX;
use jormundb_fuzz::model::{
    Attribute, EncodedItem, Item, KeyAttribute, KeyKind, KeySchema, Map, StoredDocument, Value,
};
use libfuzzer_sys::fuzz_target;

/// Longest expression; what is printed may be longer than what was read.
const TEXT_BYTES_MAX: usize = 4096;

const NAMES: [(&str, &str); 4] = [("#a", "a"), ("#b", "b"), ("#c", "m"), ("#d", "x.y")];
const VALUE_PLACEHOLDERS: [&str; 4] = [":a", ":b", ":c", ":d"];

fuzz_target!(|input: &[u8]| {
    let Some((kind, rest)) = input.split_first() else { return };
    let text_bytes = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let Ok(text) = std::str::from_utf8(&rest[..text_bytes]) else { return };
    let arena = Bump::new();
    let mut seed = Unstructured::new(rest.get(text_bytes + 1..).unwrap_or_default());
    let Ok(scene) = Scene::generate(&mut seed, &arena) else { return };
    match kind % 5 {
        0 => scene.condition(ExpressionKind::Condition, text),
        1 => scene.condition(ExpressionKind::Filter, text),
        2 => scene.key_condition(text),
        3 => scene.projection(text),
        _ => scene.update(text),
    }
});

/// What an expression is evaluated with.
struct Scene<'a> {
    item: Item<'a>,
    stored: EncodedItem<'a>,
    substitutions: Substitutions<'a>,
    arena: &'a Bump,
}

impl<'a> Scene<'a> {
    fn generate(seed: &mut Unstructured<'_>, arena: &'a Bump) -> Result<Scene<'a>> {
        let mut values = Vec::new();
        for name in VALUE_PLACEHOLDERS {
            values.push(Attribute { name, value: generate::value(seed, arena)? });
        }
        let item = generate::item(seed, arena)?;
        let values = Map::from_sorted(arena.alloc_slice_copy(&values));
        let substitutions = Substitutions::new(Some(&NAMES), Some(values), arena).expect("sound placeholders");
        Ok(Scene { item, stored: EncodedItem::encode(item, arena), substitutions, arena })
    }

    fn stored_document(&self) -> StoredDocument<'a> {
        StoredDocument::new(self.stored, self.arena)
    }

    fn condition(&self, kind: ExpressionKind, text: &str) {
        let Ok(ast) = ConditionAst::parse(kind, text) else { return };
        check_printed(&ast, &ast.to_string(), |text| ConditionAst::parse(kind, text).ok());
        let Ok(condition) = ast.bind(&self.substitutions, self.arena) else { return };
        let _ = (self.substitutions.check_used(), condition.paths().count());
        let result = condition.evaluate(&self.item);
        assert_eq!(condition.evaluate(&self.stored_document()), result);
        condition.evaluate(&Map::EMPTY);
        // The negation may have one operator or a few letters too many.
        let Ok(negation) = ConditionAst::parse(kind, &format!("NOT ({text})")) else { return };
        let negation = negation.bind(&self.substitutions, self.arena).expect("binds as its operand does");
        assert_eq!(negation.evaluate(&self.item), !result);
    }

    fn key_condition(&self, text: &str) {
        let Ok(ast) = ConditionAst::parse(ExpressionKind::KeyCondition, text) else { return };
        check_printed(&ast, &ast.to_string(), |text| ConditionAst::parse(ExpressionKind::KeyCondition, text).ok());
        let Ok(clauses) = ast.bind_key(&self.substitutions, self.arena) else { return };
        for (hash, range) in [(&["a"][..], &[][..]), (&["a"], &["b"]), (&["a", "m"], &["b", "x.y"])] {
            for kind in [KeyKind::S, KeyKind::N, KeyKind::B] {
                let attributes = |names: &[&str]| {
                    names.iter().map(|name| KeyAttribute { name: (*name).into(), kind }).collect::<Vec<_>>()
                };
                let schema = KeySchema { hash: attributes(hash), range: attributes(range) };
                let Ok(resolved) = clauses.resolve(&schema, self.arena) else { continue };
                assert_eq!(resolved.hash.len(), hash.len());
                assert!(resolved.range_equal.len() + usize::from(resolved.range_test.is_some()) <= range.len());
                let tested = resolved.range_test.iter().flat_map(|test| test.values());
                let equal = resolved.hash.iter().chain(resolved.range_equal).copied();
                assert!(equal.chain(tested).all(|value| kind.matches(&value)));
            }
        }
    }

    fn projection(&self, text: &str) {
        let Ok(ast) = ProjectionAst::parse(text) else { return };
        check_printed(&ast, &ast.to_string(), |text| ProjectionAst::parse(text).ok());
        let Ok(projection) = ast.bind(&self.substitutions, self.arena) else { return };
        let picked = projection.apply(&self.item, self.arena);
        assert_eq!(projection.apply(&self.stored_document(), self.arena), picked);
        check_map(picked);
        assert!(picked.size() <= self.item.size());
    }

    fn update(&self, text: &str) {
        let Ok(ast) = UpdateAst::parse(text) else { return };
        check_printed(&ast, &ast.to_string(), |text| UpdateAst::parse(text).ok());
        let Ok(update) = ast.bind(&self.substitutions, self.arena) else { return };
        let key = Map::from_sorted(&[Attribute { name: "k", value: Value::S("key") }]);
        let schema = KeySchema { hash: vec![KeyAttribute { name: "k".into(), kind: KeyKind::S }], range: Vec::new() };
        if update.check_key(&schema).is_err() {
            return;
        }
        for old in [Some(self.item), None] {
            let Ok(Some(new)) = update.apply(old, key, self.arena) else { continue };
            check_map(new);
            assert!(new.iter().all(|attribute| attribute.value.depth() <= NESTING_DEPTH_MAX));
            check_untouched(&update, old.unwrap_or(key), new);
            if ast.actions.iter().all(|action| action.change == Change::Remove) {
                let old = old.unwrap_or_default();
                assert_eq!(new.size() + removed_bytes(&update, old), old.size());
            }
            let stored = EncodedItem::encode(new, self.arena);
            assert_eq!(stored.decode(self.arena), Ok(new));
            let touched = update.touched(&new, self.arena);
            check_map(touched);
            assert_eq!(update.touched(&StoredDocument::new(stored, self.arena), self.arena), touched);
            update.touched(&self.item, self.arena);
        }
    }
}

/// Attributes that no target lies in are those of the item before.
fn check_untouched(update: &Update<'_>, before: Item<'_>, after: Item<'_>) {
    for name in before.iter().chain(after).map(|attribute| attribute.name) {
        if update.targets().all(|target| target.name() != name) {
            assert_eq!(after.get(name), before.get(name), "{name}");
        }
    }
}

/// What the targets take up in the item: names, values, and the byte that a list or map counts for an element.
fn removed_bytes(update: &Update<'_>, item: Item<'_>) -> usize {
    let removed = update.targets().filter_map(|target| {
        let name_bytes = match target.elements().last() {
            Some(Element::Name(name)) => name.len(),
            Some(Element::Index(_)) | None => 0,
        };
        Some(target.resolve(&item)?.size() + name_bytes + usize::from(target.is_nested()))
    });
    removed.sum()
}

fn check_printed<T: PartialEq + std::fmt::Debug>(tree: &T, printed: &str, parse: impl Fn(&str) -> Option<T>) {
    if printed.len() <= TEXT_BYTES_MAX {
        assert_eq!(parse(printed).as_ref(), Some(tree), "printed as {printed}");
    }
}
