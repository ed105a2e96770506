"""The picture beside the table: rows per second of everybody, and what a long history costs."""

from pathlib import Path
from typing import Any

from bench.figures import DLT, DLT_ARROW, DRT, LIMIT, LIMIT_PLAIN, OURS, OURS_PLAIN, OURS_TWO, PEAK, RATE, WALL, Figures, Value
from bench.records import Case, Results

__all__ = ["draw"]

_GROWTHS = (
    ("growth", "seconds of a run with nothing new, by settled rows", WALL),
    ("memory", "peak memory in MB, by rows to send", PEAK),
)
_ORDER = (DRT, DLT, DLT_ARROW, LIMIT_PLAIN, OURS_PLAIN, LIMIT, OURS_TWO, OURS)


def draw(results: Results, path: Path) -> None:
    """Write an SVG: a panel of bars for each case of the parts speed and large, and one of lines for each kind of growth."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "bench", "svg.fonttype": "none", "font.size": 8})
    from matplotlib import pyplot

    figures = Figures(results.records)
    cases = [case for part in ("speed", "large") for case in figures.cases(part) if figures.took_part(case, LIMIT)]
    growths = [growth for growth in _GROWTHS if figures.cases(growth[0])]
    heights = [sum(figures.rounds(case, who) > 0 for who in _ORDER) + 2 for case in cases] + [7] * len(growths)
    if not heights:
        return
    picture, axes = pyplot.subplots(
        len(heights), 1, figsize=(8, sum(heights) / 4), height_ratios=heights, squeeze=False, layout="constrained"
    )
    for case, axis in zip(cases, axes[:, 0], strict=False):
        _draw_speed(axis, figures, case)
    for (part, title, value), axis in zip(growths, axes[len(cases) :, 0], strict=True):
        _draw_growth(axis, figures, part, value)
        axis.set(title=title, xscale="log")
        axis.set_ylim(bottom=0)
    picture.savefig(path, metadata={"Date": None})
    pyplot.close(picture)


def _draw_speed(axis: Any, figures: Figures, case: Case) -> None:
    bars = [(who, figures.median(case, who, RATE) or 0.0) for who in _ORDER if figures.rounds(case, who)]
    colours = ["tab:blue" if who.startswith(OURS) else "tab:gray" for who, _ in bars]
    drawn = axis.barh([who for who, _ in bars], [rate for _, rate in bars], color=colours)
    axis.bar_label(drawn, fmt="{:,.0f}", padding=2)
    axis.margins(x=0.1)
    axis.set_title(f"rows/s: {case.database}, {case.latency_ms} ms, {case.in_flight} in flight, {case.rows:,} + {case.rows:,} rows")


def _draw_growth(axis: Any, figures: Figures, part: str, value: Value) -> None:
    for kind in sorted({case.database for case in figures.cases(part)}):
        found = [(2 * case.rows, figures.median(case, OURS, value)) for case in figures.cases(part) if case.database == kind]
        known = [(rows, median) for rows, median in found if median is not None]
        axis.plot([rows for rows, _ in known], [median for _, median in known], "o-", label=kind)
    axis.legend()
