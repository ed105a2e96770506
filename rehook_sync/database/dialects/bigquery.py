"""BigQuery as a warehouse, over Google's own client. Each statement is a job, which costs by what it scans and takes a second or more."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from importlib import import_module
from typing import Any

from sqlalchemy import ARRAY, URL, String

from rehook_sync.database.dialects.other import DATED, EPOCH, IN_WINDOW
from rehook_sync.database.dialects.record import Meter, Opening, Warehouse
from rehook_sync.database.kinds import Kind
from rehook_sync.errors import DatabaseError, SettingsError, TransientError

__all__ = ["BIGQUERY"]

_APP = "rehook_sync"
"""The value of the label `app` of every job."""
_OPTIONS = ("credentials_file", "credentials", "impersonate", "project", "location", "maximum_bytes_billed", "labels")
_NOT_FOUND = 404
_PASSES = frozenset({429, 500, 502, 503, 504})
"""What the API answers when the same job may succeed later."""

# As `to_text` writes numbers; NUMERIC has no zeros at its end, but FLOAT64 has a decimal.
_KEY = r"REGEXP_REPLACE(CAST({} AS STRING), r'\.0+$', '')"
_TEXT_OF_ZONE = r"REGEXP_REPLACE(REGEXP_REPLACE(CAST({} AS STRING), r'([.][0-9]{6})[0-9]+', r'\1'), r'[[:space:]]*(UTC)?[[:space:]]*$', '')"
_MOMENT = (
    f"CASE WHEN REGEXP_CONTAINS(CAST({{}} AS STRING), r'^({DATED})$') THEN SAFE_CAST({_TEXT_OF_ZONE} AS TIMESTAMP)"
    f" WHEN REGEXP_CONTAINS(CAST({{}} AS STRING), r'^({EPOCH})$')"
    " THEN TIMESTAMP_MICROS(CAST(TRUNC(SAFE_CAST(CAST({} AS STRING) AS NUMERIC)"
    " * CASE LENGTH(REGEXP_EXTRACT(CAST({} AS STRING), r'^[0-9]+')) WHEN 10 THEN 1000000 WHEN 13 THEN 1000 ELSE 1 END) AS INT64)) END"
)
_KINDS: Mapping[str, Kind] = {
    "STRING": Kind.TEXT,
    "TIMESTAMP": Kind.TIME,
    # They cannot be compared with a TIMESTAMP, but their text can be read as one.
    "DATETIME": Kind.TEXT,
    "DATE": Kind.TEXT,
    "BOOL": Kind.BOOLEAN,
    "INT64": Kind.NUMBER,
    **dict.fromkeys(("NUMERIC", "BIGNUMERIC", "FLOAT64"), Kind.DECIMAL),
    "JSON": Kind.JSON,
}
_SUM = "CAST(SUM(CAST(FARM_FINGERPRINT({}) AS BIGNUMERIC)) AS STRING)"
"""A sum, since copies of a call leave an XOR as it is; INT64 has no room for it."""
_BY_LOADING = ("loaded_at", "uuid_ts")


def kind_of(declared: str) -> Kind:
    """Return the kind of a column of a type as INFORMATION_SCHEMA writes it: `NUMERIC(10, 2)`, `ARRAY<STRING>`, `RANGE<DATE>`."""
    return _KINDS.get(declared.partition("(")[0], Kind.OTHER)


def duration(value: object) -> object:
    """Return an interval, which the client gives as an object of dateutil, as ISO-8601; any other value stays."""
    if type(value).__name__ != "relativedelta":
        return value
    given: Any = value
    seconds = Decimal(given.seconds) + Decimal(given.microseconds).scaleb(-6)
    days = _numbered({"Y": given.years, "M": given.months, "D": given.days})
    clock = _numbered({"H": given.hours, "M": given.minutes, "S": seconds.normalize()})
    return f"P{days}{'T' if clock else ''}{clock}" if days or clock else "PT0S"


def _numbered(numbers: Mapping[str, int | Decimal]) -> str:
    return "".join(f"{number:f}{unit}" if isinstance(number, Decimal) else f"{number}{unit}" for unit, number in numbers.items() if number)


def pruned(partition: str, cursor: str) -> str | None:
    """Return the fragment that reads only partitions with calls of a window, None where the partitions do not follow its times.

    Shape:  partition: column by which the table is partitioned.  A call is never loaded a day before Segment received it.
    """
    if partition == "_PARTITIONTIME":
        return "ingested_since"
    return "partitioned_since" if partition in {*_BY_LOADING, cursor} else None


def _arguments(url: URL, opening: Opening) -> dict[str, Any]:
    """Return how an engine over a client of our own is made; the client is made when it is first needed.

    Raises: SettingsError for an option that is not known, or whose value cannot be used.
    """
    if strange := [name for name in url.query if name != "location"]:
        raise SettingsError(f"{opening.setting}: {strange[0]}: give it in {opening.told_in}, which takes {', '.join(_OPTIONS)}")
    options = {**url.query, **opening.options}
    if strange := [name for name in options if name not in _OPTIONS]:
        raise SettingsError(f"{opening.told_in}: {strange[0]} is not known here: it takes {', '.join(_OPTIONS)}")
    if not url.host:
        raise SettingsError(f"{opening.setting}: the URL of BigQuery names the project that has the tables: bigquery://project/dataset")
    connector = _connector(str(url.host), options, opening.told_in, opening.meter)
    return {"url": url.set(query={"user_supplied_client": "True"}), "creator": connector}


def _of_each_job(options: Mapping[str, Any], told_in: str) -> dict[str, Any]:
    labels = {**_labels(options.get("labels"), told_in), "app": _APP}
    return {"labels": labels, "maximum_bytes_billed": _limit(options.get("maximum_bytes_billed"), told_in)}


def _adopt(client: object, opening: Opening) -> object:
    """Return a connection over a client that somebody else made; what its jobs are called and may cost is ours to say."""
    google, config = import_module("rehook_sync.database.dialects.google_client"), _of_each_job(opening.options, opening.told_in)
    client.default_query_job_config = google.job_config(config)  # type: ignore[attr-defined]
    google.let_meter(client, config, opening.meter)
    return google.connect(client)


def _dry() -> Mapping[str, Any]:
    return {"job_config": import_module("rehook_sync.database.dialects.google_client").dry_config()}


def _connector(project: str, options: Mapping[str, Any], told_in: str, meter: Meter) -> Callable[[], object]:
    clients: list[Any] = []
    config = _of_each_job(options, told_in)

    def connect() -> object:
        # Google's client takes a second to import, and only this warehouse has it.
        client = import_module("rehook_sync.database.dialects.google_client")
        if not clients:
            clients.append(client.make(project, options, config, told_in))
            client.let_meter(clients[0], config, meter)
        return client.connect(clients[0])

    return connect


def _labels(text: object, told_in: str) -> dict[str, str]:
    """Return labels written as `team=data,cost=42`."""
    labels = dict(each.strip().partition("=")[::2] for each in str(text or "").split(",") if each.strip())
    if not all(labels) or not all(labels.values()):
        raise SettingsError(f"{told_in}: labels are written as team=data,cost=42")
    return labels


def _limit(value: object, told_in: str) -> int | None:
    if value is None:
        return None
    if not str(value).isdecimal():
        raise SettingsError(f"{told_in}: maximum_bytes_billed is a number of bytes, for example 10000000000")
    return int(str(value))


def _causes(error: BaseException) -> list[BaseException]:
    cause = getattr(error, "orig", None) or error
    return [cause, *(each for each in getattr(cause, "args", ()) if isinstance(each, BaseException))]


def _lacks_dataset(error: BaseException) -> bool:
    return any(getattr(each, "code", None) == _NOT_FOUND for each in _causes(error))


def _classify(error: BaseException) -> type[DatabaseError] | None:
    """Tell whether the same job may succeed later: the API, the token server or the network is not well."""
    causes = _causes(error)
    names = {base.__name__ for each in causes for base in type(each).__mro__}
    passes = any(getattr(each, "code", None) in _PASSES for each in causes) or names & {"ConnectionError", "RetryError", "TransportError"}
    return TransientError if passes else None


def _dataset(url: URL) -> str | None:
    return url.database or None


def _project(url: URL) -> str | None:
    return url.host


BIGQUERY = Warehouse(
    name="bigquery",
    extra="bigquery",
    words={
        **IN_WINDOW,
        "bytes_order": "",
        "text_type": "STRING",
        "among": "IN UNNEST({})",
        "place": "COALESCE({}, '')",
        "key_text": _KEY,
        "moment": _MOMENT,
        "hour": "TIMESTAMP_TRUNC({}, HOUR)",
        "fingerprint": f"CONCAT({_SUM}, ' ', {_SUM.replace('{}', 'REVERSE({})')})",
        "now": "CURRENT_TIMESTAMP()",
        "integer_type": "INT64",
        "bigint_type": "INT64",
        "kept_text": "STRING",
        "time_type": "TIMESTAMP",
        "number_type": "FLOAT64",
        "not_enforced": "NOT ENFORCED",
        "create_view": "CREATE OR REPLACE VIEW",
        "micros": "UNIX_MICROS({})",
        "time_of": "TIMESTAMP_MICROS({})",
        "lag_s": "CAST(FLOOR((UNIX_MICROS(CURRENT_TIMESTAMP()) - UNIX_MICROS({})) / 1000000) AS INT64)",
        "day": "DATE({}, 'UTC')",
    },
    name_levels=3,
    most_ids=20_000,
    chunk_rows=5_000,
    slice_rows=0,
    value_types={"ids": ARRAY(String), "tables": ARRAY(String), "high_user": String()},
    default_schema=_dataset,
    kind_of=kind_of,
    lists_types=True,
    asks_tables=False,
    pruned=pruned,
    convert={Kind.OTHER: duration},
    decodes_json=True,
    pre_ping=False,
    dry=_dry,
    arguments=_arguments,
    adopt=_adopt,
    drivers=frozenset({"google", "requests", "urllib3", "sqlalchemy_bigquery"}),
    classify=_classify,
    publishes=True,
    copy_levels=3,
    copy_catalog=_project,
    lacks_schema=_lacks_dataset,
    has_transactions=False,
    adds_rows=True,
    published_bytes=6_000_000,  # a request may have ten, and quotes in it are escaped
)
