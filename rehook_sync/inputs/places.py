"""Where databases are: what can be shown of a URL, and where the copy for analysts can be."""

from urllib.parse import urlsplit

__all__ = ["backend_of", "host_alone", "scheme_alone", "without_userinfo", "wrong_place"]

_SQLITE = "sqlite"
_PUBLISHED = (_SQLITE, "postgresql", "duckdb", "snowflake", "redshift", "bigquery", "databricks")
"""Backends that can have the copy for analysts."""


def backend_of(url: str) -> str:
    """Return SQLAlchemy's name of the kind of database."""
    return url.partition(":")[0].partition("+")[0].lower()


def without_userinfo(url: str) -> str:
    """Hide user, password and query. A question mark before an @ is ambiguous: then only the scheme stays."""
    scheme, _, rest = url.partition("://")
    userinfo, at, place = ("", "", rest) if rest.startswith("/") else rest.rpartition("@")
    path, query, _ = place.partition("?")
    return f"{scheme}://***" if "?" in userinfo else f"{scheme}://{'***@' if at else ''}{path}{'?***' if query else ''}"


def scheme_alone(url: str) -> str:
    """Return how a URL begins: the rest of a notifier's may be secret."""
    return f"{url.partition(':')[0].lower()}://***"


def host_alone(url: str) -> str:
    """Return where a URL leads to, without its path: whoever knows that can call it."""
    return f"{url.partition(':')[0].lower()}://{urlsplit(url).hostname}/***"


def wrong_place(url: str, schema: str, state_url: str, state_schema: str, *, is_warehouse: bool) -> str | None:
    """Return why the copy for analysts cannot be in a schema of a database, None if it can.

    Shape:  state_url, state_schema: where the sync-state is.  is_warehouse: whether the URL is that of the warehouse.
    """
    if backend_of(url) not in _PUBLISHED:
        none = ", and the warehouse is none of these" if is_warehouse else ""
        return f"must lead to SQLite, PostgreSQL, DuckDB, Snowflake, Redshift, BigQuery or Databricks{none}"
    if backend_of(url) == _SQLITE and schema != "main":
        return "leads to SQLite, whose only schema is `main`: set REHOOK_SYNC_PUBLISH_SCHEMA=main"
    if url == state_url and (schema == state_schema or backend_of(url) == _SQLITE):
        return "must not lead to the sync-state itself: the copy needs another schema, or another file"
    return None
