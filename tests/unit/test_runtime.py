"""The loop of a job: what happens when it is not to begin."""

import asyncio
import inspect
import sys
from types import SimpleNamespace

import pytest

from rehook_sync.runtime import run_loop


async def answer() -> int:
    await asyncio.sleep(0)
    return 42


def test_a_loop_returns_what_its_coroutine_does() -> None:
    assert run_loop(answer()) == 42


def test_a_ctrl_c_before_the_loop_has_begun_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """A coroutine that nobody ran or closed would say so on stderr, below the one line that people are to read."""

    def interrupted() -> asyncio.AbstractEventLoop:
        raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "uvloop", SimpleNamespace(new_event_loop=interrupted))
    main = answer()
    with pytest.raises(KeyboardInterrupt):
        run_loop(main)
    assert inspect.getcoroutinestate(main) == inspect.CORO_CLOSED
