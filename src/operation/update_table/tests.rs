use bumpalo::Bump;
use serde_json::Value;

use super::super::create_table;
use super::*;
use crate::error::ErrorKind;
use crate::model::TableDefinition;
use crate::model::arn::Location;
use crate::model::table::{BillingMode, IndexStatus, OnDemandLimits, TableClass, Throughput};
use crate::operation::shared::fixture::Database;

const P: &str = "One or more parameter values were invalid: ";
const NOW_MS: u64 = 1_731_940_604_149;

fn location() -> Location {
    Location { region: "r".into(), account: "000000000000".into() }
}

/// A table `abc` with key a, b, global indexes `glo` and `two` and the local index `loc`.
fn table(billed: &str) -> TableDefinition {
    let is_provisioned = billed == "PROVISIONED";
    let units = r#""ProvisionedThroughput":{"ReadCapacityUnits":5,"WriteCapacityUnits":6},"#;
    let units = if is_provisioned { units } else { "" };
    let index = |name: &str, hash: &str, range: &str, units: &str| {
        let range = if range.is_empty() {
            String::new()
        } else {
            format!(r#",{{"AttributeName":"{range}","KeyType":"RANGE"}}"#)
        };
        format!(
            r#"{{{units}"IndexName":"{name}","KeySchema":[{{"AttributeName":"{hash}","KeyType":"HASH"}}{range}],
                "Projection":{{"ProjectionType":"ALL"}}}}"#
        )
    };
    let definitions =
        ["a", "b", "x"].map(|name| format!(r#"{{"AttributeName":"{name}","AttributeType":"S"}}"#)).join(",");
    let body = format!(
        r#"{{{units}"TableName":"abc","BillingMode":"{billed}","AttributeDefinitions":[{definitions}],
            "KeySchema":[{{"AttributeName":"a","KeyType":"HASH"}},{{"AttributeName":"b","KeyType":"RANGE"}}],
            "GlobalSecondaryIndexes":[{},{}],"LocalSecondaryIndexes":[{}]}}"#,
        index("glo", "x", "", units),
        index("two", "b", "", units),
        index("loc", "a", "x", ""),
    );
    let arena = Bump::new();
    let parameters = decode(body.as_bytes(), &arena).expect("well-formed");
    create_table::define(&parameters, &location(), NOW_MS).expect("valid")
}

fn provisioned() -> TableDefinition {
    table("PROVISIONED")
}

fn on_demand() -> TableDefinition {
    table("PAY_PER_REQUEST")
}

fn update_at(table: &TableDefinition, members: &str, now_ms: u64) -> Result<TableDefinition, ApiError> {
    let arena = Bump::new();
    let body = format!(r#"{{"TableName":"abc",{members}}}"#).replace(",}", "}");
    let parameters: Parameters<'_> = decode(body.as_bytes(), &arena)?;
    let request = Request::read(&parameters)?;
    change::apply(&request, table, &location(), now_ms)
}

fn update(table: &TableDefinition, members: &str) -> TableDefinition {
    update_at(table, members, NOW_MS).unwrap_or_else(|error| panic!("{members}: {}", error.message))
}

fn check(table: &TableDefinition, members: &str, expected: &str) {
    let found = update_at(table, members, NOW_MS).map(|_| ()).map_err(|error| error.message.into_owned());
    assert_eq!(found, Err(expected.replace("P!", P)), "{members}");
}

fn units(read: u64, write: u64) -> String {
    format!(r#""ProvisionedThroughput":{{"ReadCapacityUnits":{read},"WriteCapacityUnits":{write}}}"#)
}

fn index_units(name: &str, read: u64, write: u64) -> String {
    format!(r#"{{"Update":{{"IndexName":"{name}",{}}}}}"#, units(read, write))
}

fn indexes(updates: &[&str]) -> String {
    format!(r#""GlobalSecondaryIndexUpdates":[{}]"#, updates.join(","))
}

fn creation(name: &str, attribute: &str, members: &str) -> String {
    format!(
        r#"{{"Create":{{"IndexName":"{name}","KeySchema":[{{"AttributeName":"{attribute}","KeyType":"HASH"}}],
            "Projection":{{"ProjectionType":"ALL"}}{members}}}}}"#
    )
}

const DEFINES_X: &str = r#""AttributeDefinitions":[{"AttributeName":"x","AttributeType":"S"}]"#;
const STREAM: &str = r#""StreamSpecification":{"StreamEnabled":true,"StreamViewType":"KEYS_ONLY"}"#;
const NO_STREAM: &str = r#""StreamSpecification":{"StreamEnabled":false}"#;
const PROTECT: &str = r#""DeletionProtectionEnabled":true"#;
const UNPROTECT: &str = r#""DeletionProtectionEnabled":false"#;
const DELETE_GLO: &str = r#"{"Delete":{"IndexName":"glo"}}"#;

#[test]
fn something_must_be_asked_for() {
    let nothing = "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, \
                   GlobalSecondaryIndexUpdates, SSESpecification, ReplicaUpdates, MultiAccountReplicaReady, \
                   ReplicaTransitRoleArn, MultiRegionConsistency, DeletionProtectionEnabled, OnDemandThroughput, \
                   WarmThroughput or TableClass is required";
    for members in ["", DEFINES_X, r#""GlobalSecondaryIndexUpdates":[]"#, r#""BillingMode":null"#] {
        check(&provisioned(), members, nothing);
    }
    let arena = Bump::new();
    let parameters: Parameters<'_> = decode(b"{}", &arena).expect("well-formed");
    let text = "The parameter 'TableName' is required but was not present in the request";
    assert_eq!(Request::read(&parameters).map(|_| ()).map_err(|error| error.message), Err(text.into()));
}

#[test]
fn member_constraints() {
    for (members, violations) in [
        (r#""TableName":"a""#, &["'a' at 'tableName'!Member must have length greater than or equal to 3"][..]),
        (
            r#""BillingMode":"x""#,
            &["'x' at 'billingMode'!Member must satisfy enum value set: [PROVISIONED, PAY_PER_REQUEST]"],
        ),
        (
            r#""ProvisionedThroughput":{}"#,
            &[
                "null at 'provisionedThroughput.writeCapacityUnits'!Member must not be null",
                "null at 'provisionedThroughput.readCapacityUnits'!Member must not be null",
            ],
        ),
        (
            r#""GlobalSecondaryIndexUpdates":[{"Update":{"ProvisionedThroughput":{"ReadCapacityUnits":0,
                "WriteCapacityUnits":1}}},{"Create":{"IndexName":"i"}},{"Delete":{}}]"#,
            &[
                "null at 'globalSecondaryIndexUpdates.1.member.update.indexName'!Member must not be null",
                "'0' at 'globalSecondaryIndexUpdates.1.member.update.provisionedThroughput.readCapacityUnits'!Member \
                 must have value greater than or equal to 1",
                "'i' at 'globalSecondaryIndexUpdates.2.member.create.indexName'!Member must have length greater than \
                 or equal to 3",
                "null at 'globalSecondaryIndexUpdates.2.member.create.keySchema'!Member must not be null",
                "null at 'globalSecondaryIndexUpdates.2.member.create.projection'!Member must not be null",
                "null at 'globalSecondaryIndexUpdates.3.member.delete.indexName'!Member must not be null",
            ],
        ),
        (r#""ReplicaUpdates":[]"#, &["'[]' at 'replicaUpdates'!Member must have length greater than or equal to 1"]),
    ] {
        let plural = if violations.len() == 1 { "" } else { "s" };
        let count = violations.len();
        let violations = violations.join("; Value ").replace('!', " failed to satisfy constraint: ");
        check(&provisioned(), members, &format!("{count} validation error{plural} detected: Value {violations}"));
    }
}

#[test]
fn rules_of_the_request_alone() {
    let pay = r#""BillingMode":"PAY_PER_REQUEST""#;
    for (members, text) in [
        (
            r#""BillingMode":"PROVISIONED""#.to_owned(),
            "P!ProvisionedThroughput must be specified when BillingMode is PROVISIONED",
        ),
        (
            format!("{pay},{}", units(1, 1)),
            "P!Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST",
        ),
        (units(1_000_000_000_001, 1), "Given value 1000000000001 for ReadCapacityUnits is out of bounds"),
        (
            indexes(&[&index_units("glo", 1, 1_000_000_000_001)]),
            "Given value 1000000000001 for WriteCapacityUnits is out of bounds for index: glo",
        ),
        (
            indexes(&["{}"]),
            "P!One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, \
             GlobalSecondaryIndexUpdate.Delete must not be null",
        ),
        (
            indexes(&[r#"{"Delete":{"IndexName":"glo"},"Update":{"IndexName":"glo"}}"#]),
            "P!Only one global secondary index action is allowed per GlobalSecondaryIndexUpdate object",
        ),
        (
            indexes(&[&index_units("glo", 1, 1), DELETE_GLO]),
            "P!Only one global secondary index update per index is allowed simultaneously. Index: glo",
        ),
        (
            r#""StreamSpecification":{"StreamEnabled":true}"#.to_owned(),
            "P!If stream is being enabled then UpdateViewType is required",
        ),
        (
            r#""StreamSpecification":{"StreamEnabled":false,"StreamViewType":"KEYS_ONLY"}"#.to_owned(),
            "P!If stream is being disabled, then UpdateViewType must not be specified",
        ),
        (
            r#""TableClass":"BEST""#.to_owned(),
            "Invalid table-class parameter provided. Please try again with a valid table-class value: [STANDARD, \
             STANDARD_INFREQUENT_ACCESS].",
        ),
        (
            r#""ReplicaUpdates":[{"Create":{"RegionName":"eu-west-1"}}]"#.to_owned(),
            "This server has no other regions: ReplicaUpdates and MultiRegionConsistency are not supported",
        ),
    ] {
        check(&provisioned(), &members, text);
    }
}

#[test]
fn exclusive_changes() {
    let class = r#""TableClass":"STANDARD""#;
    let encryption = r#""SSESpecification":{"Enabled":true}"#;
    let ceiling = r#""OnDemandThroughput":{"MaxReadRequestUnits":5}"#;
    let replica = r#""ReplicaUpdates":[{}]"#;
    let delete = indexes(&[DELETE_GLO]);
    for (changes, text) in [
        (&[class, &units(1, 1)][..], "P!TableClass modification must be the only operation in the request"),
        (&[class, PROTECT], "P!TableClass modification must be the only operation in the request"),
        (&[PROTECT, STREAM], "P!DeletionProtection modification must be the only operation in the request"),
        (&[PROTECT, &delete], "P!DeletionProtection modification must be the only operation in the request"),
        (&[replica, STREAM], "P!Replica modification must be the only operation in the request"),
        (&[encryption, ceiling], "P!Server-Side Encryption modification must be the only operation in the request"),
        (&[STREAM, &units(1, 1)], "P!You cannot modify stream status while updating table IOPS"),
        (
            &[STREAM, r#""BillingMode":"PAY_PER_REQUEST""#],
            "P!You cannot modify stream status while updating table IOPS",
        ),
        (&[&delete, &units(1, 1)], "P!You cannot create or delete index while updating table IOPS"),
        (&[&delete, STREAM], "P!You cannot create or delete index while changing stream status"),
        (&[ceiling, STREAM], "P!OnDemandThroughput can only be combined with BillingMode in an UpdateTable request"),
        (
            &[ceiling, &units(1, 1)],
            "P!OnDemandThroughput can only be combined with BillingMode in an UpdateTable request",
        ),
    ] {
        check(&provisioned(), &changes.join(","), text);
    }
    let limited = update(&provisioned(), &format!(r#"{ceiling},"BillingMode":"PAY_PER_REQUEST""#));
    assert_eq!(limited.on_demand_limits, Some(OnDemandLimits { max_read_units: Some(5), max_write_units: None }));
}

#[test]
fn throughput_of_tables() {
    check(
        &provisioned(),
        &units(5, 6),
        "The provisioned throughput for the table will not change. The requested value equals the current value. \
         Current ReadCapacityUnits provisioned for the table: 5. Requested ReadCapacityUnits: 5. Current \
         WriteCapacityUnits provisioned for the table: 6. Requested WriteCapacityUnits: 6. Refer to the Amazon \
         DynamoDB Developer Guide for current limits and how to request higher limits.",
    );
    check(
        &on_demand(),
        &units(5, 6),
        "P!Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST",
    );
    for (read, write, last_increase_ms, last_decrease_ms) in
        [(6, 6, Some(NOW_MS), None), (5, 1, None, Some(NOW_MS)), (1, 7, Some(NOW_MS), Some(NOW_MS))]
    {
        let expected =
            Throughput { read_units: read, write_units: write, last_increase_ms, last_decrease_ms, warm_units: None };
        assert_eq!(update(&provisioned(), &units(read, write)).throughput, expected);
    }
}

#[test]
fn billing_modes() {
    let paid = update_at(&provisioned(), r#""BillingMode":"PAY_PER_REQUEST""#, NOW_MS + 1).expect("permitted");
    assert_eq!((paid.billing_mode, paid.on_demand_since_ms), (BillingMode::PayPerRequest, Some(NOW_MS + 1)));
    assert!(paid.indexes.iter().all(|index| index.throughput == Throughput::default()));
    assert_eq!(paid.throughput, Throughput::default());
    let again = update_at(&paid, r#""BillingMode":"PAY_PER_REQUEST""#, NOW_MS + 2).expect("accepted");
    assert_eq!(again, paid);

    let back = format!(r#""BillingMode":"PROVISIONED",{}"#, units(3, 4));
    check(&paid, &back, "P!ProvisionedThroughput must be specified for index: glo");
    let one = format!("{back},{}", indexes(&[&index_units("glo", 1, 2)]));
    check(&paid, &one, "P!ProvisionedThroughput must be specified for index: two");
    let both = format!("{back},{}", indexes(&[&index_units("two", 1, 2), &index_units("glo", 7, 8)]));
    let back = update(&paid, &both);
    assert_eq!((back.billing_mode, back.on_demand_since_ms), (BillingMode::Provisioned, Some(NOW_MS + 1)));
    let units_of = |throughput: &Throughput| (throughput.read_units, throughput.write_units);
    let units = [&back.throughput, &back.indexes[0].throughput, &back.indexes[1].throughput].map(units_of);
    assert_eq!(units, [(3, 4), (7, 8), (1, 2)]);
}

#[test]
fn settings_of_indexes() {
    for (table, updates, text) in [
        (provisioned(), index_units("nil", 1, 1), "Requested resource not found: Index nil for table abc"),
        (provisioned(), index_units("loc", 1, 1), "Requested resource not found: Index loc for table abc"),
        (
            provisioned(),
            index_units("glo", 5, 6),
            "The provisioned throughput for the index glo will not change. The requested value equals the current \
             value. Current ReadCapacityUnits provisioned for index glo: 5. Requested ReadCapacityUnits: 5. Current \
             WriteCapacityUnits provisioned for index glo: 6. Requested WriteCapacityUnits: 6. Refer to the Amazon \
             DynamoDB Developer Guide for current limits and how to request higher limits.",
        ),
        (
            on_demand(),
            index_units("glo", 1, 1),
            "P!ProvisionedThroughput should not be specified for index: glo when BillingMode is PAY_PER_REQUEST",
        ),
        (
            provisioned(),
            r#"{"Update":{"IndexName":"glo"}}"#.to_owned(),
            "P!ProvisionedThroughput is not specified for index: glo",
        ),
        (
            on_demand(),
            r#"{"Update":{"IndexName":"glo","WarmThroughput":{"ReadUnitsPerSecond":1}}}"#.to_owned(),
            "P!Requested ReadUnitsPerSecond for WarmThroughput for index glo is lower than current WarmThroughput, \
             decreasing WarmThroughput is not supported",
        ),
    ] {
        check(&table, &indexes(&[&updates]), text);
    }
    let changed = update(&provisioned(), &indexes(&[&index_units("glo", 9, 6)]));
    let throughput = changed.indexes[0].throughput;
    assert_eq!((throughput.read_units, throughput.last_increase_ms), (9, Some(NOW_MS)));
    let ceiling = r#"{"Update":{"IndexName":"two","OnDemandThroughput":{"MaxWriteRequestUnits":3}}}"#;
    let limits = update(&on_demand(), &indexes(&[ceiling])).indexes[1].on_demand_limits;
    assert_eq!(limits, Some(OnDemandLimits { max_read_units: None, max_write_units: Some(3) }));
}

#[test]
fn creations_and_deletions_of_indexes() {
    let defined = |updates: &[&str]| format!("{DEFINES_X},{}", indexes(updates));
    let new = creation("new", "x", "");
    let (other, units) = (creation("other", "x", ""), format!(",{}", units(1, 1)));
    for (table, members, text) in [
        (
            on_demand(),
            indexes(&[r#"{"Delete":{"IndexName":"nil"}}"#]),
            "Requested resource not found: Index nil for table abc",
        ),
        (
            on_demand(),
            indexes(&[r#"{"Delete":{"IndexName":"loc"}}"#]),
            "Cannot delete an index that is not a GlobalSecondaryIndex: loc",
        ),
        (on_demand(), defined(&[&creation("glo", "x", "")]), "Attempting to create an index which already exists"),
        (on_demand(), defined(&[&creation("loc", "x", "")]), "Attempting to create an index which already exists"),
        (on_demand(), indexes(&[&new]), "P!AttributeDefinitions is not specified for index: new"),
        (
            on_demand(),
            defined(&[&creation("new", "b", "")]),
            "P!Some index key attributes are not defined in AttributeDefinitions. Keys: [b], AttributeDefinitions: [x]",
        ),
        (provisioned(), defined(&[&new]), "P!ProvisionedThroughput is not specified for index: new"),
        (
            on_demand(),
            defined(&[&creation("new", "x", &units)]),
            "P!ProvisionedThroughput should not be specified for index: new when BillingMode is PAY_PER_REQUEST",
        ),
        (on_demand(), defined(&[&creation("new", "x", r#","Projection":{}"#)]), "P!Unknown ProjectionType: null"),
        (
            on_demand(),
            defined(&[&new, &other]),
            "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table",
        ),
        (
            on_demand(),
            defined(&[&new, DELETE_GLO]),
            "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table",
        ),
        (
            update(&on_demand(), &defined(&[&new])),
            defined(&[&other]),
            "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table",
        ),
        (
            update(&on_demand(), &defined(&[&new])),
            indexes(&[DELETE_GLO]),
            "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table",
        ),
    ] {
        check(&table, &members, text);
    }
    let mut full = on_demand();
    for number in 0..18 {
        let mut index = full.indexes[0].clone();
        index.name = format!("more{number}");
        full.indexes.push(index);
    }
    let text = "Subscriber limit exceeded: Number of global secondary indexes exceeds per-table limit of 20";
    check(&full, &defined(&[&new]), text);
    let error = update_at(&full, &defined(&[&new]), NOW_MS).expect_err("one too many");
    assert_eq!(error.kind, ErrorKind::LimitExceeded);
}

#[test]
fn a_new_index_may_have_four_attributes_of_each_kind() {
    let defined = |names: &str| {
        let definitions: Vec<String> =
            names.chars().map(|name| format!(r#"{{"AttributeName":"{name}","AttributeType":"S"}}"#)).collect();
        format!(r#""AttributeDefinitions":[{}]"#, definitions.join(","))
    };
    // Upper case is HASH, lower case RANGE.
    let members = |key: &str| {
        let element = |name: char| {
            let role = if name.is_uppercase() { "HASH" } else { "RANGE" };
            format!(r#"{{"AttributeName":"{name}","KeyType":"{role}"}}"#)
        };
        let elements: Vec<String> = key.chars().map(element).collect();
        let create = format!(
            r#"{{"Create":{{"IndexName":"new","KeySchema":[{}],"Projection":{{"ProjectionType":"ALL"}}}}}}"#,
            elements.join(",")
        );
        format!("{},{}", defined("ABCDEvwxyz"), indexes(&[&create]))
    };
    for (key, text) in [
        ("ABCDE", "P!The KeySchema exceeds the maximum allowed number of HASH key attributes"),
        ("Avwxyz", "P!The KeySchema exceeds the maximum allowed number of RANGE key attributes"),
        ("AxB", "P!All HASH key attributes must precede RANGE key attributes in the KeySchema"),
        ("ABxA", "P!All HASH key attributes must precede RANGE key attributes in the KeySchema"),
        ("ABxx", "The KeySchema contains multiple key attributes with the same name"),
        ("x", "Invalid KeySchema: The first KeySchemaElement is not a HASH key type"),
        (
            "AQ",
            "P!Some index key attributes are not defined in AttributeDefinitions. Keys: [A, Q], AttributeDefinitions: \
             [A, B, C, D, E, v, w, x, y, z]",
        ),
    ] {
        check(&on_demand(), &members(key), text);
    }
    let created = update(&on_demand(), &members("ABCDvwxy"));
    let key = &created.index("new").expect("created").key;
    assert_eq!((key.hash.len(), key.range.len()), (4, 4));
    // x was in use before; A to D and v, w, y are new beside a and b.
    assert_eq!(created.attribute_definitions().len(), 3 + 7);
}

#[test]
fn created_and_deleted_indexes() {
    let new = creation("new", "x", &format!(",{}", units(3, 4)));
    let created = update(&provisioned(), &format!("{DEFINES_X},{}", indexes(&[&new])));
    let index = created.index("new").expect("created");
    assert_eq!((index.status, index.number, created.next_index_number), (IndexStatus::Creating, 4, 5));
    assert_eq!((index.throughput.read_units, index.throughput.write_units), (3, 4));
    assert_eq!(created.indexes[..3], provisioned().indexes);
    // The one that is being created may go; its number is not used again.
    let deleted = update(&created, &indexes(&[r#"{"Delete":{"IndexName":"new"}}"#]));
    assert_eq!((deleted.next_index_number, deleted.indexes), (5, provisioned().indexes));
    let names = |table: &TableDefinition| table.indexes.iter().map(|index| index.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&update(&provisioned(), &indexes(&[DELETE_GLO]))), ["two", "loc"]);
}

#[test]
fn definitions_of_attributes_are_merged() {
    let described = |table: &TableDefinition| {
        let definitions = table.attribute_definitions();
        definitions.iter().map(|known| format!("{}:{}", known.name, known.kind.name())).collect::<Vec<_>>().join(" ")
    };
    let definitions = r#""AttributeDefinitions":[{"AttributeName":"x","AttributeType":"N"},
        {"AttributeName":"y","AttributeType":"B"},{"AttributeName":"unused","AttributeType":"S"}]"#;
    // A stored type wins, and what no key names is dropped.
    let stored = update(&on_demand(), &format!("{definitions},{}", indexes(&[&creation("new", "x", "")])));
    assert_eq!(described(&stored), "a:S b:S x:S");
    let added = update(&on_demand(), &format!("{definitions},{}", indexes(&[&creation("new", "y", "")])));
    assert_eq!(described(&added), "a:S b:S x:S y:B");
    // With the last index that names it goes the attribute.
    let deleted = update(&added, &indexes(&[r#"{"Delete":{"IndexName":"new"}}"#]));
    assert_eq!(described(&deleted), "a:S b:S x:S");
}

/// The status of table `hashed`, and of its only index.
fn statuses(database: &mut Database) -> (String, Value) {
    let (_, body) = database.call("DescribeTable", r#"{"TableName":"hashed"}"#);
    let table: Value = serde_json::from_str(&body).expect("JSON");
    let table = &table["Table"];
    (table["TableStatus"].as_str().expect("described").to_owned(), table["GlobalSecondaryIndexes"][0].clone())
}

fn wait_for_index(database: &mut Database) -> Value {
    for _ in 0..5000 {
        let (status, index) = statuses(database);
        if status == "ACTIVE" {
            return index;
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    panic!("the index becomes ACTIVE");
}

#[test]
fn an_index_is_created_online() {
    let mut database = Database::with_tables();
    for item in 0..300 {
        let group = if item % 3 == 0 { r#"{"N":"1"}"# } else { r#"{"S":"g"}"# };
        database.fill("hashed", &[&format!(r#"{{"p":{{"S":"{item}"}},"g":{group}}}"#)]);
    }
    database.stop_backfill();
    let create = |name: &str| {
        format!(
            r#"{{"TableName":"hashed","AttributeDefinitions":[{{"AttributeName":"g","AttributeType":"S"}}],{}}}"#,
            indexes(&[&creation(name, "g", "")])
        )
    };
    let (status, body) = database.call("UpdateTable", &create("by_g"));
    assert_eq!(status, 200, "{body}");
    let answer: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(answer["TableDescription"]["TableStatus"], "UPDATING");
    let (status, index) = statuses(&mut database);
    assert_eq!(
        (status.as_str(), &index["IndexStatus"], &index["Backfilling"]),
        ("UPDATING", &"CREATING".into(), &true.into())
    );
    let query = r#"{"TableName":"hashed","IndexName":"by_g","KeyConditionExpression":"g = :g","Select":"COUNT",
        "ExpressionAttributeValues":{":g":{"S":"g"}}}"#;
    let absent = "The table does not have the specified index: by_g";
    database.refuses("Query", query, "ValidationException", absent);
    database.refuses("Scan", r#"{"TableName":"hashed","IndexName":"by_g"}"#, "ValidationException", absent);
    let busy = "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table";
    database.refuses("UpdateTable", &create("other"), "LimitExceededException", busy);
    // Items are written as ever, but no more with a wrong type.
    database.fill("hashed", &[r#"{"p":{"S":"new"},"g":{"S":"g"}}"#, r#"{"p":{"S":"1"}}"#]);
    let mistyped = r#"{"TableName":"hashed","Item":{"p":{"S":"2"},"g":{"N":"1"}}}"#;
    assert_eq!(database.call("PutItem", mistyped).0, 400);

    let mut database = database.restart();
    let index = wait_for_index(&mut database);
    assert_eq!(
        (&index["IndexStatus"], &index["ItemCount"], index.get("Backfilling")),
        (&"ACTIVE".into(), &200.into(), None)
    );
    database.answers("Query", query, r#"{"Count":200,"ScannedCount":200}"#);

    let delete = format!(r#"{{"TableName":"hashed",{}}}"#, indexes(&[r#"{"Delete":{"IndexName":"by_g"}}"#]));
    let (status, body) = database.call("UpdateTable", &delete);
    assert_eq!((status, body.matches(r#""IndexStatus":"DELETING""#).count()), (200, 1), "{body}");
    database.refuses("Query", query, "ValidationException", absent);
    assert_eq!(statuses(&mut database), ("ACTIVE".to_owned(), Value::Null));
    assert_eq!(database.call("PutItem", mistyped).0, 200, "any type again");
    assert_eq!(database.call("UpdateTable", &create("by_g")).0, 200);
    assert_eq!(wait_for_index(&mut database)["ItemCount"], 199);
    database.answers("Query", query, r#"{"Count":199,"ScannedCount":199}"#);
}

/// What AWS admits while an index is being back-filled, and what it refuses.
#[test]
fn while_an_index_is_being_created() {
    let mut database = Database::with_tables();
    database.fill("hashed", &[r#"{"p":{"S":"1"},"g":{"S":"g"}}"#]);
    database.stop_backfill();
    let request = |members: &str| format!(r#"{{"TableName":"hashed",{members}}}"#);
    let creation_of = |name: &str| {
        let definition = r#""AttributeDefinitions":[{"AttributeName":"g","AttributeType":"S"}]"#;
        request(&format!("{definition},{}", indexes(&[&creation(name, "g", "")])))
    };
    assert_eq!(database.call("UpdateTable", &creation_of("by_g")).0, 200);
    assert_eq!(statuses(&mut database).1["IndexStatus"], "CREATING");

    let one = "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table";
    let same = "Attempt to change a resource which is still in use: Index is being created.  Table: hashed Index: by_g";
    let table = "Attempt to change a resource which is still in use: Cannot delete table while indexes are being \
                 created, updated, or deleted.";
    database.refuses("UpdateTable", &creation_of("other"), "LimitExceededException", one);
    database.refuses("UpdateTable", &creation_of("by_g"), "ResourceInUseException", same);
    database.refuses("DeleteTable", r#"{"TableName":"hashed"}"#, "ResourceInUseException", table);

    let arn = r#""ResourceArn":"arn:aws:dynamodb:us-east-1:000000000000:table/hashed""#;
    let ceiling = r#"{"Update":{"IndexName":"by_g","OnDemandThroughput":{"MaxReadRequestUnits":7}}}"#;
    for (operation, body) in [
        ("UpdateTable", request(r#""BillingMode":"PAY_PER_REQUEST""#)),
        ("UpdateTable", request(&indexes(&[ceiling]))),
        ("UpdateTable", request(r#""OnDemandThroughput":{"MaxReadRequestUnits":5}"#)),
        ("UpdateTable", request(STREAM)),
        ("UpdateTable", request(r#""TableClass":"STANDARD_INFREQUENT_ACCESS""#)),
        ("UpdateTable", request(r#""SSESpecification":{"Enabled":true}"#)),
        ("UpdateTable", request(PROTECT)),
        ("TagResource", format!(r#"{{{arn},"Tags":[{{"Key":"k","Value":"v"}}]}}"#)),
        ("DescribeTable", r#"{"TableName":"hashed"}"#.to_owned()),
        ("PutItem", request(r#""Item":{"p":{"S":"2"},"g":{"S":"g"}}"#)),
    ] {
        let (status, answer) = database.call(operation, &body);
        assert_eq!(status, 200, "{operation} {body}: {answer}");
    }
    let protected = "Resource cannot be deleted as it is currently protected against deletion. Disable deletion \
                     protection first.";
    database.refuses("DeleteTable", r#"{"TableName":"hashed"}"#, "ValidationException", protected);

    // None of it has touched the index, which may go before it is ready.
    let (_, index) = statuses(&mut database);
    assert_eq!((&index["IndexStatus"], &index["Backfilling"]), (&"CREATING".into(), &true.into()));
    let delete = request(&indexes(&[r#"{"Delete":{"IndexName":"by_g"}}"#]));
    assert_eq!(database.call("UpdateTable", &delete).0, 200);
    assert_eq!(statuses(&mut database), ("ACTIVE".to_owned(), Value::Null));
    let gone = "Requested resource not found: Index by_g for table hashed";
    database.refuses("UpdateTable", &delete, "ResourceNotFoundException", gone);
}

/// The consumed capacity of a PutItem into `hashed`: in all, and of the index `by_g`.
fn units_of_put(database: &mut Database, item: &str) -> (f64, Option<f64>) {
    let body = format!(r#"{{"TableName":"hashed","Item":{item},"ReturnConsumedCapacity":"INDEXES"}}"#);
    let (status, answer) = database.call("PutItem", &body);
    assert_eq!(status, 200, "{answer}");
    let consumed = &serde_json::from_str::<Value>(&answer).expect("JSON")["ConsumedCapacity"];
    let units = |value: &Value| value["CapacityUnits"].as_f64();
    let index = units(&consumed["GlobalSecondaryIndexes"]["by_g"]);
    let total = units(consumed).expect("a total");
    assert_eq!(total, units(&consumed["Table"]).expect("the table's") + index.unwrap_or_default(), "{answer}");
    (total, index)
}

#[test]
fn an_index_costs_units_from_when_it_is_active() {
    let mut database = Database::with_tables();
    database.fill("hashed", &[r#"{"p":{"S":"1"},"g":{"S":"g"}}"#, r#"{"p":{"S":"2"},"g":{"S":"g"}}"#]);
    database.stop_backfill();
    let create = format!(
        r#"{{"TableName":"hashed","AttributeDefinitions":[{{"AttributeName":"g","AttributeType":"S"}}],{}}}"#,
        indexes(&[&creation("by_g", "g", "")])
    );
    assert_eq!(database.call("UpdateTable", &create).0, 200);
    assert_eq!(units_of_put(&mut database, r#"{"p":{"S":"1"},"g":{"S":"h"}}"#), (1.0, None));
    let mut database = database.restart();
    wait_for_index(&mut database);
    // The removal of an entry and the addition of another.
    assert_eq!(units_of_put(&mut database, r#"{"p":{"S":"1"},"g":{"S":"i"}}"#), (3.0, Some(2.0)));
    assert_eq!(units_of_put(&mut database, r#"{"p":{"S":"1"},"g":{"S":"i"}}"#), (1.0, None), "nothing changes");
}

#[test]
fn a_table_goes_with_the_index_that_was_being_created() {
    let mut database = Database::with_tables();
    database.stop_backfill();
    let create = format!(
        r#"{{"TableName":"hashed","AttributeDefinitions":[{{"AttributeName":"g","AttributeType":"S"}}],{}}}"#,
        indexes(&[&creation("by_g", "g", "")])
    );
    assert_eq!(database.call("UpdateTable", &create).0, 200);
    let delete_index = format!(r#"{{"TableName":"hashed",{}}}"#, indexes(&[r#"{"Delete":{"IndexName":"by_g"}}"#]));
    assert_eq!(database.call("UpdateTable", &delete_index).0, 200);
    let (status, body) = database.call("DeleteTable", r#"{"TableName":"hashed"}"#);
    assert_eq!((status, body.matches(r#""TableStatus":"DELETING""#).count()), (200, 1), "{body}");
}

#[test]
fn streams() {
    check(&provisioned(), NO_STREAM, "Table has no stream to disable: TableName: abc");
    let enabled = update(&provisioned(), STREAM);
    check(&enabled, STREAM, "Table already has an enabled stream: TableName: abc");
    let disabled = update(&enabled, NO_STREAM);
    check(&disabled, NO_STREAM, "Table has no stream to disable: TableName: abc");
    let again = update(&disabled, STREAM);
    let labels = [enabled, disabled, again].map(|table| {
        let stream = table.stream.expect("described");
        (stream.label, stream.enabled)
    });
    let label = "2024-11-18T14:36:44.149".to_owned();
    assert_eq!(labels, [(label.clone(), true), (label, false), ("2024-11-18T14:36:44.150".to_owned(), true)]);
}

#[test]
fn deletion_protection_has_a_cooldown() {
    let protected = update(&provisioned(), PROTECT);
    assert!(protected.deletion_protection);
    assert_eq!(update_at(&protected, PROTECT, NOW_MS + 1), Ok(protected.clone()));
    let error = update_at(&protected, UNPROTECT, NOW_MS + 14_999).expect_err("too early");
    assert_eq!(error.kind, ErrorKind::Throttling);
    assert_eq!(
        error.message,
        "Deletion protection setting for table abc modified within the previous 15000 milliseconds. Please try again \
         after 2024-11-18T14:36:59.149Z"
    );
    assert!(update_at(&protected, UNPROTECT, NOW_MS + 15_000).is_ok_and(|table| !table.deletion_protection));
}

#[test]
fn other_settings() {
    let class = update(&provisioned(), r#""TableClass":"STANDARD_INFREQUENT_ACCESS""#).class;
    assert_eq!(class, Some(TableClass::StandardInfrequentAccess));
    let encrypted = update(&provisioned(), r#""SSESpecification":{"Enabled":true}"#);
    assert!(encrypted.encryption.is_some());
    assert!(update(&encrypted, r#""SSESpecification":{"Enabled":false}"#).encryption.is_none());
    let warm = update(&on_demand(), r#""WarmThroughput":{"ReadUnitsPerSecond":15000,"WriteUnitsPerSecond":5000}"#);
    assert_eq!(warm.throughput.warm_units, Some((15_000, 5_000)));
    let ceiling = r#""OnDemandThroughput":{"MaxReadRequestUnits":5}"#;
    check(
        &provisioned(),
        ceiling,
        "P!MaxReadRequestUnits for OnDemandThroughput cannot be specified when the table BillingMode is PROVISIONED",
    );
    let limited = update(&on_demand(), ceiling);
    assert!(limited.on_demand_limits.is_some());
    let cleared = update(&limited, r#""OnDemandThroughput":{"MaxReadRequestUnits":-1}"#);
    assert_eq!(cleared.on_demand_limits, None);
}

/// What was changed and what was not is one definition that the catalog can keep.
#[test]
fn changed_definitions_survive_the_catalog() {
    for members in [PROTECT, STREAM, r#""BillingMode":"PAY_PER_REQUEST""#, &units(1, 1)] {
        let changed = update(&provisioned(), members);
        let record = sonic_rs::to_vec(&changed).expect("a definition");
        assert_eq!(sonic_rs::from_slice::<TableDefinition>(&record).expect("its record"), changed);
        assert!(serde_json::from_slice::<Value>(&record).is_ok());
    }
}
