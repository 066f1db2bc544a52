//! The tables of the model and what an item contributes to their indexes.

use serde_json::{Value as Json, json};

use super::value::{Item, Value};

/// Values of key attributes, in the order of the key schema.
pub type Key = Vec<Value>;

pub enum Projection {
    All,
    KeysOnly,
    Include(&'static [&'static str]),
}

pub struct Index {
    pub name: &'static str,
    pub is_local: bool,
    pub hash: &'static [&'static str],
    pub range: &'static [&'static str],
    pub projection: Projection,
}

pub struct Schema {
    pub name: &'static str,
    pub hash: &'static str,
    pub range: Option<&'static str>,
    pub indexes: &'static [Index],
}

/// Every attribute that is a key of something, with its type.
const TYPES: &[(&str, &str)] = &[
    ("p", "S"),
    ("pb", "B"),
    ("pn", "N"),
    ("r", "N"),
    ("rb", "B"),
    ("g", "S"),
    ("n", "N"),
    ("b", "B"),
    ("s", "S"),
    ("z", "S"),
];

pub const SORTED: usize = 0;
pub const TABLE_COUNT: usize = 3;

pub static SCHEMAS: [Schema; TABLE_COUNT] = [
    Schema {
        name: "sorted",
        hash: "p",
        range: Some("r"),
        indexes: &[
            global("keys", &["g"], &["r"], Projection::KeysOnly),
            global("include", &["g"], &["n"], Projection::Include(&["x", "t"])),
            global("number", &["n"], &[], Projection::All),
            global("binary", &["b"], &["s"], Projection::All),
            global("sparse", &["z"], &["b"], Projection::Include(&["y"])),
            global("many", &["g", "n"], &["s", "b"], Projection::All),
            local("local_all", &["p"], &["n"], Projection::All),
            local("local_keys", &["p"], &["s"], Projection::KeysOnly),
            local("local_include", &["p"], &["b"], Projection::Include(&["x"])),
        ],
    },
    Schema {
        name: "hashed",
        hash: "pb",
        range: None,
        indexes: &[global("number", &["n"], &["pb"], Projection::KeysOnly)],
    },
    Schema { name: "plain", hash: "pn", range: Some("rb"), indexes: &[] },
];

/// An index of [`SORTED`] that comes and goes while the table is in use.
pub static LATE: Index = global("late", &["s"], &["n"], Projection::Include(&["x", "m"]));

const fn global(
    name: &'static str,
    hash: &'static [&'static str],
    range: &'static [&'static str],
    projection: Projection,
) -> Index {
    Index { name, is_local: false, hash, range, projection }
}

const fn local(
    name: &'static str,
    hash: &'static [&'static str],
    range: &'static [&'static str],
    projection: Projection,
) -> Index {
    Index { is_local: true, ..global(name, hash, range, projection) }
}

pub fn type_of(attribute: &str) -> &'static str {
    TYPES.iter().find(|(name, _)| *name == attribute).map(|(_, kind)| *kind).unwrap()
}

impl Schema {
    pub fn key_names(&self) -> impl Iterator<Item = &'static str> + use<> {
        [self.hash].into_iter().chain(self.range)
    }

    pub fn key_of(&self, item: &Item) -> Key {
        self.key_names().map(|name| item[name].clone()).collect()
    }

    /// The item that holds nothing but its key.
    pub fn key_item(&self, key: &Key) -> Item {
        self.key_names().map(str::to_owned).zip(key.iter().cloned()).collect()
    }

    /// The parameters of CreateTable.
    pub fn definition(&self) -> Json {
        let mut names: Vec<&str> = self.key_names().collect();
        names.extend(self.indexes.iter().flat_map(Index::key_names));
        let key_schema = key_schema(&[self.hash], self.range.as_slice());
        let mut definition = json!({"TableName": self.name, "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": attribute_definitions(names), "KeySchema": key_schema});
        for (member, is_local) in [("GlobalSecondaryIndexes", false), ("LocalSecondaryIndexes", true)] {
            let indexes: Vec<Json> =
                self.indexes.iter().filter(|index| index.is_local == is_local).map(Index::definition).collect();
            if !indexes.is_empty() {
                definition[member] = indexes.into();
            }
        }
        definition
    }

    /// What is wrong with an item's index keys: of the first index by name. `updated`: by an update.
    pub fn check_index_keys(&self, item: &Item, updated: bool) -> Result<(), String> {
        let mut indexes: Vec<&Index> = self.indexes.iter().collect();
        indexes.sort_by_key(|index| index.name);
        for index in indexes {
            for name in index.key_names() {
                let Some(value) = item.get(name) else { continue };
                index.check_key(name, value, updated)?;
            }
        }
        Ok(())
    }
}

impl Index {
    pub fn key_names(&self) -> impl Iterator<Item = &'static str> {
        self.hash.iter().chain(self.range).copied()
    }

    /// As UpdateTable and CreateTable want it.
    pub fn definition(&self) -> Json {
        let projection = match self.projection {
            Projection::All => json!({"ProjectionType": "ALL"}),
            Projection::KeysOnly => json!({"ProjectionType": "KEYS_ONLY"}),
            Projection::Include(names) => json!({"ProjectionType": "INCLUDE", "NonKeyAttributes": names}),
        };
        json!({"IndexName": self.name, "KeySchema": key_schema(self.hash, self.range), "Projection": projection})
    }

    pub fn projects(&self, schema: &Schema, name: &str) -> bool {
        let included = match self.projection {
            Projection::All => true,
            Projection::KeysOnly => false,
            Projection::Include(names) => names.contains(&name),
        };
        included || self.key_names().chain(schema.key_names()).any(|key| key == name)
    }

    /// What the index holds of an item: nothing if it lacks a key attribute.
    pub fn entry(&self, schema: &Schema, item: &Item) -> Option<Item> {
        let projected = item.iter().filter(|(name, _)| self.projects(schema, name));
        let has_keys = self.key_names().all(|name| item.contains_key(name));
        has_keys.then(|| projected.map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    fn check_key(&self, name: &str, value: &Value, updated: bool) -> Result<(), String> {
        let (index, expected, actual) = (self.name, type_of(name), value.type_name());
        if expected != actual {
            return Err(format!(
                "One or more parameter values were invalid: Type mismatch for Index Key {name} Expected: {expected} \
                 Actual: {actual} IndexName: {index}"
            ));
        }
        if *value != Value::B(Vec::new()) {
            return Ok(());
        }
        let cannot = "The AttributeValue for a key attribute cannot contain an empty binary value.";
        Err(if updated {
            format!(
                "One or more parameter values are not valid. The update expression attempted to update a secondary \
                 index key to a value that is not supported. {cannot}"
            )
        } else {
            format!(
                "One or more parameter values are not valid. A value specified for a secondary index key is not \
                 supported. {cannot} IndexName: {index}, IndexKey: {name}"
            )
        })
    }
}

pub fn attribute_definitions(mut names: Vec<&str>) -> Json {
    names.sort_unstable();
    names.dedup();
    names.iter().map(|name| json!({"AttributeName": name, "AttributeType": type_of(name)})).collect()
}

fn key_schema(hash: &[&str], range: &[&str]) -> Json {
    let element = |kind: &'static str| move |name: &&str| json!({"AttributeName": name, "KeyType": kind});
    hash.iter().map(element("HASH")).chain(range.iter().map(element("RANGE"))).collect()
}
