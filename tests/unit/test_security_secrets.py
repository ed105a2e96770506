"""Secrets and values in errors: what a server quotes is not kept, however it is spelled, and no error carries a secret on."""

import asyncio
import html
import itertools
import json
import pickle
from base64 import b64encode
from collections.abc import Callable
from traceback import format_exception
from typing import Any
from urllib.parse import quote, quote_plus

import httpx
import orjson
import pytest
import yarl
from hypothesis import example, given
from hypothesis import strategies as st

from rehook_sync.delivery.outcomes import stop_reason
from rehook_sync.errors import RehookSyncError, SettingsError
from rehook_sync.models import REMOVED, Answer, Call, Effect, Operation, Stream
from rehook_sync.rehook.client import Rehook
from rehook_sync.rehook.redaction import redact
from rehook_sync.rules.hashes import trait_hashes
from rehook_sync.settings import load_settings

KEY, SECRET = "key-7Qx9vLm2", 's3cr3t/"é&%+@ w\\x'
TOKEN = b64encode(f"{KEY}:{SECRET}".encode()).decode()
TRAITS = {
    "email": "Zaphod.Beeblebrox7@betelgeuse.example",
    "name": "Zaphod Beeblebrox",
    "phone": "+49 151 5550 1234",
    "address": 'Wallaby Way 42/Ærø "Süd" & Co\'s <br> at the end of a rather long and winding road',
    "site": "https://zaphod.example/me?x=1&y=%20#top",
    "card": 4111111111111111,
    "tags": ["trillian", {"deep": "marvin\tthe\nandroid"}],
}
BODY = orjson.dumps({"source_id": "user-1", "metadata": TRAITS})
PIECES = (
    "7Qx9vLm2",
    "s3cr3t",
    TOKEN[:10],
    "zaphod",
    "beeblebrox",
    "betelgeuse",
    "5550",
    "wallaby",
    "ærø",
    "winding",
    "41111",
    "trillian",
    "marvin",
)

SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "json": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "ascii json": lambda text: json.dumps(text)[1:-1],
    "json with slashes": lambda text: json.dumps(text)[1:-1].replace("/", r"\/"),
    "url": quote,
    "whole url": lambda text: quote(text, safe=""),
    "form": quote_plus,
    "html": html.escape,
    "html numbers": lambda text: html.escape(text).encode("ascii", "xmlcharrefreplace").decode(),
    "html of old": lambda text: html.escape(text).replace("&#x27;", "&#39;"),
}


def refuse(text: str) -> Answer:
    """What becomes of a refusal with this body."""
    transport = httpx.MockTransport(lambda _: httpx.Response(422, content=text.encode("utf-8", "replace")))
    client = Rehook(transport, "https://rehook.test", KEY, SECRET)
    call = Call(Stream.IDENTIFIES, "m-1", "user-1", None, None, None)
    return asyncio.run(client.send(Operation(Stream.IDENTIFIES, "user-1", (call,), BODY)))


def pieces_in(text: str) -> list[str]:
    return [each for each in PIECES if each.casefold() in text.casefold()]


def leaves(value: object) -> list[str]:
    if isinstance(value, dict | list):
        return [leaf for each in (value.values() if isinstance(value, dict) else value) for leaf in leaves(each)]
    return [str(value)]


@pytest.mark.parametrize("inner", SPELLINGS)
@pytest.mark.parametrize("outer", SPELLINGS)
def test_no_spelling_within_another_gets_a_value_or_a_secret_into_the_record(inner: str, outer: str) -> None:
    quoted = [*leaves(TRAITS), BODY.decode(), KEY, SECRET, TOKEN, TOKEN.rstrip("="), f"{KEY}:{SECRET}"]
    for text in quoted:
        answer = refuse(f"bad: '{SPELLINGS[outer](SPELLINGS[inner](text))}'")
        assert answer.detail is not None
        assert pieces_in(answer.detail) == [], (text, answer.detail)
        assert "[…]" in answer.detail


@pytest.mark.parametrize("shout", [str.upper, str.title, str.swapcase])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_values_are_removed_in_upper_and_lower_case(spelling: str, shout: Callable[[str], str]) -> None:
    for text in (TRAITS["email"], TRAITS["name"], TRAITS["address"]):
        detail = refuse(f"bad: '{SPELLINGS[spelling](shout(str(text)))}'").detail
        assert detail is not None
        assert pieces_in(detail) == []


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("length", [40, 60, 75])
def test_beginning_of_a_long_value_is_removed_in_every_spelling(spelling: str, length: int) -> None:
    detail = refuse(f"too long: {SPELLINGS[spelling](str(TRAITS['address']))[:length]}").detail
    assert detail is not None
    assert pieces_in(detail) == []


@example("000000 \xad", ["form"])  # two characters without a shape become one space, but a plus and a space in a form
@example("000000  0", ["form"])
@example("000000+ 0", ["form", "url"])
@example("000000%252525252541", ["url"])  # more layers than are undone
@example("00//000000 @00", ["form"])
@given(st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=8), st.lists(st.sampled_from(sorted(SPELLINGS)), max_size=3))
def test_any_secret_is_removed_in_any_spelling(secret: str, spellings: list[str]) -> None:
    needle = text = f"s3cr3t{secret}s3cr3t"
    for spelling in spellings:
        text = SPELLINGS[spelling](text)
    assert "s3cr3t" not in redact(f"what is '{text}'?", b"{}", "", (needle,))


# Errors that travel.


def stops() -> list[RehookSyncError]:
    answers = [refuse(f"Basic {TOKEN} {SECRET} {KEY}"), Answer(Effect.DENIED, http_status=401), Answer(Effect.UNKNOWN)]
    return [stop_reason(each) for each in answers]


@pytest.mark.parametrize("error", stops(), ids=range(3))
def test_pickled_errors_hold_no_secret(error: RehookSyncError) -> None:
    assert pieces_in(pickle.dumps(error).decode("latin-1")) == []


@pytest.mark.parametrize(
    "values",
    [
        {"warehouse_url": f"nonsense {SECRET}"},
        {"warehouse_url": "sqlite://", "state_url": f"mysql://me:{SECRET}@host/name"},
        {"warehouse_url": "sqlite://", "api_key": f"{KEY}:{SECRET}"},
        {"warehouse_url": "sqlite://", "api_secret": [SECRET]},
        {"warehouse_url": "sqlite://", "api_url": f"https://{KEY}:s3cr3t@host"},
        {"warehouse_url": "sqlite://", "api_secret_file": f"/nowhere/{KEY}", "api_secret": SECRET},
    ],
)
def test_wrong_settings_are_told_without_the_secret_pickled_or_with_their_chain(values: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(None, {}, **values)
    error = caught.value
    assert pieces_in(pickle.dumps(error).decode("latin-1") + "".join(format_exception(error)) + repr(error)) == []


def test_settings_show_no_secret_in_any_form_of_text() -> None:
    url = f"postgresql://me:{quote(SECRET, safe='')}@host/name?password=s3cr3t"
    settings = load_settings(None, {}, warehouse_url=url, api_key=KEY, api_secret=SECRET)
    shown = [repr(settings), str(settings), json.dumps(settings.describe()), settings.model_dump_json(), f"{settings.model_dump()}"]
    assert pieces_in("\n".join(shown)) == []


# Where the credentials may go in the clear.


@pytest.mark.parametrize("scheme", ["http", "HTTP"])
@pytest.mark.parametrize(
    "host",
    [
        "[::1]rehook.test",
        "[::1]:80rehook.test",
        "127.0.0.1.rehook.test",
        "127.0.0.1:80:80",
        "127.0.0.1;rehook.test",
        "127.0.0.1,rehook.test",
        "127.0.0.1%2frehook.test",
        "127.0.0.1%00.rehook.test",
        "localhost%2erehook.test",
        "localhost.rehook.test",
        "localhost:80@rehook.test",
        "rehook.test/@localhost",
        "rehook.test#@localhost",
        "rehook.test?@localhost",
        "rehook.test\\@localhost",
        "0.0.0.0",
        "[::]",
        "[::ffff:10.0.0.1]",
        "10.0.0.1",
        "169.254.169.254",
        "2130706433",
        "0x7f000001",
        "ⓛocalhost",
        "localhost。rehook.test",
        " localhost",
        "localhost\n.rehook.test",
    ],
)
def test_no_spelling_of_an_address_sends_the_credentials_elsewhere_in_the_clear(scheme: str, host: str) -> None:
    """Each part of the program reads addresses in its own way; whatever one lets pass, the next must see as loopback or refuse."""
    asked: list[httpx.URL] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return httpx.Response(200)

    try:
        settings = load_settings(None, {}, warehouse_url="sqlite://", api_url=f"{scheme}://{host}")
        client = Rehook(httpx.MockTransport(answer), settings.api_url, KEY, SECRET)
    except SettingsError:
        return
    asyncio.run(client.check_credentials())
    assert {yarl.URL(str(url), encoded=True).raw_host for url in asked} <= {"localhost", "127.0.0.1", "::1"}


# What stays of traits.


@given(
    st.dictionaries(st.text(max_size=9), st.one_of(st.text(), st.integers(-9, 9), st.booleans()), max_size=6),
    st.text(max_size=9),
    st.text(max_size=9),
)
def test_hashes_of_two_people_or_of_two_keys_have_nothing_in_common(traits: dict[str, object], user: str, other: str) -> None:
    own = trait_hashes(user, traits)
    moved = trait_hashes(user, {f"{key}, of another": value for key, value in traits.items()})
    assert not set(own.values()) & set(moved.values())
    if user != other:
        assert not set(own.values()) & set(trait_hashes(other, traits).values())
    assert len(set(own.values())) == len(own)


def test_same_value_under_each_pair_of_keys_has_another_hash() -> None:
    hashes = trait_hashes("user-1", dict.fromkeys(map(str, range(200)), "gold"))
    assert len(set(hashes.values())) == 200
    assert not [pair for pair in itertools.combinations(hashes.values(), 2) if pair[0][:12] == pair[1][:12]]


@given(secret=st.text("abcdefABCDEF0123456789+/=", min_size=12, max_size=80), cut=st.integers(8, 80), end=st.booleans())
@example(secret="000000++0000", cut=8, end=False)
def test_a_beginning_or_an_end_of_a_secret_is_removed_from_eight_characters_on(secret: str, cut: int, end: bool) -> None:
    piece = secret[-min(cut, len(secret)) :] if end else secret[: min(cut, len(secret))]
    line = redact(f"the key '{piece}' is not known", b"{}", "", (secret,))
    assert piece not in line


@pytest.mark.parametrize("piece", [SECRET[:8], SECRET[:-1], SECRET[-8:], SECRET[1:], TOKEN[:9], KEY[1:]])
def test_nothing_but_the_piece_of_a_secret_is_removed(piece: str) -> None:
    assert redact(f"the key {piece} is not known", b"{}", "", (TOKEN, SECRET, KEY)) == f"the key {REMOVED} is not known"
