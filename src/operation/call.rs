//! What a request runs in: the service, the worker's caches, the tier of its reads, the answer's buffer.

use std::sync::Arc;

use super::worker::Failure;
use crate::clock::Clock;
use crate::error::{ApiError, Wording};
use crate::expression::cache::Cache;
use crate::json::Writer;
use crate::model::arn::Location;
use crate::storage::{Catalog, Store, Table, Tier};

/// What all threads share.
pub struct Service {
    pub store: Store,
    /// What this server's ARNs say.
    pub location: Location,
    /// Host and port that DescribeEndpoints gives.
    pub endpoint: String,
    pub clock: Clock,
}

/// One execution of one request.
pub(super) struct Call<'w> {
    pub service: &'w Service,
    /// Expressions parsed before on this thread.
    pub expressions: &'w mut Cache,
    pub wording: Wording,
    /// Where reads may go: memory only on the loop, the disk on the pool.
    pub tier: Tier,
    /// The answer's body; whatever is in it when an error is returned is dropped.
    pub out: &'w mut Vec<u8>,
}

impl Call<'_> {
    pub fn writer(&mut self) -> Writer<'_> {
        Writer::new(self.out)
    }

    /// The table that a data operation names, by name or ARN.
    pub fn table(&self, name: &str) -> Result<Arc<Table>, ApiError> {
        let name = self.table_name(name).ok_or_else(ApiError::resource_not_found)?;
        self.service.store.table(name).ok_or_else(ApiError::resource_not_found)
    }

    /// The tables of a transaction's actions, all from one moment: with two versions of a table, its report would count
    /// it twice.
    pub fn tables<'n>(&self, names: impl Iterator<Item = &'n str>) -> Result<Vec<Arc<Table>>, ApiError> {
        let catalog = self.catalog();
        let find = |name| catalog.table(self.table_name(name)?).cloned();
        names.map(|name| find(name).ok_or_else(ApiError::resource_not_found)).collect()
    }

    /// A table's name given by name or ARN; `None` for an ARN of another region or account.
    pub fn table_name<'n>(&self, name: &'n str) -> Option<&'n str> {
        if name.starts_with("arn:") { self.service.location.table_name(name) } else { Some(name) }
    }

    pub fn catalog(&self) -> Arc<Catalog> {
        self.service.store.catalog()
    }

    /// On the loop, memory alone may answer.
    pub fn on_loop(&self) -> bool {
        matches!(self.tier, Tier::Memory)
    }

    /// Leaves the loop for the pool, where the request is run again from its start.
    pub fn require_pool(&self) -> Result<(), Failure> {
        if self.on_loop() { Err(Failure::WouldBlock) } else { Ok(()) }
    }
}
