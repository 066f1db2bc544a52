//! The operation table: dispatch, metrics and documentation derive from it.

use super::call::Call;
use super::plan::Plan;
use super::worker::{Failure, RequestMemory};
use super::*;
use crate::error::{ApiError, Wording};

/// One operation of the API.
#[derive(Debug)]
pub struct Operation {
    /// The part of X-Amz-Target after the dot.
    pub name: &'static str,
    /// Which wording its parameter checks are answered in.
    pub wording: Wording,
    pub(super) run: Run,
}

/// How an operation runs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Run {
    /// On the loop, as long as memory can answer.
    Read(for<'a> fn(&mut Call<'_>, &'a RequestMemory) -> Result<(), Failure>),
    /// On the pool, because it takes long or changes the catalog.
    Long(for<'a> fn(&mut Call<'_>, &'a RequestMemory) -> Result<(), Failure>),
    /// Decoded on the loop, decided by the committer.
    Write(for<'a> fn(&mut Call<'_>, &'a RequestMemory) -> Result<Plan<'a>, ApiError>),
}

/// Every operation, by name.
pub static OPERATIONS: [Operation; 20] = [
    Operation { name: "BatchGetItem", wording: Wording::Current, run: Run::Read(batch_get_item::run) },
    Operation { name: "BatchWriteItem", wording: Wording::Older, run: Run::Write(batch_write_item::plan) },
    Operation { name: "CreateTable", wording: Wording::Older, run: Run::Long(create_table::run) },
    Operation { name: "DeleteItem", wording: Wording::Enveloped, run: Run::Write(delete_item::plan) },
    Operation { name: "DeleteTable", wording: Wording::Older, run: Run::Long(delete_table::run) },
    Operation { name: "DescribeEndpoints", wording: Wording::Older, run: Run::Read(describe_endpoints::run) },
    Operation { name: "DescribeLimits", wording: Wording::Older, run: Run::Read(describe_limits::run) },
    Operation { name: "DescribeTable", wording: Wording::Older, run: Run::Read(describe_table::run) },
    Operation { name: "GetItem", wording: Wording::Current, run: Run::Read(get_item::run) },
    Operation { name: "ListTables", wording: Wording::Older, run: Run::Read(list_tables::run) },
    Operation { name: "ListTagsOfResource", wording: Wording::Older, run: Run::Read(list_tags_of_resource::run) },
    Operation { name: "PutItem", wording: Wording::Enveloped, run: Run::Write(put_item::plan) },
    Operation { name: "Query", wording: Wording::Current, run: Run::Read(query::run) },
    Operation { name: "Scan", wording: Wording::Older, run: Run::Long(scan::run) },
    Operation { name: "TagResource", wording: Wording::Older, run: Run::Long(tag_resource::run) },
    Operation { name: "TransactGetItems", wording: Wording::Older, run: Run::Read(transact_get_items::run) },
    Operation { name: "TransactWriteItems", wording: Wording::Older, run: Run::Write(transact_write_items::plan) },
    Operation { name: "UntagResource", wording: Wording::Older, run: Run::Long(untag_resource::run) },
    Operation { name: "UpdateItem", wording: Wording::Enveloped, run: Run::Write(update_item::plan) },
    Operation { name: "UpdateTable", wording: Wording::Older, run: Run::Long(update_table::run) },
];

impl Operation {
    pub fn find(name: &str) -> Option<&'static Operation> {
        let index = OPERATIONS.binary_search_by(|operation| operation.name.cmp(name)).ok()?;
        Some(&OPERATIONS[index])
    }

    /// Whether it changes tables or their settings. Those of DynamoDB's operations begin with one of five verbs.
    pub fn changes_catalog(&self) -> bool {
        let verbs = ["Create", "Delete", "Update", "Tag", "Untag"];
        matches!(self.run, Run::Long(_)) && verbs.iter().any(|verb| self.name.starts_with(verb))
    }

    /// Its place in [`OPERATIONS`], which holds all there are.
    pub fn index(&'static self) -> usize {
        let distance = std::ptr::from_ref(self).addr() - OPERATIONS.as_ptr().addr();
        distance / size_of::<Operation>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_every_row_is_found() {
        assert!(OPERATIONS.windows(2).all(|pair| pair[0].name < pair[1].name));
        for (index, operation) in OPERATIONS.iter().enumerate() {
            assert_eq!(operation.index(), index);
            assert_eq!(Operation::find(operation.name).map(|found| found.name), Some(operation.name));
        }
        assert!(Operation::find("PutItems").is_none());
        let changing =
            OPERATIONS.iter().filter(|operation| operation.changes_catalog()).map(|operation| operation.name);
        for name in ["CreateTable", "DeleteTable", "TagResource", "UntagResource", "UpdateTable"] {
            assert!(changing.clone().any(|changing| changing == name), "{name}");
        }
        assert!(!changing.clone().any(|name| ["PutItem", "DeleteItem", "Scan", "DescribeTable"].contains(&name)));
    }
}
