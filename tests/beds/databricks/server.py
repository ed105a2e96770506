"""The server of the Databricks bed: `python -m beds.databricks.server PORT FOLDER SECRET`.

It speaks the connector's Thrift service over HTTP, gives tokens to a service principal, and notes what it is asked, one JSON a line.
"""

import base64
import json
import sys
import threading
import uuid
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pyarrow as pa
from databricks.sql.thrift_api.TCLIService import TCLIService, ttypes
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql import types as T  # noqa: N812
from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.transport.TTransport import TMemoryBuffer

from beds.databricks.spark import RefusedError, Session, start

ZONE = "America/New_York"
"""Of sessions that do not say theirs."""
_PAGE_ROWS = 10_000
_TYPES = {
    T.BooleanType: "BOOLEAN",
    T.ByteType: "TINYINT",
    T.ShortType: "SMALLINT",
    T.IntegerType: "INT",
    T.LongType: "BIGINT",
    T.FloatType: "FLOAT",
    T.DoubleType: "DOUBLE",
    T.TimestampType: "TIMESTAMP",
    T.TimestampNTZType: "TIMESTAMP",
    T.BinaryType: "BINARY",
    T.ArrayType: "ARRAY",
    T.MapType: "MAP",
    T.StructType: "STRUCT",
    T.DecimalType: "DECIMAL",
    T.DateType: "DATE",
    T.NullType: "NULL",
}


def ok() -> Any:
    return ttypes.TStatus(statusCode=ttypes.TStatusCode.SUCCESS_STATUS)


def failed(message: str, state: str | None = None) -> Any:
    return ttypes.TStatus(statusCode=ttypes.TStatusCode.ERROR_STATUS, sqlState=state, errorMessage=message, displayMessage=message)


def new_handle() -> Any:
    return ttypes.THandleIdentifier(guid=uuid.uuid4().bytes, secret=uuid.uuid4().bytes)


def described(position: int, field: T.StructField) -> Any:
    qualifiers = None
    if isinstance(field.dataType, T.DecimalType):
        numbers = {"precision": field.dataType.precision, "scale": field.dataType.scale}
        qualifiers = ttypes.TTypeQualifiers({name: ttypes.TTypeQualifierValue(i32Value=value) for name, value in numbers.items()})
    kind = getattr(ttypes.TTypeId, f"{_TYPES.get(type(field.dataType), 'STRING')}_TYPE")
    entry = ttypes.TTypeEntry(primitiveEntry=ttypes.TPrimitiveTypeEntry(type=kind, typeQualifiers=qualifiers))
    return ttypes.TColumnDesc(columnName=field.name, typeDesc=ttypes.TTypeDesc([entry]), position=position)


class Result:
    """The rows of a statement, fetched from the front."""

    def __init__(self, table: pa.Table, schema: T.StructType) -> None:
        self._table, self._schema, self._at = table, schema, 0

    def metadata(self) -> Any:
        columns = [described(n, field) for n, field in enumerate(self._schema.fields, 1)]
        return ttypes.TGetResultSetMetadataResp(
            status=ok(),
            schema=ttypes.TTableSchema(columns),
            resultFormat=ttypes.TSparkRowSetType.ARROW_BASED_SET,
            lz4Compressed=False,
            arrowSchema=self._table.schema.serialize().to_pybytes(),
            isStagingOperation=False,
        )

    def fetch(self, most: int) -> Any:
        part, start = self._table.slice(self._at, most), self._at
        self._at += part.num_rows
        batches = [
            ttypes.TSparkArrowBatch(batch=each.serialize().to_pybytes(), rowCount=each.num_rows)
            for each in part.combine_chunks().to_batches()
            if each.num_rows
        ]
        return ttypes.TFetchResultsResp(
            status=ok(),
            hasMoreRows=self._at < self._table.num_rows,
            results=ttypes.TRowSet(startRowOffset=start, rows=[], arrowBatches=batches),
            resultSetMetadata=self.metadata(),
        )


class Service:
    """What the connector calls. The names are those of its Thrift service."""

    def __init__(self, spark: SparkSession, note: Callable[..., None]) -> None:
        self._spark, self._note = spark, note
        self._lock = threading.Lock()
        self._sessions: dict[bytes, Session] = {}
        self._results: dict[bytes, Result] = {}

    def OpenSession(self, request: Any) -> Any:  # noqa: N802
        handle, space = ttypes.TSessionHandle(new_handle()), request.initialNamespace
        self._note(session=request.configuration or {})
        try:
            with self._lock:
                self._sessions[handle.sessionId.guid] = Session(self._spark, space.schemaName if space else None)
        except PySparkException as error:
            return ttypes.TOpenSessionResp(
                status=failed(str(error)), serverProtocolVersion=ttypes.TProtocolVersion.SPARK_CLI_SERVICE_PROTOCOL_V7
            )
        version = ttypes.TProtocolVersion.SPARK_CLI_SERVICE_PROTOCOL_V7
        return ttypes.TOpenSessionResp(
            status=ok(),
            serverProtocolVersion=version,
            sessionHandle=handle,
            configuration={},
            initialNamespace=space,
            canUseMultipleCatalogs=True,
        )

    def CloseSession(self, request: Any) -> Any:  # noqa: N802
        self._sessions.pop(request.sessionHandle.sessionId.guid, None)
        return ttypes.TCloseSessionResp(status=ok())

    def ExecuteStatement(self, request: Any) -> Any:  # noqa: N802
        parameters = request.parameters or []
        self._note(statement=request.statement, parameters=len(parameters))
        session = self._sessions.get(request.sessionHandle.sessionId.guid)
        if session is None:
            return ttypes.TExecuteStatementResp(status=failed("Invalid SessionHandle: SessionHandle [gone]"))
        if request.statement == "FORGET SESSIONS":  # of this bed: what the service does after an hour
            self._sessions.clear()
            request.statement = "SELECT 1"
        types = request.useArrowNativeTypes
        try:
            with self._lock:
                table, schema = session.execute(
                    request.statement, parameters, native=types is None or types.complexTypesAsArrow is not False
                )
        except (PySparkException, Py4JJavaError, RefusedError) as error:
            state = getattr(error, "getSqlState", lambda: None)()
            return ttypes.TExecuteStatementResp(status=failed(str(error).split("\n\nJVM")[0], state))
        result, identity = Result(table, schema), new_handle()
        self._results[identity.guid] = result
        handle = ttypes.TOperationHandle(operationId=identity, operationType=ttypes.TOperationType.EXECUTE_STATEMENT, hasResultSet=True)
        finished = ttypes.TGetOperationStatusResp(status=ok(), operationState=ttypes.TOperationState.FINISHED_STATE)
        rows = result.fetch(request.getDirectResults.maxRows if request.getDirectResults else _PAGE_ROWS)
        direct = ttypes.TSparkDirectResults(operationStatus=finished, resultSetMetadata=result.metadata(), resultSet=rows)
        return ttypes.TExecuteStatementResp(status=ok(), operationHandle=handle, directResults=direct)

    def FetchResults(self, request: Any) -> Any:  # noqa: N802
        return self._results[request.operationHandle.operationId.guid].fetch(request.maxRows)

    def GetOperationStatus(self, _request: Any) -> Any:  # noqa: N802
        return ttypes.TGetOperationStatusResp(status=ok(), operationState=ttypes.TOperationState.FINISHED_STATE)

    def GetResultSetMetadata(self, request: Any) -> Any:  # noqa: N802
        return self._results[request.operationHandle.operationId.guid].metadata()

    def CloseOperation(self, request: Any) -> Any:  # noqa: N802
        self._results.pop(request.operationHandle.operationId.guid, None)
        return ttypes.TCloseOperationResp(status=ok())

    def CancelOperation(self, _request: Any) -> Any:  # noqa: N802
        return ttypes.TCancelOperationResp(status=ok())


class Door(BaseHTTPRequestHandler):
    """HTTP before the service. Shape:  secret: that of the service principal, and a token.  tokens: those that were given."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body of an answer go out one after the other
    processor: Any
    note: Callable[..., None]
    secret: str
    tokens: set[str]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/oidc/v1/token":
            self._give_token(parse_qs(body.decode()))
        elif self.headers.get("Authorization", "").removeprefix("Bearer ") not in self.tokens:
            self._answer(403, b"", {"x-databricks-reason-phrase": "Invalid access token"})
        else:
            answer = TMemoryBuffer()
            self.processor.process(TBinaryProtocol(TMemoryBuffer(body)), TBinaryProtocol(answer))
            self.note(agent=self.headers["User-Agent"])
            self._answer(200, answer.getvalue(), {"Content-Type": "application/x-thrift"})

    def do_GET(self) -> None:
        self.note(got=self.path)
        self._answer(404, b"")

    def _give_token(self, asked: dict[str, list[str]]) -> None:
        principal = base64.b64encode(f"principal:{self.secret}".encode()).decode()
        if self.headers.get("Authorization") != f"Basic {principal}":
            self._answer(401, b'{"error": "invalid_client"}')
            return
        token = f"token-{uuid.uuid4().hex}"
        self.tokens.add(token)
        self.note(token=asked)
        self._answer(200, json.dumps({"access_token": token, "token_type": "Bearer", "expires_in": 3600}).encode())

    def _answer(self, code: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main(port: int, folder: Path, secret: str) -> None:
    journal, lock = (folder / "journal").open("a", encoding="utf-8"), threading.Lock()

    def note(**what: object) -> None:
        with lock:
            print(json.dumps(what), file=journal, flush=True)

    spark = start(folder, ZONE)
    spark.sql("SELECT 1").collect()
    Door.processor, Door.note, Door.secret, Door.tokens = TCLIService.Processor(Service(spark, note)), staticmethod(note), secret, {secret}
    ThreadingHTTPServer(("127.0.0.1", port), Door).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
