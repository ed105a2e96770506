"""The server of the Snowflake bed, in the environment of fakesnow: `python server.py PORT JOURNAL`.

It answers a login with what newer connectors ask for besides, a master token, and writes logins and statements into a file, one a line.
Of fakesnow, only the form of times that are NULL is changed, and HASH_AGG is added, which it lacks.
"""

import gzip
import json
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import uvicorn
from fakesnow import arrow, macros
from fakesnow.server import app

Message = MutableMapping[str, Any]
_MASTER = {"masterToken": "master", "masterValidityInSeconds": 14400, "validityInSeconds": 3600, "sessionId": 1}
_times_to_structs = arrow.timestamp_to_sf_struct


def times_to_structs(times: Any) -> Any:
    """Return times as Snowflake sends them: NULL as a whole. fakesnow makes NULL parts of them, which the connector refuses."""
    times = times.combine_chunks() if isinstance(times, pa.ChunkedArray) else times
    found = _times_to_structs(pc.fill_null(times, pa.scalar(0, pa.int64()).cast(times.type)))
    return pa.StructArray.from_arrays(found.flatten(), fields=list(found.type), mask=pc.is_null(times))


arrow.timestamp_to_sf_struct = times_to_structs
_creation_sql = macros.creation_sql
macros.creation_sql = lambda catalog: (
    f"{_creation_sql(catalog)}\nCREATE OR REPLACE MACRO {catalog}.hash_agg(each) AS COALESCE(SUM(HASH(each)), 0);"
)


class Bed:
    """fakesnow's application, with a journal."""

    def __init__(self, journal: Path) -> None:
        """Prepare. `journal`: gets a line for each login and each statement."""
        self._journal = journal

    async def __call__(self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]) -> None:
        """Answer a request."""
        path = scope.get("path", "")
        if scope["type"] != "http" or not path.endswith(("login-request", "query-request")):
            await app(scope, receive, send)
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        body = self._note(body)
        given = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            return given.pop() if given else await receive()

        await app(scope, again, _MasterToken(send) if path.endswith("login-request") else send)

    def _note(self, body: bytes) -> bytes:
        """Note a login or a statement; return it with a statement in the place of one that fakesnow lacks."""
        content = json.loads(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)
        with self._journal.open("a", encoding="utf-8") as journal:
            journal.write(json.dumps({key: content[key] for key in ("sqlText", "data") if key in content}) + "\n")
        if content.get("sqlText", "").startswith("ALTER SESSION SET QUERY_TAG"):
            content["sqlText"] = "SELECT 'Statement executed successfully.' AS status"
            stands_in = json.dumps(content).encode()
            return gzip.compress(stands_in) if body[:2] == b"\x1f\x8b" else stands_in
        return body


class _MasterToken:
    """Passes the answer to a login on, with a master token."""

    def __init__(self, send: Callable[[Message], Awaitable[None]]) -> None:
        self._send = send
        self._start: Message = {}
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        self._body += message.get("body", b"")
        if message.get("more_body"):
            return
        answer = json.loads(self._body)
        answer["data"].update(_MASTER)
        body = json.dumps(answer).encode()
        headers = [(name, value) for name, value in self._start["headers"] if name != b"content-length"]
        await self._send({**self._start, "headers": [*headers, (b"content-length", str(len(body)).encode())]})
        await self._send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    uvicorn.run(Bed(Path(sys.argv[2])), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
