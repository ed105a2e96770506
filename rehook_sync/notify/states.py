"""Which of the states that people want to hear of hold after a run. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from rehook_sync.errors import LeaseHeldError, OperationalError, RehookSyncError
from rehook_sync.inputs.notices import Condition
from rehook_sync.models import RunStatus, Status

__all__ = ["Ending", "holds"]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended, or that it could not begin.

    Shape:  status: None when it could not begin or did not end by itself.  died: earlier runs that died.
            unsettled: calls of all runs.  lag: age of the newest row, of the source where it is oldest.  waiting: calls.
            rows, rejected: of the runs of the last day.  The last four are None when nobody asked.
    """

    run_id: str | None = None
    status: RunStatus | None = None
    error: BaseException | None = None
    died: tuple[str, ...] = ()
    unsettled: Mapping[Status, int] | None = None
    lag: timedelta | None = None
    waiting: int | None = None
    rows: int | None = None
    rejected: int | None = None

    @property
    def got_through(self) -> bool:
        """Whether the run read all it had to."""
        return self.status in {RunStatus.SUCCEEDED, RunStatus.ATTENTION}

    @property
    def says_nothing(self) -> bool:
        """Whether it changes no state: somebody stopped it, or another run was at work."""
        return self.status is RunStatus.INTERRUPTED or isinstance(self.error, LeaseHeldError | KeyboardInterrupt | SystemExit)


def holds(condition: Condition, ending: Ending) -> bool | None:
    """Tell whether a state holds after a run; None when that run cannot say."""
    return None if ending.says_nothing else _JUDGES[condition.kind](condition, ending)


def _is_crashed(_condition: Condition, ending: Ending) -> bool | None:
    return bool(ending.died) or _is_unexpected(ending) or (False if ending.got_through else None)


def _is_stopped(_condition: Condition, ending: Ending) -> bool | None:
    refused = ending.status is None and ending.error is not None and not _is_unexpected(ending)
    return True if refused or ending.status is RunStatus.STOPPED else False if ending.got_through else None


def _is_unexpected(ending: Ending) -> bool:
    """Tell whether an error ended the run that nobody expected."""
    error = ending.error
    return ending.status is None and error is not None and (isinstance(error, OperationalError) or not isinstance(error, RehookSyncError))


def _needs_attention(_condition: Condition, ending: Ending) -> bool | None:
    return ending.status is RunStatus.ATTENTION if ending.got_through else None


def _waits(_condition: Condition, ending: Ending) -> bool | None:
    return None if ending.waiting is None else ending.waiting > 0


def _is_late(condition: Condition, ending: Ending) -> bool | None:
    return None if ending.lag is None or condition.longer_than is None else ending.lag > condition.longer_than


def _rejects_much(condition: Condition, ending: Ending) -> bool | None:
    if not ending.rows or ending.rejected is None or condition.above is None:
        return None
    return ending.rejected / ending.rows > condition.above


_JUDGES = {
    "attention": _needs_attention,
    "stopped": _is_stopped,
    "crashed": _is_crashed,
    "waiting": _waits,
    "lag": _is_late,
    "rejected_share": _rejects_much,
}
