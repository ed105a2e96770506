"""A warehouse that falls silent: a read that nobody works on is cut off and begun again; an honest one may take its time."""

import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from accounting import ALL, Bench, ago, open_bench
from sqlalchemy import make_url
from warehouse import event, identify, run_sql, track

from rehook_sync.errors import TransientError
from rehook_sync.jobs.results import RunOptions, RunResult
from rehook_sync.models import RunStatus
from rehook_sync.runtime import Interrupt

ROWS = 9


class Swallower:
    """A proxy before PostgreSQL's socket. From a statement on that is `wanted`, the answers on its connection are swallowed.

    Shape:  is_deaf: from then on, all answers on all connections are, and each byte is taken all the same.
    """

    def __init__(self, folder: Path, url: str) -> None:
        parsed = make_url(url)
        folder.mkdir()
        self.url = parsed.update_query_dict({"host": str(folder), "connect_timeout": "2"}).render_as_string(hide_password=False)
        self.wanted: Callable[[bytes], bool] = lambda _asked: False
        self.is_deaf = False
        self.swallowed = 0
        self._name = f".s.PGSQL.{parsed.port or 5432}"
        self._behind = str(Path(str(parsed.query["host"]), self._name))
        self._sockets: list[socket.socket] = [socket.socket(socket.AF_UNIX)]
        self._sockets[0].bind(str(folder / self._name))
        self._sockets[0].listen(50)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._sockets[0].accept()
                server = socket.socket(socket.AF_UNIX)
                self._sockets += [client, server]
                server.connect(self._behind)
                silent = threading.Event()
                threading.Thread(target=self._pump, args=(client, server, silent, True), daemon=True).start()
                threading.Thread(target=self._pump, args=(server, client, silent, False), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, silent: threading.Event, asks: bool) -> None:
        with suppress(OSError):
            while content := source.recv(1 << 16):
                if asks and not silent.is_set() and self.wanted(content):
                    silent.set()
                    self.swallowed += 1
                if asks or not (silent.is_set() or (self.is_deaf and self.swallowed)):
                    target.sendall(content)
            target.shutdown(socket.SHUT_WR)


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with open_bench("postgresql-sqlite", request) as opened:
        calls = [track(f"t{n}", f"u{n % 3}", "Order Completed", ago(hours=9 - n / 10)) for n in range(ROWS)]
        opened.fill([identify("i", "u1", ago(hours=10))], calls, order_completed=[event(f"t{n}", total=n) for n in range(ROWS)])
        yield opened


@pytest.fixture
def proxy(bench: Bench, tmp_path: Path) -> Iterator[Swallower]:
    swallower = Swallower(tmp_path / "proxy", bench.warehouse_url)
    yield swallower
    swallower.close()


def run_through(proxy: Swallower, bench: Bench, interrupt: Interrupt | None = None, *, silence_s: float = 0.3) -> RunResult:
    with bench.sync(warehouse_url=proxy.url) as sync:
        watch = sync._sources.reader._watch
        watch.silence_s, watch.answer_s = silence_s, 2.0
        return sync.run(RunOptions(since=ALL), interrupt or Interrupt())


@pytest.mark.parametrize("part", [b"rehook_sync__place", b"order_completed"])
def test_a_read_whose_answer_does_not_arrive_is_begun_again_and_said(bench: Bench, proxy: Swallower, part: bytes) -> None:
    proxy.wanted = lambda asked: part in asked and not proxy.swallowed
    result = run_through(proxy, bench)
    bench.check()
    assert (result.summary.status, result.summary.sent, proxy.swallowed) == (RunStatus.SUCCEEDED, ROWS + 1, 1)
    (note,) = [each for each in result.notes if "began" in each]
    assert note == ("began a read of the warehouse again, since it was cut off: the warehouse gave no answer: its answer does not arrive")


def test_a_server_that_answers_nobody_any_more_ends_a_run_with_one_line(bench: Bench, proxy: Swallower) -> None:
    proxy.wanted = lambda asked: b"read_own_event" in asked or b"rehook_sync__place" in asked
    proxy.is_deaf = True
    result = run_through(proxy, bench)
    assert result.summary.status is RunStatus.STOPPED
    assert str(result.error) == "the warehouse gave no answer: the server does not answer at all"
    assert isinstance(result.error, TransientError)


def test_a_stop_ends_a_run_whose_read_hangs(bench: Bench, proxy: Swallower, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rehook_sync.database.watch._GRACE_S", 0.1)
    interrupt = Interrupt()

    def wanted(asked: bytes) -> bool:
        if b"rehook_sync__place" in asked:
            threading.Timer(0.2, interrupt.request, (signal.SIGTERM,)).start()
            return True
        return False

    proxy.wanted = wanted
    result = run_through(proxy, bench, interrupt, silence_s=600)
    assert (result.summary.status, result.summary.sent) == (RunStatus.INTERRUPTED, 0)


def test_an_honest_read_may_take_its_time(bench: Bench, proxy: Swallower) -> None:
    """The view is looked at several times while it sleeps, in the server's sleep and while rows come."""
    run_sql(bench.warehouse_url, "CREATE VIEW slow AS SELECT * FROM tracks WHERE pg_sleep(0.1 + length(id) * 0) IS NOT NULL")
    bench.options["tracks_table"] = "slow"
    began = time.monotonic()
    result = run_through(proxy, bench, silence_s=0.08)
    assert time.monotonic() - began > ROWS * 0.1
    assert (result.summary.status, [each for each in result.notes if "began" in each]) == (RunStatus.SUCCEEDED, [])
