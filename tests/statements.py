"""What is asked of a warehouse: the statements of a plan and of runs over one small source, kept as a file for each dialect.

`make statements` writes the files anew; whoever reads their difference sees what a change asks of each warehouse.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from accounting import ALL, NOW, Bench
from sqlalchemy import Engine
from sqlalchemy import event as sql_event
from warehouse import Row, add_rows, event, identify, track

__all__ = ["FEW", "MANY", "_OF_AN_EVENT", "_OF_A_STREAM", "Heard", "ask", "check_dialect", "check_heard", "hear", "small_source"]

Heard = Mapping[str, Sequence[str]]
"""What is done -> the statements that the warehouse gets for it."""
Add = Callable[[Mapping[str, Sequence[Row]]], object]
FIRST = (NOW - timedelta(hours=9)).replace(minute=0, second=0, microsecond=0)
"""The start of an hour that is over."""
FEW, MANY = 8, 200
"""Calls of a source that is kept, and of one that must ask no more."""
_OF_A_STREAM = 16
_OF_AN_EVENT = 4
_FOLDER = Path(__file__).with_name("kept_statements")
_OF_ONE_RUN = (
    (r"'rehook_sync \d{8}T\d{6}Z(-\w+)*'", "'rehook_sync RUN'"),
    (r"(?i)test_[0-9a-f]{12,32}", "WAREHOUSE"),
    (r"[ \t]+(?=\n|$)", ""),
)
_OF_THE_DRIVER = re.compile(
    r"^(SELECT 1|PRAGMA .*|BEGIN.*|COMMIT|ROLLBACK|.*pg_catalog\.version\(\)|show .*|select current_.*)$", re.IGNORECASE
)


def small_source(count: int, first: int = 0) -> dict[str, list[Row]]:
    """Identify calls, and so many Track calls of two events with their tables, a second apart."""
    names = ("Order Completed", "Signed Up")
    tracks = [track(f"t{n}", f"u{n % 3}", names[n % 2], FIRST + timedelta(seconds=n)) for n in range(first, first + count)]
    own = {
        slug: [event(row["id"], row["received_at"], total=1) for row in tracks if row["event"] == slug]
        for slug in ("order_completed", "signed_up")
    }
    return {"identifies": [identify(f"i{n}", f"u{n}", FIRST, plan="pro") for n in range(0 if first else 3)], "tracks": tracks, **own}


@contextmanager
def hear(dialect: str) -> Iterator[list[str]]:
    """The statements that a warehouse gets meanwhile, beside the sync-state in a file `state.db`."""
    found: list[str] = []

    def note(connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        engine = connection.engine  # type: ignore[attr-defined]
        if engine.dialect.name == dialect and "state.db" not in str(engine.url) and not _OF_THE_DRIVER.match(statement):
            found.append(statement)

    sql_event.listen(Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        sql_event.remove(Engine, "before_cursor_execute", note)


def ask(bench: Bench, listen: Callable[[Callable[[], object]], Sequence[str]], add: Add) -> Heard:
    """Plan and run over a source, run again with nothing new, and then with one new call. The books are audited each time.

    Shape:  listen: what to do -> the statements meanwhile.  add: adds rows to tables.
    """

    def run(*since: object) -> Sequence[str]:
        found = listen(lambda: bench.run(*since, check=False, chunk_rows=1000))  # type: ignore[arg-type]
        bench.check()
        return found

    heard = {"plan": listen(lambda: bench.plan(ALL, chunk_rows=1000)), "first run": run(ALL), "second run, which finds all settled": run()}
    heard["run with nothing new"] = run()
    add({name: rows for name, rows in small_source(1, 1000).items() if rows})
    heard["run with one new call of one event"] = run()
    return heard


def check_bounds(dialect: str, heard: Heard) -> None:
    """Statements may depend on streams and events, and not on rows: whatever these are, there are as many as are kept."""
    for name, events in {"plan": 2, "first run": 2, "run with nothing new": 0, "run with one new call of one event": 1}.items():
        assert len(heard[name]) <= 2 * _OF_A_STREAM + events * _OF_AN_EVENT, name
    assert [each for each in heard["run with nothing new"] if "rehook_sync__place" in each] == [], "it reads rows"
    kept = re.findall(r"^-- (.*): (\d+) statements$", _read(dialect), re.MULTILINE)
    assert {name: len(found) for name, found in heard.items()} == {name: int(count) for name, count in kept}


def check_kept(dialect: str, heard: Heard) -> None:
    """Hold what was asked against the file of the dialect, or write it."""
    told = ""
    for name, found in heard.items():
        told += f"-- {name}: {len(found)} statements\n\n" + "".join(f"{_plain(each)};\n\n" for each in found)
    if os.environ.get("WRITE_STATEMENTS"):
        (_FOLDER / f"{dialect}.sql").write_text(told, encoding="utf-8")
    assert told == _read(dialect), f"{dialect}.sql is not what is asked: read the difference, then `make statements`"


def _read(dialect: str) -> str:
    return (_FOLDER / f"{dialect}.sql").read_text(encoding="utf-8")


def _plain(statement: str) -> str:
    for pattern, name in _OF_ONE_RUN:
        statement = re.sub(pattern, name, statement)
    return statement.strip()


def check_heard(dialect: str, count: int, heard: Heard) -> None:
    """Compare what was asked over a source of so many calls with what is kept, and with its bounds."""
    if count == FEW:
        check_kept(dialect, heard)
    check_bounds(dialect, heard)


def check_dialect(bench: Bench, dialect: str, count: int) -> None:
    """Do all that `ask` does over a source of so many calls, and check what the driver was asked."""
    bench.fill(**small_source(count))

    def listen(act: Callable[[], object]) -> Sequence[str]:
        with hear(dialect) as found:
            act()
        return list(found)

    def add(tables: Mapping[str, Sequence[Row]]) -> None:
        for name, rows in tables.items():
            add_rows(bench.warehouse_url, name, rows)

    check_heard(dialect, count, ask(bench, listen, add))
