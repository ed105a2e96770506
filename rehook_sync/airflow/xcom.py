"""The parameters of a DAG run, and what its tasks pass to each other by XCom."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Self

from rehook_sync.errors import UsageError

__all__ = ["Order", "PlannedRun", "ShardOrder", "refuse_unknown"]

FORMAT = 1
"""Version of these documents: after a deploy, tasks of the new code may read a plan of the old."""
_MOST_SHARDS = 1000
_TRUTH = {"true": True, "false": False, "": False}


@dataclass(frozen=True, slots=True)
class Order:
    """The checked parameters of a DAG run; times are still text.

    Shape:  since, until, stream, source: None when not given.  shards: most tasks that deliver.
    """

    since: str | None = None
    until: str | None = None
    stream: str | None = None
    dry_run: bool = False
    shards: int = 1
    source: str | None = None

    @classmethod
    def read(cls, values: Mapping[str, object]) -> Self:
        """Read rendered parameters: text, or native values.

        Raises: UsageError naming the parameter.
        """
        texts = {name: "" if value is None else str(value).strip() for name, value in values.items()}
        texts = {name: "" if text == "None" else text for name, text in texts.items()}
        dry_run = _TRUTH.get(texts["dry_run"].lower())
        if dry_run is None:
            raise UsageError(f"dry_run: {texts['dry_run']!r} is neither true nor false")
        if not texts["shards"].isdecimal() or not 1 <= int(texts["shards"]) <= _MOST_SHARDS:
            raise UsageError(f"shards: {texts['shards']!r} is no number from 1 to {_MOST_SHARDS}")
        return cls(
            texts["since"] or None, texts["until"] or None, texts["stream"] or None, dry_run, int(texts["shards"]), texts["source"] or None
        )


@dataclass(frozen=True, slots=True)
class ShardOrder:
    """One shard of a run, for one mapped task."""

    run_id: str
    shard: int
    format: int = FORMAT

    def document(self) -> dict[str, object]:
        """Return it as a document for XCom."""
        return asdict(self)

    @classmethod
    def read(cls, document: object) -> Self:
        """Read it from its document. Raises UsageError when another version wrote it."""
        if not isinstance(document, Mapping) or document.get("format") != FORMAT:
            raise UsageError(_OTHER_CODE)
        return cls(str(document["run_id"]), int(document["shard"]))


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """What was planned, for the finish task.

    Shape:  run_id: None for a dry run, which has nothing to finish.  rows: rows due, an estimate.
    """

    run_id: str | None
    shards: int
    rows: int
    format: int = FORMAT

    def document(self) -> dict[str, object]:
        """Return it as a document for XCom."""
        return asdict(self)

    @classmethod
    def read(cls, document: object) -> Self:
        """Read it from its document. Raises UsageError when another version wrote it."""
        if not isinstance(document, Mapping) or document.get("format") != FORMAT:
            raise UsageError(_OTHER_CODE)
        run_id = document["run_id"]
        return cls(None if run_id is None else str(run_id), int(document["shards"]), int(document["rows"]))


_OTHER_CODE = "the plan was made by another version of rehook-sync: clear the plan task and all after it"


def refuse_unknown(given: Collection[str], known: Collection[str]) -> None:
    """Raise UsageError for an unknown parameter: Airflow itself takes any name."""
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise UsageError(f"{unknown[0]}: no such parameter; there are {', '.join(sorted(known))}")
