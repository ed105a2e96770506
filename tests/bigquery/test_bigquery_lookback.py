"""What a run over BigQuery need not read again: a statement of each stream says how its hours look."""

from datetime import timedelta

from accounting import ALL, NOW, Bench
from beds.bigquery.server import Bed
from warehouse import Row, identify, track

from .tables import add_rows, make_tables

FIRST = (NOW - timedelta(hours=9)).replace(minute=0, second=0, microsecond=0)
"""The start of an hour that is over."""


def calls(count: int, first: int = 0) -> list[Row]:
    return [track(f"t{n}", f"u{n % 5}", "Visited", FIRST + timedelta(minutes=n)) for n in range(first, first + count)]


def settle(bed: Bed, bench: Bench) -> None:
    bench.options["missing_properties"] = "send"
    make_tables(bed.project, {"identifies": [identify("i1", "u1", FIRST)], "tracks": calls(61)})
    bench.run(ALL, check=False)
    bench.check()
    run(bed, bench)


def run(bed: Bed, bench: Bench) -> tuple[int, list[str]]:
    """The rows that a run took, and its jobs."""
    before = len(bed.jobs)
    rows = bench.run(check=False).summary.rows_read
    jobs = [each.sql for each in bed.jobs[before:]]
    bench.check()
    return rows, jobs


def test_a_run_with_nothing_new_asks_for_no_row_and_no_id(bed: Bed, bench: Bench) -> None:
    settle(bed, bench)
    rows, jobs = run(bed, bench)
    assert rows == 0
    assert len(bench.read_state("sync_stretches")) == 3
    assert [sql for sql in jobs if "rehook_sync__place" in sql or "NULL AS calls" in sql] == []
    assert len([sql for sql in jobs if "FARM_FINGERPRINT" in sql]) == 2


def test_a_row_in_the_place_of_another_and_a_copy_are_seen(bed: Bed, bench: Bench) -> None:
    settle(bed, bench)
    tracks = bed.project.datasets["shop"]["tracks"]
    tracks.rows = [row for row in tracks.rows if row[0] != "t7"]
    bench.gone.add("t7")
    add_rows(bed.project, "tracks", [track("other", "u1", "Visited", FIRST + timedelta(minutes=7))])
    assert run(bed, bench)[0] == 1
    assert run(bed, bench)[0] == 0
    add_rows(bed.project, "tracks", calls(2))
    rows, jobs = run(bed, bench)
    assert rows == 0
    assert any("NULL AS calls" in sql for sql in jobs), "two copies, of which an XOR shows nothing"


def test_a_row_that_leaves_between_two_statements_is_not_remembered(bed: Bed, bench: Bench) -> None:
    """BigQuery has no transaction for reading, so the hour is remembered as it was with the ids that were compared."""
    settle(bed, bench)
    late = track("late", "u2", "Visited", FIRST + timedelta(minutes=5))
    add_rows(bed.project, "tracks", [late])
    tracks = bed.project.datasets["shop"]["tracks"]
    whole, run_sql = list(tracks.rows), bed.project.run

    def leaving(sql: str, *more: object, **options: object) -> object:
        if "NULL AS calls" in sql:
            tracks.rows = whole[:-1]
        return run_sql(sql, *more, **options)  # type: ignore[arg-type]

    bed.project.run = leaving  # type: ignore[method-assign, assignment]
    run(bed, bench)
    bed.project.run = run_sql  # type: ignore[method-assign]
    tracks.rows = whole
    assert run(bed, bench)[0] == 1
    assert bench.statuses()["late"] == "sent"
