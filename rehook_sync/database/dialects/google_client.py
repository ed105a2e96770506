"""Google's client for BigQuery: whose jobs they are, where they run and what they may cost. Installed with the extra `bigquery` only."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import google.auth
from google.auth import impersonated_credentials
from google.auth.exceptions import GoogleAuthError
from google.cloud.bigquery import Client, QueryJobConfig, dbapi
from google.oauth2 import service_account
from google.oauth2.credentials import Credentials

from rehook_sync.database.dialects.record import Meter
from rehook_sync.errors import SettingsError

__all__ = ["connect", "dry_config", "job_config", "let_meter", "make"]

_SCOPES = ("https://www.googleapis.com/auth/bigquery", "https://www.googleapis.com/auth/cloud-platform")


def make(project: str, options: Mapping[str, Any], config: Mapping[str, Any], told_in: str) -> Client:
    """Return a client.

    Shape:  project: that has the tables, and pays unless the options name another.  config: of every job.  told_in: has the options.
    Raises: SettingsError for a file or content that holds no credentials.
    """
    return Client(
        project=options.get("project") or project,
        credentials=_credentials(options, told_in),
        location=options.get("location"),
        default_query_job_config=job_config(config),
    )


def job_config(config: Mapping[str, Any]) -> QueryJobConfig:
    """Return what all jobs of a client have in common."""
    job = QueryJobConfig(labels=config["labels"])
    if config["maximum_bytes_billed"] is not None:
        job.maximum_bytes_billed = config["maximum_bytes_billed"]
    return job


def dry_config() -> QueryJobConfig:
    """Return what makes a job say what it would read, which costs nothing."""
    return QueryJobConfig(dry_run=True)


def let_meter(client: Client, config: Mapping[str, Any], meter: Meter) -> None:
    """Let the jobs of a client carry the run they are of, and count what they read. `config`: of every job."""
    run = client.query_and_wait

    def query_and_wait(query: str, *, job_config: QueryJobConfig | None = None, **more: Any) -> Any:  # noqa: ANN401 - as Google has it
        job = job_config or QueryJobConfig()
        if meter.run:
            job.labels = {**config["labels"], "run_id": meter.run.lower()}
        rows = run(query, job_config=job, **more)
        meter.scanned = (meter.scanned or 0) + (rows.total_bytes_processed or 0)
        return rows

    client.query_and_wait = query_and_wait


def connect(client: Client) -> object:
    """Return a connection over a client. Rows come over the API that the job itself uses, which needs no further rights."""
    return dbapi.connect(client=client, prefer_bqstorage_client=False)


def _credentials(options: Mapping[str, Any], told_in: str) -> object:
    """Return the credentials that the options name, None for those of the environment."""
    found = None
    try:
        if content := _content(options, told_in):
            found = _of_type(content, told_in)
        if account := options.get("impersonate"):
            source = found or google.auth.default(scopes=_SCOPES)[0]
            found = impersonated_credentials.Credentials(source, target_principal=str(account), target_scopes=_SCOPES)
    except (GoogleAuthError, ValueError, KeyError) as error:
        # Not chained: its message may quote the content.
        raise SettingsError(f"{told_in}: they lead to no credentials of Google ({type(error).__name__})") from None
    return found


def _content(options: Mapping[str, Any], told_in: str) -> Mapping[str, Any] | None:
    """Return what the key file holds, or the option that has it, None without either."""
    path, text = options.get("credentials_file"), options.get("credentials")
    try:
        text = Path(str(path)).read_text(encoding="utf-8") if path else text
        found = None if text is None else json.loads(str(text))
    except OSError as error:
        raise SettingsError(f"{told_in}: credentials_file: the file cannot be read ({error.strerror})") from None
    except ValueError:
        found = ()
    if found is not None and not isinstance(found, dict):
        raise SettingsError(f"{told_in}: credentials{'_file' if path else ''} is not the JSON of a key file")
    return found


def _of_type(content: Mapping[str, Any], told_in: str) -> object:
    match content.get("type"):
        case "service_account":
            return service_account.Credentials.from_service_account_info(content, scopes=_SCOPES)
        case "authorized_user":
            return Credentials.from_authorized_user_info(content, scopes=_SCOPES)
        case "impersonated_service_account":
            return impersonated_credentials.Credentials.from_impersonated_service_account_info(content, scopes=_SCOPES)
        case other:
            message = f"{told_in}: credentials of type {str(other)[:40]!r}: name their file in GOOGLE_APPLICATION_CREDENTIALS instead"
            raise SettingsError(message)
