//! UpdateTable: one change of a table's settings, or a global index that is added or taken away.
//!
//! ```text
//! JSON -> Request::read          rules that the request must keep by itself
//!      -> change::apply          rules between the request and the table, on a snapshot: the new definition
//!      -> Store::alter           replaces the definition if it is still the snapshot's, else once more from there
//!                                a new index: storage fills it, then sets it ACTIVE; a deleted one is gone at once
//! ```

use std::sync::Arc;

use super::call::Call;
use super::shared::table_description::{View, write_answer, write_index_deletion};
use super::worker::{Failure, RequestMemory};
use crate::error::ApiError;
use crate::json::decode;
use crate::storage::Table;

/// A request applied to a definition.
mod change;

/// Parameters, and what they must keep by themselves.
mod request;

use request::{Parameters, Request};

pub(super) fn run(call: &mut Call<'_>, memory: &RequestMemory) -> Result<(), Failure> {
    let service = call.service;
    let parameters: Parameters<'_> = decode(&memory.body, &memory.arena)?;
    let request = Request::read(&parameters)?;
    let name = call.table_name(request.table_name).unwrap_or(request.table_name);
    // A round is repeated only after another alteration got in between: one of them always succeeds.
    loop {
        let found = Arc::clone(call.catalog().table(name).ok_or_else(|| ApiError::table_not_found(name))?);
        let definition = change::apply(&request, found.definition(), &service.location, service.clock.now_ms())?;
        let before = Arc::clone(&found);
        let replaced = service.store.alter(move |draft| -> Result<Option<Arc<Table>>, Failure> {
            let current = draft.catalog().table(found.name());
            if !current.is_some_and(|current| Arc::ptr_eq(current, &found)) {
                return Ok(None);
            }
            Ok(Some(draft.replace(&found, definition)?))
        })?;
        if let Some(table) = replaced {
            if let Some(index) = request.deleted_index() {
                write_index_deletion(&before, index, &service.location, &mut call.writer());
                return Ok(());
            }
            let view = if request.deletion_protection.is_some() { View::Active } else { View::Updating };
            write_answer("TableDescription", &table, &service.location, view, &mut call.writer());
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests;
