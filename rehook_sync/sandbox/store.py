"""What the local Rehook knows: customers, events and the log of requests. In memory; no network.

docs/sandbox.md lists the guesses where Rehook's reference says nothing.
"""

import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import orjson
from pydantic import BaseModel, ConfigDict, Field

__all__ = ["DEFAULT_CREDENTIALS", "Behaviour", "Credentials", "Customer", "Event", "FakeRehook", "Incoming", "Received", "Reply", "refusal"]


class Credentials(NamedTuple):
    """The API key and secret that the sandbox accepts."""

    key: str
    secret: str


DEFAULT_CREDENTIALS = Credentials("sandbox-key", "sandbox-secret")


class Behaviour(BaseModel):
    """The configuration of the sandbox, with switches for what is unknown about the real Rehook.

    Shape:  conversion_events: names that need `metadata.referral_code`.
            unknown_customers: what happens to events of customers that were never upserted.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    conversion_events: frozenset[str] = frozenset()
    unknown_customers: Literal["accept", "refuse"] = "accept"
    code_taken_status: int = Field(default=409, ge=400, le=499)
    max_id_length: int = Field(default=255, ge=1)
    max_body_bytes: int = Field(default=1024 * 1024, ge=1)


class Reply(NamedTuple):
    """An answer: status, JSON body and further headers."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Incoming:
    """One request as it arrived. `payload`: the parsed JSON body, None if it is no JSON."""

    method: str
    path: str
    body: bytes = b""
    authorization: bytes = b""
    content_type: bytes = b""
    idempotency_key: str | None = None
    payload: Any = None
    too_large: bool = False

    @property
    def source_id(self) -> str | None:
        """The `source_id` in the body, None if it is no text."""
        return self._text("source_id")

    @property
    def event_name(self) -> str | None:
        """The `event_name` in the body, None if it is no text."""
        return self._text("event_name")

    def _text(self, key: str) -> str | None:
        value = self.payload.get(key) if isinstance(self.payload, dict) else None
        return value if isinstance(value, str) else None


@dataclass(slots=True)
class Received:
    """One line of the log: a request, in order of arrival, and what became of it.

    Shape:  status: of the answer, None without a whole answer.  fault: the kind of the fault that struck it.
            accepted: the request changed customers or events, whatever was answered.
    Units:  at: seconds since the epoch.
    """

    seq: int
    at: float
    method: str
    path: str
    source_id: str | None
    event_name: str | None
    idempotency_key: str | None
    body: bytes
    status: int | None = None
    accepted: bool = False
    fault: str | None = None


@dataclass(slots=True)
class Customer:
    """One customer. `metadata`: merged key by key over all upserts."""

    id: str
    source_id: str
    metadata: dict[str, Any]
    referral_code: str | None = None
    upserts: int = 1

    def as_json(self) -> dict[str, Any]:
        """Return the customer as the API shows it."""
        shown: dict[str, Any] = {"id": self.id, "source_id": self.source_id, "metadata": self.metadata}
        return shown if self.referral_code is None else {**shown, "referral_code": self.referral_code}


@dataclass(slots=True)
class Event:
    """One accepted event. `body`: as it came; `metadata` is parsed from it on demand."""

    id: str
    seq: int
    event_name: str
    source_id: str
    idempotency_key: str | None
    body: bytes

    @property
    def metadata(self) -> dict[str, Any]:
        """The event's properties."""
        return dict(orjson.loads(self.body).get("metadata") or {})

    def as_json(self) -> dict[str, Any]:
        """Return the event with the number of its request."""
        shown = {"id": self.id, "seq": self.seq, "event_name": self.event_name, "source_id": self.source_id}
        return {**shown, "metadata": self.metadata}


def refusal(status: int, code: str, message: str) -> Reply:
    """Return an error answer."""
    return Reply(status, orjson.dumps({"error": {"code": code, "message": message}}))


@dataclass(slots=True)
class FakeRehook:
    """The memory of the local Rehook. Thread-safe.

    Shape:  customers: by source_id.  owners: referral code -> source_id.  events, log: in order of arrival.
            in_flight, max_in_flight: requests open now, and at most.
            overlaps: requests that arrived while another of the same customer was open.
    """

    behaviour: Behaviour = field(default_factory=Behaviour)
    credentials: Credentials = DEFAULT_CREDENTIALS
    customers: dict[str, Customer] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    log: list[Received] = field(default_factory=list)
    in_flight: int = 0
    max_in_flight: int = 0
    overlaps: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)
    _open: Counter[str] = field(default_factory=Counter)

    def reset(self) -> None:
        """Forget everything but behaviour and credentials."""
        with self.lock:
            for each in (self.customers, self.owners, self.events, self.log, self._open):
                each.clear()
            self.max_in_flight = self.overlaps = self.in_flight = 0

    def record_arrival(self, incoming: Incoming) -> Received:
        """Add a line to the log for a request that was read to its end."""
        with self.lock:
            user = incoming.source_id
            received = Received(
                len(self.log) + 1,
                time.time(),
                incoming.method,
                incoming.path,
                user,
                incoming.event_name,
                incoming.idempotency_key,
                incoming.body,
            )
            self.log.append(received)
            self.in_flight += 1
            self.max_in_flight = max(self.max_in_flight, self.in_flight)
            if user is not None:
                self.overlaps += self._open[user] > 0
                self._open[user] += 1
            return received

    def record_end(self, received: Received, status: int | None) -> None:
        """Complete the line with the status, None when no whole answer was sent."""
        with self.lock:
            received.status = status
            self.in_flight = max(0, self.in_flight - 1)
            user = received.source_id
            if user is not None:
                self._open[user] -= 1
                if self._open[user] <= 0:
                    del self._open[user]

    def upsert_customer(self, source_id: str, metadata: Mapping[str, Any], referral_code: str | None = None) -> Reply:
        """Create or update a customer; refused when the code belongs to another customer."""
        with self.lock:
            if referral_code is not None and self.owners.get(referral_code, source_id) != source_id:
                message = f"referral_code '{referral_code}' belongs to another customer"
                return refusal(self.behaviour.code_taken_status, "referral_code_taken", message)
            customer = self.customers.get(source_id)
            status = 201 if customer is None else 200
            if customer is None:
                customer = Customer(f"cus_{len(self.customers) + 1:06d}", source_id, dict(metadata))
                self.customers[source_id] = customer
            else:
                customer.metadata.update(metadata)
                customer.upserts += 1
            if referral_code is not None and customer.referral_code != referral_code:
                if customer.referral_code is not None:
                    del self.owners[customer.referral_code]
                customer.referral_code = referral_code
                self.owners[referral_code] = source_id
            return Reply(status, orjson.dumps(customer.as_json()))

    def invoke_event(self, received: Received, event_name: str, source_id: str, metadata: Mapping[str, Any]) -> Reply:
        """Accept an event; refused when a conversion event has no code, or its customer must be known and is not."""
        with self.lock:
            if event_name in self.behaviour.conversion_events and not str(metadata.get("referral_code") or "").strip():
                return refusal(422, "missing_referral_code", f"'{event_name}' is a conversion event and needs metadata.referral_code")
            if self.behaviour.unknown_customers == "refuse" and source_id not in self.customers:
                return refusal(404, "unknown_customer", f"there is no customer '{source_id}'")
            event = Event(f"evt_{len(self.events) + 1:07d}", received.seq, event_name, source_id, received.idempotency_key, received.body)
            self.events.append(event)
            return Reply(201, orjson.dumps({"id": event.id, "event_name": event_name, "source_id": source_id}))

    def read_customer(self, source_id: str) -> Reply:
        """Return one customer, or 404."""
        with self.lock:
            customer = self.customers.get(source_id)
            return refusal(404, "not_found", "no such customer") if customer is None else Reply(200, orjson.dumps(customer.as_json()))

    def read_owner(self, referral_code: str) -> Reply:
        """Return the customer who owns a code, or 404."""
        with self.lock:
            owner = self.owners.get(referral_code)
            return refusal(404, "not_found", "nobody owns this code") if owner is None else self.read_customer(owner)

    def read_referrals(self, source_id: str) -> Reply:
        """Return the customers whose conversion events carry this customer's code, oldest event first; 404 if unknown."""
        with self.lock:
            referrer = self.customers.get(source_id)
            if referrer is None:
                return refusal(404, "not_found", "no such customer")
            code = referrer.referral_code
            names = self.behaviour.conversion_events if code is not None else frozenset()
            events = [each for each in self.events if each.event_name in names and each.source_id != source_id]
            referred = dict.fromkeys(each.source_id for each in events if each.metadata.get("referral_code") == code)
            known = [self.customers[each].as_json() if each in self.customers else {"source_id": each} for each in referred]
            return Reply(200, orjson.dumps(known))

    def order_of(self, source_id: str) -> list[Received]:
        """Return the requests about one customer in order of arrival."""
        with self.lock:
            return [each for each in self.log if each.source_id == source_id and each.method == "POST"]

    def events_of(self, source_id: str) -> list[Event]:
        """Return the accepted events of one customer in order of arrival."""
        with self.lock:
            return [each for each in self.events if each.source_id == source_id]
