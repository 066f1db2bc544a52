//! BatchWriteItem: up to 25 puts and deletes, each for itself.

use serde::de::SeqAccess;

use super::call::Call;
use super::plan::{Action, ActionResult, AnswerForm, Change, Plan, ReturnValues};
use super::put_item::check_size;
use super::shared::batch;
use super::shared::constraint::Constraints;
use super::shared::expressions::check_fault;
use super::shared::key::{ItemKeyWording, PrimaryKey, check_index_keys};
use super::shared::report::{ReportParameters, Reports};
use super::worker::RequestMemory;
use crate::error::ApiError;
use crate::json::reader::{MapValue, Place, structure};
use crate::json::{AttributeMap, Context, Entries, Shape, decode};
use crate::model::EncodedItem;
use crate::model::limits::BATCH_WRITE_COUNT_MAX;

structure!(Parameters<'a>, "BatchWriteItemInput", {
    "RequestItems" => request_items: Option<Entries<'a, WriteRequests<'a>>>,
}, {
    reports: ReportParameters<'a>,
}, [reports.member]);

structure!(WriteRequest<'a>, "WriteRequest", {
    "PutRequest" => put: Option<PutRequest<'a>>,
    "DeleteRequest" => delete: Option<DeleteRequest<'a>>,
});

structure!(PutRequest<'a>, "PutRequest", {
    "Item" => item: Option<AttributeMap<'a>>,
});

structure!(DeleteRequest<'a>, "DeleteRequest", {
    "Key" => key: Option<AttributeMap<'a>>,
});

/// The requests of one table.
#[derive(Clone, Copy, Debug, Default)]
pub struct WriteRequests<'a>(Option<&'a [Option<WriteRequest<'a>>]>);

impl MapValue for WriteRequests<'_> {
    const CLASS: &'static str = "java.util.List<com.amazonaws.dynamodb.v20120810.WriteRequest>";
}

impl<'a> Shape<'a> for WriteRequests<'a> {
    fn absent() -> Self {
        WriteRequests(None)
    }

    fn unexpected_scalar(_: Place) -> &'static str {
        batch::PARAMETERIZED_TYPE
    }

    fn list<A: SeqAccess<'a>>(context: &Context<'a>, elements: A) -> Result<Self, A::Error> {
        Shape::list(context, elements).map(WriteRequests)
    }
}

pub(super) fn plan<'a>(call: &mut Call<'_>, memory: &'a RequestMemory) -> Result<Plan<'a>, ApiError> {
    let arena = &memory.arena;
    let parameters: Parameters<'a> = decode(&memory.body, arena)?;
    let reports = check_constraints(&parameters, call)?;
    let Some(Entries(tables)) = parameters.request_items else { return Err(batch::required("BatchWriteItem")) };
    let requests = || tables.iter().flat_map(|(_, requests)| requests.0.unwrap_or_default());
    let count = requests().count();
    if count > BATCH_WRITE_COUNT_MAX {
        return Err(ApiError::validation("Too many items requested for the BatchWriteItem call"));
    }
    requests().try_for_each(|request| check_request(request.as_ref(), call))?;
    let mut actions: Vec<Action<'a>> = Vec::with_capacity(count);
    for (name, requests) in tables {
        let table = call.table(name)?;
        for request in requests.0.unwrap_or_default().iter().flatten() {
            let definition = table.definition();
            let (key, attributes, change) = match (request.put, request.delete) {
                (Some(PutRequest { item: Some(item) }), _) => {
                    let key = PrimaryKey::from_item(definition, item.map, ItemKeyWording::Schema)?;
                    check_index_keys(definition, item.map, false)?;
                    (key, item.map, Change::Put(EncodedItem::encode(item.map, arena)))
                }
                (_, Some(DeleteRequest { key: Some(key) })) => {
                    (PrimaryKey::from_key(definition, key.map)?, key.map, Change::Delete)
                }
                _ => unreachable!("every request was checked to have an item or a key"),
            };
            actions.push(Action {
                row_key: key.row_key(&table, arena),
                table: table.clone(),
                key: attributes,
                change,
                condition: None,
                returns: ReturnValues::None,
                item_on_failure: false,
                result: ActionResult::default(),
            });
        }
    }
    batch::check_distinct(actions.iter().map(|action| action.row_key))?;
    Ok(Plan { actions, form: AnswerForm::Batch, reports })
}

/// Member constraints. A bad enumeration is reported alone, before a malformed table name.
fn check_constraints(parameters: &Parameters<'_>, call: &Call<'_>) -> Result<Reports, ApiError> {
    let mut enumerations = Constraints::new(call.wording);
    let reports = Reports {
        capacity: parameters.reports.capacity(&mut enumerations),
        collection_metrics: parameters.reports.collection_metrics(&mut enumerations),
    };
    enumerations.check()?;
    let mut constraints = Constraints::new(call.wording);
    if let Some(Entries(tables)) = parameters.request_items {
        let names = tables.iter().map(|(name, _)| *name);
        batch::check_table_names(names, "requestItems", &mut constraints);
        if tables.is_empty() {
            return Err(batch::required("BatchWriteItem"));
        }
        let outside = tables.iter().find(|(_, requests)| {
            requests.0.is_none_or(|requests| !(1..=BATCH_WRITE_COUNT_MAX).contains(&requests.len()))
        });
        if let Some((name, _)) = outside {
            constraints.violated(
                format_args!("{{{name}=[...]}}"),
                "requestItems",
                format_args!(
                    "Map value must satisfy constraint: [Member must have length less than or equal to \
                     {BATCH_WRITE_COUNT_MAX}, Member must have length greater than or equal to 1]"
                ),
            );
        }
    } else {
        constraints.required(false, "requestItems");
    }
    constraints.check()?;
    Ok(reports)
}

/// What does not depend on the table.
fn check_request(request: Option<&WriteRequest<'_>>, call: &Call<'_>) -> Result<(), ApiError> {
    let neither_or_both = || {
        ApiError::validation(
            "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported \
             datatypes",
        )
    };
    let Some(request) = request else { return Err(neither_or_both()) };
    match (request.put, request.delete) {
        (Some(put), None) => {
            let mut constraints = Constraints::new(call.wording);
            constraints.required(put.item.is_some(), "requestItems.member.putRequest.item");
            constraints.check()?;
            let item = put.item.expect("required");
            check_fault(item.fault, call.wording)?;
            check_size(item.map)
        }
        (None, Some(delete)) => {
            let mut constraints = Constraints::new(call.wording);
            constraints.required(delete.key.is_some(), "requestItems.member.deleteRequest.key");
            constraints.check()?;
            check_fault(delete.key.expect("required").fault, call.wording)
        }
        _ => Err(neither_or_both()),
    }
}

#[cfg(test)]
mod tests {
    use crate::operation::shared::fixture::Database;

    #[test]
    fn puts_and_deletes_of_several_tables() {
        let mut database = Database::with_tables();
        database.fill("hashed", &[r#"{"p":{"S":"old"}}"#]);
        let batch = r#"{"RequestItems":{"hashed":[{"PutRequest":{"Item":{"p":{"S":"new"}}}},
            {"DeleteRequest":{"Key":{"p":{"S":"old"}}}}],
            "sorted":[{"PutRequest":{"Item":{"p":{"S":"a"},"r":{"N":"1"},"g":{"S":"x"}}}}]},
            "ReturnConsumedCapacity":"TOTAL","ReturnItemCollectionMetrics":"SIZE"}"#;
        let answer = concat!(
            r#"{"UnprocessedItems":{},"ConsumedCapacity":[{"TableName":"hashed","CapacityUnits":2.0},"#,
            r#"{"TableName":"sorted","CapacityUnits":2.0}],"ItemCollectionMetrics":{"sorted":["#,
            r#"{"ItemCollectionKey":{"p":{"S":"a"}},"SizeEstimateRangeGB":[0.0,1.0]}]}}"#
        );
        database.answers("BatchWriteItem", batch, answer);
        let scan = r#"{"TableName":"hashed"}"#;
        database.answers("Scan", scan, r#"{"Items":[{"p":{"S":"new"}}],"Count":1,"ScannedCount":1}"#);
    }

    #[test]
    fn one_bad_entry_refuses_the_batch() {
        let mut database = Database::with_tables();
        let put = |key: &str| format!(r#"{{"PutRequest":{{"Item":{{"p":{key}}}}}}}"#);
        let good = put(r#"{"S":"a"}"#);
        let many = vec![good.as_str(); 26].join(",");
        for (requests, text) in [
            (format!("{good},{good}"), "Provided list of item keys contains duplicates"),
            (format!("{good},{}", put(r#"{"N":"1"}"#)), "The provided key element does not match the schema"),
            (
                format!(r#"{good},{{}}"#),
                "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported \
                 datatypes",
            ),
            (
                many,
                "1 validation error detected: Value '{hashed=[...]}' at 'requestItems' failed to satisfy constraint: \
                 Map value must satisfy constraint: [Member must have length less than or equal to 25, Member must \
                 have length greater than or equal to 1]",
            ),
        ] {
            let body = format!(r#"{{"RequestItems":{{"hashed":[{requests}]}}}}"#);
            database.refuses("BatchWriteItem", &body, "ValidationException", text);
        }
        let empty = "The requestItems parameter is required for BatchWriteItem";
        database.refuses("BatchWriteItem", r#"{"RequestItems":{}}"#, "ValidationException", empty);
        let scan = r#"{"TableName":"hashed"}"#;
        database.answers("Scan", scan, r#"{"Items":[],"Count":0,"ScannedCount":0}"#);
    }
}
