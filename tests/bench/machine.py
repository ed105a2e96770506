"""Runs a command and says what it, the receiver, the database and everybody else used meanwhile; and what machine this is."""

import json
import os
import platform
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.databases import Databases
from bench.records import Case, Record

__all__ = ["Command", "ReceiverProcess", "describe_machine", "measure", "open_receiver"]

FOLDER = Path(__file__).resolve().parent
TIMEOUT_S = 1800


@dataclass(frozen=True)
class Command:
    """What is started, where, and with which variables beside PATH; `again` is its second run, if that is another command."""

    words: Sequence[str]
    folder: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    again: Sequence[str] = ()


@dataclass(frozen=True)
class ReceiverProcess:
    """The receiver. Shape:  ports: latency in milliseconds -> port."""

    ports: Mapping[int, int]

    def url(self, latency_ms: int) -> str:
        return f"http://127.0.0.1:{self.ports[latency_ms]}"

    def clear(self) -> None:
        """Begin to count anew."""
        self._ask("clear")

    def counts(self) -> dict[str, Any]:
        """Requests, distinct ones, and CPU seconds since it was last cleared."""
        return self._ask("counts")

    def _ask(self, what: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url(0)}/bench/{what}", timeout=30) as answer:
            found = json.load(answer)
        assert isinstance(found, dict)
        return found


@contextmanager
def open_receiver(latencies_ms: Sequence[int]) -> Iterator[ReceiverProcess]:
    """Start the receiver and end it."""
    words = [sys.executable, str(FOLDER / "receiver.py"), *map(str, latencies_ms)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            ports = json.loads(process.stdout.readline())
            yield ReceiverProcess({int(latency): port for latency, port in ports.items()})
        finally:
            process.terminate()


def run_quietly(words: Sequence[str], command: Command) -> None:
    """Run something that is not measured, to its end."""
    done = subprocess.run(words, cwd=command.folder, env=_environ(command), capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: exit {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")


def measure(case: Case, who: str, command: Command, *, databases: Databases | None, receiver: ReceiverProcess, round_: int) -> Record:
    """Run a command once and look at what was used and what arrived."""
    words = command.again if case.again and command.again else command.words
    cpu_of_database = databases.read_cpu_s if databases else float
    receiver.clear()
    database_s, busy_s = cpu_of_database(), _read_busy_s()
    used, said = _launch(words, command)
    busy_s, database_s = _read_busy_s() - busy_s, cpu_of_database() - database_s
    counts = receiver.counts()
    problem = None
    if used["code"] != 0:
        problem = f"exit {used['code']}: {said[-400:].strip()}"
    elif not counts["requests"] == counts["distinct"] == case.expected:
        problem = f"{counts['requests']} requests arrived, {counts['distinct']} distinct, {case.expected} expected"
    return Record(
        case,
        who,
        round_,
        wall_s=used["wall_s"],
        cpu_s=used["cpu_s"],
        peak_mb=used["peak_mb"],
        requests=counts["requests"],
        receiver_cpu_s=counts["cpu_s"],
        database_cpu_s=database_s,
        strangers=max(0.0, (busy_s - used["cpu_s"] - counts["cpu_s"] - database_s) / used["wall_s"]),
        problem=problem,
    )


def describe_machine() -> dict[str, str]:
    """What a reader must know to compare."""
    model = next((line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    memory = next(int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal"))
    names = ("aiohttp", "httpx", "uvloop", "orjson", "sqlalchemy", "pandas", "psycopg")
    return {
        "Date": time.strftime("%Y-%m-%d", time.gmtime()),
        "Machine": f"{os.cpu_count()} cores, {model}, {memory / 2**20:.0f} GB of memory, {platform.system()} {platform.release()}",
        "Versions": ", ".join(
            [f"rehook-sync {version('rehook-sync')}", f"Python {platform.python_version()}", *(f"{each} {version(each)}" for each in names)]
        ),
    }


def _launch(words: Sequence[str], command: Command) -> tuple[dict[str, Any], str]:
    """Run by way of the launcher; gives what it wrote, and the output of the command."""
    result, output = command.folder / "launch.json", command.folder / "launch.log"
    result.unlink(missing_ok=True)
    with output.open("wb") as log:
        launcher = [sys.executable, "-S", "-E", str(FOLDER / "launch.py"), str(result), *words]
        process = subprocess.Popen(
            launcher, cwd=command.folder, env=_environ(command), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
        try:
            process.wait(TIMEOUT_S)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
    said = output.read_text(encoding="utf-8", errors="replace")
    if not result.exists():
        raise RuntimeError(f"{words[0]} could not be started:\n{said}")
    found = json.loads(result.read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found, said


def _environ(command: Command) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(command.folder), "LANG": "C.UTF-8", **command.environ}


def _read_busy_s() -> float:
    """Seconds for which all cores together were not idle, since the machine started."""
    user, nice, system, _, _, irq, softirq, steal = map(int, _lines("/proc/stat")[0].split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines()
