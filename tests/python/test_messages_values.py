"""Literal messages about attribute values and keys, in each operation's wording, and about what cannot be decoded."""

import pytest

ENVELOPE = "1 validation error detected: "
INVALID = "One or more parameter values were invalid: "
NOT_VALID = "One or more parameter values are not valid. "
S, N = {"S": "a"}, {"N": "1"}


@pytest.fixture(scope="module")
def table(api):
    yield from make(api, "messages-values", {"pk": "S", "sk": "N"})


@pytest.fixture(scope="module")
def binary_table(api):
    yield from make(api, "messages-binary", {"pk": "B"})


@pytest.fixture(scope="module")
def string_table(api):
    yield from make(api, "messages-strings", {"pk": "S", "sk": "S"})


def make(api, name, keys):
    kinds = zip(keys, ("HASH", "RANGE"), strict=False)
    api.call(
        "CreateTable",
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": kind} for key, kind in keys.items()],
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in kinds],
    )
    yield name
    api.call("DeleteTable", TableName=name)


EMPTY = "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
SEVERAL = "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"
OVERFLOW = "Number overflow. Attempting to store a number with magnitude larger than supported range"
UNDERFLOW = "Number underflow. Attempting to store a number with magnitude smaller than supported range"
PRECISION = "Attempting to store more than 38 significant digits in a Number"
DEPTH = (
    "Nesting Levels have exceeded supported limits: "
    "Attributes in the item have nested levels beyond supported limit"
)


def numeric(text):
    return f"The parameter cannot be converted to a numeric value: {text}"


def wrapped(levels):
    value = {"S": "x"}
    for level in range(levels):
        value = {"M": {"k": value}} if level % 2 else {"L": [value]}
    return value


# A value; its message in the current wording (PutItem, GetItem, Query); the older one (Scan, BatchWriteItem) where that
# differs; whether PutItem puts the envelope before it.
VALUES = [
    ({}, EMPTY, None, False),
    ({"S": "a", "N": "1"}, SEVERAL, None, False),
    ({"S": None}, EMPTY, None, False),
    ({"L": [{}]}, EMPTY, None, False),
    ({"M": {"k": {"S": "a", "BOOL": True}}}, SEVERAL, None, False),
    ({"NULL": False}, INVALID + "Null attribute value types must have the value of true", None, True),
    ({"SS": []}, INVALID + "An string set  may not be empty", None, True),
    ({"NS": []}, INVALID + "An number set  may not be empty", None, True),
    ({"BS": []}, INVALID + "Binary sets should not be empty", None, True),
    (
        {"SS": ["b", "a", "b"]},
        INVALID + 'Input collection ["a", "b", "b"] contains duplicates.',
        INVALID + "Input collection [b, a, b] contains duplicates.",
        True,
    ),
    (
        {"BS": ["/w==", "AA==", "AA=="]},
        INVALID + 'Input collection ["AA==","/w==","AA=="]of type BS contains duplicates.',
        INVALID + "Input collection [/w==, AA==, AA==]of type BS contains duplicates.",
        True,
    ),
    (
        {"NS": ["1", "2", "1.0"]},
        INVALID + "Input collection contains duplicates.",
        "Input collection contains duplicates",
        True,
    ),
    ({"N": "abc"}, numeric("abc"), None, True),
    ({"N": ""}, numeric(""), numeric("")[:-2], True),
    ({"N": " 1"}, numeric(" 1"), None, True),
    ({"N": "1 "}, numeric("1 "), None, True),
    ({"N": "1e"}, numeric("1e"), None, True),
    ({"N": "+e2"}, numeric("+e2"), None, True),
    ({"N": "1.2.3"}, numeric("1.2.3"), None, True),
    ({"N": "1+2"}, numeric("1+2"), None, True),
    ({"N": "0x10"}, numeric("0x10"), None, True),
    ({"N": "NaN"}, numeric("NaN"), None, True),
    ({"N": "Infinity"}, numeric("Infinity"), None, True),
    ({"N": "1_000"}, numeric("1_000"), None, True),
    ({"N": "\u0661"}, numeric("\u0661"), None, True),
    ({"N": "."}, numeric("."), None, True),
    ({"N": "-"}, numeric("-"), None, True),
    ({"N": "1e9223372036854775808"}, numeric("1e9223372036854775808"), None, True),
    ({"N": "1e126"}, OVERFLOW, None, True),
    ({"N": "-10e125"}, OVERFLOW, None, True),
    ({"N": "0e126"}, OVERFLOW, None, True),
    ({"N": "1e4294967296"}, OVERFLOW, None, True),
    ({"N": "1e-131"}, UNDERFLOW, None, True),
    ({"N": "-0.1e-130"}, UNDERFLOW, None, True),
    ({"N": "0e-131"}, UNDERFLOW, None, True),
    ({"N": "1e-4294967296"}, UNDERFLOW, None, True),
    ({"N": "1" * 39}, PRECISION, None, True),
    ({"N": "1." + "0" * 37 + "1"}, PRECISION, None, True),
    ({"NS": ["1", "x"]}, numeric("x"), None, True),
    ({"L": [{"N": "1e126"}]}, OVERFLOW, None, True),
    ({"M": {"k": {"L": [{"SS": []}]}}}, INVALID + "An string set  may not be empty", None, True),
    (wrapped(32), DEPTH, None, True),
]


def either(message, enveloped):
    """Sources agree on which bespoke texts the envelope precedes, except for numbers and depth."""
    if not enveloped:
        return message
    bare_allowed = not message.startswith(INVALID)
    return (ENVELOPE + message, message) if bare_allowed else ENVELOPE + message


@pytest.mark.parametrize(("value", "message", "older", "enveloped"), VALUES)
def test_value_in_put(api, table, value, message, older, enveloped):
    request = {"TableName": table, "Item": {"pk": S, "sk": N, "a": value}}
    api.refuses("PutItem", request, either(message, enveloped))


@pytest.mark.parametrize(("value", "message", "older", "enveloped"), VALUES)
def test_value_in_batch_write(api, table, value, message, older, enveloped):
    request = {"RequestItems": {table: [{"PutRequest": {"Item": {"pk": S, "sk": N, "a": value}}}]}}
    api.refuses("BatchWriteItem", request, older or message)


@pytest.mark.parametrize(("value", "message", "older", "enveloped"), VALUES)
def test_value_in_expression_of_scan(api, table, value, message, older, enveloped):
    request = {"TableName": table, "FilterExpression": "a = :v", "ExpressionAttributeValues": {":v": value}}
    wrapped_message = f"ExpressionAttributeValues contains invalid value: {older or message} for key :v"
    api.refuses("Scan", request, wrapped_message)


@pytest.mark.parametrize(("value", "message", "older", "enveloped"), VALUES)
def test_value_in_expression_of_query(api, table, value, message, older, enveloped):
    request = {
        "TableName": table,
        "KeyConditionExpression": "pk = :p",
        "FilterExpression": "a = :v",
        "ExpressionAttributeValues": {":p": S, ":v": value},
    }
    api.refuses("Query", request, message)


@pytest.mark.parametrize(("value", "message", "older", "enveloped"), VALUES)
def test_value_in_expression_of_update(api, table, value, message, older, enveloped):
    request = {
        "TableName": table,
        "Key": {"pk": S, "sk": N},
        "UpdateExpression": "SET a = :v",
        "ExpressionAttributeValues": {":v": value},
    }
    api.refuses("UpdateItem", request, either(message, enveloped))


def test_the_deepest_value_is_accepted(api, table):
    item = {"pk": {"S": "deep"}, "sk": N, "a": wrapped(31)}
    api.call("PutItem", TableName=table, Item=item)
    found = api.call("GetItem", TableName=table, Key={"pk": item["pk"], "sk": N})
    assert found == {"Item": item}


ACCEPTED_NUMBERS = [
    ("007", "7"),
    ("+1.5", "1.5"),
    ("-0", "0"),
    ("0.00", "0"),
    ("0e5", "0"),
    ("0e125", "0"),
    ("0.0e126", "0"),
    (".5", "0.5"),
    ("-.5", "-0.5"),
    ("5.", "5"),
    ("1.e5", "100000"),
    ("1E3", "1000"),
    ("1.10", "1.1"),
    ("100.000", "100"),
    ("123e-2", "1.23"),
    ("1e125", "1" + "0" * 125),
    ("1e-20", "0.00000000000000000001"),
    ("1e-130", "0." + "0" * 129 + "1"),
    ("1" + "0" * 125, "1" + "0" * 125),
    ("9" * 38, "9" * 38),
]


@pytest.mark.parametrize(("text", "canonical"), ACCEPTED_NUMBERS)
def test_numbers_come_back_canonical(api, table, text, canonical):
    item = {"pk": {"S": "number"}, "sk": {"N": text}, "l": {"L": [{"N": text}]}, "ns": {"NS": [text]}}
    api.call("PutItem", TableName=table, Item=item)
    # Any spelling of the number is the same key.
    found = api.call("GetItem", TableName=table, Key={"pk": item["pk"], "sk": {"N": canonical}})["Item"]
    assert (found["sk"], found["l"]["L"][0], found["ns"]) == ({"N": canonical}, {"N": canonical}, {"NS": [canonical]})


NO_MATCH = "The provided key element does not match the schema"
EMPTY_STRING = NOT_VALID + "The AttributeValue for a key attribute cannot contain an empty string value. Key: pk"
HASH_SIZE = INVALID + "Size of hashkey has exceeded the maximum size limit of2048 bytes"
RANGE_SIZE = INVALID + "Aggregated size of all range keys has exceeded the size limit of 1024 bytes"


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ({}, NO_MATCH),
        ({"pk": S}, NO_MATCH),
        ({"sk": N}, NO_MATCH),
        ({"pk": S, "other": N}, NO_MATCH),
        ({"pk": S, "sk": N, "more": N}, NO_MATCH),
        ({"pk": N, "sk": N}, NO_MATCH),
        ({"pk": S, "sk": S}, NO_MATCH),
        ({"pk": {"SS": ["a"]}, "sk": N}, NO_MATCH),
        ({"pk": {"S": ""}, "sk": N}, EMPTY_STRING),
        ({"pk": {"S": "x" * 2049}, "sk": N}, HASH_SIZE),
    ],
)
@pytest.mark.parametrize("operation", ["GetItem", "DeleteItem", "UpdateItem", "BatchGetItem", "BatchWriteItem"])
def test_key(api, table, operation, key, message):
    if operation == "BatchGetItem":
        request = {"RequestItems": {table: {"Keys": [key]}}}
    elif operation == "BatchWriteItem":
        request = {"RequestItems": {table: [{"DeleteRequest": {"Key": key}}]}}
    else:
        request = {"TableName": table, "Key": key}
    api.refuses(operation, request, message)


@pytest.mark.parametrize(
    ("item", "message", "in_batch"),
    [
        ({"sk": N}, INVALID + "Missing the key pk in the item", NO_MATCH),
        ({"pk": S}, INVALID + "Missing the key sk in the item", NO_MATCH),
        ({"pk": N, "sk": N}, INVALID + "Type mismatch for key pk expected: S actual: N", NO_MATCH),
        ({"pk": S, "sk": S}, INVALID + "Type mismatch for key sk expected: N actual: S", NO_MATCH),
        (
            {"pk": S, "sk": {"BOOL": True}},
            INVALID + "Type mismatch for key sk expected: N actual: BOOL",
            NO_MATCH,
        ),
        ({"pk": {"S": ""}, "sk": N}, EMPTY_STRING, EMPTY_STRING),
        ({"pk": {"S": "x" * 2049}, "sk": N}, HASH_SIZE, HASH_SIZE),
    ],
)
def test_key_of_item(api, table, item, message, in_batch):
    api.refuses("PutItem", {"TableName": table, "Item": item}, message)
    api.refuses("BatchWriteItem", {"RequestItems": {table: [{"PutRequest": {"Item": item}}]}}, in_batch)


def test_key_sizes(api, string_table, binary_table):
    fits = {"pk": {"S": "x" * 2048}, "sk": {"S": "y" * 1024}}
    api.call("PutItem", TableName=string_table, Item=fits)
    assert api.call("GetItem", TableName=string_table, Key=fits) == {"Item": fits}
    api.refuses("GetItem", {"TableName": string_table, "Key": fits | {"sk": {"S": "y" * 1025}}}, RANGE_SIZE)
    # Bytes count, not characters.
    api.refuses("PutItem", {"TableName": string_table, "Item": fits | {"pk": {"S": "\u00e9" * 1025}}}, HASH_SIZE)
    empty = NOT_VALID + "The AttributeValue for a key attribute cannot contain an empty binary value. Key: pk"
    api.refuses("GetItem", {"TableName": binary_table, "Key": {"pk": {"B": ""}}}, empty)
    empty = NOT_VALID + "The AttributeValue for a key attribute cannot contain an empty string value. Key: sk"
    api.refuses("PutItem", {"TableName": string_table, "Item": fits | {"sk": {"S": ""}}}, empty)



STRUCTURE = "Start of structure or map found where not expected"
VALUE_CLASS = "com.amazonaws.dynamodb.v20120810.AttributeValue"


@pytest.mark.parametrize(
    ("operation", "request_part", "message"),
    [
        ("GetItem", {"TableName": True}, "TRUE_VALUE cannot be converted to String"),
        ("GetItem", {"TableName": False}, "FALSE_VALUE cannot be converted to String"),
        ("GetItem", {"TableName": 5}, "NUMBER_VALUE cannot be converted to String"),
        ("GetItem", {"TableName": 5.5}, "DECIMAL_VALUE cannot be converted to String"),
        ("GetItem", {"TableName": []}, "Unrecognized collection type class java.lang.String"),
        ("GetItem", {"TableName": {}}, STRUCTURE),
        ("GetItem", {"ConsistentRead": 1}, "NUMBER_VALUE cannot be converted to Boolean"),
        ("GetItem", {"ConsistentRead": 1.5}, "DECIMAL_VALUE cannot be converted to Boolean"),
        ("GetItem", {"ConsistentRead": "maybe"}, "Unexpected token received from parser"),
        ("GetItem", {"ConsistentRead": []}, "Unrecognized collection type class java.lang.Boolean"),
        ("GetItem", {"ConsistentRead": {}}, STRUCTURE),
        ("Scan", {"Limit": "5"}, "STRING_VALUE cannot be converted to Integer"),
        ("Scan", {"Limit": True}, "TRUE_VALUE cannot be converted to Integer"),
        ("Scan", {"Limit": []}, "Unrecognized collection type class java.lang.Integer"),
        ("Scan", {"Limit": {}}, STRUCTURE),
        ("GetItem", {"Key": "x"}, "Unexpected field type"),
        (
            "GetItem",
            {"Key": []},
            f"Unrecognized collection type java.util.Map<java.lang.String, {VALUE_CLASS}>",
        ),
        ("GetItem", {"Key": {"pk": "x"}}, "Unexpected value type in payload"),
        ("GetItem", {"Key": {"pk": []}}, f"Unrecognized collection type class {VALUE_CLASS}"),
        ("GetItem", {"Key": {"pk": {"N": 123}}}, "NUMBER_VALUE cannot be converted to String"),
        ("GetItem", {"Key": {"pk": {"S": ["a"]}}}, "Unrecognized collection type class java.lang.String"),
        ("GetItem", {"AttributesToGet": "a"}, "Unexpected field type"),
        ("GetItem", {"AttributesToGet": {}}, STRUCTURE),
        (
            "GetItem",
            {"ExpressionAttributeNames": []},
            "Unrecognized collection type java.util.Map<java.lang.String, java.lang.String>",
        ),
        ("PutItem", {"Item": {"a": {"B": 5}}}, "only base-64-encoded strings are convertible to bytes"),
        ("PutItem", {"Item": {"a": {"B": True}}}, "only base-64-encoded strings are convertible to bytes"),
        (
            "PutItem",
            {"Item": {"a": {"B": "AAAAA"}}},
            "Base64 encoded length is expected a multiple of 4 bytes but found: 5",
        ),
        ("PutItem", {"Item": {"a": {"B": "=+/="}}}, "Invalid last non-pad Base64 character dectected"),
        ("PutItem", {"Item": {"a": {"B": []}}}, "Unrecognized collection type class java.nio.ByteBuffer"),
        ("PutItem", {"Item": {"a": {"B": {}}}}, STRUCTURE),
        ("PutItem", {"Item": {"a": {"SS": "a"}}}, "Unexpected field type"),
        ("PutItem", {"Item": {"a": {"SS": [1]}}}, "NUMBER_VALUE cannot be converted to String"),
        ("PutItem", {"Item": {"a": {"L": "a"}}}, "Unexpected field type"),
        ("PutItem", {"Item": {"a": {"L": ["a"]}}}, "Unexpected value type in payload"),
        ("PutItem", {"Item": {"a": {"M": "a"}}}, "Unexpected field type"),
        ("PutItem", {"Item": {"a": {"BOOL": 1}}}, "NUMBER_VALUE cannot be converted to Boolean"),
        ("PutItem", {"Item": {"a": {"NULL": 1}}}, "NUMBER_VALUE cannot be converted to Boolean"),
        ("BatchWriteItem", {"RequestItems": "x"}, "Unexpected field type"),
        ("CreateTable", {"KeySchema": "x"}, "Unexpected field type"),
        ("CreateTable", {"KeySchema": ["x"]}, "Unexpected value type in payload"),
        ("CreateTable", {"ProvisionedThroughput": "x"}, "Unexpected field type"),
        (
            "CreateTable",
            {"ProvisionedThroughput": {"ReadCapacityUnits": "x"}},
            "STRING_VALUE cannot be converted to Long",
        ),
    ],
)
def test_what_cannot_be_decoded(api, operation, request_part, message):
    api.refuses(operation, request_part, message, error="SerializationException")


@pytest.mark.parametrize(
    "text",
    [
        '{"TableName":"messages-values","Key":{"pk":{"S":"a","N":null},"sk":{"N":"1"}},"ConsistentRead":"true"}',
        '{"TableName":"messages-values","Unknown":[{}],"Key":{"pk":{"S":"a"},"sk":{"N":"1"}}}',
        '{"TableName":"messages-values","ProjectionExpression":null,"Key":{"pk":{"S":"a"},"sk":{"N":"1"}}}',
        ' {\n"TableName"\t:"messages\\u002dvalues" , "Key" : {"pk":{"S":"\\u0061"},"sk":{"N":"1"}}}\r\n',
        '{"TableName":"nosuch","TableName":"messages-values","Key":{"pk":{"S":"a"},"sk":{"N":"1"}}}',
    ],
)
def test_what_is_tolerated(api, table, text):
    assert api.send("GetItem", text) == (200, {})


@pytest.mark.parametrize("depth", [100, 10_000, 1_000_000])
def test_deep_json_is_refused(api, table, depth):
    text = '{"TableName":"x","Item":{"a":' + '{"L":[' * depth + "]}" * depth + "}}"
    status, body = api.send("PutItem", text)
    assert status == 400 and body["__type"].endswith(("#ValidationException", "#SerializationException"))
    status, _ = api.send("PutItem", "[" * depth)
    assert status == 400
    assert api.send("ListTables", {})[0] == 200
