"""Servers, clients and tables for the tests.

One server serves most tests, each of which makes tables of its own; tests that stop servers start their own. The
binary is named by JORMUN_BINARY. Every server runs on a free port with a temporary data directory and is stopped by its
own id.
"""

import contextlib
import http.client
import itertools
import json
import os
import pathlib
import re
import subprocess
import threading
import time

import boto3
import botocore.config
import pytest

REGION = "us-east-1"
START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 60

# No test may find the developer's own account.
for _name in [name for name in os.environ if name.startswith(("AWS_", "JORMUN_")) and name != "JORMUN_BINARY"]:
    del os.environ[_name]
os.environ.update(
    AWS_ACCESS_KEY_ID="test",
    AWS_SECRET_ACCESS_KEY="test",
    AWS_DEFAULT_REGION=REGION,
    AWS_EC2_METADATA_DISABLED="true",
    AWS_CONFIG_FILE=os.devnull,
    AWS_SHARED_CREDENTIALS_FILE=os.devnull,
)


def binary():
    path = os.environ.get("JORMUN_BINARY")
    assert path, "JORMUN_BINARY names the server to test: run `make test-python`"
    return path


class Server:
    """A running server; `with` stops it."""

    def __init__(self, directory, *flags):
        self.directory = pathlib.Path(directory)
        command = [binary(), "--port", "0", "--host", "127.0.0.1", "--data-dir", str(directory), *flags]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.banner = ""
        watchdog = threading.Timer(START_SECONDS_MAX, self.process.kill)
        watchdog.start()
        for line in self.process.stdout:
            self.banner += line
            if "Ready to accept connections" in line:
                break
        watchdog.cancel()
        address = re.search(r"address\s+(http://\S+:(\d+))", self.banner)
        assert address and "Ready" in self.banner, f"the server did not become ready: {self.banner}"
        self.url, self.port = address[1], int(address[2])
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def stop(self):
        """Sends SIGTERM; the exit status."""
        self.process.terminate()
        try:
            return self.process.wait(STOP_SECONDS_MAX)
        finally:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.stop()

    def boto(self, kind=boto3.client, service="dynamodb"):
        config = botocore.config.Config(retries={"total_max_attempts": 1}, max_pool_connections=32)
        return kind(service, endpoint_url=self.url, region_name=REGION, config=config)


class Api:
    """Operations over plain HTTP: no SDK checks or repairs what is sent."""

    headers = {
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Date": "20260101T000000Z",
        "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/dynamodb/aws4_request, "
        "SignedHeaders=host;x-amz-date;x-amz-target, Signature=" + "0" * 64,
    }
    error_prefixes = {
        "SerializationException": "com.amazon.coral.service#",
        "UnknownOperationException": "com.amazon.coral.service#",
        "ValidationException": "com.amazon.coral.validate#",
    }

    def __init__(self, server):
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)

    def send(self, operation, request):
        """Status and body, parsed unless empty. A request that is text or bytes is sent as it is."""
        body = request if isinstance(request, (str, bytes)) else json.dumps(request)
        body = body.encode() if isinstance(body, str) else body
        target = {"X-Amz-Target": "DynamoDB_20120810." + operation}
        self.connection.request("POST", "/", body, self.headers | target)
        response = self.connection.getresponse()
        text = response.read()
        return response.status, json.loads(text) if text else None

    def call(self, operation, **request):
        status, body = self.send(operation, request)
        assert status == 200, body
        return body

    def refuses(self, operation, request, message, error="ValidationException"):
        """The operation fails with this text: with `...` at its end, a beginning; a tuple are alternatives."""
        status, body = self.send(operation, request)
        assert status == 400, body
        prefix = self.error_prefixes.get(error, "com.amazonaws.dynamodb.v20120810#")
        assert body["__type"] == prefix + error, body
        key = "Message" if error == "SerializationException" else "message"
        found = body.get(key)
        expected = message if isinstance(message, tuple) else (message,)
        assert any(fits(found, text) for text in expected), f"\nfound    {found}\nexpected {message}"


def fits(found, expected):
    if expected.endswith("..."):
        return found.startswith(expected[:-3])
    return found == expected


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("data")) as server:
        yield server
        assert server.process.poll() is None, "the server died"


@pytest.fixture(scope="session")
def client(server):
    return server.boto()


@pytest.fixture(scope="session")
def resource(server):
    return server.boto(boto3.resource)


@pytest.fixture(scope="session")
def api(server):
    api = Api(server)
    yield api
    api.connection.close()


_numbers = itertools.count()


def table_definition(name, keys, indexes=()):
    """CreateTable's parameters. `keys` is "p:S r:N"; an index is (name, keys, projection) and global."""
    split = [pair.split(":") for pair in keys.split()]
    definitions = dict(split)
    definition = {"TableName": name, "BillingMode": "PAY_PER_REQUEST", "KeySchema": schema(split)}
    for index_name, index_keys, projection in indexes:
        index_split = [pair.split(":") for pair in index_keys.split()]
        definitions.update(index_split)
        projection = projection if isinstance(projection, dict) else {"ProjectionType": projection}
        index = {"IndexName": index_name, "KeySchema": schema(index_split), "Projection": projection}
        definition.setdefault("GlobalSecondaryIndexes", []).append(index)
    definition["AttributeDefinitions"] = [
        {"AttributeName": name, "AttributeType": kind} for name, kind in definitions.items()
    ]
    return definition


def schema(split):
    return [
        {"AttributeName": name, "KeyType": kind} for (name, _), kind in zip(split, ("HASH", "RANGE"), strict=False)
    ]


@pytest.fixture
def make_table(client):
    """Makes tables with names that no other test uses; they are deleted after the test."""
    names = []

    def make(keys, indexes=(), **more):
        names.append(f"table-{os.getpid()}-{next(_numbers)}")
        client.create_table(**table_definition(names[-1], keys, indexes) | more)
        client.get_waiter("table_exists").wait(TableName=names[-1], WaiterConfig={"Delay": 1, "MaxAttempts": 30})
        return names[-1]

    yield make
    for name in names:
        with contextlib.suppress(client.exceptions.ResourceNotFoundException):
            client.delete_table(TableName=name)


def eventually(condition, seconds=30):
    """Waits for what happens in the background; the time only bounds a failure."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.01)
