//! DeleteTable: drops a table with its items and indexes. It is gone when the answer is sent.
//!
//! While an index is being created the table cannot be deleted, as with AWS: who cannot wait deletes the index first.

use std::sync::Arc;

use super::call::Call;
use super::shared::table_definition::parameters::{TableNameParameter, read_table_name};
use super::shared::table_description::{View, write_answer};
use super::worker::{Failure, RequestMemory};
use crate::error::ApiError;
use crate::json::decode;
use crate::storage::{Table, TableIndex};

pub(super) fn run(call: &mut Call<'_>, memory: &RequestMemory) -> Result<(), Failure> {
    let parameters: TableNameParameter<'_> = decode(&memory.body, &memory.arena)?;
    let given = read_table_name(&parameters)?;
    let name = call.table_name(given).unwrap_or(given).to_owned();
    let service = call.service;
    let table = service.store.alter(move |draft| -> Result<Arc<Table>, Failure> {
        let table = draft.catalog().table(&name).map(Arc::clone).ok_or_else(|| ApiError::table_not_found(&name))?;
        if table.definition().deletion_protection {
            return Err(protected().into());
        }
        if table.indexes().iter().any(TableIndex::is_being_created) {
            let state = "Cannot delete table while indexes are being created, updated, or deleted.";
            return Err(ApiError::resource_in_use(state).into());
        }
        draft.drop_table(&table);
        Ok(table)
    })?;
    write_answer("TableDescription", &table, &service.location, View::Deleting, &mut call.writer());
    Ok(())
}

fn protected() -> ApiError {
    ApiError::validation(
        "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.",
    )
}
