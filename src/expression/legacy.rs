//! The parameters that expressions replaced: Expected, QueryFilter, ScanFilter, KeyConditions, AttributeUpdates,
//! AttributesToGet and ConditionalOperator, turned into the same bound forms.
//!
//! Two things differ from expressions: NOT_CONTAINS is false for a missing attribute, and ADD appends to a list.
//!
//! Conditions are as bounded in number as the operators of an expression are: a filter is evaluated for each item read.

use bumpalo::Bump;
use bumpalo::collections::Vec as ArenaVec;

use crate::model::Value;

use super::ast::{Comparator, Step};
use super::condition::{Condition, IN_LIST_COUNT_MAX, Operand, Predicate};
use super::error::ExpressionError;
use super::key_condition::{KeyClause, KeyClauses, KeyTest};
use super::path::Path;
use super::projection::Projection;
use super::update::{Action, Change, Expression, Source, Update};

/// Most members of Expected or a filter: the operators that an expression may have.
const CONDITION_COUNT_MAX: usize = 300;

/// Steps of the longest condition, NOT_CONTAINS, and the operator that joins it to the ones before.
const CONDITION_STEPS_MAX: usize = 5;

const _: () = assert!(CONDITION_COUNT_MAX * CONDITION_STEPS_MAX < u16::MAX as usize, "steps are counted in 16 bits");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ComparisonOperator {
    Eq,
    Ne,
    In,
    Le,
    Lt,
    Ge,
    Gt,
    Between,
    NotNull,
    Null,
    Contains,
    NotContains,
    BeginsWith,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionalOperator {
    And,
    Or,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateAction {
    Add,
    Put,
    Delete,
}

/// A member of KeyConditions, QueryFilter or ScanFilter.
#[derive(Clone, Copy, Debug)]
pub struct AttributeCondition<'a> {
    pub attribute: &'a str,
    pub operator: ComparisonOperator,
    /// AttributeValueList, empty if absent.
    pub values: &'a [Value<'a>],
}

/// A member of Expected.
#[derive(Clone, Copy, Debug)]
pub struct ExpectedAttribute<'a> {
    pub attribute: &'a str,
    pub value: Option<Value<'a>>,
    pub exists: Option<bool>,
    pub operator: Option<ComparisonOperator>,
    pub values: Option<&'a [Value<'a>]>,
}

/// A member of AttributeUpdates.
#[derive(Clone, Copy, Debug)]
pub struct AttributeUpdate<'a> {
    pub attribute: &'a str,
    pub value: Option<Value<'a>>,
    /// PUT if absent.
    pub action: UpdateAction,
}

impl ComparisonOperator {
    const ALL: [ComparisonOperator; 13] = [
        ComparisonOperator::Eq,
        ComparisonOperator::Ne,
        ComparisonOperator::In,
        ComparisonOperator::Le,
        ComparisonOperator::Lt,
        ComparisonOperator::Ge,
        ComparisonOperator::Gt,
        ComparisonOperator::Between,
        ComparisonOperator::NotNull,
        ComparisonOperator::Null,
        ComparisonOperator::Contains,
        ComparisonOperator::NotContains,
        ComparisonOperator::BeginsWith,
    ];

    pub fn find(name: &str) -> Option<ComparisonOperator> {
        ComparisonOperator::ALL.into_iter().find(|operator| operator.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            ComparisonOperator::Eq => "EQ",
            ComparisonOperator::Ne => "NE",
            ComparisonOperator::In => "IN",
            ComparisonOperator::Le => "LE",
            ComparisonOperator::Lt => "LT",
            ComparisonOperator::Ge => "GE",
            ComparisonOperator::Gt => "GT",
            ComparisonOperator::Between => "BETWEEN",
            ComparisonOperator::NotNull => "NOT_NULL",
            ComparisonOperator::Null => "NULL",
            ComparisonOperator::Contains => "CONTAINS",
            ComparisonOperator::NotContains => "NOT_CONTAINS",
            ComparisonOperator::BeginsWith => "BEGINS_WITH",
        }
    }

    fn takes_count(self, count: usize) -> bool {
        match self {
            ComparisonOperator::Null | ComparisonOperator::NotNull => count == 0,
            ComparisonOperator::Between => count == 2,
            ComparisonOperator::In => (1..=IN_LIST_COUNT_MAX.into()).contains(&count),
            _ => count == 1,
        }
    }

    fn takes_type(self, value: &Value<'_>) -> bool {
        let is_string_or_binary = matches!(value, Value::S(_) | Value::B(_));
        match self {
            ComparisonOperator::Eq
            | ComparisonOperator::Ne
            | ComparisonOperator::Null
            | ComparisonOperator::NotNull => true,
            ComparisonOperator::BeginsWith => is_string_or_binary,
            ComparisonOperator::Contains | ComparisonOperator::NotContains => {
                is_string_or_binary || matches!(value, Value::N(_) | Value::Bool(_) | Value::Null)
            }
            ComparisonOperator::In
            | ComparisonOperator::Le
            | ComparisonOperator::Lt
            | ComparisonOperator::Ge
            | ComparisonOperator::Gt
            | ComparisonOperator::Between => is_string_or_binary || matches!(value, Value::N(_)),
        }
    }
}

/// Refuses a ConditionalOperator that joins nothing. `count` is the number of members of Expected or the filter, `None`
/// if the request has neither.
pub fn check_conditional_operator(
    operator: Option<ConditionalOperator>,
    count: Option<usize>,
) -> Result<(), ExpressionError> {
    match (operator, count) {
        (None, _) | (Some(_), Some(2..)) => Ok(()),
        (Some(_), None) => Err(ExpressionError::new("ConditionalOperator cannot be used without Filter or Expected")),
        (Some(_), Some(_)) => Err(ExpressionError::new(
            "ConditionalOperator can only be used when Filter or Expected has two or more elements",
        )),
    }
}

/// Binds QueryFilter or ScanFilter.
pub fn bind_filter<'a>(
    conditions: &[AttributeCondition<'a>],
    operator: Option<ConditionalOperator>,
    arena: &'a Bump,
) -> Result<Condition<'a>, ExpressionError> {
    check_conditional_operator(operator, Some(conditions.len()))?;
    check_condition_count(conditions.len())?;
    let mut program = Program::new(operator, arena);
    for condition in conditions {
        check_condition(condition)?;
        program.push(condition);
    }
    Ok(program.finish())
}

/// Binds Expected.
pub fn bind_expected<'a>(
    expected: &[ExpectedAttribute<'a>],
    operator: Option<ConditionalOperator>,
    arena: &'a Bump,
) -> Result<Condition<'a>, ExpressionError> {
    check_condition_count(expected.len())?;
    let mut program = Program::new(operator, arena);
    for attribute in expected {
        let condition = expected_condition(attribute, arena)?;
        check_condition(&condition)?;
        program.push(&condition);
    }
    check_conditional_operator(operator, Some(expected.len()))?;
    Ok(program.finish())
}

/// Binds KeyConditions.
pub fn bind_key_conditions<'a>(
    conditions: &[AttributeCondition<'a>],
    arena: &'a Bump,
) -> Result<KeyClauses<'a>, ExpressionError> {
    conditions.iter().try_for_each(check_condition)?;
    let mut clauses = ArenaVec::with_capacity_in(conditions.len(), arena);
    for AttributeCondition { attribute, operator, values } in conditions {
        let test = match (operator, *values) {
            (ComparisonOperator::Eq, &[value]) => KeyTest::Equal(value),
            (ComparisonOperator::Lt, &[value]) => KeyTest::Less(value),
            (ComparisonOperator::Le, &[value]) => KeyTest::LessEqual(value),
            (ComparisonOperator::Gt, &[value]) => KeyTest::Greater(value),
            (ComparisonOperator::Ge, &[value]) => KeyTest::GreaterEqual(value),
            (ComparisonOperator::Between, &[lower, upper]) => KeyTest::Between(lower, upper),
            (ComparisonOperator::BeginsWith, &[prefix]) => KeyTest::BeginsWith(prefix),
            _ => {
                return Err(ExpressionError::new("Attempted conditional constraint is not an indexable operation"));
            }
        };
        clauses.push(KeyClause { name: attribute, test });
    }
    Ok(KeyClauses::new(clauses.into_bump_slice()))
}

/// Binds AttributesToGet.
pub fn bind_attributes_to_get<'a>(names: &[&'a str], arena: &'a Bump) -> Result<Projection<'a>, ExpressionError> {
    let paths = arena.alloc_slice_fill_iter(names.iter().map(|name| Path::of_attribute(name, arena)));
    let projection = Projection::of_attributes(paths);
    match projection.paths().windows(2).find(|pair| pair[0] == pair[1]) {
        None => Ok(projection),
        Some(pair) => {
            Err(ExpressionError::parameter(format_args!("Duplicate value in attribute name: {}", pair[0].name())))
        }
    }
}

/// Binds AttributeUpdates. Attributes must be distinct.
pub fn bind_attribute_updates<'a>(
    updates: &[AttributeUpdate<'a>],
    arena: &'a Bump,
) -> Result<Update<'a>, ExpressionError> {
    let mut actions = ArenaVec::with_capacity_in(updates.len(), arena);
    for update in updates {
        let path = Path::of_attribute(update.attribute, arena);
        let change = match (update.action, update.value) {
            (UpdateAction::Delete, None) => Change::Remove,
            (UpdateAction::Add | UpdateAction::Put, None) => {
                return Err(ExpressionError::parameter(
                    "Only DELETE action is allowed when no attribute value is specified",
                ));
            }
            (UpdateAction::Put, Some(value)) => Change::Set(Expression::Source(Source::Value(value))),
            (UpdateAction::Add, Some(value)) => match value {
                Value::N(_) | Value::Ss(_) | Value::Ns(_) | Value::Bs(_) | Value::L(_) => Change::LegacyAdd(value),
                _ => {
                    return Err(ExpressionError::parameter(format_args!(
                        "ADD action is not supported for the type {}",
                        value.type_name()
                    )));
                }
            },
            (UpdateAction::Delete, Some(value)) => match value {
                Value::Ss(_) | Value::Ns(_) | Value::Bs(_) => Change::LegacyDelete(value),
                _ => {
                    return Err(ExpressionError::parameter(format_args!(
                        "DELETE action with value is not supported for the type {}",
                        value.type_name()
                    )));
                }
            },
        };
        actions.push(Action { path, change });
    }
    Ok(Update::new(actions, &[]))
}

fn check_condition_count(count: usize) -> Result<(), ExpressionError> {
    if count <= CONDITION_COUNT_MAX {
        return Ok(());
    }
    Err(ExpressionError::parameter(format_args!("The request contains too many conditions; condition count: {count}")))
}

/// Refuses operands that the operator does not take.
fn check_condition(condition: &AttributeCondition<'_>) -> Result<(), ExpressionError> {
    let (operator, values) = (condition.operator, condition.values);
    if !operator.takes_count(values.len()) {
        return Err(ExpressionError::parameter(format_args!(
            "Invalid number of argument(s) for the {} ComparisonOperator",
            operator.name()
        )));
    }
    if values.windows(2).any(|pair| pair[0].type_name() != pair[1].type_name()) {
        return Err(ExpressionError::parameter("AttributeValues inside AttributeValueList must be of same type"));
    }
    if let Some(value) = values.iter().find(|value| !operator.takes_type(value)) {
        return Err(ExpressionError::parameter(format_args!(
            "ComparisonOperator {} is not valid for {} AttributeValue type",
            operator.name(),
            value.type_name()
        )));
    }
    match (operator, values) {
        (ComparisonOperator::Between, [lower, upper]) if lower.compare(upper).is_some_and(|order| order.is_gt()) => {
            Err(ExpressionError::new(
                "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound",
            ))
        }
        _ => Ok(()),
    }
}

/// Resolves the three forms of an expectation: `Value` alone, `Exists`, and an operator with its operands.
fn expected_condition<'a>(
    expected: &ExpectedAttribute<'a>,
    arena: &'a Bump,
) -> Result<AttributeCondition<'a>, ExpressionError> {
    let attribute = expected.attribute;
    let refuse = |rule: &str| Err(ExpressionError::parameter(format_args!("{rule} for Attribute: {attribute}")));
    let value = |value: Value<'a>| &*arena.alloc([value]);
    if expected.value.is_some() && expected.values.is_some() {
        return refuse("Value and AttributeValueList cannot be used together");
    }
    if let Some(operator) = expected.operator {
        if expected.exists.is_some() {
            return refuse("Exists and ComparisonOperator cannot be used together");
        }
        let values = match (expected.value, expected.values) {
            (Some(single), _) => value(single),
            (None, Some(values)) => values,
            (None, None) if operator.takes_count(0) => &[],
            (None, None) => {
                let name = operator.name();
                return refuse(&format!("Value or AttributeValueList must be used with ComparisonOperator: {name}"));
            }
        };
        return Ok(AttributeCondition { attribute, operator, values });
    }
    if expected.values.is_some() {
        return refuse("AttributeValueList can only be used with a ComparisonOperator");
    }
    match (expected.exists, expected.value) {
        (Some(false), Some(_)) => refuse("Value cannot be used when Exists is false"),
        (Some(false), None) => Ok(AttributeCondition { attribute, operator: ComparisonOperator::Null, values: &[] }),
        (Some(true) | None, Some(single)) => {
            Ok(AttributeCondition { attribute, operator: ComparisonOperator::Eq, values: value(single) })
        }
        (Some(true), None) => refuse("Value must be provided when Exists is true"),
        (None, None) => refuse("Value must be provided when Exists is null"),
    }
}

/// Builds the program of conditions that one operator joins.
struct Program<'a> {
    joins_with_or: bool,
    predicates: ArenaVec<'a, Predicate<'a>>,
    steps: ArenaVec<'a, Step>,
    arena: &'a Bump,
}

impl<'a> Program<'a> {
    fn new(operator: Option<ConditionalOperator>, arena: &'a Bump) -> Program<'a> {
        let joins_with_or = operator == Some(ConditionalOperator::Or);
        Program { joins_with_or, predicates: ArenaVec::new_in(arena), steps: ArenaVec::new_in(arena), arena }
    }

    fn position(&self) -> u16 {
        self.steps.len() as u16
    }

    /// Adds a condition that has passed its checks.
    fn push(&mut self, condition: &AttributeCondition<'a>) {
        if self.steps.is_empty() {
            return self.push_tests(condition);
        }
        let position = self.steps.len();
        self.steps.push(self.join(0));
        self.push_tests(condition);
        self.steps[position] = self.join(self.position());
    }

    fn join(&self, end: u16) -> Step {
        if self.joins_with_or { Step::Or { start: 0, end } } else { Step::And { start: 0, end } }
    }

    fn push_tests(&mut self, condition: &AttributeCondition<'a>) {
        let path = Path::of_attribute(condition.attribute, self.arena);
        let attribute = Operand::Path(path);
        let exists = |expected| Predicate::Exists { path, expected };
        let operand = |index: usize| Operand::Value(condition.values[index]);
        let compare = |comparator| Predicate::Compare(comparator, attribute, operand(0));
        let predicate = match condition.operator {
            ComparisonOperator::Eq => compare(Comparator::Equal),
            ComparisonOperator::Ne => compare(Comparator::NotEqual),
            ComparisonOperator::Le => compare(Comparator::LessEqual),
            ComparisonOperator::Lt => compare(Comparator::Less),
            ComparisonOperator::Ge => compare(Comparator::GreaterEqual),
            ComparisonOperator::Gt => compare(Comparator::Greater),
            ComparisonOperator::Between => Predicate::Between([attribute, operand(0), operand(1)]),
            ComparisonOperator::In => {
                let list = condition.values.iter().map(|value| Operand::Value(*value));
                Predicate::In(attribute, self.arena.alloc_slice_fill_iter(list))
            }
            ComparisonOperator::NotNull => exists(true),
            ComparisonOperator::Null => exists(false),
            ComparisonOperator::BeginsWith => Predicate::BeginsWith(attribute, operand(0)),
            ComparisonOperator::Contains => Predicate::Contains(attribute, operand(0)),
            ComparisonOperator::NotContains => {
                // attribute_exists(a) AND NOT contains(a, :v)
                let start = self.position();
                self.push_test(exists(true));
                self.steps.push(Step::And { start, end: start + 4 });
                self.push_test(Predicate::Contains(attribute, operand(0)));
                self.steps.push(Step::Not { start: start + 2 });
                return;
            }
        };
        self.push_test(predicate);
    }

    fn push_test(&mut self, predicate: Predicate<'a>) {
        self.steps.push(Step::Test(self.predicates.len() as u16));
        self.predicates.push(predicate);
    }

    fn finish(self) -> Condition<'a> {
        Condition::new(self.predicates.into_bump_slice(), self.steps.into_bump_slice())
    }
}
