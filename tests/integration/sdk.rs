//! Whole applications with the AWS SDK for Rust: create, write, read, query, page, delete, typed errors, waiters.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::client::Waiters;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, DeleteRequest, KeySchemaElement, KeyType, KeysAndAttributes,
    PutRequest, ReturnConsumedCapacity, ReturnValue, ReturnValuesOnConditionCheckFailure, ScalarAttributeType, Select,
    TableStatus, WriteRequest,
};
use tempfile::TempDir;

use crate::harness::Server;

type Item = HashMap<String, AttributeValue>;

const WAIT: Duration = Duration::from_secs(30);

struct Fixture {
    client: Client,
    _server: Server,
    _directory: TempDir,
}

/// A server and a client with the table `music` (artist, year).
async fn fixture() -> Fixture {
    let (server, directory) = Server::start();
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(format!("http://{}", server.address))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    let client = Client::from_conf(config);
    create(&client, "music").await;
    Fixture { client, _server: server, _directory: directory }
}

async fn create(client: &Client, name: &str) {
    let attribute =
        |name: &str, kind| AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().unwrap();
    let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
    let created = client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute("artist", ScalarAttributeType::S))
        .attribute_definitions(attribute("year", ScalarAttributeType::N))
        .key_schema(key("artist", KeyType::Hash))
        .key_schema(key("year", KeyType::Range))
        .send()
        .await
        .unwrap();
    assert_eq!(created.table_description().unwrap().table_name(), Some(name));
    client.wait_until_table_exists().table_name(name).wait(WAIT).await.unwrap();
}

fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn n(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

fn key(artist: &str, year: i32) -> Item {
    Item::from([("artist".to_owned(), s(artist)), ("year".to_owned(), n(year))])
}

fn song(artist: &str, year: i32) -> Item {
    let mut item = key(artist, year);
    item.insert("title".to_owned(), s(&format!("Song of {year}")));
    item
}

async fn load(client: &Client, artist: &str, years: std::ops::Range<i32>) {
    for year in years {
        client.put_item().table_name("music").set_item(Some(song(artist, year))).send().await.unwrap();
    }
}

#[tokio::test]
async fn tables_are_created_listed_described_and_deleted() {
    let Fixture { client, .. } = &fixture().await;
    for name in ["b", "a", "c"].map(|letter| format!("table-{letter}")) {
        create(client, &name).await;
    }
    let pages = client.list_tables().limit(2).into_paginator().items().send();
    let names: Vec<String> = pages.collect::<Result<_, _>>().await.unwrap();
    assert_eq!(names, ["music", "table-a", "table-b", "table-c"]);

    let described = client.describe_table().table_name("music").send().await.unwrap();
    let table = described.table().unwrap();
    assert_eq!(table.table_status(), Some(&TableStatus::Active));
    assert_eq!(table.table_arn(), Some("arn:aws:dynamodb:us-east-1:000000000000:table/music"));
    assert_eq!(table.key_schema()[1].attribute_name(), "year");

    let again = client.create_table().table_name("music").billing_mode(BillingMode::PayPerRequest);
    let again = again
        .attribute_definitions(
            AttributeDefinition::builder()
                .attribute_name("artist")
                .attribute_type(ScalarAttributeType::S)
                .build()
                .unwrap(),
        )
        .key_schema(KeySchemaElement::builder().attribute_name("artist").key_type(KeyType::Hash).build().unwrap());
    let error = again.send().await.unwrap_err().into_service_error();
    assert!(error.is_resource_in_use_exception(), "{error:?}");

    client.delete_table().table_name("music").send().await.unwrap();
    client.wait_until_table_not_exists().table_name("music").wait(WAIT).await.unwrap();
    let error = client.describe_table().table_name("music").send().await.unwrap_err().into_service_error();
    assert!(error.is_resource_not_found_exception(), "{error:?}");
}

#[tokio::test]
async fn every_type_comes_back_as_it_was_written() {
    let Fixture { client, .. } = &fixture().await;
    let mut item = song("Types", 2000);
    let nested = AttributeValue::M(HashMap::from([("list".to_owned(), AttributeValue::L(vec![s(""), n("-0.5")]))]));
    for (name, value) in [
        ("text", s("Grüße, 世界 \u{0} \"quoted\" \\ \u{1F600}")),
        ("amount", n("12345678901234567890123456789012345678")),
        ("binary", AttributeValue::B(Blob::new([0, 1, 254, 255]))),
        ("true", AttributeValue::Bool(true)),
        ("null", AttributeValue::Null(true)),
        ("nested", nested),
        ("strings", AttributeValue::Ss(vec!["a".to_owned(), "b".to_owned()])),
        ("numbers", AttributeValue::Ns(vec!["1".to_owned(), "2.5".to_owned()])),
        ("binaries", AttributeValue::Bs(vec![Blob::new(*b"x"), Blob::new(*b"y")])),
    ] {
        item.insert(name.to_owned(), value);
    }
    client.put_item().table_name("music").set_item(Some(item.clone())).send().await.unwrap();
    let read = client.get_item().table_name("music").set_key(Some(key("Types", 2000))).consistent_read(true);
    assert_eq!(read.clone().send().await.unwrap().item(), Some(&item));

    let projected = read.projection_expression("nested.#l[1], amount").expression_attribute_names("#l", "list");
    let found = projected.send().await.unwrap().item.unwrap();
    let list = AttributeValue::M(HashMap::from([("list".to_owned(), AttributeValue::L(vec![n("-0.5")]))]));
    assert_eq!(found, HashMap::from([("nested".to_owned(), list), ("amount".to_owned(), item["amount"].clone())]));

    let missing = client.get_item().table_name("music").set_key(Some(key("Types", 1999))).send().await.unwrap();
    assert_eq!(missing.item(), None);
}

#[tokio::test]
async fn updates_return_what_was_asked_for() {
    let Fixture { client, .. } = &fixture().await;
    let update = |expression: &str| {
        let builder = client.update_item().table_name("music").set_key(Some(key("Counter", 1)));
        builder.update_expression(expression).return_values(ReturnValue::AllNew)
    };
    for expected in 1..=5 {
        let updated = update("SET plays = if_not_exists(plays, :zero) + :one ADD tags :tag")
            .expression_attribute_values(":zero", n(0))
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":tag", AttributeValue::Ss(vec![format!("tag{expected}")]))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .unwrap();
        assert_eq!(updated.consumed_capacity().unwrap().capacity_units(), Some(1.0));
        let attributes = updated.attributes.unwrap();
        assert_eq!(attributes["plays"], n(expected));
        assert_eq!(attributes["tags"].as_ss().unwrap().len(), expected);
    }
    let updated = update("REMOVE tags").return_values(ReturnValue::UpdatedOld).send().await.unwrap();
    assert_eq!(updated.attributes.unwrap().keys().collect::<Vec<_>>(), ["tags"]);
}

#[tokio::test]
async fn failures_are_typed() {
    let Fixture { client, .. } = &fixture().await;
    load(client, "Typed", 2001..2002).await;
    let put = client.put_item().table_name("music").set_item(Some(song("Typed", 2001)));
    let error = put
        .condition_expression("attribute_not_exists(artist)")
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    let PutItemError::ConditionalCheckFailedException(failed) = &error else { panic!("{error:?}") };
    assert_eq!(failed.message(), Some("The conditional request failed"));
    assert_eq!(failed.item(), Some(&song("Typed", 2001)));

    let delete = client.delete_item().table_name("music").set_key(Some(key("Typed", 2001)));
    let delete = delete.condition_expression("#y > :y").expression_attribute_names("#y", "year");
    let error = delete.expression_attribute_values(":y", n(3000)).send().await.unwrap_err().into_service_error();
    assert!(matches!(error, DeleteItemError::ConditionalCheckFailedException(_)), "{error:?}");

    let error = client.get_item().table_name("nosuch").key("artist", s("x")).send().await.unwrap_err();
    assert!(error.into_service_error().is_resource_not_found_exception());

    let error = client.get_item().table_name("music").key("artist", s("x")).send().await.unwrap_err();
    assert_eq!(error.code(), Some("ValidationException"));
    assert_eq!(error.message(), Some("The provided key element does not match the schema"));
}

#[tokio::test]
async fn queries_range_page_and_turn_round() {
    let Fixture { client, .. } = &fixture().await;
    load(client, "Paged", 1900..2000).await;
    load(client, "Other", 1900..1910).await;
    let query = || {
        let builder = client.query().table_name("music").expression_attribute_names("#y", "year");
        builder.expression_attribute_values(":a", s("Paged"))
    };
    let range = || {
        let between = query().key_condition_expression("artist = :a AND #y BETWEEN :from AND :to");
        between.expression_attribute_values(":from", n(1905)).expression_attribute_values(":to", n("1.994E3"))
    };
    for (forward, limit) in [(true, 1), (true, 7), (true, 90), (false, 13), (false, 1000)] {
        let pages = range().scan_index_forward(forward).limit(limit).into_paginator().items().send();
        let items: Vec<Item> = pages.collect::<Result<_, _>>().await.unwrap();
        let mut expected: Vec<Item> = (1905..=1994).map(|year| song("Paged", year)).collect();
        if !forward {
            expected.reverse();
        }
        assert_eq!(items, expected, "forward {forward}, limit {limit}");
    }
    let page = range().limit(90).send().await.unwrap();
    assert_eq!(page.last_evaluated_key(), Some(&key("Paged", 1994)), "the limit stops the page, even at the end");

    let filtered = range().filter_expression("title = :t").expression_attribute_values(":t", s("Song of 1950"));
    let counted = filtered.select(Select::Count).send().await.unwrap();
    assert_eq!((counted.count(), counted.scanned_count()), (1, 90));
    assert!(counted.items.is_none());
}

#[tokio::test]
async fn scans_split_into_segments() {
    let Fixture { client, .. } = &fixture().await;
    for artist in 0..40 {
        load(client, &format!("Artist {artist}"), 2000..2003).await;
    }
    let mut found = Vec::new();
    for segment in 0..4 {
        let scan = client.scan().table_name("music").segment(segment).total_segments(4).limit(5);
        let items: Vec<Item> = scan.into_paginator().items().send().collect::<Result<_, _>>().await.unwrap();
        found.extend(items.into_iter().map(|item| format!("{:?} {:?}", item["artist"], item["year"])));
    }
    assert_eq!(found.len(), 120);
    found.sort();
    found.dedup();
    assert_eq!(found.len(), 120);
}

#[tokio::test]
async fn batches_write_read_and_delete() {
    let Fixture { client, .. } = &fixture().await;
    let years: Vec<i32> = (2000..2025).collect();
    let write = |requests: Vec<WriteRequest>| client.batch_write_item().request_items("music", requests).send();
    let put = |year: &i32| {
        let request = PutRequest::builder().set_item(Some(song("Batch", *year))).build().unwrap();
        WriteRequest::builder().put_request(request).build()
    };
    let written = write(years.iter().map(put).collect()).await.unwrap();
    assert_eq!(written.unprocessed_items().map(HashMap::len), Some(0));

    let keys = years.iter().map(|year| key("Batch", *year)).chain([key("Batch", 1)]);
    let wanted = KeysAndAttributes::builder().set_keys(Some(keys.collect())).build().unwrap();
    let read = client.batch_get_item().request_items("music", wanted).send().await.unwrap();
    assert_eq!(read.unprocessed_keys().map(HashMap::len), Some(0));
    let mut items = read.responses.unwrap().remove("music").unwrap();
    items.sort_by_key(|item| item["year"].as_n().unwrap().clone());
    assert_eq!(items, years.iter().map(|year| song("Batch", *year)).collect::<Vec<_>>());

    let delete = |year: &i32| {
        let request = DeleteRequest::builder().set_key(Some(key("Batch", *year))).build().unwrap();
        WriteRequest::builder().delete_request(request).build()
    };
    write(years.iter().map(delete).collect()).await.unwrap();
    assert_eq!(client.scan().table_name("music").send().await.unwrap().count(), 0);
}

#[tokio::test]
async fn concurrent_increments_are_all_counted() {
    let Fixture { client, .. } = &fixture().await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let client = client.clone();
        tasks.spawn(async move {
            for _ in 0..50 {
                let update = client.update_item().table_name("music").set_key(Some(key("Shared", 1)));
                let update = update.update_expression("ADD plays :one").expression_attribute_values(":one", n(1));
                update.send().await.unwrap();
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    let read = client.get_item().table_name("music").set_key(Some(key("Shared", 1))).consistent_read(true);
    assert_eq!(read.send().await.unwrap().item.unwrap()["plays"], n(16 * 50));
}
