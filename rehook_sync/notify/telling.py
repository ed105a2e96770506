"""Tell people of a run once it has ended: one message when a state begins, and one when it is over."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

from rehook_sync.database.engine import Database
from rehook_sync.errors import RehookSyncError, UsageError
from rehook_sync.inputs.notices import Condition
from rehook_sync.jobs.results import RunOptions, RunResult, StartedRun
from rehook_sync.models import STREAMS, RunStatus
from rehook_sync.notify.memory import Notices
from rehook_sync.notify.metrics import record_run
from rehook_sync.notify.states import Ending, holds
from rehook_sync.rules.watermark import EPOCH
from rehook_sync.settings import Settings
from rehook_sync.state.state import State

__all__ = ["Teller", "telling"]

_MINUTE = timedelta(minutes=1)


class Teller:
    """Compares how a run ended with what people know, and tells them the difference."""

    def __init__(self, settings: Settings, database: Database, options: RunOptions | None) -> None:
        """Say nothing yet. `options`: what the run was asked for, None when that is not known any more."""
        self._settings = settings
        self._database = database
        self._options = options
        self._began_at = time.monotonic()

    def began(self, started: StartedRun) -> StartedRun:
        """Tell of the dead runs that this one cleaned up after. Returns it with what could not be told in its notes."""
        died = tuple(each.run_id for each in started.recovered)
        notes = self._try(Ending(started.run_id, died=died)) if died else []
        return replace(started, notes=[*started.notes, *notes]) if notes else started

    def ended(self, result: RunResult) -> RunResult:
        """Tell how a run ended. Returns it with what could not be told in its notes."""
        record_run(result, time.monotonic() - self._began_at)
        summary, died = result.summary, tuple(each.run_id for each in result.recovered)
        notes = self._try(Ending(summary.run_id, summary.status, result.error, died, result.unsettled))
        if summary.status is RunStatus.SUCCEEDED and (self._options is None or self._options.only is None):
            notes += self._beat()
        return replace(result, notes=[*result.notes, *notes]) if notes else result

    def failed(self, error: BaseException) -> None:
        """Tell that a run could not begin, or did not end by itself. Who gave options is there to read the answer."""
        options = self._options
        if not (isinstance(error, UsageError) and options is not None and options != RunOptions(trigger=options.trigger)):
            self._try(Ending(error=error))

    def _try(self, ending: Ending) -> list[str]:
        """Tell what has begun and what is over. Returns notes for the user on what could not be told."""
        if not self._settings.notify or ending.says_nothing:
            return []
        try:
            return self._tell(ending)
        except RehookSyncError as error:
            return [f"nobody could be told how this run ended: {error}"]
        except Exception as error:  # noqa: BLE001 - telling never fails a run
            return [f"nobody could be told how this run ended: {type(error).__name__}"]

    def _tell(self, ending: Ending) -> list[str]:
        notices, notes = Notices(self._database), []
        known, wanted = notices.read(), {each.text: each for each in self._settings.notify_on}
        ending = self._with_figures(ending)
        for text, condition in wanted.items():
            held = holds(condition, ending)
            if held is None or held == (text in known):
                continue
            failed = self._send(condition, ending, known.get(text), begins=held)
            some = len(failed) < len(self._settings.notify)
            if failed:
                again = "" if some else ": the next run tries again"
                notes.append(f"no message on {text!r} went to {', '.join(failed)}{again}")
            if some and held:
                notices.record(text, ending.run_id)
            elif some:
                notices.drop(text)
        for text in known.keys() - wanted:
            notices.drop(text)  # nobody wants to hear of it any more
        return notes

    def _with_figures(self, ending: Ending) -> Ending:
        """Return how a run ended with what only some states need."""
        if ending.status is None or not {each.kind for each in self._settings.notify_on} & {"lag", "waiting", "rejected_share"}:
            return ending
        state, newest = State(self._database), dict[str, datetime]()
        streams = {*STREAMS, *self._settings.other_streams}
        for feed, row in state.read_watermarks().items():
            mark = row["high_at"]
            if feed.source in self._settings.sources and feed.stream in streams and isinstance(mark, datetime) and mark != EPOCH:
                newest[feed.source] = max(mark, newest.get(feed.source, mark))
        now = state.now()
        lag = max(((now - mark) // _MINUTE * _MINUTE for mark in newest.values()), default=None)
        waiting, rows, rejected = Notices(self._database).count(now)
        return replace(ending, lag=lag, waiting=waiting, rows=rows, rejected=rejected)

    def _send(self, condition: Condition, ending: Ending, since: datetime | None, *, begins: bool) -> list[str]:
        from rehook_sync.notify.carriers import send  # noqa: PLC0415 - only who has something to say needs them
        from rehook_sync.notify.messages import begun_message, over_message  # noqa: PLC0415

        sources = list(self._settings.warehouse_schema)
        message = begun_message(condition, ending, sources) if begins else over_message(condition, since, ending, sources)
        return send(message, self._settings.notify)

    def _beat(self) -> list[str]:
        """Call the URL that hears of good runs. Returns a note for the user if that fails."""
        if self._settings.heartbeat_url is None:
            return []
        from rehook_sync.notify.carriers import call_heartbeat  # noqa: PLC0415 - only who is to be called needs it

        wrong = call_heartbeat(self._settings.heartbeat_url)
        return [] if wrong is None else [f"REHOOK_SYNC_HEARTBEAT_URL could not be called: {wrong}"]


@contextmanager
def telling(settings: Settings, database: Database, options: RunOptions | None = None) -> Iterator[Teller]:
    """Do work of a run, and tell people if it raises an error, which stays as it is."""
    teller = Teller(settings, database, options)
    try:
        yield teller
    except BaseException as error:
        teller.failed(error)
        raise
