//! TableDescription: what the control plane answers about a table.
//!
//! The table is usable as soon as its creation is acknowledged. CreateTable nevertheless answers CREATING as AWS does,
//! because clients wait for ACTIVE afterwards, and find it.
//!
//! While an index is back-filled the table is UPDATING, as AWS's guide says: the SDKs' waiters for a table then wait
//! for its index too. (AWS itself has been seen ACTIVE again as soon as back-filling begins.)

use super::table_definition::warm_units;
use crate::json::Writer;
use crate::model::arn::Location;
use crate::model::table::{BillingMode, IndexStatus, OnDemandLimits, Projection, Throughput};
use crate::model::{IndexDefinition, KeySchema, TableDefinition};
use crate::storage::{Table, TableIndex};

/// Which answer describes the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// CreateTable: CREATING, without what AWS does not know yet.
    Created,
    /// DescribeTable: ACTIVE, or UPDATING while an index is being created.
    Active,
    /// UpdateTable: UPDATING.
    Updating,
    /// DeleteTable: DELETING, without keys, indexes and the time of creation.
    Deleting,
}

/// Rows and bytes of a table or index.
#[derive(Clone, Copy, Debug, Default)]
struct Volume {
    items: u64,
    bytes: u64,
}

/// A table to be described.
struct Description<'d> {
    definition: &'d TableDefinition,
    volume: Volume,
    /// In the order of the definition's indexes.
    index_volumes: Vec<Volume>,
    location: &'d Location,
    view: View,
    /// The index that the request described here has deleted.
    deleted_index: Option<&'d str>,
}

/// Writes `{"<member>":{...}}`, the whole answer.
pub fn write_answer(member: &str, table: &Table, location: &Location, view: View, writer: &mut Writer<'_>) {
    writer.object(|writer| {
        writer.name(member).object(|writer| Description::of(table, location, view).write(writer));
    });
}

/// Writes the answer of an UpdateTable that has deleted an index of `table`, which is the version before: the index is
/// gone already, but AWS shows it once more, as DELETING.
pub fn write_index_deletion(table: &Table, deleted_index: &str, location: &Location, writer: &mut Writer<'_>) {
    let deleted_index = Some(deleted_index);
    let description = Description { deleted_index, ..Description::of(table, location, View::Updating) };
    writer.object(|writer| {
        writer.name("TableDescription").object(|writer| description.write(writer));
    });
}

impl<'d> Description<'d> {
    fn of(table: &'d Table, location: &'d Location, view: View) -> Description<'d> {
        let volume = |index: &TableIndex| Volume { items: index.item_count(), bytes: index.size_bytes() };
        Description {
            definition: table.definition(),
            volume: Volume { items: table.item_count(), bytes: table.size_bytes() },
            index_volumes: table.indexes().iter().map(volume).collect(),
            location,
            view,
            deleted_index: None,
        }
    }

    fn write(&self, writer: &mut Writer<'_>) {
        let definition = self.definition;
        writer.name("TableName").string(&definition.name);
        writer.name("TableStatus").string(match self.view {
            View::Created => "CREATING",
            View::Active if is_being_created(definition) => "UPDATING",
            View::Active => "ACTIVE",
            View::Updating => "UPDATING",
            View::Deleting => "DELETING",
        });
        writer.name("TableArn").string(&self.location.table(&definition.name));
        writer.name("TableId").string(&definition.uuid);
        writer.name("TableSizeBytes").integer(self.volume.bytes);
        writer.name("ItemCount").integer(self.volume.items);
        if self.view != View::Deleting {
            writer.name("CreationDateTime").timestamp(definition.created_ms);
            self.write_attribute_definitions(writer);
            write_key_schema(&definition.key, writer);
        }
        write_throughput(&definition.throughput, writer);
        self.write_billing_mode(writer);
        writer.name("DeletionProtectionEnabled").boolean(definition.deletion_protection);
        self.write_settings(writer);
        if self.view != View::Deleting {
            self.write_indexes("GlobalSecondaryIndexes", true, writer);
            self.write_indexes("LocalSecondaryIndexes", false, writer);
        }
    }

    fn write_attribute_definitions(&self, writer: &mut Writer<'_>) {
        writer.name("AttributeDefinitions").array(|writer| {
            for attribute in self.definition.attribute_definitions() {
                writer.object(|writer| {
                    writer.name("AttributeName").string(&attribute.name);
                    writer.name("AttributeType").string(attribute.kind.name());
                });
            }
        });
    }

    /// Only of a table that is or was billed per request.
    fn write_billing_mode(&self, writer: &mut Writer<'_>) {
        let Some(on_demand_since_ms) = self.definition.on_demand_since_ms else { return };
        writer.name("BillingModeSummary").object(|writer| {
            writer.name("BillingMode").string(match self.definition.billing_mode {
                BillingMode::Provisioned => "PROVISIONED",
                BillingMode::PayPerRequest => "PAY_PER_REQUEST",
            });
            if self.view != View::Created {
                writer.name("LastUpdateToPayPerRequestDateTime").timestamp(on_demand_since_ms);
            }
        });
    }

    fn write_settings(&self, writer: &mut Writer<'_>) {
        let definition = self.definition;
        self.write_warm_throughput(&definition.throughput, writer);
        write_on_demand_limits(definition.on_demand_limits, writer);
        if let Some(class) = definition.class {
            writer.name("TableClassSummary").object(|writer| writer.name("TableClass").string(class.name()));
        }
        if let Some(encryption) = &definition.encryption {
            writer.name("SSEDescription").object(|writer| {
                writer.name("Status").string("ENABLED");
                writer.name("SSEType").string("KMS");
                writer.name("KMSMasterKeyArn").string(&encryption.kms_key_arn);
            });
        }
        if let Some(stream) = &definition.stream {
            if stream.enabled {
                writer.name("StreamSpecification").object(|writer| {
                    writer.name("StreamEnabled").boolean(true);
                    writer.name("StreamViewType").string(stream.view.name());
                });
            }
            writer.name("LatestStreamLabel").string(&stream.label);
            writer.name("LatestStreamArn").string(&self.location.stream(&definition.name, &stream.label));
        }
    }

    /// AWS leaves it out until the table is there.
    fn write_warm_throughput(&self, throughput: &Throughput, writer: &mut Writer<'_>) {
        if matches!(self.view, View::Created | View::Deleting) {
            return;
        }
        let (read, write) = warm_units(throughput, self.definition.billing_mode);
        writer.name("WarmThroughput").object(|writer| {
            writer.name("ReadUnitsPerSecond").integer(read);
            writer.name("WriteUnitsPerSecond").integer(write);
            writer.name("Status").string("ACTIVE");
        });
    }

    fn write_indexes(&self, member: &str, global: bool, writer: &mut Writer<'_>) {
        let volumes = self.definition.indexes.iter().zip(&self.index_volumes);
        let mut described = volumes.filter(|(index, _)| index.is_global() == global).peekable();
        if described.peek().is_none() {
            return;
        }
        writer.name(member).array(|writer| {
            for (index, volume) in described {
                writer.object(|writer| self.write_index(index, *volume, writer));
            }
        });
    }

    fn write_index(&self, index: &IndexDefinition, volume: Volume, writer: &mut Writer<'_>) {
        writer.name("IndexName").string(&index.name);
        write_key_schema(&index.key, writer);
        write_projection(&index.projection, writer);
        writer.name("IndexSizeBytes").integer(volume.bytes);
        writer.name("ItemCount").integer(volume.items);
        writer.name("IndexArn").string(&self.location.index(&self.definition.name, &index.name));
        if !index.is_global() {
            return;
        }
        let status = match index.status {
            _ if self.deleted_index == Some(&index.name) => IndexStatus::Deleting,
            _ if self.view == View::Created => IndexStatus::Creating,
            status => status,
        };
        writer.name("IndexStatus").string(match status {
            IndexStatus::Creating => "CREATING",
            IndexStatus::Active => "ACTIVE",
            IndexStatus::Deleting => "DELETING",
        });
        if index.status == IndexStatus::Creating && status == IndexStatus::Creating {
            writer.name("Backfilling").boolean(true);
        }
        write_throughput(&index.throughput, writer);
        self.write_warm_throughput(&index.throughput, writer);
        write_on_demand_limits(index.on_demand_limits, writer);
    }
}

/// Whether an index is being added to the table.
fn is_being_created(definition: &TableDefinition) -> bool {
    definition.indexes.iter().any(|index| index.status == IndexStatus::Creating)
}

fn write_key_schema(key: &KeySchema, writer: &mut Writer<'_>) {
    writer.name("KeySchema").array(|writer| {
        for (attributes, role) in [(&key.hash, "HASH"), (&key.range, "RANGE")] {
            for attribute in attributes {
                writer.object(|writer| {
                    writer.name("AttributeName").string(&attribute.name);
                    writer.name("KeyType").string(role);
                });
            }
        }
    });
}

fn write_projection(projection: &Projection, writer: &mut Writer<'_>) {
    writer.name("Projection").object(|writer| {
        writer.name("ProjectionType").string(match projection {
            Projection::KeysOnly => "KEYS_ONLY",
            Projection::Include(_) => "INCLUDE",
            Projection::All => "ALL",
        });
        if let Projection::Include(names) = projection {
            writer.name("NonKeyAttributes").array(|writer| names.iter().for_each(|name| writer.string(name)));
        }
    });
}

fn write_throughput(throughput: &Throughput, writer: &mut Writer<'_>) {
    writer.name("ProvisionedThroughput").object(|writer| {
        // Nothing limits decreases here, so none is counted.
        writer.name("NumberOfDecreasesToday").integer(0);
        writer.name("ReadCapacityUnits").integer(throughput.read_units);
        writer.name("WriteCapacityUnits").integer(throughput.write_units);
        if let Some(increase_ms) = throughput.last_increase_ms {
            writer.name("LastIncreaseDateTime").timestamp(increase_ms);
        }
        if let Some(decrease_ms) = throughput.last_decrease_ms {
            writer.name("LastDecreaseDateTime").timestamp(decrease_ms);
        }
    });
}

fn write_on_demand_limits(limits: Option<OnDemandLimits>, writer: &mut Writer<'_>) {
    let Some(limits) = limits else { return };
    writer.name("OnDemandThroughput").object(|writer| {
        if let Some(units) = limits.max_read_units {
            writer.name("MaxReadRequestUnits").integer(units);
        }
        if let Some(units) = limits.max_write_units {
            writer.name("MaxWriteRequestUnits").integer(units);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture::table_definition;
    use crate::model::table::{Encryption, IndexKind, StreamDefinition, StreamView, TableClass};
    use crate::model::{KeyAttribute, KeyKind};

    fn key(hash: &str, range: Option<&str>) -> KeySchema {
        let attribute = |name: &str| KeyAttribute { name: name.to_owned(), kind: KeyKind::S };
        KeySchema { hash: vec![attribute(hash)], range: range.map(attribute).into_iter().collect() }
    }

    fn on_demand() -> TableDefinition {
        TableDefinition {
            uuid: "u".into(),
            created_ms: 1_772_345_678_123,
            on_demand_since_ms: Some(1_772_345_678_000),
            ..table_definition("kvs", &[("id", 'S')], &[])
        }
    }

    fn provisioned() -> TableDefinition {
        let index = |name: &str, number, kind, key, projection| IndexDefinition {
            name: name.to_owned(),
            number,
            kind,
            key,
            projection,
            status: IndexStatus::Active,
            throughput: Throughput { read_units: 5, write_units: 6, ..Throughput::default() },
            on_demand_limits: None,
        };
        TableDefinition {
            key: key("id", Some("no")),
            billing_mode: BillingMode::Provisioned,
            on_demand_since_ms: None,
            throughput: Throughput {
                read_units: 1,
                write_units: 2,
                last_increase_ms: Some(1000),
                last_decrease_ms: Some(2500),
                warm_units: Some((7, 0)),
            },
            indexes: vec![
                index("g", 1, IndexKind::Global, key("x", None), Projection::KeysOnly),
                index("l", 2, IndexKind::Local, key("id", Some("x")), Projection::Include(vec!["a".into()])),
            ],
            ..on_demand()
        }
    }

    fn check(definition: &TableDefinition, view: View, expected: &[&str]) {
        let location = Location { region: "r".into(), account: "000000000000".into() };
        let description = Description {
            definition,
            volume: Volume { items: 3, bytes: 90 },
            index_volumes: vec![Volume { items: 2, bytes: 40 }, Volume { items: 1, bytes: 20 }],
            location: &location,
            view,
            deleted_index: None,
        };
        let mut out = Vec::new();
        Writer::new(&mut out).object(|writer| description.write(writer));
        let found: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
        let expected: serde_json::Value = serde_json::from_str(&expected.concat()).expect("JSON");
        assert_eq!(found, expected);
    }

    #[test]
    fn a_table_billed_per_request_in_all_views() {
        let common = concat!(
            r#"{"TableName":"kvs","ProvisionedThroughput":{"NumberOfDecreasesToday":0,"ReadCapacityUnits":0,"#,
            r#""WriteCapacityUnits":0},"TableSizeBytes":90,"ItemCount":3,"TableId":"u","#,
            r#""TableArn":"arn:aws:dynamodb:r:000000000000:table/kvs","DeletionProtectionEnabled":false,"#
        );
        let schema = concat!(
            r#""AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}],"CreationDateTime":1772345678.123,"#,
            r#""KeySchema":[{"AttributeName":"id","KeyType":"HASH"}],"#
        );
        let billing =
            r#""BillingModeSummary":{"BillingMode":"PAY_PER_REQUEST","LastUpdateToPayPerRequestDateTime":1772345678}"#;
        let warm = r#","WarmThroughput":{"ReadUnitsPerSecond":12000,"WriteUnitsPerSecond":4000,"Status":"ACTIVE"}}"#;
        let created = r#""TableStatus":"CREATING","BillingModeSummary":{"BillingMode":"PAY_PER_REQUEST"}}"#;
        let table = on_demand();
        check(&table, View::Created, &[common, schema, created]);
        check(&table, View::Active, &[common, schema, r#""TableStatus":"ACTIVE","#, billing, warm]);
        check(&table, View::Updating, &[common, schema, r#""TableStatus":"UPDATING","#, billing, warm]);
        check(&table, View::Deleting, &[common, r#""TableStatus":"DELETING","#, billing, "}"]);
    }

    #[test]
    fn a_provisioned_table_with_indexes() {
        let head = concat!(
            r#"{"TableName":"kvs","TableStatus":"ACTIVE","TableSizeBytes":90,"ItemCount":3,"TableId":"u","#,
            r#""TableArn":"arn:aws:dynamodb:r:000000000000:table/kvs","DeletionProtectionEnabled":false,"#,
            r#""AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"},{"AttributeName":"no","#,
            r#""AttributeType":"S"},{"AttributeName":"x","AttributeType":"S"}],"#,
            r#""CreationDateTime":1772345678.123,"KeySchema":["#,
            r#"{"AttributeName":"id","KeyType":"HASH"},{"AttributeName":"no","KeyType":"RANGE"}],"#,
            r#""ProvisionedThroughput":{"NumberOfDecreasesToday":0,"ReadCapacityUnits":1,"WriteCapacityUnits":2,"#,
            r#""LastIncreaseDateTime":1,"LastDecreaseDateTime":2.500},"#,
            r#""WarmThroughput":{"ReadUnitsPerSecond":7,"WriteUnitsPerSecond":2,"Status":"ACTIVE"},"#
        );
        let global = concat!(
            r#""GlobalSecondaryIndexes":[{"IndexName":"g","KeySchema":[{"AttributeName":"x","KeyType":"HASH"}],"#,
            r#""Projection":{"ProjectionType":"KEYS_ONLY"},"IndexStatus":"ACTIVE","IndexSizeBytes":40,"ItemCount":2,"#,
            r#""IndexArn":"arn:aws:dynamodb:r:000000000000:table/kvs/index/g","ProvisionedThroughput":"#,
            r#"{"NumberOfDecreasesToday":0,"ReadCapacityUnits":5,"WriteCapacityUnits":6},"#,
            r#""WarmThroughput":{"ReadUnitsPerSecond":5,"WriteUnitsPerSecond":6,"Status":"ACTIVE"}}],"#
        );
        let local = concat!(
            r#""LocalSecondaryIndexes":[{"IndexName":"l","KeySchema":[{"AttributeName":"id","KeyType":"HASH"},"#,
            r#"{"AttributeName":"x","KeyType":"RANGE"}],"Projection":{"ProjectionType":"INCLUDE","NonKeyAttributes":"#,
            r#"["a"]},"IndexSizeBytes":20,"ItemCount":1,"#,
            r#""IndexArn":"arn:aws:dynamodb:r:000000000000:table/kvs/index/l"}]}"#
        );
        check(&provisioned(), View::Active, &[head, global, local]);
    }

    #[test]
    fn settings_are_described_only_if_they_were_made() {
        let mut table = on_demand();
        table.deletion_protection = true;
        table.class = Some(TableClass::StandardInfrequentAccess);
        table.on_demand_limits = Some(OnDemandLimits { max_read_units: Some(10), max_write_units: None });
        table.encryption = Some(Encryption { kms_key_arn: "k".into() });
        let label = "2024-11-18T14:36:44.149".to_owned();
        table.stream = Some(StreamDefinition { view: StreamView::NewImage, label, enabled: true });
        let common = concat!(
            r#"{"TableName":"kvs","TableStatus":"DELETING","ProvisionedThroughput":{"NumberOfDecreasesToday":0,"#,
            r#""ReadCapacityUnits":0,"WriteCapacityUnits":0},"TableSizeBytes":90,"ItemCount":3,"TableId":"u","#,
            r#""TableArn":"arn:aws:dynamodb:r:000000000000:table/kvs","DeletionProtectionEnabled":true,"#,
            r#""BillingModeSummary":{"BillingMode":"PAY_PER_REQUEST","LastUpdateToPayPerRequestDateTime":1772345678},"#,
            r#""TableClassSummary":{"TableClass":"STANDARD_INFREQUENT_ACCESS"},"OnDemandThroughput":"#,
            r#"{"MaxReadRequestUnits":10},"SSEDescription":{"Status":"ENABLED","SSEType":"KMS","#,
            r#""KMSMasterKeyArn":"k"},"#,
            r#""LatestStreamLabel":"2024-11-18T14:36:44.149","#,
            r#""LatestStreamArn":"arn:aws:dynamodb:r:000000000000:table/kvs/stream/2024-11-18T14:36:44.149""#
        );
        let stream = r#","StreamSpecification":{"StreamEnabled":true,"StreamViewType":"NEW_IMAGE"}}"#;
        check(&table, View::Deleting, &[common, stream]);
        if let Some(stream) = &mut table.stream {
            stream.enabled = false;
        }
        check(&table, View::Deleting, &[common, "}"]);
    }
}
