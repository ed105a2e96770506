"""Takes secrets and the values of a request out of a server's text. Pure."""

import html
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import unquote

from rehook_sync.models import REMOVED

__all__ = ["BODY_LIMIT", "redact"]

BODY_LIMIT = 65_536
"""Bytes of an answer that are read, so no longer value can stand in it."""
_UNPRINTABLE = re.compile(r"[\s\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]+")
_USERINFO = re.compile(r"//[^/@\s]*@")
_BETWEEN_WORDS = re.compile(r"[\W_]+")
_SHORTEST_VALUE = 3
_LONG_VALUE = 32
_SHORTEST_PIECE = 8
_MOST_SPELLINGS = 4
_JSON_ESCAPE = re.compile(r"""(?:\\u[0-9a-fA-F]{4})+|\\["\\/bfnrt]""")
_LONGEST_ADDRESS = 320


def redact(text: str, body: bytes, user_id: str, secrets: Sequence[str]) -> str:
    """Return a text as one line without secrets and without the values of the request.

    Shape:  body: the request's JSON. Its strings and numbers of three characters or more are removed, also where JSON,
            HTML or a URL escaped them, and so is each word of the user id and of e-mail addresses.
    """
    line = _USERINFO.sub("//", _one_line(_decoded(_USERINFO.sub("//", _one_line(text)))))
    values = {*secrets, user_id, *_read_leaves(body)}
    folded = line.casefold()
    forms = sorted(_build_forms(values, line), key=len, reverse=True)
    long = [form for form in forms if len(form) >= _LONG_VALUE]
    line = _without(line, long, folded)
    for form in long:
        line = _without_beginnings(line, form)
    line = _without(line, forms[len(long) :], folded)
    for secret in secrets:
        line = _without_pieces(line, secret)
    names = {word for value in values if value == user_id or "@" in value[:_LONGEST_ADDRESS] for word in _split_words(value)}
    if found := [re.escape(name) for name in names if name.casefold() in folded]:
        line = re.sub(rf"(?<![^\W_])(?:{'|'.join(found)})(?![^\W_])", REMOVED, line, flags=re.IGNORECASE)
    return line


def _one_line(text: str) -> str:
    return _UNPRINTABLE.sub(" ", text).strip()


def _read_leaves(body: bytes) -> Iterator[str]:
    """Yield each string and number of a JSON document as text; a float as written and as Python writes it."""
    try:
        rest = [json.loads(body, parse_int=str, parse_float=lambda token: [token, repr(float(token))])] if body else []
    except ValueError:
        rest = [body.decode("utf-8", "replace")]
    while rest:
        value = rest.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            rest.extend(value)
        elif isinstance(value, dict):
            rest.extend(value.values())


def _build_forms(values: Iterable[str], line: str) -> set[str]:
    """Return what to look for in a decoded line: the values, as they are and decoded."""
    forms = {_UNPRINTABLE.sub(" ", form) for value in values for form in (value[:BODY_LIMIT], _decoded(value[:BODY_LIMIT]))}
    forms |= {form.strip() for form in forms}
    if "+" in line:
        forms |= {form.replace(" ", "+") for form in forms}
    return {form for form in forms if len(form) >= _SHORTEST_VALUE}


def _decoded(text: str) -> str:
    """Undo JSON, HTML and URL escapes, up to four layers in any order."""
    for _ in range(_MOST_SPELLINGS):
        before = text
        if "\\" in text:
            text = _JSON_ESCAPE.sub(lambda found: str(json.loads(f'"{found[0]}"')), text)
        text = unquote(html.unescape(text))
        if text == before:
            break
    return text


def _without(line: str, forms: Iterable[str], folded: str) -> str:
    """Remove texts, whatever their case. `folded`: the line before, casefolded, which tells quickly what it cannot hold."""
    for form in forms:
        if form.casefold() in folded:
            line = re.sub(re.escape(form), REMOVED, line, flags=re.IGNORECASE)
    return line


def _without_beginnings(line: str, value: str, shortest: int = _LONG_VALUE // 2, mark: str = REMOVED) -> str:
    """Remove a value where a server quotes only its beginning, of at least so many characters."""
    pieces: list[str] = []
    start = 0
    while (at := line.find(value[:shortest], start)) >= 0:
        pieces += (line[start:at], mark)
        end = min(len(line), at + len(value))
        start = next((here for here in range(at, end) if line[here] != value[here - at]), end)
    return "".join((*pieces, line[start:]))


def _without_pieces(line: str, secret: str) -> str:
    """Remove each beginning and each end of a secret, from eight characters on."""
    if len(secret) <= _SHORTEST_PIECE:
        return line
    line = _without_beginnings(line, secret, _SHORTEST_PIECE)
    return _without_beginnings(line[::-1], secret[::-1], _SHORTEST_PIECE, REMOVED[::-1])[::-1]


def _split_words(value: str) -> list[str]:
    return [word for word in _BETWEEN_WORDS.split(value[:BODY_LIMIT]) if len(word) >= _SHORTEST_VALUE]
