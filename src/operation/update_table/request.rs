//! The parameters of UpdateTable, and the rules that they must keep whatever the table is.

use std::collections::HashSet;

use crate::error::{ApiError, Wording};
use crate::json::reader::structure;
use crate::model::limits::GLOBAL_INDEX_COUNT_MAX;
use crate::model::table::{BillingMode, TableClass};
use crate::operation::shared::constraint::Constraints;
use crate::operation::shared::table_definition::parameters::{
    AttributeDefinition, Definition, GlobalSecondaryIndex, IndexRequest, OnDemandThroughput, ProvisionedThroughput,
    SseSpecification, StreamRequest, StreamSpecification, Units, Unread, WarmThroughput, check_encryption,
    check_table_name, read_billing_mode, read_definitions, read_global_index, read_index_name, read_stream,
    read_throughput,
};
use crate::operation::shared::table_definition::{
    check_units, define_class, require_table_name, table_is_not_provisioned,
};

structure!(Parameters<'a>, "UpdateTableInput", {
    "TableName" => table_name: Option<&'a str>,
    "AttributeDefinitions" => definitions: Option<&'a [Option<AttributeDefinition<'a>>]>,
    "BillingMode" => billing_mode: Option<&'a str>,
    "ProvisionedThroughput" => throughput: Option<ProvisionedThroughput>,
    "GlobalSecondaryIndexUpdates" => index_updates: Option<&'a [Option<GlobalSecondaryIndexUpdate<'a>>]>,
    "StreamSpecification" => stream: Option<StreamSpecification<'a>>,
    "SSESpecification" => encryption: Option<SseSpecification<'a>>,
    "ReplicaUpdates" => replicas: Option<&'a [Option<Unread>]>,
    "TableClass" => class: Option<&'a str>,
    "DeletionProtectionEnabled" => deletion_protection: Option<bool>,
    "MultiRegionConsistency" => consistency: Option<&'a str>,
    "OnDemandThroughput" => on_demand: Option<OnDemandThroughput>,
    "WarmThroughput" => warm: Option<WarmThroughput>,
});

structure!(GlobalSecondaryIndexUpdate<'a>, "GlobalSecondaryIndexUpdate", {
    "Update" => update: Option<UpdateAction<'a>>,
    "Create" => create: Option<GlobalSecondaryIndex<'a>>,
    "Delete" => delete: Option<DeleteAction<'a>>,
});

structure!(UpdateAction<'a>, "UpdateGlobalSecondaryIndexAction", {
    "IndexName" => name: Option<&'a str>,
    "ProvisionedThroughput" => throughput: Option<ProvisionedThroughput>,
    "OnDemandThroughput" => on_demand: Option<OnDemandThroughput>,
    "WarmThroughput" => warm: Option<WarmThroughput>,
});

structure!(DeleteAction<'a>, "DeleteGlobalSecondaryIndexAction", {
    "IndexName" => name: Option<&'a str>,
});

/// A request that is sound by itself: it asks for something, and for nothing that excludes something else of it.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub table_name: &'a str,
    pub definitions: Option<Vec<Definition<'a>>>,
    pub billing_mode: Option<BillingMode>,
    pub units: Option<Units>,
    /// Each of another index.
    pub index_actions: Vec<IndexAction<'a>>,
    pub stream: Option<StreamRequest>,
    pub encryption: Option<SseSpecification<'a>>,
    pub class: Option<TableClass>,
    pub deletion_protection: Option<bool>,
    pub on_demand: Option<OnDemandThroughput>,
    pub warm: Option<WarmThroughput>,
}

/// What is to become of a global index.
#[derive(Debug)]
pub(super) enum IndexAction<'a> {
    Update(IndexUpdate<'a>),
    Create(IndexRequest<'a>),
    Delete(&'a str),
}

/// New settings of a global index.
#[derive(Clone, Copy, Debug)]
pub(super) struct IndexUpdate<'a> {
    pub name: &'a str,
    pub units: Option<Units>,
    pub on_demand: Option<OnDemandThroughput>,
    pub warm: Option<WarmThroughput>,
}

impl<'a> IndexAction<'a> {
    pub fn name(&self) -> &'a str {
        match self {
            IndexAction::Update(update) => update.name,
            IndexAction::Create(index) => index.name,
            IndexAction::Delete(name) => name,
        }
    }

    fn is_update(&self) -> bool {
        matches!(self, IndexAction::Update(_))
    }
}

impl<'a> Request<'a> {
    /// The index to be deleted: at most one in a request that is granted.
    pub fn deleted_index(&self) -> Option<&'a str> {
        self.index_actions.iter().find_map(|action| match action {
            IndexAction::Delete(name) => Some(*name),
            IndexAction::Create(_) | IndexAction::Update(_) => None,
        })
    }

    pub fn read(parameters: &Parameters<'a>) -> Result<Request<'a>, ApiError> {
        let table_name = require_table_name(parameters.table_name)?;
        let mut constraints = Constraints::new(Wording::Older);
        let definitions = parameters.definitions.map(|list| read_definitions(list, &mut constraints));
        check_table_name(table_name, &mut constraints);
        let billing_mode = read_billing_mode(parameters.billing_mode, &mut constraints);
        let units = read_throughput(parameters.throughput, "provisionedThroughput", &mut constraints);
        let index_updates = parameters.index_updates.unwrap_or_default();
        let index_actions = read_index_updates(index_updates, &mut constraints);
        let stream = read_stream(parameters.stream, &mut constraints);
        check_encryption(parameters.encryption, &mut constraints);
        if let Some(replicas) = parameters.replicas {
            constraints.length(replicas.len(), (1, usize::MAX), "[]", "replicaUpdates");
        }
        constraints.check()?;

        check_kinds_present(parameters)?;
        check_table_throughput(billing_mode, units)?;
        let index_actions = flatten(index_actions)?;
        check_exclusive(parameters, &index_actions)?;
        check_stream(stream)?;
        if parameters.replicas.is_some() || parameters.consistency.is_some() {
            return Err(replicas_unsupported());
        }
        Ok(Request {
            table_name,
            definitions,
            billing_mode,
            units,
            index_actions,
            stream,
            encryption: parameters.encryption,
            class: define_class(parameters.class)?,
            deletion_protection: parameters.deletion_protection,
            on_demand: parameters.on_demand,
            warm: parameters.warm,
        })
    }
}

/// The actions of each element; a valid one has one.
fn read_index_updates<'a>(
    updates: &[Option<GlobalSecondaryIndexUpdate<'a>>],
    constraints: &mut Constraints,
) -> Vec<Vec<IndexAction<'a>>> {
    // One more than a table can have: then an index is named twice, is not there, or is one too many.
    let elements = updates.iter().take(GLOBAL_INDEX_COUNT_MAX + 1).enumerate();
    elements
        .map(|(index, element)| {
            let element = element.unwrap_or_default();
            let path = format!("globalSecondaryIndexUpdates.{}.member", index + 1);
            let update = element.update.map(|update| {
                let path = format!("{path}.update");
                IndexAction::Update(IndexUpdate {
                    name: read_index_name(update.name, &path, constraints),
                    units: read_throughput(update.throughput, &format!("{path}.provisionedThroughput"), constraints),
                    on_demand: update.on_demand,
                    warm: update.warm,
                })
            });
            let create = element
                .create
                .map(|create| IndexAction::Create(read_global_index(&create, &format!("{path}.create"), constraints)));
            let delete = element.delete.map(|delete| {
                IndexAction::Delete(read_index_name(delete.name, &format!("{path}.delete"), constraints))
            });
            [update, create, delete].into_iter().flatten().collect()
        })
        .collect()
}

/// One action of each element, each of another index.
fn flatten<'a>(elements: Vec<Vec<IndexAction<'a>>>) -> Result<Vec<IndexAction<'a>>, ApiError> {
    let mut names = HashSet::new();
    let mut actions = Vec::with_capacity(elements.len());
    for mut element in elements {
        let Some(action) = element.pop() else {
            return Err(ApiError::invalid_parameters(
                "One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, \
                 GlobalSecondaryIndexUpdate.Delete must not be null",
            ));
        };
        if !element.is_empty() {
            return Err(ApiError::invalid_parameters(
                "Only one global secondary index action is allowed per GlobalSecondaryIndexUpdate object",
            ));
        }
        if !names.insert(action.name()) {
            return Err(ApiError::invalid_parameters(format_args!(
                "Only one global secondary index update per index is allowed simultaneously. Index: {}",
                action.name()
            )));
        }
        if let IndexAction::Update(IndexUpdate { name, units: Some(units), .. }) = action {
            check_units(units, Some(name))?;
        }
        actions.push(action);
    }
    Ok(actions)
}

fn check_kinds_present(parameters: &Parameters<'_>) -> Result<(), ApiError> {
    let present = [
        parameters.throughput.is_some(),
        parameters.billing_mode.is_some(),
        parameters.stream.is_some(),
        has_index_updates(parameters),
        parameters.encryption.is_some(),
        parameters.replicas.is_some(),
        parameters.consistency.is_some(),
        parameters.deletion_protection.is_some(),
        parameters.on_demand.is_some(),
        parameters.warm.is_some(),
        parameters.class.is_some(),
    ];
    if present.contains(&true) {
        return Ok(());
    }
    Err(ApiError::validation(
        "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates, \
         SSESpecification, ReplicaUpdates, MultiAccountReplicaReady, ReplicaTransitRoleArn, MultiRegionConsistency, \
         DeletionProtectionEnabled, OnDemandThroughput, WarmThroughput or TableClass is required",
    ))
}

fn has_index_updates(parameters: &Parameters<'_>) -> bool {
    parameters.index_updates.is_some_and(|updates| !updates.is_empty())
}

fn check_table_throughput(billing_mode: Option<BillingMode>, units: Option<Units>) -> Result<(), ApiError> {
    match (billing_mode, units) {
        (Some(BillingMode::Provisioned), None) => {
            Err(ApiError::invalid_parameters("ProvisionedThroughput must be specified when BillingMode is PROVISIONED"))
        }
        (Some(BillingMode::PayPerRequest), Some(_)) => Err(table_is_not_provisioned()),
        (_, Some(units)) => check_units(units, None),
        (_, None) => Ok(()),
    }
}

/// Refuses changes that AWS makes only one at a time.
fn check_exclusive(parameters: &Parameters<'_>, index_actions: &[IndexAction<'_>]) -> Result<(), ApiError> {
    let units = parameters.throughput.is_some() || parameters.billing_mode.is_some();
    let stream = parameters.stream.is_some();
    let makes_indexes = index_actions.iter().any(|action| !action.is_update());
    let kinds = [
        ("TableClass", parameters.class.is_some()),
        ("DeletionProtection", parameters.deletion_protection.is_some()),
        ("Replica", parameters.replicas.is_some()),
        ("Server-Side Encryption", parameters.encryption.is_some()),
    ];
    let others = [
        units,
        stream,
        !index_actions.is_empty(),
        parameters.on_demand.is_some(),
        parameters.warm.is_some(),
        parameters.consistency.is_some(),
    ];
    let count = kinds.iter().map(|(_, present)| present).chain(&others).filter(|present| **present).count();
    let text = if let Some((name, _)) = kinds.iter().find(|(_, present)| *present && count > 1) {
        format!("{name} modification must be the only operation in the request")
    } else if stream && units {
        "You cannot modify stream status while updating table IOPS".to_owned()
    } else if makes_indexes && units {
        "You cannot create or delete index while updating table IOPS".to_owned()
    } else if makes_indexes && stream {
        "You cannot create or delete index while changing stream status".to_owned()
    } else if parameters.on_demand.is_some() && (count > 1 + usize::from(units) || parameters.throughput.is_some()) {
        "OnDemandThroughput can only be combined with BillingMode in an UpdateTable request".to_owned()
    } else {
        return Ok(());
    };
    Err(ApiError::invalid_parameters(text))
}

fn check_stream(stream: Option<StreamRequest>) -> Result<(), ApiError> {
    match stream {
        Some(StreamRequest { enabled: true, view: None }) => {
            Err(ApiError::invalid_parameters("If stream is being enabled then UpdateViewType is required"))
        }
        Some(StreamRequest { enabled: false, view: Some(_) }) => {
            Err(ApiError::invalid_parameters("If stream is being disabled, then UpdateViewType must not be specified"))
        }
        _ => Ok(()),
    }
}

fn replicas_unsupported() -> ApiError {
    ApiError::validation(
        "This server has no other regions: ReplicaUpdates and MultiRegionConsistency are not supported",
    )
}
