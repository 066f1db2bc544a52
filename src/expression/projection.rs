//! Which parts of an item an answer shows.
//!
//! A nested path keeps the maps around it; list elements that are picked are packed in the order of their indexes. A
//! path that leads nowhere picks nothing.

use bumpalo::Bump;
use bumpalo::collections::Vec as ArenaVec;

use crate::model::{Attribute, Document, Item, Map, Value};

use super::ast::ProjectionAst;
use super::bind::Binder;
use super::error::{ExpressionError, ExpressionKind};
use super::path::{Element, Located, Path, children, sort_disjoint};
use super::substitution::Substitutions;

/// A bound projection.
///
/// Invariant: the paths are sorted, and none contains or conflicts with another.
#[derive(Clone, Copy, Debug)]
pub struct Projection<'a> {
    paths: &'a [Path<'a>],
}

impl ProjectionAst {
    pub fn bind<'a>(
        &self,
        substitutions: &Substitutions<'a>,
        arena: &'a Bump,
    ) -> Result<Projection<'a>, ExpressionError> {
        let binder = Binder::new(ExpressionKind::Projection, &self.terms, substitutions, arena);
        let elements = binder.elements(0..self.terms.extent().elements)?;
        let paths = arena.alloc_slice_fill_iter(self.paths.iter().map(|path| elements.path(*path)));
        Ok(Projection { paths: sort_disjoint(ExpressionKind::Projection, paths, arena)? })
    }
}

impl<'a> Projection<'a> {
    /// For the legacy AttributesToGet: distinct names of top-level attributes.
    pub(super) fn of_attributes(paths: &'a mut [Path<'a>]) -> Projection<'a> {
        paths.sort_unstable();
        Projection { paths }
    }

    /// Sorted by name.
    pub fn paths(&self) -> &'a [Path<'a>] {
        self.paths
    }

    /// The parts of a document that the projection picks. Keys are not added.
    pub fn apply<'d>(&self, document: &impl Document<'d>, arena: &'d Bump) -> Item<'d>
    where
        'a: 'd,
    {
        project_document(self.paths, document, arena)
    }
}

/// The parts of `document` at the paths of a sorted list without overlaps.
pub(super) fn project_document<'a: 'd, 'd, T: Located<'a>>(
    located: &[T],
    document: &impl Document<'d>,
    arena: &'d Bump,
) -> Item<'d> {
    let mut attributes = ArenaVec::with_capacity_in(located.len(), arena);
    for (element, group) in children(located, 0) {
        let Element::Name(name) = element else { continue };
        let value = document.attribute(name).and_then(|value| project_value(value, group, 1, arena));
        attributes.extend(value.map(|value| Attribute { name, value }));
    }
    Map::from_sorted(attributes.into_bump_slice())
}

/// Recurses no deeper than the value does.
fn project_value<'a: 'd, 'd, T: Located<'a>>(
    value: Value<'d>,
    located: &[T],
    level: usize,
    arena: &'d Bump,
) -> Option<Value<'d>> {
    if located[0].path().elements().len() == level {
        return Some(value);
    }
    match value {
        Value::M(map) => {
            let mut attributes = ArenaVec::new_in(arena);
            for (element, group) in children(located, level) {
                let Element::Name(name) = element else { return None };
                let value = map.get(name).and_then(|value| project_value(value, group, level + 1, arena));
                attributes.extend(value.map(|value| Attribute { name, value }));
            }
            (!attributes.is_empty()).then(|| Value::M(Map::from_sorted(attributes.into_bump_slice())))
        }
        Value::L(list) => {
            let mut elements = ArenaVec::new_in(arena);
            for (element, group) in children(located, level) {
                let Element::Index(index) = element else { return None };
                let value = list.get(index as usize).copied();
                elements.extend(value.and_then(|value| project_value(value, group, level + 1, arena)));
            }
            (!elements.is_empty()).then(|| Value::L(elements.into_bump_slice()))
        }
        _ => None,
    }
}
