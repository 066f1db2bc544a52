"""An object mapper, PynamoDB: models of many attribute types, conditions, updates, queries, batches, versions."""

import datetime
import itertools

import pytest
from conftest import eventually
from pynamodb.attributes import (
    BooleanAttribute,
    JSONAttribute,
    ListAttribute,
    MapAttribute,
    NumberAttribute,
    NumberSetAttribute,
    UnicodeAttribute,
    UnicodeSetAttribute,
    UTCDateTimeAttribute,
    VersionAttribute,
)
from pynamodb.exceptions import DeleteError, DoesNotExist, PutError
from pynamodb.models import Model

_numbers = itertools.count()


class Address(MapAttribute):
    street = UnicodeAttribute()
    number = NumberAttribute(null=True)


@pytest.fixture
def thread(server):
    """A model of a forum's thread with a table of its own."""

    class Thread(Model):
        class Meta:
            table_name = f"threads-{next(_numbers)}"
            host = server.url
            region = "us-east-1"
            billing_mode = "PAY_PER_REQUEST"
            aws_access_key_id = "test"
            aws_secret_access_key = "test"

        forum = UnicodeAttribute(hash_key=True)
        number = NumberAttribute(range_key=True)
        subject = UnicodeAttribute(null=True)
        views = NumberAttribute(default=0)
        tags = UnicodeSetAttribute(null=True)
        scores = NumberSetAttribute(null=True)
        open = BooleanAttribute(default=True)
        created = UTCDateTimeAttribute(null=True)
        address = Address(null=True)
        notes = ListAttribute(null=True)
        extra = JSONAttribute(null=True)

    assert not Thread.exists()
    Thread.create_table(wait=True)
    assert Thread.exists()
    yield Thread
    Thread.delete_table()
    eventually(lambda: not Thread.exists())


def test_objects_are_saved_and_read(thread):
    created = datetime.datetime(2026, 1, 1, 12, 30, 0, 123456, tzinfo=datetime.timezone.utc)
    saved = thread(
        "rust",
        1,
        subject="Borrowing \u2764",
        tags={"a", "b"},
        scores={1, 2.5},
        created=created,
        address=Address(street="Main", number=5),
        notes=["x", 1, {"k": [True]}],
        extra={"any": ["json", None]},
    )
    saved.save()
    found = thread.get("rust", 1, consistent_read=True)
    assert found.attribute_values.keys() == saved.attribute_values.keys()
    assert (found.subject, found.tags, found.scores) == ("Borrowing \u2764", {"a", "b"}, {1, 2.5})
    assert found.created == created
    assert (found.address.street, found.address.number) == ("Main", 5)
    assert (found.notes, found.extra) == (["x", 1, {"k": [True]}], {"any": ["json", None]})
    with pytest.raises(DoesNotExist):
        thread.get("rust", 2)


def test_conditions_guard_writes(thread):
    first = thread("rust", 1, subject="one")
    first.save(condition=thread.forum.does_not_exist())
    with pytest.raises(PutError) as error:
        thread("rust", 1).save(condition=thread.forum.does_not_exist())
    assert error.value.cause_response_code == "ConditionalCheckFailedException"
    with pytest.raises(DeleteError):
        first.delete(condition=thread.subject.startswith("two"))
    first.delete(condition=(thread.subject == "one") & (thread.views < 5))
    assert thread.count("rust") == 0


def test_updates_change_the_object(thread):
    item = thread("rust", 1, tags={"a"}, notes=["first"], address=Address(street="Main", number=1))
    item.save()
    item.update(
        actions=[
            thread.views.add(5),
            thread.tags.add({"b"}),
            thread.notes.set(thread.notes.append(["second"])),
            thread.address.number.set(thread.address.number + 1),
            thread.subject.set(thread.subject | "default"),
            thread.open.remove(),
        ]
    )
    assert (item.views, item.tags, item.notes) == (5, {"a", "b"}, ["first", "second"])
    assert (item.address.number, item.subject) == (2, "default")
    item.update(actions=[thread.tags.delete({"a", "b"})])
    assert item.tags is None


def test_queries_and_scans(thread):
    with thread.batch_write() as batch:
        for number in range(60):
            batch.save(thread("rust" if number % 2 else "go", number, views=number))
    assert [item.number for item in thread.query("rust", thread.number.between(10, 20))] == [11, 13, 15, 17, 19]
    newest = thread.query("rust", scan_index_forward=False, limit=3)
    assert [item.number for item in newest] == [59, 57, 55]
    paged = thread.query("go", filter_condition=thread.views > 50, page_size=4)
    assert [item.number for item in paged] == [52, 54, 56, 58]
    result = thread.query("go", limit=5, page_size=5)
    assert [item.number for item in result] == [0, 2, 4, 6, 8]
    rest = thread.query("go", last_evaluated_key=result.last_evaluated_key)
    assert [item.number for item in rest] == list(range(10, 60, 2))
    assert sum(1 for _ in thread.scan(thread.views.is_in(1, 2, 100))) == 2
    segments = [list(thread.scan(segment=segment, total_segments=2)) for segment in range(2)]
    assert sorted(item.number for items in segments for item in items) == list(range(60))
    keys = [("rust", 1), ("go", 2), ("go", 3)]
    assert {(item.forum, item.number) for item in thread.batch_get(keys)} == {("rust", 1), ("go", 2)}


def test_versions_refuse_a_lost_update(server):
    class Document(Model):
        class Meta:
            table_name = f"documents-{next(_numbers)}"
            host = server.url
            region = "us-east-1"
            billing_mode = "PAY_PER_REQUEST"

        name = UnicodeAttribute(hash_key=True)
        text = UnicodeAttribute(null=True)
        version = VersionAttribute()

    Document.create_table(wait=True)
    Document("a", text="one").save()
    mine, theirs = Document.get("a"), Document.get("a")
    mine.text = "mine"
    mine.save()
    theirs.text = "theirs"
    with pytest.raises(PutError):
        theirs.save()
    assert (Document.get("a").text, Document.get("a").version) == ("mine", 2)
    Document.delete_table()
