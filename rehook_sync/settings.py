"""Every setting, read once at the edge and passed down: environment over `rehook_sync.toml` over defaults.

`load_settings` lists everything that is wrong at once, one line each, and never shows a secret.
The table for people is `docs/settings.md`.
"""

import difflib
import json
import os
import re
import reprlib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from rehook_sync.errors import SettingsError
from rehook_sync.inputs.files import MOST_CONFIG_BYTES, in_folder, read_secret, read_text
from rehook_sync.inputs.notices import Condition, as_conditions, as_heartbeat_url, as_notifiers
from rehook_sync.inputs.parsers import (
    as_api_key,
    as_api_url,
    as_database_url,
    as_duration,
    as_names,
    as_number,
    as_options,
    as_other_calls,
    as_renames,
    as_sources,
    as_start,
    stream_of,
)
from rehook_sync.inputs.places import backend_of, without_userinfo, wrong_place
from rehook_sync.inputs.shown import shown
from rehook_sync.models import (
    DEFAULT_SOURCE,
    STREAMS,
    AnonymousCalls,
    CustomerUpdates,
    LogFormat,
    LogLevel,
    MissingProperties,
    OnAmbiguousEvent,
    OtherCalls,
    Stream,
    TrackProperties,
)

__all__ = ["RESERVED_TRAITS", "Settings", "load_settings", "without_userinfo"]

PREFIX = "REHOOK_SYNC_"
CONFIG_NAME = "rehook_sync.toml"
OPTIONS = frozenset({"warehouse_options", "publish_options"})
DRIVERS_FILES = frozenset(
    {"credentials_file", "private_key_file", "_tls_trusted_ca_file", "_tls_client_cert_file", "_tls_client_cert_key_file"}
)
"""Options that end in `_file` for the driver itself: it is given the path."""
SECRETS = frozenset({"warehouse_url", "state_url", "publish_url", "api_key", "api_secret", "notify", "heartbeat_url"})
# Segment's reserved Identify traits whose column has another name; the rest (email, phone, ...) keep theirs.
RESERVED_TRAITS = {"created_at": "createdAt", "first_name": "firstName", "last_name": "lastName"}


def _setting(default: object, meaning: str, example: object, **limits: object) -> Any:  # noqa: ANN401 - the value of any field
    """Describe one field; `...` as default means required."""
    return Field(default, description=meaning, examples=[example], validate_default=True, **limits)  # type: ignore[call-overload]


_Name = Annotated[str, Field(min_length=1)]
_Secret = Annotated[SecretStr, Field(min_length=1)]
_DatabaseUrl = Annotated[SecretStr, AfterValidator(as_database_url)]
_Integer = Annotated[int, BeforeValidator(as_number)]
_Float = Annotated[float, BeforeValidator(as_number), Field(allow_inf_nan=False)]
_Duration = Annotated[timedelta, BeforeValidator(as_duration)]
_Names = Annotated[frozenset[str], BeforeValidator(as_names)]
_Renames = Annotated[Mapping[str, str], BeforeValidator(as_renames)]
_Options = Annotated[Mapping[str, SecretStr | int | float | bool], BeforeValidator(as_options)]
_OtherCalls = Annotated[Mapping[str, str], BeforeValidator(as_other_calls)]
_Sources = Annotated[Mapping[str, str], BeforeValidator(as_sources)]
_Start = Annotated[datetime | Literal["beginning"] | None, BeforeValidator(as_start)]
_Notifiers = Annotated[tuple[SecretStr, ...], BeforeValidator(as_notifiers)]
_Conditions = Annotated[tuple[Condition, ...], BeforeValidator(as_conditions)]
_DATABASE = "postgresql://user:password@host:5432/name"
_API = "https://api.rehook.ai"


class Settings(BaseSettings):
    """All settings, checked and frozen. Made by `load_settings`, which alone reads environment and files."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    warehouse_url: _DatabaseUrl = _setting(..., "SQLAlchemy URL of the warehouse", _DATABASE)
    warehouse_schema: _Sources = _setting({}, "schema of the Segment source; several, or `name=schema`, between commas", "shop")
    warehouse_options: _Options = _setting(
        {},
        "what the warehouse's driver is given to connect, beside the URL; `name_file` names a file that holds `name`",
        {"role": "LOADER"},
    )
    identifies_table: _Name = _setting("identifies", "table of the Identify calls; BigQuery users name the `_view`", "identifies_view")
    tracks_table: _Name = _setting("tracks", "table of the Track calls; BigQuery users name the `_view`", "tracks_view")
    track_properties: TrackProperties = _setting(
        "auto", "where the properties of tracks are; `auto` decides by the tables there are", "event_tables"
    )
    other_calls: _OtherCalls = _setting(
        {}, "tables of other calls that go out as custom events: table -> event name", {"pages": "Page Viewed", "screens": "Screen Viewed"}
    )
    state_url: _DatabaseUrl | None = _setting(None, "SQLite or PostgreSQL database of the sync-state; none: the warehouse", _DATABASE)
    state_schema: _Name | None = _setting(None, "schema of the sync-state; none: `rehook_sync`, on SQLite no schema", "rehook_sync")
    publish_schema: _Name | None = _setting(
        None,
        "schema of a copy of the sync-state for analysts, brought up to date by each run; `catalog.schema` where names have three levels;"
        " on SQLite `main`; none: no copy",
        "analytics",
    )
    publish_url: _DatabaseUrl | None = _setting(
        None, "database of that copy, by a user who may write there; none: the warehouse", _DATABASE
    )
    publish_options: _Options = _setting(
        {},
        "what the driver of that copy's database is given to connect; none: `WAREHOUSE_OPTIONS`, if it is the same kind of database",
        {"role": "WRITER"},
    )
    api_url: Annotated[str, AfterValidator(as_api_url)] = _setting(_API, "address of Rehook; plain http only to loopback", _API)
    api_key: Annotated[_Secret, AfterValidator(as_api_key)] | None = _setting(None, "API key of Rehook", "your-key")
    api_secret: _Secret | None = _setting(None, "API secret of Rehook", "your-secret")
    start_at: _Start = _setting(None, "lower bound of the first run: a time, a date or `beginning`; naive is UTC", "2026-11-01T00:00:00Z")
    lookback: _Duration = _setting("3d", "how far behind the watermark each run looks for late rows", "3d", ge=timedelta(0))
    cursor_column: _Name = _setting("received_at", "time column that bounds each run; or `uuid_ts`, `loaded_at`", "uuid_ts")
    missing_properties: MissingProperties = _setting(
        "wait", "a track that its event table does not have (yet): `wait` until it does; `send` it with what `tracks` has", "send"
    )
    properties_wait: _Duration = _setting("1d", "how long such a track may wait before it needs attention", "6h", ge=timedelta(0))
    conversion_events: _Names = _setting((), "event names set as conversion events in Rehook", ["signup", "Order Completed"])
    anonymous_calls: AnonymousCalls = _setting(
        "drop", "`drop`: rejects each row with an anonymous_id; `allow_with_user_id`: only rows without user_id", "allow_with_user_id"
    )
    customer_updates: CustomerUpdates = _setting(
        "changed",
        "`changed`: merges neighbouring Identify calls of a user, skips unchanged ones, never goes back to an older value; "
        "`every`: one request per call",
        "every",
    )
    trait_names: _Renames = _setting({}, "trait column -> metadata key, over Segment's reserved traits", {"plan_type": "planType"})
    property_names: _Renames = _setting({}, "property column -> metadata key", {"order_id": "orderId"})
    exclude: _Names = _setting((), "columns never sent, of any stream, in any case and spelling", ["email", "phone"])
    on_ambiguous_event: OnAmbiguousEvent = _setting(
        "hold", "an event whose outcome is unknown: `hold` never sends it again by itself; `resend` does", "resend"
    )
    concurrency: _Integer = _setting(64, "requests in flight at once", 64, ge=1, le=1000)
    rate_limit: _Float | None = _setting(None, "most requests per second; none: no limit", 50, gt=0)
    timeout: _Float = _setting(10.0, "seconds to wait for one answer", 10, gt=0, le=600)
    max_attempts: _Integer = _setting(5, "most attempts for one request within a run", 5, ge=1)
    api_down_after: _Integer = _setting(20, "failed requests in a row, over all users, that mean the API is down", 20, ge=1)
    patience: _Duration = _setting(
        "5m", "longest wait, for the API or others' locks, that a run waits out, else it stops", "5m", ge=timedelta(0)
    )
    lease_ttl: _Duration = _setting("60s", "how long the lease of a silent run lasts", "60s", ge=timedelta(seconds=15))
    chunk_rows: _Integer = _setting(2000, "rows judged at once", 2000, ge=1, le=100_000)
    notify: _Notifiers = _setting((), "where people are told of runs: URLs of the `apprise` library", "slack://TokenA/TokenB/TokenC")
    notify_on: _Conditions = _setting(
        "attention,stopped",
        "when: `attention`, `stopped`, `crashed`, `waiting`, `rejected_share>0.2`, `lag>2h`",
        "attention,stopped,lag>2h",
    )
    heartbeat_url: Annotated[_Secret, AfterValidator(as_heartbeat_url)] | None = _setting(
        None, "called after each run that ends well, for a service that misses it", "https://hc-ping.com/your-uuid"
    )
    log_format: LogFormat = _setting("logfmt", "how log lines are written; `json` for machines that collect logs", "json")
    log_level: LogLevel = _setting("info", "how much is logged; `warning` leaves out progress", "warning")

    @classmethod
    def settings_customise_sources(  # type: ignore[override]
        cls, *_: object, init_settings: PydanticBaseSettingsSource, **_others: object
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take values from `load_settings` alone, which knows where each came from."""
        return (init_settings,)

    @field_validator("warehouse_schema")
    @classmethod
    def _one_source_on_sqlite(cls, value: Mapping[str, str], info: ValidationInfo) -> Mapping[str, str]:
        if len(value) > 1 and "warehouse_url" in info.data and _backend(info.data["warehouse_url"]) == "sqlite":
            raise ValueError("must name one source: SQLite has no schemas, so a file holds one")
        return value

    @field_validator("other_calls")
    @classmethod
    def _one_table_per_stream(cls, value: Mapping[str, str], info: ValidationInfo) -> Mapping[str, str]:
        own = [*STREAMS, *(info.data[name] for name in ("identifies_table", "tracks_table") if name in info.data)]
        taken = {stream_of(each): each for each in own}
        for table, event in value.items():
            stream = stream_of(table)
            if stream in taken:
                raise ValueError(f"must not name {table!r}: it is read already, as {taken[stream]!r}")
            if not stream or not table.isprintable() or not event.isprintable() or event.isspace():
                raise ValueError("must name a table and an event, both in printable characters")
            taken[stream] = table
        return value

    @field_validator("trait_names")
    @classmethod
    def _over_reserved_traits(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        return {**RESERVED_TRAITS, **value}

    @field_validator("state_url")
    @classmethod
    def _state_backend(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        url = value or info.data.get("warehouse_url")
        if url is not None and _backend(url) not in ("sqlite", "postgresql"):
            raise ValueError(f"must lead to SQLite or PostgreSQL{'' if value else ', and the warehouse is neither'}")
        return value

    @field_validator("state_schema")
    @classmethod
    def _no_schema_on_sqlite(cls, value: str | None, info: ValidationInfo) -> str | None:
        url = info.data.get("state_url") or info.data.get("warehouse_url")
        if value is not None and url is not None and _backend(url) == "sqlite":
            raise ValueError("must be left out on SQLite, which has no schemas")
        return value

    @field_validator("publish_url")
    @classmethod
    def _place_of_its_own(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        schema, warehouse = info.data.get("publish_schema"), info.data.get("warehouse_url")
        url = value or warehouse
        if schema is None or url is None:
            return value
        state, own = info.data.get("state_url") or warehouse or url, info.data.get("state_schema") or "rehook_sync"
        if wrong := wrong_place(url.get_secret_value(), schema, state.get_secret_value(), own, is_warehouse=value is None):
            raise ValueError(wrong)
        return value

    @property
    def sources(self) -> Mapping[str, str | None]:
        """The Segment sources: name in the sync-state tables -> schema."""
        return self.warehouse_schema or {DEFAULT_SOURCE: None}

    @property
    def other_streams(self) -> Mapping[Stream, OtherCalls]:
        """The streams beside those that every source has, in the order of calls at the same instant."""
        streams = {stream_of(table): OtherCalls(table, event) for table, event in self.other_calls.items()}
        return {stream: streams[stream] for stream in sorted(streams)}

    @property
    def state_schema_name(self) -> str | None:
        """The schema of the sync-state tables: `rehook_sync` unless set, None on SQLite."""
        return None if _backend(self.state_url or self.warehouse_url) == "sqlite" else self.state_schema or "rehook_sync"

    def require_credentials(self) -> tuple[SecretStr, SecretStr]:
        """Return API key and secret.

        Raises: SettingsError with one line for each that is missing.
        """
        if self.api_key is None or self.api_secret is None:
            missing = [name for name in ("api_key", "api_secret") if getattr(self, name) is None]
            raise SettingsError("\n".join(_problem(name, "missing", _Layer({}, "environment"), None) for name in missing))
        return self.api_key, self.api_secret

    @property
    def driver_options(self) -> dict[str, object]:
        """What the warehouse's driver is given to connect, secrets as they are."""
        return _plain(self.warehouse_options)

    @property
    def copy_driver_options(self) -> dict[str, object]:
        """What the driver of the copy for analysts is given to connect, secrets as they are, where that is not what the warehouse's is."""
        return _plain(self.publish_options)

    def describe(self) -> dict[str, str]:
        """Return every setting as text to show: secrets masked, URLs without user, password and query."""
        return {name: shown(name, getattr(self, name), OPTIONS) for name in type(self).model_fields}


def _plain(options: Mapping[str, object]) -> dict[str, object]:
    return {name: each.get_secret_value() if isinstance(each, SecretStr) else each for name, each in options.items()}


def _backend(url: SecretStr) -> str:
    return backend_of(url.get_secret_value())


@dataclass(frozen=True, slots=True)
class _Layer:
    """One source of settings.

    Shape:  values: by name in lower case.  where: `environment`, `call` or the path of a file.
            folder: where relative paths start; None: the working directory.
    """

    values: Mapping[str, object]
    where: str
    folder: Path | None = None

    def has(self, name: str) -> bool:
        """Tell whether the setting, or the file of a secret, is given here."""
        return self.values.get(name) is not None or (name in SECRETS and self.values.get(f"{name}_file") is not None)

    def value_of(self, name: str) -> object:
        """Return the setting; a secret given as a file is read from it, and the path in the URL of a file begins at the folder.

        Raises: SettingsError with one line.
        """
        value = self._with_files(name, self._value_of(name)) if name in OPTIONS else self._value_of(name)
        return in_folder(value, self.folder) if self.folder and name.endswith("_url") and isinstance(value, str) else value

    def _value_of(self, name: str) -> object:
        path = self.values.get(f"{name}_file") if name in SECRETS else None
        if path is None:
            return self.values[name]
        if self.values.get(name) is not None:
            raise SettingsError(_problem(f"{name}_file", f"give either this or {self.label(name)}, not both", self, None))
        text, wrong = read_secret((self.folder or Path()).joinpath(str(path)))
        if wrong:
            raise SettingsError(_problem(f"{name}_file", wrong, self, None))
        return text

    def _with_files(self, setting: str, value: object) -> object:
        """Return a driver's options with what their files hold. Raises SettingsError with one line."""
        try:
            options: dict[str, object] = dict(as_options(value))
        except ValueError:
            return value  # is told with all else that is wrong
        for key, path in list(options.items()):
            if not key.endswith("_file") or not isinstance(path, SecretStr):
                continue
            place = (self.folder or Path()).joinpath(path.get_secret_value())
            if key in DRIVERS_FILES:
                options[key] = str(place)
                continue
            name = key.removesuffix("_file")
            text, wrong = read_secret(place)
            wrong = wrong or (f"give either this or {name}, not both" if name in options else "")
            if wrong:
                raise SettingsError(_problem(setting, f"{key}: {wrong}", self, None))
            del options[key]
            options[name] = text
        return options

    def label(self, name: str) -> str:
        """Return the name of a setting as the user writes it."""
        return {"environment": PREFIX + name.upper(), "call": name}.get(self.where, f"`{name}` in {self.where}")

    def example(self, name: str) -> str:
        """Return a setting as the user would write it: `REHOOK_SYNC_EXCLUDE=email,phone`, `exclude = ["email", "phone"]`."""
        field = Settings.model_fields.get(name)
        value: Any = field.examples[0] if field and field.examples else f"/run/secrets/{name.removesuffix('_file')}"
        if self.where not in ("environment", "call"):
            pairs = [f"{key} = {json.dumps(text)}" for key, text in value.items()] if isinstance(value, dict) else None
            return f"{name} = {'{ ' + ', '.join(pairs) + ' }' if pairs else json.dumps(value)}"
        parts = [f"{key}={text}" for key, text in value.items()] if isinstance(value, dict) else value
        return f"{self.label(name)}={','.join(parts) if isinstance(parts, list) else parts}"


def load_settings(config: Path | None = None, environ: Mapping[str, str] | None = None, **overrides: object) -> Settings:
    """Return the settings from `overrides` (None: not given) over the environment over the file over the defaults.

    Shape:  config: the TOML file; None means `rehook_sync.toml` in the working directory, if there is one.
    Raises: SettingsError with one line per problem: the name as the user wrote it, what is wrong, an example.
    An empty environment variable counts as not set; write an empty list as `[]`, an empty table as `{}`.
    """
    environment = _environment_layer(os.environ if environ is None else environ)
    layers = [_Layer(overrides, "call"), environment, _file_layer(config)]
    problems = [problem for layer in layers for problem in _unknown_names(layer)]
    origin = {name: layer for name in Settings.model_fields for layer in reversed(layers) if layer.has(name)}
    values: dict[str, object] = {}
    broken: set[str] = set()
    for name, layer in origin.items():
        try:
            values[name] = layer.value_of(name)
        except SettingsError as error:
            problems.append(str(error))
            broken.add(name)
    settings, wrong = _validated(values)
    problems += [_problem(name, said, origin.get(name, environment), values.get(name)) for name, said in wrong if name not in broken]
    if settings is None or problems:
        raise SettingsError("\n".join(problems))
    return settings


def _environment_layer(environ: Mapping[str, str]) -> _Layer:
    named = {name.upper(): value for name, value in environ.items() if value}
    return _Layer({name.removeprefix(PREFIX).lower(): value for name, value in named.items() if name.startswith(PREFIX)}, "environment")


def _file_layer(config: Path | None) -> _Layer:
    path = config or Path(CONFIG_NAME)
    try:
        return _Layer(tomllib.loads(read_text(path, MOST_CONFIG_BYTES)), str(path), path.absolute().parent)
    except OSError as error:
        if config is None and isinstance(error, FileNotFoundError):
            return _Layer({}, str(path))
        raise SettingsError(f"{path}: cannot be read ({error.strerror}); example: --config {CONFIG_NAME}") from None
    except ValueError as error:
        if type(error) is ValueError:
            raise SettingsError(f"{path}: {error}; example: --config {CONFIG_NAME}") from None
        place = re.search(r" \(at [^()]*\)$", str(error))
        raise SettingsError(f'{path}: is not valid TOML in UTF-8{place.group() if place else ""}; example: lookback = "3d"') from None


def _unknown_names(layer: _Layer) -> Iterator[str]:
    known = [*Settings.model_fields, *(f"{name}_file" for name in sorted(SECRETS))]
    for name in layer.values:
        if name not in known:
            near = difflib.get_close_matches(name.lower(), known, n=1)
            advice = f"did you mean {layer.label(near[0])}? " if near else ""
            yield f"{layer.label(name)}: unknown setting; {advice}example: {layer.example(near[0] if near else 'lookback')}"


def _validated(values: dict[str, object]) -> tuple[Settings | None, list[tuple[str, str]]]:
    """Return the settings, or None and (name, its first problem), without values."""
    try:
        return Settings(**values), []  # type: ignore[arg-type]
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
    said = {str(detail["loc"][0]): "missing" if detail["type"] == "missing" else detail["msg"] for detail in reversed(details)}
    return None, [(name, said[name]) for name in Settings.model_fields if name in said]


def _problem(name: str, message: str, layer: _Layer, value: object) -> str:
    """Return a problem as one line. The value is shown unless it is secret or may hold a password."""
    said = message.removeprefix("Value error, ").replace("Input should", "must")
    shown = "" if name in SECRETS or name in OPTIONS or value is None or "@" in str(value) else f", not {_REPR.repr(value)}"
    return f"{layer.label(name)}: {said}{shown}; example: {layer.example(name)}"


_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 40
