"""Log lines as they are written, character by character."""

import json
import os
from datetime import UTC, datetime

import pytest

from rehook_sync.models import LogFormat, LogLevel
from rehook_sync.render.logs import Log


def test_pairs_are_quoted_where_they_could_be_misread(capfd: pytest.CaptureFixture[str]) -> None:
    moment = datetime(2026, 11, 1, 12, tzinfo=UTC)
    Log().info("run started", a=1, b="x=y", c='say "no"', d=None, e=True, f="line\nend", g=moment)
    _, _, said = capfd.readouterr().err.partition(" ")
    assert said == 'level=info event="run started" a=1 b="x=y" c="say \\"no\\"" d= e=true f=line\\x0aend g=2026-11-01T12:00:00Z\n'


def test_json_lines_hold_no_control_characters(capfd: pytest.CaptureFixture[str]) -> None:
    Log(LogFormat.JSON).error("evil", value="\x1b[31m\n\u202e", count=3, none=None)
    line = capfd.readouterr().err
    assert line.count("\n") == 1
    assert line.rstrip("\n").isprintable()
    assert json.loads(line) | {"timestamp": ""} == {
        "timestamp": "",
        "level": "error",
        "event": "evil",
        "value": "\x1b[31m\n\u202e",
        "count": 3,
        "none": None,
    }


def test_only_lines_of_the_level_and_above_are_written(capfd: pytest.CaptureFixture[str]) -> None:
    for level in LogLevel:
        log = Log(level=level)
        for name in ("debug", "info", "warning", "error"):
            getattr(log, name)(f"{level}-{name}")
    said = [line.rpartition("event=")[2] for line in capfd.readouterr().err.splitlines()]
    order = ["debug", "info", "warning", "error"]
    assert said == [f"{level}-{name}" for level in order for name in order[order.index(level) :]]


def test_a_reader_that_is_gone_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "w") as gone:
        monkeypatch.setattr("sys.stderr", gone)
        Log().info("nobody hears this")
