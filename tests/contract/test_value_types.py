"""What goes out for each type of column: every type that PostgreSQL lists, and what SQLite stores."""

import json
import math
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
import warehouse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import NullPool, create_engine
from warehouse import NOON, OpenSource, at, identify, make_warehouse, run_sql

from rehook_sync.models import Stream, Window
from rehook_sync.rules.bodies import Names, shape
from rehook_sync.values import to_json
from rehook_sync.warehouse.segment import SegmentSource

open_source = warehouse.open_source
ALL = Window(None, NOON + timedelta(days=30))
SAMPLES: dict[str, tuple[str, object]] = {
    "bool": ("true", True),
    "int2": ("-5", -5),
    "int4": ("234", 234),
    "int8": ("9007199254740993", 9007199254740993),
    "oid": ("5", 5),
    "float4": ("20", 20),
    "float8": ("0.25", 0.25),
    "numeric": ("20.00", 20),
    "money": ("12.50", "$12.50"),
    "text": (" Zoë ", " Zoë "),
    "varchar": ("pro ", "pro "),
    "bpchar": ("pro  ", "pro"),
    "char": ("p", "p"),
    "name": ("pro", "pro"),
    "bytea": ("\\x6162ff", "YWL/"),
    "uuid": ("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    "date": ("2026-11-01", "2026-11-01"),
    "time": ("09:30:00.5", "09:30:00.500000"),
    "timetz": ("09:30:00+02", "09:30:00+02:00"),
    "timestamp": ("2026-11-01 12:00:00.123", "2026-11-01T12:00:00.123Z"),
    "timestamptz": ("2026-11-01 14:00:00.123456+02", "2026-11-01T12:00:00.123456Z"),
    "interval": ("1 year 2 months -3 days 04:05:06.7", "P1Y2M-3DT4H5M6.7S"),
    "json": ('{"a": 20.0}', {"a": 20}),
    "jsonb": ('[1.50, null, {"b": null}]', [1.5, None, {}]),
    "jsonpath": ("$.a", '$."a"'),
    "inet": ("10.0.0.1/24", "10.0.0.1/24"),
    "cidr": ("10.0.0.0/8", "10.0.0.0/8"),
    "macaddr": ("08:00:2b:01:02:03", "08:00:2b:01:02:03"),
    "macaddr8": ("08:00:2b:01:02:03:04:05", "08:00:2b:01:02:03:04:05"),
    "bit": ("1", "1"),
    "varbit": ("101", "101"),
    "point": ("(1,2.5)", "(1,2.5)"),
    "line": ("{1,2,3}", "{1,2,3}"),
    "lseg": ("[(1,2),(3,4)]", "[(1,2),(3,4)]"),
    "box": ("(3,4),(1,2)", "(3,4),(1,2)"),
    "path": ("((1,2),(3,4))", "((1,2),(3,4))"),
    "polygon": ("((1,2),(3,4))", "((1,2),(3,4))"),
    "circle": ("<(1,2),3>", "<(1,2),3>"),
    "tsvector": ("cat fat", "'cat' 'fat'"),
    "tsquery": ("cat & fat", "'cat' & 'fat'"),
    "int4range": ("[1,5]", "[1,6)"),
    "int8range": ("[1,)", "[1,)"),
    "numrange": ("(1.5,2]", "(1.5,2]"),
    "daterange": ("[2026-11-01,2026-12-01)", "[2026-11-01,2026-12-01)"),
    "tsrange": ("[2026-11-01 12:00,2026-11-02)", '["2026-11-01 12:00:00","2026-11-02 00:00:00")'),
    "tstzrange": ("[2026-11-01 12:00+02,)", '["2026-11-01 10:00:00+00",)'),
    "int4multirange": ("{[1,2],[5,6]}", "{[1,3),[5,7)}"),
    "int8multirange": ("{}", "{}"),
    "nummultirange": ("{[1.5,2]}", "{[1.5,2]}"),
    "datemultirange": ("{[2026-11-01,2026-12-01)}", "{[2026-11-01,2026-12-01)}"),
    "tsmultirange": ("{[2026-11-01 12:00,)}", '{["2026-11-01 12:00:00",)}'),
    "tstzmultirange": ("{[2026-11-01 12:00+02,)}", '{["2026-11-01 10:00:00+00",)}'),
    "mood": ("happy", "happy"),
    "amount": ("7.50", 7.5),
    "pair": ("(1,x)", "(1,x)"),
    "floatrange": ("[1,2)", "[1,2)"),
    "floatmultirange": ("{[1,2)}", "{[1,2)}"),
    "pg_lsn": ("16/B374D848", "16/B374D848"),
    "txid_snapshot": ("10:20:10,14", "10:20:10,14"),
    "pg_snapshot": ("10:20:10,14", "10:20:10,14"),
    "xid": ("5", "5"),
    "xid8": ("5", "5"),
    "cid": ("5", "5"),
    "tid": ("(0,1)", "(0,1)"),
    "int2vector": ("1 2", "1 2"),
    "oidvector": ("1 2", "1 2"),
    "refcursor": ("c", "c"),
    "aclitem": ("postgres=r/postgres", "postgres=r/postgres"),
    "regtype": ("integer", "integer"),
    "regclass": ("pg_class", "pg_class"),
    "regproc": ("now", "now"),
    "regprocedure": ("now()", "now()"),
    "regoper": ("||/", "||/"),
    "regoperator": ("+(integer,integer)", "+(integer,integer)"),
    "regconfig": ("english", "english"),
    "regdictionary": ("simple", "simple"),
    "regnamespace": ("public", "public"),
    "regrole": ("postgres", "postgres"),
    "regcollation": ('"C"', '"C"'),
}
"""Type -> its text, and what goes out. An array goes out as an array of these."""
NO_VALUES = {
    "pg_node_tree": "PostgreSQL makes its values itself",
    "pg_ndistinct": "PostgreSQL makes its values itself",
    "pg_dependencies": "PostgreSQL makes its values itself",
    "pg_mcv_list": "PostgreSQL makes its values itself",
    "pg_brin_bloom_summary": "PostgreSQL makes its values itself",
    "pg_brin_minmax_multi_summary": "PostgreSQL makes its values itself",
    "gtsvector": "only indexes hold it",
    "xml": "text, but the tests' server is built without it",
}
"""Type -> why no column that a loader fills has it."""
OWN_TYPES = (
    "CREATE TYPE mood AS ENUM ('happy', 'so ''so', 'sad, \"very\"', 'null', 'back\\slash')",
    "CREATE DOMAIN amount AS numeric(20, 2)",
    "CREATE TYPE pair AS (a int, b text)",
    "CREATE TYPE floatrange AS RANGE (subtype = float8)",
)
OF_ONE_S_OWN = ("mood", "amount", "pair", "floatrange", "floatmultirange")


def sent(source: SegmentSource, left_out: Counter[str] | None = None) -> dict[str, dict[str, object]]:
    """What goes out as metadata, by message id; read back from JSON."""
    rows = list(source.read_window(Stream.IDENTIFIES, ALL, None))
    calls = shape(rows, Names(), left_out)
    assert [call.problem for call in calls] == [None] * len(rows)
    return {call.row.message_id: json.loads(to_json(call.metadata)) for call in calls}


TYPES = """
    SELECT CAST(t.typnamespace AS regnamespace) || '.' || QUOTE_IDENT(t.typname), t.typname, member.typname
    FROM pg_type t LEFT JOIN pg_type member ON member.typarray = t.oid
    WHERE t.typisdefined AND t.typnamespace IN (CAST('pg_catalog' AS regnamespace), CAST('public' AS regnamespace))
        AND t.typtype <> 'p' AND COALESCE(member.typtype, '') <> 'p'
        AND COALESCE(NULLIF(t.typrelid, 0), NULLIF(member.typrelid, 0), CAST('pair' AS regclass)) = CAST('pair' AS regclass)
"""
"""All types but those that no column can have, and the rows of tables."""


def test_every_type_of_postgresql_gets_a_value_through(postgres_url: str, open_source: OpenSource) -> None:
    make_warehouse(postgres_url, {"identifies": [identify("m", "u")], "tracks": []})
    run_sql(postgres_url, *OWN_TYPES)
    types = [(kind, name, member) for kind, name, member in run_sql(postgres_url, TYPES) if (member or name) not in NO_VALUES]
    assert len(types) > 130
    expected: dict[str, object] = {}
    values: dict[str, str] = {}
    for kind, name, member in types:
        text, value = SAMPLES[member or name]
        if member is not None:
            value = [text if member in OF_ONE_S_OWN else value, None]
            escaped = text.replace("\\", "\\\\").replace('"', '\\"')
            text = f'{{"{escaped}"{";" if member == "box" else ","}NULL}}'
        expected[f"c_{name}"], values[f"c_{name}"] = value, text
        run_sql(postgres_url, f'ALTER TABLE identifies ADD COLUMN "c_{name}" {kind}')
    add_values(postgres_url, values)
    found = sent(open_source(postgres_url))["m"]
    assert {name: (value, found.get(name)) for name, value in expected.items() if found.get(name) != value} == {}
    assert len(found) == len(expected)


def add_values(url: str, values: Mapping[str, str | None]) -> None:
    """Write texts into columns of the one row."""
    assignments = ", ".join(f'"{name}" = %s' for name in values)
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE identifies SET {assignments}", tuple(values.values()))


FINITE = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20)
STAMPS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001 - Hypothesis adds the zone
NUMBERS = st.decimals(allow_nan=False, allow_infinity=False, min_value=Decimal(-(10**30)), max_value=Decimal(10**30), places=6)


def moment_text(value: datetime) -> str:
    """A time as JavaScript writes it, with microseconds where there are any."""
    text = value.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00")
    return (text.removesuffix("000") if text.endswith("000") else text) + "Z"


def as_array(members: list[str | None]) -> str:
    """An array as PostgreSQL reads it."""
    quoted = ["NULL" if each is None else '"' + each.replace("\\", "\\\\").replace('"', '\\"') + '"' for each in members]
    return "{" + ",".join(quoted) + "}"


def as_given(value: object) -> object:
    """What goes out is what was stored."""
    return value


def moment_texts(values: list[datetime]) -> list[str]:
    """The times of an array."""
    return [moment_text(each) for each in values]


SMALL = st.integers(-(2**31), 2**31 - 1).filter(bool)
SPANS = st.tuples(SMALL, SMALL).filter(lambda pair: pair[0] < pair[1])
MOODS = st.lists(st.sampled_from(["happy", "so 'so", 'sad, "very"', "null", "back\\slash", None]), max_size=4)
COLUMNS: dict[str, tuple[str, st.SearchStrategy[Any], Any, Any]] = {
    "a": ("bigint", st.integers(-(2**63), 2**63 - 1), str, lambda value: value),
    "b": ("numeric", NUMBERS, str, lambda value: value),
    "c": ("double precision", FINITE, repr, lambda value: value),
    "d": ("text", TEXTS, str, lambda value: value),
    "e": ("boolean", st.booleans(), str, lambda value: value),
    "f": ("timestamptz", STAMPS, lambda value: value.astimezone(timezone(timedelta(hours=5))).isoformat(), moment_text),
    "g": ("date", st.dates(), date.isoformat, date.isoformat),
    "h": ("bytea", st.binary(max_size=20), lambda value: "\\x" + value.hex(), lambda value: b64encode(value).decode()),
    "i": ("text[]", st.lists(st.none() | TEXTS, max_size=4), as_array, lambda value: value),
    "j": ("mood[]", MOODS, as_array, lambda value: value),
    "k": ("uuid", st.uuids(), lambda value: str(value).upper(), str),
    "l": ("inet", st.ip_addresses().filter(lambda each: each.version == 4 or int(each) >> 48), str, str),
    "m": ("char(30)", TEXTS.map(lambda text: text.rstrip(" ")), str, lambda value: value),
    "n": ("integer[]", st.lists(st.none() | SMALL, max_size=4), lambda value: as_array([each and str(each) for each in value]), as_given),
    "o": ("amount", st.decimals(-(10**15), 10**15, places=2), str, as_given),
    "p": ("int4range", SPANS, lambda value: "[{},{})".format(*value), lambda value: "[{},{})".format(*value)),
    "q": ("int4multirange", SPANS, lambda value: "{{[{},{})}}".format(*value), lambda value: "{{[{},{})}}".format(*value)),
    "r": ("pair", st.tuples(SMALL, st.text("abc", min_size=1)), "({0[0]},{0[1]})".format, "({0[0]},{0[1]})".format),
    "s": ("jsonb", st.dictionaries(TEXTS, SMALL | st.booleans() | st.lists(TEXTS, max_size=2), max_size=3), json.dumps, as_given),
    "t": ("timestamptz[]", st.lists(STAMPS, max_size=3), lambda value: as_array([each.isoformat() for each in value]), moment_texts),
}
"""Column -> type, values, and functions that give what PostgreSQL reads and what goes out."""


def test_any_value_of_the_usual_types_goes_out_as_documented(postgres_url: str, open_source: OpenSource) -> None:
    make_warehouse(postgres_url, {"identifies": [identify("m", "u")], "tracks": []})
    run_sql(postgres_url, *OWN_TYPES, *(f"ALTER TABLE identifies ADD COLUMN {name} {kind}" for name, (kind, *_) in COLUMNS.items()))
    source = open_source(postgres_url)

    @given(st.fixed_dictionaries({name: st.none() | values for name, (_, values, _, _) in COLUMNS.items()}))
    @settings(max_examples=60, suppress_health_check=list(HealthCheck))
    def goes_out(values: dict[str, Any]) -> None:
        given_values = {name: value for name, value in values.items() if value is not None}
        add_values(postgres_url, dict.fromkeys(values) | {name: COLUMNS[name][2](value) for name, value in given_values.items()})
        (row,) = source.read_window(Stream.IDENTIFIES, ALL, None)
        [call] = shape([row], Names())
        assert call.problem is None
        body = to_json(call.metadata)
        found = json.loads(body, parse_float=Decimal)
        expected = {name: COLUMNS[name][3](value) for name, value in given_values.items()}
        if "c" in found:
            found["c"] = float(found["c"])
        assert found == expected
        assert b".0," not in body.partition(b'"d"')[0]

    goes_out()


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("1 mon", "P1M"),
        ("30 days", "P30D"),
        ("-1 year -2 mons +3 days -04:05:06.789", "P-1Y-2M3DT-4H-5M-6.789S"),
        ("100:00:00.000001", "PT100H0.000001S"),
        ("-00:00:00.5", "PT-0.5S"),
        ("0", "PT0S"),
    ],
)
def test_an_interval_is_an_iso_duration(postgres_url: str, open_source: OpenSource, text: str, iso: str) -> None:
    make_warehouse(postgres_url, {"identifies": [identify("m", "u", wait=text)], "tracks": []}, types={"identifies": {"wait": "interval"}})
    assert sent(open_source(postgres_url)) == {"m": {"wait": iso}}


@pytest.mark.parametrize("style", ["sql_standard", "postgres_verbose", "iso_8601"])
def test_an_interval_of_another_style_is_no_error(postgres_url: str, open_source: OpenSource, style: str) -> None:
    make_warehouse(
        postgres_url, {"identifies": [identify("m", "u", wait="1 day")], "tracks": []}, types={"identifies": {"wait": "interval"}}
    )
    run_sql(postgres_url, f"DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || ' SET intervalstyle = ''{style}'''; END $$")
    assert list(sent(open_source(postgres_url))["m"]) == ["wait"]


def test_what_is_not_finite_is_left_out_and_counted(database_url: str, open_source: OpenSource) -> None:
    rows = [identify("m", "u", total=math.inf, plan="pro"), identify("n", "u", at(1), total=1.5)]
    make_warehouse(database_url, {"identifies": rows, "tracks": []})
    left_out: Counter[str] = Counter()
    assert sent(open_source(database_url), left_out) == {"m": {"plan": "pro"}, "n": {"total": 1.5}}
    assert left_out == {"total": 1}


def test_each_kind_of_infinity_of_postgresql_is_left_out(postgres_url: str, open_source: OpenSource) -> None:
    types = {
        "a": "real",
        "b": "numeric",
        "c": "date",
        "d": "timestamptz",
        "e": "timestamp",
        "f": "double precision[]",
        "g": "timestamptz[]",
    }
    values = {"a": "NaN", "b": "NaN", "c": "infinity", "d": "-infinity", "e": "infinity", "f": "{1,NaN,Infinity}", "g": "{infinity}"}
    make_warehouse(postgres_url, {"identifies": [identify("m", "u", **values)], "tracks": []}, types={"identifies": types})
    left_out: Counter[str] = Counter()
    assert sent(open_source(postgres_url), left_out) == {"m": {"f": [1, None, None], "g": [None]}}
    assert left_out == {"a": 1, "b": 1, "c": 1, "d": 1, "e": 1, "f": 2, "g": 1}


@pytest.mark.parametrize("kind", ["json", "jsonb"])
def test_json_beyond_what_numbers_and_levels_may_be(postgres_url: str, open_source: OpenSource, kind: str) -> None:
    texts = {"huge": "1e400", "long": "7" * 5000, "exact": "9" * 25, "least": "1e-400", "twice": '{"a": 1, "a": 2}', "both": "[1, -1e400]"}
    deep = {depth: "[" * depth + "]" * depth for depth in (200, 201, 3000)}
    rows = [identify("m", "u", **{**texts, "deep": "1"}), *(identify(f"deep{depth}", "u", deep=deep[depth]) for depth in deep)]
    make_warehouse(postgres_url, {"identifies": rows, "tracks": []}, types={"identifies": dict.fromkeys([*texts, "deep"], kind)})
    left_out: Counter[str] = Counter()
    found = list(open_source(postgres_url).read_window(Stream.IDENTIFIES, Window(None, at(86_400)), None))
    calls = {call.row.message_id: call for call in shape(found, Names({}, {}, frozenset()), left_out)}
    value = calls["m"].metadata
    assert json.loads(to_json({**value, "least": None})) == {
        "exact": 10**25 - 1,
        "twice": {"a": 2},
        "both": [1, None],
        "deep": 1,
        "least": None,
    }
    assert float(to_json(value["least"])) == 0
    assert left_out == {"huge": 1, "long": 1, "both": 1}
    too_deep = "trait deep: nested more than 200 levels deep"
    assert [calls[f"deep{depth}"].problem for depth in deep] == [None, too_deep, too_deep]


def test_each_storage_class_of_sqlite_goes_out_as_documented(sqlite_url: str, open_source: OpenSource) -> None:
    make_warehouse(sqlite_url, {"identifies": [identify("m", "u")], "tracks": []})
    columns = {
        "a": ("", "20.0"),
        "b": ("REAL", "-0.0"),
        "c": ("BLOB", "x'6162ff'"),
        "d": ("BOOLEAN", "1"),
        "e": ("TIMESTAMP", "'2026-11-01'"),
    }
    run_sql(sqlite_url, *(f"ALTER TABLE identifies ADD COLUMN {name} {kind}" for name, (kind, _) in columns.items()))
    run_sql(sqlite_url, "UPDATE identifies SET " + ", ".join(f"{name} = {value}" for name, (_, value) in columns.items()))
    assert sent(open_source(sqlite_url)) == {"m": {"a": 20, "b": 0, "c": "YWL/", "d": True, "e": "2026-11-01T00:00:00.000Z"}}
