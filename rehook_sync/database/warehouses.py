"""The kinds of warehouses, by SQLAlchemy's name of the dialect."""

from collections.abc import Mapping

from rehook_sync.database.dialects.bigquery import BIGQUERY
from rehook_sync.database.dialects.databricks import DATABRICKS
from rehook_sync.database.dialects.duckdb import DUCKDB
from rehook_sync.database.dialects.other import OTHER
from rehook_sync.database.dialects.postgresql import POSTGRESQL
from rehook_sync.database.dialects.record import Warehouse
from rehook_sync.database.dialects.redshift import REDSHIFT
from rehook_sync.database.dialects.snowflake import SNOWFLAKE
from rehook_sync.database.dialects.sqlite import SQLITE

__all__ = ["ANY", "WAREHOUSES", "WITH_ARGUMENT", "warehouse_of"]

ANY = OTHER.name
"""The dialect of statements that serve each one without a version of its own."""

WAREHOUSES: Mapping[str, Warehouse] = {each.name: each for each in (SQLITE, POSTGRESQL, DUCKDB, REDSHIFT, SNOWFLAKE, BIGQUERY, DATABRICKS)}

WITH_ARGUMENT = frozenset(
    {"clock_plus", "ids", "rows", "in_window", "in_window_or_null", "by_index", "moment", "minute", "key_text", "place", "among"}
    | {"micros", "time_of", "lag_s", "day", "hour", "fingerprint"}
)
"""Words written as `{word: argument}`; all others as `{word}`."""


def warehouse_of(dialect: str) -> Warehouse:
    """Return the record of a dialect; of one that is not known, what most have."""
    return WAREHOUSES.get(dialect, OTHER)
