"""The AWS CLI as its users type it: every operation of a table's and an item's life."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

AWS = pathlib.Path(sys.executable).parent / "aws"


@pytest.fixture
def aws(server):
    def run(*arguments, fails=False):
        command = [sys.executable, str(AWS), "--endpoint-url", server.url, "dynamodb", *arguments]
        environment = os.environ | {"AWS_PAGER": ""}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
        assert (done.returncode != 0) == fails, done.stderr
        return done.stderr if fails else json.loads(done.stdout or "null")

    return run


def test_a_table_from_creation_to_deletion(aws):
    created = aws(
        *("create-table", "--table-name", "Cli"),
        *("--attribute-definitions", "AttributeName=p,AttributeType=S", "AttributeName=r,AttributeType=N"),
        *("--key-schema", "AttributeName=p,KeyType=HASH", "AttributeName=r,KeyType=RANGE"),
        *("--billing-mode", "PAY_PER_REQUEST"),
    )
    assert created["TableDescription"]["TableName"] == "Cli"
    assert aws("wait", "table-exists", "--table-name", "Cli") is None
    assert "Cli" in aws("list-tables")["TableNames"]

    for number in range(5):
        item = {"p": {"S": "x"}, "r": {"N": str(number)}, "v": {"L": [{"BOOL": True}, {"NS": ["1"]}]}}
        assert aws("put-item", "--table-name", "Cli", "--item", json.dumps(item)) is None
    key = json.dumps({"p": {"S": "x"}, "r": {"N": "3.0"}})
    assert aws("get-item", "--table-name", "Cli", "--key", key) == {
        "Item": {"p": {"S": "x"}, "r": {"N": "3"}, "v": {"L": [{"BOOL": True}, {"NS": ["1"]}]}}
    }
    updated = aws(
        *("update-item", "--table-name", "Cli", "--key", key),
        *("--update-expression", "SET hits = if_not_exists(hits, :z) + :o REMOVE v"),
        *("--expression-attribute-values", '{":z":{"N":"0"},":o":{"N":"1"}}', "--return-values", "UPDATED_NEW"),
    )
    assert updated == {"Attributes": {"hits": {"N": "1"}}}

    query = (
        *("query", "--table-name", "Cli", "--key-condition-expression", "p = :p AND r > :r"),
        *("--expression-attribute-values", '{":p":{"S":"x"},":r":{"N":"0"}}'),
    )
    # The CLI follows LastEvaluatedKey by itself, page by page.
    found = aws(*query, "--page-size", "1", "--projection-expression", "r", "--no-scan-index-forward")
    assert [item["r"]["N"] for item in found["Items"]] == ["4", "3", "2", "1"]
    first = aws(*query, "--max-items", "2")
    rest = aws(*query, "--starting-token", first["NextToken"])
    assert [item["r"]["N"] for item in first["Items"] + rest["Items"]] == ["1", "2", "3", "4"]
    assert aws("scan", "--table-name", "Cli", "--select", "COUNT")["Count"] == 5

    writes = [{"DeleteRequest": {"Key": {"p": {"S": "x"}, "r": {"N": str(number)}}}} for number in range(4)]
    written = aws("batch-write-item", "--request-items", json.dumps({"Cli": writes}))
    assert written == {"UnprocessedItems": {}}
    old = aws(*("delete-item", "--table-name", "Cli"), "--key", key.replace("3.0", "4"), "--return-values", "ALL_OLD")
    assert old["Attributes"]["r"] == {"N": "4"}
    assert aws("scan", "--table-name", "Cli")["Items"] == []

    assert aws("delete-table", "--table-name", "Cli")["TableDescription"]["TableStatus"] == "DELETING"
    assert aws("wait", "table-not-exists", "--table-name", "Cli") is None
    error = aws("describe-table", "--table-name", "Cli", fails=True)
    assert "(ResourceNotFoundException)" in error
    assert "Requested resource not found: Table: Cli not found" in error


def test_failures_are_shown(aws, make_table):
    name = make_table("p:S")
    item = '{"p":{"S":"x"}}'
    condition = ("--condition-expression", "attribute_not_exists(p)")
    assert aws("put-item", "--table-name", name, "--item", item, *condition) is None
    error = aws("put-item", "--table-name", name, "--item", item, *condition, fails=True)
    assert "(ConditionalCheckFailedException)" in error and "The conditional request failed" in error
    error = aws("scan", "--table-name", name, "--filter-expression", "size = :v", fails=True)
    assert "Attribute name is a reserved keyword; reserved keyword: size" in error
