"""The one Rehook that the sync-state tables belong to: its address and a salted hash of the API key."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from sqlalchemy import Connection

from rehook_sync.database.engine import Database
from rehook_sync.database.queries import Statements
from rehook_sync.times import to_time

__all__ = ["Destination", "Destinations", "fingerprint"]

_COST = {"n": 1024, "r": 8, "p": 1, "dklen": 24}
_SALT_BYTES = 12


@dataclass(frozen=True, slots=True)
class Destination:
    """Where calls went. Shape:  is_used: a call was sent there, or may have been."""

    api_url: str
    key_fingerprint: str
    bound_at: datetime | None
    is_used: bool

    def knows(self, key: str) -> bool:
        """Tell whether this is the API key."""
        salt = bytes.fromhex(self.key_fingerprint.partition(":")[0])
        return hmac.compare_digest(self.key_fingerprint, fingerprint(key, salt))


def fingerprint(key: str, salt: bytes | None = None) -> str:
    """Return what is kept of an API key: a salt and a hash with it, in hexadecimal digits."""
    return _hashed(key, salt or secrets.token_bytes(_SALT_BYTES))


@lru_cache(maxsize=4)
def _hashed(key: str, salt: bytes) -> str:
    """Hash once: it is meant to take long, and a run asks twice."""
    return f"{salt.hex()}:{hashlib.scrypt(key.encode(), salt=salt, **_COST).hex()}"


class Destinations:
    """Reads and writes `sync_destination`. Whoever writes holds the lease."""

    def __init__(self, database: Database) -> None:
        """Wrap the database of the sync-state tables."""
        self._database = database
        self._sql = Statements("state", database.engine.dialect)

    def read(self) -> Destination | None:
        """Return where calls went, None if no run has said so yet."""
        with self._database.connect() as connection:
            row = connection.execute(self._sql["read_destination"]).first()
            if row is None:
                return None
            return Destination(row.api_url, row.key_fingerprint, to_time(row.bound_at), self._has_sent(connection))

    def has_sent(self) -> bool:
        """Tell whether a call was sent, or may have been."""
        with self._database.connect() as connection:
            return self._has_sent(connection)

    def _has_sent(self, connection: Connection) -> bool:
        return bool(connection.execute(self._sql["has_sent"]).scalar_one())

    def bind(self, connection: Connection, api_url: str, key: str) -> None:
        """Let the tables belong to this Rehook, and to no other any more."""
        connection.execute(self._sql["forget_destination"])
        connection.execute(self._sql["bind_destination"], {"api_url": api_url, "key_fingerprint": fingerprint(key)})
