"""The picture beside the tables: a small panel for each case, ours in one colour, the peers grey, the limit as a line."""

from pathlib import Path
from typing import Any

from bench.figures import DLT, DLT_ARROW, DRT, LIMIT, OURS, OURS_TWO, PEAK, RATE, WALL, Figures, Value
from bench.records import Case, Results

__all__ = ["draw"]

_GROWTHS = (
    ("growth", "seconds with nothing new, by settled rows", WALL),
    ("lookback", "seconds with nothing new, by rows in the lookback", WALL),
    ("memory", "peak MB, by rows to send", PEAK),
    ("tables", "seconds, by event tables", WALL),
)
_WHO = (DRT, DLT, DLT_ARROW, OURS_TWO, OURS)
_COLOUR, _OTHER, _LINE = "tab:blue", "0.75", "0.25"
_STYLES = {False: "o-", True: "o--"}
_COLUMNS = 2
_BARS = 3
"""For which a panel has room at least, so that a single bar is no wall."""


def draw(results: Results, *paths: Path) -> None:
    """Write the same picture into files of several kinds: bars for the parts speed and large, lines for what grows."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update(
        {"svg.hashsalt": "bench", "svg.fonttype": "none", "font.size": 8, "axes.titlesize": 7.5, "axes.titleweight": "bold"}
    )
    from matplotlib import pyplot

    figures = Figures(results.records)
    cases = [case for part in ("speed", "large") for case in figures.cases(part) if figures.took_part(case, LIMIT)]
    cases.sort(key=lambda case: (case.rows, case.latency_ms, case.in_flight, case.database))
    growths = [growth for growth in _GROWTHS if figures.cases(growth[0])]
    if not cases and not growths:
        return
    rows = -(-(len(cases) + len(growths)) // _COLUMNS)
    picture, axes = pyplot.subplots(rows, _COLUMNS, figsize=(9, 1.5 * rows), squeeze=False, layout="constrained")
    panels = iter(axes.flat)
    for case in cases:
        _draw_speed(next(panels), figures, case)
    for part, title, value in growths:
        _draw_growth(next(panels), figures, part, value, title)
    for axis in panels:
        axis.axis("off")
    for path in paths:
        picture.savefig(path, dpi=110, metadata={"Date": None} if path.suffix == ".svg" else None)
    pyplot.close(picture)


def _draw_speed(axis: Any, figures: Figures, case: Case) -> None:
    bars = [(who, figures.median(case, who, RATE) or 0.0) for who in _WHO if figures.rounds(case, who)]
    colours = [_COLOUR if who.startswith(OURS) else _OTHER for who, _ in bars]
    drawn = axis.barh([who for who, _ in bars], [rate for _, rate in bars], color=colours, height=0.7)
    axis.bar_label(drawn, fmt="{:,.0f}", padding=2)
    limit = figures.median(case, LIMIT, RATE)
    if limit is not None:
        axis.axvline(limit, color=_LINE, linewidth=1)
        axis.annotate(
            f"{LIMIT} {limit:,.0f}", (limit, 0), xycoords=("data", "axes fraction"), va="top", ha="center", color=_LINE, fontsize=7
        )
    axis.margins(x=0.2)
    axis.set_ylim(-0.6, max(len(bars), _BARS) - 0.4)
    axis.set_title(f"rows/s: {case.database}, {case.latency_ms} ms, {case.in_flight} at once, {2 * case.rows:,} rows", loc="left")
    _without_frame(axis)
    axis.xaxis.set_visible(False)
    axis.spines["bottom"].set_visible(False)


def _draw_growth(axis: Any, figures: Figures, part: str, value: Value, title: str) -> None:
    found = figures.cases(part)
    for kind, elsewhere in sorted({(case.database, case.elsewhere) for case in found}):
        cases = [case for case in found if (case.database, case.elsewhere) == (kind, elsewhere)]
        known = [(case.tables if part == "tables" else 2 * case.rows, figures.median(case, OURS, value)) for case in cases]
        points = [(size, median) for size, median in known if median is not None]
        colour = _COLOUR if kind == "PostgreSQL" else "tab:cyan"
        label = f"{kind}, state elsewhere" if elsewhere else kind
        axis.plot(
            [size for size, _ in points], [median for _, median in points], _STYLES[elsewhere], color=colour, label=label, markersize=3
        )
    axis.set_title(title, loc="left")
    axis.set_xscale("log")
    axis.set_ylim(bottom=0)
    axis.legend(frameon=False, fontsize=7)
    _without_frame(axis)


def _without_frame(axis: Any) -> None:
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
