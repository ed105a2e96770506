"""Lets the driver of Redshift talk to PostgreSQL, over TLS, and notes what it says.

The driver, its TLS and its conversations are real; the server's SQL is PostgreSQL's. So what Redshift refuses is looked for in the
statements that pass: `refused_by_redshift` has a name for each construct that its documentation rules out.
"""

import re
import socket
import ssl
import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

__all__ = ["Proxy", "refused_by_redshift"]

_TLS, _START = 80877103, 196608
_KNOWN = {b"user", b"database", b"application_name", b"client_encoding", b"options"}
"""Keys of a first message that PostgreSQL takes; it refuses the others that the driver sends."""
_ISOLATION = b"default_transaction_isolation", b"repeatable read"
"""All statements of a transaction of Redshift see the rows of one moment."""
_GREETING = b"server_version\0"
_TYPES = {114: 4000, 3802: 4000, 25: 1043}
"""PostgreSQL's type -> Redshift's: JSON is SUPER, and there is no text but VARCHAR."""
_REFUSED = {
    "an array": r"\bANY\s*\(\s*(?:\$|%)|\bARRAY\s*\[|\[\]|\barray_agg\b|\bunnest\b",
    "COLLATE": r"\bCOLLATE\b",
    "IS DISTINCT FROM": r"\bIS\s+(?:NOT\s+)?DISTINCT\s+FROM\b",
    "a savepoint": r"\bSAVEPOINT\b",
    "LATERAL": r"\bLATERAL\b",
    "json of PostgreSQL": r"\bjsonb?(?!_parse\b)(?:_\w+)?\b|->>",
    "FILTER": r"\bFILTER\s*\(",
    "DISTINCT ON": r"\bDISTINCT\s+ON\b",
    "a regtype": r"\breg(?:type|class)\b|\bpg_typeof\b",
    "RETURNING": r"\bRETURNING\b",
    "ON CONFLICT": r"\bON\s+CONFLICT\b",
    "an index": r"\bCREATE\s+(?:UNIQUE\s+)?INDEX\b",
    "a text that would have 256 bytes": r"\bCREATE\s+TABLE\b[^;]*\b(?:text|varchar)\b(?!\s*\()",
    "an alias in DELETE": r"\bDELETE\s+FROM\s+\S+\s+AS\b",
    "a function of the leader node": r"\bnow\s*\(|\bcurrent_timestamp\b|\bclock_timestamp\b|\bto_timestamp\s*\(\s*\d",
    "more values than a statement takes": r"\$32768\b",
    "a setting of PostgreSQL": r"\b(?:lock_timeout|IntervalStyle|bytea_output|idle_in_transaction_session_timeout)\b",
    "an OFFSET that fences": r"\bOFFSET\s+0\b",
    "a list of locks of PostgreSQL": r"\bpg_blocking_pids\b|\bhas_any_column_privilege\b|\brow_security_active\b",
    "CURRENT_SCHEMA with tables": r"\bCURRENT_SCHEMA\s*\(\s*\)[^;]*\bFROM\s+svv_|\bFROM\s+svv_[^;]*\bCURRENT_SCHEMA\s*\(",
}


def refused_by_redshift(statements: Sequence[str]) -> list[str]:
    """Return what Redshift would refuse, each with its statement."""
    return [f"{name}: {each}" for each in statements for name, found in _REFUSED.items() if re.search(found, each, re.IGNORECASE)]


@dataclass
class Proxy:
    """A door to a PostgreSQL server that looks like Redshift's.

    Shape:  behind: the socket of the server.  tls: what the door shows; None: it has no TLS, and refuses it.
            statements: those that came through.  startups: keys and values of each first message.  in_clear: how many came without TLS.
    """

    behind: Path
    tls: ssl.SSLContext | None = None
    statements: list[str] = field(default_factory=list)
    startups: list[dict[str, str]] = field(default_factory=list)
    in_clear: int = 0
    port: int = 0

    def __enter__(self) -> "Proxy":
        """Open the door."""
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]
        Thread(target=self._welcome, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        """Close it; who is inside stays."""
        with suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()

    def clear(self) -> None:
        """Forget what was noted."""
        self.statements.clear()
        self.startups.clear()
        self.in_clear = 0

    def _welcome(self) -> None:
        while True:
            try:
                client, _ = self._door.accept()
            except OSError:
                return
            # An answer is several small messages: each would wait 40 ms until the client has acknowledged the one before.
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        try:
            client = self._begin(client, server)
            Thread(target=_answer, args=(server, client), daemon=True).start()
            while True:
                kind, body = _message(client)
                if kind in b"PQ":
                    name, _, rest = body.partition(b"\0")
                    self.statements.append((name if kind == b"Q" else rest.partition(b"\0")[0]).decode("utf-8", "replace"))
                    # PostgreSQL takes a setting that it does not know if its name has a dot.
                    body = body.replace(b"SET query_group ", b"SET redshift.query_group ")
                    # Nor does it take parts of a date without quotes.
                    body = body.replace(b"DATEDIFF(microsecond,", b"DATEDIFF('microsecond',")
                server.sendall(_framed(kind, body))
        except (OSError, EOFError):
            _end(client, server)

    def _begin(self, client: socket.socket, server: socket.socket) -> socket.socket:
        """Pass the first message on without what PostgreSQL does not know; return the client, by then perhaps over TLS."""
        while True:
            body = _exact(client, struct.unpack("!i", _exact(client, 4))[0] - 4)
            code = struct.unpack("!i", body[:4])[0]
            if code != _TLS:
                break
            client.sendall(b"S" if self.tls else b"N")
            if self.tls:
                client = self.tls.wrap_socket(client, server_side=True)
        server.connect(str(self.behind))
        if code == _START:
            parts = body[4:].rstrip(b"\0").split(b"\0")
            pairs = list(zip(parts[::2], parts[1::2], strict=True))
            self.startups.append({key.decode(): value.decode() for key, value in pairs})
            self.in_clear += not isinstance(client, ssl.SSLSocket)
            kept = [(key, value) for key, value in pairs if key in _KNOWN] + [_ISOLATION]
            body = body[:4] + b"".join(key + b"\0" + value + b"\0" for key, value in kept) + b"\0"
        server.sendall(struct.pack("!i", len(body) + 4) + body)
        return client


def _answer(server: socket.socket, client: socket.socket) -> None:
    """Pass answers on; the version is Redshift's, and so are the types of columns."""
    try:
        while True:
            kind, body = _message(server)
            if kind == b"S" and body.startswith(_GREETING):
                body = _GREETING + b"8.0.2\0"
            elif kind == b"T":
                body = _retyped(body)
            client.sendall(_framed(kind, body))
    except (OSError, EOFError):
        _end(client, server)


def _retyped(description: bytes) -> bytes:
    """Return the description of a result with Redshift's types: after each name come six bytes, the type, and eight more."""
    found = bytearray(description)
    at = 2
    for _ in range(struct.unpack("!h", description[:2])[0]):
        at = description.index(b"\0", at) + 7
        (oid,) = struct.unpack_from("!i", description, at)
        struct.pack_into("!i", found, at, _TYPES.get(oid, oid))
        at += 12
    return bytes(found)


def _message(stream: socket.socket) -> tuple[bytes, bytes]:
    kind, size = struct.unpack("!ci", _exact(stream, 5))
    return kind, _exact(stream, size - 4)


def _framed(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def _exact(stream: socket.socket, count: int) -> bytes:
    found = bytearray()
    while len(found) < count:
        part = stream.recv(count - len(found))
        if not part:
            raise EOFError
        found += part
    return bytes(found)


def _end(*streams: socket.socket) -> None:
    for each in streams:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()
