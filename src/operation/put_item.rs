//! PutItem: creates an item or replaces it as a whole.

use serde::de::MapAccess;

use super::call::Call;
use super::plan::{Action, ActionResult, AnswerForm, Change, Plan};
use super::shared::constraint::Constraints;
use super::shared::expressions::check_fault;
use super::shared::key::{ItemKeyWording, PrimaryKey, check_index_keys};
use super::shared::write::WriteParameters;
use super::worker::RequestMemory;
use crate::error::ApiError;
use crate::json::reader::Member;
use crate::json::{AttributeMap, Structure, decode};
use crate::model::limits::ITEM_BYTES_MAX;
use crate::model::{EncodedItem, Item};

#[derive(Default)]
struct Parameters<'a> {
    item: Option<AttributeMap<'a>>,
    write: WriteParameters<'a>,
}

impl<'a> Structure<'a> for Parameters<'a> {
    const NAME: &'static str = "com.amazonaws.dynamodb.v20120810.PutItemInput";

    fn member<A: MapAccess<'a>>(&mut self, name: &str, member: Member<'_, 'a, A>) -> Result<(), A::Error> {
        match name {
            "Item" => self.item = member.read()?,
            _ => {
                let Some(member) = self.write.member(name, member)? else { return Ok(()) };
                member.skip()?;
            }
        }
        Ok(())
    }
}

pub(super) fn plan<'a>(call: &mut Call<'_>, memory: &'a RequestMemory) -> Result<Plan<'a>, ApiError> {
    let arena = &memory.arena;
    let parameters: Parameters<'a> = decode(&memory.body, arena)?;
    let write = &parameters.write;
    let mut constraints = Constraints::new(call.wording);
    let checked = write.check_constraints(&mut constraints)?;
    constraints.required(parameters.item.is_some(), "item");
    constraints.check()?;
    write.check_mixing(call.wording)?;
    let item = parameters.item.expect("required");
    check_fault(item.fault, call.wording)?;
    write.check_values(call.wording)?;
    checked.check_old_values_only(call.wording)?;
    check_size(item.map)?;
    let condition = write.bind_condition(call, arena)?;
    let table = call.table(checked.table_name)?;
    let key = PrimaryKey::from_item(table.definition(), item.map, ItemKeyWording::Named)?;
    check_index_keys(table.definition(), item.map, false)?;
    let action = Action {
        row_key: key.row_key(&table, arena),
        table,
        key: item.map,
        change: Change::Put(EncodedItem::encode(item.map, arena)),
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
