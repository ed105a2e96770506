"""Nothing that comes from data reaches a terminal or a log as anything but visible text."""

import io
import json

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from rehook_sync.jobs.results import Explanation
from rehook_sync.models import Reason, Status, Stream
from rehook_sync.render.advice import Shell
from rehook_sync.render.escapes import document_json, visible
from rehook_sync.render.explain import explanation_view
from rehook_sync.render.text import line

TEXT = st.text(st.characters(codec=None)) | st.sampled_from(
    ["\x1b[2J", "\x9b31m", "\r\n", "\u202e", "[red]x[/red]", ":smile:", "\u2028", "\ud83d"]
)


@given(TEXT)
def test_shown_text_prints_and_is_one_line(text: str) -> None:
    shown = visible(text)
    assert shown.isprintable()
    assert visible(shown) == shown
    assert text.isprintable() <= (shown == text)


@given(TEXT, TEXT)
def test_documents_print_and_say_the_same(key: str, value: str) -> None:
    written = document_json({key: [value]})
    assert written.isprintable()
    assert json.loads(written) == {key: [value]}


@given(TEXT, TEXT)
def test_lines_take_no_markup_and_no_control(one: str, two: str) -> None:
    made = line(one, (two, "bold"))
    assert made.plain == visible(one) + visible(two)
    assert {str(span.style) for span in made.spans} <= {"bold"}


@given(TEXT, TEXT, TEXT)
def test_story_of_a_call_shows_data_as_text(user_id: str, event: str, detail: str) -> None:
    row: dict[str, object] = dict.fromkeys(("occurred_at", "first_seen_at", "settled_at", "received_at", "sent_as", "http_status"))
    row |= {"stream": Stream.TRACKS, "message_id": "m-1", "user_id": user_id, "event": event, "detail": detail, "attempts": 1}
    row |= {"status": Status.REJECTED, "reason": Reason.REFUSED_BY_REHOOK, "run_id": "r"}
    written = io.StringIO()
    console = Console(file=written, width=10_000, markup=False, highlight=False, emoji=False, force_terminal=False)
    for part in explanation_view(Explanation("m-1", [row], None), Shell()):
        console.print(part, soft_wrap=True)
    assert all(each.isprintable() for each in written.getvalue().splitlines())
    # Head, customer, clock, a blank, the call, six facts, a remark and a command; an event without a user id has no customer.
    assert written.getvalue().count("\n") == 13
