//! Query: the items of one partition, in the order of their sort keys.

use bumpalo::Bump;

use super::call::Call;
use super::shared::constraint::Constraints;
use super::shared::expressions::refused;
use super::shared::page::{Page, Source};
use super::shared::read::ReadParameters;
use super::worker::{Failure, RequestMemory};
use crate::error::ApiError;
use crate::expression::{Condition, KeyCondition, KeyTest};
use crate::json::decode;
use crate::json::reader::structure;
use crate::model::{Map, Value};
use crate::storage::{Bounds, Direction, KeyValue, SortCondition};

structure!(Parameters<'a>, "QueryInput", {
    "ScanIndexForward" => scan_index_forward: Option<bool>,
}, {
    read: ReadParameters<'a>,
}, [read.query_member, read.member]);

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
    let row_key = source.start_row(start, arena).map_err(|fault| fault.query_error(source))?;
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

#[cfg(test)]
mod tests {
    use crate::operation::shared::fixture::Database;

    fn database() -> Database {
        let mut database = Database::with_tables();
        let items: Vec<String> = [(1, "u", 30), (2, "v", 20), (10, "u", 10)]
            .iter()
            .map(|(r, g, l)| {
                format!(
                    r#"{{"p":{{"S":"a"}},"r":{{"N":"{r}"}},"g":{{"S":"{g}"}},"l":{{"N":"{l}"}},
                        "x":{{"N":"{r}"}},"y":{{"N":"{l}"}}}}"#
                )
            })
            .collect();
        database.fill("sorted", &items.iter().map(String::as_str).collect::<Vec<_>>());
        database
    }

    /// The `r` of each item, Count, ScannedCount and the `r` of LastEvaluatedKey.
    fn numbers(database: &mut Database, rest: &str) -> (Vec<String>, u64, u64, Option<String>) {
        let (status, body) = database.call("Query", &format!(r#"{{"TableName":"sorted",{rest}}}"#));
        assert_eq!(status, 200, "{rest} {body}");
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let number = |item: &serde_json::Value| item["r"]["N"].as_str().unwrap_or_default().to_owned();
        let items = body["Items"].as_array().map(|items| items.iter().map(number).collect()).unwrap_or_default();
        let count = |name: &str| body[name].as_u64().unwrap();
        (items, count("Count"), count("ScannedCount"), body.get("LastEvaluatedKey").map(number))
    }

    #[test]
    fn ranges_directions_limits_and_filters() {
        let mut database = database();
        let values = r#""ExpressionAttributeValues":{":p":{"S":"a"}"#;
        for (rest, items, scanned, last) in [
            (format!(r#""KeyConditionExpression":"p = :p",{values}}}"#), &["1", "2", "10"][..], 3, None),
            (
                format!(r#""KeyConditionExpression":"p = :p",{values}}},"ScanIndexForward":false"#),
                &["10", "2", "1"],
                3,
                None,
            ),
            (format!(r#""KeyConditionExpression":"p = :p",{values}}},"Limit":2"#), &["1", "2"], 2, Some("2")),
            (format!(r#""KeyConditionExpression":"p = :p",{values}}},"Limit":3"#), &["1", "2", "10"], 3, Some("10")),
            (
                format!(r#""KeyConditionExpression":"p = :p AND r > :r",{values},":r":{{"N":"1"}}}}"#),
                &["2", "10"],
                2,
                None,
            ),
            (
                format!(
                    r#""KeyConditionExpression":"p = :p AND r BETWEEN :r AND :s",
                        {values},":r":{{"N":"1.5"}},":s":{{"N":"9"}}}}"#
                ),
                &["2"],
                1,
                None,
            ),
            (
                format!(
                    r#""KeyConditionExpression":"p = :p",{values},":y":{{"N":"15"}}}},"FilterExpression":"y > :y""#
                ),
                &["1", "2"],
                3,
                None,
            ),
            (
                r#""KeyConditions":{"p":{"ComparisonOperator":"EQ","AttributeValueList":[{"S":"a"}]},
                    "r":{"ComparisonOperator":"LE","AttributeValueList":[{"N":"2"}]}}"#
                    .to_owned(),
                &["1", "2"],
                2,
                None,
            ),
            (
                format!(
                    r#""KeyConditionExpression":"p = :p",{values}}},
                        "ExclusiveStartKey":{{"p":{{"S":"a"}},"r":{{"N":"3"}}}}"#
                ),
                &["10"],
                1,
                None,
            ),
            (
                format!(
                    r#""IndexName":"by_l","KeyConditionExpression":"p = :p AND l < :l",{values},":l":{{"N":"30"}}}}"#
                ),
                &["10", "2"],
                2,
                None,
            ),
            (
                r#""IndexName":"by_g","KeyConditionExpression":"g = :g","ExpressionAttributeValues":{":g":{"S":"u"}}"#
                    .to_owned(),
                &["1", "10"],
                2,
                None,
            ),
        ] {
            let expected = items.iter().map(|number| number.to_string()).collect::<Vec<_>>();
            let count = expected.len() as u64;
            assert_eq!(numbers(&mut database, &rest), (expected, count, scanned, last.map(str::to_owned)), "{rest}");
        }
    }

    #[test]
    fn what_an_index_shows() {
        let mut database = database();
        for (rest, answer) in [
            (
                r#""IndexName":"by_g","KeyConditionExpression":"g = :v","ExpressionAttributeValues":{":v":{"S":"v"}}"#,
                r#"{"Items":[{"g":{"S":"v"},"p":{"S":"a"},"r":{"N":"2"},"x":{"N":"2"}}],"Count":1,"ScannedCount":1}"#,
            ),
            (
                r#""IndexName":"by_g","KeyConditionExpression":"g = :v","ExpressionAttributeValues":{":v":{"S":"v"}},
                    "Limit":1,
                    "Select":"COUNT","ReturnConsumedCapacity":"INDEXES""#,
                concat!(
                    r#"{"Count":1,"ScannedCount":1,"LastEvaluatedKey":{"g":{"S":"v"},"p":{"S":"a"},"r":{"N":"2"}},"#,
                    r#""ConsumedCapacity":{"TableName":"sorted","CapacityUnits":0.5,"Table":{"CapacityUnits":0.0},"#,
                    r#""GlobalSecondaryIndexes":{"by_g":{"CapacityUnits":0.5}}}}"#
                ),
            ),
            (
                r#""IndexName":"by_l","KeyConditionExpression":"p = :p AND l = :l","ProjectionExpression":"y",
                    "ExpressionAttributeValues":{":p":{"S":"a"},":l":{"N":"20"}}"#,
                r#"{"Items":[{"y":{"N":"20"}}],"Count":1,"ScannedCount":1}"#,
            ),
        ] {
            database.answers("Query", &format!(r#"{{"TableName":"sorted",{rest}}}"#), answer);
        }
    }

    #[test]
    fn a_count_on_a_local_index_fetches_what_its_filter_looks_at() {
        let mut database = database();
        let query = r#""IndexName":"by_l","KeyConditionExpression":"p = :p","FilterExpression":"y > :y",
            "ExpressionAttributeValues":{":p":{"S":"a"},":y":{"N":"15"}},"ReturnConsumedCapacity":"INDEXES""#;
        let counted = concat!(
            r#""Count":2,"ScannedCount":3,"ConsumedCapacity":{"TableName":"sorted","CapacityUnits":2.0,"#,
            r#""Table":{"CapacityUnits":1.5},"LocalSecondaryIndexes":{"by_l":{"CapacityUnits":0.5}}}}"#
        );
        let request = |rest: &str| format!(r#"{{"TableName":"sorted",{query}{rest}}}"#);
        database.answers("Query", &request(r#","Select":"COUNT""#), &format!("{{{counted}"));
        let shown = format!(r#"{{"Items":[{{"y":{{"N":"20"}}}},{{"y":{{"N":"30"}}}}],{counted}"#);
        database.answers("Query", &request(r#","ProjectionExpression":"y""#), &shown);
    }

    #[test]
    fn texts_of_aws() {
        let mut database = database();
        let key = r#""KeyConditionExpression":"p = :p","ExpressionAttributeValues":{":p":{"S":"a"}"#;
        for (rest, text) in [
            (
                r#""Limit":1"#.to_owned(),
                "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.",
            ),
            (
                format!("{key}}},\"Limit\":0"),
                "1 validation error detected: Value at 'Limit' failed to satisfy constraint: \
                Member must have value greater than or equal to 1",
            ),
            (format!("{key}}},\"IndexName\":\"none\""), "The table does not have the specified index: none"),
            (
                format!("{key}}},\"FilterExpression\":\"attribute_exists(r)\""),
                "Filter Expression can only contain non-primary key attributes: Primary key attribute: r",
            ),
            (
                format!("{key}}},\"Select\":\"SPECIFIC_ATTRIBUTES\""),
                "1 validation error detected: Must specify the \
                AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES",
            ),
            (
                format!("{key}}},\"Select\":\"ALL_PROJECTED_ATTRIBUTES\""),
                "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName",
            ),
            (
                format!("{key}}},\"Select\":\"COUNT\",\"ProjectionExpression\":\"a\""),
                "Cannot specify the ProjectionExpression when choosing to get COUNT",
            ),
            (
                format!(r#"{key}}},"ExclusiveStartKey":{{"p":{{"S":"b"}},"r":{{"N":"1"}}}}"#),
                "The provided starting key is outside query boundaries based on provided conditions",
            ),
            (format!(r#"{key}}},"ExclusiveStartKey":{{"p":{{"S":"a"}}}}"#), "The provided starting key is invalid"),
            (
                r#""IndexName":"by_g","ConsistentRead":true,"KeyConditionExpression":"g = :g",
                "ExpressionAttributeValues":{":g":{"S":"u"}}"#
                    .to_owned(),
                "Consistent reads are not supported on global secondary indexes",
            ),
            (
                r#""IndexName":"by_g","Select":"ALL_ATTRIBUTES","KeyConditionExpression":"g = :g",
                "ExpressionAttributeValues":{":g":{"S":"u"}}"#
                    .to_owned(),
                "One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported for global \
                 secondary index by_g because its projection type is not ALL",
            ),
        ] {
            let body = format!(r#"{{"TableName":"sorted",{rest}}}"#);
            database.refuses("Query", &body, "ValidationException", text);
        }
    }
}
