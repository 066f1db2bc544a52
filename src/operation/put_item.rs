//! PutItem: creates an item or replaces it as a whole.

use super::call::Call;
use super::plan::{Action, ActionResult, AnswerForm, Change, Plan};
use super::shared::key::{ItemKeyWording, PrimaryKey, check_index_keys};
use super::shared::write::WriteParameters;
use super::worker::RequestMemory;
use crate::error::ApiError;
use crate::json::reader::structure;
use crate::json::{AttributeMap, decode};
use crate::model::limits::ITEM_BYTES_MAX;
use crate::model::{EncodedItem, Item};

structure!(Parameters<'a>, "PutItemInput", {
    "Item" => item: Option<AttributeMap<'a>>,
}, {
    write: WriteParameters<'a>,
}, [write.member]);

pub(super) fn plan<'a>(call: &mut Call<'_>, memory: &'a RequestMemory) -> Result<Plan<'a>, ApiError> {
    let arena = &memory.arena;
    let parameters: Parameters<'a> = decode(&memory.body, arena)?;
    let write = &parameters.write;
    let (checked, item) = write.check(parameters.item, "item", call.wording)?;
    checked.check_old_values_only(call.wording)?;
    check_size(item)?;
    let condition = write.bind_condition(call, arena)?;
    let table = call.table(checked.table_name)?;
    let key = PrimaryKey::from_item(table.definition(), item, ItemKeyWording::Named)?;
    check_index_keys(table.definition(), item, false)?;
    let action = Action {
        row_key: key.row_key(&table, arena),
        table,
        key: item,
        change: Change::Put(EncodedItem::encode(item, arena)),
        condition,
        returns: checked.returns,
        item_on_failure: checked.item_on_failure,
        result: ActionResult::default(),
    };
    Ok(Plan { actions: vec![action], form: AnswerForm::Item, reports: checked.reports })
}

/// Refuses an item above DynamoDB's 400 KB.
pub(super) fn check_size(item: Item<'_>) -> Result<(), ApiError> {
    if item.size() > ITEM_BYTES_MAX {
        return Err(ApiError::validation("Item size has exceeded the maximum allowed size"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::operation::shared::fixture::Database;

    #[test]
    fn an_item_is_created_and_replaced_as_a_whole() {
        let mut database = Database::with_tables();
        database.fill("hashed", &[r#"{"p":{"S":"a"},"x":{"N":"007.50"},"y":{"SS":["b","a"]}}"#]);
        let request = r#"{"TableName":"hashed","Item":{"p":{"S":"a"},"z":{"BOOL":true}},"ReturnValues":"ALL_OLD",
            "ReturnConsumedCapacity":"TOTAL"}"#;
        let answer = concat!(
            r#"{"Attributes":{"p":{"S":"a"},"x":{"N":"7.5"},"y":{"SS":["a","b"]}},"#,
            r#""ConsumedCapacity":{"TableName":"hashed","CapacityUnits":1.0}}"#
        );
        database.answers("PutItem", request, answer);
        let get = r#"{"TableName":"hashed","Key":{"p":{"S":"a"}}}"#;
        database.answers("GetItem", get, r#"{"Item":{"p":{"S":"a"},"z":{"BOOL":true}}}"#);
    }

    #[test]
    fn a_condition_decides_on_the_old_item() {
        let mut database = Database::with_tables();
        let put = |condition: &str| {
            format!(r#"{{"TableName":"hashed","Item":{{"p":{{"S":"a"}}}},"ConditionExpression":"{condition}"}}"#)
        };
        database.answers("PutItem", &put("attribute_not_exists(p)"), "{}");
        let failed = "The conditional request failed";
        database.refuses("PutItem", &put("attribute_not_exists(p)"), "ConditionalCheckFailedException", failed);
        database.answers("PutItem", &put("attribute_exists(p)"), "{}");
        let shown = r#"{"TableName":"hashed","Item":{"p":{"S":"a"}},"Expected":{"x":{"Exists":true,"Value":{"N":"1"}}},
            "ReturnValuesOnConditionCheckFailure":"ALL_OLD"}"#;
        let (status, body) = database.call("PutItem", shown);
        assert_eq!(status, 400);
        assert!(body.ends_with(r#""message":"The conditional request failed","Item":{"p":{"S":"a"}}}"#), "{body}");
    }

    #[test]
    fn checks_come_in_the_order_of_aws() {
        let mut database = Database::with_tables();
        let missing = "1 validation error detected: Value null at";
        for (body, text) in [
            (
                "{}",
                "2 validation errors detected: Value null at 'tableName' failed to satisfy constraint: Member must not \
                 be null; Value null at 'item' failed to satisfy constraint: Member must not be null"
                    .to_owned(),
            ),
            (
                r#"{"TableName":"hashed"}"#,
                format!("{missing} 'item' failed to satisfy constraint: Member must not be null"),
            ),
            (
                r#"{"TableName":"hashed","Item":{"p":{"N":"x"}},"ReturnValues":"ALL_NEW"}"#,
                "The parameter cannot be converted to a numeric value: x".to_owned(),
            ),
            (
                r#"{"TableName":"hashed","Item":{"p":{"N":"1"}},"ReturnValues":"ALL_NEW"}"#,
                "1 validation error detected: ReturnValues can only be ALL_OLD or NONE".to_owned(),
            ),
            (
                r#"{"TableName":"hashed","Item":{"p":{"N":"1"}}}"#,
                "One or more parameter values were invalid: Type mismatch for key p expected: S actual: N".to_owned(),
            ),
            (
                r##"{"TableName":"hashed","Item":{"p":{"S":"a"}},"ExpressionAttributeNames":{"#a":"a"}}"##,
                "1 validation error detected: ExpressionAttributeNames can only be specified when using expressions"
                    .to_owned(),
            ),
            (
                r#"{"TableName":"sorted","Item":{"p":{"S":"a"},"r":{"N":"1"},"g":{"S":""}}}"#,
                "One or more parameter values are not valid. A value specified for a secondary index key is not \
                 supported. The AttributeValue for a key attribute cannot contain an empty string value. IndexName: \
                 by_g, IndexKey: g"
                    .to_owned(),
            ),
        ] {
            database.refuses("PutItem", body, "ValidationException", &text);
        }
        let unknown = r#"{"TableName":"unknown","Item":{"p":{"N":"1"}}}"#;
        database.refuses("PutItem", unknown, "ResourceNotFoundException", "Requested resource not found");
    }

    #[test]
    fn an_item_of_exactly_400_kb_fits() {
        let mut database = Database::with_tables();
        let put = |bytes: usize| {
            // "p" and "a" and the name of the payload are four bytes more.
            let payload = "x".repeat(bytes - 4);
            format!(r#"{{"TableName":"hashed","Item":{{"p":{{"S":"a"}},"xy":{{"S":"{payload}"}}}}}}"#)
        };
        database.answers("PutItem", &put(409_600), "{}");
        let text = "Item size has exceeded the maximum allowed size";
        database.refuses("PutItem", &put(409_601), "ValidationException", text);
    }
}
