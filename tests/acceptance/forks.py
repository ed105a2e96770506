"""The command line without the second that imports take: a process that has imported everything forks for each command.

To the kernel each is a process of its own, with its arguments, environment, folder, outputs and exit code.
"""

import atexit
import gc
import importlib
import json
import os
import pkgutil
import resource
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

ROOT = Path(__file__).resolve().parents[2]
__all__ = ["ROOT", "Done", "Forked", "Forks", "shared_forks"]


@dataclass(frozen=True)
class Done:
    """How a process ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object that stdout must hold."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


class Forked:
    """One process of the command line."""

    def __init__(self, forks: "Forks", pid: int, outputs: tuple[Path, Path]) -> None:
        self.pid = pid
        self.code: int | None = None
        self._forks = forks
        self._outputs = outputs

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal unless the process is gone; safe from another thread."""
        if self.code is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self.send_signal(signal.SIGKILL)

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        if self.code is None:
            self.code = self._forks.ask({"wait": self.pid})["code"]
        return self.code

    def wait(self, timeout_s: float = 60.0) -> Done:
        """Wait for its end."""
        until = time.monotonic() + timeout_s
        while self.poll() is None:
            descriptor = os.pidfd_open(self.pid)  # of a process that has ended, too: only a poll gives its number back
            try:
                ended, _, _ = select.select([descriptor], [], [], max(0.0, until - time.monotonic()))
            finally:
                os.close(descriptor)
            if not ended:
                self.kill()
            assert ended, "it did not end in time"
        out, err = (path.read_text(encoding="utf-8") for path in self._outputs)
        assert self.code is not None
        return Done(self.code, out, err)


class Forks:
    """Starts processes of the command line in next to no time: `with Forks() as forks: forks.start(folder, {}, "run")`."""

    def __init__(self) -> None:
        environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}",
            "OPENBLAS_NUM_THREADS": "1",
            "LANG": "C.UTF-8",
        }
        command = [sys.executable, "-m", "acceptance.forks"]
        self._server = subprocess.Popen(command, cwd=ROOT, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._outputs = tempfile.TemporaryDirectory(prefix="rehook-forks-")
        self._started = 0
        self._talking = threading.Lock()

    @property
    def pid(self) -> int:
        """The process that forks."""
        return self._server.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the process that forks."""
        self._server.communicate(timeout=30)
        self._outputs.cleanup()

    def ask(self, question: Mapping[str, object]) -> dict[str, Any]:
        """Ask the server of forks."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        with self._talking:
            self._server.stdin.write(json.dumps(question) + "\n")
            self._server.stdin.flush()
            answer = json.loads(self._server.stdout.readline())
        assert isinstance(answer, dict)
        return answer

    def start(self, folder: Path, environ: Mapping[str, str], *arguments: str, file_bytes: int | None = None) -> Forked:
        """Start a command in a folder. file_bytes: no file may grow beyond, as on a full disk."""
        self._started += 1
        out, err = (Path(self._outputs.name, f"{self._started}.{name}") for name in ("out", "err"))
        for path in (out, err):
            path.touch()  # a process may be killed before it opens them
        clean = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", **environ}
        order = {
            "arguments": arguments,
            "environ": clean,
            "folder": str(folder),
            "out": str(out),
            "err": str(err),
            "file_bytes": file_bytes,
        }
        return Forked(self, self.ask(order)["pid"], (out, err))


@cache
def shared_forks() -> Forks:
    """The one server of this test process; who closes it is `conftest.py`."""
    return Forks()


def serve_forks() -> bool:
    """Fork for each order on stdin, in the parent until the end of stdin; returns True in a child, ready to be the command."""
    _import_all()
    gc.freeze()
    assert len(list(Path("/proc/self/task").iterdir())) == 1, "a process with threads cannot be forked safely"
    while line := sys.stdin.readline():
        order = json.loads(line)
        if "wait" in order:
            found, status = os.waitpid(order["wait"], os.WNOHANG)
            answer = {"code": os.waitstatus_to_exitcode(status) if found else None}
        else:
            pid = os.fork()
            if pid == 0:
                _become(order)
                return True
            answer = {"pid": pid}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    return False


def _import_all() -> None:
    """Import what a command imports, what its libraries import at their first use, and read the SQL files."""
    from sqlalchemy import create_engine

    import rehook_sync
    from rehook_sync.database.queries import load_queries

    for name in ("uvloop", "encodings.idna", "encodings.utf_8_sig", "importlib.readers"):
        importlib.import_module(name)
    elsewhere = ("rehook_sync.airflow", "rehook_sync.database.dialects.google_client")  # what they import is in other environments
    for module in pkgutil.walk_packages(rehook_sync.__path__, "rehook_sync."):
        if not module.name.startswith(elsewhere):
            importlib.import_module(module.name)
    for dialect in ("sqlite", "postgresql"):
        create_engine(f"{dialect}://")
        for folder in ("state", "warehouse"):
            load_queries(folder, dialect)


def _become(order: Mapping[str, Any]) -> None:
    """Give this process the folder, environment and files of a command."""
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environ"])
    for descriptor, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, order["out"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        (2, order["err"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    ):
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    if order["file_bytes"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["file_bytes"], order["file_bytes"]))
    sys.argv = ["__main__.py", *order["arguments"]]


def _leave(code: object) -> NoReturn:
    """End as an interpreter does, but leave its modules as they are: taking them apart copies all memory shared with the parent.

    Threads that are not daemons are waited for, what is registered for the exit is called, and outputs are flushed.
    """
    assert isinstance(code, int)
    threading._shutdown()  # type: ignore[attr-defined] # of CPython, as the next line
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


if __name__ == "__main__" and serve_forks():
    from rehook_sync.__main__ import main

    try:
        main()
    except SystemExit as end:
        _leave(end.code)
