//! UpdateItem: changes attributes of an item, or creates it.

use super::call::Call;
use super::plan::{Action, ActionResult, AnswerForm, Change, Plan};
use super::shared::key::PrimaryKey;
use super::shared::write::WriteParameters;
use super::worker::RequestMemory;
use crate::error::ApiError;
use crate::json::reader::structure;
use crate::json::{AttributeMap, decode};

structure!(Parameters<'a>, "UpdateItemInput", {
    "Key" => key: Option<AttributeMap<'a>>,
}, {
    write: WriteParameters<'a>,
}, [write.update_member, write.member]);

pub(super) fn plan<'a>(call: &mut Call<'_>, memory: &'a RequestMemory) -> Result<Plan<'a>, ApiError> {
    let arena = &memory.arena;
    let parameters: Parameters<'a> = decode(&memory.body, arena)?;
    let write = &parameters.write;
    let (checked, key) = write.check(parameters.key, "key", call.wording)?;
    let (update, condition) = write.bind_update(call, arena)?;
    let table = call.table(checked.table_name)?;
    let primary = PrimaryKey::from_key(table.definition(), key)?;
    update.check_key(&table.definition().key).map_err(|error| ApiError::validation(error.to_string()))?;
    let action = Action {
        row_key: primary.row_key(&table, arena),
        table,
        key,
        change: Change::Update(update),
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

    /// Updates item `u` of `hashed`.
    fn update(rest: &str) -> String {
        format!(r#"{{"TableName":"hashed","Key":{{"p":{{"S":"u"}}}},{rest}}}"#)
    }

    #[test]
    fn an_update_creates_reads_the_old_item_and_returns_what_it_touched() {
        let mut database = Database::with_tables();
        for (rest, answer) in [
            (
                r#""UpdateExpression":"SET c = if_not_exists(c, :z) + :i","ReturnValues":"UPDATED_NEW",
                   "ExpressionAttributeValues":{":z":{"N":"0"},":i":{"N":"5"}}"#,
                r#"{"Attributes":{"c":{"N":"5"}}}"#,
            ),
            (
                r#""UpdateExpression":"SET c = :v, d = c","ReturnValues":"ALL_NEW",
                   "ExpressionAttributeValues":{":v":{"N":"6"}}"#,
                r#"{"Attributes":{"c":{"N":"6"},"d":{"N":"5"},"p":{"S":"u"}}}"#,
            ),
            (r#""UpdateExpression":"REMOVE d","ReturnValues":"UPDATED_OLD""#, r#"{"Attributes":{"d":{"N":"5"}}}"#),
            (r#""UpdateExpression":"REMOVE d","ReturnValues":"UPDATED_NEW""#, "{}"),
            (
                r#""AttributeUpdates":{"c":{"Action":"ADD","Value":{"N":"1"}}},"ReturnValues":"ALL_NEW""#,
                r#"{"Attributes":{"c":{"N":"7"},"p":{"S":"u"}}}"#,
            ),
        ] {
            database.answers("UpdateItem", &update(rest), answer);
        }
    }

    #[test]
    fn a_bare_update_creates_the_key_and_a_removal_creates_nothing() {
        let mut database = Database::with_tables();
        let get = r#"{"TableName":"hashed","Key":{"p":{"S":"u"}}}"#;
        database.answers("UpdateItem", &update(r#""UpdateExpression":"REMOVE a""#), "{}");
        database.answers("GetItem", get, "{}");
        database.answers("UpdateItem", &update(r#""ReturnValues":"ALL_OLD""#), "{}");
        database.answers("GetItem", get, r#"{"Item":{"p":{"S":"u"}}}"#);
    }

    #[test]
    fn keys_index_keys_and_sizes_are_guarded() {
        let mut database = Database::with_tables();
        let big = "x".repeat(409_600);
        let grow = format!(r#""UpdateExpression":"SET a = :v","ExpressionAttributeValues":{{":v":{{"S":"{big}"}}}}"#);
        for (body, text) in [
            (
                update(r#""UpdateExpression":"SET p = :v","ExpressionAttributeValues":{":v":{"S":"w"}}"#),
                "One or more parameter values were invalid: Cannot update attribute p. This attribute is part of the \
                 key",
            ),
            (update(&grow), "Item size to update has exceeded the maximum allowed size"),
            (
                update(r#""UpdateExpression":"SET a = b""#),
                "The provided expression refers to an attribute that does not exist in the item",
            ),
            (
                r#"{"TableName":"sorted","Key":{"p":{"S":"a"},"r":{"N":"1"}},"UpdateExpression":"SET g = :v",
                    "ExpressionAttributeValues":{":v":{"N":"1"}}}"#
                    .to_owned(),
                "One or more parameter values were invalid: Type mismatch for Index Key g Expected: S Actual: N \
                 IndexName: by_g",
            ),
        ] {
            database.refuses("UpdateItem", &body, "ValidationException", text);
        }
    }
}
