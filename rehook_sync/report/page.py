"""A report as one self-contained HTML page: no network, no script. All data is escaped."""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.resources import files
from itertools import accumulate
from pathlib import Path
from tempfile import NamedTemporaryFile

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from rehook_sync import __version__
from rehook_sync.errors import UsageError
from rehook_sync.models import STREAMS, Reason, RunKind, Status, Stream
from rehook_sync.render.advice import Shell, advise
from rehook_sync.render.console import visible
from rehook_sync.render.text import clock, counted, meaning, number_text
from rehook_sync.report.charts import Chart, Series, draw_columns, draw_lines
from rehook_sync.report.coverage import Coverage
from rehook_sync.report.figures import SHOWN, Figures, Freshness, figures_document
from rehook_sync.report.timeline import Gap, Timeline
from rehook_sync.times import span

__all__ = ["publish", "render_page", "write_page"]

_NOTES = {
    Status.SENT: "Rehook accepted them",
    Status.UNCHANGED: "the customer had it all already",
    Status.MERGED: "inside a later Identify call",
    Status.SKIPPED: "settled elsewhere",
    Status.REJECTED: "broke a rule, or were refused",
    Status.FAILED: "the next run sends them again",
    Status.WAITING: "their event tables do not have them yet",
    Status.IN_DOUBT: "may have arrived",
    Status.SENDING: "in flight now",
}
_RARE = frozenset({Status.SKIPPED, Status.SENDING})
"""Shown only where there are such calls."""
_UNITS = ((3 * 86400.0, 86400.0, "days"), (3 * 3600.0, 3600.0, "hours"), (0.0, 60.0, "minutes"))
"""From this lag on (s), the unit of the chart: its seconds and its name."""
_STALE_S = 86400.0
_MUCH = 0.2
"""A part of the calls that is worth a headline if it was rejected."""
_CARRIES: Mapping[str, str] = {Reason.ANONYMOUS_ID_PRESENT: "carry an anonymous_id, see ANONYMOUS_CALLS"}
_LOOKS = 3
"""So many looks for streams other than the two that every source has."""
_FORMATS = ((timedelta(hours=24), "%b %d %H:%M"), (timedelta(days=400), "%b %d"))


@dataclass(frozen=True, slots=True)
class _Verdict:
    """The headline of the page. Shape:  kind: good, idle, warn or bad, for the style sheet."""

    kind: str
    title: str
    text: str


def publish(figures: Figures, shell: Shell, out: str | None) -> tuple[dict[str, object], str]:
    """Write the page to `out`, nowhere for None; return the numbers for programs and a line for people."""
    path = None if out is None else write_page(render_page(figures, shell), out)
    told = f"wrote {path}: {figures.total:,} calls, {figures.unsettled:,} need attention" if path else ""
    if path and (found := figures.coverage):
        told += f"; {_missing(found)}" + (f": {found.repair}" if found.repair else "")
    return {**figures_document(figures), "file": path}, told


def _missing(coverage: Coverage) -> str:
    missing = coverage.whole.missing
    return f"{counted(missing, 'call')} of the warehouse {'is' if missing == 1 else 'are'} not recorded"


def render_page(figures: Figures, shell: Shell) -> str:
    """Return the page."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, finalize=_finalize, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "number": number_text,
        "clock": _clock,
        "plain_clock": clock,
        "span": _span,
        "share": _share,
        "words": _words,
        "meaning": _meaning,
        "counted": counted,
    }
    template = environment.from_string(files("rehook_sync.report").joinpath("page.html.jinja").read_text(encoding="utf-8"))
    timeline = figures.timeline
    labels = _labels(timeline)
    return template.render(
        figures=figures,
        verdict=_verdict(figures),
        statuses=[status for status in SHOWN if status not in _RARE or figures.calls[status]],
        counted=_counted(figures),
        notes=_NOTES,
        streams=_streams(figures),
        look=partial(_look, _streams(figures)),
        kinds=_kinds(timeline),
        gaps=[_gap_text(each) for each in timeline.longest],
        runs_chart=_runs_chart(figures, labels),
        lag_chart=_lag_chart(figures, labels),
        each=_each(timeline.step),
        first_command=shell("run", "--since", "7d"),
        audit_command=shell("report", "--audit", "7d"),
        version=__version__,
        commands=[_commands(row, shell) for row in figures.rows],
    )


def write_page(page: str, out: str) -> str | None:
    """Write a page to a file, all or nothing, and return its name; `-` writes to stdout and returns None.

    Raises: UsageError for a file that cannot be written.
    """
    if out == "-":
        sys.stdout.write(page)
        return None
    target = Path(out)
    try:
        if target.exists() and not (target.is_file() or target.is_dir()):
            raise ValueError("it is a device or a pipe, which the page would replace")
        with NamedTemporaryFile("w", encoding="utf-8", dir=target.parent, prefix=".report-", suffix=".html", delete=False) as file:
            file.write(page)
        made = Path(file.name)  # for its owner alone, as temporary files are: the page names users
        try:
            made.replace(target)
        except OSError:
            made.unlink(missing_ok=True)
            raise
    except (OSError, ValueError) as error:
        raise UsageError(f"--out: cannot write {visible(out)}: {getattr(error, 'strerror', None) or error}; name another file") from None
    return str(target)


def _finalize(value: object) -> object:
    """Escape unprintable characters: on a page, too, they could reverse a line."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _verdict(figures: Figures) -> _Verdict:
    if not figures.newest and not figures.total:
        if figures.last_success_at is None and not figures.unsettled:
            return _Verdict("idle", "Nothing to report yet", "No run has started in this period.")
        return _Verdict("bad", "No run has started in this period", f"The last good one ended {clock(figures.last_success_at)} UTC.")
    last = figures.newest[0]["status"] if figures.newest else ""
    problems = []
    if figures.unsettled:
        problems.append(f"{figures.unsettled:,} {'call needs' if figures.unsettled == 1 else 'calls need'} attention")
    if last in {"stopped", "crashed"}:
        problems.append(f"the last run {'was stopped' if last == 'stopped' else 'died'}")
    late = [each for each in figures.freshness if _is_stale(each, figures.now)]
    if late:
        names = " and ".join(each.name for each in late)
        problems.append(f"no run has got through {names} for {span((figures.now - _newest(late)).total_seconds())}")
    if figures.coverage and figures.coverage.whole.missing:
        problems.append(_missing(figures.coverage))
    share, most = _much_rejected(figures)
    if problems:
        text = "; ".join([*problems, f"{share} of the calls were rejected"] if share else problems)
        return _Verdict("bad", "Needs attention", f"{text[0].upper()}{text[1:]}.{most and f' {most}'}")
    if share:
        return _Verdict("warn", f"{share} of the calls were rejected", f"{most} All others are settled, too.")
    return _Verdict("good", "All is settled", "Each call has been sent, was not needed, or was rejected with a reason.")


def _much_rejected(figures: Figures) -> tuple[str, str]:
    """Return which part of the calls was rejected, and mostly why; empty for a small part."""
    rejected = figures.calls[Status.REJECTED]
    if rejected <= _MUCH * figures.total:
        return "", ""
    reasons = Counter({reason: n for (status, reason), n in figures.reasons.items() if status == Status.REJECTED})
    reason, most = reasons.most_common(1)[0]
    those = _CARRIES.get(reason) or f"mostly as `{reason}`: {_meaning(reason)}"
    return _share(rejected, figures.total), f"{most:,} of {rejected:,} {those}."


def _is_stale(each: Freshness, now: datetime) -> bool:
    return each.recorded_at is not None and (now - each.recorded_at).total_seconds() > _STALE_S


def _newest(found: Sequence[Freshness]) -> datetime:
    return max(each.recorded_at for each in found if each.recorded_at is not None)


def _labels(timeline: Timeline) -> list[str]:
    """Return a label per period."""
    step, begins = timeline.step or timedelta(), [each.begins_at.astimezone(UTC) for each in timeline.periods]
    is_one_day = len({each.date() for each in begins}) == 1
    form = "%H:%M" if is_one_day else next((form for limit, form in _FORMATS if step < limit), "%Y-%m-%d")
    return [f"{each:{form}}" for each in begins]


def _kinds(timeline: Timeline) -> str:
    """Return how many runs there were, and what for if that differs."""
    runs = sum(timeline.kinds.values())
    parts = ", ".join(f"{n:,} {kind}" for kind, n in timeline.kinds.items())
    return counted(runs, "run") if set(timeline.kinds) <= {RunKind.RUN} else f"{counted(runs, 'run')}: {parts}"


def _gap_text(gap: Gap) -> str:
    """Return when no run began and for how long; how often one should, stands once before all."""
    until = "now" if gap.until_at is None else _short(gap.until_at, gap.from_at)
    return f"{span(gap.length_s)}, from {gap.from_at.astimezone(UTC):%b %d %H:%M} to {until}"


def _short(value: datetime, beside: datetime) -> str:
    one, other = value.astimezone(UTC), beside.astimezone(UTC)
    return f"{one:%H:%M}" if one.date() == other.date() else f"{one:%b %d %H:%M}"


def _each(step: timedelta | None) -> str:
    if step is None:
        return "period"
    names = {timedelta(minutes=1): "minute", timedelta(hours=1): "hour", timedelta(days=1): "day", timedelta(days=7): "week"}
    return names.get(step) or (
        f"{step.days} days"
        if step.days
        else f"{step.seconds // 60} minutes"
        if step < timedelta(hours=1)
        else f"{step.seconds // 3600} hours"
    )


def _counted(figures: Figures) -> list[Status]:
    """Return the statuses that the runs are counted by."""
    return [each for each in SHOWN if each not in _RARE or any(period.calls[each] for period in figures.timeline.busy)]


def _runs_chart(figures: Figures, labels: Sequence[str]) -> Chart | None:
    timeline = figures.timeline
    judged = sum(each.calls.total() for each in timeline.busy)
    if len(timeline.busy) < 2 or not judged:
        return None  # the table of runs says as much as a single column
    series = [Series(_words(kind), kind, [each.calls[kind] for each in timeline.periods]) for kind in _counted(figures)]
    says = (
        f"Columns over time: calls judged by the runs of each {_each(timeline.step)}, {judged:,} in all, by status. "
        "The table below has the numbers."
    )
    return draw_columns(labels, series, says)


def _lag_chart(figures: Figures, labels: Sequence[str]) -> tuple[Chart, str] | None:
    """Return the chart and its unit. A line ends at a gap between runs, and goes on where no run was due."""
    timeline = figures.timeline
    known = [lag for each in timeline.busy for lag in each.lag_s.values() if lag is not None]
    if not known or len(timeline.busy) < 2:
        return None
    divisor, unit = next((size, unit) for limit, size, unit in _UNITS if max(known) >= limit)
    streams = _streams(figures)
    series = [
        Series(f"{unit} behind, {each}", _look(streams, each), values)
        for each in streams
        for values in _pieces(timeline, [_scaled(period.lag_s.get(each), divisor) for period in timeline.periods])
    ]
    says = (
        f"Lines over time: how many {unit} each stream was behind at the end of runs, {span(max(known))} at worst. "
        "The table below has the numbers."
    )
    return draw_lines(labels, series, says), unit


def _pieces(timeline: Timeline, values: Sequence[float | None]) -> list[list[float | None]]:
    """Return the values cut at the gaps: in each piece, what is not of it is None."""
    number = list(accumulate(timeline.is_silent(each) for each in timeline.periods))
    return [[value if of == piece else None for of, value in zip(number, values, strict=True)] for piece in dict.fromkeys(number)]


def _streams(figures: Figures) -> list[Stream]:
    """Return the streams that runs read, in the order of calls at the same instant."""
    read = {each.stream for each in figures.freshness}.union(*(each.lag_s for each in figures.timeline.busy), STREAMS)
    return sorted(map(Stream, read), key=lambda each: each.rank)


def _look(streams: Sequence[str], stream: str) -> str:
    """Return the class of a stream in the style sheet: its name is the user's, and may be that of another class."""
    return stream if stream in STREAMS else f"other_{streams.index(stream) % _LOOKS}"


def _scaled(lag_s: float | None, divisor: float) -> float | None:
    return None if lag_s is None else round(lag_s / divisor, 2)


def _clock(value: object) -> str:
    """Return a time that is not broken over lines."""
    return Markup("<time>{}</time>").format(clock(value)) if isinstance(value, datetime) else clock(value)


def _commands(row: Mapping[str, object], shell: Shell) -> Sequence[tuple[str, str]]:
    """Return the commands for one row; only rows in doubt have some that settle them."""
    found = advise(row, shell)
    look = ("its story", shell("explain", ids=(str(row["message_id"]),)))
    return [look, *(found.commands if found and row["status"] == Status.IN_DOUBT else ())]


def _span(seconds: object) -> str:
    return span(float(seconds)) if isinstance(seconds, int | float) else "none yet"


def _share(part: int, whole: int) -> str:
    """Return a percentage; rounding never makes it 0% or 100%."""
    if not whole or not part:
        return "0%"
    percent = 100 * part / whole
    if part < whole and percent > 99.9:
        return ">99.9%"
    return "<0.1%" if percent < 0.1 else f"{percent:.1f}%".replace(".0%", "%")


def _words(status: object) -> str:
    return str(status).replace("_", " ")


def _meaning(reason: object) -> str:
    return meaning(str(reason)) if reason else ""
