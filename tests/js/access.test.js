// The AWS SDK for JavaScript v3 and a server with an access key.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { CreateTableCommand, DynamoDBClient, GetItemCommand, PutItemCommand } from "@aws-sdk/client-dynamodb";

import { startServer } from "./server.js";

const accessKeyId = "AKIDEXAMPLE";
const secretAccessKey = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

let server;

before(async () => {
  server = await startServer("--access-key-id", accessKeyId, "--secret-access-key", secretAccessKey);
});

after(async () => {
  assert.equal(await server?.stop(), 0);
});

async function withClient(credentials, action) {
  const client = new DynamoDBClient({ endpoint: server.endpoint, region: "us-east-1", credentials, maxAttempts: 1 });
  try {
    return await action(client);
  } finally {
    client.destroy();
  }
}

const refused = (name) => (error) => error.name === name && error.$metadata.httpStatusCode === 400;
const get = new GetItemCommand({ TableName: "items", Key: { id: { S: "ä" } } });

test("the right key works", async () => {
  await withClient({ accessKeyId, secretAccessKey }, async (client) => {
    const AttributeDefinitions = [{ AttributeName: "id", AttributeType: "S" }];
    const KeySchema = [{ AttributeName: "id", KeyType: "HASH" }];
    await client.send(
      new CreateTableCommand({ TableName: "items", BillingMode: "PAY_PER_REQUEST", AttributeDefinitions, KeySchema }),
    );
    const Item = { id: { S: "ä" }, blob: { B: new Uint8Array([0, 255]) } };
    await client.send(new PutItemCommand({ TableName: "items", Item }));
    assert.deepEqual((await client.send(get)).Item, Item);
  });
});

test("others do not", async () => {
  const rows = [
    [{ accessKeyId, secretAccessKey: "wrong" }, "InvalidSignatureException"],
    [{ accessKeyId: "AKIDOTHER", secretAccessKey }, "UnrecognizedClientException"],
    [{ accessKeyId, secretAccessKey, sessionToken: "token" }, "UnrecognizedClientException"],
  ];
  for (const [credentials, name] of rows) {
    await withClient(credentials, (client) => assert.rejects(client.send(get), refused(name)));
  }
});
