"""A fresh Airflow for this process and runs of our DAGs in it, beside a sample shop and a local Rehook.

Airflow reads where it lives when it is imported, so this module says it first, and all tests here import it before Airflow.
"""

import atexit
import json
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOME = Path(tempfile.mkdtemp(prefix="rehook-airflow-"))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)
OWN = HOME / "own"
"""DAGs as users write them, which tests put there."""
OWN.mkdir()
os.environ.update(
    AIRFLOW_HOME=str(HOME),
    AIRFLOW__CORE__DAGS_FOLDER=str(ROOT / "dags"),
    AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST=json.dumps(
        [
            {"name": name, "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle", "kwargs": {"path": str(path)}}
            for name, path in (("dags-folder", ROOT / "dags"), ("own", OWN))
        ]
    ),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{HOME / 'airflow.db'}",
    AIRFLOW__LOGGING__LOGGING_LEVEL="WARNING",
    AIRFLOW__OPENLINEAGE__TRANSPORT=json.dumps({"type": "file", "log_file_path": str(HOME / "lineage.json"), "append": True}),
)

from accounting import Audit, Books  # noqa: E402

from rehook_sync.demo.shop import CONVERSION_EVENTS, ShopFacts, build_shop  # noqa: E402
from rehook_sync.sandbox.server import Sandbox  # noqa: E402
from rehook_sync.sandbox.store import Behaviour  # noqa: E402

__all__ = [
    "HOME",
    "ROOT",
    "AirflowShop",
    "Ended",
    "airflow_database",
    "airflow_shop",
    "an_hour_ago",
    "asset_events",
    "load_dag",
    "run_again",
    "run_dag",
    "run_own_dag",
]


@dataclass(frozen=True)
class Ended:
    """How a DAG run ended.

    Shape:  tasks: (task id, map index) -> state.  tries: the same -> number of the last attempt.  xcom: task id -> what its
            first instance returned.
    """

    state: str
    run_id: str
    tasks: Mapping[tuple[str, int], str]
    tries: Mapping[tuple[str, int], int]
    xcom: Mapping[str, Any]

    def states(self, task_id: str) -> Counter[str]:
        """How many instances of a task ended how."""
        return Counter(state for (name, _), state in self.tasks.items() if name == task_id)


def an_hour_ago() -> datetime:
    """When the rows of a shop end."""
    return datetime.now(UTC) - timedelta(hours=1)


@dataclass
class AirflowShop:
    """A sample shop whose connections Airflow knows."""

    url: str
    sandbox: Sandbox
    facts: ShopFacts
    audit: Audit = field(init=False)

    def __post_init__(self) -> None:
        self.audit = Audit(self.url, received=self.sandbox.store)

    def run(self, settings: Mapping[str, object] | None = None, *, retries: int = 0, **conf: object) -> Ended:
        """Run the DAG to its end in this process; `settings` are arguments of the DAG, `retries` those of its tasks."""
        values = {"conversion_events": list(CONVERSION_EVENTS), "start_at": "beginning", **(settings or {})}
        return run_dag("rehook_sync", conf, {"settings": values, "retries": retries})

    def check(self, **options: Any) -> Books:
        """Hold warehouse, sync-state tables and what Rehook received against each other."""
        return self.audit.check(**options)


def load_dag(dag_id: str, folder: Path = ROOT / "dags") -> Any:
    """A DAG as its file makes it; there must be no error in any file."""
    bags: Any = import_module("airflow.dag_processing.dagbag" if find_spec("airflow.dag_processing.dagbag") else "airflow.models.dagbag")
    bag = bags.DagBag(str(folder))
    assert bag.import_errors == {}
    return bag.dags[dag_id]


def run_dag(dag_id: str, conf: Mapping[str, object], arguments: Mapping[str, object]) -> Ended:
    """Run a DAG with these arguments for all its tasks."""
    dag = load_dag(dag_id)
    for task in dag.tasks:
        for name, value in arguments.items():
            if task.is_mapped:
                task.partial_kwargs[name] = value
            else:
                setattr(task, name, value)
    return _ended(dag.test(run_conf=dict(conf), logical_date=None))


def run_own_dag(text: str, **conf: object) -> Ended:
    """Run the one DAG of a file as a user writes it."""
    for each in OWN.glob("*.py"):
        each.unlink()
    (OWN / f"own_{abs(hash(text))}.py").write_text(text, encoding="utf-8")
    (dag_id,) = re.findall(r"dag_id=\"(\w+)\"", text)
    return _ended(load_dag(dag_id, OWN).test(run_conf=dict(conf), logical_date=None))


def run_again(dag_id: str, run_id: str, task_id: str) -> Ended:
    """Do what follows when somebody clears one task of a run that has ended."""
    from airflow.models.dagrun import DagRun
    from airflow.sdk.definitions.dag import _run_task
    from airflow.utils.session import create_session

    with create_session() as session:
        run = session.query(DagRun).filter(DagRun.dag_id == dag_id, DagRun.run_id == run_id).one()
        (instance,) = [each for each in run.get_task_instances(session=session) if each.task_id == task_id]
        instance.try_number += 1
        session.commit()
        _run_task(ti=instance, task=load_dag(dag_id).task_dict[task_id])
        session.commit()
        return _ended(run)


def _ended(run: Any) -> Ended:
    instances = run.get_task_instances()
    xcom = {}
    for each in instances:
        if each.map_index <= 0:
            xcom[each.task_id] = each.xcom_pull(task_ids=each.task_id, map_indexes=each.map_index)
    return Ended(
        str(run.state),
        run.run_id,
        {(each.task_id, each.map_index): str(each.state) for each in instances},
        {(each.task_id, each.map_index): each.try_number for each in instances},
        xcom,
    )


def asset_events(run_id: str) -> dict[str, Any]:
    """Address of an asset -> what was said of it, for those that a DAG run announced."""
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session

    with create_session() as session:
        events = session.query(AssetEvent).filter(AssetEvent.source_run_id == run_id).all()
        return {event.asset.uri: event.extra for event in events}


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """Airflow's own tables, made once."""
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture
def airflow_shop(airflow_database: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AirflowShop]:
    """A fresh shop of 50 users on SQLite, nothing delivered yet, and Airflow's connections to it and to a fresh Rehook."""
    del airflow_database
    path = tmp_path / "shop.db"
    path.touch()
    url = f"sqlite:///{path}"
    facts = build_shop(url, users=50, now=an_hour_ago())
    with Sandbox(behaviour=Behaviour(conversion_events=frozenset(CONVERSION_EVENTS))) as sandbox:
        rehook = {"conn_type": "rehook", "host": sandbox.url, "login": sandbox.credentials.key, "password": sandbox.credentials.secret}
        monkeypatch.setenv("AIRFLOW_CONN_REHOOK_DEFAULT", json.dumps(rehook))
        monkeypatch.setenv("AIRFLOW_CONN_REHOOK_WAREHOUSE", json.dumps({"conn_type": "sqlite", "host": str(path)}))
        yield AirflowShop(url, sandbox, facts)
