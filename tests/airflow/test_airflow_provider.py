"""What Airflow sees of the provider, and the parts of it that need no run."""

import json
import os
import pickle
import re
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from importlib.metadata import distribution, distributions, version
from pathlib import Path
from typing import Any

import airflow_home
import pytest
from airflow_home import ROOT, load_dag

from rehook_sync.airflow.xcom import Order, PlannedRun, ShardOrder
from rehook_sync.errors import (
    ApiDownError,
    CredentialsRefusedError,
    DatabaseError,
    LeaseHeldError,
    LeaseLostError,
    RehookSyncError,
    RunUnfinishedError,
    SettingsError,
    UsageError,
)
from rehook_sync.sandbox.server import Sandbox

airflow_database = airflow_home.airflow_database
HAS_POLICIES = not version("apache-airflow-core").startswith(("3.1.", "3.2."))
HEAVY = {"aiohttp", "httpx", "numpy", "pandas", "starlette", "uvicorn", "rich"}


def in_fresh_process(code: str) -> Any:
    """What a fresh interpreter writes as JSON on its last line."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR"}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_description_is_as_airflow_wants_it() -> None:
    import airflow
    from jsonschema import validate

    schema = json.loads((Path(airflow.__file__).parent / "provider_info.schema.json").read_text(encoding="utf-8"))
    form = json.loads((Path(airflow.__file__).parent / "provider.yaml.schema.json").read_text(encoding="utf-8"))
    (entry,) = distribution("rehook-sync").entry_points.select(group="apache_airflow_provider")
    info = entry.load()()
    validate(info, schema)
    validate(info["connection-types"], form["properties"]["connection-types"])
    assert info["package-name"] == distribution("rehook-sync").name


def test_the_description_loads_nothing() -> None:
    code = """
import json, sys
before = set(sys.modules)
import rehook_sync.airflow.provider
print(json.dumps(sorted(name for name in set(sys.modules) - before if name.partition(".")[0] not in sys.stdlib_module_names)))
"""
    assert in_fresh_process(code) == ["rehook_sync", "rehook_sync.airflow", "rehook_sync.airflow.provider"]


def test_airflow_finds_connection_type_form_links_and_assets() -> None:
    from airflow.providers_manager import ProvidersManager

    manager = ProvidersManager()
    hook = manager.hooks["rehook"]
    assert hook is not None
    assert (hook.hook_name, hook.connection_id_attribute_name) == ("Rehook", "rehook_conn_id")
    assert "rehook_sync.airflow.links.RunReportLink" in manager.extra_links_class_names
    assert "rehook" in manager.asset_uri_handlers


def test_the_dags_load_without_errors_and_without_heavy_libraries() -> None:
    code = f"""
import json, sys, time
import airflow.sdk, airflow.providers.standard.operators.hitl
before, began = set(sys.modules), time.monotonic()
sys.path.insert(0, {str(ROOT / "dags")!r})
import rehook_sync_dag, rehook_sync_attention_dag
print(json.dumps([time.monotonic() - began, sorted(set(sys.modules) - before)]))
"""
    began = time.monotonic()
    took_s, loaded = in_fresh_process(code)
    assert took_s < 3, f"parsing both files takes {took_s:.1f} of {time.monotonic() - began:.1f} seconds"
    assert HEAVY & set(loaded) == set()
    assert load_dag("rehook_sync").max_active_runs == 1


def test_the_dag_begins_with_a_schedule_or_an_event_of_the_warehouse_and_no_past() -> None:
    dag = load_dag("rehook_sync")
    assert dag.start_date is None
    assert dag.catchup is False
    assert dag.timetable.asset_condition is not None
    assert [task.task_id for task in dag.topological_sort()] == ["check", "plan", "deliver", "finish"]
    assert dag.task_dict["deliver"].is_mapped
    assert dag.task_dict["deliver"].pool == "default_pool", "a pool that is missing would hang the run for ever"


@pytest.mark.parametrize("value", ["beginning", "36h", "7d", "2026-11-01", "2026-11-01T12:30:00Z", "2026-11-01 12:30+02:00"])
def test_times_pass_the_form_and_the_task(value: str) -> None:
    from airflow.sdk import ParamsDict

    from rehook_sync.jobs.results import read_options

    params = ParamsDict({**load_dag("rehook_sync").params, "since": load_dag("rehook_sync").params.get_param("since")})
    params["since"] = value
    params.validate()
    assert read_options(value, None, None).since is not None


@pytest.mark.parametrize("value", ["yesterday", "2026-1-1", "12", "2026-11-01; rm"])
def test_what_is_no_time_does_not_pass_the_form(value: str) -> None:
    from airflow.exceptions import ParamValidationError

    params = load_dag("rehook_sync").params
    with pytest.raises(ParamValidationError):
        params["since"] = value


FINAL = [CredentialsRefusedError("no"), SettingsError("no"), UsageError("no"), LeaseLostError("no"), RunUnfinishedError("no")]


@pytest.mark.skipif(not HAS_POLICIES, reason="this Airflow knows no policies")
class TestRetries:
    """Which failed attempts are repeated, and when."""

    def decide(self, error: BaseException, try_number: int = 1) -> Any:
        from rehook_sync.airflow.retries import RehookRetryPolicy

        return RehookRetryPolicy().evaluate(error, try_number, 3)

    @pytest.mark.parametrize("error", FINAL)
    def test_what_another_attempt_would_meet_again_fails_at_once(self, error: RehookSyncError) -> None:
        assert self.decide(error).action.value == "fail"

    def test_retry_after_is_honoured(self) -> None:
        decision = self.decide(ApiDownError("later", 3600.0))
        assert (decision.action.value, decision.retry_delay) == ("retry", timedelta(hours=1))

    def test_waits_double_up_to_a_bound(self) -> None:
        waits = [self.decide(DatabaseError("lost"), number).retry_delay.total_seconds() for number in range(1, 9)]
        assert waits == [30, 60, 120, 240, 480, 900, 900, 900]

    def test_a_held_lease_is_waited_out(self) -> None:
        assert self.decide(LeaseHeldError("held")).retry_delay >= timedelta(minutes=1)

    def test_what_is_not_ours_is_left_to_airflow(self) -> None:
        assert self.decide(ValueError("a bug")).action.value == "default"

    def test_the_policy_survives_serialization(self) -> None:
        from rehook_sync.airflow.retries import RehookRetryPolicy

        policy = RehookRetryPolicy(timedelta(seconds=5), timedelta(seconds=7))
        again = RehookRetryPolicy.deserialize(json.loads(json.dumps(policy.serialize())))
        assert (again.shortest, again.longest) == (policy.shortest, policy.longest)


@pytest.mark.usefixtures("airflow_database")
class TestConnections:
    """Settings: arguments of the DAG over connections over the environment."""

    @pytest.fixture(autouse=True)
    def connections(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rehook = {"conn_type": "rehook", "host": "https://rehook.example", "login": "key", "password": "secret"}
        monkeypatch.setenv("AIRFLOW_CONN_REHOOK_DEFAULT", json.dumps({**rehook, "extra": {"rate_limit": 20, "concurrency": None}}))
        postgres = {
            "conn_type": "postgres",
            "host": "db.example",
            "login": "us/er",
            "password": "p@ss:word",
            "schema": "shop",
            "port": 5433,
        }
        monkeypatch.setenv("AIRFLOW_CONN_REHOOK_WAREHOUSE", json.dumps(postgres))

    def read(self, **arguments: object) -> Any:
        from rehook_sync.airflow.connections import read_job

        return read_job(arguments, "rehook_default", "rehook_warehouse")[0]

    def test_connections_win_over_the_environment_and_arguments_over_both(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("REHOOK_SYNC_RATE_LIMIT", "5")
        monkeypatch.setenv("REHOOK_SYNC_TIMEOUT", "7")
        settings = self.read()
        assert (settings.api_url, settings.rate_limit, settings.timeout) == ("https://rehook.example", 20, 7)
        assert self.read(rate_limit=3, timeout=4).rate_limit == 3

    def test_a_postgres_connection_becomes_a_url_without_its_password(self) -> None:
        from sqlalchemy import make_url

        url = make_url(self.read().warehouse_url.get_secret_value())
        assert (url.get_backend_name(), url.host, url.port, url.database) == ("postgresql", "db.example", 5433, "shop")
        assert (url.username, url.password) == ("us/er", None), "the hook connects, and knows it"

    def test_without_connections_the_environment_says_it_all(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AIRFLOW_CONN_REHOOK_DEFAULT")
        monkeypatch.delenv("AIRFLOW_CONN_REHOOK_WAREHOUSE")
        monkeypatch.setenv("REHOOK_SYNC_WAREHOUSE_URL", "postgresql://elsewhere/db")
        assert self.read().warehouse_url.get_secret_value() == "postgresql://elsewhere/db"

    def test_a_named_connection_that_is_missing_is_an_error(self) -> None:
        from rehook_sync.airflow.connections import read_job

        with pytest.raises(SettingsError, match="there is no connection 'other'"):
            read_job({}, "other", None)

    @pytest.mark.parametrize("name", ["api_secret", "warehouse_url", "api_key_file"])
    def test_a_secret_in_a_dag_is_refused(self, name: str) -> None:
        with pytest.raises(SettingsError, match=f"{name}: no secret may stand in a DAG"):
            self.read(**{name: "oops"})

    def test_an_unknown_setting_in_the_connection_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_REHOOK_DEFAULT", json.dumps({"conn_type": "rehook", "extra": {"rate_limits": 3}}))
        with pytest.raises(SettingsError, match="rate_limits: unknown setting"):
            self.read()

    def test_a_connection_that_leads_to_no_database_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_REHOOK_WAREHOUSE", json.dumps({"conn_type": "http", "host": "h"}))
        with pytest.raises(SettingsError, match=r"'rehook_warehouse' of the type 'http' gives no database .* Unknown hook type"):
            self.read()


@pytest.mark.usefixtures("airflow_database")
class TestHook:
    """The button in the connection's form."""

    @pytest.fixture
    def sandbox(self) -> Any:
        with Sandbox() as running:
            yield running

    def ask(self, monkeypatch: pytest.MonkeyPatch, **connection: object) -> tuple[bool, str]:
        from airflow.sdk import Connection

        monkeypatch.setenv("AIRFLOW_CONN_TRIED", json.dumps({"conn_type": "rehook", **connection}))
        found = Connection.get("tried").get_hook().test_connection()
        assert isinstance(found, tuple)
        return found

    def test_good_credentials(self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        key, secret = sandbox.credentials
        assert self.ask(monkeypatch, host=sandbox.url, login=key, password=secret) == (True, "Rehook accepts the credentials")
        assert [each.path for each in sandbox.store.log] == ["/events/segment/check-auth"]

    def test_refused_credentials(self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        good, said = self.ask(monkeypatch, host=sandbox.url, login="key", password="wrong-one")
        assert not good
        assert "refused" in said
        assert "wrong-one" not in said

    def test_no_secret(self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        good, said = self.ask(monkeypatch, host=sandbox.url, login="key")
        assert not good
        assert "API_SECRET" in said

    def test_plain_http_to_elsewhere(self, monkeypatch: pytest.MonkeyPatch) -> None:
        good, said = self.ask(monkeypatch, host="http://rehook.example", login="key", password="secret")
        assert not good
        assert "https" in said


class TestOrders:
    """What the tasks hand to each other."""

    def test_rendered_text_becomes_an_order(self) -> None:
        order = Order.read({"since": "7d", "until": "None", "stream": "", "source": "web", "dry_run": "True", "shards": "4"})
        assert order == Order("7d", None, None, True, 4, "web")

    @pytest.mark.parametrize(("name", "value"), [("shards", "0"), ("shards", "many"), ("shards", "1001"), ("dry_run", "perhaps")])
    def test_what_cannot_be_read_is_named(self, name: str, value: str) -> None:
        values = {"since": "", "until": "", "stream": "", "source": "", "dry_run": "False", "shards": "1", name: value}
        with pytest.raises(UsageError, match=f"^{name}: "):
            Order.read(values)

    def test_documents_come_back_as_they_were(self) -> None:
        shard, plan = ShardOrder("r1", 2), PlannedRun("r1", 3, 99)
        assert ShardOrder.read(json.loads(json.dumps(shard.document()))) == shard
        assert PlannedRun.read(json.loads(json.dumps(plan.document()))) == plan

    @pytest.mark.parametrize("document", [{"run_id": "r1", "shard": 0, "format": 99}, {"run_id": "r1", "shard": 0}, None])
    def test_what_other_code_planned_is_refused(self, document: object) -> None:
        with pytest.raises(UsageError, match="another version"):
            ShardOrder.read(document)
        with pytest.raises(UsageError, match="another version"):
            PlannedRun.read(document)


def test_asset_addresses_are_ours_only() -> None:
    from urllib.parse import urlsplit

    from rehook_sync.airflow.assets import sanitize_uri

    assert sanitize_uri(urlsplit("rehook://customers/")).geturl() == "rehook://customers"
    with pytest.raises(ValueError, match="rehook://events"):
        sanitize_uri(urlsplit("rehook://rewards"))


def test_the_link_leads_to_the_report_of_the_run() -> None:
    from types import SimpleNamespace

    from rehook_sync.airflow.links import RunReportLink
    from rehook_sync.airflow.operators import RehookCheckOperator

    key = SimpleNamespace(dag_id="rehook_sync", run_id="manual__2026-11-01T00:00:00+00:00")
    plain = RehookCheckOperator(task_id="check")
    assert (
        RunReportLink()
        .get_link(plain, ti_key=key)
        .endswith("/dags/rehook_sync/runs/manual__2026-11-01T00%3A00%3A00%2B00%3A00/tasks/finish/xcom")
    )
    own = RehookCheckOperator(task_id="check", report_url="https://bi.example/{dag_id}/{run_id}")
    assert RunReportLink().get_link(own, ti_key=key) == "https://bi.example/rehook_sync/manual__2026-11-01T00%3A00%3A00%2B00%3A00"


def test_what_is_put_before_a_human_holds_no_markup_of_the_rows() -> None:
    from rehook_sync.airflow.attention import _table

    row = dict.fromkeys(("stream", "user_id", "message_id", "status", "reason", "detail", "attempts", "first_seen_at"), "x")
    text = _table([{**row, "event": "<img src=x> | [a](javascript:b)\n# `c`"}], {"in_doubt": 1})
    (last,) = [line for line in text.splitlines() if "img" in line]
    assert not set("<>[]`") & set(last)
    assert last.count("|") == 10


def test_an_operator_survives_pickling() -> None:
    from rehook_sync.airflow.operators import RehookDeliverShardOperator

    operator = RehookDeliverShardOperator(task_id="deliver", shard=ShardOrder("r1", 0).document())
    assert pickle.loads(pickle.dumps(operator)).shard == operator.shard


@pytest.mark.skipif(not HAS_POLICIES, reason="an older Airflow has constraints of its own")
def test_everything_installed_here_is_pinned() -> None:
    pins: dict[str, str] = {}
    for name in ("constraints.txt", "constraints-airflow.txt"):
        lines = [line for line in (ROOT / name).read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
        own = dict(line.split("==") for line in lines)
        assert not pins.keys() & own.keys(), "a version is written down twice"
        pins |= own
    installed = {str(each.metadata["Name"]).lower().replace("_", "-").replace(".", "-"): each.version for each in distributions()}
    brought = {name: version for name, version in installed.items() if name not in {"rehook-sync", "pip", "setuptools", "wheel"}}
    assert {name: pins.get(name) for name in brought} == brought


def test_a_backfill_is_refused_with_the_command_that_does_it() -> None:
    from types import SimpleNamespace

    from airflow.utils.types import DagRunType

    from rehook_sync.airflow.operators import RehookPlanOperator, RehookSyncOperator

    times = {"data_interval_start": datetime(2026, 11, 1, tzinfo=UTC), "data_interval_end": datetime(2026, 11, 2, tzinfo=UTC)}
    run = SimpleNamespace(dag_id="rehook_sync", run_type=DagRunType.BACKFILL_JOB, conf={}, **times)
    for operator in (RehookPlanOperator(task_id="plan"), RehookSyncOperator(task_id="sync")):
        with pytest.raises(UsageError, match="a backfill would deliver what is new") as caught:
            operator.read_order({"dag_run": run})
        (command,) = re.findall("`(.*)`", str(caught.value))
        assert command.startswith("airflow dags trigger rehook_sync --conf ")
        assert json.loads(command.partition("--conf ")[2].strip("'")) == {"since": "2026-11-01T00:00:00Z", "until": "2026-11-02T00:00:00Z"}
