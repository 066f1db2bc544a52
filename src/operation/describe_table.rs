//! DescribeTable: the definition, and the live counts of items and bytes.

use super::call::Call;
use super::shared::table_definition::parameters::{TableNameParameter, read_table_name};
use super::shared::table_description::{View, write_answer};
use super::worker::{Failure, RequestMemory};
use crate::error::ApiError;
use crate::json::decode;

pub(super) fn run(call: &mut Call<'_>, memory: &RequestMemory) -> Result<(), Failure> {
    let parameters: TableNameParameter<'_> = decode(&memory.body, &memory.arena)?;
    let given = read_table_name(&parameters)?;
    let catalog = call.catalog();
    let name = call.table_name(given).unwrap_or(given);
    let table = catalog.table(name).ok_or_else(|| ApiError::table_not_found(name))?;
    let location = &call.service.location;
    write_answer("Table", table, location, View::Active, &mut call.writer());
    Ok(())
}
