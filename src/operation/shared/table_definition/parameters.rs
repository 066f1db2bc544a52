//! Parameter structures of tables and indexes: as decoded, where everything is optional, and as read, where what the
//! member constraints demand is there.
//!
//! A `read_` function reports violations to [`Constraints`] and puts a stand-in where one was: what it gives back means
//! something only after `Constraints::check`. It reads no more elements of a list than a valid request could have, and
//! one more, by which the longer list is refused afterwards: a hostile list costs no more than its decoding.

use std::fmt;

use serde::de::MapAccess;

use super::require_table_name;
use crate::error::{ApiError, Wording};
use crate::json::reader::{Member, structure};
use crate::json::{Long, Structure};
use crate::model::KeyKind;
use crate::model::limits::{
    GLOBAL_INDEX_COUNT_MAX, INDEX_KEY_ATTRIBUTE_COUNT_MAX, KEY_NAME_LENGTH_MAX, LOCAL_INDEX_COUNT_MAX,
    NON_KEY_ATTRIBUTE_COUNT_MAX, TABLE_NAME_LENGTH_MAX, TABLE_NAME_LENGTH_MIN,
};
use crate::model::table::{BillingMode, StreamView};
use crate::operation::shared::constraint::{Constraints, Enumeration};
use crate::operation::shared::table_name::{self, PATTERN};

structure!(AttributeDefinition<'a>, "AttributeDefinition", {
    "AttributeName" => name: Option<&'a str>,
    "AttributeType" => kind: Option<&'a str>,
});

structure!(KeySchemaElement<'a>, "KeySchemaElement", {
    "AttributeName" => name: Option<&'a str>,
    "KeyType" => role: Option<&'a str>,
});

structure!(Projection<'a>, "Projection", {
    "ProjectionType" => kind: Option<&'a str>,
    "NonKeyAttributes" => names: Option<&'a [Option<&'a str>]>,
});

structure!(ProvisionedThroughput, "ProvisionedThroughput", {
    "ReadCapacityUnits" => read: Option<Long>,
    "WriteCapacityUnits" => write: Option<Long>,
});

structure!(OnDemandThroughput, "OnDemandThroughput", {
    "MaxReadRequestUnits" => read: Option<Long>,
    "MaxWriteRequestUnits" => write: Option<Long>,
});

structure!(WarmThroughput, "WarmThroughput", {
    "ReadUnitsPerSecond" => read: Option<Long>,
    "WriteUnitsPerSecond" => write: Option<Long>,
});

structure!(StreamSpecification<'a>, "StreamSpecification", {
    "StreamEnabled" => enabled: Option<bool>,
    "StreamViewType" => view: Option<&'a str>,
});

structure!(SseSpecification<'a>, "SSESpecification", {
    "Enabled" => enabled: Option<bool>,
    "SSEType" => kind: Option<&'a str>,
    "KMSMasterKeyId" => kms_key: Option<&'a str>,
});

structure!(LocalSecondaryIndex<'a>, "LocalSecondaryIndex", {
    "IndexName" => name: Option<&'a str>,
    "KeySchema" => key: Option<&'a [Option<KeySchemaElement<'a>>]>,
    "Projection" => projection: Option<Projection<'a>>,
});

structure!(
    /// Also the Create of an UpdateTable, which has the same members.
    GlobalSecondaryIndex<'a>, "GlobalSecondaryIndex", {
    "IndexName" => name: Option<&'a str>,
    "KeySchema" => key: Option<&'a [Option<KeySchemaElement<'a>>]>,
    "Projection" => projection: Option<Projection<'a>>,
    "ProvisionedThroughput" => throughput: Option<ProvisionedThroughput>,
    "OnDemandThroughput" => on_demand: Option<OnDemandThroughput>,
    "WarmThroughput" => warm: Option<WarmThroughput>,
});

structure!(
    /// Input of DescribeTable and DeleteTable.
    TableNameParameter<'a>, "DescribeTableInput", {
    "TableName" => table_name: Option<&'a str>,
});

/// A structure whose members are not looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unread;

impl<'a> Structure<'a> for Unread {
    const NAME: &'static str = "java.lang.Object";

    fn member<A: MapAccess<'a>>(&mut self, _: &str, member: Member<'_, 'a, A>) -> Result<(), A::Error> {
        member.skip()
    }
}

/// An element of AttributeDefinitions.
#[derive(Clone, Copy, Debug)]
pub struct Definition<'a> {
    pub name: &'a str,
    pub kind: KeyKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyRole {
    Hash,
    Range,
}

/// An element of a KeySchema.
#[derive(Clone, Copy, Debug)]
pub struct KeyElement<'a> {
    pub name: &'a str,
    pub role: KeyRole,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProjectionKind {
    All,
    Include,
    KeysOnly,
}

/// ProvisionedThroughput, each at least 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Units {
    pub read: u64,
    pub write: u64,
}

/// A secondary index to be.
#[derive(Clone, Debug)]
pub struct IndexRequest<'a> {
    pub name: &'a str,
    pub key: Vec<KeyElement<'a>>,
    pub projection: Option<ProjectionKind>,
    pub non_key_attributes: Option<Vec<&'a str>>,
    pub throughput: Option<Units>,
    pub on_demand: Option<OnDemandThroughput>,
    pub warm: Option<WarmThroughput>,
}

/// StreamSpecification.
#[derive(Clone, Copy, Debug)]
pub struct StreamRequest {
    pub enabled: bool,
    pub view: Option<StreamView>,
}

/// More attributes than the keys of a table with all its indexes can name.
const DEFINITION_COUNT_READ: usize =
    2 + GLOBAL_INDEX_COUNT_MAX * 2 * INDEX_KEY_ATTRIBUTE_COUNT_MAX + LOCAL_INDEX_COUNT_MAX + 1;

const fn same_in_both(set: &'static str) -> Enumeration {
    Enumeration { older: set, current: set }
}

const ATTRIBUTE_TYPE: Enumeration = same_in_both("B, N, S");
const KEY_TYPE: Enumeration = same_in_both("HASH, RANGE");
const PROJECTION_TYPE: Enumeration = same_in_both("ALL, INCLUDE, KEYS_ONLY");
const BILLING_MODE: Enumeration = same_in_both("PROVISIONED, PAY_PER_REQUEST");
const STREAM_VIEW_TYPE: Enumeration = same_in_both("NEW_IMAGE, OLD_IMAGE, NEW_AND_OLD_IMAGES, KEYS_ONLY");
const SSE_TYPE: Enumeration = same_in_both("AES256, KMS");

/// A name of 3 to 255 of the permitted characters: of an index, or of a table to be.
pub fn check_identifier(name: &str, path: &str, constraints: &mut Constraints) {
    if !table_name::is_name(name) {
        constraints.violated(name, path, format_args!("Member must satisfy regular expression pattern: {PATTERN}"));
    }
    constraints.length(name.chars().count(), (TABLE_NAME_LENGTH_MIN, TABLE_NAME_LENGTH_MAX), name, path);
}

/// TableName of an operation on a table that is there, as a name or an ARN.
pub fn check_table_name(name: &str, constraints: &mut Constraints) {
    if name.starts_with("arn:") {
        constraints.length(name.len(), (1, table_name::ARN_LENGTH_MAX), name, "tableName");
    } else {
        check_identifier(name, "tableName", constraints);
    }
}

/// The TableName of DescribeTable and DeleteTable.
pub fn read_table_name<'a>(parameters: &TableNameParameter<'a>) -> Result<&'a str, ApiError> {
    let name = require_table_name(parameters.table_name)?;
    let mut constraints = Constraints::new(Wording::Older);
    check_table_name(name, &mut constraints);
    constraints.check()?;
    Ok(name)
}

/// A required string with bounds on its length, in characters.
pub fn read_text<'a>(
    text: Option<&'a str>,
    bounds: (usize, usize),
    path: &str,
    constraints: &mut Constraints,
) -> &'a str {
    constraints.required(text.is_some(), path);
    if let Some(text) = text {
        constraints.length(text.chars().count(), bounds, text, path);
    }
    text.unwrap_or_default()
}

pub fn read_definitions<'a>(
    list: &[Option<AttributeDefinition<'a>>],
    constraints: &mut Constraints,
) -> Vec<Definition<'a>> {
    let elements = list.iter().take(DEFINITION_COUNT_READ).enumerate();
    elements
        .map(|(index, element)| {
            let path = format!("attributeDefinitions.{}.member", index + 1);
            let element = element.unwrap_or_default();
            let name_path = format!("{path}.attributeName");
            let name = read_text(element.name, (1, KEY_NAME_LENGTH_MAX), &name_path, constraints);
            let kind_path = format!("{path}.attributeType");
            constraints.required(element.kind.is_some(), &kind_path);
            let known = [("S", KeyKind::S), ("N", KeyKind::N), ("B", KeyKind::B)];
            let kind = constraints.enumeration(element.kind, &kind_path, &ATTRIBUTE_TYPE, &known);
            Definition { name, kind: kind.unwrap_or(KeyKind::S) }
        })
        .collect()
}

/// Reads a KeySchema of 1 to `count_max` elements; a longer one is a violation only if `is_bounded`.
pub fn read_key<'a>(
    list: Option<&[Option<KeySchemaElement<'a>>]>,
    (count_max, is_bounded): (usize, bool),
    path: &str,
    constraints: &mut Constraints,
) -> Vec<KeyElement<'a>> {
    constraints.required(list.is_some(), path);
    let Some(list) = list else { return Vec::new() };
    constraints.length(list.len(), (1, if is_bounded { count_max } else { usize::MAX }), KeyEcho(list), path);
    let elements = list.iter().take(count_max + 1).enumerate();
    elements
        .map(|(index, element)| {
            let path = format!("{path}.{}.member", index + 1);
            let element = element.unwrap_or_default();
            let name_path = format!("{path}.attributeName");
            let name = read_text(element.name, (1, KEY_NAME_LENGTH_MAX), &name_path, constraints);
            let role_path = format!("{path}.keyType");
            constraints.required(element.role.is_some(), &role_path);
            let known = [("HASH", KeyRole::Hash), ("RANGE", KeyRole::Range)];
            let role = constraints.enumeration(element.role, &role_path, &KEY_TYPE, &known);
            KeyElement { name, role: role.unwrap_or(KeyRole::Hash) }
        })
        .collect()
}

/// A KeySchema as AWS echoes it, cut where it is longer than any valid one.
struct KeyEcho<'k, 'a>(&'k [Option<KeySchemaElement<'a>>]);

impl fmt::Display for KeyEcho<'_, '_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[")?;
        for (index, element) in self.0.iter().take(2 * INDEX_KEY_ATTRIBUTE_COUNT_MAX + 1).enumerate() {
            let element = element.unwrap_or_default();
            let separator = if index == 0 { "" } else { ", " };
            let (name, role) = (element.name.unwrap_or("null"), element.role.unwrap_or("null"));
            write!(formatter, "{separator}KeySchemaElement(attributeName={name}, keyType={role})")?;
        }
        formatter.write_str("]")
    }
}

pub fn read_billing_mode(mode: Option<&str>, constraints: &mut Constraints) -> Option<BillingMode> {
    let known = [("PROVISIONED", BillingMode::Provisioned), ("PAY_PER_REQUEST", BillingMode::PayPerRequest)];
    constraints.enumeration(mode, "billingMode", &BILLING_MODE, &known)
}

pub fn read_throughput(
    throughput: Option<ProvisionedThroughput>,
    path: &str,
    constraints: &mut Constraints,
) -> Option<Units> {
    let throughput = throughput?;
    let mut read_units = |units: Option<Long>, member: &str| {
        let path = format!("{path}.{member}");
        constraints.required(units.is_some(), &path);
        let units = units.map(|Long(units)| units);
        constraints.at_least(units, 1, &path);
        units.and_then(|units| u64::try_from(units).ok()).unwrap_or_default()
    };
    let write = read_units(throughput.write, "writeCapacityUnits");
    let read = read_units(throughput.read, "readCapacityUnits");
    Some(Units { read, write })
}

pub fn read_local_indexes<'a>(
    list: &[Option<LocalSecondaryIndex<'a>>],
    constraints: &mut Constraints,
) -> Vec<IndexRequest<'a>> {
    let elements = list.iter().take(LOCAL_INDEX_COUNT_MAX + 1).enumerate();
    elements
        .map(|(index, element)| {
            let LocalSecondaryIndex { name, key, projection } = element.unwrap_or_default();
            let common = GlobalSecondaryIndex { name, key, projection, ..Default::default() };
            let path = format!("localSecondaryIndexes.{}.member", index + 1);
            read_index(&common, (2, true), &path, constraints)
        })
        .collect()
}

pub fn read_global_indexes<'a>(
    list: &[Option<GlobalSecondaryIndex<'a>>],
    constraints: &mut Constraints,
) -> Vec<IndexRequest<'a>> {
    let elements = list.iter().take(GLOBAL_INDEX_COUNT_MAX + 1).enumerate();
    elements
        .map(|(index, element)| {
            let path = format!("globalSecondaryIndexes.{}.member", index + 1);
            read_global_index(&element.unwrap_or_default(), &path, constraints)
        })
        .collect()
}

pub fn read_global_index<'a>(
    index: &GlobalSecondaryIndex<'a>,
    path: &str,
    constraints: &mut Constraints,
) -> IndexRequest<'a> {
    // Too many attributes of one kind have a text of their own.
    read_index(index, (2 * INDEX_KEY_ATTRIBUTE_COUNT_MAX, false), path, constraints)
}

fn read_index<'a>(
    index: &GlobalSecondaryIndex<'a>,
    key_bounds: (usize, bool),
    path: &str,
    constraints: &mut Constraints,
) -> IndexRequest<'a> {
    let name = read_index_name(index.name, path, constraints);
    let key = read_key(index.key, key_bounds, &format!("{path}.keySchema"), constraints);
    let path_projection = format!("{path}.projection");
    constraints.required(index.projection.is_some(), &path_projection);
    let projection = index.projection.unwrap_or_default();
    let known =
        [("ALL", ProjectionKind::All), ("INCLUDE", ProjectionKind::Include), ("KEYS_ONLY", ProjectionKind::KeysOnly)];
    let path_kind = format!("{path_projection}.projectionType");
    IndexRequest {
        name,
        key,
        projection: constraints.enumeration(projection.kind, &path_kind, &PROJECTION_TYPE, &known),
        non_key_attributes: read_non_key_attributes(projection.names, &path_projection, constraints),
        throughput: read_throughput(index.throughput, &format!("{path}.provisionedThroughput"), constraints),
        on_demand: index.on_demand,
        warm: index.warm,
    }
}

pub fn read_index_name<'a>(name: Option<&'a str>, path: &str, constraints: &mut Constraints) -> &'a str {
    let path = format!("{path}.indexName");
    constraints.required(name.is_some(), &path);
    if let Some(name) = name {
        check_identifier(name, &path, constraints);
    }
    name.unwrap_or_default()
}

fn read_non_key_attributes<'a>(
    names: Option<&[Option<&'a str>]>,
    path: &str,
    constraints: &mut Constraints,
) -> Option<Vec<&'a str>> {
    let names = names?;
    let path = format!("{path}.nonKeyAttributes");
    let read: Vec<&str> =
        names.iter().take(NON_KEY_ATTRIBUTE_COUNT_MAX + 1).map(|name| name.unwrap_or_default()).collect();
    let echo = format_args!("[{}]", read.join(", ")).to_string();
    constraints.length(names.len(), (1, NON_KEY_ATTRIBUTE_COUNT_MAX), echo, &path);
    for (index, name) in read.iter().enumerate() {
        let path = format!("{path}.{}.member", index + 1);
        constraints.length(name.chars().count(), (1, KEY_NAME_LENGTH_MAX), name, &path);
    }
    Some(read)
}

pub fn read_stream(stream: Option<StreamSpecification<'_>>, constraints: &mut Constraints) -> Option<StreamRequest> {
    let stream = stream?;
    constraints.required(stream.enabled.is_some(), "streamSpecification.streamEnabled");
    let views = [StreamView::NewImage, StreamView::OldImage, StreamView::NewAndOldImages, StreamView::KeysOnly];
    let known = views.map(|view| (view.name(), view));
    let view = constraints.enumeration(stream.view, "streamSpecification.streamViewType", &STREAM_VIEW_TYPE, &known);
    Some(StreamRequest { enabled: stream.enabled.unwrap_or_default(), view })
}

/// Checks SSEType against its values.
pub fn check_encryption(encryption: Option<SseSpecification<'_>>, constraints: &mut Constraints) {
    let kind = encryption.and_then(|encryption| encryption.kind);
    constraints.enumeration(kind, "sSESpecification.sSEType", &SSE_TYPE, &[("AES256", ()), ("KMS", ())]);
}
