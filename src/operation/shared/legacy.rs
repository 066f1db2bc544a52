//! The parameters that expressions replaced, as they come on the wire.

use bumpalo::{Bump, collections::Vec as BumpVec};

use super::constraint::{CONDITIONAL_OPERATOR, Constraints};
use super::expressions::check_fault;
use crate::error::{ApiError, Wording};
use crate::expression::legacy::{
    AttributeCondition, AttributeUpdate, ComparisonOperator, ConditionalOperator, ExpectedAttribute, UpdateAction,
};
use crate::json::reader::structure;
use crate::json::{AttributeValue, Entries};
use crate::model::Value;

structure!(
    /// A member of KeyConditions, QueryFilter or ScanFilter.
    ConditionParameter<'a>, "Condition", {
    "ComparisonOperator" => operator: Option<&'a str>,
    "AttributeValueList" => values: Option<&'a [Option<AttributeValue<'a>>]>,
});

structure!(
    /// A member of Expected.
    ExpectedParameter<'a>, "ExpectedAttributeValue", {
    "Value" => value: Option<AttributeValue<'a>>,
    "Exists" => exists: Option<bool>,
    "ComparisonOperator" => operator: Option<&'a str>,
    "AttributeValueList" => values: Option<&'a [Option<AttributeValue<'a>>]>,
});

structure!(
    /// A member of AttributeUpdates.
    UpdateParameter<'a>, "AttributeValueUpdate", {
    "Value" => value: Option<AttributeValue<'a>>,
    "Action" => action: Option<&'a str>,
});

pub type Conditions<'a> = Entries<'a, Option<ConditionParameter<'a>>>;
pub type Expected<'a> = Entries<'a, Option<ExpectedParameter<'a>>>;
pub type Updates<'a> = Entries<'a, Option<UpdateParameter<'a>>>;

const OPERATORS: &str = "IN, NULL, BETWEEN, LT, NOT_CONTAINS, EQ, GT, NOT_NULL, NE, LE, BEGINS_WITH, GE, CONTAINS";

/// ConditionalOperator.
pub fn conditional_operator(value: Option<&str>, constraints: &mut Constraints) -> Option<ConditionalOperator> {
    let known = [("AND", ConditionalOperator::And), ("OR", ConditionalOperator::Or)];
    constraints.enumeration(value, "conditionalOperator", &CONDITIONAL_OPERATOR, &known)
}

/// Member constraints of KeyConditions, QueryFilter or ScanFilter.
pub fn check_conditions(conditions: Option<Conditions<'_>>, parameter: &str, constraints: &mut Constraints) {
    for (attribute, condition) in conditions.map_or(&[][..], |Entries(conditions)| conditions) {
        let path = format!("{parameter}.{attribute}.member.comparisonOperator");
        let operator = condition.as_ref().and_then(|condition| condition.operator);
        constraints.required(operator.is_some(), &path);
        check_operator(operator, &path, constraints);
    }
}

/// Member constraints of Expected.
pub fn check_expected(expected: Option<Expected<'_>>, constraints: &mut Constraints) {
    for (attribute, condition) in expected.map_or(&[][..], |Entries(expected)| expected) {
        let operator = condition.as_ref().and_then(|condition| condition.operator);
        check_operator(operator, &format!("expected.{attribute}.member.comparisonOperator"), constraints);
    }
}

fn check_operator(operator: Option<&str>, path: &str, constraints: &mut Constraints) {
    if let Some(operator) = operator.filter(|operator| ComparisonOperator::find(operator).is_none()) {
        constraints.violated_echoed(operator, path, format_args!("Member must satisfy enum value set: [{OPERATORS}]"));
    }
}

const ACTIONS: [(&str, UpdateAction); 3] =
    [("ADD", UpdateAction::Add), ("PUT", UpdateAction::Put), ("DELETE", UpdateAction::Delete)];

/// Member constraints of AttributeUpdates.
pub fn check_updates(updates: Option<Updates<'_>>, constraints: &mut Constraints) {
    for (attribute, update) in updates.map_or(&[][..], |Entries(updates)| updates) {
        let action = update.as_ref().and_then(|update| update.action);
        let path = format!("attributeUpdates.{attribute}.member.action");
        constraints.report(action, &path, "ADD, PUT, DELETE", &ACTIONS);
    }
}

/// Faults in the values of conditions.
pub fn check_condition_values(conditions: Option<Conditions<'_>>, wording: Wording) -> Result<(), ApiError> {
    let mut conditions = conditions.map_or(&[][..], |Entries(conditions)| conditions).iter();
    conditions.try_for_each(|(_, condition)| check_list(condition.as_ref().and_then(|given| given.values), wording))
}

pub fn check_expected_values(expected: Option<Expected<'_>>, wording: Wording) -> Result<(), ApiError> {
    for (_, condition) in expected.map_or(&[][..], |Entries(expected)| expected) {
        let Some(condition) = condition else { continue };
        check_fault(condition.value.and_then(|value| value.fault), wording)?;
        check_list(condition.values, wording)?;
    }
    Ok(())
}

pub fn check_update_values(updates: Option<Updates<'_>>, wording: Wording) -> Result<(), ApiError> {
    let mut updates = updates.map_or(&[][..], |Entries(updates)| updates).iter().filter_map(|(_, update)| *update);
    updates.try_for_each(|update| check_fault(update.value.and_then(|value| value.fault), wording))
}

fn check_list(values: Option<&[Option<AttributeValue<'_>>]>, wording: Wording) -> Result<(), ApiError> {
    let mut values = values.unwrap_or_default().iter().flatten();
    values.try_for_each(|value| check_fault(value.fault, wording))
}

/// The conditions as the expression layer takes them; their operators were checked.
pub fn conditions<'a>(conditions: Conditions<'a>, arena: &'a Bump) -> &'a [AttributeCondition<'a>] {
    let mut bound = BumpVec::with_capacity_in(conditions.0.len(), arena);
    for (attribute, condition) in conditions.0 {
        let Some(operator) = condition.and_then(|given| given.operator).and_then(ComparisonOperator::find) else {
            continue;
        };
        let values = values(condition.and_then(|given| given.values).unwrap_or_default(), arena);
        bound.push(AttributeCondition { attribute, operator, values });
    }
    bound.into_bump_slice()
}

pub fn expected<'a>(expected: Expected<'a>, arena: &'a Bump) -> &'a [ExpectedAttribute<'a>] {
    let attributes = expected.0.iter().map(|(attribute, condition)| {
        let condition = condition.unwrap_or_default();
        ExpectedAttribute {
            attribute,
            value: condition.value.map(|value| value.value),
            exists: condition.exists,
            operator: condition.operator.and_then(ComparisonOperator::find),
            values: condition.values.map(|list| values(list, arena)),
        }
    });
    BumpVec::from_iter_in(attributes, arena).into_bump_slice()
}

pub fn updates<'a>(updates: Updates<'a>, arena: &'a Bump) -> &'a [AttributeUpdate<'a>] {
    let attributes = updates.0.iter().map(|(attribute, update)| {
        let update = update.unwrap_or_default();
        let action = ACTIONS.iter().find(|(name, _)| Some(*name) == update.action);
        AttributeUpdate {
            attribute,
            value: update.value.map(|value| value.value),
            action: action.map_or(UpdateAction::Put, |(_, action)| *action),
        }
    });
    BumpVec::from_iter_in(attributes, arena).into_bump_slice()
}

fn values<'a>(list: &[Option<AttributeValue<'a>>], arena: &'a Bump) -> &'a [Value<'a>] {
    BumpVec::from_iter_in(list.iter().flatten().map(|value| value.value), arena).into_bump_slice()
}
