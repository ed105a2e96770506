"""The dbt package, run by real dbt on each adapter over a warehouse that real runs have synced, set up as its README says.

What the models count is held against the warehouse and the sync-state tables, counted here.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from accounting import read_rows
from house.dictionary import plain, read_dictionary, read_section
from sqlalchemy import make_url
from warehouse import identify, make_warehouse, run_sql

from rehook_sync.database.engine import utc_text
from rehook_sync.demo.shop import CONVERSION_EVENTS, add_second_batch, build_shop
from rehook_sync.models import STREAMS, Reason, RunKind, RunStatus, Status, Trigger
from rehook_sync.sandbox.server import Sandbox

from .conftest import ROOT, Program, write_settings

pytestmark = pytest.mark.timeout(300)  # seconds of work on an idle machine, but several processes deep

PACKAGE = ROOT / "sql" / "dbt"
README = (PACKAGE / "README.md").read_text(encoding="utf-8")
BIN = Path(sys.prefix) / "dbt" / "bin"
EXAMPLE_FILE = "/srv/rehook-sync/warehouse.db"
EXAMPLE_CHECKOUT = "/srv/rehook-sync/sql/dbt"
ZONE = "America/New_York"
NOWHERE = "http://127.0.0.1:9"
COMMANDS = re.findall(r"^dbt .+$", README, re.MULTILINE)
MODELS = ("rehook_coverage", "fct_rehook_deliveries", "dim_rehook_customers")
OUTCOMES = (*Status, "not_judged")
RUN_DBT = """
import json, shlex, sys
from dbt.cli.main import dbtRunner
seen, failed = [], False
for line in sys.argv[2:]:
    done = dbtRunner().invoke(shlex.split(line)[1:])
    failed = failed or not done.success
    results = done.result if line.split()[1] in ("build", "source") else ()
    seen.append({each.node.unique_id.split(".")[2]: str(each.status) for each in results})
with open(sys.argv[1], "w") as file:
    json.dump(seen, file)
sys.exit(failed)
"""
"""Several commands in one process, which saves most of their time; what became of each thing they looked at goes to a file."""
ASK_DUCKDB = """
import duckdb, json, sys
connection = duckdb.connect(sys.argv[1], read_only=len(sys.argv) < 4)
for statement in sys.argv[3:]:
    connection.execute(statement)
found = connection.execute(sys.argv[2])
names = [column[0] for column in found.description]
print(json.dumps([dict(zip(names, row)) for row in found.fetchall()], default=str))
"""


def blocks(heading: str) -> dict[str, str]:
    """The files that a section of the README shows, by the name in their first line."""
    section = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", README, re.DOTALL | re.MULTILINE)
    assert section, f"no section {heading!r}"
    return dict(re.findall(r"```yaml\n# (\S+)\n(.*?)```", section[1], re.DOTALL))


@dataclass
class Shop:
    """A Segment warehouse with the sync-state tables beside it, and the Rehook it is synced to."""

    folder: Path
    url: str
    sandbox: Sandbox
    program: Program = field(init=False)
    others: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Two weeks of a shop; the settings that lead to it."""
        self.program = Program(self.folder)
        build_shop(self.url, users=50, now=datetime.now(UTC) - timedelta(hours=30), schema=self.schema)
        key, secret = self.sandbox.credentials
        where = {"warehouse_url": self.url, "api_url": self.sandbox.url, "api_key": key, "api_secret": secret, "start_at": "beginning"}
        more = {"conversion_events": list(CONVERSION_EVENTS), "max_attempts": 1, **({"warehouse_schema": "shop"} if self.schema else {})}
        write_settings(self.folder / "rehook_sync.toml", {**where, **more})
        assert self.program("init").code == 0

    @property
    def schema(self) -> str | None:
        return "shop" if self.url.startswith("postgresql") else None

    def table(self, name: str) -> str:
        """A table as SQL names it."""
        schema = "rehook_sync" if name.startswith("sync_") else self.schema
        return f"{schema}.{name}" if self.schema else name

    def run(self) -> None:
        """One run of the command line."""
        assert self.program("run").code in {0, 3}

    def run_in_trouble(self) -> None:
        """A run after which there is something of everything: refused, failed, blocked, in doubt."""
        self.sandbox.faults.add("drop_before", event_name="Order Completed", times=3)
        self.sandbox.faults.add("status", status=503, path="/customers", times=2)
        self.sandbox.faults.add("status", status=422, event_name="Product Viewed", times=2)
        self.run()
        self.sandbox.faults.clear()

    def more_arrives(self) -> None:
        """A day later: new and late calls, repeated loads."""
        add_second_batch(self.url, datetime.now(UTC), schema=self.schema)

    def views_arrive(self) -> None:
        """A table of other calls, which is a stream from now on."""
        now = datetime.now(UTC)
        rows = [identify(f"page-{at}", None if at == 3 else f"user-{at}", now - timedelta(hours=at), name="Home") for at in range(1, 8)]
        make_warehouse(self.url, {"pages": rows}, schema=self.schema)
        self.others = {"pages": "Page Viewed"}
        done = self.program("run", "--stream", "pages", "--since", "2d", REHOOK_SYNC_OTHER_CALLS="pages=Page Viewed")
        assert done.code in {0, 3}

    def state(self) -> list[dict[str, Any]]:
        """Every row of sync_state."""
        return read_rows(self.url, f"SELECT * FROM {self.table('sync_state')}")

    def loaded(self, stream: str, since: str) -> list[dict[str, Any]]:
        """The rows of a table received on a day or later, newest first, with `received_at` as text in UTC."""
        found = read_rows(self.url, f"SELECT * FROM {self.table(stream)} ORDER BY received_at DESC")
        return [{**row, "received_at": at} for row in found if (at := moment(row["received_at"])) >= since]

    def coverage(self, since: str = "") -> Counter[tuple[object, ...]]:
        """What coverage must say: (day, stream, event, outcome) and (day, stream, event, rejected_ and the reason) -> calls."""
        judged = {(row["stream"], row["message_id"]): row for row in self.state()}
        nameless = {(stream, moment(row["received_at"])): row for (stream, id_), row in judged.items() if id_.startswith("null-id:")}
        counted: Counter[tuple[object, ...]] = Counter()
        for stream in (*STREAMS, *self.others):
            calls: dict[object, dict[str, Any]] = {}
            for row in self.loaded(stream, since):
                calls[row["id"] if row["id"] and row["id"].strip() else (row["received_at"],)] = row
            for key, call in calls.items():
                found = nameless.get((stream, call["received_at"])) if isinstance(key, tuple) else judged.get((stream, key))
                named = call.get("event_text") or call.get("event")
                event = None if stream == "identifies" else self.others.get(stream, named)
                where = (call["received_at"][:10], stream, event)
                counted[*where, found["status"] if found else "not_judged"] += 1
                if found and found["status"] == "rejected":
                    counted[*where, f"rejected_{found['reason']}"] += 1
        return counted


def moment(value: object) -> str:
    """A time of either database as text in UTC; SQLite's are without a zone or in UTC."""
    found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return utc_text(found.replace(tzinfo=UTC) if found.tzinfo is None else found)


@dataclass
class Project:
    """A dbt project of a user, which installs the package; `url` is set where the models go into PostgreSQL."""

    folder: Path
    environ: Mapping[str, str]
    url: str | None = None

    def dbt(self, *lines: str, code: int = 0) -> list[dict[str, str]]:
        """Run commands of dbt, away from any network and in a zone that is not UTC.

        Gives, for each build and each look at freshness, how it went with each thing, by its name; for others an empty dict.
        """
        assert (BIN / "dbt").exists(), "dbt is not installed: make test does it"
        base = {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "HOME": str(self.folder), "TZ": ZONE, "PGTZ": ZONE}
        quiet = {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "HTTP_PROXY": NOWHERE, "HTTPS_PROXY": NOWHERE, **self.environ}
        done = subprocess.run(
            [str(BIN / "python"), "-c", RUN_DBT, "results.json", *lines],
            cwd=self.folder,
            env={**base, **quiet},
            capture_output=True,
            text=True,
            timeout=250,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        found = json.loads((self.folder / "results.json").read_text(encoding="utf-8"))
        assert isinstance(found, list)
        return found

    def read(self, artifact: str) -> dict[str, Any]:
        """An artifact of dbt."""
        found = json.loads((self.folder / "target" / f"{artifact}.json").read_text(encoding="utf-8"))
        assert isinstance(found, dict)
        return found

    def ask(self, query: str) -> list[dict[str, Any]]:
        """What a query on the models gives; days and times as text in UTC."""
        if self.url is None:
            return ask_duckdb(self.folder, self.folder / "analytics.duckdb", query)
        found = make_url(self.url).update_query_dict({"options": "-csearch_path=analytics"})
        return read_rows(found.render_as_string(hide_password=False), query)


def ask_duckdb(home: Path, path: Path | str, query: str, *first: str) -> list[dict[str, Any]]:
    command = [str(BIN / "python"), "-c", ASK_DUCKDB, str(path), query, *first]
    done = subprocess.run(command, env={"HOME": str(home), "TZ": "UTC"}, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, list)
    return found


def install_extensions(home: Path) -> None:
    """Do what the README says for a machine without a network."""
    (command,) = re.findall(r'^python -c "(.*import_extension.*)"$', README, re.MULTILINE)
    subprocess.run([str(BIN / "python"), "-c", command], env={"HOME": str(home)}, check=True, capture_output=True, timeout=60)


def make_project(folder: Path, heading: str, url: str) -> Project:
    """A project as a section of the README sets it up for the database behind a URL."""
    folder.mkdir()
    files = {**blocks("Install"), **blocks(heading)}
    assert files.keys() == {"packages.yml", "profiles.yml", "dbt_project.yml"}
    for name, content in files.items():
        filled = content.replace(EXAMPLE_CHECKOUT, str(PACKAGE)).replace(EXAMPLE_FILE, str(make_url(url).database))
        assert content == filled or EXAMPLE_FILE not in filled
        (folder / name).write_text(filled, encoding="utf-8")
    if heading != "PostgreSQL":
        install_extensions(folder)
    if heading == "DuckDB on SQLite":
        return Project(folder, {})
    place = make_url(url)
    host, password = str(place.host or place.query["host"]), place.password or "none"
    environ = {"PGHOST": host, "PGUSER": place.username or "postgres", "PGPASSWORD": str(password), "PGDATABASE": place.database or ""}
    return Project(folder, environ | ({"PGPORT": str(place.port)} if place.port else {}), url if heading == "PostgreSQL" else None)


@pytest.fixture(params=["PostgreSQL", "DuckDB on PostgreSQL", "DuckDB on SQLite"])
def heading(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def shop(request: pytest.FixtureRequest, heading: str, tmp_path: Path, sandbox: Sandbox) -> Iterator[Shop]:
    url = f"sqlite:///{tmp_path / 'shop.db'}" if heading.endswith("SQLite") else str(request.getfixturevalue("postgres_url"))
    made = Shop(tmp_path, url, sandbox)
    yield made
    made.program.end_all()


def check_coverage(project: Project, shop: Shop, since: str = "") -> Counter[str]:
    """Hold rehook_coverage, from a day on, against what is there; gives the calls by outcome."""
    names = [*OUTCOMES, *(f"rejected_{reason}" for reason in rejection_reasons())]
    found = Counter(
        {
            (str(row["day"]), row["stream"], row["event"], name): row[name]
            for row in project.ask("SELECT * FROM rehook_coverage")
            for name in names
            if row[name]
        }
    )
    assert found == shop.coverage(since)
    loads = sum(len(shop.loaded(stream, since)) for stream in (*STREAMS, *shop.others))
    assert project.ask("SELECT sum(loads) AS loads, sum(calls) AS calls FROM rehook_coverage") == [
        {"loads": loads, "calls": sum(n for (*_, name), n in found.items() if name in OUTCOMES)}
    ]
    return Counter({name: sum(n for (*_, each), n in found.items() if each == name) for name in names})


def check_deliveries(project: Project, shop: Shop) -> None:
    """Hold fct_rehook_deliveries and dim_rehook_customers against the sync-state tables."""
    columns = ("stream", "message_id", "user_id", "event", "status", "reason", "http_status", "attempts", "run_id")
    times = ("received_at", "settled_at")

    def facts(row: Mapping[str, Any]) -> tuple[object, ...]:
        return (*(row[name] for name in columns), *(None if row[name] in {None, ""} else moment(row[name]) for name in times))

    state = shop.state()
    assert {facts(row) for row in project.ask("SELECT * FROM fct_rehook_deliveries")} == {facts(row) for row in state}
    users = Counter(row["user_id"] for row in state if row["user_id"] is not None)
    customers = {row["user_id"]: row for row in project.ask("SELECT * FROM dim_rehook_customers")}
    owners = {row["source_id"]: row["referral_code"] for row in read_rows(shop.url, f"SELECT * FROM {shop.table('sync_customers')}")}
    assert {user_id: row["calls"] for user_id, row in customers.items() if row["calls"]} == users
    assert {user_id: row["referral_code"] for user_id, row in customers.items() if user_id in owners} == owners
    troubled = {row["user_id"] for row in state if row["status"] in {"failed", "in_doubt", "sending"}}
    assert {user_id for user_id, row in customers.items() if row["needs_attention"]} == troubled
    took = project.ask("SELECT min(settled_after_s) AS least, count(settled_after_s) AS settled FROM fct_rehook_deliveries")[0]
    assert took["least"] > 0
    assert took["settled"] == sum(row["settled_at"] is not None and row["received_at"] is not None for row in state)


def rejection_reasons() -> list[str]:
    """The reasons of the dictionary that belong to rejected calls."""
    return [row["reason"].strip("`") for row in read_section("Reasons")[1] if row["status"] == "`rejected`"]


def check_build(results: Mapping[str, str]) -> None:
    assert set(results.values()) <= {"success", "pass", "no-op"}, results
    assert set(MODELS) <= results.keys()
    assert sum(status == "pass" for status in results.values()) > 40


def test_dbt_builds_and_its_numbers_are_those_of_the_tables(shop: Shop, heading: str, tmp_path: Path) -> None:
    shop.run_in_trouble()
    shop.more_arrives()
    project = make_project(tmp_path / "project", heading, shop.url)
    deps, build, freshness, docs = COMMANDS
    _, built, fresh, _ = project.dbt(deps, build, freshness, docs)
    check_build(built)
    assert fresh == {"rehook_sync": "pass"}
    by_outcome = check_coverage(project, shop)
    assert all(by_outcome[name] for name in ("sent", "merged", "rejected_refused_by_rehook", "failed", "in_doubt", "not_judged")), (
        by_outcome
    )
    check_deliveries(project, shop)
    check_docs(project)
    shop.run()
    shop.views_arrive()
    since = f"{datetime.now(UTC) - timedelta(days=5):%Y-%m-%d}"
    check_build(project.dbt(f"{build} --vars '{{rehook_coverage_since: {since}, rehook_other_calls: {{pages: Page Viewed}}}}'")[0])
    late = check_coverage(project, shop, since)
    assert late["not_judged"] == 0
    assert 0 < late["sent"] < by_outcome["sent"]


def test_dbt_works_on_a_copy(tmp_path: Path, postgres_url: str, sandbox: Sandbox) -> None:
    shop = Shop(tmp_path, postgres_url, sandbox)
    shop.run_in_trouble()
    published = shop.program("publish", "--json", REHOOK_SYNC_PUBLISH_SCHEMA="rehook")
    assert published.code == 0, published.err
    project = make_project(tmp_path / "project", "PostgreSQL", shop.url)
    (project.folder / "dbt_project.yml").write_text(blocks("On a copy")["dbt_project.yml"], encoding="utf-8")
    # The sync-state itself is out of reach, and dbt must not miss it.
    run_sql(shop.url, "ALTER SCHEMA rehook_sync RENAME TO elsewhere")
    deps, build, freshness, _ = COMMANDS
    _, built, fresh = project.dbt(deps, build, freshness)
    check_build(built)
    assert fresh == {"rehook_sync": "pass"}
    run_sql(shop.url, "ALTER SCHEMA elsewhere RENAME TO rehook_sync")
    check_coverage(project, shop)
    check_deliveries(project, shop)


def check_docs(project: Project) -> None:
    """Every column that exists is described; those of the sync-state tables by the dictionary's own words."""
    manifest, catalog = project.read("manifest"), project.read("catalog")
    models = {name: node for name, node in manifest["nodes"].items() if node["resource_type"] == "model"}
    written = catalog["nodes"]["model.rehook_sync.rehook_coverage"]
    assert written["metadata"]["comment"] == models["model.rehook_sync.rehook_coverage"]["description"]
    assert written["columns"]["not_judged"]["comment"] == "Calls that no run has judged yet."
    assert {name: set(catalog["nodes"][name]["columns"]) for name in models} == {
        name: set(node["columns"]) for name, node in models.items()
    }
    sources = {each["name"]: each for each in manifest["sources"].values() if each["source_name"] == "rehook_sync"}
    dictionary = read_dictionary()
    for name, source in sources.items():
        described = {each: column["description"] for each, column in source["columns"].items()}
        assert described == {column.name: plain(column.holds) for column in dictionary[name].columns}
        assert source["description"] == plain(dictionary[name].about)
    everything = [*models.values(), *manifest["sources"].values()]
    empty = [each["name"] for each in everything if not each["description"] or not all(c["description"] for c in each["columns"].values())]
    assert empty == []
    (exposure,) = manifest["exposures"].values()
    assert {each.rpartition(".")[2] for each in exposure["depends_on"]["nodes"]} >= {"identifies", "tracks", "rehook_coverage"}


@pytest.mark.parametrize("heading", ["DuckDB on SQLite"])
def test_dbt_notices_what_is_wrong(shop: Shop, heading: str, tmp_path: Path) -> None:
    shop.run()
    old = "2026-01-01T00:00:00.000000Z"
    run_sql(
        shop.url,
        f"UPDATE sync_runs SET sent = sent + 1, finished_at = '{old}'",
        "UPDATE sync_state SET reason = 'a whim' WHERE status = 'rejected' AND reason = 'missing_user_id'",
        "UPDATE sync_state SET run_id = 'nobody' WHERE status = 'unchanged'",
        "UPDATE sync_state SET sent_as = 'nothing' WHERE status = 'merged'",
    )
    project = make_project(tmp_path / "project", heading, shop.url)
    deps, build, freshness, _ = COMMANDS
    _, built, fresh = project.dbt(deps, build, freshness, code=1)
    assert {name for name, status in built.items() if status == "fail"} == {
        "source_rehook_adds_up_rehook_sync_sync_runs_sent__rejected__failed__in_doubt__unchanged__merged__waiting__skipped__rows_read",
        "rehook_sync_state_rejections_have_a_known_reason",
        "source_relationships_rehook_sync_sync_state_run_id__run_id__source_rehook_sync_sync_runs_",
        "source_relationships_rehook_sync_sync_state_sent_as__message_id__source_rehook_sync_sync_state_",
    }
    assert fresh == {"rehook_sync": "error"}
    check_accepted_values(project)


def check_accepted_values(project: Project) -> None:
    """The words that the tests accept are those of the program, and coverage has a column for each reason to reject."""
    nodes = project.read("manifest")["nodes"]
    tests = [each["test_metadata"] for each in nodes.values() if each["resource_type"] == "test" and each.get("test_metadata")]
    accepted = {frozenset(each["kwargs"]["values"]) for each in tests if each["name"] == "accepted_values"}
    rejected = frozenset(rejection_reasons())
    assert accepted == {
        *(frozenset(kind) for kind in (Status, Trigger, RunStatus, RunKind)),
        rejected,
        frozenset(Reason) - rejected,
    }
    columns = nodes["model.rehook_sync.rehook_coverage"]["columns"]
    assert {name.removeprefix("rejected_") for name in columns if name.startswith("rejected_")} == rejected


def test_the_views_can_be_read_through_duckdb(tmp_path: Path, sandbox: Sandbox) -> None:
    shop = Shop(tmp_path, f"sqlite:///{tmp_path / 'shop.db'}", sandbox)
    shop.run_in_trouble()
    install_extensions(tmp_path)
    attach = f"ATTACH '{tmp_path / 'shop.db'}' AS shop (TYPE sqlite, READ_ONLY)"
    views = [str(row[0]) for row in run_sql(shop.url, "SELECT name FROM sqlite_master WHERE type = 'view'")]
    counts = " UNION ALL ".join(f"SELECT '{name}' AS name, count(*) AS n FROM shop.{name}" for name in views)
    found = {row["name"]: row["n"] for row in ask_duckdb(tmp_path, ":memory:", counts, attach)}
    assert found == {name: run_sql(shop.url, f"SELECT count(*) FROM {name}")[0][0] for name in views}
    assert len(found) == 10


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git on this machine")
def test_dbt_installs_the_package_from_a_repository(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    shutil.copytree(PACKAGE, repository / "sql" / "dbt")
    who = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.com")
    for arguments in (("init", "-q", "-b", "main"), ("add", "."), (*who, "commit", "-q", "-m", "a package")):
        subprocess.run(
            ["git", *arguments], cwd=repository, check=True, capture_output=True, env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
        )
    project = make_project(tmp_path / "project", "DuckDB on SQLite", f"sqlite:///{tmp_path / 'shop.db'}")
    (git,) = re.findall(r"```yaml\n(packages:\n  - git:.*?)```", README, re.DOTALL)
    (project.folder / "packages.yml").write_text(git.replace("https://git.example.com/rehook-sync.git", str(repository)), encoding="utf-8")
    project.dbt("dbt deps", "dbt parse")
    nodes = project.read("manifest")["nodes"].values()
    assert {each["name"] for each in nodes if each["package_name"] == "rehook_sync"} >= set(MODELS)
