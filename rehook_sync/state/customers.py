"""Customers: what was last sent to each, and who owns each referral code.

The caller opens the connection; for writing, one that holds the lease.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection

from rehook_sync.database.engine import Database, utc_text
from rehook_sync.database.queries import Statements
from rehook_sync.models import Claim, Customer, Moment, Traits
from rehook_sync.state.publication.changes import Changes
from rehook_sync.values import storable_json, storable_text

__all__ = ["Customers", "Refreshable", "Refreshed", "Refreshes", "customer_rows", "parse_traits", "write_traits"]

_UNSURE = "unsure"


class Customers:
    """Reads and writes `sync_customers`."""

    def __init__(self, sql: Statements) -> None:
        """Take the statements of `sql/state`."""
        self._sql = sql

    def read_traits(self, connection: Connection, user_ids: Sequence[str]) -> dict[str, Traits]:
        """Return user id -> what the customer has, without users of whom that is unknown."""
        rows = connection.execute(self._sql["read_customers"], {"ids": storable_json(user_ids)}).all()
        return {row.source_id: parse_traits(row.trait_hashes) for row in rows if row.trait_hashes is not None}

    def read_codes(self, connection: Connection, user_ids: Sequence[str], codes: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
        """Return who owns these codes and which codes these users own.

        Shape:  user id -> code; and code -> user id, where the code that Rehook has for a user is no longer the user's own.
        """
        rows = connection.execute(self._sql["read_codes"], {"ids": storable_json(user_ids), "codes": storable_json(codes)}).all()
        owned = {row.source_id: row.referral_code for row in rows if row.referral_code is not None}
        leaving = {row.accepted_code: row.source_id for row in rows if row.accepted_code not in (None, row.referral_code)}
        return owned, leaving

    def write_claims(self, connection: Connection, claims: Iterable[Claim]) -> None:
        """Give each user the last code claimed for them."""
        newest = _newest_codes(claims)
        if newest:
            connection.execute(self._sql["clear_codes"], {"ids": storable_json(list(newest))})
            connection.execute(self._sql["write_claims"], {"rows": _code_rows(newest)})

    def accept_codes(self, connection: Connection, claims: Iterable[Claim]) -> None:
        """Record that Rehook accepted the codes."""
        newest = _newest_codes(claims)
        if newest:
            connection.execute(self._sql["accept_claims"], {"rows": _code_rows(newest)})

    def release_codes(self, connection: Connection, claims: Iterable[Claim]) -> None:
        """Undo claims. All codes are freed before any is given back: the code of one user may be the previous one of another."""
        release = self._sql["release_claim"]
        claims = list(claims)
        freed = [claim for claim in claims if connection.execute(release, {"user_id": claim.user_id, "code": claim.code}).rowcount]
        for claim in freed:
            if claim.replaces is not None:
                connection.execute(self._sql["give_code_back"], {"user_id": claim.user_id, "code": claim.replaces})
        Changes(self._sql).note_customers(connection, (claim.user_id for claim in claims))


class Refreshed(NamedTuple):
    """What a refresh sent a customer.

    Shape:  traits: what the customer has now; None: Rehook refused them.  message_id: the newest call in it.
    """

    traits: Traits | None
    message_id: str | None


class Refreshable(NamedTuple):
    """A customer before a refresh. Shape:  traits: None when unknown.  refreshed_by: the refresh that sent the customer last."""

    code: str | None
    traits: Traits | None
    refreshed_by: str | None


class Refreshes:
    """Which refresh sent which customer last, in one database."""

    def __init__(self, database: Database) -> None:
        """Wrap a database that `migrations.require_version` accepted."""
        self._database = database
        self._sql = Statements("state", database.engine.dialect)

    def read(self, user_ids: Sequence[str]) -> dict[str, Refreshable]:
        """Return user id -> customer, without users who are none."""
        stored = {storable_text(each): each for each in user_ids}
        with self._database.connect() as connection:
            rows = connection.execute(self._sql["read_refreshable"], {"ids": storable_json(list(stored))}).all()
        return {
            stored[row.source_id]: Refreshable(
                row.referral_code, None if row.trait_hashes is None else parse_traits(row.trait_hashes), row.refreshed_by
            )
            for row in rows
        }

    def write(self, connection: Connection, sent: Mapping[str, Refreshed], refresh_id: str) -> None:
        """Record what a refresh sent these users."""
        rows = [
            {
                "source_id": user_id,
                "trait_hashes": None if each.traits is None else write_traits(each.traits),
                "message_id": each.message_id,
            }
            for user_id, each in sent.items()
        ]
        if rows:
            connection.execute(self._sql["write_refreshed"], {"rows": storable_json(rows), "refreshed_by": refresh_id})
            Changes(self._sql).note_customers(connection, sent)


def parse_traits(text: str) -> Traits:
    """Return what `write_traits` wrote, and what earlier versions did: only key -> hash.

    After a crash, "unsure" stands before it: the calls still hold, the values are unknown.
    """
    document: Any = orjson.loads(text)
    is_unsure = False
    while isinstance(document, list) and document[:1] == [_UNSURE]:
        document, is_unsure = document[1], True
    groups = document if isinstance(document, list) else [(None, "", document)]
    found: dict[str, tuple[str, Moment | None]] = {}
    for time, message_id, hashes in groups:
        at = None if time is None else (datetime.fromisoformat(time), message_id)
        found.update((key, ("" if is_unsure else value, at)) for key, value in hashes.items())
    return found


def write_traits(traits: Traits) -> str:
    """Return as JSON, for each call that a customer has traits of: its time, its message id, and key -> hash."""
    groups: dict[Moment | None, dict[str, str]] = {}
    hashes: dict[str, str] = {}
    latest: object = hashes
    for key, (value, at) in traits.items():
        if at is not latest:  # most traits come with one call, and its time takes long to hash
            hashes, latest = groups.setdefault(at, {}), at
        hashes[key] = value
    return storable_json([(None, "", hashes) if at is None else (utc_text(at[0]), at[1], hashes) for at, hashes in groups.items()])


def customer_rows(customers: Iterable[Customer]) -> str:
    """Return the newest record of each customer, with the newest accepted code and message that was sent, as JSON for `write_batch`."""
    newest: dict[str, Customer] = {}
    for customer in customers:
        if before := newest.get(customer.user_id):
            message_id, code = customer.message_id or before.message_id, customer.code or before.code
            customer = replace(customer, message_id=message_id, sent=customer.sent or before.sent, code=code)  # noqa: PLW2901
        newest[customer.user_id] = customer
    return storable_json([_customer_row(customer) for customer in newest.values()])


def _customer_row(customer: Customer) -> Sequence[object]:
    traits = None if customer.traits is None else write_traits(customer.traits)
    return customer.user_id, traits, customer.message_id, customer.sent, customer.code


def _newest_codes(claims: Iterable[Claim]) -> dict[str, str]:
    return {claim.user_id: claim.code for claim in claims}


def _code_rows(codes: Mapping[str, str]) -> str:
    return storable_json([{"source_id": user_id, "referral_code": code} for user_id, code in codes.items()])
