"""A PostgreSQL whose every default is set against the code, and one behind a pooler."""

import os
import pwd
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import make_url
from warehouse import run_sql

__all__ = ["HOSTILE", "hostile_role", "pooled"]

HOSTILE: Mapping[str, str] = {
    "synchronous_commit": "off",
    "default_transaction_read_only": "on",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "search_path": "nowhere",
    "statement_timeout": "1s",
    "lock_timeout": "1s",
    "idle_in_transaction_session_timeout": "1s",
    "TimeZone": "Asia/Kolkata",
    "DateStyle": "SQL, DMY",
    "client_encoding": "LATIN1",
    "plan_cache_mode": "force_generic_plan",
    "jit_above_cost": "0",
}


@contextmanager
def hostile_role(url: str, **changes: str | None) -> Iterator[str]:
    """A role of its own for whom every default is set against the code; gives the URL with which it comes."""
    name = f"hostile_{uuid.uuid4().hex}"
    settings = {setting: value for setting, value in {**HOSTILE, **changes}.items() if value is not None}
    run_sql(
        url, f"CREATE ROLE {name} SUPERUSER LOGIN", *(f"ALTER ROLE {name} SET {setting} = '{value}'" for setting, value in settings.items())
    )
    yield make_url(url).set(username=name).render_as_string(hide_password=False)
    run_sql(url, f"REASSIGN OWNED BY {name} TO CURRENT_USER", f"DROP OWNED BY {name}", f"DROP ROLE {name}")


@contextmanager
def pooled(url: str, mode: str) -> Iterator[str]:
    """The same database through a pgbouncer of two sessions."""
    parsed = make_url(url)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    host = parsed.query.get("host") or parsed.host
    with tempfile.TemporaryDirectory(prefix="rehook-bouncer-") as folder:
        Path(folder).chmod(0o755)
        config = Path(folder, "pgbouncer.ini")
        lines = ["[databases]", f"* = host={host} port={parsed.port or 5432} user={parsed.username}", "[pgbouncer]"]
        lines += [
            "listen_addr = 127.0.0.1",
            f"listen_port = {port}",
            "unix_socket_dir =",
            "auth_type = any",
            f"pool_mode = {mode}",
            f"default_pool_size = {3 if mode == 'transaction' else 20}",
        ]
        config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        owner = Path(str(host)).stat().st_uid
        user = ["-u", pwd.getpwuid(owner).pw_name] if owner != os.getuid() else []
        process = subprocess.Popen(["pgbouncer", *user, str(config)], stderr=subprocess.DEVNULL)
        try:
            through = parsed.set(host="127.0.0.1", port=port, query={})
            wait_for(lambda: socket.create_connection(("127.0.0.1", port), 1).close())
            yield through.render_as_string(hide_password=False)
        finally:
            process.terminate()
            process.wait()


def wait_for(connect: Callable[[], object]) -> None:
    """Try until a server listens."""
    for _ in range(200):
        try:
            connect()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError("it does not listen")
