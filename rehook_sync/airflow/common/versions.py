"""What differs between the versions of Airflow that are supported, 3.1 and later. Imported before Airflow's own names.

An older Airflow gets one line that says so, where its DAG is parsed.
"""

import importlib
from collections.abc import Callable
from functools import wraps
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar

__all__ = [
    "HAS_RETRY_POLICY",
    "AirflowException",
    "AirflowFailException",
    "AirflowNotFoundException",
    "AirflowSkipException",
    "AssetOrTimeSchedule",
    "CronTriggerTimetable",
    "RetryDecision",
    "RetryPolicy",
    "conf",
    "failing_at_once",
]

OLDEST = (3, 1)
_Execute = TypeVar("_Execute", bound=Callable[..., Any])


def _require_airflow() -> None:
    found = None
    for name in ("apache-airflow-core", "apache-airflow"):
        try:
            found = version(name)
        except PackageNotFoundError:
            continue
        break
    if found is not None and tuple(int(part) for part in found.split(".")[:2]) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise ImportError(
            f"rehook-sync's operators need Airflow {oldest} or later, and this is {found}: "
            "run `python -m rehook_sync run` from a BashOperator or KubernetesPodOperator instead"
        )


def _first(name: str, *modules: str) -> Any:  # noqa: ANN401 - whatever Airflow has there
    """Return what the first of these modules that has it calls so, None without one."""
    for module in modules:
        try:
            return getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError):
            continue
    return None


_require_airflow()
_EXCEPTIONS = ("airflow.sdk.exceptions", "airflow.exceptions")
AirflowException: Any = _first("AirflowException", *_EXCEPTIONS)
AirflowFailException: Any = _first("AirflowFailException", *_EXCEPTIONS)
AirflowNotFoundException: Any = _first("AirflowNotFoundException", *_EXCEPTIONS)
AirflowSkipException: Any = _first("AirflowSkipException", *_EXCEPTIONS)
AssetOrTimeSchedule: Any = _first("AssetOrTimeSchedule", "airflow.sdk", "airflow.timetables.assets")
CronTriggerTimetable: Any = _first("CronTriggerTimetable", "airflow.sdk", "airflow.timetables.trigger")
conf: Any = _first("conf", "airflow.sdk.configuration", "airflow.configuration")
RetryDecision: Any = _first("RetryDecision", "airflow.sdk")
RetryPolicy: Any = _first("RetryPolicy", "airflow.sdk") or object
HAS_RETRY_POLICY = RetryDecision is not None
"""Airflow 3.3 has policies. Before, an error that another attempt would meet again fails a task at once by its class."""


def failing_at_once(execute: _Execute, final: tuple[type[BaseException], ...]) -> _Execute:
    """Return `execute`, which raises AirflowFailException for errors that another attempt would meet again."""

    @wraps(execute)
    def executing(*given: Any, **named: Any) -> Any:  # noqa: ANN401 - as Airflow calls it
        try:
            return execute(*given, **named)
        except final as error:
            raise AirflowFailException(str(error)) from error

    return executing  # type: ignore[return-value]
