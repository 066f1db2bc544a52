//! A sound request applied to the definition of a table.
//!
//! An index being created is in AWS's phase of back-filling from the first moment, because nothing has to be allocated
//! for it. So it may be deleted, and everything else about the table and its indexes may be changed; only no other
//! index may be created or deleted, and no other created under its name.

use super::request::{IndexAction, IndexUpdate, Request};
use crate::error::{ApiError, ErrorKind};
use crate::model::arn::Location;
use crate::model::limits::GLOBAL_INDEX_COUNT_MAX;
use crate::model::table::{BillingMode, IndexStatus, StreamDefinition, StreamView, Throughput};
use crate::model::{IndexDefinition, TableDefinition};
use crate::operation::shared::table_definition::parameters::{IndexRequest, StreamRequest, Units};
use crate::operation::shared::table_definition::{
    Definitions, IndexContext, check_non_key_attribute_total, define_encryption, define_global_index,
    define_on_demand_limits, define_warm_units, index_is_not_provisioned, table_is_not_provisioned, utc_label,
};

/// How long DeletionProtectionEnabled stays as it was set.
const DELETION_PROTECTION_COOLDOWN_MS: u64 = 15_000;

/// The table as the request wants it.
pub(super) fn apply(
    request: &Request<'_>,
    current: &TableDefinition,
    location: &Location,
    now_ms: u64,
) -> Result<TableDefinition, ApiError> {
    let mut table = current.clone();
    set_billing_mode(request, &mut table, now_ms)?;
    let created = check_indexes(request, current, table.billing_mode)?;
    set_throughput(request, current, &mut table, now_ms)?;
    for action in &request.index_actions {
        if let IndexAction::Update(update) = action {
            set_index(update, current, &mut table, now_ms)?;
        }
    }
    check_index_count(request, current)?;
    for index in created {
        add_index(index, &mut table)?;
    }
    table.indexes.retain(|index| request.deleted_index() != Some(&index.name));
    table.on_demand_limits =
        define_on_demand_limits(request.on_demand, table.on_demand_limits, table.billing_mode, "table")?;
    table.throughput.warm_units = define_warm_units(request.warm, &table.throughput, table.billing_mode, "table")?;
    if let Some(stream) = request.stream {
        set_stream(stream, &mut table, now_ms)?;
    }
    if let Some(encryption) = request.encryption {
        table.encryption = define_encryption(encryption, location)?;
    }
    if request.class.is_some() {
        table.class = request.class;
    }
    if let Some(enabled) = request.deletion_protection {
        set_deletion_protection(enabled, &mut table, now_ms)?;
    }
    Ok(table)
}

/// Changes the mode and what depends on it; units are set afterwards.
fn set_billing_mode(request: &Request<'_>, table: &mut TableDefinition, now_ms: u64) -> Result<(), ApiError> {
    let mode = request.billing_mode.unwrap_or(table.billing_mode);
    if mode == BillingMode::PayPerRequest && request.units.is_some() {
        return Err(table_is_not_provisioned());
    }
    if mode == table.billing_mode {
        return Ok(());
    }
    table.billing_mode = mode;
    match mode {
        BillingMode::PayPerRequest => {
            table.on_demand_since_ms = Some(now_ms);
            clear_units(&mut table.throughput);
            table.indexes.iter_mut().for_each(|index| clear_units(&mut index.throughput));
        }
        BillingMode::Provisioned => {
            for index in table.global_indexes() {
                let has_units = |action: &IndexAction<'_>| match action {
                    IndexAction::Update(update) => update.name == index.name && update.units.is_some(),
                    IndexAction::Create(_) | IndexAction::Delete(_) => false,
                };
                if !request.index_actions.iter().any(has_units) {
                    return Err(ApiError::invalid_parameters(format_args!(
                        "ProvisionedThroughput must be specified for index: {}",
                        index.name
                    )));
                }
            }
            table.on_demand_limits = None;
            table.indexes.iter_mut().for_each(|index| index.on_demand_limits = None);
        }
    }
    Ok(())
}

fn clear_units(throughput: &mut Throughput) {
    *throughput = Throughput { warm_units: throughput.warm_units, ..Throughput::default() };
}

/// Each action against the indexes that there are. Returns those to be created.
fn check_indexes(
    request: &Request<'_>,
    table: &TableDefinition,
    billing_mode: BillingMode,
) -> Result<Vec<IndexDefinition>, ApiError> {
    let mut created = Vec::new();
    for action in &request.index_actions {
        let found = table.index(action.name());
        match action {
            IndexAction::Create(index) => {
                if let Some(found) = found {
                    return Err(index_exists(found, &table.name));
                }
                created.push(define_new_index(index, request, table, billing_mode)?);
            }
            IndexAction::Delete(name) if found.is_some_and(|index| !index.is_global()) => {
                return Err(ApiError::validation(format!(
                    "Cannot delete an index that is not a GlobalSecondaryIndex: {name}"
                )));
            }
            IndexAction::Delete(_) | IndexAction::Update(_) => {
                found.filter(|index| index.is_global()).ok_or_else(|| index_not_found(action.name(), &table.name))?;
            }
        }
    }
    Ok(created)
}

/// A new index must be described by this request alone: stored definitions of attributes do not count. But what is
/// defined already keeps its type, whatever the request says.
fn define_new_index(
    index: &IndexRequest<'_>,
    request: &Request<'_>,
    table: &TableDefinition,
    billing_mode: BillingMode,
) -> Result<IndexDefinition, ApiError> {
    let Some(definitions) = &request.definitions else {
        return Err(ApiError::invalid_parameters(format_args!(
            "AttributeDefinitions is not specified for index: {}",
            index.name
        )));
    };
    let definitions = Definitions::new(definitions);
    definitions.check_distinct()?;
    let context = IndexContext { definitions: &definitions, table_key: &table.key, billing_mode };
    let mut index = define_global_index(index, context)?;
    let stored = table.attribute_definitions();
    for attribute in index.key.hash.iter_mut().chain(&mut index.key.range) {
        if let Some(stored) = stored.iter().find(|stored| stored.name == attribute.name) {
            attribute.kind = stored.kind;
        }
    }
    Ok(index)
}

/// Adds an index that is filled from now on.
fn add_index(mut index: IndexDefinition, table: &mut TableDefinition) -> Result<(), ApiError> {
    index.number = table.next_index_number;
    index.status = IndexStatus::Creating;
    table.next_index_number = index
        .number
        .checked_add(1)
        .ok_or_else(|| ApiError::limit_exceeded("Number of indexes ever created exceeds what the table can number"))?;
    table.indexes.push(index);
    check_non_key_attribute_total(&table.indexes)
}

fn check_index_count(request: &Request<'_>, table: &TableDefinition) -> Result<(), ApiError> {
    let creations = request.index_actions.iter().filter(|action| matches!(action, IndexAction::Create(_))).count();
    let deletions = request.index_actions.iter().filter(|action| matches!(action, IndexAction::Delete(_))).count();
    // Only the index that is being created can be deleted meanwhile.
    let is_in_the_way =
        |index: &IndexDefinition| index.status == IndexStatus::Creating && request.deleted_index() != Some(&index.name);
    let is_busy = table.indexes.iter().any(is_in_the_way);
    if creations + deletions > 1 || creations + deletions == 1 && is_busy {
        return Err(ApiError::limit_exceeded("Only 1 online index can be created or deleted simultaneously per table"));
    }
    if table.global_indexes().count() + creations > GLOBAL_INDEX_COUNT_MAX {
        return Err(ApiError::limit_exceeded(format_args!(
            "Number of global secondary indexes exceeds per-table limit of {GLOBAL_INDEX_COUNT_MAX}"
        )));
    }
    Ok(())
}

/// Units of the table; the mode of `table` is already the new one.
fn set_throughput(
    request: &Request<'_>,
    current: &TableDefinition,
    table: &mut TableDefinition,
    now_ms: u64,
) -> Result<(), ApiError> {
    let Some(units) = request.units else { return Ok(()) };
    if current.billing_mode == BillingMode::Provisioned {
        check_differs(units, &current.throughput, "the table", "the table")?;
    }
    set_units(&mut table.throughput, units, now_ms);
    Ok(())
}

/// Settings of an index that is there.
fn set_index(
    update: &IndexUpdate<'_>,
    current: &TableDefinition,
    table: &mut TableDefinition,
    now_ms: u64,
) -> Result<(), ApiError> {
    let billing_mode = table.billing_mode;
    let index = table.indexes.iter_mut().find(|index| index.name == update.name);
    let index = index.ok_or_else(|| index_not_found(update.name, &current.name))?;
    if let Some(units) = update.units {
        if billing_mode == BillingMode::PayPerRequest {
            return Err(index_is_not_provisioned(update.name));
        }
        if current.billing_mode == BillingMode::Provisioned {
            let of = format!("index {}", update.name);
            check_differs(units, &index.throughput, &format!("the {of}"), &of)?;
        }
        set_units(&mut index.throughput, units, now_ms);
    } else if update.on_demand.is_none() && update.warm.is_none() {
        return Err(ApiError::invalid_parameters(format_args!(
            "ProvisionedThroughput is not specified for index: {}",
            update.name
        )));
    }
    let [limits, warm] = [format!("index: {}", update.name), format!("index {}", update.name)];
    index.on_demand_limits = define_on_demand_limits(update.on_demand, index.on_demand_limits, billing_mode, &limits)?;
    index.throughput.warm_units = define_warm_units(update.warm, &index.throughput, billing_mode, &warm)?;
    Ok(())
}

fn check_differs(units: Units, current: &Throughput, of: &str, short: &str) -> Result<(), ApiError> {
    let Throughput { read_units, write_units, .. } = *current;
    if (units.read, units.write) != (read_units, write_units) {
        return Ok(());
    }
    Err(ApiError::validation(format!(
        "The provisioned throughput for {of} will not change. The requested value equals the current value. Current \
         ReadCapacityUnits provisioned for {short}: {read_units}. Requested ReadCapacityUnits: {}. Current \
         WriteCapacityUnits provisioned for {short}: {write_units}. Requested WriteCapacityUnits: {}. Refer to the \
         Amazon DynamoDB Developer Guide for current limits and how to request higher limits.",
        units.read, units.write,
    )))
}

fn set_units(throughput: &mut Throughput, units: Units, now_ms: u64) {
    if units.read > throughput.read_units || units.write > throughput.write_units {
        throughput.last_increase_ms = Some(now_ms);
    }
    if units.read < throughput.read_units || units.write < throughput.write_units {
        throughput.last_decrease_ms = Some(now_ms);
    }
    throughput.read_units = units.read;
    throughput.write_units = units.write;
}

fn set_stream(request: StreamRequest, table: &mut TableDefinition, now_ms: u64) -> Result<(), ApiError> {
    let enabled = table.stream.as_mut().filter(|stream| stream.enabled);
    match (request.view, enabled) {
        (Some(_), Some(_)) => {
            Err(ApiError::validation(format!("Table already has an enabled stream: TableName: {}", table.name)))
        }
        (Some(view), None) => {
            table.stream = Some(new_stream(view, table.stream.as_ref(), now_ms));
            Ok(())
        }
        (None, Some(stream)) => {
            stream.enabled = false;
            Ok(())
        }
        (None, None) => Err(ApiError::validation(format!("Table has no stream to disable: TableName: {}", table.name))),
    }
}

/// A stream whose label, and so whose ARN, is not that of the one before it.
fn new_stream(view: StreamView, previous: Option<&StreamDefinition>, now_ms: u64) -> StreamDefinition {
    let is_taken = |label: &String| previous.is_some_and(|previous| previous.label == *label);
    let label = Some(utc_label(now_ms)).filter(|label| !is_taken(label)).unwrap_or_else(|| utc_label(now_ms + 1));
    StreamDefinition { view, label, enabled: true }
}

fn set_deletion_protection(enabled: bool, table: &mut TableDefinition, now_ms: u64) -> Result<(), ApiError> {
    if enabled == table.deletion_protection {
        return Ok(());
    }
    let until_ms = table.deletion_protection_changed_ms.map(|changed_ms| changed_ms + DELETION_PROTECTION_COOLDOWN_MS);
    if let Some(until_ms) = until_ms.filter(|until_ms| now_ms < *until_ms) {
        return Err(ApiError::new(
            ErrorKind::Throttling,
            format!(
                "Deletion protection setting for table {} modified within the previous \
                 {DELETION_PROTECTION_COOLDOWN_MS} milliseconds. Please try again after {}Z",
                table.name,
                utc_label(until_ms)
            ),
        ));
    }
    table.deletion_protection = enabled;
    table.deletion_protection_changed_ms = Some(now_ms);
    Ok(())
}

/// AWS names the state of an index that is not ACTIVE yet, with two blanks after the full stop.
fn index_exists(index: &IndexDefinition, table: &str) -> ApiError {
    match index.status {
        IndexStatus::Creating => {
            ApiError::resource_in_use(format_args!("Index is being created.  Table: {table} Index: {}", index.name))
        }
        IndexStatus::Active | IndexStatus::Deleting => {
            ApiError::validation("Attempting to create an index which already exists")
        }
    }
}

fn index_not_found(index: &str, table: &str) -> ApiError {
    ApiError::new(ErrorKind::ResourceNotFound, format!("Requested resource not found: Index {index} for table {table}"))
}
