"""The demo: a sample shop's warehouse, a local Rehook, two runs between them, and both sides compared."""

import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from rehook_sync.demo.shop import CONVERSION_EVENTS, ShopFacts, add_second_batch, build_shop
from rehook_sync.errors import InternalError, UsageError
from rehook_sync.jobs.results import Plan, RunOptions, RunResult
from rehook_sync.models import STREAMS, Status, Trigger
from rehook_sync.render.console import Screen, interruptible, run_exit_code, watched
from rehook_sync.render.run import run_document, run_view
from rehook_sync.render.text import line
from rehook_sync.sandbox.admin import build_counts
from rehook_sync.sandbox.server import Sandbox
from rehook_sync.sandbox.store import Behaviour, FakeRehook
from rehook_sync.settings import PREFIX, load_settings
from rehook_sync.sync import Sync

__all__ = ["run_demo"]

_CONFIG = "rehook_sync.toml"
_WAREHOUSE = "warehouse.db"
_OURS = (_CONFIG, _WAREHOUSE, f"{_WAREHOUSE}-wal", f"{_WAREHOUSE}-shm", ".gitignore")
_MARK = "# Written by the demo of rehook-sync; the next demo replaces it."
_BETWEEN_BATCHES = timedelta(hours=26)
_REQUESTS_PER_S = 350
_PACE_REMARK = "# The rate limit is there so that you can watch; take it out to see the real pace."
_STORIES = 60
_LONGEST_STORY = 6


@dataclass(slots=True)
class _Demo:
    """What the demo has made and seen so far."""

    screen: Screen
    folder: Path
    sandbox: Sandbox
    facts: list[ShopFacts] = field(default_factory=list)
    results: list[RunResult] = field(default_factory=list)
    sides: list[dict[str, tuple[int, int]]] = field(default_factory=list)
    next: list[str] = field(default_factory=list)

    @property
    def config(self) -> Path:
        return self.folder / _CONFIG

    @property
    def warehouse_url(self) -> str:
        return f"sqlite:///{(self.folder / _WAREHOUSE).resolve()}"

    def open(self) -> Sync:
        """Open the job with the demo's settings alone: those of the shell may be of a real warehouse."""
        return Sync(load_settings(self.config, environ={}))


def run_demo(screen: Screen, folder: Path) -> int:
    """Run the demo, keep its files in `folder` and return the exit code.

    Raises: UsageError for a folder that the demo may not replace; InternalError when the two sides differ.
    """
    _prepare(folder)
    with Sandbox(behaviour=Behaviour(conversion_events=frozenset(CONVERSION_EVENTS))) as sandbox:
        demo = _Demo(screen, folder, sandbox)
        code = _play(demo, datetime.now(UTC))
    screen.result(_document(demo), *(_farewell(demo) if code == 0 else ()), well=code == 0)
    return code


def _play(demo: _Demo, now: datetime) -> int:
    screen = demo.screen
    screen.say(line(("rehook-sync demo", "bold"), ("  no account is needed, nothing leaves this machine", "dim")))
    demo.facts.append(build_shop(demo.warehouse_url, now=now - _BETWEEN_BATCHES))
    _write_config(demo)
    screen.say(_step(1, "A shop's warehouse", "two weeks, as Segment fills it"), _facts_view(demo.facts[0]))
    screen.say(_step(2, "A local Rehook", f"{demo.sandbox.url}, where {' and '.join(CONVERSION_EVENTS)} is a conversion event"))
    with demo.open() as sync:
        sync.init()
        screen.say(_step(3, "init", "the sync-state tables stand beside the shop's"))
        screen.say(_step(4, "plan", "what a run would do; sends and writes nothing"), _plan_view(sync.plan(RunOptions())))
        screen.say(_step(5, "run", "do it"))
        code = _deliver(demo, sync)
        screen.say(*_sides_view(demo))
    if code:
        return code
    demo.facts.append(add_second_batch(demo.warehouse_url, now))
    screen.say(_step(6, "A day later", "more has arrived"), _facts_view(demo.facts[1]))
    with demo.open() as sync:
        screen.say(_step(7, "run", "what is new, and only that"))
        code = _deliver(demo, sync)
        screen.say(*_sides_view(demo))
        demo.next = _commands(demo, sync)
    return code


def _deliver(demo: _Demo, sync: Sync) -> int:
    """Do one run, show it, and compare both sides."""
    with interruptible() as interrupt:
        with watched(demo.screen, interrupt) as listen:
            result = sync.run(RunOptions(trigger=Trigger.DEMO), interrupt, listen)
        demo.results.append(result)
        demo.screen.say(*run_view(result))
        if result.error is not None:
            demo.screen.complain(result.error)
        code = run_exit_code(result, interrupt)
    demo.sides.append(_compare(demo, sync))
    if code == 0:
        _check(demo)
    return code


def _compare(demo: _Demo, sync: Sync) -> dict[str, tuple[int, int]]:
    """Return name -> (count in the sync-state tables, count in the local Rehook)."""
    sent = {str(row["stream"]): row["n"] for row in sync.read_status(1).counts if row["status"] == Status.SENT}
    store = demo.sandbox.store
    upserts, events = (_whole(sent.get(stream, 0)) for stream in STREAMS)
    return {
        "events": (events, len(store.events)),
        "customer upserts": (upserts, sum(each.upserts for each in store.customers.values())),
        "requests in all": (sum(each.summary.requests for each in demo.results), len(store.log)),
    }


def _check(demo: _Demo) -> None:
    """Compare both sides with what was put into the warehouse.

    Raises: InternalError when something is missing or came twice.
    """
    facts, summary = demo.facts[-1], demo.results[-1].summary
    pairs = dict(demo.sides[-1])
    pairs["calls judged"] = (sum(facts.distinct.values()), summary.rows_read)
    pairs["events due"] = (sum(each.events for each in demo.facts), len(demo.sandbox.store.events))
    pairs["customers"] = (sum(each.customers for each in demo.facts), len(demo.sandbox.store.customers))
    pairs["requests accepted twice"] = (0, _repeated(demo.sandbox.store))
    wrong = [f"{name}: {expected} and {found}" for name, (expected, found) in pairs.items() if expected != found]
    if wrong:
        raise InternalError(f"the demo's two sides differ: {'; '.join(wrong)}; its files are in {demo.folder}")


def _repeated(store: FakeRehook) -> int:
    return _whole(build_counts(store)["idempotency_keys_repeated"])


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


# The demo's files.


def _prepare(folder: Path) -> None:
    """Create the folder, or remove an earlier demo's files from it. Raises UsageError when that is not possible."""
    if not str(folder.resolve()).isprintable() or "?" in str(folder.resolve()):
        raise UsageError("the demo needs a directory whose path has no '?' and nothing unprintable; name another with --keep DIR")
    try:
        if folder.exists() and not _is_ours(folder):
            raise UsageError(f"{folder} exists and is not a demo's; name another directory with --keep DIR, or remove it")
        folder.mkdir(parents=True, exist_ok=True)
        for name in _OURS:
            (folder / name).unlink(missing_ok=True)
        (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"the demo cannot write to {folder}: {error.strerror}; name another directory with --keep DIR") from None


def _is_ours(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    config = folder / _CONFIG
    if config.is_file():
        return config.read_bytes().startswith(_MARK.encode())
    return all(each.name in _OURS for each in folder.iterdir()) and not (folder / _WAREHOUSE).exists()


def _write_config(demo: _Demo) -> None:
    credentials = demo.sandbox.credentials
    values: dict[str, object] = {
        "warehouse_url": demo.warehouse_url,
        "api_url": demo.sandbox.url,
        "api_key": credentials.key,
        "api_secret": credentials.secret,
        "start_at": "beginning",
        "conversion_events": list(CONVERSION_EVENTS),
        "rate_limit": _REQUESTS_PER_S,
    }
    lines = [_MARK, _PACE_REMARK, *(f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items())]
    demo.config.write_text("\n".join(lines) + "\n", encoding="utf-8")


# Output.


def _step(number: int, title: str, remark: str) -> Text:
    return Text("\n").append_text(line((f"{number}  ", "bold cyan"), (title, "bold"), (f"  {remark}", "dim")))


def _told(text: str) -> RenderableType:
    return Padding(text, (0, 3, 0, 3))


def _facts_view(facts: ShopFacts) -> RenderableType:
    events = len(facts.rows.keys() - set(STREAMS))
    rows = " and ".join(f"{facts.rows[stream]:,} {stream}" for stream in STREAMS)
    late = f"{facts.late} came late, " if facts.late else ""
    return _told(
        f"{rows}, with properties in {events} event tables: "
        f"{late}{facts.duplicates} rows are loads of a call that is there already, {sum(facts.rejected.values())} calls break a rule"
    )


def _plan_view(plan: Plan) -> RenderableType:
    actions = plan.actions
    return _told(
        f"{plan.rows:,} calls: send {actions['events']:,} events and {actions['customer upserts']:,} customer upserts, "
        f"merge {actions['merged']:,}, skip {actions['unchanged']:,} unchanged, reject {actions['rejected']:,}"
    )


def _sides_view(demo: _Demo) -> Iterator[RenderableType]:
    grid = Grid(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    grid.add_column("   both sides, so far")
    grid.add_column("sync state says", justify="right")
    grid.add_column("the local Rehook has", justify="right")
    grid.add_column()
    for name, (ours, theirs) in demo.sides[-1].items():
        mark = Text("equal", "green") if ours == theirs else Text("differ", "bold red")
        grid.add_row(f"   {name}", f"{ours:,}", f"{theirs:,}", mark)
    yield ""
    yield grid


def _farewell(demo: _Demo) -> Iterator[RenderableType]:
    remarks = ("how things stand", "the story of one customer", "run again: nothing is sent twice")
    yield ""
    yield line(("Try next", "bold"), (f"  the demo's files stay in {demo.folder}", "dim"))
    for remark, command in zip(remarks, demo.next, strict=True):
        yield line((f"  # {remark}", "dim"))
        yield f"  {command}".replace(" --config", " \\\n    --config")  # short enough for a terminal of 80 columns
    if taken := sorted(name for name in os.environ if name.upper().startswith(PREFIX)):
        yield line(f"note: {', '.join(taken)} would win over the demo's settings; unset it first", style="yellow")


def _commands(demo: _Demo, sync: Sync) -> list[str]:
    config = shlex.quote(str(demo.config))
    program = f"{shlex.quote(_python())} -m rehook_sync"
    user_id = shlex.quote(_story(demo, sync))
    return [f"{program} {command} --config {config}" for command in ("status", f"explain {user_id}", "run")]


def _python() -> str:
    """Return this Python as the user would call it here."""
    found = shutil.which("python")
    if found == sys.executable:
        return "python"
    here = Path(sys.executable)
    return str(here.relative_to(Path.cwd())) if here.is_relative_to(Path.cwd()) else str(here)


def _story(demo: _Demo, sync: Sync) -> str:
    """Return the customer with the most varied history in at most six calls."""

    def variety(rows: Sequence[Mapping[str, object]]) -> int:
        kinds = {(row["stream"], row["status"]) for row in rows} | {row["run_id"] for row in rows} | {row["reason"] for row in rows}
        return len(kinds) if len(rows) <= _LONGEST_STORY else 0

    return max(list(demo.sandbox.store.customers)[:_STORIES], key=lambda user_id: variety(sync.explain(user_id, warehouse=False).rows))


def _document(demo: _Demo) -> dict[str, object]:
    return {
        "directory": str(demo.folder),
        "config": str(demo.config),
        "sandbox_url": demo.sandbox.url,
        "batches": [asdict(each) for each in demo.facts],
        "runs": [run_document(each) for each in demo.results],
        "both_sides": [{name: {"sync_state": ours, "rehook": theirs} for name, (ours, theirs) in each.items()} for each in demo.sides],
        "next": demo.next,
    }
