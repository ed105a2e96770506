"""Databricks as data: which URLs and options are taken, and as whom; kinds of types; what errors mean. Without its connector."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import make_url
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.sql.compiler import IdentifierPreparer

from rehook_sync.airflow.common import databases
from rehook_sync.database.dialects.databricks import DATABRICKS, kind_of
from rehook_sync.database.dialects.record import Connecting, Connector, Opening
from rehook_sync.database.engine import open_database
from rehook_sync.database.failures import kind_of as error_of
from rehook_sync.database.kinds import Kind
from rehook_sync.database.queries import load_queries
from rehook_sync.errors import DatabaseError, SettingsError, TransientError
from rehook_sync.warehouse.columns import holders

HOST = "dbc-1234.cloud.databricks.com"
PLACE = "http_path=/sql/1.0/warehouses/1&catalog=main&schema=shop"
URL = f"databricks://token:dapi-s3cret@{HOST}?{PLACE}"
NOBODY = f"databricks://{HOST}?{PLACE}"


def arguments(url: str = URL, /, _connector: Connector | None = None, **options: Any) -> dict[str, Any]:
    """What the connector is given."""
    opening = Opening("WAREHOUSE_URL", True, False, None, Connecting(options, connector=_connector))
    return dict(DATABRICKS.arguments(make_url(url), opening)["connect_args"])


def refusal(url: str = URL, /, **options: Any) -> str:
    """The one line by which a URL or an option is refused."""
    with pytest.raises(SettingsError) as caught:
        open_database(url, "WAREHOUSE_URL", read_only=True, connecting=Connecting(options))
    said = str(caught.value)
    assert len(said.splitlines()) == 1
    assert "s3cret" not in said
    return said


def test_what_the_connector_does_by_itself_is_off() -> None:
    given = arguments()
    assert (given["enable_telemetry"], given["use_cloud_fetch"], given["user_agent_entry"]) == (False, False, "rehook_sync")
    assert (given["_use_arrow_native_complex_types"], given["_disable_pandas"]) == (False, True)
    assert arguments(use_cloud_fetch=True)["use_cloud_fetch"] is True


def test_tags_of_the_user_stand_beside_ours() -> None:
    assert arguments(query_tags="team=data, cost=42")["query_tags"] == {"team": "data", "cost": "42", "app": "rehook_sync"}
    assert "query_tags are written as team=data,cost=42" in refusal(query_tags="data")


@pytest.mark.parametrize(
    ("options", "given"),
    [
        ({"access_token": "dapi"}, {"access_token": "dapi"}),
        ({"azure_client_id": "a", "azure_client_secret": "b", "azure_tenant_id": "c"}, {"auth_type": "azure-sp-m2m"}),
        ({"_use_cert_as_auth": True, "_tls_client_cert_file": "/c.pem"}, {"_use_cert_as_auth": True}),
    ],
)
def test_each_way_in_is_given_to_the_connector(options: dict[str, Any], given: dict[str, object]) -> None:
    assert given.items() <= arguments(NOBODY, **options).items()


def test_a_service_principal_has_its_tokens_from_the_workspace() -> None:
    provider = arguments(NOBODY, oauth_client_id="a", oauth_client_secret="s3cret")["credentials_provider"]
    assert provider._url == f"https://{HOST}/oidc/v1/token"
    assert "given together" in refusal(NOBODY, oauth_client_id="a")


def test_nobody_is_refused_where_the_connector_would_open_a_browser() -> None:
    assert "nothing says as whom to connect: give access_token_file, or" in refusal(NOBODY)


def test_a_connection_of_airflow_says_itself_where_to_and_as_whom() -> None:
    connector = Connector("connection 'rehook'", lambda wanted: wanted)
    given = arguments(f"databricks://{HOST}", connector)
    assert given["_use_arrow_native_complex_types"] is False


@pytest.mark.parametrize("option", ["use_cloud_fetch=true", "_tls_trusted_ca_file=/ca.pem", "access_token=s3cret"])
def test_options_of_the_url_that_would_do_nothing_are_refused(option: str) -> None:
    assert "from the URL it would do nothing: give it in REHOOK_SYNC_WAREHOUSE_OPTIONS" in refusal(f"{URL}&{option}")


@pytest.mark.parametrize(
    ("option", "why"),
    [
        ("_tls_no_verify", "the token would go to whoever answers"),
        ("_use_arrow_native_complex_types", "what is read relies on how it is"),
        ("use_inline_params", "what is read relies on how it is"),
        ("use_kernel", "rows are read over Thrift"),
        ("auth_type", "a run opens no browser"),
        ("session_configuration", "the session is ours"),
        ("acces_token", "is not known here: it takes http_path, access_token"),
    ],
)
def test_an_option_is_refused_with_its_reason(option: str, why: str) -> None:
    said = refusal(**{option: "s3cret"})
    assert said.startswith(f"REHOOK_SYNC_WAREHOUSE_OPTIONS: {option}: ")
    assert why in said


@pytest.mark.parametrize("url", ["databricks://token:s3cret@host", f"databricks://token:s3cret@?{PLACE}"])
def test_a_url_without_a_place_is_refused_with_an_example(url: str) -> None:
    assert "names a host and the http_path of a warehouse: databricks://host?http_path=" in refusal(url)


def test_a_token_goes_in_clear_to_this_machine_alone() -> None:
    assert "in clear over the network" in refusal(_connection_uri="http://10.0.0.1/sql")
    assert arguments(_connection_uri="http://127.0.0.1:5000/sql")["_connection_uri"] == "http://127.0.0.1:5000/sql"


@pytest.mark.parametrize(
    ("query", "schema"), [("catalog=main&schema=shop", "main.shop"), ("schema=shop", "shop"), ("catalog=main", None), ("", None)]
)
def test_the_schema_is_that_of_the_url(query: str, schema: str | None) -> None:
    assert DATABRICKS.default_schema(make_url(f"databricks://host?{query}")) == schema


@pytest.mark.parametrize(
    ("declared", "kind"),
    [
        ("string", Kind.TEXT),
        ("varchar(10)", Kind.TEXT),
        ("char(5)", Kind.PADDED),
        ("bigint", Kind.NUMBER),
        ("LONG", Kind.NUMBER),
        ("decimal(38,4)", Kind.DECIMAL),
        ("double", Kind.DECIMAL),
        ("timestamp", Kind.TIME),
        ("timestamp_ntz", Kind.TIME),
        ("date", Kind.TIME),
        ("boolean", Kind.BOOLEAN),
        ("array<struct<a:int>>", Kind.JSON),
        ("map<string,bigint>", Kind.JSON),
        ("struct<a:int>", Kind.JSON),
        ("variant", Kind.JSON),
        ("interval year to month", Kind.INTERVAL),
        ("binary", Kind.OTHER),
        ("geography(4326)", Kind.OTHER),
        ("", Kind.OTHER),
    ],
)
def test_a_type_has_its_kind(declared: str, kind: Kind) -> None:
    assert kind_of(declared) is kind


class _Backticks(IdentifierPreparer):
    """The quoting of Databricks' dialect, which is not installed where these tests run."""

    def __init__(self, dialect: Dialect) -> None:
        super().__init__(dialect, initial_quote="`", escape_quote="`")


class _Dialect(DefaultDialect):
    name = "databricks"
    preparer = _Backticks  # type: ignore[assignment]


def statement(name: str, **identifiers: Any) -> str:
    """A statement or fragment as it is sent."""
    query = load_queries("warehouse", "databricks")[name]
    return str(
        query.text(_Dialect(paramstyle="named"), **{each: identifiers[each] for each in query.identifiers}).compile(
            dialect=_Dialect(paramstyle="named")
        )
    )


@pytest.mark.parametrize("name", ["read_calls_by_id", "read_properties", "read_unusable_ids", "list_columns"])
def test_ids_are_one_value_whatever_their_number(name: str) -> None:
    query = load_queries("warehouse", "databricks")[name]
    known = {"columns": ["a"], "key": "id", "id": "id", "table": "t", "lists": ["main", "information_schema"]}
    sent = statement(name, **known)
    assert query.expanding == frozenset()
    assert "IN (SELECT EXPLODE(FROM_JSON(:" in sent
    assert DATABRICKS.bind_ids(["a", 'b"', "ü"]) == json.dumps(["a", 'b"', "ü"])


def test_the_lists_are_those_of_the_catalog() -> None:
    query = load_queries("warehouse", "databricks")["list_tables"]
    assert "FROM `main`.`information_schema`.tables AS t" in statement("list_tables", **holders(query, "main", "shop"))
    assert "FROM `information_schema`.tables AS t" in statement("list_tables", **holders(query, None, "shop"))


def test_no_statement_is_said_in_words_of_another_dialect() -> None:
    assert "VARCHAR" not in " ".join(query.sql for query in load_queries("warehouse", "databricks").values())


class _Hook:
    """Airflow's hook, of which only the call is looked at: its provider is not installed where these tests run."""

    def __init__(self, **given: Any) -> None:
        self.given = given


def test_a_hook_of_airflow_is_told_what_reading_relies_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else lists would come as arrays of numpy, and every row with one be rejected."""
    monkeypatch.setattr(databases, "import_module", lambda _: SimpleNamespace(DatabricksSqlHook=_Hook))
    extra = {"http_path": "/sql/1.0/warehouses/1", "catalog": "main", "use_cloud_fetch": True}
    connection = SimpleNamespace(conn_id="rehook_warehouse", schema="shop", extra_dejson=extra)
    wanted = {**arguments(f"databricks://{HOST}", Connector("x", lambda each: each)), "enable_telemetry": False}
    given = databases._databricks_hook(connection, wanted).given
    assert (given["_use_arrow_native_complex_types"], given["_disable_pandas"]) == (False, True)
    assert "use_cloud_fetch" not in given, "the connection says that itself"
    assert (given["catalog"], given["schema"], given["session_configuration"]) == ("main", "shop", {"timezone": "UTC"})


class RequestError(Exception):
    """As the connector has it."""

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.message, self.context = message, {"http-code": code}


@pytest.mark.parametrize(
    ("error", "means"),
    [
        (RequestError("Error during request to server", 503), TransientError),
        (RequestError("Error during request to server", 403), DatabaseError),
        (RequestError("x: CERTIFICATE_VERIFY_FAILED"), DatabaseError),
        (ConnectionResetError("reset"), TransientError),
        (Exception("Invalid SessionHandle: SessionHandle [x]"), TransientError),
        (Exception("[TABLE_OR_VIEW_NOT_FOUND] The table cannot be found. SQLSTATE: 42P01"), DatabaseError),
    ],
)
def test_what_may_pass_is_told_from_what_may_not(error: Exception, means: type[DatabaseError]) -> None:
    assert error_of(error, DATABRICKS) is means
