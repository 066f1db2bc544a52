//! GetItem: one item by its primary key.

use super::call::Call;
use super::shared::constraint::Constraints;
use super::shared::expressions::{ProjectionParameters, check_fault};
use super::shared::key::PrimaryKey;
use super::shared::report::{CapacityReport, ReportParameters, read_halves, write_consumed_capacity};
use super::shared::table_name;
use super::worker::{Failure, RequestMemory};
use crate::expression::Projection;
use crate::json::reader::structure;
use crate::json::{AttributeMap, Writer, decode};
use crate::model::{EncodedItem, StoredDocument};
use crate::storage::Lookup;

structure!(Parameters<'a>, "GetItemInput", {
    "TableName" => table_name: Option<&'a str>,
    "Key" => key: Option<AttributeMap<'a>>,
    "ConsistentRead" => consistent_read: Option<bool>,
}, {
    projection: ProjectionParameters<'a>,
    reports: ReportParameters<'a>,
}, [reports.member, projection.member]);

pub(super) fn run(call: &mut Call<'_>, memory: &RequestMemory) -> Result<(), Failure> {
    let arena = &memory.arena;
    let parameters: Parameters<'_> = decode(&memory.body, arena)?;
    let mut constraints = Constraints::new(call.wording);
    let capacity = parameters.reports.capacity(&mut constraints);
    let table_name = table_name::check(parameters.table_name, &mut constraints)?;
    constraints.required(parameters.key.is_some(), "key");
    constraints.check()?;
    parameters.projection.check_mixing(call.wording)?;
    let key = parameters.key.expect("required");
    check_fault(key.fault, call.wording)?;
    let projection = parameters.projection.bind(call, arena)?;
    let table = call.table(table_name)?;
    let row_key = PrimaryKey::from_key(table.definition(), key.map)?.row_key(&table, arena);
    let stored = match call.service.store.get(row_key, call.tier)? {
        Lookup::Found(stored) => Some(stored),
        Lookup::Missing => None,
        Lookup::WouldBlock => return Err(Failure::WouldBlock),
    };
    let item = stored.as_deref().map(EncodedItem::open).transpose()?;
    let mut writer = call.writer();
    writer.open(b'{');
    if let Some(item) = item {
        writer.name("Item");
        write_projected(item, projection.as_ref(), arena, &mut writer)?;
    }
    if capacity != CapacityReport::None {
        let halves = read_halves(item.map_or(0, |item| item.size()), parameters.consistent_read.unwrap_or(false));
        writer.name("ConsumedCapacity");
        write_consumed_capacity(&table, capacity, halves, &[], &mut writer);
    }
    writer.close(b'}');
    Ok(())
}

/// The item or what a projection picks of it.
pub(super) fn write_projected(
    item: EncodedItem<'_>,
    projection: Option<&Projection<'_>>,
    arena: &bumpalo::Bump,
    writer: &mut Writer<'_>,
) -> Result<(), Failure> {
    let Some(projection) = projection else { return Ok(writer.stored_item(item)?) };
    let document = StoredDocument::new(item, arena);
    writer.item(projection.apply(&document, arena));
    Ok(document.check()?)
}

#[cfg(test)]
mod tests {
    use crate::operation::shared::fixture::Database;

    #[test]
    fn missing_items_and_projections() {
        let mut database = Database::with_tables();
        database.fill(
            "hashed",
            &[r#"{"p":{"S":"a"},"l":{"L":[{"N":"0"},{"N":"1"},{"M":{"k":{"S":"v"}}}]},"x":{"N":"1"}}"#],
        );
        for (rest, answer) in [
            (r#"{"S":"none"}}"#, "{}"),
            (r#"{"S":"a"}},"ProjectionExpression":"nothing""#, r#"{"Item":{}}"#),
            (
                r#"{"S":"a"}},"ProjectionExpression":"l[2].k, l[0]""#,
                r#"{"Item":{"l":{"L":[{"N":"0"},{"M":{"k":{"S":"v"}}}]}}}"#,
            ),
            (r#"{"S":"a"}},"AttributesToGet":["x"]"#, r#"{"Item":{"x":{"N":"1"}}}"#),
            (
                r#"{"S":"none"}},"ReturnConsumedCapacity":"INDEXES""#,
                concat!(
                    r#"{"ConsumedCapacity":{"TableName":"hashed","CapacityUnits":0.5,"#,
                    r#""Table":{"CapacityUnits":0.5}}}"#
                ),
            ),
        ] {
            database.answers("GetItem", &format!(r#"{{"TableName":"hashed","Key":{{"p":{rest}}}"#), answer);
        }
        let arn = "arn:aws:dynamodb:us-east-1:000000000000:table/hashed";
        let by_arn = format!(r#"{{"TableName":"{arn}","Key":{{"p":{{"S":"a"}}}},"ProjectionExpression":"x"}}"#);
        database.answers("GetItem", &by_arn, r#"{"Item":{"x":{"N":"1"}}}"#);
    }

    #[test]
    fn keys_and_mixed_parameters_are_checked() {
        let mut database = Database::with_tables();
        let mismatch = "The provided key element does not match the schema";
        for (rest, text) in [
            (r#""Key":{}"#, mismatch),
            (r#""Key":{"p":{"N":"1"}}"#, mismatch),
            (r#""Key":{"p":{"S":"a"},"x":{"S":"b"}}"#, mismatch),
            (
                r#""Key":{"p":{"S":""}}"#,
                "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an \
                 empty string value. Key: p",
            ),
            (
                r#""Key":{"p":{"S":"a"}},"AttributesToGet":["a"],"ProjectionExpression":"b""#,
                "Can not use both expression and non-expression parameters in the same request: Non-expression \
                 parameters: {AttributesToGet} Expression parameters: {ProjectionExpression}",
            ),
            (
                r#""Key":{"p":{"S":"a"}},"AttributesToGet":["a","a"]"#,
                "One or more parameter values were invalid: Duplicate value in attribute name: a",
            ),
            (
                r##""Key":{"p":{"S":"a"}},"ProjectionExpression":"a","ExpressionAttributeNames":{"#b":"b"}"##,
                "Value provided in ExpressionAttributeNames unused in expressions: keys: {#b}",
            ),
        ] {
            let body = format!(r#"{{"TableName":"hashed",{rest}}}"#);
            database.refuses("GetItem", &body, "ValidationException", text);
        }
    }
}
