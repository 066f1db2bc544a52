//! Placeholders to names and values, for all kinds of expression.
//!
//! Everything that a bound expression refers to lies in the request's arena: it outlives the tree that it was made
//! from.

use std::ops::Range;

use bumpalo::Bump;
use bumpalo::collections::Vec as ArenaVec;

use crate::model::Value;

use super::ast::{self, Terms};
use super::error::{ExpressionError, ExpressionKind};
use super::path::{Element, Path};
use super::substitution::Substitutions;

/// Resolves the terms of one expression.
pub(super) struct Binder<'t, 'a> {
    pub kind: ExpressionKind,
    pub terms: &'t Terms,
    pub substitutions: &'t Substitutions<'a>,
    pub arena: &'a Bump,
    /// The arena's copy of `terms.text`, for names.
    text: &'a str,
}

impl<'t, 'a> Binder<'t, 'a> {
    pub fn new(
        kind: ExpressionKind,
        terms: &'t Terms,
        substitutions: &'t Substitutions<'a>,
        arena: &'a Bump,
    ) -> Binder<'t, 'a> {
        Binder { kind, terms, substitutions, arena, text: arena.alloc_str(&terms.text) }
    }

    /// Resolves a range of `terms.elements`.
    pub fn elements(&self, range: Range<u16>) -> Result<Bound<'a, Element<'a>>, ExpressionError> {
        let first = range.start;
        let elements = &self.terms.elements[usize::from(range.start)..usize::from(range.end)];
        let mut bound = ArenaVec::with_capacity_in(elements.len(), self.arena);
        for element in elements {
            bound.push(match *element {
                ast::Element::Index(index) => Element::Index(index),
                ast::Element::Name(word) => Element::Name(&self.text[usize::from(word.start)..usize::from(word.end)]),
                ast::Element::Placeholder(word) => Element::Name(self.name(self.terms.word(word))?),
            });
        }
        Ok(Bound { first, items: bound.into_bump_slice() })
    }

    fn name(&self, placeholder: &str) -> Result<&'a str, ExpressionError> {
        self.substitutions.name(placeholder).ok_or_else(|| {
            self.invalid(format_args!(
                "An expression attribute name used in the document path is not defined; attribute name: {placeholder}"
            ))
        })
    }

    /// Resolves a range of `terms.values`.
    pub fn values(&self, range: Range<u16>) -> Result<Bound<'a, Value<'a>>, ExpressionError> {
        let first = range.start;
        let words = &self.terms.values[usize::from(range.start)..usize::from(range.end)];
        let mut bound = ArenaVec::with_capacity_in(words.len(), self.arena);
        for word in words {
            let placeholder = self.terms.word(*word);
            bound.push(self.substitutions.value(placeholder).ok_or_else(|| {
                self.invalid(format_args!(
                    "An expression attribute value used in expression is not defined; attribute value: {placeholder}"
                ))
            })?);
        }
        Ok(Bound { first, items: bound.into_bump_slice() })
    }

    pub fn invalid(&self, detail: std::fmt::Arguments<'_>) -> ExpressionError {
        ExpressionError::invalid(self.kind, detail)
    }

    /// Refuses a function whose number of operands is not its own.
    pub fn check_operand_count(&self, call: ast::Call) -> Result<(), ExpressionError> {
        if usize::from(call.count) == call.function.operand_count() {
            return Ok(());
        }
        Err(self.operand_count(call.function.name(), call.count.into()))
    }

    pub fn operand_count(&self, operator: &str, count: usize) -> ExpressionError {
        self.invalid(format_args!(
            "Incorrect number of operands for operator or function; operator or function: {operator}, number of \
             operands: {count}"
        ))
    }

    pub fn operand_type(&self, operator: &str, type_name: &str) -> ExpressionError {
        self.invalid(format_args!(
            "Incorrect operand type for operator or function; operator or function: {operator}, operand type: \
             {type_name}"
        ))
    }

    pub fn document_path(&self, function: ast::Function) -> ExpressionError {
        self.invalid(format_args!(
            "Operator or function requires a document path; operator or function: {}",
            function.name()
        ))
    }
}

/// The resolved form of a range of terms. It is indexed as the terms are.
#[derive(Clone, Copy)]
pub(super) struct Bound<'a, T> {
    first: u16,
    items: &'a [T],
}

impl<'a> Bound<'a, Element<'a>> {
    pub fn path(&self, path: ast::Path) -> Path<'a> {
        Path::new(&self.items[usize::from(path.first - self.first)..][..usize::from(path.count)])
    }
}

impl<'a> Bound<'a, Value<'a>> {
    pub fn value(&self, index: u16) -> Value<'a> {
        self.items[usize::from(index - self.first)]
    }
}
