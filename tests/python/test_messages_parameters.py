"""Literal messages about parameters: member constraints, reading, batches, tables, tags, and legacy parameters.

Three wordings of a constraint are in use: that of PutItem, UpdateItem and DeleteItem, that of GetItem, BatchGetItem and
Query, and the older one of everything else, which repeats the value.
"""

import pytest

ONE = "1 validation error detected: "
INVALID = "One or more parameter values were invalid: "
S, N = {"S": "a"}, {"N": "1"}
PK = {"pk": S, "sk": N}
REGION_ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/"


@pytest.fixture(scope="module")
def table(api):
    name = "messages-parameters"
    api.call("CreateTable", **definition(name))
    yield name
    api.call("DeleteTable", TableName=name)


def definition(name, keys=(("pk", "S"), ("sk", "N")), **more):
    kinds = zip(keys, ("HASH", "RANGE"), strict=False)
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": key, "AttributeType": kind} for key, kind in keys],
        "KeySchema": [{"AttributeName": key, "KeyType": kind} for (key, _), kind in kinds],
    } | more


def older(value, path, text):
    return f"Value '{value}' at '{path}' failed to satisfy constraint: {text}"


def current(path, text):
    return f"Value at '{path}' failed to satisfy constraint: {text}"


AT_LEAST_1 = "Member must have value greater than or equal to 1"
LENGTH_1 = "Member must have length greater than or equal to 1"
CAPACITY = "Member must satisfy enum value set: [INDEXES, TOTAL, NONE]"
PATTERN = "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
NULL_NAME = ONE + "Value null at 'tableName' failed to satisfy constraint: Member must not be null"


@pytest.mark.parametrize("operation", ["GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan"])
def test_a_table_name_is_needed(api, operation):
    extra = {"Item": PK} if operation == "PutItem" else {"Key": PK} if operation.endswith("Item") else {}
    current_null = ONE + current("TableName", "Member must not be null")
    api.refuses(operation, extra, (NULL_NAME, current_null))
    expected = older("", "tableName", LENGTH_1) if operation == "Scan" else current("TableName", LENGTH_1)
    api.refuses(operation, extra | {"TableName": ""}, (ONE + expected, ONE + expected + "; ..."))


ITEM_OPERATIONS = ["GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan"]


@pytest.mark.parametrize("operation", [*ITEM_OPERATIONS, "BatchGetItem"])
def test_a_missing_table_is_not_found(api, operation):
    request = {
        "PutItem": {"Item": PK},
        "Query": {"KeyConditionExpression": "pk = :v", "ExpressionAttributeValues": {":v": S}},
        "Scan": {},
    }.get(operation, {"Key": PK})
    request = {"RequestItems": {"nosuch": {"Keys": [PK]}}} if operation == "BatchGetItem" else request
    request = request if operation == "BatchGetItem" else request | {"TableName": "nosuch"}
    api.refuses(operation, request, "Requested resource not found", error="ResourceNotFoundException")


@pytest.mark.parametrize("operation", ["DescribeTable", "DeleteTable"])
def test_a_missing_table_of_the_control_plane(api, operation):
    text = "Requested resource not found: Table: nosuch not found"
    api.refuses(operation, {"TableName": "nosuch"}, text, error="ResourceNotFoundException")
    api.refuses(operation, {}, "The parameter 'TableName' is required but was not present in the request")


KEY_CONDITION = {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": S}}


@pytest.mark.parametrize(
    ("operation", "part", "message"),
    [
        # Scan
        ("Scan", {"Limit": 0}, ONE + older(0, "limit", AT_LEAST_1)),
        ("Scan", {"Limit": -1}, ONE + older(-1, "limit", AT_LEAST_1)),
        ("Scan", {"ReturnConsumedCapacity": "total"}, ONE + older("total", "returnConsumedCapacity", CAPACITY)),
        (
            "Scan",
            {"Select": "ALL"},
            ONE
            + older(
                "ALL",
                "select",
                "Member must satisfy enum value set: "
                "[SPECIFIC_ATTRIBUTES, COUNT, ALL_ATTRIBUTES, ALL_PROJECTED_ATTRIBUTES]",
            ),
        ),
        (
            "Scan",
            {"Segment": -1, "TotalSegments": 1},
            ONE + older(-1, "segment", "Member must have value greater than or equal to 0"),
        ),
        ("Scan", {"Segment": 0, "TotalSegments": 0}, ONE + older(0, "totalSegments", AT_LEAST_1)),
        (
            "Scan",
            {"Segment": 0, "TotalSegments": 1_000_001},
            ONE + older(1_000_001, "totalSegments", "Member must have value less than or equal to 1000000"),
        ),
        (
            "Scan",
            {"Segment": 0},
            "The TotalSegments parameter is required but was not present in the request when Segment parameter is "
            "present",
        ),
        (
            "Scan",
            {"TotalSegments": 2},
            "The Segment parameter is required but was not present in the request when parameter TotalSegments is "
            "present",
        ),
        (
            "Scan",
            {"Segment": 5, "TotalSegments": 5},
            "The Segment parameter is zero-based and must be less than parameter TotalSegments: "
            "Segment: 5 is not less than TotalSegments: 5",
        ),
        (
            "Scan",
            {"Select": "SPECIFIC_ATTRIBUTES"},
            "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES",
        ),
        (
            "Scan",
            {"Select": "ALL_ATTRIBUTES", "ProjectionExpression": "a"},
            "Cannot specify the ProjectionExpression when choosing to get ALL_ATTRIBUTES",
        ),
        (
            "Scan",
            {"Select": "COUNT", "AttributesToGet": ["a"]},
            "Cannot specify the AttributesToGet when choosing to get COUNT",
        ),
        ("Scan", {"IndexName": "nosuch"}, "The table does not have the specified index: nosuch"),
        (
            "Scan",
            {"ExclusiveStartKey": {"pk": S}},
            "The provided starting key is invalid: The provided key element does not match the schema",
        ),
        # Query
        ("Query", KEY_CONDITION | {"Limit": 0}, ONE + current("Limit", AT_LEAST_1)),
        (
            "Query",
            {},
            "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.",
        ),
        ("Query", KEY_CONDITION | {"IndexName": "nosuch"}, "The table does not have the specified index: nosuch"),
        (
            "Query",
            KEY_CONDITION | {"Select": "SPECIFIC_ATTRIBUTES"},
            (
                ONE + "Must specify the AttributesToGet or ProjectionExpression when choosing to get "
                "SPECIFIC_ATTRIBUTES",
                "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES",
            ),
        ),
        (
            "Query",
            KEY_CONDITION | {"Select": "ALL_PROJECTED_ATTRIBUTES"},
            (
                "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName",
                ONE + "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName",
            ),
        ),
        ("Query", KEY_CONDITION | {"ExclusiveStartKey": {"x": S}}, "The provided starting key is invalid..."),
        (
            "Query",
            KEY_CONDITION | {"ExclusiveStartKey": {"pk": {"S": "other"}, "sk": N}},
            "The provided starting key is outside query boundaries based on provided conditions",
        ),
        (
            "Query",
            {
                "KeyConditionExpression": "pk = :p AND sk > :s",
                "ExpressionAttributeValues": {":p": S, ":s": {"N": "5"}},
                "ExclusiveStartKey": {"pk": S, "sk": N},
            },
            "The provided starting key does not match the range key predicate",
        ),
        # Legacy parameters
        (
            "GetItem",
            {"Key": PK, "AttributesToGet": ["a"], "ProjectionExpression": "a"},
            "Can not use both expression and non-expression parameters in the same request: "
            "Non-expression parameters: {AttributesToGet} Expression parameters: {ProjectionExpression}",
        ),
        (
            "UpdateItem",
            {"Key": PK, "AttributeUpdates": {}, "Expected": {}, "UpdateExpression": "a", "ConditionExpression": "b"},
            ONE + "Can not use both expression and non-expression parameters in the same request: "
            "Non-expression parameters: {AttributeUpdates, Expected} "
            "Expression parameters: {UpdateExpression, ConditionExpression}",
        ),
        (
            "Scan",
            {"AttributesToGet": ["a"], "ScanFilter": {}, "ConditionalOperator": "OR", "FilterExpression": "a"},
            "Can not use both expression and non-expression parameters in the same request: "
            "Non-expression parameters: {AttributesToGet, ScanFilter, ConditionalOperator} "
            "Expression parameters: {FilterExpression}",
        ),
        (
            "GetItem",
            {"Key": PK, "AttributesToGet": ["a", "b", "a"]},
            INVALID + "Duplicate value in attribute name: a",
        ),
        (
            "PutItem",
            {"Item": PK, "Expected": {"a": {"Exists": True}}},
            ONE + INVALID + "Value must be provided when Exists is true for Attribute: a",
        ),
        (
            "PutItem",
            {"Item": PK, "Expected": {"a": {}}},
            ONE + INVALID + "Value must be provided when Exists is null for Attribute: a",
        ),
        (
            "PutItem",
            {"Item": PK, "Expected": {"a": {"Exists": False, "Value": S}}},
            ONE + INVALID + "Value cannot be used when Exists is false for Attribute: a",
        ),
        (
            "DeleteItem",
            {"Key": PK, "Expected": {"a": {"Value": S, "AttributeValueList": [S]}}},
            ONE + INVALID + "Value and AttributeValueList cannot be used together for Attribute: a",
        ),
        (
            "DeleteItem",
            {"Key": PK, "Expected": {"a": {"Exists": True, "ComparisonOperator": "EQ"}}},
            ONE + INVALID + "Exists and ComparisonOperator cannot be used together for Attribute: a",
        ),
        (
            "UpdateItem",
            {"Key": PK, "Expected": {"a": {"ComparisonOperator": "EQ"}}},
            ONE + INVALID + "Value or AttributeValueList must be used with ComparisonOperator: EQ for Attribute: a",
        ),
        (
            "UpdateItem",
            {"Key": PK, "Expected": {"a": {"AttributeValueList": [S]}}},
            ONE + INVALID + "AttributeValueList can only be used with a ComparisonOperator for Attribute: a",
        ),
        (
            "UpdateItem",
            {"Key": PK, "AttributeUpdates": {"a": {"Action": "PUT"}}},
            ONE + INVALID + "Only DELETE action is allowed when no attribute value is specified",
        ),
        (
            "UpdateItem",
            {"Key": PK, "AttributeUpdates": {"a": {"Action": "DELETE", "Value": N}}},
            ONE + INVALID + "DELETE action with value is not supported for the type N",
        ),
        (
            "UpdateItem",
            {"Key": PK, "AttributeUpdates": {"a": {"Action": "ADD", "Value": S}}},
            ONE + INVALID + "ADD action is not supported for the type S",
        ),
        (
            "Scan",
            {"ScanFilter": {"a": {"ComparisonOperator": "BETWEEN", "AttributeValueList": [N]}}},
            INVALID + "Invalid number of argument(s) for the BETWEEN ComparisonOperator",
        ),
        (
            "Scan",
            {"ScanFilter": {"a": {"ComparisonOperator": "LT", "AttributeValueList": [{"SS": ["a"]}]}}},
            INVALID + "ComparisonOperator LT is not valid for SS AttributeValue type",
        ),
        (
            "Scan",
            {"ScanFilter": {"a": {"ComparisonOperator": "IN", "AttributeValueList": [N, S]}}},
            INVALID + "AttributeValues inside AttributeValueList must be of same type",
        ),
        (
            "Query",
            {"KeyConditions": {"pk": {"ComparisonOperator": "NE", "AttributeValueList": [S]}}},
            "Attempted conditional constraint is not an indexable operation",
        ),
        (
            "Query",
            {"KeyConditions": {"pk": {"ComparisonOperator": "GT", "AttributeValueList": [S]}}},
            "Query key condition not supported",
        ),
        (
            "Query",
            {"KeyConditions": {"sk": {"ComparisonOperator": "EQ", "AttributeValueList": [N]}}},
            "Query condition missed key schema element: pk",
        ),
        (
            "Query",
            {"KeyConditions": {}},
            "Conditions can be of length 1 or 2 only",
        ),
        # Writes
        ("PutItem", {"Item": PK, "ReturnValues": "ALL_NEW"}, ONE + "ReturnValues can only be ALL_OLD or NONE"),
        ("DeleteItem", {"Key": PK, "ReturnValues": "UPDATED_OLD"}, ONE + "ReturnValues can only be ALL_OLD or NONE"),
        (
            "UpdateItem",
            {"Key": PK, "ReturnValues": "ALL"},
            ONE + "Failed to satisfy constraint: Member must satisfy enum value set: "
            "[ALL_OLD, UPDATED_OLD, ALL_NEW, UPDATE_NEW, NONE]",
        ),
        (
            "UpdateItem",
            {
                "Key": PK,
                "UpdateExpression": "SET pk.x = :v",
                "ExpressionAttributeValues": {":v": S},
            },
            (
                "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: Key: pk",
                INVALID + "Cannot update attribute pk. This attribute is part of the key",
            ),
        ),
    ],
)
def test_parameters(api, table, operation, part, message):
    api.refuses(operation, {"TableName": table} | part, message)


def put(number):
    return {"PutRequest": {"Item": {"pk": S, "sk": {"N": str(number)}}}}


def test_batches(api, table):
    def get(request):
        return {"RequestItems": request}

    keys = [{"pk": S, "sk": {"N": str(number)}} for number in range(101)]
    path = f"RequestItems.{table}.member.Keys"
    api.refuses(
        "BatchGetItem",
        get({}),
        (
            ONE + current("RequestItems", LENGTH_1),
            "The requestItems parameter is required for BatchGetItem",
        ),
    )
    too_long = ONE + current(path, "Member must have length less than or equal to 100")
    api.refuses("BatchGetItem", get({table: {"Keys": keys}}), too_long)
    api.refuses("BatchGetItem", get({table: {"Keys": []}}), ONE + current(path, LENGTH_1))
    duplicates = "Provided list of item keys contains duplicates"
    api.refuses("BatchGetItem", get({table: {"Keys": [PK, PK]}}), duplicates)
    api.refuses("BatchGetItem", get({table: {"Keys": [PK, PK | {"sk": {"N": "1.0"}}]}}), duplicates)
    api.refuses("BatchWriteItem", get({table: [put(1), {"DeleteRequest": {"Key": PK}}]}), duplicates)
    api.refuses("BatchWriteItem", get({table: [put(1), put("1e0")]}), duplicates)
    api.refuses(
        "BatchWriteItem", get({table: [put(number) for number in range(26)]}), ("1 validation error detected: Value...")
    )
    api.refuses("BatchWriteItem", get({table: []}), ("1 validation error detected: Value..."))
    not_found = {"message": "Requested resource not found", "error": "ResourceNotFoundException"}
    api.refuses("BatchWriteItem", get({table: [put(7)], "nosuch": [put(1)]}), **not_found)
    # Nothing of a refused batch is written.
    assert api.call("GetItem", TableName=table, Key={"pk": S, "sk": {"N": "7"}}) == {}


UNITS = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
HASH = [{"AttributeName": "pk", "KeyType": "HASH"}]


def index(name="index", keys=(("pk", "HASH"),), **more):
    schema = [{"AttributeName": key, "KeyType": kind} for key, kind in keys]
    return {"IndexName": name, "KeySchema": schema, "Projection": {"ProjectionType": "ALL"}} | more


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (
            {"TableName": "ab"},
            ONE + older("ab", "tableName", "Member must have length greater than or equal to 3"),
        ),
        (
            {"TableName": "x" * 256},
            ONE + older("x" * 256, "tableName", "Member must have length less than or equal to 255"),
        ),
        ({"TableName": "a;b"}, ONE + older("a;b", "tableName", PATTERN)),
        (
            {"BillingMode": "FREE"},
            ONE
            + older("FREE", "billingMode", "Member must satisfy enum value set: [PROVISIONED, PAY_PER_REQUEST]"),
        ),
        (
            {"BillingMode": "PROVISIONED"},
            INVALID + "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
        ),
        (
            {"ProvisionedThroughput": UNITS},
            INVALID + "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is "
            "PAY_PER_REQUEST",
        ),
        (
            {"BillingMode": "PROVISIONED", "ProvisionedThroughput": UNITS | {"ReadCapacityUnits": 1000000000001}},
            "Given value 1000000000001 for ReadCapacityUnits is out of bounds",
        ),
        (
            {"AttributeDefinitions": [{"AttributeName": "x", "AttributeType": "S"}], "KeySchema": HASH},
            INVALID + "Some index key attributes are not defined in AttributeDefinitions. "
            "Keys: [pk], AttributeDefinitions: [x]",
        ),
        (
            {"AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}]},
            "Invalid KeySchema: Some index key attribute have no definition",
        ),
        (
            {"KeySchema": [HASH[0], {"AttributeName": "pk", "KeyType": "RANGE"}]},
            "Both the Hash Key and the Range Key element in the KeySchema have the same name",
        ),
        (
            {"KeySchema": [{"AttributeName": "pk", "KeyType": "RANGE"}, {"AttributeName": "sk", "KeyType": "HASH"}]},
            "Invalid KeySchema: The first KeySchemaElement is not a HASH key type",
        ),
        (
            {"KeySchema": [HASH[0], {"AttributeName": "sk", "KeyType": "HASH"}]},
            "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type",
        ),
        (
            {"KeySchema": HASH},
            INVALID + "Number of attributes in KeySchema does not exactly match number of attributes defined in "
            "AttributeDefinitions",
        ),
        (
            {"LocalSecondaryIndexes": []},
            INVALID + "List of LocalSecondaryIndexes is empty",
        ),
        (
            {"GlobalSecondaryIndexes": []},
            INVALID + "List of GlobalSecondaryIndexes is empty",
        ),
        (
            {"LocalSecondaryIndexes": [index()]},
            INVALID + "Index KeySchema does not have a range key for index: index",
        ),
        (
            {"GlobalSecondaryIndexes": [index(), index()]},
            INVALID + "Duplicate index name: index",
        ),
        (
            {"GlobalSecondaryIndexes": [index(Projection={})]},
            INVALID + "Unknown ProjectionType: null",
        ),
        (
            {"GlobalSecondaryIndexes": [index(Projection={"ProjectionType": "INCLUDE"})]},
            INVALID + "ProjectionType is INCLUDE, but NonKeyAttributes is not specified",
        ),
        (
            {"GlobalSecondaryIndexes": [index(Projection={"ProjectionType": "ALL", "NonKeyAttributes": ["a"]})]},
            INVALID + "ProjectionType is ALL, but NonKeyAttributes is specified",
        ),
        (
            {"GlobalSecondaryIndexes": [index(ProvisionedThroughput=UNITS)]},
            INVALID + "ProvisionedThroughput should not be specified for index: index when BillingMode is "
            "PAY_PER_REQUEST",
        ),
        (
            {"GlobalSecondaryIndexes": [index(f"index-{number}") for number in range(21)]},
            INVALID + "GlobalSecondaryIndex count exceeds the per-table limit of 20",
        ),
        (
            {"TableClass": "BEST"},
            ("1 validation error detected: Value 'BEST'...", "Invalid table-class parameter provided..."),
        ),
    ],
)
def test_create_table(api, part, message):
    api.refuses("CreateTable", definition("refused") | part, message)
    assert "refused" not in api.call("ListTables")["TableNames"]


def test_update_and_delete_table(api, table):
    nothing = "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, ..."
    api.refuses("UpdateTable", {"TableName": table}, nothing)
    api.refuses(
        "UpdateTable",
        {"TableName": table, "BillingMode": "PROVISIONED"},
        INVALID + "ProvisionedThroughput must be specified when BillingMode is PROVISIONED",
    )
    api.refuses(
        "UpdateTable",
        {"TableName": "nosuch", "BillingMode": "PAY_PER_REQUEST"},
        "Requested resource not found: Table: nosuch not found",
        error="ResourceNotFoundException",
    )
    api.refuses("CreateTable", definition(table), f"Table already exists: {table}", error="ResourceInUseException")


def test_list_tables(api):
    text = "Member must have value less than or equal to 100"
    api.refuses("ListTables", {"Limit": 101}, ONE + older(101, "limit", text))
    api.refuses("ListTables", {"Limit": 0}, ONE + older(0, "limit", AT_LEAST_1))
    start = ONE + older("a;b", "exclusiveStartTableName", PATTERN)
    api.refuses("ListTables", {"ExclusiveStartTableName": "a;b"}, start)


def test_tags(api, table):
    arn = REGION_ARN + table
    tag = {"Key": "k", "Value": "v"}
    tags = {"ResourceArn": arn, "Tags": [tag]}
    missing = REGION_ARN + "nosuch"
    api.refuses("TagResource", tags | {"Tags": []}, "Atleast one Tag needs to be provided as Input.")
    no_keys = {"ResourceArn": arn, "TagKeys": []}
    api.refuses("UntagResource", no_keys, "Atleast one Tag Key needs to be provided as Input.")
    api.refuses(
        "TagResource",
        tags | {"Tags": [tag, tag]},
        "Duplicate Tag Keys provided as input: Duplicate Tag Key found k",
    )
    reserved = tags | {"Tags": [{"Key": "aws:x", "Value": ""}]}
    api.refuses("TagResource", reserved, "Tag Key cannot be prefixed with aws:...")
    api.refuses(
        "ListTagsOfResource",
        {"ResourceArn": missing},
        f"Requested resource not found: ResourceArn: {missing} not found",
        error="ResourceNotFoundException",
    )
    many = [{"Key": f"k{number}", "Value": ""} for number in range(51)]
    api.refuses(
        "TagResource",
        tags | {"Tags": many},
        "Number of Tags exceed the current limit for the provided ResourceArn",
    )
