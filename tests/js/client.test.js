// The AWS SDK for JavaScript v3: create, write, read, query, page, delete, and the names of errors.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import {
  BatchGetItemCommand,
  BatchWriteItemCommand,
  ConditionalCheckFailedException,
  CreateTableCommand,
  DeleteItemCommand,
  DeleteTableCommand,
  DescribeTableCommand,
  DynamoDBClient,
  GetItemCommand,
  ListTablesCommand,
  paginateQuery,
  paginateScan,
  PutItemCommand,
  ResourceInUseException,
  ResourceNotFoundException,
  UpdateItemCommand,
  waitUntilTableExists,
  waitUntilTableNotExists,
} from "@aws-sdk/client-dynamodb";
import { DynamoDBDocument } from "@aws-sdk/lib-dynamodb";

import { startServer } from "./server.js";

const TableName = "Music";
const CREATE = {
  TableName,
  BillingMode: "PAY_PER_REQUEST",
  AttributeDefinitions: [
    { AttributeName: "artist", AttributeType: "S" },
    { AttributeName: "year", AttributeType: "N" },
  ],
  KeySchema: [
    { AttributeName: "artist", KeyType: "HASH" },
    { AttributeName: "year", KeyType: "RANGE" },
  ],
};

let server;
let client;
let documents;

before(async () => {
  server = await startServer();
  const credentials = { accessKeyId: "local", secretAccessKey: "local" };
  client = new DynamoDBClient({ endpoint: server.endpoint, region: "us-east-1", credentials, maxAttempts: 1 });
  documents = DynamoDBDocument.from(client, { marshallOptions: { removeUndefinedValues: true } });
  await client.send(new CreateTableCommand(CREATE));
  await waitUntilTableExists({ client, maxWaitTime: 30 }, { TableName });
});

after(async () => {
  client?.destroy();
  assert.equal(await server?.stop(), 0);
});

async function all(pages) {
  const items = [];
  let count = 0;
  for await (const page of pages) {
    items.push(...page.Items);
    count += 1;
  }
  return { items, count };
}

const key = (artist, year) => ({ artist: { S: artist }, year: { N: String(year) } });

test("every type comes back as it was written", async () => {
  const Item = {
    ...key("types", 1),
    text: { S: "Grüße 世界 \u{1F600} \" \\" },
    binary: { B: new Uint8Array([0, 1, 254, 255]) },
    yes: { BOOL: true },
    nothing: { NULL: true },
    strings: { SS: ["a", "b"] },
    numbers: { NS: ["1", "2.5"] },
    nested: { M: { list: { L: [{ N: "-0.001" }, { S: "" }, { L: [] }] } } },
  };
  await client.send(new PutItemCommand({ TableName, Item }));
  const found = await client.send(new GetItemCommand({ TableName, Key: key("types", 1), ConsistentRead: true }));
  assert.deepEqual(found.Item, Item);
  const missing = await client.send(new GetItemCommand({ TableName, Key: key("types", 2) }));
  assert.equal(missing.Item, undefined);
});

test("documents are JavaScript values", async () => {
  const nested = (second) => ({ list: [1, second, null, { deep: true }] });
  const Item = { artist: "doc", year: 1, tags: new Set(["x", "y"]), nested: nested("two") };
  await documents.put({ TableName, Item });
  const { Item: found } = await documents.get({ TableName, Key: { artist: "doc", year: 1 } });
  assert.deepEqual(found, Item);
  const { Attributes } = await documents.update({
    TableName,
    Key: { artist: "doc", year: 1 },
    UpdateExpression: "SET nested.#l[1] = :v, hits = if_not_exists(hits, :zero) + :one DELETE tags :gone",
    ExpressionAttributeNames: { "#l": "list" },
    ExpressionAttributeValues: { ":v": "2", ":zero": 0, ":one": 1, ":gone": new Set(["x"]) },
    ReturnValues: "ALL_NEW",
  });
  assert.deepEqual(Attributes, { ...Item, hits: 1, tags: new Set(["y"]), nested: nested("2") });
});

test("queries page through a range in both directions", async () => {
  for (let first = 0; first < 100; first += 25) {
    const puts = Array.from({ length: 25 }, (_, index) => ({ PutRequest: { Item: key("paged", first + index) } }));
    const { UnprocessedItems } = await client.send(new BatchWriteItemCommand({ RequestItems: { [TableName]: puts } }));
    assert.deepEqual(UnprocessedItems, {});
  }
  for (const ScanIndexForward of [true, false]) {
    const { items, count } = await all(
      paginateQuery(
        { client, pageSize: 7 },
        {
          TableName,
          ScanIndexForward,
          KeyConditionExpression: "artist = :a AND #y BETWEEN :from AND :to",
          ExpressionAttributeNames: { "#y": "year" },
          ExpressionAttributeValues: { ":a": { S: "paged" }, ":from": { N: "9" }, ":to": { N: "50" } },
        },
      ),
    );
    const years = items.map((item) => Number(item.year.N));
    const expected = Array.from({ length: 42 }, (_, index) => index + 9);
    assert.deepEqual(years, ScanIndexForward ? expected : expected.toReversed());
    // The last page is empty: the one before it reached its limit exactly at the end.
    assert.equal(count, 7);
  }
});

test("scans filter and count", async () => {
  const { items } = await all(
    paginateScan(
      { client, pageSize: 10 },
      { TableName, FilterExpression: "artist = :a", ExpressionAttributeValues: { ":a": { S: "paged" } } },
    ),
  );
  assert.equal(items.length, 100);
  const Keys = Array.from({ length: 100 }, (_, year) => key("paged", year));
  const { Responses } = await client.send(new BatchGetItemCommand({ RequestItems: { [TableName]: { Keys } } }));
  assert.equal(Responses[TableName].length, 100);
});

test("errors have their names and texts", async () => {
  const Item = key("errors", 1);
  await client.send(new PutItemCommand({ TableName, Item }));
  const conditional = { TableName, Item, ConditionExpression: "attribute_not_exists(artist)" };
  const refused = new PutItemCommand({ ...conditional, ReturnValuesOnConditionCheckFailure: "ALL_OLD" });
  await assert.rejects(client.send(refused), (error) => {
    assert.ok(error instanceof ConditionalCheckFailedException);
    assert.equal(error.message, "The conditional request failed");
    assert.equal(error.$metadata.httpStatusCode, 400);
    assert.deepEqual(error.Item, Item);
    return true;
  });
  await assert.rejects(client.send(new CreateTableCommand(CREATE)), ResourceInUseException);
  await assert.rejects(
    client.send(new GetItemCommand({ TableName: "nosuch", Key: Item })),
    (error) => error instanceof ResourceNotFoundException && error.message === "Requested resource not found",
  );
  const update = { TableName, Key: Item, UpdateExpression: "SET status = :v" };
  await assert.rejects(
    client.send(new UpdateItemCommand({ ...update, ExpressionAttributeValues: { ":v": { S: "x" } } })),
    (error) => error.name === "ValidationException" && error.message.includes("reserved keyword: status"),
  );
  await assert.rejects(
    client.send(new PutItemCommand({ TableName, Item: key("x", "five") })),
    (error) => error.name === "ValidationException" && error.message.endsWith("to a numeric value: five"),
  );
});

test("items and tables are deleted", async () => {
  await client.send(new PutItemCommand({ TableName, Item: key("gone", 1) }));
  const deleted = await client.send(new DeleteItemCommand({ TableName, Key: key("gone", 1), ReturnValues: "ALL_OLD" }));
  assert.deepEqual(deleted.Attributes, key("gone", 1));
  const again = await client.send(new DeleteItemCommand({ TableName, Key: key("gone", 1), ReturnValues: "ALL_OLD" }));
  assert.equal(again.Attributes, undefined);

  await client.send(new CreateTableCommand({ ...CREATE, TableName: "Other" }));
  await client.send(new DeleteTableCommand({ TableName: "Other" }));
  await waitUntilTableNotExists({ client, maxWaitTime: 30 }, { TableName: "Other" });
  await assert.rejects(client.send(new DescribeTableCommand({ TableName: "Other" })), ResourceNotFoundException);
  assert.deepEqual((await client.send(new ListTablesCommand({}))).TableNames, [TableName]);
});

test("many requests share the connections", async () => {
  const add = new UpdateItemCommand({
    TableName,
    Key: key("counter", 1),
    UpdateExpression: "ADD hits :one",
    ExpressionAttributeValues: { ":one": { N: "1" } },
  });
  await Promise.all(Array.from({ length: 300 }, () => client.send(add)));
  const { Item } = await client.send(new GetItemCommand({ TableName, Key: key("counter", 1), ConsistentRead: true }));
  assert.equal(Item.hits.N, "300");
});
