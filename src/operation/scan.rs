//! Scan: all items of a table or index, or a segment of them.

use super::call::Call;
use super::shared::constraint::Constraints;
use super::shared::expressions::check_fault;
use super::shared::page::{Page, Source};
use super::shared::read::ReadParameters;
use super::worker::{Failure, RequestMemory};
use crate::error::ApiError;
use crate::json::decode;
use crate::json::reader::structure;
use crate::model::limits::SEGMENT_COUNT_MAX;
use crate::storage::{Bounds, Direction};

structure!(Parameters<'a>, "ScanInput", {
    "Segment" => segment: Option<i64>,
    "TotalSegments" => total_segments: Option<i64>,
}, {
    read: ReadParameters<'a>,
}, [read.scan_member, read.member]);

/// A slice of the rows: number, and how many there are.
type Segment = (u32, u32);

pub(super) fn run(call: &mut Call<'_>, memory: &RequestMemory) -> Result<(), Failure> {
    let arena = &memory.arena;
    let parameters: Parameters<'_> = decode(&memory.body, arena)?;
    let read = &parameters.read;
    let mut constraints = Constraints::new(call.wording);
    let checked = read.check_constraints(&mut constraints)?;
    constraints.at_least(parameters.segment, 0, "segment");
    constraints.at_most(parameters.segment, SEGMENT_COUNT_MAX - 1, "segment");
    constraints.at_least(parameters.total_segments, 1, "totalSegments");
    constraints.at_most(parameters.total_segments, SEGMENT_COUNT_MAX, "totalSegments");
    constraints.check()?;
    let segment = check_segment(parameters.segment, parameters.total_segments)?;
    read.check_mixing("ScanFilter", false, call.wording)?;
    read.check_values(call.wording)?;
    read.check_select(&checked, call.wording)?;
    let (filter, projection) = read.bind(call, arena)?;
    let source = read.source(&checked, call)?;
    let show = read.show(&checked, &source, filter.as_ref(), projection)?;
    let space = source.space();
    let bounds = match segment {
        Some((number, count)) => space.segment(number, count, arena),
        None => space.all(arena),
    };
    let bounds = match read.exclusive_start_key {
        Some(start) => {
            check_fault(start.fault, call.wording)?;
            after_start_key(&source, start.map, bounds, segment, arena)?
        }
        None => bounds,
    };
    let page = Page {
        source: &source,
        bounds,
        direction: Direction::Forward,
        limit: checked.limit,
        filter,
        show,
        consistent: checked.consistent,
        capacity: checked.capacity,
        fill_cache: false,
    };
    page.run(call, arena)
}

fn check_segment(segment: Option<i64>, total: Option<i64>) -> Result<Option<Segment>, ApiError> {
    match (segment, total) {
        (None, None) => Ok(None),
        (Some(_), None) => Err(ApiError::validation(
            "The TotalSegments parameter is required but was not present in the request when Segment parameter is \
             present",
        )),
        (None, Some(_)) => Err(ApiError::validation(
            "The Segment parameter is required but was not present in the request when parameter TotalSegments is \
             present",
        )),
        (Some(segment), Some(total)) if segment >= total => Err(ApiError::validation(format!(
            "The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: {segment} is \
             not less than TotalSegments: {total}"
        ))),
        // Both are within 0..=1,000,000 here.
        (Some(segment), Some(total)) => Ok(Some((segment as u32, total as u32))),
    }
}

fn after_start_key<'a>(
    source: &Source,
    start: crate::model::Map<'_>,
    bounds: Bounds<'a>,
    segment: Option<Segment>,
    arena: &'a bumpalo::Bump,
) -> Result<Bounds<'a>, ApiError> {
    let row_key = source.start_row(start, arena).map_err(|fault| fault.scan_error(source))?;
    match segment {
        Some((segment, total)) if !bounds.contains(row_key) => Err(ApiError::validation(format!(
            "The provided starting key is invalid: Invalid ExclusiveStartKey. Please use ExclusiveStartKey with \
             correct Segment. TotalSegments: {total} Segment: {segment}"
        ))),
        _ => Ok(bounds.after(row_key, Direction::Forward, arena)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::shared::fixture::Database;

    #[test]
    fn segments_share_the_items_and_pages_meet() {
        let mut database = Database::with_tables();
        let keys: Vec<String> = (0..40).map(|number| format!("k{number}")).collect();
        for key in &keys {
            database.fill("hashed", &[&format!(r#"{{"p":{{"S":"{key}"}},"n":{{"N":"1"}}}}"#)]);
        }
        let mut found = Vec::new();
        for segment in 0..5 {
            let mut start = String::new();
            loop {
                let body =
                    format!(r#"{{"TableName":"hashed","Segment":{segment},"TotalSegments":5,"Limit":3{start}}}"#);
                let (status, page) = database.call("Scan", &body);
                let page: serde_json::Value = serde_json::from_str(&page).unwrap();
                assert_eq!(status, 200, "{page}");
                let items = page["Items"].as_array().unwrap();
                found.extend(items.iter().map(|item| item["p"]["S"].as_str().unwrap().to_owned()));
                let Some(key) = page.get("LastEvaluatedKey") else { break };
                start = format!(r#","ExclusiveStartKey":{key}"#);
            }
        }
        found.sort_unstable();
        let mut expected = keys;
        expected.sort_unstable();
        assert_eq!(found, expected);
    }

    #[test]
    fn filters_run_after_the_limit_and_indexes_are_sparse() {
        let mut database = Database::with_tables();
        database.fill("hashed", &[r#"{"p":{"S":"a"},"n":{"N":"1"}}"#]);
        let none = r#"{"TableName":"hashed","FilterExpression":"n > :n","ExpressionAttributeValues":{":n":{"N":"1"}}}"#;
        database.answers("Scan", none, r#"{"Items":[],"Count":0,"ScannedCount":1}"#);
        let legacy = r#"{"TableName":"hashed","Select":"COUNT",
            "ScanFilter":{"n":{"ComparisonOperator":"EQ","AttributeValueList":[{"N":"1.0"}]}}}"#;
        database.answers("Scan", legacy, r#"{"Count":1,"ScannedCount":1}"#);
        let sparse = r#"{"p":{"S":"a"},"r":{"N":"1"}}"#;
        database.fill("sorted", &[sparse, r#"{"p":{"S":"a"},"r":{"N":"2"},"g":{"S":"x"},"y":{"N":"1"}}"#]);
        let index = r#"{"TableName":"sorted","IndexName":"by_g"}"#;
        let entry = r#"{"Items":[{"g":{"S":"x"},"p":{"S":"a"},"r":{"N":"2"}}],"Count":1,"ScannedCount":1}"#;
        database.answers("Scan", index, entry);
    }

    #[test]
    fn segments_come_with_their_total_and_below_it() {
        for (segment, total, expected) in [
            (None, None, Ok(None)),
            (Some(0), Some(1), Ok(Some((0, 1)))),
            (Some(999_999), Some(1_000_000), Ok(Some((999_999, 1_000_000)))),
            (
                Some(5),
                Some(5),
                Err(
                    "The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: 5 is \
                     not less than TotalSegments: 5",
                ),
            ),
            (
                Some(1),
                None,
                Err(
                    "The TotalSegments parameter is required but was not present in the request when Segment parameter \
                     is present",
                ),
            ),
            (
                None,
                Some(1),
                Err(
                    "The Segment parameter is required but was not present in the request when parameter TotalSegments \
                     is present",
                ),
            ),
        ] {
            let checked = check_segment(segment, total).map_err(|error| error.message.into_owned());
            assert_eq!(checked, expected.map_err(str::to_owned), "{segment:?} {total:?}");
        }
    }
}
