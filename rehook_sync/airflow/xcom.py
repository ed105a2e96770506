"""What a DAG run asks for, and what its tasks hand to each other: plain data that lives in XCom."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Self

from rehook_sync.errors import UsageError

__all__ = ["Order", "PlannedRun", "ShardOrder", "refuse_unknown"]

FORMAT = 1
"""Grows when what stands in XCom changes: after a deploy, a plan of the old code may meet tasks of the new one."""
_MOST_SHARDS = 1000
_TRUTH = {"true": True, "false": False, "": False}


@dataclass(frozen=True, slots=True)
class Order:
    """The parameters of a DAG run, checked; times still as they were written.

    Shape:  since, until, stream: None when not given.  shards: most tasks that deliver.
    """

    since: str | None = None
    until: str | None = None
    stream: str | None = None
    dry_run: bool = False
    shards: int = 1

    @classmethod
    def read(cls, values: Mapping[str, object]) -> Self:
        """Return the order of values as a template renders them: text, or what it stands for.

        Raises: UsageError naming the parameter.
        """
        texts = {name: "" if value is None else str(value).strip() for name, value in values.items()}
        texts = {name: "" if text == "None" else text for name, text in texts.items()}
        dry_run = _TRUTH.get(texts["dry_run"].lower())
        if dry_run is None:
            raise UsageError(f"dry_run: {texts['dry_run']!r} is neither true nor false")
        if not texts["shards"].isdecimal() or not 1 <= int(texts["shards"]) <= _MOST_SHARDS:
            raise UsageError(f"shards: {texts['shards']!r} is no number from 1 to {_MOST_SHARDS}")
        return cls(texts["since"] or None, texts["until"] or None, texts["stream"] or None, dry_run, int(texts["shards"]))


@dataclass(frozen=True, slots=True)
class ShardOrder:
    """One shard of a run, for one mapped task."""

    run_id: str
    shard: int
    format: int = FORMAT

    def document(self) -> dict[str, object]:
        """Return it as XCom keeps it."""
        return asdict(self)

    @classmethod
    def read(cls, document: object) -> Self:
        """Return what a plan handed over. Raises UsageError when other code made it."""
        if not isinstance(document, Mapping) or document.get("format") != FORMAT:
            raise UsageError(_OTHER_CODE)
        return cls(str(document["run_id"]), int(document["shard"]))


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """What was planned, for the task that finishes.

    Shape:  run_id: None for a dry run, which has nothing to finish.  rows: rows due, an estimate.
    """

    run_id: str | None
    shards: int
    rows: int
    format: int = FORMAT

    def document(self) -> dict[str, object]:
        """Return it as XCom keeps it."""
        return asdict(self)

    @classmethod
    def read(cls, document: object) -> Self:
        """Return what a plan handed over. Raises UsageError when other code made it."""
        if not isinstance(document, Mapping) or document.get("format") != FORMAT:
            raise UsageError(_OTHER_CODE)
        run_id = document["run_id"]
        return cls(None if run_id is None else str(run_id), int(document["shards"]), int(document["rows"]))


_OTHER_CODE = "the plan was made by another version of rehook-sync: clear the plan task and all after it"


def refuse_unknown(given: Collection[str], known: Collection[str]) -> None:
    """Raise UsageError for a parameter that nobody would read: Airflow itself takes any name."""
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise UsageError(f"{unknown[0]}: no such parameter; there are {', '.join(sorted(known))}")
