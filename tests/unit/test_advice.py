"""Commands that people copy: they mean what they say in a real shell, whatever an id holds."""

import json
import shutil
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rehook_sync.models import REJECTED_REASONS, Reason, Status, Stream
from rehook_sync.render.advice import MEANING, Shell, advise, shell_word

BASH = shutil.which("bash")
ROW: dict[str, object] = {"stream": Stream.TRACKS, "message_id": "m-1", "user_id": "u", "event": "e", "reason": None, "detail": None}
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20) | st.sampled_from(
    ["-x", "--resend", "$(touch x)", "`id`", "a b", "it's", "\\", "'; rm -rf /; '", "\x1b[31m", "\u202e", "\r\n", "é\u0085", "\U000e0001"]
)


@pytest.mark.skipif(BASH is None, reason="there is no bash to read the commands")
@settings(max_examples=30, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=8))
def test_words_print_and_reach_a_program_as_they_were(words: list[str]) -> None:
    quoted = [shell_word(each) for each in words]
    assert all(each.isprintable() for each in quoted)
    program = f"{sys.executable} -c 'import json, sys; print(json.dumps(sys.argv[1:]))' {' '.join(quoted)}"
    done = subprocess.run([str(BASH), "-c", program], capture_output=True, text=True, check=True, env={"LC_ALL": "C.UTF-8"})
    assert json.loads(done.stdout) == words


def test_commands_carry_the_settings_file_and_guard_ids() -> None:
    assert Shell()("retry") == "python -m rehook_sync retry"
    assert Shell("my shop.toml")("retry") == "python -m rehook_sync retry --config 'my shop.toml'"
    assert Shell("a.toml")("explain", ids=("-x",)) == "python -m rehook_sync explain --config a.toml -- -x"


@pytest.mark.parametrize("status", [Status.SENT, Status.UNCHANGED, Status.MERGED])
def test_nothing_is_left_to_do_for_what_is_delivered(status: Status) -> None:
    assert advise({**ROW, "status": status}, Shell()) is None


@pytest.mark.parametrize("reason", REJECTED_REASONS)
def test_each_rejection_says_what_to_mend_and_how_to_judge_again(reason: Reason) -> None:
    found = advise({**ROW, "status": Status.REJECTED, "reason": reason}, Shell())
    assert found is not None
    assert len(found.text) > 20
    commands = [command for _, command in found.commands]
    assert commands == ([] if reason is Reason.MISSING_USER_ID else [f"python -m rehook_sync revalidate --reason {reason}"])


def test_taken_code_leads_to_its_owner() -> None:
    row = {**ROW, "status": Status.REJECTED, "reason": Reason.REFERRAL_CODE_TAKEN, "detail": "owned by user ada b"}
    found = advise(row, Shell())
    assert found is not None
    assert found.commands[0] == ("see the owner", "python -m rehook_sync explain 'ada b'")


def test_doubt_is_settled_by_message_id() -> None:
    found = advise({**ROW, "status": Status.IN_DOUBT, "reason": Reason.TIMEOUT}, Shell())
    assert found is not None
    assert [command for _, command in found.commands] == [f"python -m rehook_sync resolve --{verb} m-1" for verb in ("accept", "resend")]


def test_an_event_whose_table_cannot_be_read_is_never_advised_to_go_out_bare() -> None:
    row = {**ROW, "status": Status.WAITING, "reason": Reason.PROPERTIES_NOT_LOADED}
    hidden = advise({**row, "detail": "table 'order_completed' cannot be read"}, Shell())
    absent = advise({**row, "detail": "its id is not in table 'order_completed' yet"}, Shell())
    assert hidden is not None
    assert absent is not None
    assert "MISSING_PROPERTIES" not in hidden.text
    assert "grant" in hidden.text
    assert [command for _, command in hidden.commands] == ["python -m rehook_sync check"]
    assert "MISSING_PROPERTIES=send" in absent.text


def test_every_reason_has_a_meaning() -> None:
    assert set(MEANING) == set(Reason)
