//! Parameters of tables and indexes, and the checks that make a definition of them, for CreateTable and UpdateTable.
//!
//! ```text
//! JSON -> parameters::*        decoded structures: everything optional
//!      -> parameters::read_*   member constraints, collected in one message: required is there, lists are bounded
//!      -> define_*             rules between members, the first broken one is answered
//!      -> model::table::*      stored
//! ```
//!
//! Everything here is a function of its arguments; time and place are among them.

use std::collections::HashMap;

pub use crate::clock::utc_label;
use crate::error::{ApiError, ErrorKind};
use crate::json::Long;
use crate::model::arn::Location;
use crate::model::limits::{
    CAPACITY_UNITS_MAX, GLOBAL_INDEX_COUNT_MAX, INDEX_KEY_ATTRIBUTE_COUNT_MAX, LOCAL_INDEX_COUNT_MAX,
    NON_KEY_ATTRIBUTE_TOTAL_MAX,
};
use crate::model::table::{
    BillingMode, Encryption, IndexKind, IndexStatus, OnDemandLimits, Projection, StreamDefinition, TableClass,
    Throughput,
};
use crate::model::{IndexDefinition, KeyAttribute, KeyKind, KeySchema};

/// Parameter structures and their member constraints.
pub mod parameters;

use parameters::{
    Definition, IndexRequest, KeyElement, KeyRole, OnDemandThroughput, ProjectionKind, SseSpecification, StreamRequest,
    Units, WarmThroughput,
};

/// What a table billed per request is warm for from the start, reads and writes a second.
pub const ON_DEMAND_WARM_UNITS: (u64, u64) = (12_000, 4_000);

/// What control-plane operations demand before anything else.
pub fn require_table_name(name: Option<&str>) -> Result<&str, ApiError> {
    name.ok_or_else(|| ApiError::validation("The parameter 'TableName' is required but was not present in the request"))
}

/// AttributeDefinitions.
pub struct Definitions<'a> {
    list: &'a [Definition<'a>],
    kinds: HashMap<&'a str, KeyKind>,
}

impl<'a> Definitions<'a> {
    pub fn new(list: &'a [Definition<'a>]) -> Definitions<'a> {
        Definitions { list, kinds: list.iter().map(|definition| (definition.name, definition.kind)).collect() }
    }

    /// How many attributes are defined, each name once.
    pub fn len(&self) -> usize {
        self.kinds.len()
    }

    pub fn check_distinct(&self) -> Result<(), ApiError> {
        if self.kinds.len() == self.list.len() {
            return Ok(());
        }
        let repeats = |name: &str| self.list.iter().filter(|definition| definition.name == name).count() > 1;
        let name = self.list.iter().map(|definition| definition.name).find(|name| repeats(name));
        let name = name.expect("fewer names than elements");
        Err(ApiError::validation(format!("Attribute Name is duplicated: {name}")))
    }

    fn check_defined(&self, elements: &[KeyElement<'_>]) -> Result<(), ApiError> {
        if elements.iter().all(|element| self.kinds.contains_key(element.name)) {
            return Ok(());
        }
        Err(ApiError::invalid_parameters(format_args!(
            "Some index key attributes are not defined in AttributeDefinitions. Keys: [{}], AttributeDefinitions: [{}]",
            join(elements.iter().map(|element| element.name)),
            self.names(),
        )))
    }

    /// Refuses attributes that neither the table nor an index has in its key.
    pub fn check_used(&self, table_key: &KeySchema, indexes: &[IndexDefinition]) -> Result<(), ApiError> {
        let keys = std::iter::once(table_key).chain(indexes.iter().map(|index| &index.key));
        let mut used: Vec<&str> = keys.flat_map(KeySchema::attributes).map(|attribute| &*attribute.name).collect();
        used.sort_unstable();
        used.dedup();
        if used.len() >= self.len() {
            return Ok(());
        }
        Err(ApiError::invalid_parameters(format_args!(
            "Some AttributeDefinitions are not used. AttributeDefinitions: [{}], keys used: [{}]",
            self.names(),
            join(used.into_iter()),
        )))
    }

    fn names(&self) -> String {
        join(self.list.iter().map(|definition| definition.name))
    }

    /// The elements must be defined.
    fn resolve(&self, elements: &[KeyElement<'_>]) -> KeySchema {
        let of_role = |role: KeyRole| {
            let elements = elements.iter().filter(|element| element.role == role);
            let attribute = |element: &KeyElement<'_>| KeyAttribute {
                name: element.name.to_owned(),
                kind: self.kinds[element.name],
            };
            elements.map(attribute).collect()
        };
        KeySchema { hash: of_role(KeyRole::Hash), range: of_role(KeyRole::Range) }
    }
}

fn join<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

/// The key of a table or a local index, of one or two elements.
pub fn define_key(elements: &[KeyElement<'_>], definitions: &Definitions<'_>) -> Result<KeySchema, ApiError> {
    definitions.check_defined(elements)?;
    check_pair(elements)?;
    if elements.get(1).is_some_and(|second| second.role != KeyRole::Range) {
        return Err(ApiError::validation("Invalid KeySchema: The second KeySchemaElement is not a RANGE key type"));
    }
    Ok(definitions.resolve(elements))
}

/// The key of a global index, of up to four hash attributes before up to four range attributes.
fn define_global_key(elements: &[KeyElement<'_>], definitions: &Definitions<'_>) -> Result<KeySchema, ApiError> {
    definitions.check_defined(elements)?;
    if let [KeyElement { role: KeyRole::Hash, .. }, KeyElement { role: KeyRole::Range, .. }] = elements {
        check_pair(elements)?;
    }
    for (role, name) in [(KeyRole::Hash, "HASH"), (KeyRole::Range, "RANGE")] {
        if elements.iter().filter(|element| element.role == role).count() > INDEX_KEY_ATTRIBUTE_COUNT_MAX {
            return Err(ApiError::invalid_parameters(format_args!(
                "The KeySchema exceeds the maximum allowed number of {name} key attributes"
            )));
        }
    }
    if elements.first().is_none_or(|first| first.role != KeyRole::Hash) {
        return Err(first_is_not_hash());
    }
    if !elements.is_sorted_by_key(|element| element.role) {
        return Err(ApiError::invalid_parameters(
            "All HASH key attributes must precede RANGE key attributes in the KeySchema",
        ));
    }
    let repeats = |(index, element): (usize, &KeyElement<'_>)| {
        elements[..index].iter().any(|earlier| earlier.name == element.name)
    };
    if elements.iter().enumerate().any(repeats) {
        return Err(ApiError::validation("The KeySchema contains multiple key attributes with the same name"));
    }
    Ok(definitions.resolve(elements))
}

fn check_pair(elements: &[KeyElement<'_>]) -> Result<(), ApiError> {
    if let [first, second, ..] = elements
        && first.name == second.name
    {
        return Err(ApiError::validation(
            "Both the Hash Key and the Range Key element in the KeySchema have the same name",
        ));
    }
    if elements.first().is_none_or(|first| first.role != KeyRole::Hash) {
        return Err(first_is_not_hash());
    }
    Ok(())
}

fn first_is_not_hash() -> ApiError {
    ApiError::validation("Invalid KeySchema: The first KeySchemaElement is not a HASH key type")
}

/// What the indexes of a table are checked against.
#[derive(Clone, Copy)]
pub struct IndexContext<'c> {
    pub definitions: &'c Definitions<'c>,
    pub table_key: &'c KeySchema,
    pub billing_mode: BillingMode,
}

/// All indexes of a new table, global before local ones, numbered from 1 up.
pub fn define_indexes(
    global: Option<&[IndexRequest<'_>]>,
    local: Option<&[IndexRequest<'_>]>,
    context: IndexContext<'_>,
) -> Result<Vec<IndexDefinition>, ApiError> {
    let mut indexes = Vec::new();
    if let Some(requests) = global {
        check_global_count(requests.len())?;
        for request in requests {
            check_new_name(request.name, &indexes)?;
            indexes.push(define_global_index(request, context)?);
        }
    }
    if let Some(requests) = local {
        if requests.is_empty() {
            return Err(ApiError::invalid_parameters("List of LocalSecondaryIndexes is empty"));
        }
        for request in requests {
            check_new_name(request.name, &indexes)?;
            indexes.push(define_local_index(request, context)?);
        }
        if requests.len() > LOCAL_INDEX_COUNT_MAX {
            return Err(ApiError::invalid_parameters(format_args!(
                "Number of LocalSecondaryIndexes exceeds per-table limit of {LOCAL_INDEX_COUNT_MAX}"
            )));
        }
    }
    check_non_key_attribute_total(&indexes)?;
    for (index, number) in indexes.iter_mut().zip(1..) {
        index.number = number;
    }
    Ok(indexes)
}

fn check_global_count(count: usize) -> Result<(), ApiError> {
    match count {
        0 => Err(ApiError::invalid_parameters("List of GlobalSecondaryIndexes is empty")),
        1..=GLOBAL_INDEX_COUNT_MAX => Ok(()),
        _ => Err(ApiError::invalid_parameters(format_args!(
            "GlobalSecondaryIndex count exceeds the per-table limit of {GLOBAL_INDEX_COUNT_MAX}"
        ))),
    }
}

fn check_new_name(name: &str, indexes: &[IndexDefinition]) -> Result<(), ApiError> {
    if indexes.iter().any(|index| index.name == name) {
        return Err(ApiError::invalid_parameters(format_args!("Duplicate index name: {name}")));
    }
    Ok(())
}

pub fn check_non_key_attribute_total(indexes: &[IndexDefinition]) -> Result<(), ApiError> {
    let listed = |index: &IndexDefinition| match &index.projection {
        Projection::Include(names) => names.len(),
        Projection::All | Projection::KeysOnly => 0,
    };
    if indexes.iter().map(listed).sum::<usize>() > NON_KEY_ATTRIBUTE_TOTAL_MAX {
        return Err(ApiError::invalid_parameters(format_args!(
            "Number of NonKeyAttributes of all indexes exceeds per-table limit of {NON_KEY_ATTRIBUTE_TOTAL_MAX}"
        )));
    }
    Ok(())
}

/// A global index that is yet without a number.
pub fn define_global_index(request: &IndexRequest<'_>, context: IndexContext<'_>) -> Result<IndexDefinition, ApiError> {
    let key = define_global_key(&request.key, context.definitions)?;
    let projection = define_projection(request)?;
    let mut throughput = define_index_throughput(request.name, request.throughput, context.billing_mode)?;
    let [limits, warm] = [format!("index: {}", request.name), format!("index {}", request.name)];
    throughput.warm_units = define_warm_units(request.warm, &throughput, context.billing_mode, &warm)?;
    let on_demand_limits = define_on_demand_limits(request.on_demand, None, context.billing_mode, &limits)?;
    Ok(IndexDefinition {
        name: request.name.to_owned(),
        number: 0,
        kind: IndexKind::Global,
        key,
        projection,
        status: IndexStatus::Active,
        throughput,
        on_demand_limits,
    })
}

fn define_local_index(request: &IndexRequest<'_>, context: IndexContext<'_>) -> Result<IndexDefinition, ApiError> {
    let name = request.name;
    if context.table_key.range.is_empty() {
        return Err(ApiError::invalid_parameters(
            "Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex",
        ));
    }
    let key = define_key(&request.key, context.definitions)?;
    if key.range.is_empty() {
        return Err(ApiError::invalid_parameters(format_args!(
            "Index KeySchema does not have a range key for index: {name}"
        )));
    }
    if key.hash != context.table_key.hash {
        return Err(ApiError::invalid_parameters(format_args!(
            "Index KeySchema does not have the same leading hash key as table KeySchema for index: {name}. index hash \
             key: {}, table hash key: {}",
            key.hash[0].name, context.table_key.hash[0].name,
        )));
    }
    Ok(IndexDefinition {
        name: name.to_owned(),
        number: 0,
        kind: IndexKind::Local,
        key,
        projection: define_projection(request)?,
        status: IndexStatus::Active,
        throughput: Throughput::default(),
        on_demand_limits: None,
    })
}

fn define_projection(request: &IndexRequest<'_>) -> Result<Projection, ApiError> {
    let unexpected = |kind| {
        ApiError::invalid_parameters(format_args!("ProjectionType is {kind}, but NonKeyAttributes is specified"))
    };
    match (request.projection, &request.non_key_attributes) {
        (None, _) => Err(ApiError::invalid_parameters("Unknown ProjectionType: null")),
        (Some(ProjectionKind::All), Some(_)) => Err(unexpected("ALL")),
        (Some(ProjectionKind::KeysOnly), Some(_)) => Err(unexpected("KEYS_ONLY")),
        (Some(ProjectionKind::All), None) => Ok(Projection::All),
        (Some(ProjectionKind::KeysOnly), None) => Ok(Projection::KeysOnly),
        (Some(ProjectionKind::Include), None) => {
            Err(ApiError::invalid_parameters("ProjectionType is INCLUDE, but NonKeyAttributes is not specified"))
        }
        (Some(ProjectionKind::Include), Some(names)) => {
            let repeats = |(index, name): &(usize, &&str)| names[..*index].contains(name);
            if let Some((_, name)) = names.iter().enumerate().find(repeats) {
                return Err(ApiError::invalid_parameters(format_args!(
                    "Duplicate element in NonKeyAttributes: {name}"
                )));
            }
            Ok(Projection::Include(names.iter().map(|&name| name.to_owned()).collect()))
        }
    }
}

/// The provisioned units of a new index.
pub fn define_index_throughput(
    name: &str,
    units: Option<Units>,
    billing_mode: BillingMode,
) -> Result<Throughput, ApiError> {
    match (billing_mode, units) {
        (BillingMode::PayPerRequest, Some(_)) => Err(index_is_not_provisioned(name)),
        (BillingMode::PayPerRequest, None) => Ok(Throughput::default()),
        (BillingMode::Provisioned, None) => {
            Err(ApiError::invalid_parameters(format_args!("ProvisionedThroughput is not specified for index: {name}")))
        }
        (BillingMode::Provisioned, Some(units)) => {
            check_units(units, Some(name))?;
            Ok(provisioned(units))
        }
    }
}

pub fn index_is_not_provisioned(name: &str) -> ApiError {
    ApiError::invalid_parameters(format_args!(
        "ProvisionedThroughput should not be specified for index: {name} when BillingMode is PAY_PER_REQUEST"
    ))
}

pub fn table_is_not_provisioned() -> ApiError {
    ApiError::invalid_parameters(
        "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST",
    )
}

pub fn provisioned(units: Units) -> Throughput {
    Throughput { read_units: units.read, write_units: units.write, ..Throughput::default() }
}

/// Refuses units that no account can have.
pub fn check_units(units: Units, index: Option<&str>) -> Result<(), ApiError> {
    let of_index = index.map_or_else(String::new, |name| format!(" for index: {name}"));
    for (units, name) in [(units.read, "ReadCapacityUnits"), (units.write, "WriteCapacityUnits")] {
        if units > CAPACITY_UNITS_MAX {
            return Err(ApiError::validation(format!("Given value {units} for {name} is out of bounds{of_index}")));
        }
    }
    Ok(())
}

/// Ceilings after a request: a member that is not given keeps what it was, -1 takes the ceiling away. `subject` is
/// `table` or `index: name`.
pub fn define_on_demand_limits(
    requested: Option<OnDemandThroughput>,
    current: Option<OnDemandLimits>,
    billing_mode: BillingMode,
    subject: &str,
) -> Result<Option<OnDemandLimits>, ApiError> {
    let Some(requested) = requested else { return Ok(current) };
    let current = current.unwrap_or_default();
    let define = |member: &str, units: Option<Long>, current: Option<u64>| match units {
        None => Ok(current),
        Some(_) if billing_mode == BillingMode::Provisioned => Err(ApiError::invalid_parameters(format_args!(
            "{member} for OnDemandThroughput cannot be specified when the table BillingMode is PROVISIONED"
        ))),
        Some(Long(-1)) => Ok(None),
        Some(Long(units)) => match u64::try_from(units) {
            Ok(units @ 1..=CAPACITY_UNITS_MAX) => Ok(Some(units)),
            _ => Err(ApiError::invalid_parameters(format_args!(
                "Requested {member} for OnDemandThroughput for {subject} is outside of valid range"
            ))),
        },
    };
    let limits = OnDemandLimits {
        max_read_units: define("MaxReadRequestUnits", requested.read, current.max_read_units)?,
        max_write_units: define("MaxWriteRequestUnits", requested.write, current.max_write_units)?,
    };
    Ok((limits != OnDemandLimits::default()).then_some(limits))
}

/// What a table or index is warm for, reads and writes a second.
pub fn warm_units(throughput: &Throughput, billing_mode: BillingMode) -> (u64, u64) {
    let least = match billing_mode {
        BillingMode::Provisioned => (throughput.read_units, throughput.write_units),
        BillingMode::PayPerRequest => ON_DEMAND_WARM_UNITS,
    };
    let (read, write) = throughput.warm_units.unwrap_or_default();
    (least.0.max(read), least.1.max(write))
}

/// WarmThroughput after a request; it never shrinks. `subject` is `table` or `index name`.
pub fn define_warm_units(
    requested: Option<WarmThroughput>,
    throughput: &Throughput,
    billing_mode: BillingMode,
    subject: &str,
) -> Result<Option<(u64, u64)>, ApiError> {
    let Some(requested) = requested else { return Ok(throughput.warm_units) };
    let current = warm_units(throughput, billing_mode);
    let define = |member: &str, units: Option<Long>, current: u64| {
        let Some(Long(units)) = units else { return Ok(current) };
        let refused = |reason: &str| {
            ApiError::invalid_parameters(format_args!(
                "Requested {member} for WarmThroughput for {subject} is {reason}"
            ))
        };
        match u64::try_from(units) {
            Ok(units) if units > CAPACITY_UNITS_MAX => Err(refused("outside of valid range")),
            Ok(units) if units >= current => Ok(units),
            _ => Err(refused("lower than current WarmThroughput, decreasing WarmThroughput is not supported")),
        }
    };
    let read = define("ReadUnitsPerSecond", requested.read, current.0)?;
    let write = define("WriteUnitsPerSecond", requested.write, current.1)?;
    Ok(Some((read, write)))
}

pub fn define_class(class: Option<&str>) -> Result<Option<TableClass>, ApiError> {
    let Some(class) = class else { return Ok(None) };
    let classes = [TableClass::Standard, TableClass::StandardInfrequentAccess];
    let known = classes.into_iter().find(|known| known.name() == class);
    known.map(Some).ok_or_else(|| {
        ApiError::validation(
            "Invalid table-class parameter provided. Please try again with a valid table-class value: [STANDARD, \
             STANDARD_INFREQUENT_ACCESS].",
        )
    })
}

/// Encryption with a customer's key. `Ok(None)`: DynamoDB's own key, which tables have by default and do not describe.
pub fn define_encryption(
    specification: SseSpecification<'_>,
    location: &Location,
) -> Result<Option<Encryption>, ApiError> {
    if specification.enabled != Some(true) {
        if specification.kind.is_some() {
            return Err(ApiError::invalid_parameters("SSEType can not be specified if Enabled is false"));
        }
        return Ok(None);
    }
    if specification.kind == Some("AES256") {
        return Ok(None);
    }
    let Location { region, account } = location;
    let kms_key_arn = match specification.kms_key {
        Some(arn) if arn.starts_with("arn:") => arn.to_owned(),
        Some(alias) if alias.starts_with("alias/") => format!("arn:aws:kms:{region}:{account}:{alias}"),
        Some(id) => format!("arn:aws:kms:{region}:{account}:key/{id}"),
        None => format!("arn:aws:kms:{region}:{account}:alias/aws/dynamodb"),
    };
    Ok(Some(Encryption { kms_key_arn }))
}

/// The stream of a new table.
pub fn define_stream(request: Option<StreamRequest>, now_ms: u64) -> Result<Option<StreamDefinition>, ApiError> {
    match request {
        None | Some(StreamRequest { enabled: false, view: None }) => Ok(None),
        Some(StreamRequest { enabled: true, view: Some(view) }) => {
            Ok(Some(StreamDefinition { view, label: utc_label(now_ms), enabled: true }))
        }
        Some(StreamRequest { enabled: true, view: None }) => Err(ApiError::invalid_parameters(
            "Table is being created with a stream enabled, UpdateViewType is required",
        )),
        Some(StreamRequest { enabled: false, view: Some(_) }) => Err(ApiError::invalid_parameters(
            "Table is being created with a stream disabled, UpdateViewType should not be specified",
        )),
    }
}

/// A table of that name is there already.
pub fn table_exists(name: &str) -> ApiError {
    ApiError::new(ErrorKind::ResourceInUse, format!("Table already exists: {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_demand_limits_are_kept_changed_and_cleared() {
        let limits = |read, write| OnDemandLimits { max_read_units: read, max_write_units: write };
        let ask =
            |read: Option<i64>, write: Option<i64>| OnDemandThroughput { read: read.map(Long), write: write.map(Long) };
        for (current, request, expected) in [
            (None, ask(Some(5), None), Some(limits(Some(5), None))),
            (Some(limits(Some(5), None)), ask(None, Some(7)), Some(limits(Some(5), Some(7)))),
            (Some(limits(Some(5), Some(7))), ask(Some(-1), None), Some(limits(None, Some(7)))),
            (Some(limits(Some(5), None)), ask(Some(-1), Some(-1)), None),
        ] {
            let defined = define_on_demand_limits(Some(request), current, BillingMode::PayPerRequest, "table");
            assert_eq!(defined, Ok(expected));
        }
    }

    #[test]
    fn encryption_names_the_key_by_its_arn() {
        let here = Location { region: "r".into(), account: "000000000000".into() };
        for (kms_key, arn) in [
            (None, "arn:aws:kms:r:000000000000:alias/aws/dynamodb"),
            (Some("alias/mine"), "arn:aws:kms:r:000000000000:alias/mine"),
            (Some("1234"), "arn:aws:kms:r:000000000000:key/1234"),
            (Some("arn:aws:kms:x:1:key/2"), "arn:aws:kms:x:1:key/2"),
        ] {
            let specification = SseSpecification { enabled: Some(true), kind: Some("KMS"), kms_key };
            assert_eq!(define_encryption(specification, &here), Ok(Some(Encryption { kms_key_arn: arn.to_owned() })));
        }
        for (enabled, kind) in [(Some(false), None), (None, None), (Some(true), Some("AES256"))] {
            let specification = SseSpecification { enabled, kind, kms_key: None };
            assert_eq!(define_encryption(specification, &here), Ok(None));
        }
    }
}
