"""Log lines on stderr: as `name=value` pairs or as JSON, from a level on; and the progress of a run in such lines."""

import os
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from rehook_sync.jobs.results import Progress, RunResult
from rehook_sync.models import LogFormat, LogLevel, RunStatus, Status
from rehook_sync.render.escapes import document_json, time_text, visible

__all__ = ["Log", "ProgressLog"]

_LOG_EVERY_S = 5.0
_LEVELS = tuple(LogLevel)


class Log:
    """Writes log lines to stderr. It takes no lock: a signal handler may write while a line is written."""

    def __init__(self, style: LogFormat = LogFormat.LOGFMT, level: LogLevel = LogLevel.INFO) -> None:
        """Write lines of `level` and above."""
        self.style = style
        self._from = _LEVELS.index(level)

    def debug(self, event: str, **values: object) -> None:
        """Write what helps to see how a run goes, if that is wanted."""
        self._write(LogLevel.DEBUG, event, values)

    def info(self, event: str, **values: object) -> None:
        """Write what is as it should be."""
        self._write(LogLevel.INFO, event, values)

    def warning(self, event: str, **values: object) -> None:
        """Write what somebody should look at."""
        self._write(LogLevel.WARNING, event, values)

    def error(self, event: str, **values: object) -> None:
        """Write what went wrong."""
        self._write(LogLevel.ERROR, event, values)

    def _write(self, level: LogLevel, event: str, values: dict[str, object]) -> None:
        if _LEVELS.index(level) < self._from:
            return
        pairs = {"timestamp": time_text(datetime.now(UTC)), "level": level.value, "event": event, **values}
        if self.style is LogFormat.JSON:
            line = document_json(pairs)
        else:
            line = " ".join(f"{name}={_logfmt(value)}" for name, value in pairs.items())
        with suppress(OSError):  # nobody can read it any more
            os.write(sys.stderr.fileno(), f"{line}\n".encode("utf-8", "backslashreplace"))


def _logfmt(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    text = "" if value is None else visible(time_text(value) if isinstance(value, datetime) else value)
    if not any(each in text for each in ' ="'):
        return text
    return '"{}"'.format(text.replace("\\", "\\\\").replace('"', '\\"'))


class ProgressLog:
    """Progress as log lines: at the start, then every 5 s, and at the end.

    Shape:  log: a `Log`, or a logger of structlog, which Airflow's tasks have.
    """

    def __init__(self, log: Any) -> None:  # noqa: ANN401 - they have no common type
        """Write nothing yet."""
        self.log = log
        self._next_at = 0.0
        self._began: tuple[float, int] | None = None

    def listen(self, progress: Progress) -> None:
        """Write a line if one is due."""
        now = time.monotonic()
        if now < self._next_at:
            if self._began is not None:
                self.log.debug("rows recorded", **_counts(progress))
            return
        self._next_at = now + _LOG_EVERY_S
        settled = sum(progress.counts.values())
        due = progress.rows_due
        total = {} if due is None else {"rows_found": due}
        if self._began is None:
            self._began = (now, settled)
            self.log.info("run started", run_id=progress.run_id, **total)
            return
        rate = (settled - self._began[1]) / max(now - self._began[0], 0.001)
        left = {} if due is None or rate <= 0 else {"left_s": round((due - settled) / rate)}
        self.log.info("run goes on", **total, **_counts(progress), at_once=progress.at_once, rows_per_s=round(rate, 1), **left)

    def end(self, result: RunResult) -> None:
        """Write how a run ended."""
        summary = result.summary
        counts = {status.value: getattr(summary, status.value) for status in Status if status is not Status.SENDING}
        say = {RunStatus.SUCCEEDED: self.log.info, RunStatus.STOPPED: self.log.error}.get(summary.status, self.log.warning)
        said = {"run_id": summary.run_id, "status": summary.status.value, "rows_read": summary.rows_read}
        say("run ended", **said, **counts, requests=summary.requests)


def _counts(progress: Progress) -> dict[str, object]:
    counts = {status.value: progress.counts.get(status, 0) for status in Status if status is not Status.SENDING}
    return {"run_id": progress.run_id, "rows_read": progress.rows_read, **counts, "requests": progress.requests}
