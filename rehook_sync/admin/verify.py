"""Whether Rehook has the customers and codes that the sync-state says it has. Reads on both sides, writes on none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from rehook_sync.database.engine import Database
from rehook_sync.database.queries import Statements
from rehook_sync.delivery.lookups import Question, look_up
from rehook_sync.jobs.context import JobContext, require_same
from rehook_sync.runtime import Interrupt
from rehook_sync.state.destination import Destinations
from rehook_sync.values import storable_json, storable_text

if TYPE_CHECKING:
    from rehook_sync.rehook.client import Found

__all__ = ["Difference", "Kind", "Verification", "verify"]


class Kind(StrEnum):
    """How the two sides disagree."""

    NO_CUSTOMER = "no_customer"
    ANOTHER_CUSTOMER = "another_customer"
    NO_CODE = "no_code"
    ANOTHER_OWNER = "another_owner"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing on which the two sides disagree. Shape:  code: None unless it is about a code.  other: whom Rehook names instead."""

    user_id: str
    kind: Kind
    code: str | None = None
    other: str | None = None


@dataclass(slots=True)
class Verification:
    """What was asked and found.

    Shape:  customers, codes: how many were asked for.  unsent: ids that no upsert was accepted for -> whether Rehook has them.
            interrupted: not all was asked for.
    """

    customers: int = 0
    codes: int = 0
    differences: list[Difference] = field(default_factory=list)
    unsent: dict[str, bool] = field(default_factory=dict)
    interrupted: bool = False

    @property
    def agrees(self) -> bool:
        """Tell whether the two sides agree in all that was asked."""
        return not self.differences


def verify(context: JobContext, ids: Sequence[str], sample: int, interrupt: Interrupt) -> Verification:
    """Ask Rehook for these customers, or for some that were sent, and for the codes that it accepted for them.

    Raises: SettingsError for another Rehook than the tables belong to, StoppedError when it refuses or does not answer.
    """
    require_same(context.settings, Destinations(context.database).read())
    codes, unsent = _read_expected(context.database, ids, sample)
    questions = [Question(user_id) for user_id in (*codes, *unsent)]
    questions += [Question(code, is_code=True) for code in codes.values() if code is not None]
    found = look_up(context.client(), questions, context.delivery_config(), interrupt) if questions else {}
    result = Verification(interrupted=len(found) < len(questions))
    for user_id, code in codes.items():
        _compare(result, found, user_id, code)
    for user_id in unsent:
        if (answer := found.get(Question(user_id))) is not None:
            result.unsent[user_id] = bool(answer.is_there)
    return result


def _compare(result: Verification, found: "Mapping[Question, Found]", user_id: str, code: str | None) -> None:
    customer = found.get(Question(user_id))
    if customer is not None:
        result.customers += 1
        if not customer.is_there:
            result.differences.append(Difference(user_id, Kind.NO_CUSTOMER))
        elif customer.source_id not in {None, user_id}:
            result.differences.append(Difference(user_id, Kind.ANOTHER_CUSTOMER, other=customer.source_id))
    owner = None if code is None else found.get(Question(code, is_code=True))
    if owner is not None:
        result.codes += 1
        if not owner.is_there:
            result.differences.append(Difference(user_id, Kind.NO_CODE, code))
        elif owner.source_id not in {None, user_id}:
            result.differences.append(Difference(user_id, Kind.ANOTHER_OWNER, code, owner.source_id))


def _read_expected(database: Database, ids: Sequence[str], sample: int) -> tuple[dict[str, str | None], list[str]]:
    """Return user id -> code that Rehook accepted, None without one; and those of the ids that were never sent."""
    sql = Statements("state", database.engine.dialect)
    with database.connect() as connection:
        if not ids:
            rows = connection.execute(sql["sample_customers"], {"rows": sample}).all()
            return {row.source_id: row.accepted_code for row in rows}, []
        stored = {storable_text(each): each for each in ids}
        rows = connection.execute(sql["read_sent_customers"], {"ids": storable_json(list(stored))}).all()
    codes = {stored[row.source_id]: row.accepted_code for row in rows if row.is_sent}
    return codes, [each for each in dict.fromkeys(ids) if each not in codes]
