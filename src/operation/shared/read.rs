//! What the parameters of Query and Scan have in common.

use bumpalo::Bump;

use super::constraint::{Constraints, SELECT};
use super::expressions::{SubstitutionParameters, bind_projection, check_fault, check_mixing, refused};
use super::legacy;
use super::page::{Show, Source};
use super::report::{CapacityReport, ReportParameters};
use super::table_name;
use crate::error::{ApiError, Wording};
use crate::expression::{Condition, ExpressionKind, KeyClauses, Projection, Substitutions, legacy as evaluator};
use crate::json::AttributeMap;
use crate::json::reader::take_members;
use crate::model::IndexDefinition;
use crate::model::limits::{TABLE_NAME_LENGTH_MAX, TABLE_NAME_LENGTH_MIN};
use crate::model::table::Projection as IndexProjection;
use crate::operation::call::Call;
use crate::storage::TableIndex;

#[derive(Clone, Copy, Debug, Default)]
pub struct ReadParameters<'a> {
    table_name: Option<&'a str>,
    index_name: Option<&'a str>,
    select: Option<&'a str>,
    limit: Option<i64>,
    consistent_read: Option<bool>,
    pub exclusive_start_key: Option<AttributeMap<'a>>,
    projection_expression: Option<&'a str>,
    filter_expression: Option<&'a str>,
    substitutions: SubstitutionParameters<'a>,
    attributes_to_get: Option<&'a [Option<&'a str>]>,
    /// QueryFilter or ScanFilter.
    pub legacy_filter: Option<legacy::Conditions<'a>>,
    conditional_operator: Option<&'a str>,
    /// Query only.
    key_condition_expression: Option<&'a str>,
    key_conditions: Option<legacy::Conditions<'a>>,
    reports: ReportParameters<'a>,
}

/// Select.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Select {
    AllAttributes,
    AllProjectedAttributes,
    SpecificAttributes,
    Count,
}

/// The parameters whose member constraints hold.
pub struct Checked<'a> {
    pub table_name: &'a str,
    pub select: Option<Select>,
    pub limit: Option<usize>,
    pub consistent: bool,
    pub capacity: CapacityReport,
}

impl<'a> ReadParameters<'a> {
    take_members!(
        member, {
            "TableName" => table_name,
            "IndexName" => index_name,
            "Select" => select,
            "Limit" => limit,
            "ConsistentRead" => consistent_read,
            "ExclusiveStartKey" => exclusive_start_key,
            "ProjectionExpression" => projection_expression,
            "FilterExpression" => filter_expression,
            "AttributesToGet" => attributes_to_get,
            "ConditionalOperator" => conditional_operator,
        }, [substitutions.member, reports.member]
    );

    take_members!(
        /// The members that only Query has.
        query_member, {
            "KeyConditionExpression" => key_condition_expression,
            "KeyConditions" => key_conditions,
            "QueryFilter" => legacy_filter,
        }
    );

    take_members!(
        /// The member that only Scan has.
        scan_member, {
            "ScanFilter" => legacy_filter,
        }
    );

    pub fn check_constraints(&self, constraints: &mut Constraints) -> Result<Checked<'a>, ApiError> {
        let capacity = self.reports.capacity(constraints);
        let table_name = table_name::check(self.table_name, constraints)?;
        if let Some(index) = self.index_name {
            constraints.length(index.len(), (TABLE_NAME_LENGTH_MIN, TABLE_NAME_LENGTH_MAX), index, "indexName");
            if !table_name::is_name(index) {
                let pattern = table_name::PATTERN;
                let rule = format_args!("Member must satisfy regular expression pattern: {pattern}");
                constraints.violated(index, "indexName", rule);
            }
        }
        let known = [
            ("ALL_ATTRIBUTES", Select::AllAttributes),
            ("ALL_PROJECTED_ATTRIBUTES", Select::AllProjectedAttributes),
            ("SPECIFIC_ATTRIBUTES", Select::SpecificAttributes),
            ("COUNT", Select::Count),
        ];
        let select = constraints.enumeration(self.select, "select", &SELECT, &known);
        constraints.at_least(self.limit, 1, "limit");
        legacy::conditional_operator(self.conditional_operator, constraints);
        legacy::check_conditions(self.key_conditions, "keyConditions", constraints);
        legacy::check_conditions(self.legacy_filter, "filter", constraints);
        if let Some(names) = self.attributes_to_get {
            constraints.length(names.len(), (1, usize::MAX), "[]", "attributesToGet");
        }
        Ok(Checked {
            table_name,
            select,
            limit: self.limit.and_then(|limit| usize::try_from(limit).ok()),
            consistent: self.consistent_read.unwrap_or(false),
            capacity,
        })
    }

    /// `filter`: what the legacy filter is called. KeyConditions may stand beside the expressions that they do not
    /// replace.
    pub fn check_mixing(&self, filter: &'static str, query: bool, wording: Wording) -> Result<(), ApiError> {
        let key_conditions = self.key_conditions.is_some();
        let others = [
            ("AttributesToGet", self.attributes_to_get.is_some()),
            (filter, self.legacy_filter.is_some()),
            ("ConditionalOperator", self.conditional_operator.is_some()),
        ];
        let clashes = self.key_condition_expression.is_some() || others.iter().any(|(_, given)| *given);
        let [attributes, legacy_filter, operator] = others;
        check_mixing(
            &[attributes, legacy_filter, operator, ("KeyConditions", key_conditions && clashes)],
            &[
                ("ProjectionExpression", self.projection_expression.is_some()),
                ("FilterExpression", self.filter_expression.is_some()),
                ("KeyConditionExpression", self.key_condition_expression.is_some()),
            ],
            wording,
        )?;
        let values_usable = self.filter_expression.is_some() || self.key_condition_expression.is_some();
        let any = values_usable || self.projection_expression.is_some();
        let need =
            if query { "FilterExpression and KeyConditionExpression are null" } else { "FilterExpression is null" };
        self.substitutions.check_needed(any, values_usable, need, wording)
    }

    /// Faults in the values of legacy parameters.
    pub fn check_values(&self, wording: Wording) -> Result<(), ApiError> {
        legacy::check_condition_values(self.key_conditions, wording)?;
        legacy::check_condition_values(self.legacy_filter, wording)?;
        check_fault(self.exclusive_start_key.and_then(|start| start.fault), wording)
    }

    /// Select against the projection parameters.
    pub fn check_select(&self, checked: &Checked<'_>, wording: Wording) -> Result<(), ApiError> {
        let (given, parameter) = match (self.projection_expression, self.attributes_to_get) {
            (Some(_), _) => (true, "ProjectionExpression"),
            (None, Some(_)) => (true, "AttributesToGet"),
            (None, None) => (false, ""),
        };
        match checked.select {
            Some(Select::SpecificAttributes) if !given => {
                let text = "Must specify the AttributesToGet or ProjectionExpression when choosing to get \
                            SPECIFIC_ATTRIBUTES";
                // Query says it as if it were a member constraint.
                let bare = wording == Wording::Older;
                let prefix = if bare { "" } else { "1 validation error detected: " };
                Err(ApiError::validation(format!("{prefix}{text}")))
            }
            Some(select) if given && select != Select::SpecificAttributes => Err(ApiError::validation(format!(
                "Cannot specify the {parameter} when choosing to get {}",
                self.select.unwrap_or_default()
            ))),
            Some(Select::AllProjectedAttributes) if self.index_name.is_none() => {
                Err(ApiError::validation("ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName"))
            }
            _ => Ok(()),
        }
    }

    /// The key condition of a Query, then filter and projection, in AWS's order.
    pub fn bind_query(
        &self,
        call: &mut Call<'_>,
        arena: &'a Bump,
    ) -> Result<(KeyClauses<'a>, Option<Condition<'a>>, Option<Projection<'a>>), ApiError> {
        let substitutions = self.substitutions.bind(arena, call.wording)?;
        let clauses = match (self.key_condition_expression, self.key_conditions) {
            (Some(text), _) => call
                .expressions
                .condition(ExpressionKind::KeyCondition, text)
                .and_then(|parsed| parsed.bind_key(&substitutions, arena)),
            (None, Some(conditions)) if conditions.0.is_empty() => {
                return Err(ApiError::validation("Conditions can be of length 1 or 2 only"));
            }
            (None, Some(conditions)) => evaluator::bind_key_conditions(legacy::conditions(conditions, arena), arena),
            (None, None) => {
                return Err(ApiError::validation(
                    "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.",
                ));
            }
        };
        let clauses = clauses.map_err(|error| refused(error, call.wording))?;
        let (filter, projection) = self.bind_with(&substitutions, call, arena)?;
        Ok((clauses, filter, projection))
    }

    /// Filter and projection of a Scan.
    pub fn bind(
        &self,
        call: &mut Call<'_>,
        arena: &'a Bump,
    ) -> Result<(Option<Condition<'a>>, Option<Projection<'a>>), ApiError> {
        let substitutions = self.substitutions.bind(arena, call.wording)?;
        self.bind_with(&substitutions, call, arena)
    }

    fn bind_with(
        &self,
        substitutions: &Substitutions<'a>,
        call: &mut Call<'_>,
        arena: &'a Bump,
    ) -> Result<(Option<Condition<'a>>, Option<Projection<'a>>), ApiError> {
        let operator = self.conditional_operator.map(|operator| match operator {
            "OR" => evaluator::ConditionalOperator::Or,
            _ => evaluator::ConditionalOperator::And,
        });
        let filter = match (self.filter_expression, self.legacy_filter) {
            (Some(text), _) => call
                .expressions
                .condition(ExpressionKind::Filter, text)
                .and_then(|parsed| parsed.bind(substitutions, arena))
                .map(Some),
            (None, Some(filter)) => {
                evaluator::bind_filter(legacy::conditions(filter, arena), operator, arena).map(Some)
            }
            (None, None) => evaluator::check_conditional_operator(operator, None).map(|()| None),
        };
        let filter = filter.map_err(|error| refused(error, call.wording))?;
        let projection =
            bind_projection(self.projection_expression, self.attributes_to_get, substitutions, call, arena)?;
        substitutions.check_used().map_err(|error| refused(error, call.wording))?;
        Ok((filter, projection))
    }

    /// The table or index to be read.
    pub fn source(&self, checked: &Checked<'_>, call: &Call<'_>) -> Result<Source, ApiError> {
        let table = call.table(checked.table_name)?;
        let Some(name) = self.index_name else { return Ok(Source { table, index: None }) };
        // An index being created does not have all entries yet: AWS denies it.
        let readable = |index: &TableIndex| index.name() == name && !index.is_being_created();
        let position = table.indexes().iter().position(readable);
        let position = position
            .ok_or_else(|| ApiError::validation(format!("The table does not have the specified index: {name}")))?;
        if checked.consistent && table.indexes()[position].definition().is_global() {
            return Err(ApiError::validation("Consistent reads are not supported on global secondary indexes"));
        }
        Ok(Source { table, index: Some(position) })
    }

    /// What is shown of each item, given Select, the projection and what an index row holds.
    pub fn show(
        &self,
        checked: &Checked<'_>,
        source: &Source,
        filter: Option<&Condition<'a>>,
        projection: Option<Projection<'a>>,
    ) -> Result<Show<'a>, ApiError> {
        if checked.select == Some(Select::Count) {
            let index = source.index().map(TableIndex::definition).filter(|index| !index.is_global());
            let fetched = index.is_some_and(|index| missing_attribute(index, source, filter, None).is_some());
            return Ok(Show::Count { fetched });
        }
        let Some(index) = source.index() else { return Ok(Show::Row(projection)) };
        let index = index.definition();
        if index.projection == IndexProjection::All {
            return Ok(Show::Row(projection));
        }
        if checked.select == Some(Select::AllAttributes) {
            if index.is_global() {
                return Err(ApiError::invalid_parameters(format_args!(
                    "Select type ALL_ATTRIBUTES is not supported for global secondary index {} because its projection \
                     type is not ALL",
                    index.name
                )));
            }
            return Ok(Show::Fetched(projection));
        }
        match missing_attribute(index, source, filter, projection.as_ref()) {
            None => Ok(Show::Row(projection)),
            Some(_) if !index.is_global() => Ok(Show::Fetched(projection)),
            Some(name) => Err(ApiError::invalid_parameters(format_args!(
                "Global secondary index {} does not project [{name}]",
                index.name
            ))),
        }
    }
}

/// An attribute that is asked for but not in the index.
fn missing_attribute<'a>(
    index: &IndexDefinition,
    source: &Source,
    filter: Option<&Condition<'a>>,
    projection: Option<&Projection<'a>>,
) -> Option<&'a str> {
    let shown = projection.into_iter().flat_map(|projection| projection.paths().iter().map(|path| path.name()));
    // A filter on what an index does not hold sees no value; only a local index is asked to fetch it.
    let filtered = filter.into_iter().flat_map(|filter| filter.paths().map(|path| path.name()));
    let filtered = filtered.filter(|_| !index.is_global());
    shown.chain(filtered).find(|name| !index.projects(name, &source.table.definition().key))
}
