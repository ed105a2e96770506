"""What a stranger could try: read secrets and people's data where they do not belong, speak SQL, drive the terminal, stand in the way.

Each test runs the command line as a process of its own, against a server that echoes, lies, redirects or never ends.
What is promised here stands in docs/security.md.
"""

import gzip
import html
import json
import os
import pickle
import pty
import re
import signal
import socket
import ssl
import stat
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from traceback import format_exception
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, quote_plus
from zlib import crc32

import pytest
import trustme
from accounting import ago
from sqlalchemy import make_url, text
from warehouse import Row, add_rows, event, identify, make_warehouse, run_sql, track

from rehook_sync.database.engine import open_database
from rehook_sync.errors import ConfigurationError, DatabaseError
from rehook_sync.jobs.results import RunOptions
from rehook_sync.runtime import Interrupt
from rehook_sync.sandbox.server import Sandbox
from rehook_sync.sandbox.store import Credentials
from rehook_sync.settings import load_settings
from rehook_sync.sync import Sync

from . import harness
from .conftest import ROOT, Done, Program, wait_until, write_settings
from .harness import Forks, is_sqlite, state_table

forks = harness.forks

KEY, SECRET, PASSWORD = "key-7Qx9vLm2", 's3cr3t/"é&%+@ w\\x', "pa55@w/rd%é"
TOKEN = b64encode(f"{KEY}:{SECRET}".encode()).decode()
SECRETS = ("7Qx9vLm2", "s3cr3t", "pa55", "w/rd", TOKEN[:12])
"""Pieces of the secrets, so that a secret shown in part, or spelled in another way, is found as well."""
PEOPLE = ("zaphod", "beeblebrox", "betelgeuse", "151 5550", "wallaby", "ærø", "trillian", "heart of gold")
"""Pieces of what the rows say about people."""
TABLES = ("sync_runs", "sync_watermarks", "sync_state", "sync_customers", "sync_lease", "sync_migrations")


# Servers that are not to be trusted.


@dataclass(frozen=True)
class Asked:
    """One request as it arrived, and the connection to answer it on."""

    command: str
    path: str
    headers: str
    body: bytes
    connection: "_Connection"

    def reply(self, status: int = 201, body: bytes = b"{}", **headers: str) -> None:
        """Answer properly."""
        self.connection.send_response_only(status)
        for name, value in headers.items():
            self.connection.send_header(name.replace("_", "-"), value)
        self.connection.send_header("Content-Length", str(len(body)))
        self.connection.end_headers()
        self.connection.wfile.write(body)

    @property
    def metadata(self) -> dict[str, Any]:
        """The traits or properties sent."""
        found = json.loads(self.body)["metadata"] if self.body else {}
        assert isinstance(found, dict)
        return found


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def _take(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        asked = Asked(self.command, self.path, str(self.headers), body, self)
        self.server.owner.asked.append(asked)
        with suppress(OSError):
            self.server.owner.behave(asked)

    do_GET = do_POST = do_CONNECT = _take  # noqa: N815 - the names that http.server looks for

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    owner: "Server"

    def handle_error(self, *_: object) -> None:
        """Say nothing: clients that hang up are what is tested here."""


@dataclass
class Server:
    """An HTTP server on loopback that does with each request what `behave` says."""

    behave: Callable[[Asked], None] = Asked.reply
    context: ssl.SSLContext | None = None
    asked: list[Asked] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), _Connection)
        self._server.owner = self
        if self.context is not None:
            self._server.socket = self.context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Its address."""
        return f"{'https' if self.context else 'http'}://127.0.0.1:{self._server.server_port}"


# A site: a warehouse, sync-state tables elsewhere, and settings that hold secrets.


@dataclass
class Site:
    """The command line in a folder whose settings lead to `api_url`."""

    forks: Forks
    folder: Path
    url: str
    state_url: str | None = None

    def on_terminal(self, *arguments: str) -> str:
        """What a command writes to a terminal, which is both its outputs."""
        ours, theirs = pty.openpty()
        environ = Program(self.folder).clean_environ({"TERM": "xterm-256color", "COLUMNS": "200", "COLORTERM": "truecolor"})
        command = [sys.executable, "-m", "rehook_sync", *arguments]
        process = subprocess.Popen(command, cwd=self.folder, env=environ, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        pieces = []
        with suppress(OSError):
            while piece := os.read(ours, 65536):
                pieces.append(piece)
        os.close(ours)
        shown = b"".join(pieces).decode()
        assert process.wait(60) in {0, 2, 3, 4}, shown
        return shown

    def configure(self, api_url: str, **more: object) -> Self:
        """Write the settings file."""
        values: dict[str, object] = {"warehouse_url": self.url, "api_url": api_url, "api_key": KEY, "api_secret": SECRET}
        values |= {"start_at": "beginning", "concurrency": 4, "max_attempts": 1, "api_down_after": 10_000, "timeout": 5}
        if self.state_url is not None:
            values["state_url"] = self.state_url
        write_settings(self.folder / "rehook_sync.toml", {**values, **more})
        return self

    def __call__(self, *arguments: str, **environ: str) -> Done:
        """Run a command to its end."""
        return self.forks.start(self.folder, environ, *arguments).wait()

    def opened(self) -> Sync:
        """The same job in this process."""
        return Sync(load_settings(self.folder / "rehook_sync.toml", {}))

    def fill(self, identifies: Sequence[Row] = (), tracks: Sequence[Row] = (), **more: Sequence[Row]) -> Self:
        """Create the warehouse and the sync-state tables."""
        make_warehouse(self.url, {"identifies": identifies, "tracks": tracks, **more})
        assert self("init").code == 0
        return self

    def state(self, columns: str = "message_id, status", where: str = "true", table: str = "sync_state") -> list[Any]:
        """Rows of a sync-state table."""
        url = self.state_url or self.url
        return run_sql(url, f"SELECT {columns} FROM {state_table(url, table)} WHERE {where}")

    def dump(self) -> str:
        """Everything the sync-state tables hold: the bytes of SQLite's files, or all columns of all tables."""
        url = self.state_url or self.url
        if is_sqlite(url):
            path = make_url(url).database
            files = [Path(f"{path}{end}") for end in ("", "-wal", "-shm", "-journal")]
            return b"\n".join(file.read_bytes() for file in files if file.exists()).decode("utf-8", "replace")
        return "\n".join(repr(row) for table in TABLES for row in self.state("*", table=table))

    def assert_untouched(self) -> None:
        """No row was marked and no watermark moved."""
        assert self.state() == []
        assert self.state("high_at", "high_at IS NOT NULL", "sync_watermarks") == []


@pytest.fixture
def site(forks: Forks, tmp_path: Path, sqlite_url: str) -> Site:
    """A site on SQLite."""
    return Site(forks, tmp_path, sqlite_url)


@pytest.fixture
def each_site(forks: Forks, tmp_path: Path, database_url: str) -> Site:
    """A site on each database; on SQLite the sync-state tables have a file of their own, so that its bytes can be looked at."""
    state_url = f"sqlite:///{tmp_path / 'state.db'}" if is_sqlite(database_url) else with_password(database_url)
    return Site(forks, tmp_path, database_url if is_sqlite(database_url) else state_url, state_url)


def with_password(url: str) -> str:
    """The URL with a password, which the test's server does not ask for; special characters become %XX."""
    return make_url(url).set(password=PASSWORD).render_as_string(hide_password=False)


def found_in(text: str, pieces: Sequence[str]) -> list[str]:
    """Which of the pieces a text holds."""
    folded = text.casefold()
    return [each for each in pieces if each.casefold() in folded]


# Secrets and people.


def person(number: int, fate: object) -> dict[str, object]:
    """Traits that nobody can mistake for anything else, and the status with which the server is to answer, or how it begins to."""
    return {
        "email": f"Zaphod.Beeblebrox{number}@betelgeuse.example",
        "first_name": "Zaphod",
        "last_name": "Beeblebrox",
        "phone": f"+49 151 5550 12{number:02d}",
        "address": 'Wallaby Way 42/Ærø "Süd" & Co\'s',
        "fate": str(fate),
    }


def echoes(asked: Asked) -> list[str]:
    """What a careless server quotes in an error: the credentials and the row, each in many spellings."""
    body = asked.body.decode()
    again = json.dumps(json.loads(body)) if body else ""
    words = " ".join(map(str, asked.metadata.values()))
    whole = [asked.headers, body, again, again.replace("/", r"\/"), words, f"{KEY}:{SECRET}", SECRET, TOKEN, TOKEN.rstrip("=")]
    spelled = [serialize(text) for text in (body, words, SECRET) for serialize in (quote, quote_plus, html.escape, json.dumps)]
    return [*whole, *spelled, html.escape(words).encode("ascii", "xmlcharrefreplace").decode()]


def wrapped(text: str, number: int) -> bytes:
    """An error body around a text, of one of several kinds."""
    kinds = (text, {"message": text}, {"error": {"message": text}}, {"problem": {"detail": text}}, f"<html><p>{text}</p>\r\n</html>")
    kind = kinds[number % len(kinds)]
    return (kind if isinstance(kind, str) else json.dumps(kind, ensure_ascii=number % 2 == 0)).encode()


@dataclass
class Echo:
    """Answers each request as its row asks for, and quotes something else first for each row. `mode`: what happens to all of them."""

    mode: str = ""

    def __call__(self, asked: Asked) -> None:
        if asked.command == "GET" and self.mode != "denied at once":
            asked.reply(200)
            return
        said, number = echoes(asked), crc32(asked.body)
        first = number % len(said)
        text = " | ".join(said[first:] + said[:first])
        fate = "401" if self.mode else asked.metadata["fate"]
        if fate.isdigit():
            asked.reply(int(fate), wrapped(text, number), X_Echo=TOKEN)
        else:
            asked.connection.wfile.write(fate.encode() + text.encode().replace(b"\n", b" ") + b"\x01\r\n\r\n")
            asked.connection.close_connection = True


def hostile_rows() -> tuple[list[Row], list[Row], list[Row]]:
    """Identify and Track calls, and the table of their event: accepted, refused, failed, in doubt and breaking each rule."""
    fates: list[object] = [*((400, 409, 422)[number % 3] for number in range(60)), 201, 201, 503, 503, 429, 500]
    fates += ["", "HTTP/1.1 ", "HTTP/1.1 400 ", "HTTP/1.1 400 X\r\nX-Echo: ", "HTTP/1.1 400 X\r\nTransfer-Encoding: chunked\r\n\r\n"]
    identifies = [identify(f"i{number}", f"u{number}", ago(hours=1), **person(number, fate)) for number, fate in enumerate(fates)]
    identifies += [
        identify(None, "u1", ago(minutes=50), **person(1, 201)),
        identify("i-blank", " ", ago(minutes=50), **person(2, 201)),
        identify("i-anonymous", "u2", ago(minutes=50), anonymous_id="anon-trillian", **person(3, 201)),
        identify("i-owner", "u90", ago(minutes=50), referral_code="CODE-1", **person(4, 201)),
        identify("i-taken", "u91", ago(minutes=40), referral_code="CODE-1", **person(5, 201)),
        identify("i-code", "u92", ago(minutes=30), referral_code="CODE-2", **person(6, 409)),
        identify("i-bytes", "u93", ago(minutes=30), picture=b"\xffZaphod Beeblebrox", **person(7, 201)),
    ]
    names = [500, 500, 201, 400, 503, 429]
    tracks: list[Row] = [track(f"t{number}", f"u{80 + number}", when=ago(minutes=20)) for number in range(len(names))]
    tracks += [track("t-conversion", "u95", "signup", ago(minutes=20)), track("t-nameless", "u96", "", ago(minutes=20))]
    properties: list[Row] = [
        {"id": f"t{number}", "received_at": ago(minutes=20), "note": "Heart of Gold", **person(number, fate)}
        for number, fate in enumerate(names)
    ]
    return identifies, tracks, properties


def test_secrets_and_people_stay_out_of_state_and_output_whatever_an_error_quotes(each_site: Site) -> None:
    identifies, tracks, properties = hostile_rows()
    echo, said = Echo(), []
    with Server(echo) as server:
        site = each_site.configure(server.url, conversion_events=["signup"]).fill(identifies, tracks, order_completed=properties)
        done = site("run", "--json")
        assert (done.code, done.json["sent"] > 3, done.json["rejected"] > 60, done.json["failed"] > 3) == (3, True, True, True), done
        assert done.json["in_doubt"] == 2
        said.append(done)
        for echo.mode in ("denied", "denied at once"):
            said.append(site("run", "--json"))
            assert said[-1].code == 4
            assert "[…]" in said[-1].json["error"]["message"]
    commands = [("check", "--json"), ("plan",), ("status", "--json"), ("explain", "u1"), ("explain", "u80")]
    said += [site(*command) for command in commands]

    details = [str(row[0]) for row in site.state("detail", "detail IS NOT NULL")]
    assert sum("[…]" in each for each in details) > 60, "what was quoted was not even there"
    everything = {"state": site.dump(), "output": "\n".join(done.out + done.err for done in said)}
    assert "i-anonymous" in everything["state"]
    assert "CODE-1" in everything["state"]
    assert "[…]" in everything["output"]
    leaks = {name: found_in(text, (*SECRETS, *PEOPLE)) for name, text in everything.items()}
    assert leaks == {"state": [], "output": []}, [each for each in details if found_in(each, (*SECRETS, *PEOPLE))][:3]


def test_traits_are_kept_as_hashes_that_nobody_else_has(site: Site) -> None:
    with Server() as server:
        same = {"email": "zaphod@betelgeuse.example", "mail_again": "zaphod@betelgeuse.example"}
        site.configure(server.url).fill([identify("i1", "u1", ago(hours=1), **same), identify("i2", "u2", ago(hours=1), **same)])
        assert site("run").code == 0
    kept = [hashes for row in site.state("trait_hashes", table="sync_customers") for _, _, hashes in json.loads(row[0])]
    assert [set(each) for each in kept] == [set(same)] * 2
    hashes = [value for each in kept for value in each.values()]
    assert len(set(hashes)) == 4, "equal values of two people or under two keys must not look alike"
    assert all(re.fullmatch(r"[0-9a-f]{16}", each) for each in hashes)


BUG = """
import sys
import rehook_sync.__main__, rehook_sync.delivery.dispatcher
def raise_it(flight, *_):
    raise RuntimeError(f"a bug with {flight.operation.stream}")
rehook_sync.delivery.dispatcher.build_outcome = raise_it
sys.argv = ["rehook-sync", *sys.argv[1:]]
rehook_sync.__main__.main()
"""


def test_bug_in_the_middle_of_a_run_shows_no_secret_even_with_its_traceback(site: Site) -> None:
    site.state_url = f"sqlite:///{site.folder / 'state.db'}"
    with Server() as server:
        site.configure(server.url).fill([identify("i1", "u1", ago(hours=1), **person(1, 201))])
        program = Program(site.folder)
        out, err = program.start_python("-c", BUG, "--traceback", "run").communicate(timeout=60)
    assert len(server.asked) == 2, "the bug must strike after a request"
    assert "Traceback" in err
    assert "RuntimeError" in err
    assert found_in(out + err + site.dump(), (*SECRETS, *PEOPLE)) == []


WRONG_URLS = {
    "nobody there": "postgresql://me:{}@127.0.0.1:9/shop",
    "in the query": "postgresql://me@127.0.0.1:9/shop?password={}&sslmode=require",
    "unknown option": "postgresql://me:{}@127.0.0.1:9/shop?nonsense=1",
    "unknown host": "postgresql://me:{}@nohost.invalid/shop",
    "no port": "postgresql://me:{}@127.0.0.1:port/shop",
    "no driver": "oracle://me:{}@127.0.0.1/shop",
    "no dialect": "nonsense://me:{}@127.0.0.1/shop",
}


WRONG_SPELLINGS = {
    "escaped": quote(PASSWORD, safe=""),
    "raw": PASSWORD,
    "colon": "pa55:w/rd",
    "mark": "pa55?w/rd@#",
    "at": "x@pa55",
    "at and colon": "x@y:pa55",
    "at and slash": "x@y/pa55",
}


@pytest.mark.parametrize("url", WRONG_URLS.values(), ids=WRONG_URLS)
@pytest.mark.parametrize("spelled", WRONG_SPELLINGS.values(), ids=WRONG_SPELLINGS)
def test_database_password_is_in_no_error_however_wrong_the_url(url: str, spelled: str) -> None:
    settings = load_settings(None, {}, warehouse_url=url.format(spelled), state_url="sqlite:///state.db")
    with pytest.raises(ConfigurationError) as caught, Sync(settings) as sync:
        sync.discover()
    assert found_in("".join(format_exception(caught.value)), SECRETS) == [], "a scheduler's log shows the whole chain"
    assert found_in(repr(pickle.dumps(caught.value)), SECRETS) == []


def test_database_password_is_not_shown_when_the_address_is_wrong(site: Site) -> None:
    for url in (WRONG_URLS["nobody there"], WRONG_URLS["no port"]):
        done = site(
            "--traceback", "check", REHOOK_SYNC_WAREHOUSE_URL=url.format(PASSWORD), REHOOK_SYNC_STATE_URL=url.format(quote(PASSWORD))
        )
        assert (done.code, found_in(both(done), SECRETS)) == (2, [])


def test_bound_values_are_in_no_error_of_a_database(database_url: str) -> None:
    value = "".join(PEOPLE)
    database = open_database(database_url, "WAREHOUSE_URL")
    for statement in ("SELECT missing FROM nowhere WHERE x = :value", "SELECT CAST(:value AS nothing.of_the_kind)"):
        with pytest.raises(DatabaseError) as caught, database.connect() as connection:
            connection.execute(text(statement), {"value": value})
        assert found_in("".join(format_exception(caught.value)), PEOPLE) == []
    database.close()


def test_secrets_are_not_in_the_process_list(site: Site) -> None:
    identifies = [identify(f"i{number}", f"u{number}", ago(hours=1), plan="gold") for number in range(8)]
    hold = threading.Event()

    def behave(asked: Asked) -> None:
        if asked.command == "POST":
            hold.wait(20)
        asked.reply()

    with Server(behave) as server:
        site.configure(server.url).fill(identifies)
        process = Program(site.folder).start("run")
        wait_until(lambda: len(server.asked) > 3)
        family = [process.pid, *children_of(process.pid)]
        lines = [Path(f"/proc/{pid}/cmdline").read_bytes().decode() for pid in family]
        hold.set()
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert "rehook_sync" in lines[0]
    assert found_in("\n".join(lines), SECRETS) == []


def children_of(pid: int) -> list[int]:
    return [int(each) for task in Path(f"/proc/{pid}/task").iterdir() for each in (task / "children").read_text().split()]


# SQL.

SPIKES = (
    "x'; DROP TABLE sync_state; --",
    'y"; DROP TABLE tracks; --',
    "z' OR '1'='1",
    "%s %(a)s :b $1 ? \\",
    "[br]`ack`ets",
    "né'\u202e\n",
)
"""No name of a table or column is longer than PostgreSQL allows."""


def test_sql_in_names_and_values_stays_text(each_site: Site) -> None:
    traits = {spike: spike for spike in SPIKES}
    identifies = [identify(f"i{spike}", f"u{spike}", ago(hours=2), referral_code=f"c{spike}", **traits) for spike in SPIKES]
    tracks = [{**track(f"t{spike}", f"u{spike}", spike, ago(hours=1)), "event": spike.lower()} for spike in SPIKES]
    tables: dict[str, list[Row]] = {spike.lower(): [{"id": f"t{spike}", "received_at": ago(hours=1), **traits}] for spike in SPIKES}
    with Sandbox(credentials=Credentials(KEY, SECRET)) as sandbox:
        site = each_site.configure(sandbox.url, conversion_events=list(SPIKES[:1])).fill(identifies, tracks, **tables)
        done = site("run", "--json")
        assert (done.code, done.json["sent"], done.json["rejected"]) == (3 if done.json["failed"] else 0, 11, 1), done
        assert site("run", "--json").json["rows_read"] == 0
        assert site("retry").code in {0, 2}
        customers = {user: (customer.metadata, customer.referral_code) for user, customer in sandbox.store.customers.items()}
        events = [(each.event_name, each.source_id, each.metadata) for each in sandbox.store.events]
    assert customers == {f"u{spike}": ({**traits, "referral_code": f"c{spike}"}, f"c{spike}") for spike in SPIKES}
    assert sorted(events, key=str) == sorted(((spike, f"u{spike}", traits) for spike in SPIKES[1:]), key=str)
    assert {row[0] for row in site.state()} == {f"{letter}{spike}" for letter in "it" for spike in SPIKES}
    with site.opened() as sync:
        for spike in SPIKES:
            story = sync.explain(f"u{spike}")
            assert [row["message_id"] for row in story.rows] == [f"i{spike}", f"t{spike}"]
            assert (story.customer or {})["referral_code"] == f"c{spike}"
        for wide in ("' OR 1=1 --", "%", "u%", "u_", "*", "x' UNION SELECT * FROM sync_state --", ""):
            assert (sync.explain(wide).rows, sync.explain(wide).customer) == ([], None)
    assert site("explain", "u' OR '1'='1", "--json").json["rows"] == []
    assert len(site("explain", f"u{SPIKES[2]}", "--json").json["rows"]) == 2


def test_sql_in_settings_names_tables_or_nothing(each_site: Site) -> None:
    schema = 'shop"; DROP SCHEMA rehook_sync CASCADE; --'
    state_schema = "st\"a'te; --%s :x"
    add = {
        "identifies": [identify("i1", "u1", ago(hours=1), plan="gold")],
        "tracks": [track("t1", "u1", when=ago(hours=1))],
        "order_completed": [event("t1")],
    }
    url = each_site.url
    settings: dict[str, object] = {}
    if is_sqlite(url):
        make_warehouse(url, add)
    else:
        make_warehouse(url, add, schema=schema)
        settings = {"warehouse_schema": schema, "state_schema": state_schema}
    with Server() as server:
        site = each_site.configure(server.url, exclude=['x"); DROP TABLE identifies; --'], trait_names="plan=a'); --", **settings)
        assert site("init").code == 0
        for name in ("IDENTIFIES_TABLE", "TRACKS_TABLE", "CURSOR_COLUMN"):
            done = site("run", **{f"REHOOK_SYNC_{name}": "identifies; DROP TABLE identifies; --"})
            assert (done.code, name in done.err) == (2, True), done
        assert site("run", "--json").json["sent"] == 2
        assert json.loads(server.asked[-2].body)["metadata"] == {"a'); --": "gold"}
    if not is_sqlite(url):
        assert (
            run_sql(url, "SELECT count(*) FROM pg_tables WHERE schemaname = '" + state_schema.replace("'", "''").replace("%", "%%") + "'")[
                0
            ][0]
            == 13
        )


# Terminals and logs.

EVIL = "\x1b]0;OWNED\x07\x1b[31m[red]OWNED[/red]\r\nerror: OWNED\x9b2J\u202eDENWO :smile: [link=file:///etc/passwd]x[/link]"


def evil_site(site: Site, server: Server) -> Site:
    """A site whose names, ids and errors try to drive the terminal."""
    identifies = [identify("i1", EVIL, ago(hours=1), plan="gold", **{EVIL[:50]: "x"}), identify(EVIL, "u2", ago(hours=1), plan="gold")]
    tracks = [{**track("t1", EVIL, EVIL, ago(hours=1)), "event": EVIL[:40]}]
    return site.configure(server.url, exclude=["[red]OWNED[/red]"]).fill(
        identifies, tracks, **{EVIL[:40]: [{"id": "t1", "received_at": ago(hours=1), EVIL[:30]: "x"}]}
    )


def refuse_loudly(asked: Asked) -> None:
    """Refuse each event, and later everything, with an error that tries to drive the terminal."""
    loud = EVIL.encode()
    if asked.command == "GET":
        asked.reply(200, loud)
    else:
        asked.reply(422 if b"event_name" in asked.body else 201, loud)


def assert_tame(shown: str) -> None:
    """Nothing of the data acts: no control character but those of rich's colours and lines, no line of the data's making."""
    assert "\x1b]" not in shown
    assert "\x1b[31m[red]OWNED" not in shown
    assert not re.search(r"^(error|timestamp=\S+) ?:? ?OWNED", shown, re.MULTILINE)
    left = re.sub(r"\x1b\[[0-9;?]*[mKhlA]|\r?\n|\r", "", shown)
    assert [each for each in left if not each.isprintable()] == []


@pytest.mark.parametrize("terminal", [False, True], ids=["plain", "terminal"])
def test_data_cannot_drive_the_terminal_or_forge_a_log_line(site: Site, terminal: bool) -> None:
    look = site.on_terminal if terminal else lambda *arguments: both(site(*arguments))
    commands = [
        ("run",),
        ("explain", "t1"),
        ("check", "--all"),
        ("status",),
        ("plan", "--sample", "9"),
        ("explain", EVIL),
        ("explain", "no" + EVIL),
    ]
    with Server(refuse_loudly) as server:
        assert evil_site(site, server)("run").code == 0
        server.behave = lambda asked: asked.reply(401, EVIL.encode())
        add_rows(site.url, "identifies", [identify("i3", "u3", ago(minutes=1), plan="gold")])
        shown = {" ".join(command): look(*command) for command in commands[: 2 if terminal else None]}
    for each in shown.values():
        assert_tame(each)
    assert "OWNED" in shown["run"], "the error of the server is shown"
    assert "[red]OWNED[/red]" in shown["explain t1"], "markup is shown as it is"
    assert ":smile:" in shown["explain t1"]
    assert terminal or re.search(r"^exclude +\[red\]OWNED\[/red\]", shown["check --all"], re.MULTILINE)


def both(done: Done) -> str:
    return done.out + done.err


# The network: TLS, redirects, proxies, answers without end.


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def serving(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def trust(authority: trustme.CA, folder: Path) -> str:
    path = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


ONE_ROW = [identify("i1", "u1", datetime.now(UTC) - timedelta(hours=1), plan="gold")]
SWITCHES = {
    **dict.fromkeys(("PYTHONHTTPSVERIFY", "NODE_TLS_REJECT_UNAUTHORIZED", "SSL_VERIFY", "VERIFY_SSL", "HTTPX_VERIFY"), "0"),
    **dict.fromkeys(("CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"), ""),
    **dict.fromkeys(("GIT_SSL_NO_VERIFY", "CURL_INSECURE"), "1"),
}
"""What switches verification off in other programs."""


def test_certificate_of_an_authority_named_in_the_environment_is_trusted(site: Site, authority: trustme.CA) -> None:
    with Server(context=serving(authority.issue_cert("127.0.0.1"))) as server:
        site.configure(server.url).fill(ONE_ROW)
        assert site("run", SSL_CERT_FILE=trust(authority, site.folder)).code == 0
        assert [asked.command for asked in server.asked] == ["GET", "POST"]


@pytest.mark.parametrize("case", ["unknown authority", "another authority", "another name", "expired"])
def test_wrong_certificate_stops_the_run_and_marks_nothing(site: Site, authority: trustme.CA, case: str) -> None:
    end = datetime.now(UTC) - timedelta(days=1) if case == "expired" else None
    certificate = authority.issue_cert("rehook.test" if case == "another name" else "127.0.0.1", not_after=end)
    environ = {"SSL_CERT_FILE": trust(trustme.CA() if case == "another authority" else authority, site.folder)}
    with Server(context=serving(certificate)) as server:
        site.configure(server.url).fill(ONE_ROW)
        done = site("run", "--json", **({} if case == "unknown authority" else environ))
        assert (done.code, done.json["error"]["type"]) == (4, "CredentialsRefusedError")
        assert "certificate is not trusted" in done.json["error"]["message"]
        assert server.asked == [], "not even the credentials may leave"
    site.assert_untouched()


def test_no_variable_of_the_environment_switches_verification_off(site: Site, authority: trustme.CA) -> None:
    with Server(context=serving(authority.issue_cert("127.0.0.1"))) as server:
        site.configure(server.url).fill(ONE_ROW)
        done = Program(site.folder)("run", **SWITCHES)
        assert (done.code, "certificate is not trusted" in done.err, server.asked) == (4, True, [])
    site.assert_untouched()


@pytest.mark.parametrize(
    "address", ["http://rehook.test", "http://10.0.0.1:8080", "http://127.0.0.1.rehook.test", "http://localhost@rehook.test"]
)
def test_plain_http_leaves_for_loopback_only(site: Site, address: str) -> None:
    site.configure("https://rehook.test").fill(ONE_ROW)
    done = site("run", REHOOK_SYNC_API_URL=address)
    assert (done.code, done.err.startswith("error: REHOOK_SYNC_API_URL: must")) == (2, True)


def test_redirects_carry_the_credentials_nowhere(site: Site) -> None:
    with Server() as elsewhere, Server() as server:
        site.configure(server.url).fill(ONE_ROW)
        for status, at in ((301, "GET"), (302, "POST"), (307, "POST"), (308, "GET")):

            def behave(asked: Asked, status: int = status, at: str = at) -> None:
                asked.reply(status if asked.command == at else 201, Location=f"{elsewhere.url}{asked.path}")

            server.behave = behave
            done = site("run")
            assert (done.code, "redirects are not followed" in done.err, elsewhere.asked) == (4, True, [])
    site.assert_untouched()


def test_loopback_is_never_asked_through_a_proxy(site: Site) -> None:
    with Server() as proxy, Server() as server:
        site.configure(server.url).fill(ONE_ROW)
        names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
        done = site("run", **dict.fromkeys(names, proxy.url))
        assert (done.code, len(server.asked), proxy.asked) == (0, 2, [])


def test_proxy_learns_where_to_and_nothing_else(site: Site) -> None:
    def behave(asked: Asked) -> None:
        asked.connection.send_response_only(407, asked.headers.replace("\r\n", " ").replace("\n", " "))
        asked.connection.end_headers()

    with Server(behave) as proxy:
        site.configure("https://rehook.test").fill(ONE_ROW)
        address = proxy.url.replace("//", f"//me:{quote(PASSWORD, safe='')}@")
        done = site("run", HTTPS_PROXY=address)
        assert done.code == 4
        assert {(asked.command, asked.path) for asked in proxy.asked} == {("CONNECT", "rehook.test:443")}
        assert found_in("\n".join(asked.headers for asked in proxy.asked), SECRETS[:2] + SECRETS[-1:]) == []
    own = b64encode(f"me:{PASSWORD}".encode()).decode()
    assert found_in(both(done) + site.dump(), (*SECRETS, own[:12])) == []
    site.assert_untouched()


def pour(asked: Asked, head: str, piece: bytes, pause_s: float = 0.0) -> None:
    """Send without end, until the other side hangs up."""
    asked.connection.close_connection = True
    asked.connection.wfile.write(f"HTTP/1.1 {head}\r\n".encode())
    while True:
        asked.connection.wfile.write(piece)
        time.sleep(pause_s)


BOMB = gzip.compress(bytes(16_000_000)) * 64
"""A megabyte that unpacks to one of thousands."""
ENDLESS: Mapping[str, Callable[[Asked], None]] = {
    "a gigabyte": lambda asked: pour(asked, f"400 X\r\nContent-Length: {1 << 30}\r\n", bytes(65536)),
    "a gigabyte of success": lambda asked: pour(asked, f"200 X\r\nContent-Length: {1 << 30}\r\n", bytes(65536)),
    "endless chunks": lambda asked: pour(asked, "500 X\r\nTransfer-Encoding: chunked\r\n", b"fff\r\n" + bytes(4095) + b"\r\n"),
    "endless chunk": lambda asked: pour(asked, "400 X\r\nTransfer-Encoding: chunked\r\n\r\n5;", bytes(65536)),
    "endless headers": lambda asked: pour(asked, "400 X", b"A: " + b"x" * 60_000 + b"\r\n"),
    "one endless header": lambda asked: pour(asked, "400 X\r\nA: ", b"x" * 65536),
    "endless 100": lambda asked: pour(asked, "100 X\r\n", b"HTTP/1.1 100 X\r\n\r\n", 0.001),
    "drip of headers": lambda asked: pour(asked, "200 X", b"A", 0.05),
    "drip of a body": lambda asked: pour(asked, "400 X\r\nContent-Length: 9999\r\n", b"x", 0.05),
    "bomb": lambda asked: asked.reply(400, BOMB, Content_Encoding="gzip"),
    "bomb of success": lambda asked: asked.reply(200, BOMB, Content_Encoding="deflate"),
    "deep": lambda asked: asked.reply(400, b"[" * 60_000),
    "long": lambda asked: asked.reply(400, ("//" * 30_000).encode()),
}


def test_answers_without_end_cost_neither_memory_nor_time(site: Site) -> None:
    rows = [identify(f"i{name}", f"u{name}", ago(hours=1), fate=name) for name in ENDLESS]

    def behave(asked: Asked) -> None:
        if asked.command == "GET":
            asked.reply()
        else:
            ENDLESS[asked.metadata["fate"]](asked)

    with Server(behave) as server:
        site.configure(server.url, timeout=1, concurrency=16, max_attempts=1).fill(rows)
        began = time.monotonic()
        process = Program(site.folder).start("run")
        most_kb = 0
        while process.poll() is None:  # asked while it runs: what wait4 says counts the parent's memory from before the start
            with suppress(OSError, StopIteration):
                lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
                most_kb = max(most_kb, next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")))
            time.sleep(0.02)
        out, err = process.communicate()
        took_s = time.monotonic() - began
    assert process.returncode == 3, out + err
    assert len(site.state()) == len(ENDLESS)
    assert took_s < 12
    assert 50_000 < most_kb < 350_000, f"{most_kb} KB of memory"


# The sandbox and the files on disk.


def test_sandbox_listens_on_loopback_and_nowhere_else(tmp_path: Path) -> None:
    program = Program(tmp_path)
    process = program.start("sandbox", "--port", "0", "--json")
    try:
        assert process.stdout is not None
        port = int(json.loads(process.stdout.readline())["url"].rpartition(":")[2])
        sockets = {str(each.readlink()) for each in Path(f"/proc/{process.pid}/fd").iterdir()}
        lines = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
        listening = [each[1] for each in lines if each[3] == "0A" and f"socket:[{each[9]}]" in sockets]
        assert listening == [f"0100007F:{port:04X}"]
        with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.2", port), timeout=5):
            pass
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Host: 127.0.0.1:8790", 200),
        ("Host: LOCALHOST", 200),
        ("Host: [::1]:8790", 200),
        ("Host: localhost\r\nOrigin: http://localhost:3000", 200),
        ("Host: rebound.test", 403),
        ("Host: 127.0.0.1.rebound.test", 403),
        ("Host: localhost:80@rebound.test", 403),
        ("Host: localhost\r\nOrigin: https://site.test", 403),
        ("Host: localhost\r\nOrigin: null", 403),
    ],
)
def test_web_pages_of_others_cannot_reach_the_sandbox_through_a_browser(sandbox: Sandbox, header: str, status: int) -> None:
    for path in ("/_sandbox/requests", "/_sandbox/state"):
        with socket.create_connection((sandbox.host, sandbox.port), timeout=5) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\n{header}\r\nConnection: close\r\n\r\n".encode())
            assert connection.recv(65536).startswith(f"HTTP/1.1 {status}".encode())


@pytest.fixture
def open_umask() -> Iterator[None]:
    """A process whose files would be readable and writable for everybody."""
    before = os.umask(0)
    yield
    os.umask(before)


def test_state_file_of_our_making_is_its_owners_alone(site: Site, open_umask: None) -> None:
    state = site.folder / "state.db"
    make_warehouse(site.url, {"identifies": ONE_ROW, "tracks": []})
    site.state_url = f"sqlite:///{state}"
    seen: dict[str, int] = {}
    with Server() as server:
        site.configure(server.url)
        for command in ("status", "plan", "check", "run"):
            assert site(command).code == 2
            assert not state.exists(), f"`{command}` made a file that only `init` may make"
        with site.opened() as sync:
            sync.init()

            def behave(asked: Asked) -> None:
                seen.update(modes_of(state))
                asked.reply()

            server.behave = behave
            assert sync.run(RunOptions(), Interrupt()).summary.sent == 1
    assert seen == {"state.db": 0o600, "state.db-wal": 0o600, "state.db-shm": 0o600}


def modes_of(path: Path) -> dict[str, int]:
    return {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.glob(f"{path.name}*")}


def test_state_file_that_is_there_keeps_its_permissions(site: Site) -> None:
    state = site.folder / "state.db"
    state.touch()
    state.chmod(0o640)
    site.state_url = f"sqlite:///{state}"
    site.configure("https://rehook.test").fill(ONE_ROW)
    assert state.stat().st_size > 0
    assert modes_of(state)["state.db"] == 0o640


# The tools.

PRETEND = """#!/bin/sh
while [ "$1" != --output ]; do shift; done
{act}
"""


@pytest.mark.parametrize(
    ("act", "code", "words"),
    [
        ("exit 0", 0, "no known vulnerability in the pinned versions"),
        ("echo 'brokenlib 1.0 PYSEC-1' > \"$2\"; exit 1", 2, "brokenlib 1.0 PYSEC-1"),
        ("echo Traceback; echo 'no such host' >&2; exit 1", 2, "audit: NOT checked: the list of vulnerabilities did not answer"),
    ],
    ids=["clean", "found", "offline"],
)
def test_make_audit_tells_clean_from_found_from_not_checked(tmp_path: Path, act: str, code: int, words: str) -> None:
    pretend = tmp_path / "python"
    pretend.write_text(PRETEND.format(act=act))
    pretend.chmod(0o700)
    for stamp in (".created", ".installed-security"):
        (tmp_path / stamp).touch()
    command = ["make", "audit", f"VENV={tmp_path}", f"RUN={pretend}", "PIP=false"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == code, done
    assert [line for line in done.stdout.splitlines() if words in line]
    assert "Traceback" not in done.stdout + done.stderr
