//! Key conditions: which partition a Query reads, and which stretch of it.
//!
//! A key condition is read and bound as a condition, then narrowed in two stages, because DynamoDB looks the table up
//! in between:
//!
//! ```text
//! ConditionAst -> KeyClauses    only AND; each clause tests one top-level attribute, each attribute once
//! KeyClauses   -> KeyCondition  fits a key schema: '=' on every hash attribute and on a gap-free prefix of the range
//!                               attributes, then at most one other test, on the next range attribute
//! ```

use std::cmp::Reverse;

use bumpalo::Bump;
use bumpalo::collections::Vec as ArenaVec;

use crate::model::{KeyAttribute, KeySchema, Value};

use super::ast::{Comparator, ConditionAst, Step};
use super::condition::{Operand, Predicate};
use super::error::ExpressionError;
use super::substitution::Substitutions;

/// A key condition that is yet to meet a schema. Names are distinct.
#[derive(Clone, Copy, Debug)]
pub struct KeyClauses<'a> {
    clauses: &'a [KeyClause<'a>],
}

#[derive(Clone, Copy, Debug)]
pub(super) struct KeyClause<'a> {
    pub name: &'a str,
    pub test: KeyTest<'a>,
}

/// A test on one key attribute. Bounds of `Between` are inclusive, and the lower one is not above the upper one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum KeyTest<'a> {
    Equal(Value<'a>),
    Less(Value<'a>),
    LessEqual(Value<'a>),
    Greater(Value<'a>),
    GreaterEqual(Value<'a>),
    Between(Value<'a>, Value<'a>),
    BeginsWith(Value<'a>),
}

/// What a Query reads. All values have the types of the schema.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KeyCondition<'a> {
    /// One for each hash attribute.
    pub hash: &'a [Value<'a>],
    /// For the first range attributes.
    pub range_equal: &'a [Value<'a>],
    /// For the range attribute after those; never `Equal`.
    pub range_test: Option<KeyTest<'a>>,
}

impl<'a> KeyTest<'a> {
    /// The operands: one or two.
    pub fn values(&self) -> impl Iterator<Item = Value<'a>> {
        let (first, second) = match *self {
            KeyTest::Between(lower, upper) => (lower, Some(upper)),
            KeyTest::Equal(value)
            | KeyTest::Less(value)
            | KeyTest::LessEqual(value)
            | KeyTest::Greater(value)
            | KeyTest::GreaterEqual(value)
            | KeyTest::BeginsWith(value) => (value, None),
        };
        std::iter::once(first).chain(second)
    }

    fn compare(comparator: Comparator, value: Value<'a>) -> Option<KeyTest<'a>> {
        Some(match comparator {
            Comparator::Equal => KeyTest::Equal(value),
            Comparator::NotEqual => return None,
            Comparator::Less => KeyTest::Less(value),
            Comparator::LessEqual => KeyTest::LessEqual(value),
            Comparator::Greater => KeyTest::Greater(value),
            Comparator::GreaterEqual => KeyTest::GreaterEqual(value),
        })
    }
}

impl ConditionAst {
    /// Binds a KeyConditionExpression: every rule for conditions comes before any rule for key conditions.
    pub fn bind_key<'a>(
        &self,
        substitutions: &Substitutions<'a>,
        arena: &'a Bump,
    ) -> Result<KeyClauses<'a>, ExpressionError> {
        let condition = self.bind(substitutions, arena)?;
        let mut clauses: ArenaVec<KeyClause> = ArenaVec::with_capacity_in(self.predicates.len(), arena);
        let mut offences = Vec::new();
        for (position, step) in (0..).zip(&self.steps) {
            match *step {
                Step::And { .. } => {}
                Step::Or { start, end } => offences.push((start, Reverse(end), invalid_operator("OR"))),
                Step::Not { start } => offences.push((start, Reverse(position + 1), invalid_operator("NOT"))),
                Step::Test(index) => match key_clause(&condition.predicates()[usize::from(index)], &clauses) {
                    Ok(clause) => clauses.push(clause),
                    Err(error) => offences.push((position, Reverse(position + 1), error)),
                },
            }
        }
        // DynamoDB looks at an operator before its operands, and at those from left to right.
        match offences.into_iter().min_by_key(|(start, end, _)| (*start, *end)) {
            None => Ok(KeyClauses { clauses: clauses.into_bump_slice() }),
            Some((_, _, error)) => Err(error),
        }
    }
}

fn invalid_operator(operator: &str) -> ExpressionError {
    ExpressionError::new(format!("Invalid operator used in KeyConditionExpression: {operator}"))
}

fn invalid_condition(detail: &str) -> ExpressionError {
    ExpressionError::new(format!("Invalid condition in KeyConditionExpression: {detail}"))
}

/// Reads a predicate as a test of one attribute that no earlier clause tests.
fn key_clause<'a>(predicate: &Predicate<'a>, earlier: &[KeyClause<'a>]) -> Result<KeyClause<'a>, ExpressionError> {
    let (name, test) = match *predicate {
        Predicate::Compare(Comparator::NotEqual, ..) => return Err(invalid_operator("<>")),
        Predicate::In(..) => return Err(invalid_operator("IN")),
        Predicate::Exists { expected: true, .. } => return Err(invalid_operator("attribute_exists")),
        Predicate::Exists { expected: false, .. } => return Err(invalid_operator("attribute_not_exists")),
        Predicate::HasType(..) => return Err(invalid_operator("attribute_type")),
        Predicate::Contains(..) => return Err(invalid_operator("contains")),
        Predicate::Compare(comparator, left, right) => {
            let name = attribute_name(&[left, right])?;
            let test = match (left, right) {
                (_, Operand::Value(value)) => KeyTest::compare(comparator, value),
                (Operand::Value(value), _) => KeyTest::compare(comparator.mirrored(), value),
                _ => None,
            };
            (name, test)
        }
        Predicate::Between(operands) => {
            check_first_operand("BETWEEN", &operands)?;
            let name = attribute_name(&operands)?;
            let [_, lower, upper] = operands;
            (name, lower.value().zip(upper.value()).map(|(lower, upper)| KeyTest::Between(lower, upper)))
        }
        Predicate::BeginsWith(text, prefix) => {
            check_first_operand("begins_with", &[text, prefix])?;
            (attribute_name(&[text, prefix])?, prefix.value().map(KeyTest::BeginsWith))
        }
    };
    if earlier.iter().any(|clause| clause.name == name) {
        return Err(ExpressionError::new("KeyConditionExpressions must only contain one condition per key"));
    }
    match test {
        Some(test) => Ok(KeyClause { name, test }),
        None => unreachable!("of the operands of a key clause one is a path and the others are values"),
    }
}

fn check_first_operand(operator: &str, operands: &[Operand<'_>]) -> Result<(), ExpressionError> {
    let is_path = |operand: &Operand<'_>| matches!(operand, Operand::Path(_));
    if is_path(&operands[0]) || !operands.iter().any(is_path) {
        return Ok(());
    }
    Err(invalid_condition(&format!("{operator} operator must have the key attribute as its first operand")))
}

/// The one attribute among the operands of a clause.
fn attribute_name<'a>(operands: &[Operand<'a>]) -> Result<&'a str, ExpressionError> {
    let mut name = None;
    for operand in operands {
        match operand {
            Operand::SizeOfPath(_) | Operand::SizeOfValue(_) => {
                return Err(ExpressionError::new("KeyConditionExpressions cannot contain nested operations"));
            }
            Operand::Path(_) if name.is_some() => {
                return Err(invalid_condition("Multiple attribute names used in one condition"));
            }
            Operand::Path(path) if path.is_nested() => {
                return Err(ExpressionError::new(
                    "KeyConditionExpressions cannot have conditions on nested attributes",
                ));
            }
            Operand::Path(path) => name = Some(path.name()),
            Operand::Value(_) => {}
        }
    }
    name.ok_or_else(|| invalid_condition("No key attribute specified"))
}

impl<'a> KeyClauses<'a> {
    /// For the legacy KeyConditions. Names must be distinct.
    pub(super) fn new(clauses: &'a [KeyClause<'a>]) -> KeyClauses<'a> {
        KeyClauses { clauses }
    }

    /// Fits the clauses to the key of a table or index.
    pub fn resolve(&self, schema: &KeySchema, arena: &'a Bump) -> Result<KeyCondition<'a>, ExpressionError> {
        // A sort condition on a key without a sort attribute has a text of its own.
        if self.clauses.len() > schema.len().max(2) {
            return Err(ExpressionError::new(format!(
                "The number of query conditions ({}) exceeds the number of key attributes defined in the schema ({})",
                self.clauses.len(),
                schema.len()
            )));
        }
        let hash = self.resolve_hash(schema, arena)?;
        let (range_equal, range_test) = self.resolve_range(schema, arena)?;
        let used_count = hash.len() + range_equal.len() + usize::from(range_test.is_some());
        if used_count < self.clauses.len() {
            return Err(match schema.range.get(range_equal.len() + usize::from(range_test.is_some())) {
                Some(missing) => missed_element(missing),
                None => not_supported(),
            });
        }
        Ok(KeyCondition { hash, range_equal, range_test })
    }

    fn test(&self, attribute: &KeyAttribute) -> Option<KeyTest<'a>> {
        self.clauses.iter().find(|clause| clause.name == attribute.name).map(|clause| clause.test)
    }

    /// The value that the attribute must equal.
    fn equal(&self, attribute: &KeyAttribute) -> Option<Value<'a>> {
        match self.test(attribute) {
            Some(KeyTest::Equal(value)) => Some(value),
            _ => None,
        }
    }

    fn resolve_hash(&self, schema: &KeySchema, arena: &'a Bump) -> Result<&'a [Value<'a>], ExpressionError> {
        if let [attribute] = &schema.hash[..] {
            match self.test(attribute) {
                None => return Err(missed_element(attribute)),
                Some(KeyTest::Equal(_)) => {}
                Some(_) => return Err(not_supported()),
            }
        }
        let lacking = names(schema.hash.iter().filter(|attribute| self.equal(attribute).is_none()));
        if !lacking.is_empty() {
            return Err(ExpressionError::new(format!(
                "HASH key attributes {lacking} must have equality conditions specified in the query"
            )));
        }
        self.equal_values(&schema.hash, arena)
    }

    fn resolve_range(
        &self,
        schema: &KeySchema,
        arena: &'a Bump,
    ) -> Result<(&'a [Value<'a>], Option<KeyTest<'a>>), ExpressionError> {
        let Some(last) = schema.range.iter().rposition(|attribute| self.test(attribute).is_some()) else {
            return Ok((&[], None));
        };
        let (before, last) = (&schema.range[..last], &schema.range[last]);
        let lacking = names(before.iter().filter(|attribute| self.equal(attribute).is_none()));
        if !lacking.is_empty() {
            return Err(ExpressionError::new(format!(
                "RANGE key attributes {lacking} must have equality conditions specified in the query because a \
                 condition is present on key attribute {}",
                last.name
            )));
        }
        match self.test(last) {
            Some(KeyTest::Equal(_)) | None => Ok((self.equal_values(&schema.range[..before.len() + 1], arena)?, None)),
            Some(test) => {
                let range_equal = self.equal_values(before, arena)?;
                test.values().try_for_each(|value| check_kind(last, &value))?;
                Ok((range_equal, Some(test)))
            }
        }
    }

    /// The values of attributes that all have equality conditions.
    fn equal_values(&self, attributes: &[KeyAttribute], arena: &'a Bump) -> Result<&'a [Value<'a>], ExpressionError> {
        let mut values = ArenaVec::with_capacity_in(attributes.len(), arena);
        for attribute in attributes {
            let value = self.equal(attribute).ok_or_else(|| missed_element(attribute))?;
            check_kind(attribute, &value)?;
            values.push(value);
        }
        Ok(values.into_bump_slice())
    }
}

impl<'a> Operand<'a> {
    fn value(&self) -> Option<Value<'a>> {
        match *self {
            Operand::Value(value) => Some(value),
            Operand::Path(_) | Operand::SizeOfPath(_) | Operand::SizeOfValue(_) => None,
        }
    }
}

fn names<'k>(attributes: impl Iterator<Item = &'k KeyAttribute>) -> String {
    attributes.map(|attribute| attribute.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn missed_element(attribute: &KeyAttribute) -> ExpressionError {
    ExpressionError::new(format!("Query condition missed key schema element: {}", attribute.name))
}

fn not_supported() -> ExpressionError {
    ExpressionError::new("Query key condition not supported")
}

fn check_kind(attribute: &KeyAttribute, value: &Value<'_>) -> Result<(), ExpressionError> {
    if attribute.kind.matches(value) {
        return Ok(());
    }
    Err(ExpressionError::parameter("Condition parameter type does not match schema type"))
}
