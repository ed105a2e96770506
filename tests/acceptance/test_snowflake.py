"""Snowflake as a warehouse, in its bed: every command, exact values, one session for all, keys and tokens as users have them."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from accounting import read_rows
from beds.snowflake.bed import PASSWORD, SnowflakeBed
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from sqlalchemy import create_engine

from rehook_sync.database.dialects.record import Connecting
from rehook_sync.database.dialects.snowflake import SNOWFLAKE
from rehook_sync.database.engine import open_database
from rehook_sync.errors import SettingsError, SourceError
from rehook_sync.models import Stream, Window
from rehook_sync.rules.bodies import Names, shape
from rehook_sync.sandbox.server import Sandbox
from rehook_sync.values import to_json, to_json_value
from rehook_sync.warehouse.segment import SegmentSource, SourceConfig

from .conftest import Program, write_settings

PEOPLE = 17
CALLS = 40
BEGINNING = datetime(2026, 11, 1, tzinfo=UTC)
WHOLE = Window(BEGINNING - timedelta(days=1), BEGINNING + timedelta(days=9))
COMMON = "ID varchar, USER_ID varchar, ANONYMOUS_ID varchar, RECEIVED_AT timestamp_tz, TIMESTAMP timestamp_tz"
TABLES = (
    f"CREATE TABLE IDENTIFIES ({COMMON}, PLAN varchar, BAG variant)",
    f"CREATE TABLE TRACKS ({COMMON}, EVENT varchar, EVENT_TEXT varchar)",
    f"CREATE TABLE ORDER_COMPLETED ({COMMON}, EVENT varchar, EVENT_TEXT varchar, TOTAL number(38, 9), PRODUCTS variant)",
)
OWN_NAMES = re.compile(r'"(?:t|calls|found|timed|due|rehook_sync__\w+)"')
"""Our own names as no statement may quote them: without quotes, Snowflake keeps them in capitals."""


@dataclass
class Account:
    """An account with a database, and what leads to it."""

    bed: SnowflakeBed
    url: str

    def run(self, *statements: str) -> None:
        engine = create_engine(self.url, connect_args=self.bed.options)
        with engine.begin() as connection:
            for each in statements:
                connection.exec_driver_sql(each)
        engine.dispose()

    def fill(self) -> None:
        """People and their orders, each table by one statement, in capitals as Snowflake keeps names without quotes."""
        people = [f"('i{n}', 'u{n}', {moment(n)}, 'plan {n}', '[{n}, 1.5]')" for n in range(PEOPLE)]
        orders = [f"('t{n}', 'u{n % PEOPLE}', {moment(n + 60)})" for n in range(CALLS)]
        order = "column1, column2, NULL, column3::timestamp_tz, column3::timestamp_tz"
        self.run(
            *TABLES,
            f"INSERT INTO IDENTIFIES SELECT {order}, column4, PARSE_JSON(column5) FROM VALUES {', '.join(people)}",
            f"INSERT INTO TRACKS SELECT {order}, 'order_completed', 'Order Completed' FROM VALUES {', '.join(orders)}",
            f"INSERT INTO ORDER_COMPLETED SELECT {order}, 'order_completed', 'Order Completed', 12.340000000, PARSE_JSON('[1]')"
            f" FROM VALUES {', '.join(orders)}",
        )

    def source(self, **config: str) -> SegmentSource:
        database = open_database(self.url, "WAREHOUSE_URL", read_only=True, connecting=Connecting(self.bed.options))
        return SegmentSource(database, SourceConfig(**config))  # type: ignore[arg-type]


def moment(minutes: int) -> str:
    return f"'{(BEGINNING + timedelta(minutes=minutes)).isoformat(' ')}'"


@pytest.fixture
def account(snowflake_bed: SnowflakeBed, snowflake_url: str) -> Iterator[Account]:
    """A fresh database; in the end, no statement may have quoted a name of ours in small letters."""
    seen = len(snowflake_bed.statements())
    yield Account(snowflake_bed, snowflake_url)
    assert [each for each in snowflake_bed.statements()[seen:] if OWN_NAMES.search(each)] == []


@pytest.mark.timeout(400)
def test_every_command_works_on_a_shop_in_snowflake(account: Account, program: Program) -> None:
    account.fill()
    seen = len(account.bed.noted())
    said = []

    def done(*arguments: str, code: int = 0) -> Any:
        result = program(*arguments, SNOWFLAKE_DISABLE_PLATFORM_DETECTION="true")
        said.append(result.out + result.err)
        assert result.code == code, said[-1]
        return result

    with Sandbox() as sandbox:
        write_settings(
            program.folder / "rehook_sync.toml",
            {
                "warehouse_url": account.url,
                "state_url": "sqlite:///state.db",
                "api_url": sandbox.url,
                "api_key": sandbox.credentials.key,
                "api_secret": sandbox.credentials.secret,
                "chunk_rows": 7,
            },
        )
        with (program.folder / "rehook_sync.toml").open("a", encoding="utf-8") as settings:
            settings.write(
                "[warehouse_options]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in account.bed.options.items())
            )
        done("init")
        done("check")
        done("plan", "--since", "beginning")
        run = done("run", "--since", "beginning", "--workers", "2", "--json").json
        assert (run["status"], run["rows_read"], run["sent"]) == ("succeeded", PEOPLE + CALLS, PEOPLE + CALLS)
        assert f"ALTER SESSION SET QUERY_TAG = 'rehook_sync {run['run_id']}'" in account.bed.statements()
        assert done("run", "--json").json["rows_read"] == 0
        for arguments in (
            ("audit", "--since", "2026-10-01"),
            ("explain", "u1"),
            ("explain", "t1"),
            ("status",),
            ("report", "--out", "r.html"),
        ):
            done(*arguments)
        events = [each for each in sandbox.store.log if each.accepted and b"Order Completed" in each.body]
        assert [json.loads(each.body)["metadata"] for each in events] == [{"total": 12.34, "products": [1]}] * CALLS
    state = read_rows(f"sqlite:///{program.folder / 'state.db'}", "SELECT status, COUNT(*) AS n FROM sync_state GROUP BY 1")
    assert state == [{"status": "sent", "n": PEOPLE + CALLS}]
    assert PASSWORD not in "".join(said)
    sessions = [each["data"]["SESSION_PARAMETERS"] for each in account.bed.noted()[seen:] if "data" in each]
    assert {(each["TIMEZONE"], each["QUERY_TAG"]) for each in sessions} == {("UTC", "rehook_sync")}


def test_each_type_goes_out_as_the_documentation_says(account: Account) -> None:
    values = {
        "B": ("boolean", "true", True),
        "I": ("number(38, 0)", "9007199254740993", 9007199254740993),
        "N": ("number(38, 4)", "12.5000", 12.5),
        "F": ("float", "0.25", 0.25),
        "T": ("varchar", "' Zoë '", " Zoë "),
        "D": ("date", "'2026-11-01'::date", "2026-11-01"),
        "C": ("time", "'09:30:00.5'::time", "09:30:00.500000"),
        "NTZ": ("timestamp_ntz", "'2026-11-01 12:00:00.123456'::timestamp_ntz", "2026-11-01T12:00:00.123456Z"),
        "LTZ": ("timestamp_ltz", "'2026-11-01 14:00:00.123456 +02:00'::timestamp_ltz", "2026-11-01T12:00:00.123456Z"),
        "TZ": ("timestamp_tz", "'2026-11-01 14:00:00.123 +02:00'::timestamp_tz", "2026-11-01T12:00:00.123Z"),
        "V": ("variant", """PARSE_JSON('{"a": 20.5, "b": [1, "x"]}')""", {"a": 20.5, "b": [1, "x"]}),
        "O": ("object", """PARSE_JSON('{"a": 1}')""", {"a": 1}),
        "A": ("array", "PARSE_JSON('[1, 2]')", [1, 2]),
        "X": ("binary", "TO_BINARY('6162ff', 'hex')", "YWL/"),
    }
    columns, written = (", ".join(f"{name} {each[0]}" for name, each in values.items()), ", ".join(each[1] for each in values.values()))
    own = f"'i1', 'u', NULL, {moment(0)}::timestamp_tz, {moment(0)}::timestamp_tz"
    account.run(f"CREATE TABLE IDENTIFIES ({COMMON}, {columns})", TABLES[1], f"INSERT INTO IDENTIFIES SELECT {own}, {written}")
    (row,) = account.source().read_window(Stream.IDENTIFIES, WHOLE, None)
    assert row.problem is None
    sent = shape([row], Names())[0].metadata
    assert json.loads(to_json(sent)) == {name.lower(): each[2] for name, each in values.items()}


def test_geography_is_asked_for_and_read_as_geojson(account: Account) -> None:
    account.fill()
    list(account.source().read_window(Stream.TRACKS, WHOLE, None))
    asked = [each["data"]["SESSION_PARAMETERS"] for each in account.bed.noted() if "SESSION_PARAMETERS" in each.get("data", {})][-1]
    assert (asked["GEOGRAPHY_OUTPUT_FORMAT"], asked["GEOMETRY_OUTPUT_FORMAT"]) == ("GeoJSON", "GeoJSON")
    for name in ("GEOGRAPHY", "GEOMETRY"):
        read = SNOWFLAKE.convert[SNOWFLAKE.kind_of(name)]
        assert to_json(to_json_value(read('{"coordinates": [1.5, 2], "type": "Point"}'))) == b'{"coordinates":[1.5,2],"type":"Point"}'


def test_a_number_keeps_all_its_digits(account: Account) -> None:
    account.run(TABLES[0].replace("PLAN varchar", "PLAN number(38, 4)"), TABLES[1])
    number = "12345678901234567890123456789012.3456"
    account.run(f"INSERT INTO IDENTIFIES SELECT 'i', 'u', NULL, {moment(0)}::timestamp_tz, {moment(0)}::timestamp_tz, {number}, NULL")
    (row,) = account.source().read_window(Stream.IDENTIFIES, WHOLE, None)
    assert row.fields == {"plan": Decimal(number)}


def test_statements_do_not_grow_with_the_event_tables(account: Account) -> None:
    account.fill()
    account.run(*(f"CREATE TABLE OTHER_{n} ({COMMON}, EVENT varchar)" for n in range(12)))
    seen = len(account.bed.statements())
    assert len(account.source().discover().event_tables) == 13
    asked = [each for each in account.bed.statements()[seen:] if each.upper().startswith("SELECT")]
    assert len(asked) < 12


def test_a_missing_table_and_a_missing_schema_are_one_line(account: Account) -> None:
    account.fill()
    with pytest.raises(SourceError, match=r"there is no table 'trakcs' in schema 'SEGMENT' \(set TRACKS_TABLE\)"):
        account.source(tracks_table="trakcs").discover()
    with pytest.raises(SourceError, match=r"schema 'shop' has no tables"):
        account.source(schema="shop").discover()


def key_pair(folder: Path) -> dict[str, object]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    path = folder / "key.p8"
    form = serialization.PrivateFormat.PKCS8
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.BestAvailableEncryption(b"phrase")))
    path.chmod(0o600)
    return {"authenticator": "SNOWFLAKE_JWT", "private_key_file": str(path), "private_key_password": "phrase"}


WAYS_IN: dict[str, tuple[Callable[[Path], dict[str, object]], str]] = {
    "key pair": (key_pair, "SNOWFLAKE_JWT"),
    "OAuth": (lambda _: {"authenticator": "oauth", "token": "of-the-provider"}, "OAUTH"),
    "token": (lambda _: {"authenticator": "PROGRAMMATIC_ACCESS_TOKEN", "token": "of-the-user"}, "PROGRAMMATIC_ACCESS_TOKEN"),
}


@pytest.mark.parametrize("way", WAYS_IN)
def test_keys_and_tokens_get_in_by_the_options(account: Account, tmp_path: Path, way: str) -> None:
    make, authenticator = WAYS_IN[way]
    options = {**account.bed.options, **make(tmp_path), "role": "LOADER"}
    seen = len(account.bed.noted())
    url = account.url.replace(f":{PASSWORD}", "")
    database = open_database(url, "WAREHOUSE_URL", read_only=True, connecting=Connecting(options))
    with database.connect() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1
    database.close()
    (login,) = [each["data"] for each in account.bed.noted()[seen:] if "data" in each]
    assert login["AUTHENTICATOR"].upper() == authenticator
    assert "PASSWORD" not in login
    assert login["SESSION_PARAMETERS"]["TIMEZONE"] == "UTC"


@pytest.mark.parametrize("option", ["host=elsewhere", "private_key_file=/key", "token=hunter2", "protocol=http"])
def test_options_that_lead_elsewhere_are_refused_in_the_url(snowflake_url: str, option: str) -> None:
    with pytest.raises(SettingsError, match="give it in REHOOK_SYNC_WAREHOUSE_OPTIONS") as caught:
        open_database(f"{snowflake_url}&{option}", "WAREHOUSE_URL", read_only=True)
    assert "hunter2" not in str(caught.value)
    assert PASSWORD not in str(caught.value)
