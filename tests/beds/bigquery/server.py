"""BigQuery's REST API on loopback, as much of it as Google's own client asks for, and the tokens that the client brings along."""

import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qs, urlparse

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from beds.bigquery.engine import GoogleSqlError
from beds.bigquery.project import Answer, DeniedError, Project, Table
from beds.bigquery.types import field_of, from_parameter, to_cell

__all__ = ["Bed", "Job", "open_bed"]

_BILLED_AT_LEAST = 10 << 20
"""Bytes that BigQuery bills for a table at least."""


@dataclass(frozen=True)
class Job:
    """A statement as it came.

    Shape:  settings: `labels`, `dryRun`, `maximumBytesBilled`, `defaultDataset` and whatever else the client says of the job.
            error: what it was answered with, None if it went well.
    """

    sql: str
    parameters: Mapping[str, tuple[str, Any]]
    settings: Mapping[str, Any]
    location: str | None
    error: str | None = None


class Bed(ThreadingHTTPServer):
    """The server of one project.

    Shape:  jobs: all statements so far.  tokens: what access was asked with.  page: rows of an answer at most.
            location: where its datasets are.
    """

    daemon_threads = True
    page = 100_000
    location = "EU"

    def __init__(self, project: Project) -> None:
        """Listen on a free port of loopback."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.project = project
        self.jobs: list[Job] = []
        self.tokens: list[Mapping[str, str]] = []
        self.answers: dict[str, tuple[Mapping[str, Any], Answer]] = {}
        self.lock = Lock()

    @property
    def host(self) -> str:
        """Return the address, as `BIGQUERY_EMULATOR_HOST` takes it."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def statements(self) -> list[str]:
        """Return the text of all statements so far, dry ones left out."""
        return [each.sql for each in self.jobs if not each.settings.get("dryRun")]

    def write_key(self, path: Path, *, impersonated: str | None = None) -> Path:
        """Write the key file of a service account, whose tokens this server gives; or the file of one that another stands in for."""
        key = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        account = {
            "type": "service_account",
            "project_id": self.project.name,
            "private_key_id": "1",
            "private_key": key,
            "client_email": f"reader@{self.project.name}.iam.gserviceaccount.com",
            "client_id": "1",
            "token_uri": f"{self.host}/token",
        }
        if impersonated is not None:
            url = f"{self.host}/v1/projects/-/serviceAccounts/{impersonated}:generateAccessToken"
            account = {"type": "impersonated_service_account", "service_account_impersonation_url": url, "source_credentials": account}  # type: ignore[dict-item]
        path.write_text(json.dumps(account), encoding="utf-8")
        return path


@contextmanager
def open_bed(project: Project) -> Iterator[Bed]:
    """Serve a project until the end."""
    with Bed(project) as bed:
        thread = Thread(target=bed.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield bed
        finally:
            bed.shutdown()
            thread.join()


class _RefusedError(Exception):
    """An answer of the API that is no success."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason = status, reason


@dataclass
class _Request:
    path: list[str]
    values: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)


class _Handler(BaseHTTPRequestHandler):
    """One connection of the client."""

    server: Bed
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer a GET."""
        self._answer(self._get)

    def do_POST(self) -> None:
        """Answer a POST."""
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        path = urlparse(self.path).path
        if path == "/token":
            self.server.tokens.append({key: value[0] for key, value in parse_qs(raw.decode()).items()})
            return self._reply({"access_token": "local", "expires_in": 3600, "token_type": "Bearer"})
        if path.endswith(":generateAccessToken"):
            self.server.tokens.append({"impersonated": path.rpartition("/")[2].partition(":")[0]})
            return self._reply({"accessToken": "local", "expireTime": "2100-01-01T00:00:00Z"})
        return self._answer(lambda request: self._post(request, json.loads(raw or b"{}")))

    def _answer(self, answer: Any) -> None:
        url = urlparse(self.path)
        path = url.path.strip("/").split("/")
        request = _Request(path[path.index("projects") + 2 :], {key: value[-1] for key, value in parse_qs(url.query).items()})
        try:
            self._reply(answer(request))
        except _RefusedError as error:
            message = {"reason": error.reason, "message": str(error), "domain": "global"}
            self._reply({"error": {"code": error.status, "message": str(error), "errors": [message]}}, error.status)

    def _reply(self, body: Mapping[str, Any], status: int = 200) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _post(self, request: _Request, body: dict[str, Any]) -> Mapping[str, Any]:
        match request.path:
            case ["jobs"]:
                job_id = self._run(body["configuration"], body.get("jobReference", {}))
                return self._job(job_id)
            case ["queries"]:
                settings: dict[str, Any] = {key: body[key] for key in ("labels", "dryRun") if key in body}
                job_id = self._run({**settings, "query": body}, {"location": body.get("location")})
                ticks = str(body.get("formatOptions", {}).get("useInt64Timestamp", "")).lower()
                most = str(body.get("maxResults", ""))
                return self._results(job_id, {"formatOptions.useInt64Timestamp": ticks, **({"maxResults": most} if most else {})})
            case ["jobs", job_id, "cancel"]:
                return {"job": self._job(job_id)}
        raise _RefusedError(404, "notFound", f"Not found: {self.path}")

    def _get(self, request: _Request) -> Mapping[str, Any]:
        project = self.server.project
        match request.path:
            case ["queries", job_id]:
                return self._results(job_id, request.values)
            case ["jobs", job_id]:
                return self._job(job_id)
            case ["datasets", dataset, "tables", name]:
                table = project.datasets.get(dataset, {}).get(name)
                if table is None:
                    raise _RefusedError(404, "notFound", f"Not found: Table {project.name}:{dataset}.{name}")
                return _described(project.name, dataset, name, table)
            case ["datasets", dataset] if dataset in project.datasets:
                reference = {"projectId": project.name, "datasetId": dataset}
                return {"kind": "bigquery#dataset", "datasetReference": reference, "location": self.server.location}
        raise _RefusedError(404, "notFound", f"Not found: {self.path}")

    def _run(self, settings: Mapping[str, Any], reference: Mapping[str, Any]) -> str:
        """Run a statement and keep its answer; return the id of its job."""
        query = settings["query"]
        parameters = {each["name"]: from_parameter(each) for each in query.get("queryParameters", ()) if "name" in each}
        told = {**{key: value for key, value in query.items() if key not in {"query", "queryParameters"}}, **settings}
        dataset = query.get("defaultDataset", {}).get("datasetId")
        error = None
        try:
            if reference.get("location") not in {None, self.server.location}:
                raise _RefusedError(404, "notFound", f"Not found: Dataset was not found in location {reference['location']}")
            with self.server.lock:
                answer = self._evaluate(query, parameters, dataset, dry=bool(settings.get("dryRun")))
        except _RefusedError as refused:
            error = str(refused)
            raise
        finally:
            self.server.jobs.append(Job(query["query"], parameters, told, reference.get("location"), error))
        job_id = reference.get("jobId") or f"job_{uuid.uuid4().hex}"
        self.server.answers[job_id] = settings, answer
        return job_id

    def _evaluate(self, query: Mapping[str, Any], parameters: Mapping[str, Any], dataset: str | None, *, dry: bool) -> Answer:
        project = self.server.project
        try:
            most = int(query.get("maximumBytesBilled", 0) or 0)
            if most and not dry and (bytes_billed := project.run(query["query"], parameters, dataset=dataset, dry=True).scanned) > most:
                raise _RefusedError(
                    400, "bytesBilledLimitExceeded", f"Query exceeded limit for bytes billed: {most}. {bytes_billed} or higher required."
                )
            return project.run(query["query"], parameters, dataset=dataset, dry=dry)
        except GoogleSqlError as error:
            missing = "Table not found" in error.message or "is not a dataset" in error.message
            raise _RefusedError(404 if missing else 400, "notFound" if missing else "invalidQuery", error.message) from None
        except DeniedError as error:
            raise _RefusedError(403, "accessDenied", str(error)) from None

    def _job(self, job_id: str) -> Mapping[str, Any]:
        if job_id not in self.server.answers:
            raise _RefusedError(404, "notFound", f"Not found: Job {job_id}")
        settings, answer = self.server.answers[job_id]
        project, location = self.server.project.name, self.server.location
        destination = {"projectId": project, "datasetId": "_anonymous", "tableId": job_id}
        query = {
            "statementType": "SELECT" if answer.columns else "SCRIPT",
            "totalBytesProcessed": str(answer.scanned),
            "totalBytesBilled": str(max(answer.scanned, _BILLED_AT_LEAST)),
            "schema": _schema(answer),
        }
        return {
            "kind": "bigquery#job",
            "id": f"{project}:{location}.{job_id}",
            "jobReference": {"projectId": project, "jobId": job_id, "location": location},
            "configuration": {**settings, "jobType": "QUERY", "query": {**settings["query"], "destinationTable": destination}},
            "status": {"state": "DONE"},
            "statistics": {
                "creationTime": "1",
                "startTime": "1",
                "endTime": "2",
                "totalBytesProcessed": str(answer.scanned),
                "query": query,
            },
        }

    def _results(self, job_id: str, values: Mapping[str, str]) -> Mapping[str, Any]:
        if job_id not in self.server.answers:
            raise _RefusedError(404, "notFound", f"Not found: Job {job_id}")
        _, answer = self.server.answers[job_id]
        start = int(values.get("pageToken") or values.get("startIndex") or 0)
        end = start + min(int(values.get("maxResults", self.server.page)), self.server.page)
        ticks = values.get("formatOptions.useInt64Timestamp", "").lower() == "true"
        kinds = [kind for _, kind in answer.columns]
        rows = [
            {"f": [{"v": to_cell(value, kind, ticks=ticks)} for value, kind in zip(row, kinds, strict=True)]}
            for row in answer.rows[start:end]
        ]
        return {
            "kind": "bigquery#getQueryResultsResponse",
            "jobReference": {"projectId": self.server.project.name, "jobId": job_id, "location": self.server.location},
            "schema": _schema(answer),
            "totalRows": str(len(answer.rows)),
            "totalBytesProcessed": str(answer.scanned),
            "jobComplete": True,
            "cacheHit": False,
            "rows": rows,
            **({"pageToken": str(end)} if start < end < len(answer.rows) else {}),
        }


def _schema(answer: Answer) -> Mapping[str, Any]:
    return {"fields": [field_of(name, kind) for name, kind in answer.columns]}


def _described(project: str, dataset: str, name: str, table: Table) -> Mapping[str, Any]:
    reference = {"projectId": project, "datasetId": dataset, "tableId": name}
    columns = [field_of(each, kind) for each, kind in table.types.items() if each not in table.pseudo]
    return {
        "kind": "bigquery#table",
        "tableReference": reference,
        "type": "TABLE" if table.sql is None else "VIEW",
        "schema": {"fields": columns},
    }
