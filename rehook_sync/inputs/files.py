"""The files that settings are read from: the texts, the secrets, and paths that begin at a file's folder."""

import os
import re
import stat
from pathlib import Path

__all__ = ["MOST_CONFIG_BYTES", "in_folder", "read_secret", "read_text"]

MOST_CONFIG_BYTES = 1_048_576
_MOST_SECRET_BYTES = 65_536
_SQLITE_FILE = re.compile(r"((?:sqlite|duckdb)(?:\+\w+)?:///)(?!:memory:|file:)([^?]+)(\?.*)?", re.IGNORECASE | re.DOTALL)


def read_text(path: Path, most_bytes: int) -> str:
    """Return the text of a small file, without a byte order mark.

    Raises: OSError, UnicodeError, and a plain ValueError for what is no regular file, is too large, or holds NUL characters.
    """
    # A pipe without a writer would be waited for when it is opened.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("is no regular file")
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise ValueError(f"is larger than {most_bytes // 1024} KB")
    text = content.decode("utf-8-sig")
    if "\0" in text:
        raise ValueError("holds a NUL character; is it UTF-16?")
    return text


def read_secret(path: Path) -> tuple[str, str]:
    """Return the secret in a file, and what is wrong with it, empty when nothing is."""
    try:
        text = read_text(path, _MOST_SECRET_BYTES).strip("\r\n")
    except OSError as error:
        return "", f"the file cannot be read ({error.strerror})"
    except ValueError as error:
        return "", "the file is not UTF-8 text" if isinstance(error, UnicodeError) else str(error)
    return text, _what_is_no_secret(text)


def _what_is_no_secret(text: str) -> str:
    """Return what is wrong with the text of a secret's file, empty when nothing is."""
    if not text:
        return "the file is empty"
    found = next((each for each in text if not each.isprintable()), None)
    return "" if found is None else f"the file holds a control character, U+{ord(found):04X}; it must hold the secret alone, on one line"


def in_folder(url: str, folder: Path) -> str:
    """Return the URL with the relative path of a SQLite or DuckDB file made absolute; any other URL as it is."""
    found = _SQLITE_FILE.fullmatch(url)
    return url if found is None else f"{found[1]}{folder / found[2]}{found[3] or ''}"
