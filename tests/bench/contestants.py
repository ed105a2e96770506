"""Who is measured, and how each is made ready. What makes ready is not timed; the whole process that then runs is."""

import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench import figures
from bench.databases import Databases
from bench.machine import FOLDER, Command, run_quietly
from bench.peer_drt import ENVIRON, write_project
from bench.records import Case
from bench.rows import CREDENTIALS

__all__ = ["Peers", "Site", "contestants", "our_command", "prepare_ours"]

_PROGRAM = [sys.executable, "-m", "rehook_sync"]
_SCRIPTS = {"PYTHONPATH": str(FOLDER.parent)}


@dataclass(frozen=True)
class Peers:
    """Where the environments of the peers are; None for those that are not installed."""

    folder: Path | None

    def program(self, peer: str, name: str) -> str | None:
        path = self.folder.resolve() / peer / "bin" / name if self.folder else None
        return str(path) if path and path.exists() else None


@dataclass(frozen=True)
class Site:
    """What a contestant finds: a case, the databases, where to send, and a folder that lasts until its second run is over."""

    case: Case
    databases: Databases
    api: str
    folder: Path

    def fresh_folder(self) -> Path:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        return self.folder


Prepare = Callable[[Site], Command]


def contestants(peers: Peers) -> Mapping[str, Prepare]:
    """Name -> how to make it ready, for all that are there."""
    found: dict[str, Prepare] = {
        figures.OURS: prepare_ours,
        figures.OURS_PLAIN: lambda site: prepare_ours(site, environ={"PYTHONPATH": str(FOLDER / "without_uvloop")}),
        figures.LIMIT: lambda site: _prepare_limit(site, "--uvloop"),
        figures.LIMIT_PLAIN: _prepare_limit,
    }
    found[figures.KEEPING] = _prepare_keeping
    found[figures.OURS_TWO] = lambda site: prepare_ours(site, "--workers", "2")
    python = peers.program("dlt", "python")
    if python:
        found[figures.DLT] = lambda site: _prepare_dlt(site, python, "sqlalchemy")
        found[figures.DLT_ARROW] = lambda site: _prepare_dlt(site, python, "pyarrow")
    drt = peers.program("drt", "drt")
    if drt:
        found[figures.DRT] = lambda site: _prepare_drt(site, drt)
    return found


def our_command(site: Site, url: str, *options: str, environ: Mapping[str, str] | None = None) -> Command:
    """A run over the warehouse at a URL; the sync-state tables are in the same database, unless the case says elsewhere."""
    settings = {
        "WAREHOUSE_URL": url,
        "API_URL": site.api,
        "API_KEY": CREDENTIALS[0],
        "API_SECRET": CREDENTIALS[1],
        "CUSTOMER_UPDATES": "every",
        "ANONYMOUS_CALLS": "allow_with_user_id",
        "CONCURRENCY": str(site.case.in_flight),
    }
    if site.case.elsewhere:
        settings["STATE_URL"] = site.databases.beside(site.case.layout)
    run = [*_PROGRAM, "run", "--json", *options]
    variables = {f"REHOOK_SYNC_{name}": value for name, value in settings.items()}
    return Command([*run, "--since", "beginning"], site.fresh_folder(), {**variables, **(environ or {})}, again=run)


def prepare_ours(site: Site, *options: str, environ: Mapping[str, str] | None = None) -> Command:
    """A copy of the warehouse that nothing was sent from yet."""
    command = our_command(site, site.databases.copy(site.case.layout), *options, environ=environ)
    run_quietly([*_PROGRAM, "init"], command)
    return command


def _prepare_limit(site: Site, *options: str) -> Command:
    folder = site.fresh_folder()
    words = [sys.executable, "-m", "bench.limit", "--database", site.databases.pristine(site.case.layout), "--api", site.api]
    words += ["--cursors", str(folder / "cursors.json"), "--in-flight", str(site.case.in_flight), *options]
    return Command(words, folder, _SCRIPTS)


def _prepare_keeping(site: Site) -> Command:
    folder, layout = site.fresh_folder(), site.case.layout
    words = [sys.executable, "-m", "bench.keeping", "--database", site.databases.pristine(layout), "--api", site.api]
    words += ["--books", site.databases.beside(layout), "--cursors", str(folder / "cursors.json"), "--in-flight", str(site.case.in_flight)]
    return Command(words, folder, _SCRIPTS)


def prepare_count(url: str, folder: Path) -> Command:
    """The warehouse's own count of what its lookback holds."""
    return Command([sys.executable, "-m", "bench.count", "--database", url], folder, _SCRIPTS)


def _prepare_dlt(site: Site, python: str, backend: str) -> Command:
    folder = site.fresh_folder()
    words = [python, "-W", "ignore", "-m", "bench.peer_dlt", "--database", site.databases.pristine(site.case.layout)]
    words += ["--api", site.api, "--folder", str(folder), "--backend", backend, "--in-flight", str(site.case.in_flight)]
    return Command(words, folder, _SCRIPTS)


def _prepare_drt(site: Site, program: str) -> Command:
    folder = site.fresh_folder()
    write_project(folder, site.databases.pristine(site.case.layout), site.api)
    return Command([program, "run", "-q", "--threads", "2"], folder, ENVIRON)
