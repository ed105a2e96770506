"""The header grammar of named queries, and what dialects say in words of their own."""

import pytest

from rehook_sync.database.queries import parse_queries
from rehook_sync.database.warehouses import WAREHOUSES, WITH_ARGUMENT, warehouse_of
from rehook_sync.errors import InternalError

HEAD = "-- name: q\n-- does: something\n"


def test_both_databases_of_the_state_have_every_word() -> None:
    sqlite, postgresql, other = (warehouse_of(each).words.keys() for each in ("sqlite", "postgresql", "unknown"))
    of_one = {"minute", "hour", "fingerprint"}  # no statement of the sync-state tables has them
    assert sqlite - of_one == postgresql - of_one >= (other | WITH_ARGUMENT) - of_one


@pytest.mark.parametrize("name", WAREHOUSES)
def test_each_warehouse_has_the_words_that_reading_needs(name: str) -> None:
    reading = {"bytes_order", "text_type", "in_window", "in_window_or_null", "place", "among"}
    assert reading <= WAREHOUSES[name].words.keys(), "without key_text or moment, columns that need one are refused"


@pytest.mark.parametrize(
    ("dialect", "sql"),
    [
        ("sqlite", "SELECT strftime('%Y-%m-%dT%H:%M:%f000Z', 'now') WHERE :id IN (SELECT value FROM json_each(:ids))"),
        ("postgresql", "SELECT now() WHERE :id IN (SELECT value FROM jsonb_array_elements_text(CAST(:ids AS jsonb)))"),
    ],
)
def test_a_word_is_what_the_dialect_says_for_it(dialect: str, sql: str) -> None:
    (query,) = parse_queries(HEAD + "-- words: now, ids\nSELECT {now} WHERE :id IN (SELECT value FROM {ids: :ids});", "x.sql")
    said = query.said(warehouse_of(dialect).words)
    assert (said.sql, said.words) == (sql, frozenset())


def test_an_argument_goes_wherever_the_word_needs_it() -> None:
    (query,) = parse_queries(HEAD + '-- identifiers: a\n-- words: in_window\nSELECT {in_window: :"a"}', "x.sql")
    assert query.said(warehouse_of("unknown").words).sql == 'SELECT :"a" >= :low AND :"a" < :high'
    assert query.said(warehouse_of("sqlite").words).sql == 'SELECT :"a" BETWEEN :low AND :last'


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("SELECT {now}", "declares other words"),
        ("-- words: now\nSELECT 1", "declares other words"),
        ("-- words: today\nSELECT {today}", "no dialect knows"),
        ("-- words: ids\nSELECT {ids}", "without its argument"),
        ("-- words: now\nSELECT {now: 1}", "without its argument"),
        ("SELECT '{'", "belongs to no word"),
        ("SELECT {now:1}", "belongs to no word"),
        ("-- words: now\nSELECT {now} {}", "belongs to no word"),
        ("-- fragments: part\nSELECT 1", "declares other words or fragments"),
        ("-- fragments: part\nSELECT {part: 1}", "declares other words or fragments"),
        ("SELECT {part}", "declares other words or fragments"),
    ],
)
def test_a_word_that_is_not_as_it_should_be_is_refused(content: str, complaint: str) -> None:
    with pytest.raises(InternalError, match=complaint):
        list(parse_queries(HEAD + content, "x.sql"))


def test_a_fragment_stands_where_it_is_named_with_its_words_and_identifiers() -> None:
    part = HEAD.replace("-- name: q", "-- name: part") + '-- identifiers: b\n-- words: now\nSELECT {now} FROM :"b"'
    whole = HEAD.replace("-- name: q", "-- name: whole") + '-- identifiers: a\n-- fragments: part\nINSERT INTO :"a"\n{part};'
    words = warehouse_of("sqlite").words
    found = {query.name: query.said(words) for query in parse_queries(f"{part}\n{whole}", "x.sql")}
    joined = found["whole"].joined(found)
    assert joined.sql == f'INSERT INTO :"a"\nSELECT {words["now"]} FROM :"b"'
    assert joined.identifiers == {"a", "b"}
    for others in ({}, {"part": found["whole"]}):
        with pytest.raises(InternalError, match="fragment that is none: part"):
            found["whole"].joined(others)
