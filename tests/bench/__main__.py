"""`make bench`: measures everything, shows how it goes, and writes the table, the plot and what they are made from."""

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.compare import compared_cases, other_revision, render_comparison, revisions
from bench.contestants import Peers, contestants
from bench.databases import open_databases
from bench.machine import describe_machine, open_receiver
from bench.page import BEGIN, END, put_section, render
from bench.parts import FULL, PARTS, QUICK, Bench, say
from bench.records import Record, Results

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def main() -> int:
    """Run the parts asked for; the exit code is 1 when something that was measured does not count."""
    chosen = read_arguments(sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that servers and folders go as well
    if chosen.compare:
        return compare(chosen)
    parts = chosen.only or PARTS
    out = Path(chosen.out) if chosen.out else DOCS if is_whole(chosen) else ROOT / "build" / "bench"
    out.mkdir(parents=True, exist_ok=True)
    began_s = time.monotonic()
    records: list[Record] = []
    with (
        tempfile.TemporaryDirectory(prefix="rehook-bench-", dir=chosen.work) as folder,
        open_databases(chosen.databases, Path(folder)) as databases,
        open_receiver([0, 20]) as receiver,
    ):
        sizes = QUICK if chosen.quick else FULL
        sizes = replace(sizes, rounds=chosen.rounds, short_rounds=chosen.rounds) if chosen.rounds else sizes
        bench = Bench(sizes, databases, contestants(Peers(chosen.peers)), receiver, Path(folder))
        for part in parts:
            say(f"{part}, after {(time.monotonic() - began_s) / 60:.1f} minutes:")
            for record in bench.run(part):
                say(f"  {line(record)}")
                records.append(record)
    about = {**describe_machine(), "Command": command(sys.argv[1:]), "Took": f"{(time.monotonic() - began_s) / 60:.0f} minutes"}
    write(Results(about, records), out)
    say(f"written to {out}")
    return int(any(each.problem for each in records))


def compare(chosen: argparse.Namespace) -> int:
    """Measure another revision beside this one; the exit code is 1 when something that was measured does not count."""
    with (
        tempfile.TemporaryDirectory(prefix="rehook-bench-", dir=chosen.work) as folder,
        other_revision(ROOT, chosen.compare, Path(folder)) as place,
        open_databases(chosen.databases, Path(folder)) as databases,
        open_receiver([0, 20]) as receiver,
    ):
        sizes = QUICK if chosen.quick else FULL
        bench = Bench(sizes, databases, revisions(chosen.compare, place), receiver, Path(folder))
        pairs = [(case, who) for case in compared_cases(databases, sizes.rows) for who in bench.contestants]
        records = []
        for record in bench.rounds(pairs, chosen.rounds or sizes.rounds):
            say(f"  {line(record)}")
            records.append(record)
    sys.stdout.write(f"{render_comparison(records, chosen.compare)}\n")
    return int(any(each.problem for each in records))


def read_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rows and one round: does it still work?")
    parser.add_argument("--only", action="append", choices=PARTS, help="only this part; may be given several times")
    parser.add_argument("--compare", metavar="REVISION", help="measure nothing but this checkout beside another revision of it")
    parser.add_argument("--rounds", type=int, help="so many rounds of everything that is measured in rounds")
    parser.add_argument("--databases", nargs="+", choices=("SQLite", "PostgreSQL"), default=["SQLite", "PostgreSQL"])
    parser.add_argument("--peers", type=Path, help="folder with the environments of the peers; without it, none takes part")
    parser.add_argument("--work", type=Path, help="folder for the databases; the growth part needs 30 GB there")
    parser.add_argument("--out", help="folder of the results: docs for a whole run, else build/bench")
    return parser.parse_args(arguments)


def is_whole(chosen: argparse.Namespace) -> bool:
    """Tell whether a run measures all there is, so that it may stand in the documents."""
    return not (chosen.quick or chosen.only or chosen.rounds) and len(chosen.databases) == 2 and chosen.peers is not None


def command(arguments: Sequence[str]) -> str:
    """What to type to get the same."""
    own = [each for place, each in enumerate(arguments) if each != "--peers" and (place == 0 or arguments[place - 1] != "--peers")]
    return f'`make bench BENCH_ARGS="{" ".join(own)}"`' if own else "`make bench`"


def line(record: Record) -> str:
    """One measurement, while it goes on."""
    case = record.case
    again = "again" if case.again else ""
    what = f"{case.database:10s} {case.latency_ms:2d} ms {case.in_flight:3d} {case.rows:9,d} {again:5s} {record.who:30s}"
    used = f"{record.wall_s:8.2f} s {record.rows_per_s:8,.0f}/s  cpu {record.cpu_s:7.2f} s  {record.peak_mb:5.0f} MB"
    return f"{record.round} {what} {used}  strangers {record.strangers:.2f}  {record.problem or ''}"


def write(results: Results, out: Path) -> None:
    """Write the data, the section of the page, and the plot."""
    from bench.plot import draw

    document = results.document()
    records = ",\n".join(json.dumps(each) for each in document["records"])
    (out / "performance.json").write_text(f'{{"about": {json.dumps(document["about"])}, "records": [\n{records}\n]}}\n', encoding="utf-8")
    page, section = out / "performance.md", render(Results.of(document))
    text = page.read_text(encoding="utf-8") if page.exists() else f"{BEGIN}\n{END}\n"
    page.write_text(put_section(text, section), encoding="utf-8")
    draw(results, out / "performance.svg", out / "performance.png")
    sys.stdout.write(f"{section}\n")


if __name__ == "__main__":
    sys.exit(main())
