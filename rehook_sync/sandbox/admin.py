"""The sandbox's control API under `/_sandbox/`: see what arrived, set faults, reset. Needs no credentials."""

from collections import Counter
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rehook_sync.sandbox.api import route_of
from rehook_sync.sandbox.faults import Fault, FaultBoard
from rehook_sync.sandbox.store import Behaviour, FakeRehook, Received

__all__ = ["build_admin", "build_counts"]

_FAULTS: TypeAdapter[list[Fault]] = TypeAdapter(list[Fault])


def build_admin(store: FakeRehook, faults: FaultBoard) -> Starlette:
    """Return the application that serves `/_sandbox/` for one store and its faults."""
    admin = _Admin(store, faults)
    return Starlette(
        routes=[
            Route("/_sandbox/state", admin.show_state, methods=["GET"]),
            Route("/_sandbox/counts", admin.show_counts, methods=["GET"]),
            Route("/_sandbox/requests", admin.show_requests, methods=["GET"]),
            Route("/_sandbox/reset", admin.reset, methods=["POST"]),
            Route("/_sandbox/faults", admin.show_faults, methods=["GET"]),
            Route("/_sandbox/faults", admin.add_fault, methods=["POST"]),
            Route("/_sandbox/faults", admin.replace_faults, methods=["PUT"]),
            Route("/_sandbox/faults", admin.clear_faults, methods=["DELETE"]),
            Route("/_sandbox/faults/{fault_id:int}", admin.remove_fault, methods=["DELETE"]),
            Route("/_sandbox/behaviour", admin.show_behaviour, methods=["GET"]),
            Route("/_sandbox/behaviour", admin.set_behaviour, methods=["PUT"]),
        ]
    )


def build_counts(store: FakeRehook) -> dict[str, Any]:
    """Return counts over everything received."""
    with store.lock:
        by_path = Counter((*_line(each), "no answer" if each.status is None else str(each.status)) for each in store.log)
        keys = Counter(each.idempotency_key for each in store.log if each.accepted and each.idempotency_key is not None)
        return {
            "customers": len(store.customers),
            "events": len(store.events),
            "requests": len(store.log),
            "by_path": _nested(by_path),
            "idempotency_keys": len(keys),
            "idempotency_keys_repeated": sum(times > 1 for times in keys.values()),
            "in_flight": store.in_flight,
            "max_in_flight": store.max_in_flight,
            "overlaps": store.overlaps,
        }


def _line(received: Received) -> tuple[str, str]:
    route = route_of(received.path)
    return received.method, received.path if route is None else route[0]


def _nested(by_path: Counter[tuple[str, str, str]]) -> dict[str, dict[str, int]]:
    nested: dict[str, dict[str, int]] = {}
    for (method, path, status), count in sorted(by_path.items()):
        nested.setdefault(f"{method} {path}", {})[status] = count
    return nested


class _Admin:
    def __init__(self, store: FakeRehook, faults: FaultBoard) -> None:
        self.store = store
        self.faults = faults

    async def show_state(self, _request: Request) -> Response:
        with self.store.lock:
            order: dict[str, list[dict[str, Any]]] = {}
            for each in self.store.log:
                if each.source_id is not None:
                    order.setdefault(each.source_id, []).append(_request_as_json(each))
            return _json(
                {
                    "counts": build_counts(self.store),
                    "customers": {name: each.as_json() for name, each in self.store.customers.items()},
                    "events": [each.as_json() for each in self.store.events],
                    "order": order,
                    "idempotency_keys": dict(Counter(each.idempotency_key for each in self.store.log if each.idempotency_key is not None)),
                }
            )

    async def show_counts(self, _request: Request) -> Response:
        return _json(build_counts(self.store))

    async def show_requests(self, request: Request) -> Response:
        try:
            after, limit = int(request.query_params.get("after", 0)), int(request.query_params.get("limit", 1000))
        except ValueError:
            return _json({"error": "after and limit are numbers"}, 400)
        with self.store.lock:
            lines = self.store.log[max(after, 0) : max(after, 0) + max(limit, 0)]
            return _json([{**_request_as_json(each), "body": each.body.decode("utf-8", "replace")} for each in lines])

    async def reset(self, _request: Request) -> Response:
        self.store.reset()
        self.faults.clear()
        return _json({"ok": True})

    async def show_faults(self, _request: Request) -> Response:
        return _json([each.as_json() for each in self.faults.armed])

    async def add_fault(self, request: Request) -> Response:
        try:
            armed = self.faults.arm(Fault.model_validate_json(await request.body()))
        except ValidationError as error:
            return _invalid(error)
        return _json(armed.as_json(), 201)

    async def replace_faults(self, request: Request) -> Response:
        try:
            self.faults.replace(_FAULTS.validate_json(await request.body()))
        except ValidationError as error:
            return _invalid(error)
        return await self.show_faults(request)

    async def clear_faults(self, request: Request) -> Response:
        self.faults.clear()
        return await self.show_faults(request)

    async def remove_fault(self, request: Request) -> Response:
        found = self.faults.remove(request.path_params["fault_id"])
        return _json({"ok": True}) if found else _json({"error": "there is no fault with this id"}, 404)

    async def show_behaviour(self, _request: Request) -> Response:
        return _json(self.store.behaviour.model_dump(mode="json"))

    async def set_behaviour(self, request: Request) -> Response:
        try:
            self.store.behaviour = Behaviour.model_validate_json(await request.body())
        except ValidationError as error:
            return _invalid(error)
        return await self.show_behaviour(request)


def _request_as_json(received: Received) -> dict[str, Any]:
    return {
        "seq": received.seq,
        "at": received.at,
        "method": received.method,
        "path": received.path,
        "source_id": received.source_id,
        "event_name": received.event_name,
        "idempotency_key": received.idempotency_key,
        "status": received.status,
        "accepted": received.accepted,
        "fault": received.fault,
    }


def _json(content: object, status: int = 200) -> Response:
    return Response(orjson.dumps(content), status, media_type="application/json")


def _invalid(error: ValidationError) -> Response:
    problems = [f"{'.'.join(str(part) for part in each['loc']) or 'body'}: {each['msg']}" for each in error.errors(include_url=False)]
    return _json({"error": problems}, 400)
