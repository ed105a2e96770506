"""Settings: one door, one line for each thing wrong, and never a secret."""

import os
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from rehook_sync.errors import SettingsError, UsageError
from rehook_sync.models import AnonymousCalls, CustomerUpdates, LogFormat, LogLevel, MissingProperties, OnAmbiguousEvent, TrackProperties
from rehook_sync.settings import PREFIX, SECRETS, Settings, load_settings
from rehook_sync.times import parse_age, parse_moment

ROOT = Path(__file__).resolve().parents[2]
SECRET = "s3cr3t-value"
WAREHOUSE = f"postgresql://shop:{SECRET}@db.example:5432/warehouse"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def load(**values: str) -> Settings:
    """Load from the environment alone; names without the prefix."""
    return load_settings(environ={f"{PREFIX}{name.upper()}": value for name, value in {"warehouse_url": WAREHOUSE, **values}.items()})


def complaint(**values: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(**values)
    return str(caught.value)


def from_toml(text: str, name: str = "rehook_sync.toml", config: Path | None = None) -> Settings:
    Path(name).write_text(f'warehouse_url = "{WAREHOUSE}"\n{text}', encoding="utf-8")
    return load_settings(config, environ={})


def test_the_defaults_are_those_of_the_contract() -> None:
    settings = load()
    assert settings.warehouse_url.get_secret_value() == WAREHOUSE
    found = settings.model_dump(exclude={"warehouse_url"})
    assert found == {
        "warehouse_schema": {},
        "warehouse_options": {},
        "identifies_table": "identifies",
        "tracks_table": "tracks",
        "track_properties": TrackProperties.AUTO,
        "other_calls": {},
        "state_url": None,
        "state_schema": None,
        "publish_schema": None,
        "publish_url": None,
        "publish_options": {},
        "api_url": "https://api.rehook.ai",
        "api_key": None,
        "api_secret": None,
        "start_at": None,
        "lookback": timedelta(days=3),
        "cursor_column": "received_at",
        "missing_properties": MissingProperties.WAIT,
        "properties_wait": timedelta(days=1),
        "conversion_events": frozenset(),
        "anonymous_calls": AnonymousCalls.DROP,
        "customer_updates": CustomerUpdates.CHANGED,
        "trait_names": {"created_at": "createdAt", "first_name": "firstName", "last_name": "lastName"},
        "property_names": {},
        "exclude": frozenset(),
        "on_ambiguous_event": OnAmbiguousEvent.HOLD,
        "concurrency": 64,
        "rate_limit": None,
        "timeout": 10.0,
        "max_attempts": 5,
        "api_down_after": 20,
        "patience": timedelta(minutes=5),
        "lease_ttl": timedelta(seconds=60),
        "chunk_rows": 2000,
        "notify": (),
        "notify_on": ({"kind": "attention", "above": None, "longer_than": None}, {"kind": "stopped", "above": None, "longer_than": None}),
        "heartbeat_url": None,
        "log_format": LogFormat.LOGFMT,
        "log_level": LogLevel.INFO,
    }


def test_enum_settings_are_members_and_not_text() -> None:
    settings = load(anonymous_calls="allow_with_user_id")
    assert settings.anonymous_calls is AnonymousCalls.ALLOW_WITH_USER_ID
    assert settings.track_properties is TrackProperties.AUTO
    assert settings.customer_updates is CustomerUpdates.CHANGED
    assert settings.on_ambiguous_event is OnAmbiguousEvent.HOLD


def test_the_call_wins_over_the_environment_and_that_over_the_file() -> None:
    Path("rehook_sync.toml").write_text(f'warehouse_url = "{WAREHOUSE}"\nconcurrency = 1\nmax_attempts = 1\nchunk_rows = 1\n')
    environ = {"REHOOK_SYNC_MAX_ATTEMPTS": "2", "REHOOK_SYNC_CHUNK_ROWS": "2"}
    settings = load_settings(environ=environ, chunk_rows=3, timeout=None)
    assert (settings.concurrency, settings.max_attempts, settings.chunk_rows, settings.timeout) == (1, 2, 3, 10.0)


def test_the_process_environment_is_read_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REHOOK_SYNC_WAREHOUSE_URL", WAREHOUSE)
    monkeypatch.setenv("rehook_sync_concurrency", "7")
    assert load_settings().concurrency == 7


def test_a_file_can_be_named() -> None:
    assert from_toml("concurrency = 7", "other.toml", Path("other.toml")).concurrency == 7


def test_a_file_in_the_working_directory_is_not_read_beside_a_named_one() -> None:
    Path("rehook_sync.toml").write_text("concurrency = 1\n")
    assert from_toml("", "other.toml", Path("other.toml")).concurrency == 64


def test_toml_values_keep_their_kinds() -> None:
    settings = from_toml(
        'start_at = 2026-11-01\nlookback = 3600\ntimeout = 2\nrate_limit = 2.5\nconversion_events = ["a, b", "c"]\n'
        'exclude = []\n[trait_names]\nplan_type = "planType"\nfirst_name = "first_name"\n'
    )
    assert settings.start_at == datetime(2026, 11, 1, tzinfo=UTC)
    assert settings.lookback == timedelta(hours=1)
    assert (settings.timeout, settings.rate_limit) == (2.0, 2.5)
    assert settings.conversion_events == {"a, b", "c"}
    assert settings.trait_names == {
        "created_at": "createdAt",
        "first_name": "first_name",
        "last_name": "lastName",
        "plan_type": "planType",
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [("signup", {"signup"}), (" a , b b ,, ", {"a", "b b"}), ('["a, b", "c"]', {"a, b", "c"}), ("[]", set()), (",", set())],
)
def test_lists_are_json_or_between_commas(text: str, expected: set[str]) -> None:
    assert load(conversion_events=text).conversion_events == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("a=b, c = d=e", {"a": "b", "c": "d=e"}), ('{"a": "b,c"}', {"a": "b,c"}), ("{}", {}), ("a=b,", {"a": "b"})]
)
def test_tables_are_json_or_pairs(text: str, expected: dict[str, str]) -> None:
    assert load(property_names=text).property_names == expected


def test_an_empty_variable_counts_as_not_set() -> None:
    settings = load(rate_limit="", exclude="", anonymous_calls="", api_key="", api_key_file="")
    assert settings.rate_limit is None
    assert settings.api_key is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3d", timedelta(days=3)),
        ("36h", timedelta(hours=36)),
        ("90m", timedelta(minutes=90)),
        ("45s", timedelta(seconds=45)),
        ("2w", timedelta(weeks=2)),
        ("1d12h", timedelta(hours=36)),
        ("1.5H", timedelta(minutes=90)),
        ("P3D", timedelta(days=3)),
        ("PT36H", timedelta(hours=36)),
        ("P1DT2H3M4.5S", timedelta(days=1, hours=2, minutes=3, seconds=4.5)),
        ("3600", timedelta(hours=1)),
        ("0", timedelta(0)),
    ],
)
def test_durations_are_short_or_iso_or_seconds(text: str, expected: timedelta) -> None:
    assert load(lookback=text).lookback == expected


@pytest.mark.parametrize("text", ["-1", "-3d", "3 weeks", "3M2d", "h", "P", "PT", "P1M", "nan", "inf", "9" * 400, "9" * 12 + "w", "1d 1d"])
def test_a_bad_duration_is_one_line(text: str) -> None:
    assert re.fullmatch(r"REHOOK_SYNC_LOOKBACK: must be .+, not '.+'; example: REHOOK_SYNC_LOOKBACK=3d", complaint(lookback=text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("beginning", "beginning"),
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01T12:00", datetime(2026, 11, 1, 12, tzinfo=UTC)),
        ("2026-11-01T12:00+02:00", datetime(2026, 11, 1, 10, tzinfo=UTC)),
    ],
)
def test_the_start_is_a_time_or_the_beginning(text: str, expected: object) -> None:
    assert load(start_at=text).start_at == expected


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("start_at", "2026-9-30", "must be 'beginning' or an ISO-8601 time, not '2026-9-30'"),
        ("start_at", "0001-01-01T00:00+10:00", "must be 'beginning' or an ISO-8601 time"),
        ("track_properties", "Columns", "must be 'auto', 'event_tables', 'columns' or 'json', not 'Columns'"),
        ("anonymous_calls", "keep", "must be 'drop' or 'allow_with_user_id', not 'keep'"),
        ("customer_updates", "all", "must be 'changed' or 'every'"),
        ("on_ambiguous_event", "retry", "must be 'hold' or 'resend'"),
        ("concurrency", "0", "must be greater than or equal to 1, not '0'"),
        ("concurrency", "1001", "must be less than or equal to 1000"),
        ("concurrency", "many", "must be a valid integer"),
        ("rate_limit", "0", "must be greater than 0"),
        ("rate_limit", "nan", "must be a finite number"),
        ("rate_limit", "inf", "must be a finite number"),
        ("timeout", "0", "must be greater than 0"),
        ("timeout", "601", "must be less than or equal to 600"),
        ("max_attempts", "0", "must be greater than or equal to 1"),
        ("api_down_after", "0", "must be greater than or equal to 1"),
        ("patience", "-1", "must be greater than or equal to 0"),
        ("lease_ttl", "14s", "must be greater than or equal to 15 seconds"),
        ("chunk_rows", "0", "must be greater than or equal to 1"),
        ("chunk_rows", "100001", "must be less than or equal to 100000"),
        ("exclude", '["a", 1]', "must be a list of names"),
        ("exclude", "[", "is no valid JSON"),
        ("exclude", "[" * 100_000, "is no valid JSON"),
        ("trait_names", "plan", "must name a key for each column"),
        ("trait_names", "=x", "must name a key for each column"),
        ("property_names", '{"a": 1}', "must name a key for each column"),
        ("property_names", "{", "is no valid JSON"),
        ("other_calls", "pages", "must name an event for each table: JSON, or table=event separated by commas"),
        ("other_calls", "pages=", "must name an event for each table"),
        ("other_calls", "{", "is no valid JSON"),
        ("other_calls", '{"pages": " "}', "must name a table and an event"),
        ("other_calls", "_view=Page Viewed", "must name a table and an event"),
        ("other_calls", "tracks=Track", "must not name 'tracks': it is read already, as 'tracks'"),
        ("other_calls", "Identifies_view=Identify", "must not name 'Identifies_view': it is read already, as 'identifies'"),
        ("other_calls", "pages=Page,PAGES_VIEW=View", "must not name 'PAGES_VIEW': it is read already, as 'pages'"),
        ("api_url", "http://api.rehook.ai", "must use https; plain http is only for a loopback host"),
        ("api_url", "http://localhost.example", "must use https"),
        ("api_url", "http://10.0.0.1", "must use https"),
        ("api_url", "ftp://127.0.0.1", "must be a URL with a host"),
        ("api_url", "api.rehook.ai", "must be a URL with a host"),
        ("api_url", "https://", "must be a URL with a host"),
        ("api_url", "https://host:99999", "must be a URL with a host"),
        ("api_url", "https://host:0", "must be a URL with a host"),
        ("api_url", "https://[::1", "must be a URL with a host"),
        ("api_url", f"https://key:{SECRET}@api.rehook.ai", "must not hold a user or password"),
        ("api_url", f"https://{SECRET}@api.rehook.ai", "must not hold a user or password"),
        ("api_url", "https://api.rehook.ai?key=x", "must not hold a query"),
        ("api_url", "https://api.rehook.ai#x", "must not hold a query or fragment"),
        ("api_url", "https://api.rehook.ai\\@x", "without spaces or special characters"),
        ("api_url", "http://local\nhost", "without spaces or special characters"),
        ("api_key", "a:b", "must not hold a colon"),
        ("warehouse_url", "warehouse.db", "is not a database URL"),
        ("state_url", SECRET, "is not a database URL"),
        ("state_url", f"mysql://shop:{SECRET}@db/state", "must lead to SQLite or PostgreSQL; example"),
    ],
)
def test_a_bad_value_is_one_line_with_name_and_example(name: str, value: str, says: str) -> None:
    line = complaint(**{name: value})
    variable = f"{PREFIX}{name.upper()}"
    assert line.startswith(f"{variable}: ")
    assert says in line
    assert f"; example: {variable}=" in line
    assert "\n" not in line
    assert SECRET not in line
    assert len(line) < 350


@pytest.mark.parametrize(
    "line",
    ["concurrency = true", "timeout = false", "lookback = true", "identifies_table = 5", 'identifies_table = ""', "start_at = 12:00:00",
     "api_key = 5", "exclude = [1]", "trait_names = 5", "rate_limit = [1]", "start_at = 5"],
)  # fmt: skip
def test_a_bad_value_of_the_file_is_named_as_it_stands_there(line: str) -> None:
    name = line.partition(" ")[0]
    with pytest.raises(SettingsError) as caught:
        from_toml(line)
    assert re.fullmatch(rf"`{name}` in rehook_sync\.toml: .+; example: {name} = .+", str(caught.value))


@pytest.mark.parametrize("name", Settings.model_fields)
def test_the_examples_of_the_messages_are_right(name: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(environ={"REHOOK_SYNC_WAREHOUSE_URL": WAREHOUSE}, **overrides(name, [[]]))
    said, _, example = str(caught.value).partition(f"; example: {name}=")
    assert said.startswith(f"{name}: ")
    load(**{name: example})


def overrides(name: str, value: object) -> dict[str, Any]:
    return {name: value}


def test_the_toml_examples_are_toml() -> None:
    with pytest.raises(SettingsError) as caught:
        from_toml("trait_names = 5\nexclude = 5\nconcurrency = 0\nlookback = []\napi_key_file = 5")
    examples = re.findall(r"; example: (.+)$", str(caught.value), re.MULTILINE)
    assert examples[1:] == [
        'lookback = "3d"',
        'trait_names = { plan_type = "planType" }',
        'exclude = ["email", "phone"]',
        "concurrency = 64",
    ]
    from_toml("\n".join(examples[1:]))


def test_everything_wrong_is_listed_at_once() -> None:
    Path("rehook_sync.toml").write_text('concurency = 1\ntimeout = "soon"\n')
    with pytest.raises(SettingsError) as caught:
        load_settings(environ={"REHOOK_SYNC_LOKBACK": "3d", "REHOOK_SYNC_MAX_ATTEMPTS": "0", "REHOOK_SYNC_API_KEY_FILE": "missing"})
    lines = str(caught.value).splitlines()
    assert [line.partition(": ")[0] for line in lines] == [
        "REHOOK_SYNC_LOKBACK",
        "`concurency` in rehook_sync.toml",
        "REHOOK_SYNC_API_KEY_FILE",
        "REHOOK_SYNC_WAREHOUSE_URL",
        "`timeout` in rehook_sync.toml",
        "REHOOK_SYNC_MAX_ATTEMPTS",
    ]


def test_the_missing_warehouse_is_said_with_an_example() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(environ={})
    expected = "REHOOK_SYNC_WAREHOUSE_URL: missing; example: REHOOK_SYNC_WAREHOUSE_URL=postgresql://user:password@host:5432/name"
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("REHOOK_SYNC_LOKBACK", "did you mean REHOOK_SYNC_LOOKBACK?"),
        ("REHOOK_SYNC_API_SECRTE_FILE", "did you mean REHOOK_SYNC_API_SECRET_FILE?"),
        ("REHOOK_SYNC_ZZZ", "unknown setting; example: REHOOK_SYNC_LOOKBACK=3d"),
        ("REHOOK_SYNC_LOOKBACK_FILE", "unknown setting; did you mean REHOOK_SYNC_LOOKBACK?"),
    ],
)
def test_an_unknown_variable_is_an_error_with_a_hint(name: str, hint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(environ={"REHOOK_SYNC_WAREHOUSE_URL": WAREHOUSE, name: SECRET, "REHOOKS": "x", "OTHER": "y"})
    assert str(caught.value).startswith(f"{name}: ")
    assert hint in str(caught.value)
    assert SECRET not in str(caught.value)


def test_unknown_keys_of_file_and_call_are_errors_with_a_hint() -> None:
    with pytest.raises(
        SettingsError, match=r"^`Lookback` in rehook_sync.toml: unknown setting; did you mean `lookback` in rehook_sync.toml\?"
    ):
        from_toml('Lookback = "3d"')
    with pytest.raises(SettingsError, match=r"^workers: unknown setting; example: lookback=3d"):
        load_settings(environ={"REHOOK_SYNC_WAREHOUSE_URL": WAREHOUSE}, config=write("", "empty.toml"), workers=5)


def write(text: str | bytes, name: str) -> Path:
    path = Path(name)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (f'api_secret = "{SECRET}', "other.toml: is not valid TOML in UTF-8 (at "),
        (b"\xff\xfe", "other.toml: is not valid TOML in UTF-8;"),
        (f"{SECRET} = = 1", "other.toml: is not valid TOML in UTF-8 (at line 1, column "),
    ],
)
def test_a_broken_file_is_one_line_without_its_content(content: str | bytes, says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(write(content, "other.toml"), environ={})
    assert str(caught.value).startswith(says)
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_named_file_that_is_missing_is_an_error() -> None:
    with pytest.raises(
        SettingsError, match=r"^nowhere.toml: cannot be read \(No such file or directory\); example: --config rehook_sync.toml$"
    ):
        load_settings(Path("nowhere.toml"), environ={"REHOOK_SYNC_WAREHOUSE_URL": WAREHOUSE})


def test_a_folder_in_place_of_the_file_is_an_error() -> None:
    Path("rehook_sync.toml").mkdir()
    with pytest.raises(SettingsError, match=r"^rehook_sync.toml: cannot be read \(Is a directory\)"):
        load_settings(environ={"REHOOK_SYNC_WAREHOUSE_URL": WAREHOUSE})


@pytest.mark.parametrize("name", sorted(SECRETS))
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_every_secret_can_come_from_a_file(name: str, end: str) -> None:
    value = {"heartbeat_url": f"https://{SECRET}.test", "notify": f"slack://{SECRET}"}.get(
        name, WAREHOUSE if name.endswith("url") else SECRET
    )
    path = write(value + end, "secret")
    environ = {} if name == "warehouse_url" else {"REHOOK_SYNC_WAREHOUSE_URL": WAREHOUSE}
    settings = load_settings(environ={**environ, f"{PREFIX}{name.upper()}_FILE": str(path)})
    meant = (SecretStr(value),) if name == "notify" else SecretStr(value)
    assert getattr(settings, name) == meant
    in_toml = write(f'{name}_file = "{path}"', "other.toml")
    assert getattr(load_settings(in_toml, environ), name) == meant
    assert getattr(load_settings(None, environ, **{f"{name}_file": path}), name) == meant


def test_only_the_newline_at_the_end_of_a_secret_file_is_left_out() -> None:
    write(f" {SECRET} \n", "secret")
    settings = load(api_secret_file="secret")
    assert settings.api_secret == SecretStr(f" {SECRET} ")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read (No such file or directory)"),
        (b"\n", "the file is empty"),
        (b"", "the file is empty"),
        (b"\xff", "is not UTF-8 text"),
    ],
)
def test_a_bad_secret_file_is_one_line(content: bytes | None, says: str) -> None:
    if content is not None:
        write(content, "secret")
    line = complaint(api_secret_file="secret")
    assert re.fullmatch(
        rf"REHOOK_SYNC_API_SECRET_FILE: .*{re.escape(says)}; example: REHOOK_SYNC_API_SECRET_FILE=/run/secrets/api_secret", line
    )


def test_a_bad_file_of_the_warehouse_is_not_said_twice() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(environ={"REHOOK_SYNC_WAREHOUSE_URL_FILE": "nowhere"})
    assert len(str(caught.value).splitlines()) == 1


def test_a_value_and_its_file_in_one_place_are_an_error() -> None:
    write(SECRET, "secret")
    line = complaint(api_secret=SECRET, api_secret_file="secret")
    assert line.startswith("REHOOK_SYNC_API_SECRET_FILE: give either this or REHOOK_SYNC_API_SECRET, not both; example: ")
    assert SECRET not in line


def test_the_environment_wins_over_a_secret_file_named_in_the_file() -> None:
    Path("rehook_sync.toml").write_text('api_secret_file = "nowhere"\n')
    settings = load(api_secret=SECRET)
    assert settings.api_secret is not None
    assert settings.api_secret.get_secret_value() == SECRET


def test_options_of_a_driver_keep_their_kinds_and_are_shown_by_name_alone() -> None:
    write(f"{SECRET}\n", "secret")
    written = from_toml('[warehouse_options]\nrole = "LOADER"\nretries = 3\ninsecure = false\npassword_file = "secret"')
    assert written.driver_options == {"role": "LOADER", "retries": 3, "insecure": False, "password": SECRET}
    assert written.describe()["warehouse_options"] == "insecure, password, retries, role"
    assert SECRET not in f"{written!r} {written.model_dump_json()} {written.describe()}"
    assert pickle.loads(pickle.dumps(written)).driver_options == written.driver_options
    given = load(warehouse_options="role=LOADER, password_file=secret")
    assert given.driver_options == {"role": "LOADER", "password": SECRET}
    assert load(warehouse_options='{"retries": 3}').driver_options == {"retries": 3}


def test_options_of_the_copys_driver_are_read_and_shown_as_the_warehouses_are() -> None:
    write(f"{SECRET}\n", "secret")
    written = from_toml('publish_url = "snowflake://w@a/d"\n[publish_options]\nrole = "WRITER"\npassword_file = "secret"')
    assert written.copy_driver_options == {"role": "WRITER", "password": SECRET}
    assert written.driver_options == {}
    assert written.describe()["publish_options"] == "password, role"
    assert SECRET not in f"{written!r} {written.model_dump_json()} {written.describe()}"


def test_the_files_of_drivers_options_begin_at_the_file_that_names_them(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    write(SECRET, "below/secret")
    config = write(
        f'warehouse_url = "{WAREHOUSE}"\nwarehouse_options = {{ private_key_file = "key.p8", password_file = "secret" }}', "below/x.toml"
    )
    assert load_settings(config, {}).driver_options == {"private_key_file": str(tmp_path / "below" / "key.p8"), "password": SECRET}


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (f"password={SECRET},password_file=secret", "password_file: give either this or password, not both"),
        ("password_file=nowhere", "password_file: the file cannot be read (No such file or directory)"),
        (f'{{"password": ["{SECRET}"]}}', "must give a text, a number or a truth value for password"),
        (f"{SECRET} {SECRET}", "must be a table of a driver's options"),
        ("role=", "for role"),
    ],
)
def test_options_of_a_driver_that_cannot_be_read_are_one_line(value: str, says: str) -> None:
    write("x", "secret")
    line = complaint(warehouse_options=value)
    assert line.startswith("REHOOK_SYNC_WAREHOUSE_OPTIONS: ")
    assert says in line
    assert line.endswith("; example: REHOOK_SYNC_WAREHOUSE_OPTIONS=role=LOADER")
    assert SECRET not in line


def test_missing_credentials_are_both_named_but_only_when_needed() -> None:
    with pytest.raises(SettingsError) as caught:
        load().require_credentials()
    assert str(caught.value).splitlines() == [
        "REHOOK_SYNC_API_KEY: missing; example: REHOOK_SYNC_API_KEY=your-key",
        "REHOOK_SYNC_API_SECRET: missing; example: REHOOK_SYNC_API_SECRET=your-secret",
    ]
    with pytest.raises(SettingsError, match=r"^REHOOK_SYNC_API_SECRET: missing; example: REHOOK_SYNC_API_SECRET=your-secret$"):
        load(api_key="key").require_credentials()
    assert load(api_key="key", api_secret=SECRET).require_credentials() == (SecretStr("key"), SecretStr(SECRET))


@pytest.mark.parametrize(
    ("warehouse", "state", "schema", "expected"),
    [
        ("postgresql+psycopg://h/d", None, None, "rehook_sync"),
        ("postgresql://h/d", None, "other", "other"),
        ("sqlite:///w.db", None, None, None),
        ("sqlite:///w.db", "postgresql://h/d", None, "rehook_sync"),
        ("snowflake://h/d", "sqlite:///s.db", None, None),
    ],
)
def test_the_state_schema_follows_the_state_database(warehouse: str, state: str | None, schema: str | None, expected: str | None) -> None:
    given = {"warehouse_url": warehouse, "state_url": state, "state_schema": schema}
    assert load(**{name: value for name, value in given.items() if value}).state_schema_name == expected


PLACES = [
    ({"publish_url": "mysql://u:p@h/d"}, "must lead to SQLite, PostgreSQL, DuckDB, Snowflake, Redshift, BigQuery or Databricks"),
    ({"warehouse_url": "mysql://h/d", "state_url": "sqlite:///s.db"}, "and the warehouse is none of these"),
    ({"publish_url": "sqlite:///copy.db"}, "leads to SQLite, whose only schema is `main`: set REHOOK_SYNC_PUBLISH_SCHEMA=main"),
    ({"publish_schema": "rehook_sync"}, "must not lead to the sync-state itself"),
    ({"warehouse_url": "sqlite:///w.db", "publish_schema": "main"}, "must not lead to the sync-state itself"),
    ({"state_schema": "x", "publish_schema": "x"}, "must not lead to the sync-state itself"),
]


@pytest.mark.parametrize(("given", "said"), PLACES, ids=[str(number) for number in range(len(PLACES))])
def test_a_place_that_cannot_have_the_copy_is_an_error(given: dict[str, str], said: str) -> None:
    message = complaint(**{"warehouse_url": "postgresql://u:p@h/w", "publish_schema": "analytics", **given})
    assert message.startswith("REHOOK_SYNC_PUBLISH_URL: ")
    assert said in message
    assert message.count("\n") == 0


def test_a_copy_beside_the_sync_state_is_no_error() -> None:
    assert load(warehouse_url="postgresql://u:p@h/w", publish_schema="analytics").publish_schema == "analytics"
    assert load(warehouse_url="sqlite:///w.db", state_url="sqlite:///s.db", publish_schema="main").publish_url is None


def test_a_state_schema_on_sqlite_is_an_error() -> None:
    assert complaint(warehouse_url="sqlite:///w.db", state_schema="x").startswith("REHOOK_SYNC_STATE_SCHEMA: must be left out on SQLite")


def test_a_warehouse_that_cannot_hold_the_state_needs_a_state_url() -> None:
    line = complaint(warehouse_url=f"snowflake://shop:{SECRET}@account/db")
    assert line.startswith("REHOOK_SYNC_STATE_URL: must lead to SQLite or PostgreSQL, and the warehouse is neither; example: ")
    assert SECRET not in line


@pytest.mark.parametrize(
    "url",
    [
        "https://api.rehook.ai/",
        "https://api.rehook.ai",
        "http://127.0.0.1:8080",
        "http://127.9.9.9",
        "http://localhost:1/x/",
        "http://[::1]:8080",
    ],
)
def test_https_anywhere_and_http_to_loopback_are_fine(url: str) -> None:
    assert load(api_url=url).api_url == url.rstrip("/")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (WAREHOUSE, "postgresql://***@db.example:5432/warehouse"),
        (f"postgresql://h/d?password={SECRET}", "postgresql://h/d?***"),
        (f"postgresql://u:{SECRET}/{SECRET}@h/d", "postgresql://***@h/d"),
        (f"postgresql://u:{SECRET}@{SECRET}@h/d", "postgresql://***@h/d"),
        (f"postgresql://u:{SECRET}?{SECRET}@h/d", "postgresql://***"),
        (f"postgresql://u:x@h/d?password={SECRET}@{SECRET}", "postgresql://***"),
        (f"postgresql://{SECRET}@h/d", "postgresql://***@h/d"),
        ("sqlite:///folder@home/w.db", "sqlite:///folder@home/w.db"),
        ("sqlite:////absolute/w.db", "sqlite:////absolute/w.db"),
    ],
)
def test_a_url_is_shown_without_user_password_and_query(url: str, shown: str) -> None:
    described = load(warehouse_url=url, state_url=url).describe()
    assert (described["warehouse_url"], described["state_url"]) == (shown, shown)


def test_all_settings_are_described_and_none_is_a_secret() -> None:
    settings = load(api_key=SECRET, api_secret=SECRET, rate_limit="2.5", lookback="36h", patience="0", exclude="b,a", start_at="2026-11-01")
    described = settings.describe()
    assert list(described) == list(Settings.model_fields)
    assert SECRET not in str(described)
    picked = [
        "api_key",
        "api_secret",
        "state_url",
        "rate_limit",
        "lookback",
        "patience",
        "exclude",
        "start_at",
        "anonymous_calls",
        "timeout",
    ]
    assert [described[name] for name in picked] == [
        "***",
        "***",
        "(none)",
        "2.5",
        "1d12h",
        "0s",
        "a, b",
        "2026-11-01T00:00:00Z",
        "drop",
        "10",
    ]


def test_settings_are_frozen_survive_pickling_and_never_show_a_secret() -> None:
    settings = load(api_key=SECRET, api_secret=SECRET, state_url=WAREHOUSE)
    assert pickle.loads(pickle.dumps(settings)) == settings
    assert SECRET not in f"{settings!r} {settings} {settings.model_dump_json()}"
    with pytest.raises(ValidationError, match="frozen") as caught:
        settings.concurrency = 1
    assert SECRET not in str(caught.value)


def test_settings_made_without_the_door_show_no_value_either() -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(warehouse_url=SecretStr(SECRET), lookback=SECRET)  # type: ignore[arg-type]
    assert SECRET not in f"{caught.value!r} {caught.value}"


def test_a_settings_error_keeps_no_secret_in_its_chain() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(environ={"REHOOK_SYNC_WAREHOUSE_URL": SECRET})
    error: BaseException | None = caught.value
    while error is not None:
        assert SECRET not in f"{error!r} {error}"
        error = error.__cause__ or error.__context__


def test_reading_the_settings_loads_no_heavy_library() -> None:
    code = "import sys, rehook_sync.settings; print({'pandas', 'sqlalchemy', 'aiohttp', 'httpx', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-01T12:00:00Z", datetime(2026, 11, 1, 12, tzinfo=UTC)),
        ("2026-11-01T12:00+02:00", datetime(2026, 11, 1, 10, tzinfo=UTC)),
        ("2026-11-01 12:00", datetime(2026, 11, 1, 12, tzinfo=UTC)),
        (" 2026-11-01 ", datetime(2026, 11, 1, tzinfo=UTC)),
        ("36h", NOW - timedelta(hours=36)),
        ("7d", NOW - timedelta(days=7)),
        ("P7D", NOW - timedelta(days=7)),
        ("0s", NOW),
    ],
)
def test_a_moment_is_a_time_a_date_or_an_age(text: str, expected: datetime) -> None:
    moment = parse_moment(text, NOW)
    assert moment == expected
    assert moment.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "yesterday",
        "2026-9-30",
        "-7d",
        "3600",
        "9999999w",
        "9" * 400 + "d",
        "beginning",
        "0001-01-01T00:00+10:00",
        "P1M",
        "x" * 500,
    ],
)
def test_a_bad_moment_is_one_line_with_examples(text: str) -> None:
    with pytest.raises(
        UsageError, match=r"is no time: give ISO-8601 \(2026-11-01T12:00Z\), a date \(2026-11-01\) or an age \(36h, 7d\)$"
    ) as caught:
        parse_moment(text, NOW)
    assert len(str(caught.value)) < 160


@pytest.mark.parametrize("text", ["1M", "1d1M", "12M"])
def test_minutes_or_months_in_capitals_are_asked_about(text: str) -> None:
    number = text.removeprefix("1d").removesuffix("M")
    hint = f"{number}M could be minutes or months: write {number}m or {int(number) * 30}d"
    with pytest.raises(UsageError, match=f"; {hint}$"):
        parse_moment(text, NOW)
    with pytest.raises(UsageError, match=f"; {hint}$"):
        parse_age("--older-than", text)
    with pytest.raises(SettingsError, match="must be a duration"):
        load(lookback=text)


def test_other_units_may_be_capitals() -> None:
    assert parse_age("--older-than", "1D12H") == timedelta(hours=36)
    assert parse_age("--older-than", "PT36M") == timedelta(minutes=36)


@pytest.mark.parametrize(
    ("short", "long"), [("postgres://u:p@h/d", "postgresql://u:p@h/d"), ("postgres+psycopg://h/d", "postgresql+psycopg://h/d")]
)
def test_the_short_name_of_postgresql_is_read(short: str, long: str) -> None:
    settings = load_settings(None, {"REHOOK_SYNC_WAREHOUSE_URL": short, "REHOOK_SYNC_STATE_URL": short})
    assert settings.warehouse_url.get_secret_value() == long
    assert settings.state_url == settings.warehouse_url
    assert settings.state_schema_name == "rehook_sync"


def documented() -> Iterator[list[str]]:
    for line in (ROOT / "docs" / "settings.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("| `"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def test_the_documented_table_is_what_the_code_does() -> None:
    described = load().describe() | {"warehouse_url": "required"}
    rows = list(documented())
    assert [row[0] for row in rows] == [f"`{name.upper()}`" for name in Settings.model_fields]
    for (_, kind, default, example, meaning), (name, field) in zip(rows, Settings.model_fields.items(), strict=True):
        assert default.strip("`") == described[name].strip("()")
        assert meaning == field.description
        assert kind
        if isinstance(field.annotation, type) and issubclass(field.annotation, StrEnum):
            assert kind == " or ".join(f"`{member}`" for member in field.annotation)
        shown = load(**{name: example.strip("`")})
        assert field.examples
        assert getattr(shown, name) == getattr(
            load_settings(None, {"REHOOK_SYNC_WAREHOUSE_URL": WAREHOUSE}, **overrides(name, field.examples[0])), name
        )


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("slack://a/b/c", ["slack://a/b/c"]),
        ("slack://a/b/c, mailto://me:pw@host?to=a@x,b@y", ["slack://a/b/c", "mailto://me:pw@host?to=a@x,b@y"]),
        (["json://host/a"], ["json://host/a"]),
        ('["json://host/a", "xml://host"]', ["json://host/a", "xml://host"]),
        ("[]", []),
    ],
)
def test_notifiers_are_urls_that_may_hold_commas(text: Any, urls: list[str]) -> None:
    assert [each.get_secret_value() for each in load(notify=text).notify] == urls


@pytest.mark.parametrize("text", [f"{SECRET}", f"slack://{SECRET} mail", [f"{SECRET}"], 7, f"[{SECRET}", f"slack://{SECRET}\x07"])
def test_a_wrong_notifier_is_one_line_without_it(text: Any) -> None:
    with pytest.raises(SettingsError) as caught:
        load(notify=text)
    assert str(caught.value).startswith("REHOOK_SYNC_NOTIFY: ")
    assert str(caught.value).endswith("example: REHOOK_SYNC_NOTIFY=slack://TokenA/TokenB/TokenC")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("attention,stopped,crashed,waiting", "attention, stopped, crashed, waiting"),
        ("rejected_share>0.2,lag>2h", "rejected_share>0.2, lag>2h"),
        (["lag > 90m", "rejected_share > .05"], "lag>1h30m, rejected_share>0.05"),
        ("[]", "(none)"),
    ],
)
def test_conditions_are_shown_as_people_write_them(text: Any, shown: str) -> None:
    assert load(notify_on=text).describe()["notify_on"] == shown


@pytest.mark.parametrize(
    "text", ["always", "attention>1", "lag", "lag>", "lag>2 apples", "rejected_share", "rejected_share>20", "attention,attention", "lag>1M"]
)
def test_a_wrong_condition_is_one_line(text: str) -> None:
    with pytest.raises(
        SettingsError, match=r"^REHOOK_SYNC_NOTIFY_ON: must [^\n]*; example: REHOOK_SYNC_NOTIFY_ON=attention,stopped,lag>2h$"
    ):
        load(notify_on=text)


@pytest.mark.parametrize("text", ["ftp://x", "https://", "https://a b", "hc-ping.com", "https://host:0"])
def test_a_wrong_heartbeat_url_is_one_line(text: str) -> None:
    with pytest.raises(
        SettingsError, match=r"^REHOOK_SYNC_HEARTBEAT_URL: must be a URL that begins with https:// or http://; example: [^\n]*$"
    ):
        load(heartbeat_url=text)


def test_a_date_is_a_start() -> None:
    settings = load_settings(environ={"REHOOK_SYNC_WAREHOUSE_URL": WAREHOUSE}, start_at=date(2026, 11, 1))
    assert settings.start_at == datetime(2026, 11, 1, tzinfo=UTC)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["without", "with a byte order mark"])
def test_a_byte_order_mark_and_the_end_of_a_line_are_left_out(mark: bytes) -> None:
    write(mark + f"{SECRET}\r\n".encode(), "secret")
    assert load(api_secret_file="secret").api_secret == SecretStr(SECRET)
    write(mark + f'warehouse_url = "{WAREHOUSE}"\n'.encode(), "other.toml")
    assert load_settings(Path("other.toml"), environ={}).warehouse_url == SecretStr(WAREHOUSE)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (f"{SECRET}\0".encode(), "holds a NUL character"),
        (SECRET.encode("utf-16-le"), "holds a NUL character"),
        (f"{SECRET}\nmore".encode(), "the file holds a control character, U+000A; it must hold the secret alone, on one line"),
        (f"\x1b{SECRET}".encode(), "the file holds a control character, U+001B"),
        (b"x" * 70_000, "is larger than 64 KB"),
    ],
)
def test_a_file_of_more_than_a_secret_is_one_line(content: bytes, says: str) -> None:
    write(content, "secret")
    with pytest.raises(SettingsError, match=re.escape(says)) as caught:
        load(api_secret_file="secret")
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_regular_file_is_not_waited_for(kind: str) -> None:
    """A pipe without a writer would hang, a device without an end would take all memory."""
    path = Path("/dev/zero")
    if kind == "pipe":
        path = Path("pipe")
        os.mkfifo(path)
    with pytest.raises(SettingsError, match="is no regular file"):
        load(api_secret_file=str(path))
    with pytest.raises(SettingsError, match=rf"^{path}: is no regular file; example: --config"):
        load_settings(path, environ={})


def test_a_file_of_settings_of_many_megabytes_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"^big.toml: is larger than 1024 KB"):
        load_settings(write("#" * 2_000_000, "big.toml"), environ={})


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("sqlite:///state.db", "sqlite:///{}/state.db"),
        ("sqlite:///data/../state.db?timeout=5", "sqlite:///{}/data/../state.db?timeout=5"),
        ("sqlite+pysqlite:///state.db", "sqlite+pysqlite:///{}/state.db"),
        ("sqlite:////var/lib/state.db", "sqlite:////var/lib/state.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("sqlite://", "sqlite://"),
        ("sqlite:///file:state.db?uri=true", "sqlite:///file:state.db?uri=true"),
        ("postgresql://host/state.db", "postgresql://host/state.db"),
    ],
)
def test_a_relative_path_in_a_file_starts_at_that_file(tmp_path: Path, written: str, found: str) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    config = folder / "sync.toml"
    config.write_text(f'warehouse_url = "{written}"\nstate_url = "{written}"\n', encoding="utf-8")
    for given in (config, config.relative_to(tmp_path)):
        settings = load_settings(given, environ={})
        assert settings.state_url is not None
        assert [each.get_secret_value() for each in (settings.warehouse_url, settings.state_url)] == [found.format(folder)] * 2


def test_a_relative_path_elsewhere_starts_at_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "sync.toml").write_text('warehouse_url = "sqlite:///shop.db"\n', encoding="utf-8")
    settings = load_settings(tmp_path / "etc" / "sync.toml", environ={"REHOOK_SYNC_WAREHOUSE_URL": "sqlite:///other.db"})
    assert settings.warehouse_url.get_secret_value() == "sqlite:///other.db"


def test_a_secrets_file_named_in_a_file_starts_at_that_file(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "url").write_text("sqlite:///shop.db\n", encoding="utf-8")
    (tmp_path / "etc" / "secret").write_text("of the file\n", encoding="utf-8")
    (tmp_path / "etc" / "sync.toml").write_text('warehouse_url_file = "url"\napi_secret_file = "secret"\n', encoding="utf-8")
    settings = load_settings(Path("etc/sync.toml"), environ={})
    assert settings.warehouse_url.get_secret_value() == f"sqlite:///{tmp_path}/etc/shop.db"
    assert settings.api_secret is not None
    assert settings.api_secret.get_secret_value() == "of the file"
