//! CreateTable: checks a definition and puts it into the catalog. The table is usable when the answer is sent.

use std::sync::Arc;

use super::call::Call;
use super::shared::constraint::Constraints;
use super::shared::resource_arn::{TagParameter, define_tags, read_tags};
use super::shared::table_definition::parameters::{
    AttributeDefinition, GlobalSecondaryIndex, KeySchemaElement, LocalSecondaryIndex, OnDemandThroughput,
    ProvisionedThroughput, SseSpecification, StreamSpecification, WarmThroughput, check_encryption, check_identifier,
    read_billing_mode, read_definitions, read_global_indexes, read_key, read_local_indexes, read_stream,
    read_throughput,
};
use super::shared::table_definition::{
    Definitions, IndexContext, check_units, define_class, define_encryption, define_indexes, define_key,
    define_on_demand_limits, define_stream, define_warm_units, provisioned, require_table_name, table_exists,
    table_is_not_provisioned,
};
use super::shared::table_description::{View, write_answer};
use super::worker::{Failure, RequestMemory};
use crate::error::{ApiError, Wording};
use crate::json::decode;
use crate::json::reader::structure;
use crate::model::TableDefinition;
use crate::model::arn::Location;
use crate::model::limits::TABLE_COUNT_MAX;
use crate::model::table::{BillingMode, Throughput};
use crate::storage::Table;

structure!(Parameters<'a>, "CreateTableInput", {
    "TableName" => table_name: Option<&'a str>,
    "AttributeDefinitions" => definitions: Option<&'a [Option<AttributeDefinition<'a>>]>,
    "KeySchema" => key: Option<&'a [Option<KeySchemaElement<'a>>]>,
    "GlobalSecondaryIndexes" => global_indexes: Option<&'a [Option<GlobalSecondaryIndex<'a>>]>,
    "LocalSecondaryIndexes" => local_indexes: Option<&'a [Option<LocalSecondaryIndex<'a>>]>,
    "BillingMode" => billing_mode: Option<&'a str>,
    "ProvisionedThroughput" => throughput: Option<ProvisionedThroughput>,
    "OnDemandThroughput" => on_demand: Option<OnDemandThroughput>,
    "WarmThroughput" => warm: Option<WarmThroughput>,
    "StreamSpecification" => stream: Option<StreamSpecification<'a>>,
    "SSESpecification" => encryption: Option<SseSpecification<'a>>,
    "TableClass" => class: Option<&'a str>,
    "DeletionProtectionEnabled" => deletion_protection: Option<bool>,
    "Tags" => tags: Option<&'a [Option<TagParameter<'a>>]>,
});

pub(super) fn run(call: &mut Call<'_>, memory: &RequestMemory) -> Result<(), Failure> {
    let service = call.service;
    let parameters: Parameters<'_> = decode(&memory.body, &memory.arena)?;
    let definition = define(&parameters, &service.location, service.clock.now_ms())?;
    let table = service.store.alter(move |draft| -> Result<Arc<Table>, Failure> {
        if draft.catalog().table(&definition.name).is_some() {
            return Err(table_exists(&definition.name).into());
        }
        if draft.catalog().tables().len() >= TABLE_COUNT_MAX {
            let limit = format_args!("There is a limit of {TABLE_COUNT_MAX} tables per subscriber");
            return Err(ApiError::limit_exceeded(limit).into());
        }
        Ok(draft.create(definition)?)
    })?;
    write_answer("TableDescription", &table, &service.location, View::Created, &mut call.writer());
    Ok(())
}

/// The table that the parameters describe; its `id` is the store's to give.
pub(super) fn define(
    parameters: &Parameters<'_>,
    location: &Location,
    now_ms: u64,
) -> Result<TableDefinition, ApiError> {
    let name = require_table_name(parameters.table_name)?;
    let mut constraints = Constraints::new(Wording::Older);
    constraints.required(parameters.definitions.is_some(), "attributeDefinitions");
    let definitions = read_definitions(parameters.definitions.unwrap_or_default(), &mut constraints);
    check_identifier(name, "tableName", &mut constraints);
    let billing_mode = read_billing_mode(parameters.billing_mode, &mut constraints);
    let units = read_throughput(parameters.throughput, "provisionedThroughput", &mut constraints);
    let key = read_key(parameters.key, (2, true), "keySchema", &mut constraints);
    let global = parameters.global_indexes.map(|list| read_global_indexes(list, &mut constraints));
    let local = parameters.local_indexes.map(|list| read_local_indexes(list, &mut constraints));
    let stream = read_stream(parameters.stream, &mut constraints);
    check_encryption(parameters.encryption, &mut constraints);
    let tags = read_tags(parameters.tags.unwrap_or_default(), &mut constraints);
    constraints.check()?;

    let billing_mode = billing_mode.unwrap_or(BillingMode::Provisioned);
    let mut throughput = match (billing_mode, units) {
        (BillingMode::PayPerRequest, Some(_)) => return Err(table_is_not_provisioned()),
        (BillingMode::PayPerRequest, None) => Throughput::default(),
        (BillingMode::Provisioned, None) => {
            return Err(ApiError::invalid_parameters(
                "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
            ));
        }
        (BillingMode::Provisioned, Some(units)) => {
            check_units(units, None)?;
            provisioned(units)
        }
    };

    let definitions = Definitions::new(&definitions);
    if key.len() > definitions.len() {
        return Err(ApiError::validation("Invalid KeySchema: Some index key attribute have no definition"));
    }
    let key = define_key(&key, &definitions)?;
    if global.is_none() && local.is_none() && definitions.len() != key.len() {
        return Err(ApiError::invalid_parameters(
            "Number of attributes in KeySchema does not exactly match number of attributes defined in \
             AttributeDefinitions",
        ));
    }
    definitions.check_distinct()?;
    let context = IndexContext { definitions: &definitions, table_key: &key, billing_mode };
    let indexes = define_indexes(global.as_deref(), local.as_deref(), context)?;
    definitions.check_used(&key, &indexes)?;

    let stream = define_stream(stream, now_ms)?;
    let class = define_class(parameters.class)?;
    let encryption = define_encryption(parameters.encryption.unwrap_or_default(), location)?;
    let on_demand_limits = define_on_demand_limits(parameters.on_demand, None, billing_mode, "table")?;
    throughput.warm_units = define_warm_units(parameters.warm, &throughput, billing_mode, "table")?;
    Ok(TableDefinition {
        name: name.to_owned(),
        id: 0,
        uuid: uuid::Uuid::new_v4().to_string(),
        created_ms: now_ms,
        key,
        // Numbers are given from 1 up, to at most 25 indexes.
        next_index_number: indexes.len() as u16 + 1,
        indexes,
        billing_mode,
        on_demand_since_ms: (billing_mode == BillingMode::PayPerRequest).then_some(now_ms),
        throughput,
        on_demand_limits,
        deletion_protection: parameters.deletion_protection.unwrap_or_default(),
        deletion_protection_changed_ms: None,
        class,
        stream,
        encryption,
        tags: define_tags(&tags)?,
    })
}

#[cfg(test)]
mod tests;
