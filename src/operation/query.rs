//! Query: the items of one partition, in the order of their sort keys.

use bumpalo::Bump;
use serde::de::MapAccess;

use super::call::Call;
use super::shared::constraint::Constraints;
use super::shared::expressions::refused;
use super::shared::page::{Page, Source};
use super::shared::read::ReadParameters;
use super::worker::{Failure, RequestMemory};
use crate::error::ApiError;
use crate::expression::{Condition, KeyCondition, KeyTest};
use crate::json::reader::Member;
use crate::json::{Structure, decode};
use crate::model::{Map, Value};
use crate::storage::{Bounds, Direction, KeyValue, SortCondition};

#[derive(Default)]
struct Parameters<'a> {
    read: ReadParameters<'a>,
    scan_index_forward: Option<bool>,
}

impl<'a> Structure<'a> for Parameters<'a> {
    const NAME: &'static str = "com.amazonaws.dynamodb.v20120810.QueryInput";

    fn member<A: MapAccess<'a>>(&mut self, name: &str, member: Member<'_, 'a, A>) -> Result<(), A::Error> {
        match name {
            "ScanIndexForward" => self.scan_index_forward = member.read()?,
            "KeyConditionExpression" => self.read.key_condition_expression = member.read()?,
            "KeyConditions" => self.read.key_conditions = member.read()?,
            "QueryFilter" => self.read.legacy_filter = member.read()?,
            _ => {
                let Some(member) = self.read.member(name, member)? else { return Ok(()) };
                member.skip()?;
            }
        }
        Ok(())
    }
}

pub(super) fn run(call: &mut Call<'_>, memory: &RequestMemory) -> Result<(), Failure> {
    let arena = &memory.arena;
    let parameters: Parameters<'_> = decode(&memory.body, arena)?;
    let read = &parameters.read;
    let mut constraints = Constraints::new(call.wording);
    let checked = read.check_constraints(&mut constraints)?;
    constraints.check()?;
    read.check_mixing("QueryFilter", true, call.wording)?;
    read.check_values(call.wording)?;
    read.check_select(&checked, call.wording)?;
    let (clauses, filter, projection) = read.bind_query(call, arena)?;
    let source = read.source(&checked, call)?;
    let condition = clauses.resolve(source.key(), arena).map_err(|error| refused(error, call.wording))?;
    check_filter(filter.as_ref(), &source, read.legacy_filter.is_some())?;
    let show = read.show(&checked, &source, filter.as_ref(), projection)?;
    let direction =
        if parameters.scan_index_forward.unwrap_or(true) { Direction::Forward } else { Direction::Backward };
    let bounds = bounds(&source, &condition, arena)?;
    let bounds = match read.exclusive_start_key {
        Some(start) => after_start_key(&source, start.map, &condition, bounds, direction, arena)?,
        None => bounds,
    };
    let page = Page {
        source: &source,
        bounds,
        direction,
        limit: checked.limit,
        filter,
        show,
        consistent: checked.consistent,
        capacity: checked.capacity,
        fill_cache: true,
    };
    page.run(call, arena)
}

/// A filter may not look at what the key condition is for.
fn check_filter(filter: Option<&Condition<'_>>, source: &Source, legacy: bool) -> Result<(), ApiError> {
    let Some(filter) = filter else { return Ok(()) };
    let parameter = if legacy { "QueryFilter" } else { "Filter Expression" };
    match filter.paths().map(|path| path.name()).find(|name| source.key().contains(name)) {
        None => Ok(()),
        Some(name) => Err(ApiError::validation(format!(
            "{parameter} can only contain non-primary key attributes: Primary key attribute: {name}"
        ))),
    }
}

/// The rows that meet the condition.
fn bounds<'a>(source: &Source, condition: &KeyCondition<'a>, arena: &'a Bump) -> Result<Bounds<'a>, ApiError> {
    let values = |values: &[Value<'a>]| values.iter().copied().map(key_value).collect::<Result<Vec<_>, _>>();
    let (hash, equal) = (values(condition.hash)?, values(condition.range_equal)?);
    let test = condition.range_test.map(sort_condition).transpose()?;
    Ok(source.space().query(&hash, &equal, test, arena))
}

/// A value of a key condition. An empty one is no key.
fn key_value(value: Value<'_>) -> Result<KeyValue<'_>, ApiError> {
    KeyValue::from_value(value)
        .ok_or_else(|| ApiError::invalid_parameters("Condition parameter type does not match schema type"))
}

fn sort_condition(test: KeyTest<'_>) -> Result<SortCondition<'_>, ApiError> {
    Ok(match test {
        KeyTest::Equal(value) => SortCondition::Equal(key_value(value)?),
        KeyTest::Less(value) => SortCondition::Less(key_value(value)?),
        KeyTest::LessEqual(value) => SortCondition::LessOrEqual(key_value(value)?),
        KeyTest::Greater(value) => SortCondition::Greater(key_value(value)?),
        KeyTest::GreaterEqual(value) => SortCondition::GreaterOrEqual(key_value(value)?),
        KeyTest::Between(lower, upper) => SortCondition::Between(key_value(lower)?, key_value(upper)?),
        KeyTest::BeginsWith(prefix) => SortCondition::BeginsWith(key_value(prefix)?),
    })
}

fn after_start_key<'a>(
    source: &Source,
    start: Map<'_>,
    condition: &KeyCondition<'a>,
    bounds: Bounds<'a>,
    direction: Direction,
    arena: &'a Bump,
) -> Result<Bounds<'a>, ApiError> {
    let row_key = source.start_row(start, arena).map_err(|fault| fault.error(source.index.is_some()))?;
    if !bounds.contains(row_key) {
        let partition = KeyCondition { range_equal: &[], range_test: None, ..*condition };
        let text = if self::bounds(source, &partition, arena)?.contains(row_key) {
            "The provided starting key does not match the range key predicate"
        } else {
            "The provided starting key is outside query boundaries based on provided conditions"
        };
        return Err(ApiError::validation(text));
    }
    let one_row_at_most = source.index.is_none() && condition.range_equal.len() == source.key().range.len();
    if one_row_at_most {
        return Err(ApiError::validation("The query can return at most one row and cannot be restarted"));
    }
    Ok(bounds.after(row_key, direction, arena))
}
