//! PutItem, UpdateItem, DeleteItem: what their parameters have in common.

use bumpalo::Bump;
use xxhash_rust::xxh3::Xxh3;

use super::constraint::{Constraints, RETURN_VALUES, RETURN_VALUES_ON_FAILURE};
use super::expressions::{SubstitutionParameters, check_fault, check_mixing, refused};
use super::legacy;
use super::report::{ReportParameters, Reports};
use super::table_name;
use crate::error::{ApiError, Wording};
use crate::expression::legacy as evaluator;
use crate::expression::{Condition, ExpressionKind, Substitutions, Update};
use crate::json::AttributeMap;
use crate::json::reader::take_members;
use crate::model::Map;
use crate::operation::call::Call;
use crate::operation::plan::ReturnValues;

#[derive(Clone, Copy, Debug, Default)]
pub struct WriteParameters<'a> {
    table_name: Option<&'a str>,
    condition_expression: Option<&'a str>,
    update_expression: Option<&'a str>,
    substitutions: SubstitutionParameters<'a>,
    expected: Option<legacy::Expected<'a>>,
    attribute_updates: Option<legacy::Updates<'a>>,
    conditional_operator: Option<&'a str>,
    return_values: Option<&'a str>,
    on_failure: Option<&'a str>,
    reports: ReportParameters<'a>,
}

/// The parameters whose member constraints hold.
pub struct Checked<'a> {
    pub table_name: &'a str,
    pub returns: ReturnValues,
    pub item_on_failure: bool,
    pub reports: Reports,
}

impl<'a> WriteParameters<'a> {
    take_members!(
        member, {
            "TableName" => table_name,
            "ConditionExpression" => condition_expression,
            "Expected" => expected,
            "ConditionalOperator" => conditional_operator,
            "ReturnValues" => return_values,
            "ReturnValuesOnConditionCheckFailure" => on_failure,
        }, [substitutions.member, reports.member]
    );

    take_members!(
        /// The members that only UpdateItem has.
        update_member, {
            "UpdateExpression" => update_expression,
            "AttributeUpdates" => attribute_updates,
        }
    );

    pub fn table_name(&self) -> Option<&'a str> {
        self.table_name
    }

    pub fn has_condition_expression(&self) -> bool {
        self.condition_expression.is_some()
    }

    pub fn has_update_expression(&self) -> bool {
        self.update_expression.is_some()
    }

    /// Feeds everything that decides what the action does to the fingerprint of a transaction.
    pub fn hash_into(&self, hasher: &mut Xxh3, scratch: &Bump) {
        for text in [self.table_name, self.condition_expression, self.update_expression] {
            hasher.update(text.unwrap_or_default().as_bytes());
            // Text cannot hold this byte, so neighbours do not run together.
            hasher.update(&[0xff]);
        }
        self.substitutions.hash_into(hasher, scratch);
    }

    pub fn check_constraints(&self, constraints: &mut Constraints) -> Result<Checked<'a>, ApiError> {
        let capacity = self.reports.capacity(constraints);
        let table_name = table_name::check(self.table_name, constraints)?;
        let collection_metrics = self.reports.collection_metrics(constraints);
        let known = [
            ("NONE", ReturnValues::None),
            ("ALL_OLD", ReturnValues::AllOld),
            ("UPDATED_OLD", ReturnValues::UpdatedOld),
            ("ALL_NEW", ReturnValues::AllNew),
            ("UPDATED_NEW", ReturnValues::UpdatedNew),
        ];
        let returns = constraints.enumeration(self.return_values, "returnValues", &RETURN_VALUES, &known);
        let known = [("NONE", false), ("ALL_OLD", true)];
        let path = "returnValuesOnConditionCheckFailure";
        let on_failure = constraints.enumeration(self.on_failure, path, &RETURN_VALUES_ON_FAILURE, &known);
        legacy::conditional_operator(self.conditional_operator, constraints);
        legacy::check_expected(self.expected, constraints);
        legacy::check_updates(self.attribute_updates, constraints);
        Ok(Checked {
            table_name,
            returns: returns.unwrap_or_default(),
            item_on_failure: on_failure.unwrap_or_default(),
            reports: Reports { capacity, collection_metrics },
        })
    }

    /// Everything up to the values, in AWS's order: `attributes` is the parameter `member`, the item or its key.
    pub fn check(
        &self,
        attributes: Option<AttributeMap<'a>>,
        member: &str,
        wording: Wording,
    ) -> Result<(Checked<'a>, Map<'a>), ApiError> {
        let mut constraints = Constraints::new(wording);
        let checked = self.check_constraints(&mut constraints)?;
        constraints.required(attributes.is_some(), member);
        constraints.check()?;
        self.check_mixing(wording)?;
        let attributes = attributes.expect("required");
        check_fault(attributes.fault, wording)?;
        self.check_values(wording)?;
        Ok((checked, attributes.map))
    }

    pub fn check_mixing(&self, wording: Wording) -> Result<(), ApiError> {
        check_mixing(
            &[
                ("AttributeUpdates", self.attribute_updates.is_some()),
                ("Expected", self.expected.is_some()),
                ("ConditionalOperator", self.conditional_operator.is_some()),
            ],
            &[
                ("UpdateExpression", self.update_expression.is_some()),
                ("ConditionExpression", self.condition_expression.is_some()),
            ],
            wording,
        )?;
        let any = self.update_expression.is_some() || self.condition_expression.is_some();
        self.substitutions.check_needed(any, any, "ConditionExpression is null", wording)
    }

    /// Faults in the values of legacy parameters.
    pub fn check_values(&self, wording: Wording) -> Result<(), ApiError> {
        legacy::check_update_values(self.attribute_updates, wording)?;
        legacy::check_expected_values(self.expected, wording)
    }

    /// Binds the condition of PutItem and DeleteItem.
    pub fn bind_condition(&self, call: &mut Call<'_>, arena: &'a Bump) -> Result<Option<Condition<'a>>, ApiError> {
        let substitutions = self.substitutions.bind(arena, call.wording)?;
        let condition = self.condition(&substitutions, call, arena)?;
        substitutions.check_used().map_err(|error| refused(error, call.wording))?;
        Ok(condition)
    }

    /// Binds the update and the condition of UpdateItem, in AWS's order.
    pub fn bind_update(
        &self,
        call: &mut Call<'_>,
        arena: &'a Bump,
    ) -> Result<(Update<'a>, Option<Condition<'a>>), ApiError> {
        let substitutions = self.substitutions.bind(arena, call.wording)?;
        let wording = call.wording;
        let update = match (self.update_expression, self.attribute_updates) {
            (Some(text), _) => call.expressions.update(text).and_then(|parsed| parsed.bind(&substitutions, arena)),
            (None, Some(updates)) => evaluator::bind_attribute_updates(legacy::updates(updates, arena), arena),
            (None, None) => Ok(Update::NOTHING),
        };
        let update = update.map_err(|error| refused(error, wording))?;
        let condition = self.condition(&substitutions, call, arena)?;
        substitutions.check_used().map_err(|error| refused(error, wording))?;
        Ok((update, condition))
    }

    fn condition(
        &self,
        substitutions: &Substitutions<'a>,
        call: &mut Call<'_>,
        arena: &'a Bump,
    ) -> Result<Option<Condition<'a>>, ApiError> {
        let operator = self.conditional_operator.map(|operator| match operator {
            "OR" => evaluator::ConditionalOperator::Or,
            _ => evaluator::ConditionalOperator::And,
        });
        let expected_count = self.expected.map(|expected| expected.0.len());
        let bound = match (self.condition_expression, self.expected) {
            (Some(text), _) => call
                .expressions
                .condition(ExpressionKind::Condition, text)
                .and_then(|parsed| parsed.bind(substitutions, arena))
                .map(Some),
            (None, Some(expected)) => {
                evaluator::bind_expected(legacy::expected(expected, arena), operator, arena).map(Some)
            }
            (None, None) => evaluator::check_conditional_operator(operator, expected_count).map(|()| None),
        };
        bound.map_err(|error| refused(error, call.wording))
    }
}

impl Checked<'_> {
    /// PutItem and DeleteItem can only return the old item.
    pub fn check_old_values_only(&self, wording: Wording) -> Result<(), ApiError> {
        match self.returns {
            ReturnValues::None | ReturnValues::AllOld => Ok(()),
            _ => Err(ApiError::validation(wording.envelope("ReturnValues can only be ALL_OLD or NONE"))),
        }
    }
}
