"""docs/delivery.md says what each answer and each failure does; these tables are made anew from the code and compared."""

import re
import ssl
from collections.abc import Iterable, Iterator
from itertools import groupby

import httpx
import pytest

from rehook_sync.delivery.outcomes import Next, RetryPolicy, backoff_s, decide
from rehook_sync.models import STREAMS, Answer, Reason, Status, Stream
from rehook_sync.rehook.answers import classify_error, classify_status
from rehook_sync.settings import Settings

from .source_tree import ROOT

PAGE = (ROOT / "docs" / "delivery.md").read_text(encoding="utf-8")
CASES = ((Stream.IDENTIFIES, True), (Stream.TRACKS, True), (Stream.TRACKS, False))
STATUSES = range(200, 600)
NEVER_AN_ANSWER = (*range(100, 200), *range(600, 1000))
POLICY = {hold: RetryPolicy(max_attempts=3, patience_s=60.0, hold=hold) for hold in (True, False)}


def refused_certificate() -> httpx.ConnectError:
    error = httpx.ConnectError("TLS")
    cause = ssl.SSLCertVerificationError()
    cause.verify_message = "self-signed certificate"
    error.__cause__ = cause
    return error


FAILURES: dict[str, tuple[Exception, ...]] = {
    "no connection: refused, unknown host, not in time, none free, proxy": (
        httpx.ConnectError(""),
        httpx.ConnectTimeout(""),
        httpx.PoolTimeout(""),
        httpx.ProxyError(""),
    ),
    "the address cannot be used, the certificate is not trusted": (
        httpx.UnsupportedProtocol(""),
        httpx.InvalidURL(""),
        refused_certificate(),
    ),
    "sent, no answer within `TIMEOUT`": (httpx.ReadTimeout(""), httpx.WriteTimeout("")),
    "sent, connection lost or the answer is not HTTP": (
        httpx.ReadError(""),
        httpx.WriteError(""),
        httpx.CloseError(""),
        httpx.RemoteProtocolError(""),
        httpx.LocalProtocolError(""),
        httpx.DecodingError(""),
    ),
}


def describe(stream: Stream, answer: Answer, hold: bool) -> str:
    """What becomes of a request, in the words of the page."""
    first, last = (decide(stream, answer, attempts, POLICY[hold], 0.5) for attempts in (1, POLICY[hold].max_attempts))
    if first.next is Next.STOP:
        return "the run stops"
    assert last.next is Next.SETTLE
    outcome = f"`{last.status}`" + (f": `{last.reason}`" if last.reason else "")
    return outcome if first == last else f"again, then {outcome}"


def describe_all(answer: Answer) -> tuple[str, ...]:
    return tuple(describe(stream, answer, hold) for stream, hold in CASES)


def as_ranges(numbers: Iterable[int]) -> str:
    """`[400, 404, 405, 406]` -> `400, 404-406`; two neighbours count as a range."""
    runs = [[number for _, number in run] for _, run in groupby(enumerate(sorted(numbers)), key=lambda pair: pair[1] - pair[0])]
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def read_table(first_column: str) -> list[tuple[str, ...]]:
    """The rows of the table whose first column has this title."""
    found = re.search(rf"^\| {re.escape(first_column)} \|[^\n]*\n\|[-|]+\|\n((?:\|[^\n]*\n)+)", PAGE, re.MULTILINE)
    assert found, f"docs/delivery.md has no table with the first column {first_column!r}"
    return [tuple(cell.strip() for cell in line.strip("|").split(" | ")) for line in found[1].splitlines()]


def by_outcome() -> Iterator[tuple[str, ...]]:
    groups: dict[tuple[str, ...], list[int]] = {}
    for status in STATUSES:
        groups.setdefault(describe_all(classify_status(status)), []).append(status)
    (other,) = {describe_all(classify_status(status)) for status in NEVER_AN_ANSWER}
    for outcome, statuses in groups.items():
        yield (as_ranges(statuses) + (", any other" if outcome == other else ""), *outcome)


def test_every_http_status_is_documented_as_the_code_treats_it() -> None:
    assert sorted(read_table("HTTP status")) == sorted(by_outcome())


def test_every_network_failure_is_documented_as_the_code_treats_it() -> None:
    expected = []
    for words, errors in FAILURES.items():
        (outcome,) = {describe_all(classify_error(error)) for error in errors}
        expected.append((words, *outcome))
    assert read_table("network failure") == expected


def test_every_kind_of_failure_has_its_line() -> None:
    def leaves(kind: type[Exception]) -> set[type[Exception]]:
        return set().union(*map(leaves, kind.__subclasses__())) if kind.__subclasses__() else {kind}

    ours = {each for each in leaves(httpx.TransportError) if each.__module__.startswith("httpx")}
    assert ours <= {type(error) for errors in FAILURES.values() for error in errors}


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("hold", [True, False])
def test_a_longer_wait_than_patience_stops_what_would_be_sent_again(stream: Stream, hold: bool) -> None:
    policy = POLICY[hold]
    for status in (*STATUSES, *NEVER_AN_ANSWER):
        usual, asked = (decide(stream, classify_status(status, wait_s), 1, policy, 0.5) for wait_s in (None, policy.patience_s + 1))
        assert (asked.next is Next.STOP) == (usual.next is not Next.SETTLE)


def test_waits_are_as_the_page_says() -> None:
    assert "The wait before attempt 2 is up to 0.5 s and doubles with each further one, up to 30 s; half of it is random." in PAGE
    assert [backoff_s(attempts, 1.0) for attempts in (1, 2, 3, 20)] == [0.5, 1.0, 2.0, 30.0]
    assert [backoff_s(attempts, 0.0) for attempts in (1, 2, 3, 20)] == [0.25, 0.5, 1.0, 15.0]


def test_settings_and_outcomes_that_the_page_names_exist() -> None:
    known = {name.upper() for name in Settings.model_fields}
    assert set(re.findall(r"`([A-Z]+_[A-Z_]+)`", PAGE)) <= known | {"REHOOK_SYNC_ON_AMBIGUOUS_EVENT"}
    outcomes = {
        text
        for _, *cells in (*read_table("HTTP status"), *read_table("network failure"))
        for text in re.findall(r"`(\w+)`", " ".join(cells))
    }
    assert outcomes <= {*Status, *Reason}


def test_every_claim_has_tests_that_exist() -> None:
    tests = {
        name
        for path in ROOT.glob("tests/**/test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    rows = read_table("claim")
    assert len(rows) > 20
    for claim, proof in rows:
        named = re.findall(r"`(\w+)`", proof)
        assert named, claim
        assert set(named) <= tests, claim
