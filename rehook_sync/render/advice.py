"""What a status and a reason mean, and what to do next, with the command for it. Pure.

The screen, the JSON documents and the HTML page share these texts.
"""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rehook_sync.models import Reason, Status, Stream
from rehook_sync.rules.validation import OWNED_BY
from rehook_sync.warehouse.names import is_hidden

__all__ = ["MEANING", "Advice", "Shell", "advise", "shell_word"]

MEANING = {
    Reason.MISSING_USER_ID: "has no user_id",
    Reason.ANONYMOUS_ID_PRESENT: "carries an anonymous_id",
    Reason.REFERRAL_CODE_TAKEN: "its referral_code belongs to another user",
    Reason.MISSING_REFERRAL_CODE: "a conversion event without referral_code",
    Reason.MISSING_EVENT_NAME: "a Track call without event name",
    Reason.INVALID_ROW: "holds what cannot be sent",
    Reason.REFUSED_BY_REHOOK: "Rehook refused it",
    Reason.FORGOTTEN: "its user was forgotten before it was sent",
    Reason.RATE_LIMITED: "Rehook asked for fewer requests; not carried out",
    Reason.SERVER_ERROR: "Rehook answered with a server error",
    Reason.NETWORK_ERROR: "no connection to Rehook",
    Reason.BLOCKED_BY_EARLIER: "waits for an earlier call of the same user",
    Reason.PROPERTIES_NOT_LOADED: "its properties could not be read yet",
    Reason.SUPERSEDED: "newer calls carried what it would change",
    Reason.SETTLED_ELSEWHERE: "settled elsewhere, says a baseline; never sent from here",
    Reason.TIMEOUT: "no answer in time; it may have arrived",
    Reason.CONNECTION_LOST: "the connection broke; it may have arrived",
    Reason.CRASHED_IN_FLIGHT: "the run died meanwhile; it may have arrived",
}
_MEND: Mapping[str, str] = {
    Reason.MISSING_USER_ID: "Rehook rewards users: identify the user before the call is made; this one stays out",
    Reason.ANONYMOUS_ID_PRESENT: "if calls with both ids shall go out, set REHOOK_SYNC_ANONYMOUS_CALLS=allow_with_user_id, then",
    Reason.REFERRAL_CODE_TAKEN: "a code belongs to the first user who carries it; once the warehouse has another one for this user",
    Reason.MISSING_REFERRAL_CODE: "add referral_code in the warehouse or take the event out of REHOOK_SYNC_CONVERSION_EVENTS, then",
    Reason.MISSING_EVENT_NAME: "give the call its event name in the warehouse, then",
    Reason.INVALID_ROW: "mend the value in the warehouse, or if it is a trait or property, name its column in REHOOK_SYNC_EXCLUDE, then",
    Reason.REFUSED_BY_REHOOK: "mend what Rehook complains about in the warehouse, then",
}


@dataclass(frozen=True, slots=True)
class Shell:
    """Writes commands that can be copied into a shell: `shell("retry")`."""

    config: str | None = None

    def __call__(self, *words: str, ids: tuple[str, ...] = ()) -> str:
        """Return a command. Ids come last; one that looks like an option stays an id."""
        config = () if self.config is None else ("--config", self.config)
        guard = ("--",) if any(each.startswith("-") for each in ids) else ()
        return " ".join(["python -m rehook_sync", *(shell_word(each) for each in (*words, *config, *guard, *ids))])


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do about a row. Shape:  commands: (purpose or "", command line)."""

    text: str
    commands: tuple[tuple[str, str], ...] = ()


def shell_word(word: str) -> str:
    """Return a word quoted for a shell; unprintable characters become escapes of bash and zsh."""
    if word.isprintable():
        return shlex.quote(word)
    return "$'" + "".join(_ansi_c(each) for each in word) + "'"


def _ansi_c(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if character.isprintable():
        return character
    number = ord(character)
    return f"\\{number:03o}" if number < 0x80 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def advise(row: Mapping[str, object], shell: Shell) -> Advice | None:
    """Return what to do about a row of `sync_state`; None when nothing is left to do."""
    known: dict[str, Callable[[Mapping[str, object], Shell], Advice]] = {
        Status.REJECTED: _advise_rejected,
        Status.FAILED: _advise_failed,
        Status.WAITING: _advise_waiting,
        Status.IN_DOUBT: _advise_doubtful,
        Status.SENDING: _advise_sending,
    }
    found = known.get(str(row["status"]))
    return found(row, shell) if found else None


def _advise_rejected(row: Mapping[str, object], shell: Shell) -> Advice:
    reason = str(row["reason"])
    if reason == Reason.MISSING_USER_ID:
        return Advice(_MEND[reason])
    commands = [("judge all with this reason again", shell("revalidate", "--reason", reason))]
    owner = str(row.get("detail") or "")
    if reason == Reason.REFERRAL_CODE_TAKEN and owner.startswith(OWNED_BY):
        commands.insert(0, ("see the owner", shell("explain", ids=(owner.removeprefix(OWNED_BY),))))
    return Advice(_MEND.get(reason, ""), tuple(commands))


def _advise_failed(row: Mapping[str, object], shell: Shell) -> Advice:
    if row["reason"] == Reason.BLOCKED_BY_EARLIER:
        return Advice("it goes out by itself once the earlier call is settled; the next run tries, or now", (("", shell("retry")),))
    return Advice("the next run sends it again by itself; or now", (("", shell("retry")),))


def _advise_waiting(row: Mapping[str, object], shell: Shell) -> Advice:
    if is_hidden(str(row.get("detail") or "")):
        return Advice(
            "let this user read the event table: `check` says what to grant; each run looks again and sends it with its properties",
            (("", shell("check")),),
        )
    return Advice(
        "each run looks again and sends it once its properties are loaded; if they never come, or under another id, "
        "send it with what the table of tracks has: set REHOOK_SYNC_MISSING_PROPERTIES=send, then",
        (("", shell("run")),),
    )


def _advise_doubtful(row: Mapping[str, object], shell: Shell) -> Advice:
    ids = (str(row["message_id"]),)
    what = "call" if row["stream"] == Stream.IDENTIFIES else "event"
    return Advice(
        f"nothing is sent by itself: see at Rehook whether the {what} arrived, then either",
        (("it arrived", shell("resolve", "--accept", ids=ids)), ("it did not", shell("resolve", "--resend", ids=ids))),
    )


def _advise_sending(_row: Mapping[str, object], shell: Shell) -> Advice:
    return Advice("a run has it in hand; if that run died, the next one settles it. Who is at work", (("", shell("status")),))
