"""The section of docs/performance.md that a bench run writes: Markdown made from its results, and nothing else (pure)."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from bench.figures import (
    COUNT,
    EVERYBODY,
    LIBRARIES,
    LIMIT,
    LIMIT_PLAIN,
    OURS,
    OURS_PLAIN,
    PEAK,
    RATE,
    STARTS,
    WALL,
    Figures,
    judge,
    second_run,
)
from bench.records import Case, Record, Results

__all__ = ["BEGIN", "END", "put_section", "render"]

BEGIN, END = "<!-- written by make bench: begin -->", "<!-- written by make bench: end -->"
_LIMIT_OF = {OURS_PLAIN: LIMIT_PLAIN, LIMIT_PLAIN: LIMIT_PLAIN}


def render(results: Results) -> str:
    """The section, without its markers."""
    figures = Figures(results.records)
    blocks = [
        _table(("", "measured"), [(name, text) for name, text in results.about.items()]),
        *_musts(figures),
        *_speed(figures),
        *_tables(figures),
        *_growth(figures),
        *_startup(figures),
        *_problems(results.records),
    ]
    return "\n\n".join(blocks)


def put_section(page: str, section: str) -> str:
    """Put a section between the markers of a page."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page lacks the markers {BEGIN} and {END}")
    return f"{head}{begin}\n\n{section}\n\n{end}{tail}"


def _musts(figures: Figures) -> list[str]:
    rows = [
        (
            must.text,
            f"{'at least' if must.at_least else 'at most'} {must.bound:g}{must.unit}",
            "-" if must.value is None else f"{must.value:.2f}{must.unit}",
            {True: "yes", False: "**no**", None: "not measured"}[must.is_met],
            "" if must.beside is None else f"{must.beside[0]:.2f}{must.unit}: {must.beside[1]}",
        )
        for must in judge(figures)
    ]
    return ["### What must be reached", _table(("figure", "must be", "is", "reached", "beside it"), rows)] if rows else []


def _speed(figures: Figures) -> list[str]:
    blocks = []
    columns = (
        "who",
        "rows/s",
        "of the limit",
        "CPU s per 1,000 rows",
        "cores busy",
        "peak MB",
        "nothing new, s",
        "receiver",
        "strangers",
        "rounds",
    )
    for part in ("speed", "large"):
        cases = figures.cases(part)
        for case in [each for each in cases if figures.took_part(each, LIMIT)]:
            title = f"### {case.database}, {_answers(case)}, {case.in_flight} in flight, {case.rows:,} identifies + {case.rows:,} tracks"
            alike = [case, *(each for each in cases if each != case and replace(each, rows=case.rows) == case)]
            rows = [_speed_row(figures, each, who, case) for who in EVERYBODY for each in alike if figures.rounds(each, who)]
            blocks += [title, _table(columns, rows)]
    return blocks


def _answers(case: Case) -> str:
    return f"API answers after {case.latency_ms} ms" if case.latency_ms else "API answers at once"


def _speed_row(figures: Figures, case: Case, who: str, whole: Case) -> tuple[str, ...]:
    """A line of a table whose limit was measured in the case `whole`."""

    def median(value: Callable[[Record], float], digits: int, of: Case = case) -> str:
        return _number(figures.median(of, who, value), digits)

    return (
        who if case == whole else f"{who} (only {case.rows:,} + {case.rows:,} rows)",
        median(RATE, 0),
        _number(figures.ratio((case, who), (whole, _LIMIT_OF.get(who, LIMIT)), RATE), 2),
        median(lambda record: record.cpu_s_per_1000, 3),
        median(lambda record: record.cores_busy, 2),
        median(PEAK, 0),
        median(WALL, 2, second_run(case)),
        median(lambda record: record.receiver_share, 2),
        median(lambda record: record.strangers, 2),
        str(figures.rounds(case, who)),
    )


def _growth(figures: Figures) -> list[str]:
    blocks = []
    for part, title, what in (
        ("growth", "### A run with nothing new, as the history grows", "settled rows"),
        ("lookback", "### A run with nothing new, as the lookback fills", "rows in the lookback"),
        ("memory", "### A backlog, as it grows", "rows to send"),
    ):
        rows = [
            (
                case.database,
                who if who == COUNT else "elsewhere" if case.elsewhere else "in the warehouse",
                f"{2 * case.rows:,}",
                _number(figures.median(case, who, WALL), 2),
                _number(figures.median(case, who, lambda record: record.cpu_s), 2),
                _number(figures.median(case, who, lambda record: record.database_cpu_s), 2),
                _number(figures.median(case, who, PEAK), 0),
                _number(figures.median(case, who, lambda record: record.strangers), 2),
                str(figures.rounds(case, who)),
            )
            for who in (OURS, COUNT)
            for case in figures.cases(part)
            if figures.took_part(case, who)
        ]
        if rows:
            used = ("time, s", "CPU s", "CPU s of the database's own processes", "peak MB", "strangers", "rounds")
            blocks += [title, _table(("database", "sync-state", what, *used), rows)]
    return blocks


def _tables(figures: Figures) -> list[str]:
    rows = [
        (
            case.database,
            f"{case.tables}",
            f"{case.rows:,}",
            _number(figures.median(case, OURS, WALL), 2),
            _number(figures.median(case, OURS, RATE), 0),
            _number(figures.median(case, OURS, PEAK), 0),
            str(figures.rounds(case, OURS)),
        )
        for case in figures.cases("tables")
    ]
    columns = ("database", "event tables", "events", "time, s", "rows/s", "peak MB", "rounds")
    return ["### Events, as they stand in more tables", _table(columns, rows)] if rows else []


def _startup(figures: Figures) -> list[str]:
    rows = [
        (f"`{words}`", _number(figures.median(case, what, WALL), 3), _number(figures.median(case, what, PEAK), 0))
        for case in figures.cases("startup")
        for what, words in (*((each, f"rehook-sync {each}") for each in STARTS[:2]), (LIBRARIES, f"python -c '{LIBRARIES}'"))
        if figures.rounds(case, what)
    ]
    return ["### Start", _table(("command", "time, s", "peak MB"), rows)] if rows else []


def _problems(records: Iterable[Record]) -> list[str]:
    found = [
        (each.who, each.case.part, each.case.database, str(each.round), " ".join(each.problem.replace("|", "/").split())[:200])
        for each in records
        if each.problem is not None
    ]
    return ["### What went wrong and does not count", _table(("who", "part", "database", "round", "problem"), found)] if found else []


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |".replace("|  |", "| |") for line in lines)
