"""GoogleSQL's reference implementation as WebAssembly, out of the wheel `zetasql`: compiled once for all processes."""

import ctypes
import importlib.metadata
import os
from pathlib import Path
from threading import Lock
from typing import Any

from google.protobuf import empty_pb2
from wasmtime import Config, Engine, Linker, Module, Store, WasiConfig
from zetasql.core.exceptions import ServerError
from zetasql.core.wasm_client import WasmClient, get_tzinfo_dir
from zetasql.wasi import get_wasm_path
from zetasql.wasi._pb2.zetasql.local_service import local_service_pb2 as service
from zetasql.wasi._pb2.zetasql.proto import options_pb2
from zetasql.wasi._pb2.zetasql.public import options_pb2 as language
from zetasql.wasi._pb2.zetasql.resolved_ast import resolved_node_kind_pb2

__all__ = ["GoogleSql", "GoogleSqlError"]

_CACHE = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "rehook-sync-tests").expanduser()
_FEATURES = (
    "ANALYTIC_FUNCTIONS",
    "SELECT_STAR_EXCEPT_REPLACE",
    "ANNOTATION_FRAMEWORK",
    "NULLS_FIRST_LAST_IN_ORDER_BY",
    "QUALIFY",
    "NUMERIC_TYPE",
    "BIGNUMERIC_TYPE",
    "JSON_TYPE",
    "CIVIL_TIME",
    "SAFE_FUNCTION_CALL",
    "INTERVAL_TYPE",
    "RANGE_TYPE",
    "PARAMETERIZED_TYPES",
    "JSON_ARRAY_FUNCTIONS",
    "CREATE_TABLE_PARTITION_BY",
    "CREATE_TABLE_CLUSTER_BY",
    "CREATE_TABLE_NOT_NULL",
    "UNENFORCED_PRIMARY_KEYS",
)
"""What BigQuery has of GoogleSQL. More of it would take statements that BigQuery refuses."""
_STATEMENTS = (
    *("QUERY", "INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE"),
    *("CREATE_SCHEMA", "CREATE_TABLE", "CREATE_VIEW", "ALTER_TABLE", "DROP"),
)

GoogleSqlError = ServerError


class GoogleSql:
    """The engine; one for a process, since it takes 200 MB."""

    def __init__(self) -> None:
        """Load the compiled engine, and compile it at the first time, which takes a minute on a slow machine."""
        self._client = _Client()
        self._lock = Lock()
        self.options = options_pb2.AnalyzerOptionsProto(default_timezone="UTC", prune_unused_columns=True)
        self.options.error_message_mode = language.ERROR_MESSAGE_ONE_LINE
        self.options.parse_location_record_type = language.PARSE_LOCATION_RECORD_CODE_SEARCH
        options = self.options.language_options
        options.product_mode = language.PRODUCT_EXTERNAL
        options.enabled_language_features.extend(language.LanguageFeature.Value(f"FEATURE_{name}") for name in _FEATURES)
        options.reserved_keywords.append("QUALIFY")
        kinds = resolved_node_kind_pb2.ResolvedNodeKind
        options.supported_statement_kinds.extend(kinds.Value(f"RESOLVED_{name}_STMT") for name in _STATEMENTS)

    def analyze(self, request: service.AnalyzeRequest) -> Any:
        """Return what a statement means. Raises GoogleSqlError for what GoogleSQL refuses."""
        return self._call("Analyze", request, service.AnalyzeResponse)

    def evaluate(self, request: service.EvaluateQueryRequest) -> Any:
        """Return the rows of a query. Raises GoogleSqlError for what fails."""
        return self._call("EvaluateQuery", request, service.EvaluateQueryResponse)

    def register(self, request: service.RegisterCatalogRequest) -> int:
        """Keep a catalogue with the rows of its tables; return its number."""
        return int(self._call("RegisterCatalog", request, service.RegisterResponse).registered_id)

    def forget(self, catalog: int) -> None:
        """Forget a catalogue."""
        self._call("UnregisterCatalog", service.UnregisterRequest(registered_id=catalog), empty_pb2.Empty)

    def _call(self, name: str, request: Any, response: Any) -> Any:
        with self._lock:
            return self._client.call_grpc_func(f"ZetaSqlLocalService_{name}", request, response)


class _Client(WasmClient):  # type: ignore[misc]  # the wheel has no types
    """The wheel's client, but compiled once for all processes, and with memory copied in blocks instead of byte by byte."""

    def __init__(self) -> None:
        wasi = WasiConfig()
        wasi.inherit_stderr()
        if zones := get_tzinfo_dir():
            wasi.preopen_dir(zones, "/usr/share/zoneinfo")
        config = Config()
        config.shared_memory = True
        engine = Engine(config)
        self.store = Store(engine)
        self.store.set_wasi(wasi)
        self.module = Module.deserialize_file(engine, str(_compiled(engine)))
        linker = Linker(engine)
        linker.define_wasi()
        self.instance = linker.instantiate(self.store, self.module)
        self.exports = self.instance.exports(self.store)
        if "_initialize" in self.exports:
            self.exports["_initialize"](self.store)
        self.memory = self.exports["memory"]

    def write_bytes(self, ptr: int, data: bytes) -> None:
        ctypes.memmove(self._address() + ptr, data, len(data))

    def read_bytes(self, ptr: int, size: int) -> bytes:
        return ctypes.string_at(self._address() + ptr, size)

    def _address(self) -> int:
        return ctypes.addressof(self.memory.data_ptr().contents)


def _compiled(engine: Engine) -> Path:
    """Return the file with the compiled engine. Its name has the versions of what made it."""
    versions = "-".join(importlib.metadata.version(name) for name in ("zetasql", "wasmtime"))
    kept = _CACHE / f"googlesql-{versions}.cwasm"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        made = kept.with_suffix(f".{os.getpid()}")
        made.write_bytes(Module.from_file(engine, str(get_wasm_path())).serialize())
        made.replace(kept)
    return kept
