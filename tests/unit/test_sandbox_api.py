"""What the local Rehook accepts and refuses, without a network."""

from base64 import b64encode
from typing import Any

import orjson
import pytest

from rehook_sync.sandbox.api import answer, build_incoming, route_of
from rehook_sync.sandbox.store import Behaviour, Credentials, FakeRehook, Incoming, Reply

BASIC = b"Basic " + b64encode(b"sandbox-key:sandbox-secret")
JSON = b"application/json"


def ask(store: FakeRehook, incoming: Incoming) -> Reply:
    received = store.record_arrival(incoming)
    reply = answer(store, incoming, received)
    store.record_end(received, reply.status)
    return reply


def post(store: FakeRehook, path: str, body: object, *, content_type: bytes = JSON, authorization: bytes = BASIC) -> Reply:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    headers = [(b"authorization", authorization), (b"content-type", content_type), (b"idempotency-key", b"k-1")]
    return ask(store, build_incoming("POST", path, headers, raw))


def get(store: FakeRehook, path: str, method: str = "GET") -> Reply:
    return ask(store, build_incoming(method, path, [(b"authorization", BASIC)], b""))


def customer(source_id: str, code: str | None = None, **metadata: object) -> dict[str, Any]:
    body: dict[str, Any] = {"source_id": source_id, "metadata": metadata}
    return body if code is None else {**body, "referral_code": code}


def event(name: str, source_id: str, **metadata: object) -> dict[str, Any]:
    return {"event_name": name, "source_id": source_id, "metadata": metadata}


def test_a_new_customer_is_created_then_merged_key_by_key() -> None:
    store = FakeRehook()
    assert post(store, "/customers", customer("u1", plan="free", city="Oslo")).status == 201
    assert post(store, "/customers", customer("u1", plan="pro")).status == 200
    assert store.customers["u1"].metadata == {"plan": "pro", "city": "Oslo"}
    assert store.customers["u1"].upserts == 2


def test_a_code_of_another_customer_is_refused_and_changes_nothing() -> None:
    store = FakeRehook()
    post(store, "/customers", customer("u1", "ABC"))
    reply = post(store, "/customers", customer("u2", "ABC", plan="pro"))
    assert reply.status == 409
    assert "u2" not in store.customers
    assert store.owners == {"ABC": "u1"}
    assert not store.log[-1].accepted


def test_a_changed_code_frees_the_old_one() -> None:
    store = FakeRehook()
    post(store, "/customers", customer("u1", "ABC"))
    post(store, "/customers", customer("u1", "XYZ"))
    assert post(store, "/customers", customer("u2", "ABC")).status == 201
    assert store.owners == {"XYZ": "u1", "ABC": "u2"}


def test_an_upsert_without_a_code_keeps_the_code() -> None:
    store = FakeRehook()
    post(store, "/customers", customer("u1", "ABC"))
    post(store, "/customers", customer("u1", referral_code="in metadata only"))
    assert store.customers["u1"].referral_code == "ABC"


def test_codes_are_compared_exactly() -> None:
    store = FakeRehook()
    post(store, "/customers", customer("u1", "ABC"))
    assert post(store, "/customers", customer("u2", "abc")).status == 201


@pytest.mark.parametrize("code", [None, "", "  "])
def test_a_conversion_event_needs_a_code(code: str | None) -> None:
    store = FakeRehook(Behaviour(conversion_events=frozenset({"signup"})))
    assert post(store, "/events/invoke", event("signup", "u1", referral_code=code)).status == 422
    assert post(store, "/events/invoke", event("signup", "u1")).status == 422
    assert store.events == []
    assert post(store, "/events/invoke", event("signup", "u1", referral_code="ABC")).status == 201
    assert post(store, "/events/invoke", event("viewed", "u1")).status == 201


def test_an_event_of_an_unknown_customer_is_accepted_unless_switched() -> None:
    store = FakeRehook()
    assert post(store, "/events/invoke", event("viewed", "nobody")).status == 201
    assert store.customers == {}
    strict = FakeRehook(Behaviour(unknown_customers="refuse"))
    assert post(strict, "/events/invoke", event("viewed", "nobody")).status == 404


def test_events_keep_order_metadata_and_key() -> None:
    store = FakeRehook()
    post(store, "/events/invoke", event("a", "u1", n=1))
    post(store, "/events/invoke", event("b", "u2"))
    post(store, "/events/invoke", event("c", "u1"))
    assert [(each.seq, each.event_name) for each in store.events_of("u1")] == [(1, "a"), (3, "c")]
    assert store.events[0].metadata == {"n": 1}
    assert store.events[0].idempotency_key == "k-1"
    assert [each.seq for each in store.order_of("u1")] == [1, 3]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/customers", {"metadata": {}}, 422),
        ("/customers", {"source_id": "", "metadata": {}}, 422),
        ("/customers", {"source_id": " ", "metadata": {}}, 422),
        ("/customers", {"source_id": 42, "metadata": {}}, 422),
        ("/customers", {"source_id": "x" * 256, "metadata": {}}, 422),
        ("/customers", {"source_id": "u1", "metadata": []}, 422),
        ("/customers", {"source_id": "u1", "referral_code": 7}, 422),
        ("/customers", {"source_id": "u1", "referral_code": ""}, 422),
        ("/customers", [], 400),
        ("/customers", b"{", 400),
        ("/customers", b'{"source_id": "u1", "metadata": {"n": NaN}}', 400),
        ("/customers", b"", 400),
        ("/events/invoke", {"source_id": "u1"}, 422),
        ("/events/invoke", {"event_name": "", "source_id": "u1"}, 422),
        ("/events/invoke", {"event_name": "a"}, 422),
        ("/events/invoke", {"event_name": "a", "source_id": "u1", "metadata": "x"}, 422),
        ("/nowhere", {}, 404),
        ("/events", {}, 404),
    ],
)
def test_bodies_that_make_no_sense_are_refused(path: str, body: object, status: int) -> None:
    store = FakeRehook()
    assert post(store, path, body).status == status
    assert store.customers == {}
    assert store.events == []


def test_the_wrong_content_type_is_refused() -> None:
    assert post(FakeRehook(), "/customers", customer("u1"), content_type=b"text/plain").status == 415
    assert post(FakeRehook(), "/customers", customer("u1"), content_type=b"application/json; charset=utf-8").status == 201


def test_a_body_too_large_is_refused() -> None:
    headers = [(b"authorization", BASIC), (b"content-type", JSON)]
    assert ask(FakeRehook(), build_incoming("POST", "/customers", headers, None)).status == 413


@pytest.mark.parametrize("header", [b"", b"Basic", b"Basic !!!", b"Bearer x", b"Basic " + b64encode(b"sandbox-key:wrong"), BASIC + b"x"])
def test_wrong_credentials_are_refused_before_anything_else(header: bytes) -> None:
    store = FakeRehook()
    reply = post(store, "/customers", b"not json", authorization=header)
    assert reply.status == 401
    assert dict(reply.headers)["www-authenticate"].startswith("Basic")
    assert post(store, "/nowhere", {}, authorization=header).status == 401


def test_credentials_are_utf8() -> None:
    store = FakeRehook(credentials=Credentials("clé", "gehéim"))
    assert post(store, "/customers", customer("u1"), authorization=b"basic " + b64encode("clé:gehéim".encode())).status == 201


def test_wrong_methods_are_refused() -> None:
    store = FakeRehook()
    assert get(store, "/customers").status == 405
    assert get(store, "/events/invoke", "DELETE").status == 405
    assert post(store, "/customers/u1", {}).status == 405


def test_customers_are_read_by_percent_decoded_id() -> None:
    store = FakeRehook()
    for source_id in ("a/b c", "ü", "validate-code", "referral/list/x"):
        post(store, "/customers", customer(source_id))
    assert orjson.loads(get(store, "/customers/a%2Fb%20c").body)["source_id"] == "a/b c"
    assert orjson.loads(get(store, "/customers/%C3%BC").body)["source_id"] == "ü"
    assert orjson.loads(get(store, "/customers/validate-code").body)["source_id"] == "validate-code"
    assert orjson.loads(get(store, "/customers/referral%2Flist%2Fx").body)["source_id"] == "referral/list/x"
    assert get(store, "/customers/a/b").status == 404
    assert get(store, "/customers/").status == 404
    assert get(store, "/customers/nobody").status == 404


def test_the_owner_of_a_code_is_found() -> None:
    store = FakeRehook()
    post(store, "/customers", customer("u1", "A/B"))
    assert orjson.loads(get(store, "/customers/validate-code/A%2FB").body)["source_id"] == "u1"
    assert get(store, "/customers/validate-code/none").status == 404


def test_referrals_are_the_customers_whose_conversions_carry_the_code() -> None:
    store = FakeRehook(Behaviour(conversion_events=frozenset({"signup"})))
    post(store, "/customers", customer("u1", "ABC"))
    post(store, "/customers", customer("u2"))
    for source_id in ("u2", "u3", "u2", "u1"):
        post(store, "/events/invoke", event("signup", source_id, referral_code="ABC"))
    post(store, "/events/invoke", event("viewed", "u4", referral_code="ABC"))
    assert [each["source_id"] for each in orjson.loads(get(store, "/customers/referral/list/u1").body)] == ["u2", "u3"]
    assert orjson.loads(get(store, "/customers/referral/list/u2").body) == []
    assert get(store, "/customers/referral/list/nobody").status == 404


def test_the_credentials_check_writes_nothing() -> None:
    store = FakeRehook()
    assert get(store, "/events/segment/check-auth").status == 200
    assert (store.customers, store.events) == ({}, [])


def test_routes_are_named_without_their_ids() -> None:
    assert route_of("/customers") == ("/customers", "")
    assert route_of("/customers/a%2Fb") == ("/customers/{source_id}", "a/b")
    assert route_of("/customers/validate-code/C") == ("/customers/validate-code/{referral_code}", "C")
    assert route_of("/x") is None


def test_overlapping_requests_of_one_customer_are_counted() -> None:
    store = FakeRehook()
    first = store.record_arrival(Incoming("POST", "/customers", payload={"source_id": "u1"}))
    other = store.record_arrival(Incoming("POST", "/customers", payload={"source_id": "u2"}))
    assert store.overlaps == 0
    second = store.record_arrival(Incoming("POST", "/customers", payload={"source_id": "u1"}))
    assert (store.overlaps, store.max_in_flight) == (1, 3)
    for each in (first, other, second):
        store.record_end(each, 200)
    store.record_arrival(Incoming("POST", "/customers", payload={"source_id": "u1"}))
    assert (store.overlaps, store.max_in_flight) == (1, 3)


def test_reset_forgets_all_but_the_set_up() -> None:
    store = FakeRehook(Behaviour(conversion_events=frozenset({"signup"})))
    post(store, "/customers", customer("u1", "ABC"))
    post(store, "/events/invoke", event("a", "u1"))
    store.reset()
    assert (store.customers, store.owners, store.events, store.log) == ({}, {}, [], [])
    assert store.behaviour.conversion_events == {"signup"}
