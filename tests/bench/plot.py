"""The picture beside the table: rows per second of everybody, and what a long history costs."""

from pathlib import Path

from bench.figures import DLT, DLT_ARROW, DRT, LIMIT, LIMIT_PLAIN, OURS, OURS_PLAIN, OURS_TWO, RATE, WALL, Figures
from bench.records import Results

__all__ = ["draw"]

_ORDER = (DRT, DLT, DLT_ARROW, LIMIT_PLAIN, OURS_PLAIN, LIMIT, OURS_TWO, OURS)


def draw(results: Results, path: Path) -> None:
    """Write an SVG: a panel of bars for each case of the parts speed and large, and one of lines for the growth."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "bench", "svg.fonttype": "none", "font.size": 8})
    from matplotlib import pyplot

    figures = Figures(results.records)
    cases = [case for part in ("speed", "large") for case in figures.cases(part) if figures.rounds(case, LIMIT)]
    panels = len(cases) + bool(figures.cases("growth"))
    if not panels:
        return
    picture, axes = pyplot.subplots(panels, 1, figsize=(8, 2.1 * panels), squeeze=False, layout="constrained")
    for case, axis in zip(cases, axes[:, 0], strict=False):
        bars = [(who, figures.median(case, who, RATE) or 0.0) for who in _ORDER if figures.rounds(case, who)]
        colours = ["tab:blue" if who.startswith(OURS) else "tab:gray" for who, _ in bars]
        drawn = axis.barh([who for who, _ in bars], [rate for _, rate in bars], color=colours)
        axis.bar_label(drawn, fmt="{:,.0f}", padding=2)
        axis.set_title(f"rows/s: {case.database}, {case.latency_ms} ms, {case.in_flight} in flight, {case.rows:,} + {case.rows:,} rows")
    if figures.cases("growth"):
        axis = axes[-1, 0]
        for kind in sorted({case.database for case in figures.cases("growth")}):
            found = [case for case in figures.cases("growth") if case.database == kind]
            axis.plot([2 * case.rows for case in found], [figures.median(case, OURS, WALL) for case in found], "o-", label=kind)
        axis.set(title="seconds of a run with nothing new, by settled rows", xscale="log", ylim=(0, None))
        axis.legend()
    picture.savefig(path, metadata={"Date": None})
    pyplot.close(picture)
