"""Sessions of PostgreSQL: what somebody else set as a default changes nothing that is read, and what the user sets is kept."""

import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from decimal import Decimal

import pytest
import warehouse
from sqlalchemy import make_url
from warehouse import NOON, OpenSource, event, identify, make_warehouse, run_sql, track

from rehook_sync.database.engine import open_database
from rehook_sync.database.postgresql import SESSION
from rehook_sync.errors import SourceError
from rehook_sync.models import Stream, Window

open_source = warehouse.open_source
WINDOW = Window(None, NOON.replace(year=2027))
HOSTILE = {
    "TimeZone": "America/New_York",
    "DateStyle": "German",
    "IntervalStyle": "sql_standard",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "client_encoding": "LATIN1",
    "standard_conforming_strings": "off",
}
TRAITS = {
    "born": NOON.replace(microsecond=250),
    "naive": NOON.replace(tzinfo=None),
    "rate": 0.1 + 0.2,
    "exact": Decimal("0.10"),
    "name": "Zoë 🦊",
    "raw": b"\x00\xff",
}
INTERVAL = "1 year 2 mons -3 days +04:05:06.7"


def with_query(url: str, **query: str) -> str:
    return make_url(url).update_query_dict(query).render_as_string(hide_password=False)


def read(url: str, open_source: OpenSource) -> list[tuple[object, ...]]:
    """All that a run reads of the calls."""
    source = open_source(url)
    rows = [*source.read_window(Stream.IDENTIFIES, WINDOW, None), *source.read_window(Stream.TRACKS, WINDOW, None)]
    list(source.fill_properties([row for row in rows if row.stream == Stream.TRACKS]))
    return [(row.message_id, row.received_at, row.occurred_at, dict(row.fields), row.problem) for row in rows]


def fill(url: str) -> None:
    tables = {"identifies": [identify("m", "u", **TRAITS, waited=INTERVAL)], "tracks": [track("t", "u")]}
    types = {"identifies": {"waited": "interval", "naive": "timestamp"}}
    make_warehouse(url, {**tables, "order_completed": [event("t", **TRAITS)]}, types=types)


@pytest.mark.parametrize("place", ["database", "role", "environment", "url"])
def test_defaults_of_others_change_nothing(postgres_url: str, open_source: OpenSource, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    fill(postgres_url)
    plain = read(postgres_url, open_source)
    assert HOSTILE.keys() == SESSION.keys()
    name = make_url(postgres_url).database
    options = " ".join(f"-c {key}={value}" for key, value in HOSTILE.items())
    url = postgres_url
    if place == "database":
        run_sql(url, *(f"ALTER DATABASE \"{name}\" SET {key} = '{value}'" for key, value in HOSTILE.items()))
    elif place == "role":
        run_sql(url, *(f"ALTER ROLE postgres IN DATABASE \"{name}\" SET {key} = '{value}'" for key, value in HOSTILE.items()))
    elif place == "environment":
        monkeypatch.setenv("PGOPTIONS", options)
        for variable, key in (("PGTZ", "TimeZone"), ("PGDATESTYLE", "DateStyle"), ("PGCLIENTENCODING", "client_encoding")):
            monkeypatch.setenv(variable, HOSTILE[key])
    else:
        url = with_query(url, options=options)
    assert read(url, open_source) == plain
    assert plain[0][1:3] == (NOON, NOON)
    with closing(open_database(url, "URL")) as database, database.connect() as connection:
        found = {key: connection.exec_driver_sql(f"SHOW {key}").scalar() for key in SESSION}
    assert found == dict(SESSION)


def shown(url: str, setting: str, **options: str) -> object:
    with closing(open_database(url, "URL", **options)) as database, database.connect() as connection:  # type: ignore[arg-type]
        return connection.exec_driver_sql(f"SHOW {setting}").scalar()


def test_options_in_the_url_and_ours_are_both_set(postgres_url: str, open_source: OpenSource) -> None:
    make_warehouse(postgres_url, {"identifies": [identify("m", "u")], "tracks": [track("t", "u")]}, schema="shop")
    url = with_query(postgres_url, options="-csearch_path=shop")
    assert open_source(url).discover().tracks.path == ("shop", "tracks")
    assert (shown(url, "search_path"), shown(url, "TimeZone")) == ("shop", "UTC")
    assert shown(url, "search_path", search_path="rehook_sync") == '"rehook_sync"'


def test_a_role_that_the_url_sets_is_the_one_that_reads(postgres_url: str, open_source: OpenSource) -> None:
    make_warehouse(postgres_url, {"identifies": [], "tracks": []})
    role = f"nobody_{str(make_url(postgres_url).database)[-12:]}"
    run_sql(postgres_url, f"CREATE ROLE {role}")
    try:
        with pytest.raises(SourceError, match=f'TO "{role}"'):
            open_source(with_query(postgres_url, options=f"-c role={role}")).discover()
    finally:
        run_sql(postgres_url, f"DROP ROLE {role}")


def test_options_in_the_environment_are_kept(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c statement_timeout=54321")
    assert (shown(postgres_url, "statement_timeout"), shown(postgres_url, "TimeZone")) == ("54321ms", "UTC")


@contextmanager
def listener() -> Iterator[tuple[int, list[Mapping[str, str]]]]:
    """A port that takes what a client says of itself and hangs up."""
    heard: list[Mapping[str, str]] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def listen() -> None:
            connection, _ = server.accept()
            with connection:
                size = struct.unpack("!I", connection.recv(4))[0]
                words = connection.recv(size - 4, socket.MSG_WAITALL)[4:].decode().split("\0")
                heard.append(dict(zip(words[::2], words[1::2], strict=False)))

        thread = threading.Thread(target=listen)
        thread.start()
        yield server.getsockname()[1], heard
        thread.join()


@pytest.mark.parametrize("options", ["endpoint=ep-cool-name", "project=shop -c statement_timeout=9"])
def test_options_that_only_a_proxy_understands_reach_it_as_they_are(options: str) -> None:
    with listener() as (port, heard):
        url = with_query(f"postgresql://me@127.0.0.1:{port}/shop", sslmode="disable", options=options)
        with closing(open_database(url, "URL")) as database, pytest.raises(SourceError, match="cannot connect"):
            database.open()
    assert heard[0]["options"] == options


@pytest.mark.parametrize("place", ["url", "environment"])
def test_a_limit_for_connecting_is_the_users_if_there_is_one(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """An address that takes a connection and says nothing more."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        query = {"sslmode": "disable", **({"connect_timeout": "2"} if place == "url" else {})}
        url = with_query(f"postgresql://me@127.0.0.1:{server.getsockname()[1]}/shop", **query)
        if place == "environment":
            monkeypatch.setenv("PGCONNECT_TIMEOUT", "2")
        else:
            monkeypatch.setenv("PGCONNECT_TIMEOUT", "60")
        with closing(open_database(url, "URL")) as database, pytest.raises(SourceError, match="timeout"):
            database.open()
