use bumpalo::Bump;
use serde_json::{Map, Value, json};

use super::*;
use crate::model::KeyKind;
use crate::model::table::{IndexKind, Projection, StreamView, TableClass, Tag};

/// What of the texts is the same everywhere.
const P: &str = "One or more parameter values were invalid: ";

fn location() -> Location {
    Location { region: "r".into(), account: "000000000000".into() }
}

fn define_body(body: &str) -> Result<TableDefinition, String> {
    let arena = Bump::new();
    let parameters = decode::<Parameters<'_>>(body.as_bytes(), &arena).map_err(|error| error.message.into_owned())?;
    define(&parameters, &location(), 1_731_940_604_149).map_err(|error| error.message.into_owned())
}

/// `a b:N` as AttributeDefinitions; S is the default.
fn definitions(names: &str) -> Value {
    let element = |name: &str| {
        let (name, kind) = name.split_once(':').unwrap_or((name, "S"));
        json!({ "AttributeName": name, "AttributeType": kind })
    };
    names.split_whitespace().map(element).collect()
}

/// `a b:RANGE` as KeySchema: the first is HASH by default, all others RANGE.
fn key(names: &str) -> Value {
    let element = |(index, name): (usize, &str)| {
        let role = if index == 0 { "HASH" } else { "RANGE" };
        let (name, role) = name.split_once(':').unwrap_or((name, role));
        json!({ "AttributeName": name, "KeyType": role })
    };
    names.split_whitespace().enumerate().map(element).collect()
}

/// An index with a shorthand key that projects everything, and other members over that.
fn index(name: &str, names: &str, members: &str) -> Value {
    let mut index = json!({ "IndexName": name, "KeySchema": key(names), "Projection": { "ProjectionType": "ALL" } });
    overlay(&mut index, members);
    index
}

/// Members of the JSON object `members` replace those of `value`; null removes one.
fn overlay(value: &mut Value, members: &str) {
    let members: Map<String, Value> = serde_json::from_str(&format!("{{{members}}}")).expect(members);
    let object = value.as_object_mut().expect("an object");
    for (name, member) in members {
        if member.is_null() {
            object.remove(&name);
        } else {
            object.insert(name, member);
        }
    }
}

/// A request body: table `abc`, billed per request unless `members` say otherwise.
fn body(defined: &str, keys: &str, members: &str) -> String {
    let mut body = json!({
        "TableName": "abc",
        "AttributeDefinitions": definitions(defined),
        "KeySchema": key(keys),
        "BillingMode": "PAY_PER_REQUEST",
    });
    overlay(&mut body, members);
    body.to_string()
}

fn globals(indexes: &[Value]) -> String {
    format!(r#""GlobalSecondaryIndexes":{}"#, Value::from(indexes))
}

fn locals(indexes: &[Value]) -> String {
    format!(r#""LocalSecondaryIndexes":{}"#, Value::from(indexes))
}

fn check(body: &str, expected: &str) {
    let expected = expected.replace("P!", P);
    assert_eq!(define_body(body).map(|table| table.name), Err(expected), "{body}");
}

#[test]
fn member_constraints() {
    let long = "x".repeat(256);
    for (members, violations) in [
        (
            r#""AttributeDefinitions":null,"KeySchema":null"#,
            &["null at 'attributeDefinitions'!Member must not be null", "null at 'keySchema'!Member must not be null"]
                [..],
        ),
        (r#""TableName":"ab""#, &["'ab' at 'tableName'!Member must have length greater than or equal to 3"]),
        (
            r#""TableName":"a;b""#,
            &["'a;b' at 'tableName'!Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"],
        ),
        (
            &*format!(r#""TableName":"{long}""#),
            &[&*format!("'{long}' at 'tableName'!Member must have length less than or equal to 255")],
        ),
        (
            r#""BillingMode":"FREE""#,
            &["'FREE' at 'billingMode'!Member must satisfy enum value set: [PROVISIONED, PAY_PER_REQUEST]"],
        ),
        (
            r#""ProvisionedThroughput":{"ReadCapacityUnits":0}"#,
            &[
                "null at 'provisionedThroughput.writeCapacityUnits'!Member must not be null",
                "'0' at 'provisionedThroughput.readCapacityUnits'!Member must have value greater than or equal to 1",
            ],
        ),
        (r#""KeySchema":[]"#, &["'[]' at 'keySchema'!Member must have length greater than or equal to 1"]),
        (
            r#""KeySchema":[{"AttributeName":"a","KeyType":"HASH"},{"AttributeName":"b","KeyType":"RANGE"},
                {"AttributeName":"c"}]"#,
            &[
                "'[KeySchemaElement(attributeName=a, keyType=HASH), KeySchemaElement(attributeName=b, keyType=RANGE), \
                 KeySchemaElement(attributeName=c, keyType=null)]' at 'keySchema'!Member must have length less than or \
                 equal to 2",
                "null at 'keySchema.3.member.keyType'!Member must not be null",
            ],
        ),
        (
            r#""KeySchema":[{"AttributeName":"","KeyType":"hash"}]"#,
            &[
                "'' at 'keySchema.1.member.attributeName'!Member must have length greater than or equal to 1",
                "'hash' at 'keySchema.1.member.keyType'!Member must satisfy enum value set: [HASH, RANGE]",
            ],
        ),
        (
            r#""AttributeDefinitions":[null,{"AttributeName":"a","AttributeType":"BOOL"}]"#,
            &[
                "null at 'attributeDefinitions.1.member.attributeName'!Member must not be null",
                "null at 'attributeDefinitions.1.member.attributeType'!Member must not be null",
                "'BOOL' at 'attributeDefinitions.2.member.attributeType'!Member must satisfy enum value set: [B, N, S]",
            ],
        ),
        (
            r#""GlobalSecondaryIndexes":[{}]"#,
            &[
                "null at 'globalSecondaryIndexes.1.member.indexName'!Member must not be null",
                "null at 'globalSecondaryIndexes.1.member.keySchema'!Member must not be null",
                "null at 'globalSecondaryIndexes.1.member.projection'!Member must not be null",
            ],
        ),
        (
            r#""LocalSecondaryIndexes":[{"IndexName":"h;","KeySchema":[],"Projection":{"ProjectionType":"SOME",
                "NonKeyAttributes":[]}}]"#,
            &[
                "'h;' at 'localSecondaryIndexes.1.member.indexName'!Member must satisfy regular expression pattern: \
                 [a-zA-Z0-9_.-]+",
                "'h;' at 'localSecondaryIndexes.1.member.indexName'!Member must have length greater than or equal to 3",
                "'[]' at 'localSecondaryIndexes.1.member.keySchema'!Member must have length greater than or equal to 1",
                "'SOME' at 'localSecondaryIndexes.1.member.projection.projectionType'!Member must satisfy enum value \
                 set: [ALL, INCLUDE, KEYS_ONLY]",
                "'[]' at 'localSecondaryIndexes.1.member.projection.nonKeyAttributes'!Member must have length greater \
                 than or equal to 1",
            ],
        ),
        (
            r#""StreamSpecification":{"StreamViewType":"ALL"}"#,
            &[
                "null at 'streamSpecification.streamEnabled'!Member must not be null",
                "'ALL' at 'streamSpecification.streamViewType'!Member must satisfy enum value set: [NEW_IMAGE, \
                 OLD_IMAGE, NEW_AND_OLD_IMAGES, KEYS_ONLY]",
            ],
        ),
        (
            r#""SSESpecification":{"SSEType":"ROT13"}"#,
            &["'ROT13' at 'sSESpecification.sSEType'!Member must satisfy enum value set: [AES256, KMS]"],
        ),
        (
            r#""Tags":[{"Key":"","Value":"x"}]"#,
            &["'' at 'tags.1.member.key'!Member must have length greater than or equal to 1"],
        ),
    ] {
        let plural = if violations.len() == 1 { "" } else { "s" };
        let violations = violations.join("; Value ").replace('!', " failed to satisfy constraint: ");
        let count = violations.matches("failed to satisfy").count();
        check(&body("a", "a", members), &format!("{count} validation error{plural} detected: Value {violations}"));
    }
}

#[test]
fn types_are_checked_first() {
    for (members, text) in [
        (r#""TableName":1"#, "NUMBER_VALUE cannot be converted to String"),
        (r#""AttributeDefinitions":"a""#, "Unexpected field type"),
        (r#""AttributeDefinitions":["a"]"#, "Unexpected value type in payload"),
        (
            r#""ProvisionedThroughput":[]"#,
            "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.ProvisionedThroughput",
        ),
        (r#""ProvisionedThroughput":{"ReadCapacityUnits":"1"}"#, "STRING_VALUE cannot be converted to Long"),
        (r#""DeletionProtectionEnabled":"perhaps""#, "Unexpected token received from parser"),
    ] {
        check(&body("a", "a", members), text);
    }
}

#[test]
fn the_name_is_demanded_before_anything_else() {
    let text = "The parameter 'TableName' is required but was not present in the request";
    check("{}", text);
    check(&body("a", "a", r#""TableName":null,"BillingMode":"FREE""#), text);
}

#[test]
fn throughput() {
    let both = "P!ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED";
    let neither =
        "P!Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST";
    for (members, text) in [
        (r#""BillingMode":null"#, both),
        (r#""BillingMode":"PROVISIONED""#, both),
        (r#""ProvisionedThroughput":{"ReadCapacityUnits":1,"WriteCapacityUnits":1}"#, neither),
        (
            r#""BillingMode":null,"ProvisionedThroughput":{"ReadCapacityUnits":1000000000001,"WriteCapacityUnits":1}"#,
            "Given value 1000000000001 for ReadCapacityUnits is out of bounds",
        ),
        (
            r#""BillingMode":null,"ProvisionedThroughput":{"ReadCapacityUnits":1,
                "WriteCapacityUnits":9223372036854775807}"#,
            "Given value 9223372036854775807 for WriteCapacityUnits is out of bounds",
        ),
        (
            r#""OnDemandThroughput":{"MaxReadRequestUnits":0}"#,
            "P!Requested MaxReadRequestUnits for OnDemandThroughput for table is outside of valid range",
        ),
        (
            r#""OnDemandThroughput":{"MaxWriteRequestUnits":-2}"#,
            "P!Requested MaxWriteRequestUnits for OnDemandThroughput for table is outside of valid range",
        ),
        (
            r#""BillingMode":null,"ProvisionedThroughput":{"ReadCapacityUnits":1,"WriteCapacityUnits":1},
                "OnDemandThroughput":{"MaxReadRequestUnits":5}"#,
            "P!MaxReadRequestUnits for OnDemandThroughput cannot be specified when the table BillingMode is \
             PROVISIONED",
        ),
        (
            r#""WarmThroughput":{"WriteUnitsPerSecond":3999}"#,
            "P!Requested WriteUnitsPerSecond for WarmThroughput for table is lower than current WarmThroughput, \
             decreasing WarmThroughput is not supported",
        ),
    ] {
        check(&body("a", "a", members), text);
    }
}

#[test]
fn keys_of_tables() {
    for (defined, keys, text) in [
        ("a", "a b", "Invalid KeySchema: Some index key attribute have no definition"),
        ("", "a", "Invalid KeySchema: Some index key attribute have no definition"),
        (
            "b",
            "a",
            "P!Some index key attributes are not defined in AttributeDefinitions. Keys: [a], AttributeDefinitions: [b]",
        ),
        (
            "b c",
            "a b",
            "P!Some index key attributes are not defined in AttributeDefinitions. Keys: [a, b], AttributeDefinitions: \
             [b, c]",
        ),
        ("a b", "a a", "Both the Hash Key and the Range Key element in the KeySchema have the same name"),
        ("a", "a:RANGE", "Invalid KeySchema: The first KeySchemaElement is not a HASH key type"),
        ("a b", "a:RANGE b:HASH", "Invalid KeySchema: The first KeySchemaElement is not a HASH key type"),
        ("a b", "a b:HASH", "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type"),
        (
            "a b",
            "a",
            "P!Number of attributes in KeySchema does not exactly match number of attributes defined in \
             AttributeDefinitions",
        ),
        ("a a:N", "a", "Attribute Name is duplicated: a"),
        ("a b a", "a b", "Attribute Name is duplicated: a"),
    ] {
        check(&body(defined, keys, ""), text);
    }
}

#[test]
fn global_indexes() {
    let provisioned = r#""BillingMode":null,"ProvisionedThroughput":{"ReadCapacityUnits":1,"WriteCapacityUnits":1}"#;
    let units = |read: u64| format!(r#""ProvisionedThroughput":{{"ReadCapacityUnits":{read},"WriteCapacityUnits":1}}"#);
    let one = |keys: &str, members: &str| globals(&[index("idx", keys, members)]);
    let many: Vec<Value> = (0..21).map(|number| index(&format!("index{number}"), "a", "")).collect();
    let defined = "a b c d e f g h i j";
    for (members, text) in [
        (&*globals(&[]), "P!List of GlobalSecondaryIndexes is empty"),
        (&globals(&many), "P!GlobalSecondaryIndex count exceeds the per-table limit of 20"),
        (&globals(&[index("idx", "a", ""), index("idx", "b", "")]), "P!Duplicate index name: idx"),
        (
            &one("x", ""),
            "P!Some index key attributes are not defined in AttributeDefinitions. Keys: [x], AttributeDefinitions: \
             [a, b, c, d, e, f, g, h, i, j]",
        ),
        (&one("a a", ""), "Both the Hash Key and the Range Key element in the KeySchema have the same name"),
        (&one("a:RANGE", ""), "Invalid KeySchema: The first KeySchemaElement is not a HASH key type"),
        (&one("a:RANGE b:HASH", ""), "Invalid KeySchema: The first KeySchemaElement is not a HASH key type"),
        (
            &one("a b:HASH c:HASH d:HASH e:HASH", ""),
            "P!The KeySchema exceeds the maximum allowed number of HASH key attributes",
        ),
        (&one("a b c d e f", ""), "P!The KeySchema exceeds the maximum allowed number of RANGE key attributes"),
        (&one("a b c:HASH", ""), "P!All HASH key attributes must precede RANGE key attributes in the KeySchema"),
        (&one("a a:HASH", ""), "The KeySchema contains multiple key attributes with the same name"),
        (&one("a b c b", ""), "The KeySchema contains multiple key attributes with the same name"),
        (&one("a", r#""Projection":{}"#), "P!Unknown ProjectionType: null"),
        (
            &one("a", r#""Projection":{"ProjectionType":"ALL","NonKeyAttributes":["x"]}"#),
            "P!ProjectionType is ALL, but NonKeyAttributes is specified",
        ),
        (
            &one("a", r#""Projection":{"ProjectionType":"KEYS_ONLY","NonKeyAttributes":["x"]}"#),
            "P!ProjectionType is KEYS_ONLY, but NonKeyAttributes is specified",
        ),
        (
            &one("a", r#""Projection":{"ProjectionType":"INCLUDE"}"#),
            "P!ProjectionType is INCLUDE, but NonKeyAttributes is not specified",
        ),
        (
            &one("a", r#""Projection":{"ProjectionType":"INCLUDE","NonKeyAttributes":["x","y","x"]}"#),
            "P!Duplicate element in NonKeyAttributes: x",
        ),
        (
            &one("a", &units(1)),
            "P!ProvisionedThroughput should not be specified for index: idx when BillingMode is PAY_PER_REQUEST",
        ),
        (&format!("{provisioned},{}", one("a", "")), "P!ProvisionedThroughput is not specified for index: idx"),
        (
            &format!("{provisioned},{}", one("a", &units(1_000_000_000_001))),
            "Given value 1000000000001 for ReadCapacityUnits is out of bounds for index: idx",
        ),
        (
            &one("a", r#""OnDemandThroughput":{"MaxReadRequestUnits":0}"#),
            "P!Requested MaxReadRequestUnits for OnDemandThroughput for index: idx is outside of valid range",
        ),
        (
            &one("b c", ""),
            "P!Some AttributeDefinitions are not used. AttributeDefinitions: [a, b, c, d, e, f, g, h, i, j], keys \
             used: [a, b, c]",
        ),
    ] {
        check(&body(defined, "a", members), text);
    }
}

#[test]
fn local_indexes() {
    let one = |keys: &str, members: &str| locals(&[index("idx", keys, members)]);
    let many: Vec<Value> = (0..6).map(|number| index(&format!("index{number}"), "a c", "")).collect();
    for (table_key, members, text) in [
        ("a b", &*locals(&[]), "P!List of LocalSecondaryIndexes is empty"),
        (
            "a",
            &one("a c", ""),
            "P!Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex",
        ),
        ("a b", &one("a", ""), "P!Index KeySchema does not have a range key for index: idx"),
        (
            "a b",
            &one("b c", ""),
            "P!Index KeySchema does not have the same leading hash key as table KeySchema for index: idx. index hash \
             key: b, table hash key: a",
        ),
        (
            "a b",
            &one("a x", ""),
            "P!Some index key attributes are not defined in AttributeDefinitions. Keys: [a, x], AttributeDefinitions: \
             [a, b, c]",
        ),
        ("a b", &one("a a", ""), "Both the Hash Key and the Range Key element in the KeySchema have the same name"),
        ("a b", &one("a:RANGE c", ""), "Invalid KeySchema: The first KeySchemaElement is not a HASH key type"),
        ("a b", &one("a c:HASH", ""), "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type"),
        ("a b", &one("a c", r#""Projection":{}"#), "P!Unknown ProjectionType: null"),
        ("a b", &locals(&many), "P!Number of LocalSecondaryIndexes exceeds per-table limit of 5"),
        ("a b", &locals(&[index("idx", "a c", ""), index("idx", "a c", "")]), "P!Duplicate index name: idx"),
        ("a b", &format!("{},{}", globals(&[index("idx", "c", "")]), one("a c", "")), "P!Duplicate index name: idx"),
        (
            "a b",
            &format!("{},{}", globals(&[index("glo", "c", r#""Projection":{}"#)]), locals(&[])),
            "P!Unknown ProjectionType: null",
        ),
    ] {
        check(&body("a b c", table_key, members), text);
    }
}

#[test]
fn non_key_attributes_are_limited_over_all_indexes() {
    let listing = |number: usize, count: usize| {
        let names: Value = (0..count).map(|name| Value::from(format!("n{name}"))).collect();
        index(
            &format!("index{number}"),
            "a",
            &format!(r#""Projection":{{"ProjectionType":"INCLUDE","NonKeyAttributes":{names}}}"#),
        )
    };
    let full: Vec<Value> = (0..5).map(|number| listing(number, 20)).collect();
    assert!(define_body(&body("a", "a", &globals(&full))).is_ok());
    let over = [&full[..], &[listing(5, 1)]].concat();
    check(
        &body("a", "a", &globals(&over)),
        "P!Number of NonKeyAttributes of all indexes exceeds per-table limit of 100",
    );
    let found = define_body(&body("a", "a", &globals(&[listing(0, 21)]))).expect_err("21 in one index");
    assert!(
        found.ends_with(
            "nonKeyAttributes' failed to satisfy constraint: Member must have length less than or equal to 20"
        )
    );
}

#[test]
fn other_settings() {
    for (members, text) in [
        (
            r#""StreamSpecification":{"StreamEnabled":true}"#,
            "P!Table is being created with a stream enabled, UpdateViewType is required",
        ),
        (
            r#""StreamSpecification":{"StreamEnabled":false,"StreamViewType":"KEYS_ONLY"}"#,
            "P!Table is being created with a stream disabled, UpdateViewType should not be specified",
        ),
        (
            r#""TableClass":"BEST""#,
            "Invalid table-class parameter provided. Please try again with a valid table-class value: [STANDARD, \
             STANDARD_INFREQUENT_ACCESS].",
        ),
        (
            r#""SSESpecification":{"Enabled":false,"SSEType":"KMS"}"#,
            "P!SSEType can not be specified if Enabled is false",
        ),
        (r#""Tags":[{"Key":"aws:x","Value":""}]"#, "Tag Key cannot be prefixed with aws:, Key: aws:x"),
        (
            r#""Tags":[{"Key":"x","Value":""},{"Key":"x","Value":""}]"#,
            "Duplicate Tag Keys provided as input: Duplicate Tag Key found x",
        ),
    ] {
        check(&body("a", "a", members), text);
    }
}

/// Where two rules are broken, the one that is listed first is answered.
#[test]
fn order_of_checks() {
    for (defined, keys, members, text) in [
        (
            "a",
            "a b",
            r#""BillingMode":null"#,
            "P!ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
        ),
        ("b", "a b:HASH", "", "Invalid KeySchema: Some index key attribute have no definition"),
        ("a b", "a a:HASH", "", "Both the Hash Key and the Range Key element in the KeySchema have the same name"),
        (
            "a b",
            "a",
            r#""TableClass":"BEST""#,
            "P!Number of attributes in KeySchema does not exactly match number of attributes defined in \
             AttributeDefinitions",
        ),
        ("a b", "a", r#""GlobalSecondaryIndexes":[]"#, "P!List of GlobalSecondaryIndexes is empty"),
        (
            "a",
            "a",
            r#""StreamSpecification":{"StreamEnabled":true},"TableClass":"BEST""#,
            "P!Table is being created with a stream enabled, UpdateViewType is required",
        ),
    ] {
        check(&body(defined, keys, members), text);
    }
}

#[test]
fn a_full_definition() {
    let units = r#""ProvisionedThroughput":{"ReadCapacityUnits":5,"WriteCapacityUnits":6}"#;
    let include = r#""Projection":{"ProjectionType":"INCLUDE","NonKeyAttributes":["amount","a"]}"#;
    let members = [
        r#""BillingMode":"PROVISIONED""#,
        units,
        &globals(&[index("glo", "x y:HASH b a", units), index("two", "y", &format!("{units},{include}"))]),
        &locals(&[index("loc", "a x", r#""Projection":{"ProjectionType":"KEYS_ONLY"}"#)]),
        r#""StreamSpecification":{"StreamEnabled":true,"StreamViewType":"NEW_AND_OLD_IMAGES"}"#,
        r#""SSESpecification":{"Enabled":true},"TableClass":"STANDARD","DeletionProtectionEnabled":true"#,
        r#""Tags":[{"Key":"z","Value":"1"},{"Key":"k","Value":""}],"WarmThroughput":{"ReadUnitsPerSecond":9}"#,
    ];
    let table = define_body(&body("a b:N x:B y", "a b", &members.join(","))).expect("valid");
    let names = |schema: &crate::model::KeySchema| {
        let part = |attributes: &[crate::model::KeyAttribute]| {
            attributes
                .iter()
                .map(|attribute| format!("{}:{}", attribute.name, attribute.kind.name()))
                .collect::<Vec<_>>()
                .join(" ")
        };
        format!("{} / {}", part(&schema.hash), part(&schema.range))
    };
    assert_eq!((table.name.as_str(), table.created_ms, table.uuid.len()), ("abc", 1_731_940_604_149, 36));
    assert_eq!(names(&table.key), "a:S / b:N");
    assert_eq!(table.key.range[0].kind, KeyKind::N);
    let indexes: Vec<_> = table
        .indexes
        .iter()
        .map(|index| (index.number, index.name.as_str(), index.kind, names(&index.key), index.throughput.read_units))
        .collect();
    assert_eq!(
        indexes,
        [
            (1, "glo", IndexKind::Global, "x:B y:S / b:N a:S".to_owned(), 5),
            (2, "two", IndexKind::Global, "y:S / ".to_owned(), 5),
            (3, "loc", IndexKind::Local, "a:S / x:B".to_owned(), 0),
        ]
    );
    assert_eq!(table.indexes[0].projection, Projection::All);
    assert_eq!(table.indexes[1].projection, Projection::Include(vec!["amount".into(), "a".into()]));
    assert_eq!(table.indexes[2].projection, Projection::KeysOnly);
    assert_eq!(table.next_index_number, 4);
    assert_eq!((table.throughput.read_units, table.throughput.write_units), (5, 6));
    assert_eq!(table.throughput.warm_units, Some((9, 6)));
    assert_eq!((table.billing_mode, table.on_demand_since_ms), (BillingMode::Provisioned, None));
    let stream = table.stream.expect("asked for");
    assert_eq!(
        (stream.view, &*stream.label, stream.enabled),
        (StreamView::NewAndOldImages, "2024-11-18T14:36:44.149", true)
    );
    assert_eq!(table.class, Some(TableClass::Standard));
    assert!(table.deletion_protection && table.encryption.is_some());
    let tag = |key: &str, value: &str| Tag { key: key.into(), value: value.into() };
    assert_eq!(table.tags, [tag("k", ""), tag("z", "1")]);
}

#[test]
fn the_number_of_tables_is_limited() {
    use crate::operation::shared::fixture::Database;
    let mut database = Database::with_tables();
    database.add_tables(TABLE_COUNT_MAX - 3);
    assert_eq!(database.call("CreateTable", &body("a", "a", r#""TableName":"last""#)).0, 200);
    let over = body("a", "a", r#""TableName":"over""#);
    let text = "Subscriber limit exceeded: There is a limit of 2500 tables per subscriber";
    database.refuses("CreateTable", &over, "LimitExceededException", text);
    // A name that is taken is the better answer.
    let again = body("a", "a", r#""TableName":"last""#);
    database.refuses("CreateTable", &again, "ResourceInUseException", "Table already exists: last");
    assert_eq!(database.call("DeleteTable", r#"{"TableName":"last"}"#).0, 200);
    assert_eq!(database.call("CreateTable", &over).0, 200);
}

#[test]
fn the_smallest_definition() {
    let table = define_body(&body("id", "id", "")).expect("valid");
    assert_eq!((table.billing_mode, table.on_demand_since_ms), (BillingMode::PayPerRequest, Some(1_731_940_604_149)));
    assert_eq!(table.throughput, Throughput::default());
    assert!(table.indexes.is_empty() && table.tags.is_empty() && table.stream.is_none() && !table.deletion_protection);
}

#[test]
fn hostile_lists_are_refused_quickly() {
    let names = (0..100_000).map(|number| format!("n{number}")).collect::<Vec<_>>().join(" ");
    let same = vec!["a"; 100_000].join(" ");
    let indexes: Vec<Value> = (0..50_000).map(|number| index(&format!("index{number}"), "a", "")).collect();
    let tags = vec![r#"{"Key":"k","Value":""}"#; 100_000].join(",");
    let empty = vec!["{}"; 100_000].join(",");
    for (body, text) in [
        (body(&names, "n0", ""), "P!Number of attributes in KeySchema does not exactly match number of attributes"),
        (body(&same, "a", ""), "Attribute Name is duplicated: a"),
        (
            body("a", &same, ""),
            "1 validation error detected: Value '[KeySchemaElement(attributeName=a, keyType=HASH), ",
        ),
        (body("a", "a", &globals(&indexes)), "P!GlobalSecondaryIndex count exceeds the per-table limit of 20"),
        (
            body("a", "a", &globals(&[index("idx", &same, "")])),
            "P!The KeySchema exceeds the maximum allowed number of RANGE",
        ),
        (body("a b", "a b", &locals(&indexes)), "P!Index KeySchema does not have a range key for index: index0"),
        (body("a", "a", &format!(r#""Tags":[{tags}]"#)), "Duplicate Tag Keys provided as input"),
        (format!(r#"{{"TableName":"abc","AttributeDefinitions":[{empty}],"KeySchema":[{empty}]}}"#), ""),
    ] {
        let started = std::time::Instant::now();
        let found = define_body(&body).expect_err("too long");
        assert!(found.starts_with(&text.replace("P!", P)), "{found:.200}");
        assert!(found.len() < 100_000 && started.elapsed().as_secs() < 10);
    }
}
