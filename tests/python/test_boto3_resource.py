"""boto3's resource layer: Key and Attr, conditions, update_item, batch_writer, and its serializer's numbers."""

import decimal
import random

import boto3.dynamodb.types
import botocore.exceptions
import pytest
from boto3.dynamodb.conditions import Attr, Key

Decimal = decimal.Decimal
Binary = boto3.dynamodb.types.Binary


@pytest.fixture
def people(resource, make_table):
    table = resource.Table(make_table("family:S age:N"))
    with table.batch_writer() as batch:
        for age in range(60):
            item = {"family": "Ash" if age % 2 else "Birch", "age": age, "name": f"name {age:02}", "tags": {"t"}}
            if age % 3 == 0:
                item["nested"] = {"list": [age, str(age)], "flag": age > 30}
            batch.put_item(Item=item)
    return table


def ages(response):
    return [int(item["age"]) for item in response["Items"]]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (Key("family").eq("Ash"), range(1, 60, 2)),
        (Key("family").eq("Ash") & Key("age").eq(7), [7]),
        (Key("family").eq("Ash") & Key("age").eq(8), []),
        (Key("family").eq("Ash") & Key("age").lt(6), [1, 3, 5]),
        (Key("family").eq("Ash") & Key("age").lte(5), [1, 3, 5]),
        (Key("family").eq("Ash") & Key("age").gt(55), [57, 59]),
        (Key("family").eq("Ash") & Key("age").gte(57), [57, 59]),
        (Key("family").eq("Birch") & Key("age").between(10, Decimal("14.5")), [10, 12, 14]),
    ],
)
def test_key_conditions(people, condition, expected):
    expected = list(expected)
    assert ages(people.query(KeyConditionExpression=condition)) == expected
    assert ages(people.query(KeyConditionExpression=condition, ScanIndexForward=False)) == expected[::-1]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (Attr("name").eq("name 07"), {7}),
        (Attr("name").ne("name 07"), set(range(60)) - {7}),
        (Attr("age").lt(3), {0, 1, 2}),
        (Attr("name").begins_with("name 1"), set(range(10, 20))),
        (Attr("name").contains("e 5"), set(range(50, 60))),
        (Attr("tags").contains("t"), set(range(60))),
        (Attr("nested").exists(), set(range(0, 60, 3))),
        (Attr("nested").not_exists(), {n for n in range(60) if n % 3}),
        (Attr("nested.flag").eq(True), set(range(33, 60, 3))),
        (Attr("nested.list[0]").between(9, 15), {9, 12, 15}),
        (Attr("nested.list").size().eq(2), set(range(0, 60, 3))),
        (Attr("nested.list").contains("12"), {12}),
        (Attr("nested").attribute_type("M"), set(range(0, 60, 3))),
        (Attr("age").is_in([3, 5, 99]), {3, 5}),
        (~Attr("age").gt(2), {0, 1, 2}),
        (Attr("age").lt(2) | Attr("age").gt(58), {0, 1, 59}),
        ((Attr("age").lt(9) & Attr("nested").exists()) & ~Attr("age").eq(6), {0, 3}),
    ],
)
def test_filters(people, condition, expected):
    response = people.scan(FilterExpression=condition)
    assert set(ages(response)) == expected
    assert (response["Count"], response["ScannedCount"]) == (len(expected), 60)


def test_conditional_writes(people):
    key = {"family": "Ash", "age": 7}
    people.put_item(Item=key | {"name": "new"}, ConditionExpression=Attr("name").eq("name 07"))
    with pytest.raises(botocore.exceptions.ClientError) as error:
        people.delete_item(Key=key, ConditionExpression=Attr("name").eq("name 07"))
    assert error.value.response["Error"]["Code"] == "ConditionalCheckFailedException"
    old = people.delete_item(Key=key, ConditionExpression=Key("age").eq(7), ReturnValues="ALL_OLD")["Attributes"]
    assert old == key | {"name": "new"}
    assert "Item" not in people.get_item(Key=key)


@pytest.mark.parametrize(
    ("expression", "values", "expected"),
    [
        ("SET n = n + :v", {":v": 5}, {"n": 15}),
        ("SET n = :v - n", {":v": Decimal("0.5")}, {"n": Decimal("-9.5")}),
        ("SET c = if_not_exists(c, :z) + :v", {":z": 0, ":v": 2}, {"c": 2}),
        ("SET l = list_append(:v, l)", {":v": [0]}, {"l": [0, 1, 2]}),
        ("SET l[1] = :v, l[9] = :w", {":v": "b", ":w": "end"}, {"l": [1, "b", "end"]}),
        ("SET m.x = n, n = m.x", {}, {"m": {"x": 10, "y": "why"}, "n": 1}),
        ("SET m.z = :v REMOVE m.y", {":v": {"deep": [True, None]}}, {"m": {"x": 1, "z": {"deep": [True, None]}}}),
        ("REMOVE l[0], s", {}, {"l": [2], "s": None}),
        ("ADD n :v, s :w", {":v": -1, ":w": {"c"}}, {"n": 9, "s": {"a", "b", "c"}}),
        ("DELETE s :v", {":v": {"a", "zzz"}}, {"s": {"b"}}),
        ("DELETE s :v", {":v": {"a", "b"}}, {"s": None}),
        ("SET b = :v", {":v": b"\x00\xff"}, {"b": Binary(b"\x00\xff")}),
    ],
)
def test_updates(resource, make_table, expression, values, expected):
    table = resource.Table(make_table("p:S"))
    before = {"p": "x", "n": 10, "l": [1, 2], "m": {"x": 1, "y": "why"}, "s": {"a", "b"}}
    table.put_item(Item=before)
    arguments = {"ExpressionAttributeValues": values} if values else {}
    after = table.update_item(Key={"p": "x"}, UpdateExpression=expression, ReturnValues="ALL_NEW", **arguments)
    wanted = {name: value for name, value in (before | expected).items() if value is not None}
    assert after["Attributes"] == wanted
    assert table.get_item(Key={"p": "x"}, ConsistentRead=True)["Item"] == wanted


def test_return_values_of_updates(resource, make_table):
    table = resource.Table(make_table("p:S"))
    table.put_item(Item={"p": "x", "a": 1, "m": {"k": {"z": 1, "other": 2}}})

    def update(give):
        response = table.update_item(
            Key={"p": "x"},
            UpdateExpression="SET a = a + :one, m.k.z = :one REMOVE gone",
            ExpressionAttributeValues={":one": 1},
            ReturnValues=give,
        )
        return response.get("Attributes")

    assert update("NONE") is None
    assert update("UPDATED_NEW") == {"a": 3, "m": {"k": {"z": 1}}}
    assert update("UPDATED_OLD") == {"a": 3, "m": {"k": {"z": 1}}}
    assert update("ALL_OLD") == {"p": "x", "a": 4, "m": {"k": {"z": 1, "other": 2}}}
    assert update("ALL_NEW") == {"p": "x", "a": 6, "m": {"k": {"z": 1, "other": 2}}}


NUMBERS = [
    ("0", "0"),
    ("-0", "0"),
    ("1E2", "100"),
    ("1.50", "1.5"),
    ("-0.000001", "-0.000001"),
    ("1E-130", "0." + "0" * 129 + "1"),
    ("-1E-130", "-0." + "0" * 129 + "1"),
    ("9.9999999999999999999999999999999999999E+37", "9" * 38),
    ("12345678901234567890123456789012345678", "12345678901234567890123456789012345678"),
    ("0.12345678901234567890123456789012345678", "0.12345678901234567890123456789012345678"),
]


@pytest.mark.parametrize(("text", "canonical"), NUMBERS)
def test_numbers_from_the_serializer(resource, client, make_table, text, canonical):
    name = make_table("p:N")
    table = resource.Table(name)
    number = Decimal(text)
    table.put_item(Item={"p": number, "list": [number, {"k": number}], "set": {number, Decimal(77)}})
    found = table.get_item(Key={"p": number})["Item"]
    assert found["p"] == number and found["list"] == [number, {"k": number}] and found["set"] == {number, Decimal(77)}
    assert client.scan(TableName=name)["Items"][0]["p"]["N"] == canonical


def test_number_keys_sort_by_value(resource, make_table):
    table = resource.Table(make_table("p:S r:N"))
    random.seed(20260101)
    numbers = {Decimal(random.randint(-(10**6), 10**6)).scaleb(random.randint(-20, 20)) for _ in range(300)}
    with table.batch_writer() as batch:
        for number in numbers:
            batch.put_item(Item={"p": "x", "r": number})
    found = [item["r"] for item in table.query(KeyConditionExpression=Key("p").eq("x"))["Items"]]
    assert found == sorted(numbers)
    middle = sorted(numbers)[100]
    below = table.query(KeyConditionExpression=Key("p").eq("x") & Key("r").lt(middle), ScanIndexForward=False)
    assert [item["r"] for item in below["Items"]] == sorted(numbers)[99::-1]


def test_batch_writer_replaces_and_deletes(resource, make_table):
    table = resource.Table(make_table("p:S r:N"))
    with table.batch_writer(overwrite_by_pkeys=["p", "r"]) as batch:
        for round_number in range(3):
            for number in range(100):
                batch.put_item(Item={"p": str(number % 10), "r": number, "round": round_number})
    items = table.scan()["Items"]
    assert len(items) == 100 and {int(item["round"]) for item in items} == {2}
    with table.batch_writer() as batch:
        for item in items[::2]:
            batch.delete_item(Key={"p": item["p"], "r": item["r"]})
    assert table.scan(Select="COUNT")["Count"] == 50


def test_pages_with_filters(people):
    pages, start = [], {}
    while True:
        page = people.scan(FilterExpression=Attr("age").gte(58), Limit=7, **start)
        pages.append(page)
        if "LastEvaluatedKey" not in page:
            break
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    assert sum(page["ScannedCount"] for page in pages) == 60
    assert sorted(age for page in pages for age in ages(page)) == [58, 59]
    assert any(page["Count"] == 0 and "LastEvaluatedKey" in page for page in pages)


def test_resources_describe_themselves(resource, people):
    assert people.table_status == "ACTIVE"
    assert people.key_schema == [
        {"AttributeName": "family", "KeyType": "HASH"},
        {"AttributeName": "age", "KeyType": "RANGE"},
    ]
    assert people.name in {table.name for table in resource.tables.all()}
