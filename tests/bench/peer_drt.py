"""Writes a project for drt-core: one sync for each table, no rate limit, large batches.

drt has one request in flight for each sync.
"""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from bench.rows import CREDENTIALS, WORK

__all__ = ["ENVIRON", "write_project"]

ENVIRON = {"BENCH_USER": CREDENTIALS[0], "BENCH_PASSWORD": CREDENTIALS[1], "DO_NOT_TRACK": "1"}

_SYNC = """\
name: {table}
model: "SELECT {columns} FROM {table} ORDER BY received_at"
destination:
  type: rest_api
  url: "{url}"
  method: POST
  headers:
    Content-Type: application/json{body}
  auth:
    type: basic
    username_env: BENCH_USER
    password_env: BENCH_PASSWORD
sync:
  mode: incremental
  cursor_field: received_at
  batch_size: 20000
  rate_limit:
    requests_per_second: 0
  on_error: skip
"""
_WITH_TIMES = '\n  body_template: "{{ row | tojson_safe }}"'
"""What drt needs where rows hold times that JSON does not know."""


def write_project(folder: Path, database: str, api: str) -> None:
    """Write the project and its profile into a folder, which is also to be HOME."""
    is_sqlite = database.startswith("sqlite")
    (folder / "syncs").mkdir(parents=True)
    (folder / ".drt").mkdir()
    (folder / ".drt" / "profiles.yml").write_text(_profile(database))
    (folder / "drt_project.yml").write_text('name: bench\nversion: "0.1"\nprofile: warehouse\n')
    for table, (path, columns) in WORK.items():
        sync = _SYNC.format(table=table, columns=", ".join(columns), url=api + path, body="" if is_sqlite else _WITH_TIMES)
        (folder / "syncs" / f"{table}.yml").write_text(sync)


def _profile(database: str) -> str:
    parts = urlsplit(database)
    if parts.scheme == "sqlite":
        return f"warehouse:\n  type: sqlite\n  database: {parts.path}\n"
    host = parse_qs(parts.query)["host"][0]
    return (
        f"warehouse:\n  type: postgres\n  host: {host}\n  port: 5432\n  dbname: {parts.path.lstrip('/')}\n"
        f"  user: {parts.username}\n  password: unused\n"
    )
