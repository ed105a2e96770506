"""What differs between the versions of Airflow that are supported, 3.1 and later. Imported before Airflow's own names.

An older Airflow gets one line that says so, where its DAG is parsed.
"""

import importlib
import importlib.util
from collections.abc import Callable
from functools import wraps
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
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
    "find_stats",
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


def _first(name: str, *modules: ModuleType | None) -> Any:  # noqa: ANN401 - whatever Airflow has there
    """Return what the first of these modules that has it calls so, None without one."""
    return next((getattr(module, name) for module in modules if module is not None and hasattr(module, name)), None)


_require_airflow()
_sdk = importlib.import_module("airflow.sdk")
_exceptions = (
    importlib.import_module("airflow.sdk.exceptions") if importlib.util.find_spec("airflow.sdk.exceptions") else None,
    importlib.import_module("airflow.exceptions"),
)
_configuration = (
    importlib.import_module("airflow.sdk.configuration") if importlib.util.find_spec("airflow.sdk.configuration") else None,
    importlib.import_module("airflow.configuration"),
)
AirflowException: Any = _first("AirflowException", *_exceptions)
AirflowFailException: Any = _first("AirflowFailException", *_exceptions)
AirflowNotFoundException: Any = _first("AirflowNotFoundException", *_exceptions)
AirflowSkipException: Any = _first("AirflowSkipException", *_exceptions)
AssetOrTimeSchedule: Any = _first("AssetOrTimeSchedule", _sdk) or importlib.import_module("airflow.timetables.assets").AssetOrTimeSchedule
CronTriggerTimetable: Any = (
    _first("CronTriggerTimetable", _sdk) or importlib.import_module("airflow.timetables.trigger").CronTriggerTimetable
)
conf: Any = _first("conf", *_configuration)
RetryDecision: Any = _first("RetryDecision", _sdk)
RetryPolicy: Any = _first("RetryPolicy", _sdk) or object
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


def find_stats() -> Any:  # noqa: ANN401 - whatever Airflow has there
    """Return what sends metrics: a module in Airflow 3.3, an object before. Found when it is wanted, since it loads much."""
    is_there = importlib.util.find_spec("airflow.sdk.observability") is not None
    found = importlib.import_module("airflow.sdk.observability.stats") if is_there else importlib.import_module("airflow.stats")
    return found if hasattr(found, "gauge") else found.Stats
