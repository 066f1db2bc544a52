"""Secondary indexes that follow every write, and transactions over several items, through boto3."""

import concurrent.futures
import random

import botocore.exceptions
import pytest
from conftest import table_definition

BY_STATE = ("by_state", "state:S due:N", "ALL")
BY_OWNER = ("by_owner", "owner:S", {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["title"]})


def task(number, **attributes):
    item = {"id": {"S": f"task {number:03}"}, "title": {"S": f"title {number}"}}
    for name, value in attributes.items():
        item[name] = {"N": str(value)} if isinstance(value, int) else {"S": value}
    return item


def query(client, table, index, condition, values, **arguments):
    pages = client.get_paginator("query").paginate(
        TableName=table,
        IndexName=index,
        KeyConditionExpression=condition,
        ExpressionAttributeNames={"#o": "owner"} if "#o" in condition else {"#s": "state"},
        ExpressionAttributeValues=values,
        **arguments,
    )
    return [item for page in pages for item in page["Items"]]


def open_tasks(client, table, **arguments):
    items = query(client, table, "by_state", "#s = :s", {":s": {"S": "open"}}, **arguments)
    return [(int(item["due"]["N"]), item["id"]["S"]) for item in items]


def test_an_index_holds_the_items_with_its_keys(client, make_table):
    table = make_table("id:S", indexes=[BY_STATE, BY_OWNER])
    for number in range(30):
        attributes = {"state": "open" if number % 3 else "done", "due": number % 5}
        if number % 2:
            attributes["owner"] = "ann"
        client.put_item(TableName=table, Item=task(number, **attributes))
    expected = sorted((number % 5, f"task {number:03}") for number in range(30) if number % 3)
    found = open_tasks(client, table)
    assert sorted(found) == expected and [due for due, _ in found] == [due for due, _ in expected]
    assert open_tasks(client, table, ScanIndexForward=False) == found[::-1]
    # Pages cut between entries with equal keys.
    for size in (1, 2, 7):
        assert open_tasks(client, table, PaginationConfig={"PageSize": size}) == found
    owned = query(client, table, "by_owner", "#o = :o", {":o": {"S": "ann"}})
    assert len(owned) == 15 and all(item.keys() == {"id", "owner", "title"} for item in owned)
    assert client.scan(TableName=table, IndexName="by_owner", Select="COUNT")["Count"] == 15


def test_an_index_is_added_and_waited_for(client, make_table):
    table = make_table("id:S")
    for number in range(200):
        client.put_item(TableName=table, Item=task(number, state="open" if number % 2 else "done", due=number))
    definition = table_definition(table, "id:S", indexes=[BY_STATE])
    description = client.update_table(
        TableName=table,
        AttributeDefinitions=definition["AttributeDefinitions"],
        GlobalSecondaryIndexUpdates=[{"Create": definition["GlobalSecondaryIndexes"][0]}],
    )["TableDescription"]
    assert description["TableStatus"] == "UPDATING"
    assert description["GlobalSecondaryIndexes"][0]["IndexStatus"] == "CREATING"
    # The waiter for the table is one for its index too.
    client.get_waiter("table_exists").wait(TableName=table, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    (index,) = client.describe_table(TableName=table)["Table"]["GlobalSecondaryIndexes"]
    assert (index["IndexStatus"], index["ItemCount"], "Backfilling" in index) == ("ACTIVE", 200, False)
    assert len(open_tasks(client, table)) == 100
    client.delete_table(TableName=table)
    client.get_waiter("table_not_exists").wait(TableName=table, WaiterConfig={"Delay": 1, "MaxAttempts": 5})


def test_an_index_follows_updates_and_deletes(client, make_table):
    table = make_table("id:S", indexes=[BY_STATE])
    random.seed(4)
    model = {}
    for step in range(300):
        number = random.randrange(20)
        key = {"id": {"S": f"task {number:03}"}}
        choice = random.randrange(4)
        if choice == 0:
            due = random.randrange(9)
            client.put_item(TableName=table, Item=task(number, state="open", due=due))
            model[number] = due
        elif choice == 1:
            due = random.randrange(9)
            client.update_item(
                TableName=table,
                Key=key,
                UpdateExpression="SET due = :d, #s = :s",
                ExpressionAttributeNames={"#s": "state"},
                ExpressionAttributeValues={":d": {"N": str(due)}, ":s": {"S": "open"}},
            )
            model[number] = due
        elif choice == 2:
            client.update_item(TableName=table, Key=key, UpdateExpression="REMOVE due")
            model.pop(number, None)
        else:
            client.delete_item(TableName=table, Key=key)
            model.pop(number, None)
        if step % 10 == 9:
            expected = sorted((due, f"task {number:03}") for number, due in model.items())
            assert sorted(open_tasks(client, table)) == expected


def test_a_local_index_reads_what_it_does_not_hold(client):
    definition = table_definition("local-index", "p:S r:N")
    definition["AttributeDefinitions"].append({"AttributeName": "score", "AttributeType": "N"})
    keys = [{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "score", "KeyType": "RANGE"}]
    index = {"IndexName": "by_score", "KeySchema": keys, "Projection": {"ProjectionType": "KEYS_ONLY"}}
    client.create_table(**definition, LocalSecondaryIndexes=[index])
    for number in range(10):
        item = {"p": {"S": "x"}, "r": {"N": str(number)}, "score": {"N": str(-number)}, "text": {"S": str(number)}}
        client.put_item(TableName="local-index", Item=item)
    values = {":p": {"S": "x"}, ":s": {"N": "-7"}}
    request = {
        "TableName": "local-index",
        "IndexName": "by_score",
        "KeyConditionExpression": "p = :p AND score <= :s",
        "ExpressionAttributeValues": values,
        "ConsistentRead": True,
    }
    keys_only = client.query(**request)["Items"]
    assert [item["r"]["N"] for item in keys_only] == ["9", "8", "7"] and "text" not in keys_only[0]
    everything = client.query(**request, Select="ALL_ATTRIBUTES")["Items"]
    assert [item["text"]["S"] for item in everything] == ["9", "8", "7"]
    client.delete_table(TableName="local-index")


def update(table, account, by):
    return {
        "Update": {
            "TableName": table,
            "Key": {"id": {"S": account}},
            "UpdateExpression": "SET amount = amount + :by",
            "ConditionExpression": "amount >= :least",
            "ExpressionAttributeValues": {":by": {"N": str(by)}, ":least": {"N": str(max(0, -by))}},
        }
    }


def test_transfers_keep_the_sum(server, make_table):
    table = make_table("id:S")
    client = server.boto()
    accounts = [f"account {number}" for number in range(10)]
    for account in accounts:
        client.put_item(TableName=table, Item={"id": {"S": account}, "amount": {"N": "100"}})

    def transfer(seed):
        chooser = random.Random(seed)
        giver, taker = chooser.sample(accounts, 2)
        amount = chooser.randrange(1, 60)
        try:
            client.transact_write_items(TransactItems=[update(table, giver, -amount), update(table, taker, amount)])
        except client.exceptions.TransactionCanceledException as error:
            reasons = [reason["Code"] for reason in error.response["CancellationReasons"]]
            assert reasons == ["ConditionalCheckFailed", "None"], reasons
            return 0
        return 1

    def total(_):
        gets = [{"Get": {"TableName": table, "Key": {"id": {"S": account}}}} for account in accounts]
        answers = client.transact_get_items(TransactItems=gets)["Responses"]
        return sum(int(answer["Item"]["amount"]["N"]) for answer in answers)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        done = [pool.submit(transfer, seed) for seed in range(300)]
        sums = list(pool.map(total, range(40)))
    assert set(sums) == {1000}
    assert 0 < sum(future.result() for future in done) < 300
    assert total(None) == 1000


def test_a_token_makes_a_transaction_once(client, make_table):
    table = make_table("id:S")
    client.put_item(TableName=table, Item={"id": {"S": "a"}, "amount": {"N": "1"}})
    for _ in range(3):
        client.transact_write_items(TransactItems=[update(table, "a", 5)], ClientRequestToken="token-1")
    assert client.get_item(TableName=table, Key={"id": {"S": "a"}})["Item"]["amount"] == {"N": "6"}
    with pytest.raises(client.exceptions.IdempotentParameterMismatchException):
        client.transact_write_items(TransactItems=[update(table, "a", 6)], ClientRequestToken="token-1")


def test_a_cancelled_transaction_writes_nothing(client, make_table):
    table = make_table("id:S")
    client.put_item(TableName=table, Item={"id": {"S": "a"}, "amount": {"N": "1"}})
    actions = [
        {"Put": {"TableName": table, "Item": {"id": {"S": "new"}}}},
        {"Delete": {"TableName": table, "Key": {"id": {"S": "a"}}}},
        {
            "ConditionCheck": {
                "TableName": table,
                "Key": {"id": {"S": "nosuch"}},
                "ConditionExpression": "attribute_exists(id)",
            }
        },
    ]
    with pytest.raises(client.exceptions.TransactionCanceledException) as error:
        client.transact_write_items(TransactItems=actions)
    assert error.value.response["Error"]["Message"] == (
        "Transaction cancelled, please refer cancellation reasons for specific reasons "
        "[None, None, ConditionalCheckFailed]"
    )
    assert [item["id"]["S"] for item in client.scan(TableName=table)["Items"]] == ["a"]
    actions[2] = {"Put": {"TableName": table, "Item": {"id": {"S": "a"}}}}
    with pytest.raises(botocore.exceptions.ClientError) as error:
        client.transact_write_items(TransactItems=actions)
    expected = "Transaction request cannot include multiple operations on one item"
    assert error.value.response["Error"]["Message"] == expected
