"""Finding one person in the sync-state tables and removing them.

Their calls and customer record are found by user id; the details of others' calls and the errors of runs are searched
for the user id and the person's referral codes.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import orjson
from sqlalchemy import Connection

from rehook_sync.database.engine import Database
from rehook_sync.database.queries import Statements
from rehook_sync.models import REMOVED, Status
from rehook_sync.rules.validation import OWNED_BY
from rehook_sync.state.publication.changes import Changes

__all__ = ["Note", "Person", "Traces"]

_PAGE = 500
_UNSETTLED = (Status.FAILED, Status.WAITING, Status.IN_DOUBT, Status.SENDING)


@dataclass(frozen=True, slots=True)
class Traces:
    """What is recorded of a person.

    Shape:  calls: status -> calls.  codes: the code they own and the one Rehook has for them.
            is_customer: whether there is a customer record.  mentions: calls of others whose detail names the person.
            errors: runs whose error names the person.
    """

    calls: Mapping[Status, int]
    codes: Sequence[str]
    is_customer: bool
    mentions: int
    errors: int

    @property
    def unsettled(self) -> dict[Status, int]:
        """Return the calls that are not settled, by status."""
        return {status: self.calls[status] for status in _UNSETTLED if self.calls.get(status)}

    def __bool__(self) -> bool:
        """Tell whether anything is recorded."""
        return bool(self.calls or self.is_customer or self.mentions or self.errors)


@dataclass(frozen=True, slots=True)
class Note:
    """The text of a call or of a run, rewritten without the person.

    Shape:  key: stream of the call, or run id.  message_id: None for a run.
    """

    key: str
    message_id: str | None
    text: str


class Person:
    """One user in the sync-state tables of one database."""

    def __init__(self, database: Database, user_id: str) -> None:
        """Wrap a database that `migrations.require_version` accepted."""
        self.user_id = user_id
        self._database = database
        self._sql = Statements("state", database.engine.dialect)
        self._changes = Changes(self._sql)

    def find(self) -> Traces:
        """Return what is recorded of the person."""
        with self._database.connect() as connection:
            counts = connection.execute(self._sql["count_person_calls"], {"user_id": self.user_id}).all()
            customer = connection.execute(self._sql["read_person_codes"], {"user_id": self.user_id}).first()
        codes = sorted({code for code in customer or () if code is not None})
        notes = [note.message_id is None for page in self.read_notes(codes) for note in page]
        return Traces({Status(row.status): row.n for row in counts}, codes, customer is not None, notes.count(False), notes.count(True))

    def read_notes(self, codes: Sequence[str]) -> Iterator[list[Note]]:
        """Yield the texts of others' calls and of runs that name the person, rewritten.

        Reads every detail, and yields one list, often empty, for each page of them.
        """
        names = self._names(codes)
        for query, values in (("read_details", {"user_id": self.user_id}), ("read_run_errors", {})):
            with self._database.connect() as connection:
                found = connection.execution_options(stream_results=True, max_row_buffer=_PAGE).execute(self._sql[query], values)
                for page in found.partitions(_PAGE):
                    notes = (Note(row[0], row[1] if len(row) == 3 else None, self._without(names, row[-1])) for row in page)
                    yield [note for note, row in zip(notes, page, strict=True) if note.text != row[-1]]

    def _names(self, codes: Sequence[str]) -> re.Pattern[str]:
        """Return a pattern for the person's id and codes as whole words: `ada` is not in `ada-2`, `ada.l` or `ada@example.com`."""
        words = sorted({self.user_id, *codes}, key=len, reverse=True)
        return re.compile(rf"(?<![\w@+-])(?<!\w\.)(?:{'|'.join(map(re.escape, words))})(?![\w@+-]|\.\w)")

    def _without(self, names: re.Pattern[str], text: str) -> str:
        if text.startswith(OWNED_BY):
            return OWNED_BY + REMOVED if text == OWNED_BY + self.user_id else text
        return names.sub(REMOVED, text)

    def write_notes(self, connection: Connection, notes: Iterable[Note]) -> None:
        """Replace the texts that name the person."""
        about_calls = []
        for note in notes:
            if note.message_id is None:
                connection.execute(self._sql["write_run_error"], {"run_id": note.key, "error": note.text})
                self._changes.note_summaries(connection, [note.key])
            else:
                about_calls.append({"stream": note.key, "message_id": note.message_id, "detail": note.text})
        if about_calls:
            connection.execute(self._sql["write_details"], {"rows": orjson.dumps(about_calls).decode()})
            self._changes.note_calls(connection, ((each["stream"], each["message_id"]) for each in about_calls))

    def give_up_unsent(self, connection: Connection, run_id: str) -> int:
        """Reject the person's failed and waiting calls, so that they are never sent. Returns how many."""
        return int(connection.execute(self._sql["give_up_unsent"], {"user_id": self.user_id, "run_id": run_id}).rowcount)

    def forget_page(self, connection: Connection, rows: int) -> int:
        """Remove the person from at most `rows` of their settled calls. Returns how many, 0 at the end."""
        page = connection.execute(self._sql["forget_calls_page"], {"user_id": self.user_id, "rows": rows}).all()
        self._changes.note_calls(connection, ((row.stream, row.message_id) for row in page))
        return len(page)

    def forget_customer(self, connection: Connection) -> None:
        """Delete the person's customer record with its hashes and codes."""
        connection.execute(self._sql["forget_customer"], {"user_id": self.user_id})
        self._changes.note_customers(connection, [self.user_id])
