"""Which names are the same, what is kept back, and whose a column is; without a database."""

from datetime import UTC, datetime

import pytest

from rehook_sync.models import STREAMS, SourceRow, Stream
from rehook_sync.rules.bodies import Names, shape
from rehook_sync.rules.names import Exclusion, spelling
from rehook_sync.warehouse.names import ColumnRules, Owner, rudderstack_mark
from rehook_sync.warehouse.rows import RowPlan, build_rows

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
LOADERS = ["_fivetran_synced", "_FIVETRAN_DELETED", "_airbyte_raw_id", "_dlt_load_id", "_sdc_batched_at", "_loaded_at"]


def kept(exclude: set[str], **fields: object) -> object:
    row = SourceRow(Stream.IDENTIFIES, "m1", "ada", None, None, None, NOON, NOON, fields)
    return shape([row], Names({}, {}, frozenset(exclude)))[0].metadata


@pytest.mark.parametrize("name", ["Email", "e-mail", "E_MAIL", "email", "e.mail", " email", "\uff25mail"])
def test_a_name_is_kept_back_however_it_is_written(name: str) -> None:
    assert kept({name}, email="a@b.c", plan="pro") == {"plan": "pro"}


@pytest.mark.parametrize("name", ["firstname", "firstName", "first_name", "First Name", "FIRST-NAME"])
@pytest.mark.parametrize("column", ["first_name", "firstName", "firstname"])
def test_words_run_together_are_the_same_name(name: str, column: str) -> None:
    assert kept({name}, **{column: "Ada", "last_name": "L"}) == {"last_name": "L"}


def test_another_name_is_not_kept_back() -> None:
    fields = {"email_2": "x", "mail": "y", "emails": "z"}
    assert kept({"email"}, **fields) == fields


def test_names_without_letters_and_names_in_other_scripts_stay_apart() -> None:
    assert spelling("_") != spelling("-")
    assert spelling("कि") != spelling("का"), "a vowel sign is no separator"
    assert spelling("é") == spelling("e\u0301")
    assert kept({"_"}, _=1, a=2) == {"a": 2}


def test_members_of_a_value_are_kept_back_by_the_name_their_column_would_have() -> None:
    address = {"city": "Köln", "zipCode": "1", "geo": {"lat": 1, "lon": 2}}
    assert kept({"address_zip_code"}, address=address) == {"address": {"city": "Köln", "geo": {"lat": 1, "lon": 2}}}
    assert kept({"address.geo.lat"}, address=address) == {"address": {"city": "Köln", "zipCode": "1", "geo": {"lon": 2}}}
    assert kept({"address"}, address=address, plan="pro") == {"plan": "pro"}
    assert kept({"city"}, address=address) == {"address": address}, "the column of this member is address_city"
    assert kept({"items.email"}, items=[{"email": "x", "n": 1}, "y"]) == {"items": [{"n": 1}, "y"]}


def test_looking_into_a_deep_value_ends() -> None:
    deep: dict[str, object] = {}
    for name in ("", "_", "a"):
        for _ in range(5000):
            deep = {name: deep}
        assert Exclusion({"x_a_b"}).strip({"x": deep})["x"] is not None


@pytest.mark.parametrize("column", LOADERS)
@pytest.mark.parametrize("stream", STREAMS)
def test_columns_of_loaders_are_sent_only_when_mapped(column: str, stream: Stream) -> None:
    assert ColumnRules("received_at").fields(stream, "order", [column, "total"]) == ("total",)
    assert ColumnRules("received_at").loaders(stream, "order", [column, "total"]) == (column,)
    assert ColumnRules("received_at", {column}, {column}).fields(stream, "order", [column, "total"]) == (column, "total")


@pytest.mark.parametrize("column", ["uuid_ts", "loaded_at", "uuid"])
def test_stamps_of_segment_are_sent_only_when_mapped(column: str) -> None:
    assert ColumnRules("received_at").owner(Stream.TRACKS, "order", column) is Owner.STAMP
    assert ColumnRules("received_at", property_names={column}).owner(Stream.TRACKS, "order", column) is Owner.USER
    assert ColumnRules(column, property_names={column}).owner(Stream.TRACKS, "order", column) is Owner.USER


@pytest.mark.parametrize("column", ["id", "user_id", "received_at", "context_ip"])
def test_what_makes_a_call_is_never_a_property(column: str) -> None:
    assert ColumnRules("received_at", property_names={column}).owner(Stream.TRACKS, "order", column) is Owner.CALL


def test_a_channel_is_a_property_unless_rudderstack_wrote_it() -> None:
    assert rudderstack_mark({"id", "channel"}, event_tables=True) is None
    assert rudderstack_mark({"id", "record_id"}, event_tables=True) is None
    assert rudderstack_mark({"id", "channel", "record_id"}, event_tables=False) is None, "both could be properties in tracks"
    assert rudderstack_mark({"id", "channel", "record_id"}, event_tables=True) == "record_id"
    assert rudderstack_mark({"id", "channel", "context_request_ip"}, event_tables=False) == "context_request_ip"
    assert ColumnRules("received_at").owner(Stream.TRACKS, "order", "channel") is Owner.USER
    assert ColumnRules("received_at", is_rudderstack=True).owner(Stream.TRACKS, "order", "channel") is Owner.LOADER


def test_a_call_without_an_id_keeps_its_message_id_when_a_column_is_left_out() -> None:
    def message(*unsent: str, json: str | None = None) -> SourceRow:
        fields = ("total", "channel", "properties") if json else ("total", "channel")
        texts = (1 + 2, None, None, None)
        plan = RowPlan(Stream.TRACKS, "received_at", 2, texts, None, fields, 4, {}, json, unsent=unsent)
        row = ("2026-11-01T12:00:00+00:00", "2026-11-01T12:00:00+00:00", None, "ada", 5, "web", '{"channel": "mine"}')
        return next(build_rows(plan, [row[: 4 + len(fields)]]))

    assert message("channel").message_id == message().message_id
    assert (message().fields, message("channel").fields) == ({"total": 5, "channel": "web"}, {"total": 5})
    assert message("channel", json="properties").message_id == message(json="properties").message_id
    assert message("channel", json="properties").fields == {"channel": "mine", "total": 5}, "the member is a property"
