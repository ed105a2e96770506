"""Awkward sources: what a loader, a person or the years may have made of Segment's tables.

Each function builds one for a kind of warehouse, as steps: what happens to the tables, and what the run after it must send and say.
A source that is met in the wild becomes a function here; `tests/contract/test_sources.py` runs all of them in each warehouse.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from accounting import ago
from warehouse import Row, Warehouse, event, identify, track

__all__ = ["SOURCES", "Source", "Step"]

Sent = tuple[str, Mapping[str, Any]]
WAITS = "waiting:properties_not_loaded"
LATE = "waiting for the properties of"
UNREAD = "views beside their tables are not read, since no event is called like one"
LOADERS = "columns of loaders are not sent"


@dataclass(frozen=True)
class Step:
    """Something happens to the warehouse, then a run.

    Shape:  tables: name -> rows; a table that is there gets them, another is created.  types: as `make_warehouse` takes them.
            sql: statements before that.  sent: user id or event name, and metadata, of all that arrives, in any order.
            code: exit code.  says: a part of each note, in order; of the error, if the run is refused or stopped.
            settings: from here on, by their field names.  gone: message ids that left the warehouse.
    """

    tables: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    types: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict)
    sql: Sequence[str] = ()
    sent: Sequence[Sent] = ()
    code: int = 0
    says: Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    gone: Sequence[str] = ()


@dataclass(frozen=True)
class Source:
    """Shape:  unsent: message id -> status and reason of each call that is not `sent` in the end."""

    steps: Sequence[Step]
    unsent: Mapping[str, str] = field(default_factory=dict)


Builder = Callable[[Warehouse], Source]
SOURCES: dict[str, Builder] = {}


def source(build: Builder) -> Builder:
    """Add a builder to the table."""
    SOURCES[build.__name__] = build
    return build


def changed(setting: str) -> str:
    """What a run says of a setting that another value was sent by."""
    return f"REHOOK_SYNC_{setting} has changed since the last run"


def order(message_id: str, hours: float = 3, /, **columns: object) -> Row:
    """A call "Order Completed" of ann, in tracks."""
    return track(message_id, "ann", "Order Completed", ago(hours=hours), **columns)


def own(message_id: str, slug: str, hours: float = 3, /, **properties: object) -> Row:
    """A row of an event table with all the columns that Segment writes."""
    return {**track(message_id, "ann", slug, ago(hours=hours)), "context_ip": "::1", "uuid_ts": ago(hours=1), **properties}


def person(message_id: str, user: str = "ann", hours: float = 4, /, **traits: object) -> Row:
    """An Identify call."""
    return identify(message_id, user, ago(hours=hours), **traits)


# Loaders


@source
def as_the_book_says(_: Warehouse) -> Source:
    users: list[Row] = [{"id": "ann", "received_at": ago(hours=4), "plan": "pro"}]
    tables = {"identifies": [person("i1", plan="pro", context_ip="::1")], "users": users, "pages": [person("p1", path="/")]}
    calls = {
        "tracks": [order("t1"), track("t2", "ann", "!!!", ago(hours=2), event="")],
        "order_completed": [own("t1", "order_completed", n=5)],
    }
    return Source([Step({**tables, **calls}, sent=[("ann", {"plan": "pro"}), ("Order Completed", {"n": 5}), ("!!!", {})])])


@source
def by_rudderstack(_: Warehouse) -> Source:
    marks = {"channel": "web", "record_id": "r1", "context_request_ip": "::1", "rudder_event": "x"}
    calls = [track("t1", "ann", "Order", ago(hours=3), **marks), track("t2", "ann", "Users", ago(hours=2), **marks)]
    users: list[Row] = [{"id": "ann", "plan": "pro", **marks}]
    tables = {"identifies": [person("i1", plan="pro", **marks)], "tracks": calls, "users": users}
    events = {"_order": [own("t1", "order", total=5, **marks)], "_users": [own("t2", "users", seats=3, **marks)]}
    sent: list[Sent] = [("ann", {"plan": "pro"}), ("Order", {"total": 5}), ("Users", {"seats": 3})]
    return Source([Step({**tables, **events}, sent=sent, says=[f"{LOADERS} (RudderStack's: tracks has 'context_request_ip'"])])


@source
def by_rudderstack_with_other_ids(_: Warehouse) -> Source:
    marks = {"channel": "sources", "record_id": "r1", "context_request_ip": "::1"}
    tables: dict[str, list[Row]] = {
        "identifies": [],
        "tracks": [order("t1", **marks)],
        "order_completed": [own("another", "order_completed", total=5, **marks)],
    }
    overdue = Step(settings={"properties_wait": "0s"}, code=3, says=[LATE, "REHOOK_SYNC_TRACK_PROPERTIES=columns", LOADERS])
    given_up = Step(settings={"track_properties": "columns"}, sent=[("Order Completed", {})], says=[changed("TRACK_PROPERTIES"), LOADERS])
    return Source([Step(tables, says=[LATE, LOADERS]), overdue, given_up])


@source
def views_beside_all_tables(_: Warehouse) -> Source:
    tables = {"identifies": [person("i1", plan="pro")] * 2, "tracks": [order("t1")] * 3, "order_completed": [own("t1", "x", n=5)] * 2}
    views = [f"CREATE VIEW {name}_view AS SELECT DISTINCT *, 1 AS row_number FROM {name}" for name in tables]
    base = Step(tables, sent=[("ann", {"plan": "pro"}), ("Order Completed", {"n": 5})])
    through = {"identifies_table": "identifies_view", "tracks_table": "tracks_view"}
    says = [changed("IDENTIFIES_TABLE"), changed("TRACKS_TABLE"), f"{UNREAD}: order_completed_view"]
    return Source([base, Step(sql=views, settings=through, says=says)])


@source
def with_views_of_which_one_is_an_events(_: Warehouse) -> Source:
    calls = [track("t1", "ann", "Product", ago(hours=3)), track("t2", "ann", "Product View", ago(hours=2))]
    tables = {"identifies": [], "tracks": calls, "product": [own("t1", "product", n=1)], "seen": [own("t2", "product_view", n=2)]}
    views = Step(sql=["CREATE VIEW product_view AS SELECT * FROM seen"], sent=[("Product View", {"n": 2})])
    return Source([Step(tables, sent=[("Product", {"n": 1})], says=[LATE]), views])


@source
def with_events_called_like_views(_: Warehouse) -> Source:
    calls = [track(f"t{n}", "ann", name, ago(hours=n)) for n, name in enumerate(("Product View", "Order View", "Order"), 1)]
    tables = {"product_view": [event("t1", product_id="p")], "order_view": [event("t2", seen=2)], "order": [event("t3", total=3)]}
    sent: list[Sent] = [("Product View", {"product_id": "p"}), ("Order View", {"seen": 2}), ("Order", {"total": 3})]
    return Source([Step({"identifies": [], "tracks": calls, **tables}, sent=sent)])


@source
def with_tables_written_as_loaders_do(_: Warehouse) -> Source:
    calls = [track(f"t{n}", "ann", name, ago(hours=n)) for n, name in enumerate(("Order", "Signup", "Users"), 1)]
    tables = {"_order": [event("t1", total=1)], "Signup": [event("t2", plan="pro")], "_users": [event("t3", seats=3)]}
    no_event = {"users": [person("t3", password="secret")]}
    sent: list[Sent] = [("Order", {"total": 1}), ("Signup", {"plan": "pro"}), ("Users", {"seats": 3})]
    return Source([Step({"identifies": [], "tracks": calls, **tables, **no_event}, sent=sent)])


@source
def with_columns_of_loaders(_: Warehouse) -> Source:
    def marks(load: int) -> Row:
        names = ("_fivetran_synced", "_airbyte_raw_id", "_dlt_load_id", "_sdc_batched_at", "_loaded_at", "uuid_ts", "loaded_at")
        return {name: ago(hours=load) if name in {"uuid_ts", "loaded_at"} else f"load {load}" for name in names}

    first = {
        "identifies": [person("i1", plan="pro", **marks(3))],
        "tracks": [order("t1", **marks(3))],
        "order_completed": [event("t1", n=5, **marks(3))],
    }
    again = {"identifies": [person("i2", "ann", 1, plan="pro", **marks(1))]}
    said = [
        f"{LOADERS}: _fivetran_synced, _airbyte_raw_id, _dlt_load_id, _sdc_batched_at, _loaded_at of identifies, tracks, order_completed;"
    ]
    sent: list[Sent] = [("ann", {"plan": "pro"}), ("Order Completed", {"n": 5})]
    return Source([Step(first, sent=sent, says=said), Step(again, says=said)], unsent={"i2": "unchanged"})


@source
def in_capitals(_: Warehouse) -> Source:
    def shout(row: Row) -> Row:
        return {name.upper(): value for name, value in row.items()}

    tables = {"IDENTIFIES": [person("i1", first_name="Ada")], "TRACKS": [order("t1")], "ORDER_COMPLETED": [event("t1", total=5)]}
    types = {name: {"RECEIVED_AT": "timestamptz", "TIMESTAMP": "timestamptz"} for name in tables}
    loud = {name: [shout(row) for row in rows] for name, rows in tables.items()}
    return Source([Step(loud, types, sent=[("ann", {"firstName": "Ada"}), ("Order Completed", {"total": 5})])])


@source
def with_names_cut_by_the_warehouse(kind: Warehouse) -> Source:
    slug = "_".join(["very"] * 13) + "_long"
    name, spared = slug.replace("_", " ").title(), slug[: kind.longest_name]
    calls = [track("t1", "ann", name, ago(hours=3))]
    return Source([Step({"identifies": [], "tracks": calls, spared: [own("t1", slug, n=4)]}, sent=[(name, {"n": 4})])])


# What is loaded twice, late or never


@source
def with_ids_that_come_again(_: Warehouse) -> Source:
    first = {"identifies": [person("i1", plan="pro")] * 2, "tracks": [order("t1")] * 2, "order_completed": [event("t1", n=5)] * 2}
    again = {
        "identifies": [person("i1", "ann", 1, plan="pro")],
        "tracks": [order("t1", 1)],
        "order_completed": [event("t1", ago(hours=1), n=6)],
    }
    return Source([Step(first, sent=[("ann", {"plan": "pro"}), ("Order Completed", {"n": 5})]), Step(again)])


@source
def with_tables_that_come_late(_: Warehouse) -> Source:
    signup = track("t3", "ann", "Signed Up", ago(hours=2))
    first = {"identifies": [], "tracks": [order("t1"), order("t2", 2), signup], "order_completed": [event("t2", n=2)]}
    then = [
        Step(
            {"order_completed": [event("t1", n=1)]},
            sent=[("Order Completed", {"n": 1})],
            says=[f"{LATE} 1 event that its event table does"],
        ),
        Step({"signed_up": [event("t3", code="C")]}, sent=[("Signed Up", {"code": "C"})]),
    ]
    return Source([Step(first, sent=[("Order Completed", {"n": 2})], says=[f"{LATE} 2 events"]), *then])


@source
def with_an_event_row_before_its_call(_: Warehouse) -> Source:
    first = {"identifies": [], "tracks": [], "order_completed": [own("t1", "order_completed", n=1)]}
    return Source([Step(first), Step({"tracks": [order("t1")]}, sent=[("Order Completed", {"n": 1})])])


@source
def without_any_track(_: Warehouse) -> Source:
    return Source([Step({"identifies": [person("i1", plan="pro")], "tracks": []}, sent=[("ann", {"plan": "pro"})])])


@source
def without_identifies(_: Warehouse) -> Source:
    tables: dict[str, list[Row]] = {"tracks": [order("t1")], "order_completed": [event("t1", n=5)]}
    refused = Step(tables, code=2, says=["there is no table 'identifies'"])
    return Source([refused, Step({"identifies": []}, sent=[("Order Completed", {"n": 5})])])


# Times


@source
def with_rows_without_a_time(_: Warehouse) -> Source:
    calls = [order("t1"), order("t2", received_at=None), order("t3", timestamp=None)]
    tables = {"identifies": [person("i1", plan="pro"), person("i2", received_at=None)], "tracks": calls}
    events = {"order_completed": [event(f"t{n}", n=n) for n in (1, 2, 3)]}
    sent: list[Sent] = [("ann", {"plan": "pro"}), ("Order Completed", {"n": 1}), ("Order Completed", {"n": 3})]
    return Source([Step({**tables, **events}, sent=sent)], unsent=dict.fromkeys(("t2", "i2"), "rejected:invalid_row"))


@source
def without_received_at(_: Warehouse) -> Source:
    def loaded(row: Row) -> Row:
        return {name: value for name, value in row.items() if name != "received_at"} | {"uuid_ts": ago(hours=1)}

    tables = {
        "identifies": [loaded(person("i1", plan="pro"))],
        "tracks": [loaded(order("t1"))],
        "order_completed": [loaded(event("t1", n=5))],
    }
    types: dict[str, dict[str, str | None]] = {name: {"received_at": None} for name in ("identifies", "tracks")}
    refused = Step(tables, types, code=2, says=["has no column 'received_at' to find new rows by (set CURSOR_COLUMN)"])
    sent: list[Sent] = [("ann", {"plan": "pro"}), ("Order Completed", {"n": 5})]
    return Source([refused, Step(settings={"cursor_column": "uuid_ts"}, sent=sent)])


def with_epochs(kind: str, unit: int) -> Builder:
    def build(_: Warehouse) -> Source:
        def stamped(row: Row, hours: float) -> Row:
            number = int(ago(hours=hours).timestamp()) * unit
            return {**row, **{name: str(number) if kind == "text" else number for name in ("received_at", "timestamp") if name in row}}

        tables = {"identifies": [stamped(person("i1", plan="pro"), 4)], "tracks": [stamped(order("t1"), 3)]}
        events = {"order_completed": [stamped(event("t1", n=5), 3)]}
        types = {name: {"received_at": kind, "timestamp": kind} for name in tables} | {"order_completed": {"received_at": kind}}
        return Source([Step({**tables, **events}, types, sent=[("ann", {"plan": "pro"}), ("Order Completed", {"n": 5})]), Step()])

    build.__name__ = f"with_times_of_{kind}_in_units_of_{unit}"
    return build


for each_kind, each_unit in (("bigint", 1), ("bigint", 1000), ("text", 1000), ("text", 1_000_000)):
    source(with_epochs(each_kind, each_unit))


@source
def with_rows_of_the_future(_: Warehouse) -> Source:
    calls = [order("t1"), order("t2", -24 * 400)]
    tables = {"identifies": [], "tracks": calls, "order_completed": [event("t1", n=1), event("t2", n=2)]}
    later = {"tracks": [order("t3", 1)], "order_completed": [event("t3", n=3)]}
    said = ["rows dated more than 1h in the future are not read before their time has come: 1 of tracks"]
    return Source(
        [
            Step(tables, sent=[("Order Completed", {"n": 1})], says=said),
            Step(later, sent=[("Order Completed", {"n": 3})], says=said),
        ]
    )


# Properties


@source
def with_json_of_all_sorts(_: Warehouse) -> Source:
    texts = ["null", "", '{"a": 1}', '"{\\"a\\": 2}"', None, '{"a": 3}{', "[1]"]
    calls = [order(f"t{n}", properties=text) for n, text in enumerate(texts)]
    tables = {"identifies": [person("i1", traits='{"plan": "pro"}')], "tracks": calls}
    types = {"identifies": {"traits": "text"}, "tracks": {"properties": "text"}}
    sent: list[Sent] = [("ann", {"plan": "pro"}), *(("Order Completed", found) for found in ({}, {}, {"a": 1}, {"a": 2}, {}))]
    says = ["JSON objects that were encoded twice were decoded: properties (1);"]
    return Source([Step(tables, types, sent=sent, says=says)], unsent=dict.fromkeys(("t5", "t6"), "rejected:invalid_row"))


@source
def with_json_that_javascript_cannot_hold(_: Warehouse) -> Source:
    sent: dict[str, Row] = {
        '{"a": 1e400, "b": [1, -1e400], "c": 1}': {"b": [1, None], "c": 1},
        f'{{"a": {"7" * 5000}}}': {},
        '{"a": 1e99999999999999999999}': {},
        '{"a": 1e-99999999999999999999}': {"a": 0},
        f'{{"a": {"9" * 25}, "a": {"8" * 25}}}': {"a": int("8" * 25)},
    }
    refused = ['{"a": NaN}', '{"a": Infinity}', '{"a": "\\ud800"}', *('{"a":' * depth + "1" + "}" * depth for depth in (300, 3000, 90_000))]
    calls = [order(f"t{n}", properties=text) for n, text in enumerate([*sent, *refused])]
    says = ["values that are NaN or infinite were left out, as NULL is: 4, in a (3), b (1)"]
    step = Step(
        {"identifies": [], "tracks": calls},
        {"tracks": {"properties": "text"}},
        sent=[("Order Completed", each) for each in sent.values()],
        says=says,
    )
    return Source([step], unsent={f"t{n}": "rejected:invalid_row" for n in range(len(sent), len(calls))})


@source
def with_objects_in_json_columns_and_in_texts_in_them(_: Warehouse) -> Source:
    tables = {"identifies": [person("i1", traits={"plan": "pro"}), person("i2", "bob", traits=json.dumps('{"plan": "max"}'))], "tracks": []}
    sent: list[Sent] = [("ann", {"plan": "pro"}), ("bob", {"plan": "max"})]
    types = {"identifies": {"traits": "json"}}
    return Source([Step(tables, types, sent=sent, says=["JSON objects that were encoded twice were decoded: traits (1);"])])


@source
def with_json_that_is_empty_beside_event_tables(_: Warehouse) -> Source:
    calls = [order(f"t{n}", properties=text) for n, text in ((1, None), (2, '{"a": 2}'), (3, "{}"))]
    calls.append(track("t4", "ann", "Paid", ago(hours=2), properties=None))
    tables = {"identifies": [], "tracks": calls, "order_completed": [own("t1", "order_completed", n=1), own("t2", "order_completed", n=2)]}
    shop: dict[str, list[Row]] = {"paid": [{"id": "t4", "received_at": ago(hours=2), "secret": 1}]}
    then = {"order_completed": [own("t3", "order_completed", n=3)]}
    first = Step({**tables, **shop}, sent=[("Order Completed", {"n": 1}), ("Order Completed", {"a": 2}), ("Paid", {})], says=[LATE])
    return Source([first, Step(then, sent=[("Order Completed", {"n": 3})])])


@source
def with_two_tables_that_hold_the_id(_: Warehouse) -> Source:
    calls = [track(f"t{n}", "ann", "Order", ago(hours=3)) for n in (1, 2)]
    tables = {"identifies": [], "tracks": calls, "order": [event("t1", n=1), event("t2", n=2)], "_order": [event("t2", n=2)]}
    return Source([Step(tables, sent=[("Order", {"n": 1})])], unsent={"t2": "rejected:invalid_row"})


@source
def with_columns_called_like_ours(_: Warehouse) -> Source:
    usual = {name: name[0] for name in ("rehook_id", "timed", "calls", "due", "known", "found", "t", "message_id", "stream", "status")}
    calls = [order("t1"), track("t2", "ann", "Odd", ago(hours=2))]
    tables = {"identifies": [person("i1", **usual)], "tracks": calls, "order_completed": [event("t1", **usual)]}
    odd = {"odd": [event("t2", rehook_sync__id="x", n=2)]}
    said = ["table 'odd' has a column 'rehook_sync__id', and names that begin with rehook_sync__ belong to this program", LATE]
    return Source([Step({**tables, **odd}, sent=[("ann", usual), ("Order Completed", usual)], says=said)], unsent={"t2": WAITS})


@source
def with_a_thousand_columns(_: Warehouse) -> Source:
    many = {f"property_{n}": n for n in range(1000)}
    return Source(
        [Step({"identifies": [], "tracks": [order("t1")], "order_completed": [event("t1", **many)]}, sent=[("Order Completed", many)])]
    )


@source
def with_texts_cut_at_512(_: Warehouse) -> Source:
    cut = ("é" * 511 + '"')[:512]
    return Source(
        [
            Step(
                {"identifies": [], "tracks": [order("t1")], "order_completed": [event("t1", items=cut)]},
                sent=[("Order Completed", {"items": cut})],
            )
        ]
    )


@source
def with_names_that_are_no_names(_: Warehouse) -> Source:
    odd = ["select", 'off"', "100%", ":id", "%(a)s", "a b", "日本語", "; --", "a'b", "\\"]
    calls = [{**track(f"t{n}", "ann", name, ago(hours=3)), "event": name} for n, name in enumerate(odd)]
    tables = {name: [event(f"t{n}", **dict.fromkeys(odd, n))] for n, name in enumerate(odd)}
    sent: list[Sent] = [(name, dict.fromkeys(odd, n)) for n, name in enumerate(odd)]
    people = dict.fromkeys(odd, "x")
    return Source([Step({"identifies": [person("i1", **people)], "tracks": calls, **tables}, sent=[("ann", people), *sent])])


@source
def made_by_hand_beside_a_shop(_: Warehouse) -> Source:
    shop: dict[str, list[Row]] = {
        "products": [{"id": "p1", "received_at": ago(hours=1), "price": 5}],
        "orders": [own("t1", "order_completed")],
    }
    calls = [order("t1", total=5, channel="store", record_id="r7"), order("t2", 2, total=None, coupon="X")]
    sent: list[Sent] = [("Order Completed", {"total": 5, "channel": "store", "record_id": "r7"}), ("Order Completed", {"coupon": "X"})]
    return Source([Step({"identifies": [], "tracks": calls, **shop}, sent=sent)])


@source
def with_properties_of_the_same_name_in_other_case(_: Warehouse) -> Source:
    spare = {"Total": 1, "ToTaL ": 2}
    tables = {"identifies": [], "tracks": [order("t1")], "order_completed": [event("t1", **spare)]}
    return Source([Step(tables, sent=[("Order Completed", spare)])])


@source
def with_json_that_is_hard_to_hold(_: Warehouse) -> Source:
    deep = "[" * 150 + "]" * 150
    odd = ['{"": 1, "a b": {"": {}}}', f'{{"a": {deep}}}', '{"a": 1, "a": 2}']
    texts = [*odd, '{"n": 1e400, "m": 1E-9}', '{"a": "\\u0000"}', " \ufeff{} "]
    calls = [order(f"t{n}", properties=text) for n, text in enumerate(texts)]
    sent: list[Sent] = [
        ("Order Completed", {"": 1, "a b": {"": {}}}),
        ("Order Completed", {"a": json.loads(deep)}),
        ("Order Completed", {"a": 2}),
        ("Order Completed", {"m": 1e-9}),
        ("Order Completed", {"a": "\0"}),
    ]
    says = ["values that are NaN or infinite were left out, as NULL is: 1, in n (1)"]
    step = Step({"identifies": [], "tracks": calls}, {"tracks": {"properties": "text"}}, sent=sent, says=says)
    return Source([step], unsent={"t5": "rejected:invalid_row"})


@source
def with_names_of_any_length(_: Warehouse) -> Source:
    long = "x" * 3000
    calls = [track("t1", "ann", long, ago(hours=3)), track("t2", "ann", "Order", ago(hours=2), event="tracks")]
    tables = {"identifies": [], "tracks": calls, "other": [event("t9", n=1)]}
    return Source([Step(tables, says=[LATE])], unsent={"t1": WAITS, "t2": WAITS})


@source
def with_times_at_the_ends_of_the_calendar(_: Warehouse) -> Source:
    first, last = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
    calls = [order("t1", timestamp=first), order("t2", timestamp=last), order("t3", received_at=first)]
    tables = {"identifies": [], "tracks": calls, "order_completed": [event(f"t{n}", when=None, n=n) for n in (1, 2, 3)]}
    return Source([Step(tables, sent=[("Order Completed", {"n": n}) for n in (1, 2, 3)])])


@source
def without_users_or_names(_: Warehouse) -> Source:
    calls = [
        order("t1", user_id=" "),
        order("t2", user_id=None),
        order("t3", event=None, event_text=None),
        order("t4", event="x", event_text=" "),
        order("t5", anonymous_id=""),
    ]
    tables = {"identifies": [], "tracks": calls, "order_completed": [event("t5", n=5)]}
    rejected = {"t1": "missing_user_id", "t2": "missing_user_id", "t3": "missing_event_name", "t4": "missing_event_name"}
    return Source(
        [Step(tables, sent=[("Order Completed", {"n": 5})])],
        unsent={key: f"rejected:{reason}" for key, reason in rejected.items()},
    )


@source
def with_an_event_table_without_ids(_: Warehouse) -> Source:
    rows: list[Row] = [{"id": None, "received_at": ago(hours=3), "n": 1}] * 3
    return Source([Step({"identifies": [], "tracks": [order("t1")], "order_completed": rows}, says=[LATE])], unsent={"t1": WAITS})


@source
def with_an_id_that_names_two_calls(_: Warehouse) -> Source:
    calls = [order("t1"), track("t1", "bob", "Paid", ago(hours=2))]
    tables = {"identifies": [person("t1", plan="pro")], "tracks": calls, "order_completed": [event("t1", n=1)], "paid": [event("t1", n=2)]}
    return Source([Step(tables, sent=[("ann", {"plan": "pro"}), ("Order Completed", {"n": 1})])])


@source
def with_a_call_that_changes_its_event(_: Warehouse) -> Source:
    tables = {"identifies": [], "tracks": [order("t1")], "paid": [event("t1", n=2)]}
    renamed = ["UPDATE tracks SET event = 'paid', event_text = 'Paid'"]
    return Source([Step(tables, says=[LATE]), Step(sql=renamed, sent=[("Paid", {"n": 2})])])


@source
def with_a_waiting_call_that_is_deleted(_: Warehouse) -> Source:
    tables = {"identifies": [], "tracks": [order("t1"), order("t2", 2)], "order_completed": [event("t2", n=2)]}
    gone = Step(sql=["DELETE FROM tracks WHERE id = 't1'"], says=["1 call to be taken up again is no longer in the warehouse"], gone=["t1"])
    return Source([Step(tables, sent=[("Order Completed", {"n": 2})], says=[LATE]), gone], unsent={"t1": WAITS})


@source
def with_all_columns_of_another_type(_: Warehouse) -> Source:
    types = {"tracks": {"event": "integer", "event_text": "integer", "user_id": "boolean"}}
    calls: list[Row] = [{**order("t1"), "event": 7, "event_text": 7, "user_id": True}]
    return Source([Step({"identifies": [], "tracks": calls, "7": [event("t1", n=1)]}, types, sent=[("7", {"n": 1})])])


# What changes between runs


@source
def with_a_column_of_another_type_than_before(_: Warehouse) -> Source:
    first = {"identifies": [person("i1", seats=7)], "tracks": [order("t1")], "order_completed": [event("t1", n=7)]}
    changed = [f"ALTER TABLE {name} DROP COLUMN {column}" for name, column in (("identifies", "seats"), ("order_completed", "n"))]
    changed += [f"ALTER TABLE {name} ADD COLUMN {column} text" for name, column in (("identifies", "seats"), ("order_completed", "n"))]
    then = {"identifies": [person("i2", "ann", 1, seats="7+")], "tracks": [order("t2", 1)], "order_completed": [event("t2", n="many")]}
    return Source(
        [
            Step(first, sent=[("ann", {"seats": 7}), ("Order Completed", {"n": 7})]),
            Step(then, sql=changed, sent=[("ann", {"seats": "7+"}), ("Order Completed", {"n": "many"})]),
        ]
    )


@source
def with_tables_replaced_by_views(_: Warehouse) -> Source:
    first = {"identifies": [person("i1", plan="pro")], "tracks": [order("t1")], "order_completed": [event("t1", n=1)]}
    moved = [
        sql for name in first for sql in (f"ALTER TABLE {name} RENAME TO base_{name}", f"CREATE VIEW {name} AS SELECT * FROM base_{name}")
    ]
    then = {"base_tracks": [order("t2", 1)], "base_order_completed": [event("t2", n=2)]}
    return Source(
        [
            Step(first, sent=[("ann", {"plan": "pro"}), ("Order Completed", {"n": 1})]),
            Step(then, sql=moved, sent=[("Order Completed", {"n": 2})]),
        ]
    )


@source
def with_columns_and_tables_that_go(_: Warehouse) -> Source:
    first = {"identifies": [person("i1", plan="pro", seats=3)], "tracks": [order("t1")], "order_completed": [event("t1", n=1, coupon="X")]}
    gone = ["ALTER TABLE identifies DROP COLUMN seats", "ALTER TABLE order_completed DROP COLUMN coupon"]
    then = {"identifies": [person("i2", "ann", 1, plan="max")], "tracks": [order("t2", 1)], "order_completed": [event("t2", n=2)]}
    last = Step({"tracks": [order("t3", 1)]}, sql=["DROP TABLE order_completed"], says=[LATE])
    return Source(
        [
            Step(first, sent=[("ann", {"plan": "pro", "seats": 3}), ("Order Completed", {"n": 1, "coupon": "X"})]),
            Step(then, sql=gone, sent=[("ann", {"plan": "max"}), ("Order Completed", {"n": 2})]),
            last,
        ],
        unsent={"t3": WAITS},
    )
