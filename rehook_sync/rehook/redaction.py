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
_SPACED_USERINFO = re.compile(r"//[^/@]*@")
_BETWEEN_WORDS = re.compile(r"[\W_]+")
_SPACES = re.compile(r"[ +]+")
"""What a space becomes in a form, and a plus where a form is read; several of them may become one."""
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
    line = _plain(_decode(_plain(text))[-1])
    values = {*secrets, user_id, *_read_leaves(body)}
    folded = _folded(line)
    forms = sorted(_build_forms(values), key=len, reverse=True)
    long = [form for form in forms if len(form) >= _LONG_VALUE]
    line = _without(line, long, folded)
    for form in long:
        if _folded(form[:_LONG_VALUE])[: _LONG_VALUE // 2] in folded:
            line = _without_beginnings(line, form)
    line = _without(line, forms[len(long) :], folded)
    for form in _build_forms(secrets):
        line = _without_pieces(line, form)
    names = {word for value in values if value == user_id or "@" in value[:_LONGEST_ADDRESS] for word in _split_words(value)}
    if found := [re.escape(name) for name in names if name.casefold() in folded]:
        line = re.sub(rf"(?<![^\W_])(?:{'|'.join(found)})(?![^\W_])", REMOVED, line, flags=re.IGNORECASE)
    return line.strip()


def _plain(text: str) -> str:
    """Make one line of a text, without the user's part of URLs."""
    return _USERINFO.sub("//", _UNPRINTABLE.sub(" ", text))


def _folded(text: str) -> str:
    """Return what is the same in all spellings of a plain text."""
    return _SPACES.sub(" ", text).casefold()


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


def _build_forms(values: Iterable[str]) -> set[str]:
    """Return what to look for in a decoded line: the values, as they are and decoded, with and without spaces at their ends."""
    layers = {_UNPRINTABLE.sub(" ", layer) for value in values for layer in _decode(value[:BODY_LIMIT])}
    forms = {form for layer in layers for form in (layer, _USERINFO.sub("//", layer), _SPACED_USERINFO.sub("//", layer))}
    forms |= {stripped for form in forms if len(stripped := form.strip(" +")) >= _SHORTEST_VALUE}
    return {form for form in forms if len(form) >= _SHORTEST_VALUE}


def _decode(text: str) -> list[str]:
    """Undo JSON, HTML and URL escapes, up to four layers in any order; return the text at each layer, decoded ones last."""
    layers = [text]
    while len(layers) <= _MOST_SPELLINGS:
        if "\\" in text:
            text = _JSON_ESCAPE.sub(lambda found: str(json.loads(f'"{found[0]}"')), text)
        text = unquote(html.unescape(text))
        if text == layers[-1]:
            break
        layers.append(text)
    return layers


def _without(line: str, forms: Iterable[str], folded: str) -> str:
    """Remove texts, whatever their case and spaces. `folded`: the line before, folded, which tells quickly what it cannot hold."""
    for form in forms:
        if _folded(form) in folded:
            line = re.sub(_pattern(form), REMOVED, line, flags=re.IGNORECASE)
    return line


def _pattern(text: str) -> str:
    return _SPACES.pattern.join(re.escape(word) for word in _SPACES.split(text))


def _without_beginnings(line: str, value: str, shortest: int = _LONG_VALUE // 2, mark: str = REMOVED) -> str:
    """Remove a value where a server quotes only its beginning, of at least so many characters."""
    words = _SPACES.sub(" ", value)
    shortest = len(_SPACES.sub(" ", value[:shortest]))
    beginning = re.compile(_pattern(words[:shortest]))
    pieces: list[str] = []
    start = 0
    while found := beginning.search(line, start):
        pieces += (line[start : found.start()], mark)
        start = found.end()
        for letter in words[shortest:]:
            following = _SPACES.match(line, start) if letter == " " else None
            if following is None and line[start : start + 1] != letter:
                break
            start = following.end() if following else start + 1
    return "".join((*pieces, line[start:]))


def _without_pieces(line: str, secret: str) -> str:
    """Remove each beginning and each end of a secret, from eight characters on."""
    if len(secret) <= _SHORTEST_PIECE:
        return line
    line = _without_beginnings(line, secret, _SHORTEST_PIECE)
    return _without_beginnings(line[::-1], secret[::-1], _SHORTEST_PIECE, REMOVED[::-1])[::-1]


def _split_words(value: str) -> list[str]:
    return [word for word in _BETWEEN_WORDS.split(value[:BODY_LIMIT]) if len(word) >= _SHORTEST_VALUE]
