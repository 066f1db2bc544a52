"""boto3's low-level client: tables, every attribute type, conditions, paging, batches, waiters."""

import concurrent.futures
import os

import botocore.exceptions
import pytest
from conftest import eventually


def code(error):
    return error.value.response["Error"]["Code"]


def message(error):
    return error.value.response["Error"]["Message"]


def test_tables_are_created_described_listed_and_deleted(client, make_table):
    name = make_table("p:S r:N")
    table = client.describe_table(TableName=name)["Table"]
    assert table["TableStatus"] == "ACTIVE"
    assert table["TableArn"] == f"arn:aws:dynamodb:us-east-1:000000000000:table/{name}"
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert table["ProvisionedThroughput"] == {
        "NumberOfDecreasesToday": 0,
        "ReadCapacityUnits": 0,
        "WriteCapacityUnits": 0,
    }
    assert table["DeletionProtectionEnabled"] is False
    # An ARN serves as a name.
    assert client.describe_table(TableName=table["TableArn"])["Table"]["TableId"] == table["TableId"]
    with pytest.raises(client.exceptions.ResourceInUseException) as error:
        client.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        )
    assert message(error) == f"Table already exists: {name}"
    assert client.delete_table(TableName=name)["TableDescription"]["TableStatus"] == "DELETING"
    client.get_waiter("table_not_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    with pytest.raises(client.exceptions.ResourceNotFoundException) as error:
        client.describe_table(TableName=name)
    assert message(error) == f"Requested resource not found: Table: {name} not found"


def test_table_names_are_listed_in_pages(client, make_table):
    names = sorted(make_table("p:S") for _ in range(7))
    pages = client.get_paginator("list_tables").paginate(PaginationConfig={"PageSize": 3})
    found = [name for page in pages for name in page["TableNames"]]
    assert found == sorted(found, key=str.encode)
    assert set(names) <= set(found)


def test_settings_of_a_table_change(client, make_table):
    name = make_table("p:S")
    provisioned = {"ReadCapacityUnits": 7, "WriteCapacityUnits": 3}
    client.update_table(TableName=name, BillingMode="PROVISIONED", ProvisionedThroughput=provisioned)
    status = lambda: client.describe_table(TableName=name)["Table"]
    eventually(lambda: status()["TableStatus"] == "ACTIVE")
    assert status()["ProvisionedThroughput"].items() >= provisioned.items()
    client.update_table(TableName=name, TableClass="STANDARD_INFREQUENT_ACCESS")
    eventually(lambda: status()["TableStatus"] == "ACTIVE")
    assert status()["TableClassSummary"] == {"TableClass": "STANDARD_INFREQUENT_ACCESS"}


def test_a_protected_table_is_not_deleted(client, make_table):
    name = make_table("p:S", DeletionProtectionEnabled=True)
    with pytest.raises(botocore.exceptions.ClientError) as error:
        client.delete_table(TableName=name)
    assert code(error) == "ValidationException"
    assert message(error) == (
        "Resource cannot be deleted as it is currently protected against deletion. "
        "Disable deletion protection first."
    )
    client.update_table(TableName=name, DeletionProtectionEnabled=False)
    # The setting is not to flap.
    with pytest.raises(botocore.exceptions.ClientError) as error:
        client.update_table(TableName=name, DeletionProtectionEnabled=True)
    assert code(error) == "ThrottlingException"
    assert "modified within the previous 15000 milliseconds" in message(error)


def test_tags_are_kept(client, make_table):
    name = make_table("p:S", Tags=[{"Key": "a", "Value": "1"}])
    arn = client.describe_table(TableName=name)["Table"]["TableArn"]
    client.tag_resource(ResourceArn=arn, Tags=[{"Key": "b", "Value": ""}, {"Key": "a", "Value": "2"}])
    client.untag_resource(ResourceArn=arn, TagKeys=["b", "nosuch"])
    client.tag_resource(ResourceArn=arn, Tags=[{"Key": f"k{n:02}", "Value": "v"} for n in range(20)])
    pages = client.get_paginator("list_tags_of_resource").paginate(ResourceArn=arn)
    tags = {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}
    assert tags == {"a": "2"} | {f"k{n:02}": "v" for n in range(20)}


def test_limits_and_endpoints_are_described(client):
    limits = client.describe_limits()
    assert (limits["AccountMaxReadCapacityUnits"], limits["TableMaxWriteCapacityUnits"]) == (80000, 40000)
    endpoint = client.describe_endpoints()["Endpoints"][0]
    assert endpoint["CachePeriodInMinutes"] == 1440


def test_every_type_comes_back(client, make_table):
    name = make_table("p:B")
    item = {
        "p": {"B": bytes(range(256))},
        "s": {"S": "\u0000 \u00e9 \u4e16 \U0001f600 \" \\ / \n"},
        "empty": {"S": ""},
        "n": {"N": "-1234.5"},
        "b": {"B": b""},
        "t": {"BOOL": True},
        "z": {"NULL": True},
        "ss": {"SS": ["", "a", "b"]},
        "ns": {"NS": ["-1", "0", "10"]},
        "bs": {"BS": [b"", b"\xff"]},
        "l": {"L": [{"L": []}, {"M": {}}, {"S": "x"}]},
        "m": {"M": {"a.b": {"M": {" ": {"N": "1"}}}}},
    }
    client.put_item(TableName=name, Item=item)
    found = client.get_item(TableName=name, Key={"p": item["p"]}, ConsistentRead=True)["Item"]
    for set_name in ("ss", "ns", "bs"):
        for kind in found[set_name]:
            found[set_name][kind].sort(key=float if kind == "NS" else None)
    assert found == item


def test_a_large_item_comes_back(client, make_table):
    name = make_table("p:S")
    # 409,600 bytes with the names: exactly the limit.
    item = {"p": {"S": "x"}, "data": {"S": "y" * (409_600 - 1 - 1 - 4)}}
    client.put_item(TableName=name, Item=item)
    assert client.get_item(TableName=name, Key={"p": {"S": "x"}})["Item"] == item
    item["data"]["S"] += "y"
    with pytest.raises(botocore.exceptions.ClientError) as error:
        client.put_item(TableName=name, Item=item)
    assert message(error) == "Item size has exceeded the maximum allowed size"
    with pytest.raises(botocore.exceptions.ClientError) as error:
        client.update_item(
            TableName=name,
            Key={"p": {"S": "x"}},
            UpdateExpression="SET e = :v",
            ExpressionAttributeValues={":v": {"S": ""}},
        )
    assert message(error) == "Item size to update has exceeded the maximum allowed size"


def test_a_failed_condition_may_return_the_item(client, make_table):
    name = make_table("p:S")
    item = {"p": {"S": "x"}, "v": {"N": "1"}}
    client.put_item(TableName=name, Item=item)
    for give, expected in (("ALL_OLD", item), ("NONE", None)):
        with pytest.raises(client.exceptions.ConditionalCheckFailedException) as error:
            client.delete_item(
                TableName=name,
                Key={"p": {"S": "x"}},
                ConditionExpression="v = :v",
                ExpressionAttributeValues={":v": {"N": "2"}},
                ReturnValuesOnConditionCheckFailure=give,
            )
        assert message(error) == "The conditional request failed"
        assert error.value.response.get("Item") == expected


def test_pages_end_by_size(client, make_table):
    name = make_table("p:S r:N")
    for number in range(12):
        item = {"p": {"S": "x"}, "r": {"N": str(number)}, "data": {"S": "y" * 300_000}}
        client.put_item(TableName=name, Item=item)
    query = {"KeyConditionExpression": "p = :p", "ExpressionAttributeValues": {":p": {"S": "x"}}}
    for operation, arguments in (("query", query), ("query", query | {"ScanIndexForward": False}), ("scan", {})):
        pages = list(client.get_paginator(operation).paginate(TableName=name, **arguments))
        numbers = [int(item["r"]["N"]) for page in pages for item in page["Items"]]
        backwards = arguments.get("ScanIndexForward") is False
        assert numbers == sorted(range(12), reverse=backwards)
        # 1 MB, and the item that crosses it.
        assert [page["Count"] for page in pages] == [4, 4, 4] or [page["Count"] for page in pages] == [4, 4, 4, 0]
        assert all(page["LastEvaluatedKey"].keys() == {"p", "r"} for page in pages[:-1])
        assert "LastEvaluatedKey" not in pages[-1]


def test_batches(client, make_table):
    one, other = make_table("p:S"), make_table("p:S r:N")
    puts = [{"PutRequest": {"Item": {"p": {"S": str(n)}, "v": {"N": str(n)}}}} for n in range(20)]
    more = [{"PutRequest": {"Item": {"p": {"S": "x"}, "r": {"N": str(n)}}}} for n in range(5)]
    answer = client.batch_write_item(RequestItems={one: puts, other: more}, ReturnConsumedCapacity="TOTAL")
    assert answer["UnprocessedItems"] == {}
    assert {entry["TableName"]: entry["CapacityUnits"] for entry in answer["ConsumedCapacity"]} == {one: 20, other: 5}

    keys = [{"p": {"S": str(n)}} for n in range(30)]
    request = {
        one: {"Keys": keys, "ProjectionExpression": "v"},
        other: {"Keys": [{"p": {"S": "y"}, "r": {"N": "1"}}], "ConsistentRead": True},
    }
    answer = client.batch_get_item(RequestItems=request)
    assert sorted(int(item["v"]["N"]) for item in answer["Responses"][one]) == list(range(20))
    assert answer["Responses"][other] == []
    assert answer["UnprocessedKeys"] == {}

    deletes = [{"DeleteRequest": {"Key": key}} for key in keys[:20]]
    client.batch_write_item(RequestItems={one: deletes})
    assert client.scan(TableName=one)["Count"] == 0


def test_increments_from_many_threads_are_all_counted(server, make_table):
    name = make_table("p:S")
    client = server.boto()

    def add(_):
        client.update_item(
            TableName=name,
            Key={"p": {"S": "counter"}},
            UpdateExpression="ADD n :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(400)))
    assert client.get_item(TableName=name, Key={"p": {"S": "counter"}})["Item"]["n"] == {"N": "400"}


def test_a_conditional_put_succeeds_once(server, make_table):
    name = make_table("p:S")
    client = server.boto()

    def claim(owner):
        try:
            client.put_item(
                TableName=name,
                Item={"p": {"S": "lock"}, "owner": {"N": str(owner)}},
                ConditionExpression="attribute_not_exists(p)",
            )
            return True
        except client.exceptions.ConditionalCheckFailedException:
            return False

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(claim, range(64))) == 1


def test_binary_keys_sort_by_unsigned_bytes(client, make_table):
    name = make_table("p:S r:B")
    keys = sorted({os.urandom(length) for length in range(1, 20) for _ in range(3)} | {b"\x00", b"\x7f", b"\x80"})
    for key in reversed(keys):
        client.put_item(TableName=name, Item={"p": {"S": "x"}, "r": {"B": key}})
    answer = client.query(
        TableName=name, KeyConditionExpression="p = :p", ExpressionAttributeValues={":p": {"S": "x"}}
    )
    assert [item["r"]["B"] for item in answer["Items"]] == keys
