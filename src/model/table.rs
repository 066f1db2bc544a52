//! Tables and indexes as they were accepted: a definition that is not valid is not a `TableDefinition`.
//!
//! These types are also the catalog's record of a table. Their serialized form is part of the on-disk format: a new
//! field needs `#[serde(default)]`.

use serde::{Deserialize, Serialize};

/// Type of a key attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyKind {
    S,
    N,
    B,
}

impl KeyKind {
    pub fn name(self) -> &'static str {
        match self {
            KeyKind::S => "S",
            KeyKind::N => "N",
            KeyKind::B => "B",
        }
    }

    pub fn matches(self, value: &super::value::Value<'_>) -> bool {
        use super::value::Value;
        matches!((self, value), (KeyKind::S, Value::S(_)) | (KeyKind::N, Value::N(_)) | (KeyKind::B, Value::B(_)))
    }
}

/// An attribute of a key with its type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyAttribute {
    pub name: String,
    pub kind: KeyKind,
}

/// The attributes that identify an item or order an index.
///
/// A table and a local index have one hash attribute and at most one range attribute; a global index up to four of
/// each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySchema {
    pub hash: Vec<KeyAttribute>,
    pub range: Vec<KeyAttribute>,
}

impl KeySchema {
    /// Hash attributes, then range attributes.
    pub fn attributes(&self) -> impl Iterator<Item = &KeyAttribute> + Clone {
        self.hash.iter().chain(&self.range)
    }

    pub fn len(&self) -> usize {
        self.hash.len() + self.range.len()
    }

    pub fn is_empty(&self) -> bool {
        self.hash.is_empty() && self.range.is_empty()
    }

    pub fn contains(&self, name: &str) -> bool {
        self.attributes().any(|attribute| attribute.name == name)
    }
}

/// What an index entry carries besides the keys of the index and of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Projection {
    KeysOnly,
    Include(Vec<String>),
    All,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IndexKind {
    Local,
    Global,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IndexStatus {
    Creating,
    Active,
    Deleting,
}

/// A secondary index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IndexDefinition {
    pub name: String,
    /// Number in row keys: at least 1, never used again within the table.
    pub number: u16,
    pub kind: IndexKind,
    pub key: KeySchema,
    pub projection: Projection,
    pub status: IndexStatus,
    pub throughput: Throughput,
    pub on_demand_limits: Option<OnDemandLimits>,
}

impl IndexDefinition {
    pub fn is_global(&self) -> bool {
        self.kind == IndexKind::Global
    }

    /// Whether an entry holds the attribute, given the key of the table.
    pub fn projects(&self, name: &str, table_key: &KeySchema) -> bool {
        match &self.projection {
            Projection::All => true,
            Projection::KeysOnly => self.key.contains(name) || table_key.contains(name),
            Projection::Include(names) => {
                self.key.contains(name) || table_key.contains(name) || names.iter().any(|listed| listed == name)
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BillingMode {
    Provisioned,
    PayPerRequest,
}

/// Provisioned units; zeros when billed per request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Throughput {
    pub read_units: u64,
    pub write_units: u64,
    pub last_increase_ms: Option<u64>,
    pub last_decrease_ms: Option<u64>,
    /// WarmThroughput as it was asked for, reads and writes a second; `None` is the billing mode's own.
    #[serde(default)]
    pub warm_units: Option<(u64, u64)>,
}

/// Ceilings of a table billed per request; `None` means no ceiling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OnDemandLimits {
    pub max_read_units: Option<u64>,
    pub max_write_units: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TableClass {
    Standard,
    StandardInfrequentAccess,
}

impl TableClass {
    pub fn name(self) -> &'static str {
        match self {
            TableClass::Standard => "STANDARD",
            TableClass::StandardInfrequentAccess => "STANDARD_INFREQUENT_ACCESS",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StreamView {
    KeysOnly,
    NewImage,
    OldImage,
    NewAndOldImages,
}

impl StreamView {
    pub fn name(self) -> &'static str {
        match self {
            StreamView::KeysOnly => "KEYS_ONLY",
            StreamView::NewImage => "NEW_IMAGE",
            StreamView::OldImage => "OLD_IMAGE",
            StreamView::NewAndOldImages => "NEW_AND_OLD_IMAGES",
        }
    }
}

/// The latest stream of a table; it stays described after it was disabled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamDefinition {
    pub view: StreamView,
    /// UTC time of creation, `2024-11-18T14:36:44.149`.
    pub label: String,
    pub enabled: bool,
}

/// Server-side encryption as it was asked for. Data is not encrypted by this server; the setting is only described.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Encryption {
    pub kms_key_arn: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    pub key: String,
    pub value: String,
}

/// A table as its creator and later changes defined it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableDefinition {
    pub name: String,
    /// Number in row keys, never used again.
    pub id: u32,
    /// The public TableId.
    pub uuid: String,
    pub created_ms: u64,
    pub key: KeySchema,
    pub indexes: Vec<IndexDefinition>,
    /// Number that the next index gets.
    pub next_index_number: u16,
    pub billing_mode: BillingMode,
    /// When the table last became billed per request.
    pub on_demand_since_ms: Option<u64>,
    pub throughput: Throughput,
    pub on_demand_limits: Option<OnDemandLimits>,
    pub deletion_protection: bool,
    pub deletion_protection_changed_ms: Option<u64>,
    pub class: Option<TableClass>,
    pub stream: Option<StreamDefinition>,
    pub encryption: Option<Encryption>,
    pub tags: Vec<Tag>,
}

impl TableDefinition {
    pub fn index(&self, name: &str) -> Option<&IndexDefinition> {
        self.indexes.iter().find(|index| index.name == name)
    }

    pub fn local_indexes(&self) -> impl Iterator<Item = &IndexDefinition> {
        self.indexes.iter().filter(|index| !index.is_global())
    }

    pub fn global_indexes(&self) -> impl Iterator<Item = &IndexDefinition> {
        self.indexes.iter().filter(|index| index.is_global())
    }

    /// Every attribute that is part of a key, once: DescribeTable's AttributeDefinitions.
    pub fn attribute_definitions(&self) -> Vec<&KeyAttribute> {
        let mut definitions: Vec<&KeyAttribute> = Vec::new();
        let keys = std::iter::once(&self.key).chain(self.indexes.iter().map(|index| &index.key));
        for attribute in keys.flat_map(KeySchema::attributes) {
            if !definitions.iter().any(|known| known.name == attribute.name) {
                definitions.push(attribute);
            }
        }
        definitions
    }
}
