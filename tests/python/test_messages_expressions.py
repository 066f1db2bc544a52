"""Literal messages of the five kinds of expressions, through each operation that takes them.

PutItem, UpdateItem and DeleteItem put an envelope before most messages; the other operations answer them bare.
"""

import pytest

ENVELOPE = "1 validation error detected: "

V = {":v": {"N": "1"}}
N, S, BOOL, NULL = {"N": "1"}, {"S": "a"}, {"BOOL": True}, {"NULL": True}
LIST, MAP, STRINGS = {"L": []}, {"M": {}}, {"SS": ["a"]}


@pytest.fixture(scope="module")
def table(api):
    name = "messages-expressions"
    api.call(
        "CreateTable",
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "N"},
        ],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    )
    yield name
    api.call("DeleteTable", TableName=name)


def rows(*table):
    """Expression, values, message and, where there are any, names."""
    return pytest.mark.parametrize(
        ("expression", "values", "message", "names"),
        [row if len(row) == 4 else (*row, None) for row in table],
        ids=[str(number) for number in range(1, len(table) + 1)],
    )


def placeholders(request, values, names):
    if values:
        request["ExpressionAttributeValues"] = values
    if names:
        request["ExpressionAttributeNames"] = names
    return request


SYNTAX = 'Syntax error; token: "...'


def operands(function, count):
    return (
        "Incorrect number of operands for operator or function; "
        f"operator or function: {function}, number of operands: {count}"
    )


def operand_type(function, kind):
    return f"Incorrect operand type for operator or function; operator or function: {function}, operand type: {kind}"


def misused(function):
    return f"The function is not allowed to be used this way in an expression; function: {function}"


def reserved(word):
    return f"Attribute name is a reserved keyword; reserved keyword: {word}"


def undefined_name(name):
    return f"An expression attribute name used in the document path is not defined; attribute name: {name}"


def undefined_value(name):
    return f"An expression attribute value used in expression is not defined; attribute value: {name}"


def same(operator, path):
    return (
        "The first operand must be distinct from the remaining operands for this operator or function; "
        f"operator: {operator}, first operand: {path}"
    )


def path_required(function):
    return f"Operator or function requires a document path; operator or function: {function}"


CONDITIONS = rows(
    ("", None, "The expression can not be empty;"),
    ("a = = b", None, 'Syntax error; token: "=", near: "= = b"'),
    ("attribute_not_exists(", None, 'Syntax error; token: "<EOF>", near: "("'),
    ("!!!", None, 'Syntax error; token: "!", near: "!!"'),
    (" ", None, SYNTAX),
    ("a", None, SYNTAX),
    ("a >", None, SYNTAX),
    ("a > 4", None, SYNTAX),
    ("a b", None, SYNTAX),
    ("a = b AND", None, SYNTAX),
    ("a = b OR OR c = d", None, SYNTAX),
    ("NOT", None, SYNTAX),
    ("a = b)", None, SYNTAX),
    ("(a = b", None, SYNTAX),
    ("()", None, SYNTAX),
    ("a[:v] = b", V, SYNTAX),
    ("a[-1] = b", None, SYNTAX),
    ("a[1.5] = b", None, SYNTAX),
    ("a[b] = c", None, SYNTAX),
    ("a[] = c", None, SYNTAX),
    ("[0] = c", None, SYNTAX),
    ("_a = b", None, SYNTAX),
    ("1a = b", None, SYNTAX),
    ("a. = b", None, SYNTAX),
    ("a..b = c", None, SYNTAX),
    (".a = b", None, SYNTAX),
    ("a == b", None, SYNTAX),
    ("a != b", None, SYNTAX),
    ("a = 'b'", None, SYNTAX),
    ('a = "b"', None, SYNTAX),
    ("a = b; c = d", None, SYNTAX),
    ("\u00e9 = b", None, SYNTAX),
    ("a-b = c", None, SYNTAX),
    ("# = c", None, SYNTAX),
    (": = c", None, SYNTAX),
    ("a IN ()", None, SYNTAX),
    ("a IN b", None, SYNTAX),
    ("a BETWEEN b", None, SYNTAX),
    ("a BETWEEN b OR c", None, SYNTAX),
    ("size() = a", None, SYNTAX),
    ("a = b = c", None, SYNTAX),
    ("((a = b))", None, "The expression has redundant parentheses;"),
    ("a > ((b))", None, "The expression has redundant parentheses;"),
    ("NOT ((a = b))", None, "The expression has redundant parentheses;"),
    ("(a)between(((b.c)).d)and(c)", None, "The expression has redundant parentheses;"),
    ("foo(a)", None, "Invalid function name; function: foo"),
    ("attRIbute_exIsts(a)", None, "Invalid function name; function: attRIbute_exIsts"),
    ("if_not_exists(a, b) = c", None, "Invalid function name; function: if_not_exists"),
    ("list_append(a, b) = c", None, "Invalid function name; function: list_append"),
    ("a IN (foo(b))", None, "Invalid function name; function: foo"),
    ("size(a)", None, misused("size")),
    ("attribute_exists(a) = b", None, misused("attribute_exists")),
    ("begins_with(a, contains(b, c))", None, misused("contains")),
    ("status = a", None, reserved("status")),
    ("a = Status", None, reserved("Status")),
    ("a.name = b", None, reserved("name")),
    ("a[0].STATE = b", None, reserved("STATE")),
    ("attribute_exists(total)", None, reserved("total")),
    ("#a = b", None, undefined_name("#a")),
    ("a.#b = c", None, undefined_name("#b")),
    ("a = :v", None, undefined_value(":v")),
    ("a BETWEEN :v AND :w", V, undefined_value(":w")),
    ("attribute_exists(a, b)", None, operands("attribute_exists", 2)),
    ("attribute_not_exists(a, b)", None, operands("attribute_not_exists", 2)),
    ("size(a, b) = c", None, operands("size", 2)),
    ("begins_with(a)", None, operands("begins_with", 1)),
    ("contains(a)", None, operands("contains", 1)),
    ("contains(a, b, c)", None, operands("contains", 3)),
    ("attribute_type(a)", None, operands("attribute_type", 1)),
    ("begins_with(a, :v)", V, operand_type("begins_with", "N")),
    ("begins_with(:v, a)", {":v": BOOL}, operand_type("begins_with", "BOOL")),
    ("begins_with(a, size(b))", None, operand_type("begins_with", "N")),
    ("attribute_type(a, :v)", V, operand_type("attribute_type", "N")),
    ("size(:v) = a", V, operand_type("size", "N")),
    ("size(:v) = a", {":v": BOOL}, operand_type("size", "BOOL")),
    ("size(:v) = a", {":v": NULL}, operand_type("size", "NULL")),
    ("a < :v", {":v": BOOL}, operand_type("<", "BOOL")),
    ("a <= :v", {":v": NULL}, operand_type("<=", "NULL")),
    ("a > :v", {":v": LIST}, operand_type(">", "L")),
    ("a >= :v", {":v": MAP}, operand_type(">=", "M")),
    (":v < a", {":v": STRINGS}, operand_type("<", "SS")),
    ("a BETWEEN :v AND :w", {":v": BOOL, ":w": BOOL}, operand_type("BETWEEN", "BOOL")),
    ("attribute_exists(:v)", V, path_required("attribute_exists")),
    ("attribute_not_exists(:v)", V, path_required("attribute_not_exists")),
    (
        "attribute_type(a, :v)",
        {":v": {"S": "X"}},
        "Invalid attribute type name found; type: X, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}",
    ),
    ("a = a", None, same("=", "[a]")),
    ("a.b[1] < a.b[1]", None, same("<", "[a, b, [1]]")),
    ("#a <> a", None, same("<>", "[a]"), {"#a": "a"}),
    ("contains(a, a)", None, same("contains", "[a]")),
    ("begins_with(a, a)", None, same("begins_with", "[a]")),
    (
        "a BETWEEN :v AND :w",
        {":v": N, ":w": S},
        "The BETWEEN operator requires same data type for lower and upper bounds; "
        "lower bound operand: AttributeValue: {N:1}, upper bound operand: AttributeValue: {S:a}",
    ),
    (
        "a BETWEEN :v AND :w",
        {":v": {"S": "b"}, ":w": S},
        "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; "
        "lower bound operand: AttributeValue: {S:b}, upper bound operand: AttributeValue: {S:a}",
    ),
    (
        "a = b" + " " * 4104,
        None,
        "Expression size has exceeded the maximum allowed size; expression size: 4109",
    ),
    (
        " AND ".join(["a = b"] * 151),
        None,
        "The expression contains too many operators; operator count: 301",
    ),
    # Which of two errors is reported.
    ("status = a AND", None, SYNTAX),
    ("((a = b)) AND foo(c)", None, "The expression has redundant parentheses;"),
    ("status = foo(a)", None, "Invalid function name; function: foo"),
    ("status = a AND size(b)", None, misused("size")),
    ("#u = status", None, reserved("status")),
    ("#u = :u", None, undefined_name("#u")),
    ("a = :u AND #u = b", None, undefined_value(":u")),
    ("size(a, :u) = b", None, undefined_value(":u")),
)


@CONDITIONS
def test_condition_of_put(api, table, expression, values, message, names):
    request = {"TableName": table, "Item": {"pk": S, "sk": N}, "ConditionExpression": expression}
    message = f"{ENVELOPE}Invalid ConditionExpression: {message}"
    api.refuses("PutItem", placeholders(request, values, names), message)


@CONDITIONS
def test_condition_of_update_of_a_missing_table(api, expression, values, message, names):
    """Expressions are checked before the table is looked up."""
    request = {"TableName": "nosuch", "Key": {"pk": S}, "ConditionExpression": expression}
    message = f"{ENVELOPE}Invalid ConditionExpression: {message}"
    api.refuses("UpdateItem", placeholders(request, values, names), message)


@CONDITIONS
def test_filter_of_scan(api, table, expression, values, message, names):
    request = {"TableName": table, "FilterExpression": expression}
    api.refuses("Scan", placeholders(request, values, names), f"Invalid FilterExpression: {message}")


@CONDITIONS
def test_filter_of_query(api, table, expression, values, message, names):
    request = {"TableName": table, "KeyConditionExpression": "pk = :pk", "FilterExpression": expression}
    values = (values or {}) | {":pk": S}
    api.refuses("Query", placeholders(request, values, names), f"Invalid FilterExpression: {message}")


KEY = "Invalid KeyConditionExpression: "


def operator(name):
    return f"Invalid operator used in KeyConditionExpression: {name}"


INVALID = "Invalid condition in KeyConditionExpression: "


@rows(
    ("", None, KEY + "The expression can not be empty;"),
    ("pk = ", None, KEY + SYNTAX),
    ("pk = :v sk = :v", V, KEY + SYNTAX),
    ("pk = :u", None, KEY + undefined_value(":u")),
    ("#u = :v", V, KEY + undefined_name("#u")),
    ("name = :v", V, KEY + reserved("name")),
    ("foo(pk, :v)", V, KEY + "Invalid function name; function: foo"),
    ("((pk = :v))", V, KEY + "The expression has redundant parentheses;"),
    ("pk = :v or sk = :v", V, operator("OR")),
    ("NOT pk = :v", V, operator("NOT")),
    ("pk IN (:v)", V, operator("IN")),
    ("pk <> :v", V, operator("<>")),
    ("pk = :v AND attribute_exists(sk)", V, operator("attribute_exists")),
    ("pk = :v AND attribute_not_exists(sk)", V, operator("attribute_not_exists")),
    ("pk = :v AND attribute_type(sk, :s)", V | {":s": {"S": "N"}}, operator("attribute_type")),
    ("pk = :v AND contains(sk, :v)", V, operator("contains")),
    (":v BETWEEN sk AND pk", V, INVALID + "BETWEEN operator must have the key attribute as its first operand"),
    (
        "begins_with(:v, pk)",
        {":v": S},
        INVALID + "begins_with operator must have the key attribute as its first operand",
    ),
    ("pk > size(sk)", None, "KeyConditionExpressions cannot contain nested operations"),
    ("pk > sk", None, INVALID + "Multiple attribute names used in one condition"),
    ("pk.d > :v", V, "KeyConditionExpressions cannot have conditions on nested attributes"),
    (":v > :w", {":v": N, ":w": N}, INVALID + "No key attribute specified"),
    ("sk > :v AND sk < :v", V, "KeyConditionExpressions must only contain one condition per key"),
    ("pk = :v AND pk = :v", V, "KeyConditionExpressions must only contain one condition per key"),
    ("sk = :v", V, "Query condition missed key schema element: pk"),
    ("elsewhere = :v", V, "Query condition missed key schema element: pk"),
    ("pk > :s", {":s": S}, "Query key condition not supported"),
    ("pk = :s AND elsewhere = :v", V | {":s": S}, "Query condition missed key schema element: sk"),
    (
        "pk = :v",
        V,
        "One or more parameter values were invalid: Condition parameter type does not match schema type",
    ),
    (
        "pk = :s AND sk = :s",
        {":s": S},
        "One or more parameter values were invalid: Condition parameter type does not match schema type",
    ),
)
def test_key_condition(api, table, expression, values, message, names):
    request = {"TableName": table, "KeyConditionExpression": expression}
    # Some regions put the kind before these, too.
    alternatives = (message, KEY + message)
    api.refuses("Query", placeholders(request, values, names), alternatives)


def overlap(one, two):
    return (
        "Two document paths overlap with each other; must remove or rewrite one of these paths; "
        f"path one: {one}, path two: {two}"
    )


def conflict(one, two):
    return (
        "Two document paths conflict with each other; must remove or rewrite one of these paths; "
        f"path one: {one}, path two: {two}"
    )


PROJECTIONS = rows(
    ("", None, "The expression can not be empty;"),
    ("whatever(x)", None, SYNTAX),
    (":a", None, SYNTAX),
    ("a,", None, SYNTAX),
    ("a,,b", None, SYNTAX),
    ("a b", None, SYNTAX),
    ("a..b", None, SYNTAX),
    ("a[b]", None, SYNTAX),
    ("(a)", None, SYNTAX),
    ("(a,b)", None, SYNTAX),
    ("a-b", None, SYNTAX),
    ("a = b", None, SYNTAX),
    ("*", None, SYNTAX),
    ("a, status", None, reserved("status")),
    ("a.b.Data", None, reserved("Data")),
    ("a, #b", None, undefined_name("#b")),
    ("a, a", None, overlap("[a]", "[a]")),
    ("a, a.b", None, overlap("[a]", "[a, b]")),
    ("a.b, a", None, overlap("[a, b]", "[a]")),
    ("a[1], b, a[1].c", None, overlap("[a, [1]]", "[a, [1], c]")),
    ("#n, a", None, overlap("[a]", "[a]"), {"#n": "a"}),
    ("a.b, a[0]", None, conflict("[a, b]", "[a, [0]]")),
    ("a" + " " * 4096, None, "Expression size has exceeded the maximum allowed size; expression size: 4097"),
)


@PROJECTIONS
def test_projection_of_get(api, table, expression, values, message, names):
    request = {"TableName": table, "Key": {"pk": S, "sk": N}, "ProjectionExpression": expression}
    api.refuses("GetItem", placeholders(request, values, names), f"Invalid ProjectionExpression: {message}")


@PROJECTIONS
def test_projection_of_scan(api, table, expression, values, message, names):
    request = {"TableName": table, "ProjectionExpression": expression}
    api.refuses("Scan", placeholders(request, values, names), f"Invalid ProjectionExpression: {message}")


@PROJECTIONS
def test_projection_of_batch_get(api, table, expression, values, message, names):
    entry = placeholders({"Keys": [{"pk": S, "sk": N}], "ProjectionExpression": expression}, values, names)
    request = {"RequestItems": {table: entry}}
    api.refuses("BatchGetItem", request, f"Invalid ProjectionExpression: {message}")


def update_operand(name, kind):
    return f"Incorrect operand type for operator or function; operator: {name}, operand type: {kind}"


def used_twice(section):
    return f'The "{section}" section can only be used once in an update expression;'


@rows(
    ("", None, "The expression can not be empty;"),
    ("INVALID SYNTAX", None, 'Syntax error; token: "INVALID", near: "INVALID SYNTAX"'),
    ("SET _123 = :v", V, 'Syntax error; token: "_", near: "SET _123"'),
    ("set a", None, SYNTAX),
    ("set a =", None, SYNTAX),
    ("set a = b + c + d", None, SYNTAX),
    ("set a = b * c", None, SYNTAX),
    ("set a = :v,", V, SYNTAX),
    ("set , a = :v", V, SYNTAX),
    ("set a = 1", None, SYNTAX),
    ("set :v = a", V, SYNTAX),
    ("set (a = b)", None, SYNTAX),
    ("set (a) = b", None, SYNTAX),
    ("set a[b] = c", None, SYNTAX),
    ("remove a = b", None, SYNTAX),
    ("remove :v", V, SYNTAX),
    ("remove", None, SYNTAX),
    ("add a = b", None, SYNTAX),
    ("add a b", None, SYNTAX),
    ("add a :v b", V, SYNTAX),
    ("delete a b", None, SYNTAX),
    ("delete a", None, SYNTAX),
    ("set a = b where c = d", None, SYNTAX),
    ("set a = foo(b)", None, "Invalid function name; function: foo"),
    ("set a = size(b)", None, "Invalid function name; function: size"),
    ("set a = attribute_exists(b)", None, "Invalid function name; function: attribute_exists"),
    ("set a = IF_NOT_EXISTS(a, b)", None, "Invalid function name; function: IF_NOT_EXISTS"),
    ("set status = :v", V, reserved("status")),
    ("remove a.Values", None, reserved("Values")),
    ("set a = :v set b = :v", V, used_twice("SET")),
    ("remove a REMOVE b", None, used_twice("REMOVE")),
    ("add a :v add b :v", V, used_twice("ADD")),
    ("delete a :v set c = d delete b :v", V, used_twice("DELETE")),
    ("set #a = b", None, undefined_name("#a")),
    ("set a = :u", None, undefined_value(":u")),
    ("add a :u", None, undefined_value(":u")),
    ("set a = b, a = c", None, overlap("[a]", "[a]")),
    ("set q = :v, q.r = :v", V, overlap("[q]", "[q, r]")),
    ("set q.r = :v remove q", V, overlap("[q, r]", "[q]")),
    ("set a[1] = :v, a[1].b = :v", V, overlap("[a, [1]]", "[a, [1], b]")),
    ("set a.c = :v, a[1] = :v", V, conflict("[a, c]", "[a, [1]]")),
    ("add a :v", {":v": S}, update_operand("ADD", "STRING")),
    ("add a :v", {":v": {"B": "YQ=="}}, update_operand("ADD", "BINARY")),
    ("add a :v", {":v": NULL}, update_operand("ADD", "NULL")),
    ("add a :v", {":v": BOOL}, update_operand("ADD", "BOOLEAN")),
    ("add a :v", {":v": LIST}, update_operand("ADD", "LIST")),
    ("add a :v", {":v": MAP}, update_operand("ADD", "MAP")),
    ("delete a :v", V, update_operand("DELETE", "NUMBER")),
    ("delete a :v", {":v": S}, update_operand("DELETE", "STRING")),
    ("delete a :v", {":v": LIST}, update_operand("DELETE", "LIST")),
    ("set a = if_not_exists(a)", None, operands("if_not_exists", 1)),
    ("set a = if_not_exists(a, b, c)", None, operands("if_not_exists", 3)),
    ("set a = list_append(a)", None, operands("list_append", 1)),
    ("set a = if_not_exists(:v, b)", V, path_required("if_not_exists")),
    ("set a = b + :v", {":v": S}, operand_type("+", "S")),
    ("set a = :v - b", {":v": LIST}, operand_type("-", "L")),
    ("set a = list_append(b, :v)", V, operand_type("list_append", "N")),
    ("set a = list_append(:v, b)", {":v": MAP}, operand_type("list_append", "M")),
    ("set a = b" + " " * 4096, None, "Expression size has exceeded the maximum allowed size;"),
    # Which of two errors is reported.
    ("set status = foo(a)", None, reserved("status")),
    ("set a = foo(b) set c = d", None, "Invalid function name; function: foo"),
    ("set a = :u, a = #u", None, undefined_name("#u")),
    ("set a = :u, a.b = c", None, undefined_value(":u")),
    ("set a = b, a.c = d add e :v", {":v": S}, overlap("[a]", "[a, c]")),
)
def test_update(api, table, expression, values, message, names):
    request = {"TableName": table, "Key": {"pk": S, "sk": N}, "UpdateExpression": expression}
    message = f"{ENVELOPE}Invalid UpdateExpression: {message}"
    api.refuses("UpdateItem", placeholders(request, values, names), message)


NAMES_ONLY = "ExpressionAttributeNames can only be specified when using expressions"
VALUES_ONLY = "ExpressionAttributeValues can only be specified when using expressions"
KEY_OF = {"Key": {"pk": S, "sk": N}}
ITEM = {"Item": {"pk": S, "sk": N}}


@pytest.mark.parametrize(
    ("operation", "request_part", "message"),
    [
        ("GetItem", KEY_OF | {"ExpressionAttributeNames": {"#a": "a"}}, NAMES_ONLY),
        ("PutItem", ITEM | {"ExpressionAttributeNames": {"#a": "a"}}, ENVELOPE + NAMES_ONLY),
        ("PutItem", ITEM | {"ExpressionAttributeValues": V}, ENVELOPE + VALUES_ONLY),
        ("DeleteItem", KEY_OF | {"ExpressionAttributeValues": V}, ENVELOPE + VALUES_ONLY),
        ("UpdateItem", KEY_OF | {"ExpressionAttributeValues": V}, ENVELOPE + VALUES_ONLY),
        ("Scan", {"ExpressionAttributeValues": V}, VALUES_ONLY + ": FilterExpression is null"),
        ("Scan", {"ExpressionAttributeNames": {"#a": "a"}}, NAMES_ONLY),
        (
            "Scan",
            {"FilterExpression": "a = b", "ExpressionAttributeNames": {}},
            "ExpressionAttributeNames must not be empty",
        ),
        (
            "Scan",
            {"FilterExpression": "a = b", "ExpressionAttributeValues": {}},
            "ExpressionAttributeValues must not be empty",
        ),
        (
            "PutItem",
            ITEM | {"ConditionExpression": "a = b", "ExpressionAttributeNames": {}},
            ENVELOPE + "ExpressionAttributeNames must not be empty",
        ),
        (
            "UpdateItem",
            KEY_OF | {"UpdateExpression": "SET a = b", "ExpressionAttributeValues": {}},
            ENVELOPE + "ExpressionAttributeValues must not be empty",
        ),
        (
            "Scan",
            {"FilterExpression": "a = b", "ExpressionAttributeNames": {"a": "b"}},
            'ExpressionAttributeNames contains invalid key: Syntax error; key: "a"',
        ),
        (
            "Scan",
            {"FilterExpression": "a = b", "ExpressionAttributeValues": {"#a": N}},
            'ExpressionAttributeValues contains invalid key: Syntax error; key: "#a"',
        ),
        (
            "Scan",
            {"FilterExpression": "a = b", "ExpressionAttributeNames": {"#x": "y"}},
            "Value provided in ExpressionAttributeNames unused in expressions: keys: {#x}",
        ),
        (
            "Scan",
            {"FilterExpression": "a = b", "ExpressionAttributeValues": {":x": N}},
            "Value provided in ExpressionAttributeValues unused in expressions: keys: {:x}",
        ),
        (
            "Query",
            {
                "KeyConditionExpression": "pk = :p",
                "ExpressionAttributeValues": {":p": S, ":x": N},
                "ExpressionAttributeNames": {"#x": "x"},
            },
            "Value provided in ExpressionAttributeNames unused in expressions: keys: {#x}",
        ),
        (
            "PutItem",
            ITEM | {"ConditionExpression": "a = :v", "ExpressionAttributeValues": V | {":x": N}},
            ENVELOPE + "Value provided in ExpressionAttributeValues unused in expressions: keys: {:x}",
        ),
        (
            "UpdateItem",
            KEY_OF
            | {
                "UpdateExpression": "SET q = :v",
                "ExpressionAttributeValues": V,
                "ExpressionAttributeNames": {"#z": "z"},
            },
            ENVELOPE + "Value provided in ExpressionAttributeNames unused in expressions: keys: {#z}",
        ),
        (
            "UpdateItem",
            KEY_OF | {"UpdateExpression": "SET a = :v AND", "ConditionExpression": "((a = b))"},
            ENVELOPE + "Invalid UpdateExpression: " + SYNTAX,
        ),
        (
            "Query",
            {"KeyConditionExpression": "pk", "FilterExpression": "a", "ProjectionExpression": "a a"},
            "Invalid KeyConditionExpression: " + SYNTAX,
        ),
        (
            "Scan",
            {"FilterExpression": "a", "ProjectionExpression": "a a"},
            "Invalid FilterExpression: " + SYNTAX,
        ),
        (
            "Query",
            {
                "KeyConditionExpression": "pk = :p",
                "FilterExpression": "sk = :p",
                "ExpressionAttributeValues": {":p": S},
            },
            "Filter Expression can only contain non-primary key attributes: Primary key attribute: sk",
        ),
        (
            "Query",
            {
                "KeyConditionExpression": "pk = :p",
                "FilterExpression": "a = :p AND attribute_exists(pk)",
                "ExpressionAttributeValues": {":p": S},
            },
            "Filter Expression can only contain non-primary key attributes: Primary key attribute: pk",
        ),
    ],
)
def test_placeholders_and_order(api, table, operation, request_part, message):
    api.refuses(operation, {"TableName": table} | request_part, message)


RUN_TIME_PATH = "The document path provided in the update expression is invalid for update"
RUN_TIME_MISSING = "The provided expression refers to an attribute that does not exist in the item"
RUN_TIME_TYPE = "An operand in the update expression has an incorrect data type"


@pytest.mark.parametrize(
    ("expression", "values", "message"),
    [
        ("SET nomap.r = :v", V, RUN_TIME_PATH),
        ("SET s.r = :v", V, RUN_TIME_PATH),
        ("SET m[0] = :v", V, RUN_TIME_PATH),
        ("SET l.x = :v", V, RUN_TIME_PATH),
        ("SET m.nosuch.x = :v", V, RUN_TIME_PATH),
        ("REMOVE nomap.r", None, RUN_TIME_PATH),
        ("ADD nomap.r :v", V, RUN_TIME_PATH),
        ("SET a = nosuch", None, RUN_TIME_MISSING),
        ("SET a = nosuch + :v", V, RUN_TIME_MISSING),
        ("SET a = m.nosuch", None, RUN_TIME_MISSING),
        ("SET a = l[7]", None, RUN_TIME_MISSING),
        ("SET a = s + :v", V, RUN_TIME_TYPE),
        ("SET a = list_append(s, l)", None, RUN_TIME_TYPE),
        ("ADD s :v", V, RUN_TIME_TYPE),
        ("ADD n :v", {":v": STRINGS}, RUN_TIME_TYPE),
        ("ADD ss :v", {":v": {"NS": ["1"]}}, RUN_TIME_TYPE),
        ("DELETE n :v", {":v": STRINGS}, RUN_TIME_TYPE),
        (
            "SET pk = :v",
            V,
            "One or more parameter values were invalid: "
            "Cannot update attribute pk. This attribute is part of the key",
        ),
        (
            "REMOVE sk",
            None,
            "One or more parameter values were invalid: "
            "Cannot update attribute sk. This attribute is part of the key",
        ),
        (
            "SET n = n + :v",
            {":v": {"N": "9.9999999999999999999999999999999999999E125"}},
            "Number overflow. Attempting to store a number with magnitude larger than supported range",
        ),
        ("SET n = n + :v", {":v": {"N": "1e50"}}, "Attempting to store more than 38 significant digits in a Number"),
    ],
)
def test_update_of_an_item(api, table, expression, values, message):
    """Found only while the update is applied: never enveloped, and the item stays as it was."""
    item = {
        "pk": {"S": "run time"},
        "sk": N,
        "s": S,
        "n": {"N": "9e125"} if values and values.get(":v", {}).get("N", "").endswith("E125") else {"N": "5"},
        "l": {"L": [N]},
        "m": {"M": {"k": N}},
        "ss": STRINGS,
    }
    api.call("PutItem", TableName=table, Item=item)
    key = {"pk": item["pk"], "sk": N}
    request = placeholders({"TableName": table, "Key": key, "UpdateExpression": expression}, values, None)
    api.refuses("UpdateItem", request, message)
    found = api.call("GetItem", TableName=table, Key=key, ConsistentRead=True)["Item"]
    assert found["s"] == item["s"] and found["m"] == item["m"] and found.keys() == item.keys()
