"""What is to be read is broken between words on a terminal; what is to be copied is left to the terminal."""

import io
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout

import pytest

from rehook_sync.errors import RehookSyncError
from rehook_sync.render.console import Screen
from rehook_sync.render.text import line, sentence

LONG = "tracks from the beginning is not done: each run goes on with it, and `python -m rehook_sync run --abandon` gives it up"


class FakeTerminal(io.StringIO):
    """A file that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "80")


def shown(show: Callable[[Screen], None]) -> list[str]:
    """Return the lines that a terminal of 80 columns without colours is given."""
    terminal = FakeTerminal()
    with redirect_stdout(terminal), redirect_stderr(terminal):
        show(Screen(as_json=False))
    return terminal.getvalue().splitlines()


def test_sentences_break_between_words() -> None:
    lines = shown(lambda screen: screen.say(sentence("note: ", LONG, style="yellow")))
    assert " ".join(lines) == f"note: {LONG}"
    assert any("`python -m rehook_sync run --abandon`" in each for each in lines)
    assert max(map(len, lines)) <= 80


def test_errors_break_between_words() -> None:
    lines = shown(lambda screen: screen.complain(RehookSyncError(LONG)))
    assert " ".join(lines) == f"error: {LONG}"
    assert max(map(len, lines)) <= 80


def test_a_line_that_is_just_full_is_the_last_of_its_words() -> None:
    assert shown(lambda screen: screen.say(sentence(f"{'a' * 75} each run {'b' * 90} end"))) == [f"{'a' * 75} each", "run", "b" * 90, "end"]


def test_wide_characters_count_twice() -> None:
    assert shown(lambda screen: screen.say(sentence(f"{'日本語' * 13} {'日本語' * 13}"))) == ["日本語" * 13] * 2


def test_a_word_longer_than_the_terminal_stays_whole() -> None:
    address = f"https://{'a' * 100}"
    assert any(address in each for each in shown(lambda screen: screen.say(sentence(f"see {address} for it"))))


def test_lines_to_be_copied_are_left_whole() -> None:
    assert shown(lambda screen: screen.say(line(LONG), LONG)) == [LONG, LONG]


def test_without_a_terminal_a_sentence_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(as_json=False)
    screen.say(sentence(LONG))
    screen.complain(RehookSyncError(LONG))
    written = capsys.readouterr()
    assert (written.out, written.err) == (f"{LONG}\n", f"error: {LONG}\n")
