//! DeleteItem: removes an item by its primary key; that there is none is no error.

use super::call::Call;
use super::plan::{Action, ActionResult, AnswerForm, Change, Plan};
use super::shared::key::PrimaryKey;
use super::shared::write::WriteParameters;
use super::worker::RequestMemory;
use crate::error::ApiError;
use crate::json::reader::structure;
use crate::json::{AttributeMap, decode};

structure!(Parameters<'a>, "DeleteItemInput", {
    "Key" => key: Option<AttributeMap<'a>>,
}, {
    write: WriteParameters<'a>,
}, [write.member]);

pub(super) fn plan<'a>(call: &mut Call<'_>, memory: &'a RequestMemory) -> Result<Plan<'a>, ApiError> {
    let arena = &memory.arena;
    let parameters: Parameters<'a> = decode(&memory.body, arena)?;
    let write = &parameters.write;
    let (checked, key) = write.check(parameters.key, "key", call.wording)?;
    checked.check_old_values_only(call.wording)?;
    let condition = write.bind_condition(call, arena)?;
    let table = call.table(checked.table_name)?;
    let primary = PrimaryKey::from_key(table.definition(), key)?;
    let action = Action {
        row_key: primary.row_key(&table, arena),
        table,
        key,
        change: Change::Delete,
        condition,
        returns: checked.returns,
        item_on_failure: checked.item_on_failure,
        result: ActionResult::default(),
    };
    Ok(Plan { actions: vec![action], form: AnswerForm::Item, reports: checked.reports })
}

#[cfg(test)]
mod tests {
    use crate::operation::shared::fixture::Database;

    #[test]
    fn the_old_item_is_returned_once() {
        let mut database = Database::with_tables();
        database.fill("hashed", &[r#"{"p":{"S":"a"},"x":{"N":"1"}}"#]);
        let delete = r#"{"TableName":"hashed","Key":{"p":{"S":"a"}},"ReturnValues":"ALL_OLD"}"#;
        database.answers("DeleteItem", delete, r#"{"Attributes":{"p":{"S":"a"},"x":{"N":"1"}}}"#);
        database.answers("DeleteItem", delete, "{}");
        let conditional = r#"{"TableName":"hashed","Key":{"p":{"S":"a"}},"ConditionExpression":"x = :one",
            "ExpressionAttributeValues":{":one":{"N":"1"}}}"#;
        let failed = "The conditional request failed";
        database.refuses("DeleteItem", conditional, "ConditionalCheckFailedException", failed);
    }

    #[test]
    fn capacity_covers_the_indexes() {
        let mut database = Database::with_tables();
        database.fill("sorted", &[r#"{"p":{"S":"a"},"r":{"N":"1"},"g":{"S":"x"}}"#]);
        let delete = r#"{"TableName":"sorted","Key":{"p":{"S":"a"},"r":{"N":"1.0"}},"ReturnConsumedCapacity":"INDEXES",
            "ReturnItemCollectionMetrics":"SIZE"}"#;
        let answer = concat!(
            r#"{"ConsumedCapacity":{"TableName":"sorted","CapacityUnits":2.0,"Table":{"CapacityUnits":1.0},"#,
            r#""GlobalSecondaryIndexes":{"by_g":{"CapacityUnits":1.0}}},"#,
            r#""ItemCollectionMetrics":{"ItemCollectionKey":{"p":{"S":"a"}},"SizeEstimateRangeGB":[0.0,1.0]}}"#
        );
        database.answers("DeleteItem", delete, answer);
    }
}
