"""Projects of dbt that use the package, with the adapters that `make nightly-dbt` installs."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

__all__ = ["PROFILES", "compiled", "dbt_of", "make_project", "run_dbt"]

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "sql" / "dbt"
NOWHERE = "http://127.0.0.1:9"
ENVIRONMENTS = ROOT / os.environ.get("DBT_VENV", ".venv-dbt")
NOWHERE_PORT = 9
PLACE = {"schema": "analytics", "threads": 1}
SERVER = {"host": "127.0.0.1", "port": NOWHERE_PORT, "user": "u", "password": "p", "dbname": "shop"}
PROFILES: Mapping[str, Mapping[str, object]] = {
    "postgres": {"type": "postgres", **SERVER},
    "duckdb": {"type": "duckdb", "path": ":memory:"},
    "redshift": {"type": "redshift", **SERVER},
    "snowflake": {"type": "snowflake", "account": "bed", "user": "u", "password": "p", "database": "shop", "warehouse": "small"},
    "bigquery": {"type": "bigquery", "method": "service-account", "keyfile": "key.json", "project": "my-project"},
    "databricks": {"type": "databricks", "host": "127.0.0.1", "http_path": "/sql/1", "token": "t", "catalog": "main"},
}
VARS = {"rehook_published": True, "rehook_state_schema": "rehook", "rehook_warehouse_schema": "shop"}


def dbt_of(environment: str) -> Path:
    """The dbt of an environment; skips the test where it is not installed."""
    found = ENVIRONMENTS / environment / "bin" / "dbt"
    if not found.exists():
        pytest.skip(f"no dbt in {ENVIRONMENTS.name}/{environment}: make nightly-dbt installs it")
    return found


def make_project(
    folder: Path, adapter: str, variables: Mapping[str, object] | None = None, profile: Mapping[str, object] | None = None
) -> None:
    """A project of a user, which has the package. Descriptions stay out of the warehouse: how they get there, the beds do not know."""
    documents: Mapping[str, object] = {
        "packages.yml": {"packages": [{"local": str(PACKAGE)}]},
        "profiles.yml": {"shop": {"target": adapter, "outputs": {adapter: {**PROFILES[adapter], **PLACE, **(profile or {})}}}},
        "dbt_project.yml": {
            "name": "shop",
            "version": "1.0.0",
            "profile": "shop",
            "vars": {"rehook_sync": {**VARS, **(variables or {})}},
            "models": {"rehook_sync": {"+persist_docs": {"relation": False, "columns": False}}},
        },
    }
    folder.mkdir()
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document), encoding="utf-8")  # JSON is YAML
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    ).decode()
    key = {"type": "service_account", "project_id": "my-project", "private_key": pem, "client_email": "a@example.com", "token_uri": NOWHERE}
    (folder / "key.json").write_text(json.dumps(key), encoding="utf-8")


def run_dbt(dbt: Path, folder: Path, *arguments: str, **environ: str) -> str:
    """One command of dbt, away from any network; what it says."""
    base = {"PATH": f"{dbt.parent}{os.pathsep}{os.environ['PATH']}", "HOME": str(folder), "TZ": "America/New_York"}
    quiet = {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DBT_ALLOW_EXPERIMENTAL_ADAPTERS": "true", "NO_COLOR": "1"}
    proxies = {"HTTP_PROXY": NOWHERE, "HTTPS_PROXY": NOWHERE, "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(
        [str(dbt), *arguments, "--profiles-dir", "."],
        cwd=folder,
        env={**base, **quiet, **proxies, **environ},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def compiled(folder: Path) -> dict[str, str]:
    """The SQL of models and tests, by name."""
    return {path.stem: path.read_text(encoding="utf-8") for path in (folder / "target" / "compiled" / "rehook_sync").rglob("*.sql")}
