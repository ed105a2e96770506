"""Customers: what was last sent to each, and who owns each referral code.

The caller opens the connection; for writing, one that holds the lease.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import orjson
from sqlalchemy import Connection

from rehook_sync.database.queries import Statements
from rehook_sync.models import Claim, Customer
from rehook_sync.values import storable_json

__all__ = ["Customers", "customer_rows"]


class Customers:
    """Reads and writes `sync_customers`."""

    def __init__(self, sql: Statements) -> None:
        """Take the statements of `sql/state`."""
        self._sql = sql

    def read_hashes(self, connection: Connection, user_ids: Sequence[str]) -> dict[str, Mapping[str, str] | None]:
        """Return user id -> hashes of the traits last sent, without users whose hashes are unknown."""
        rows = connection.execute(self._sql["read_customers"], {"ids": storable_json(user_ids)}).all()
        return {row.source_id: orjson.loads(row.trait_hashes) for row in rows if row.trait_hashes is not None}

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
        freed = [claim for claim in claims if connection.execute(release, {"user_id": claim.user_id, "code": claim.code}).rowcount]
        for claim in freed:
            if claim.replaces is not None:
                connection.execute(self._sql["give_code_back"], {"user_id": claim.user_id, "code": claim.replaces})


def customer_rows(customers: Iterable[Customer]) -> str:
    """Return the newest record of each customer, with the newest accepted code, as JSON for `write_batch`."""
    newest: dict[str, Customer] = {}
    for customer in customers:
        before = newest.get(customer.user_id)
        code = customer.code or (before.code if before else None)
        newest[customer.user_id] = customer if code == customer.code else replace(customer, code=code)
    return storable_json([_customer_row(customer) for customer in newest.values()])


def _customer_row(customer: Customer) -> Sequence[object]:
    hashes = None if customer.trait_hashes is None else storable_json(dict(customer.trait_hashes))
    return customer.user_id, hashes, customer.message_id, customer.sent, customer.code


def _newest_codes(claims: Iterable[Claim]) -> dict[str, str]:
    return {claim.user_id: claim.code for claim in claims}


def _code_rows(codes: Mapping[str, str]) -> str:
    return storable_json([{"source_id": user_id, "referral_code": code} for user_id, code in codes.items()])
