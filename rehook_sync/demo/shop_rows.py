"""Makes the rows of the sample warehouse, and counts what must become of them. Pure."""

import json
import random
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from rehook_sync.demo.shop_catalogue import (
    BROWSERS,
    CAMPAIGN_CODES,
    CITIES,
    COMPANIES,
    FIRST_NAMES,
    LAST_NAMES,
    MAIL_DOMAINS,
    PLANS,
    PRODUCTS,
    REVIEWS,
    Product,
)
from rehook_sync.demo.shop_tables import DRIFT_COLUMN, EVENT_NAMES, NEW_EVENT
from rehook_sync.models import Reason
from rehook_sync.times import FIRST_MOMENT

__all__ = ["UNUSABLE_CODE", "Draft", "Period", "Person", "Row"]

Row = dict[str, Any]
_HOURS = (1, 1, 1, 1, 1, 2, 3, 5, 7, 8, 8, 8, 9, 8, 7, 7, 7, 8, 9, 10, 10, 8, 5, 2)
_WEEKDAYS = (9, 9, 8, 8, 10, 6, 5)
_CURRENCY = "EUR"


UNUSABLE_CODE = "FRIENDS" * 400
"""Too long to be a referral code."""


@dataclass(frozen=True, slots=True)
class Period:
    """The time range of a batch. Units:  aware UTC."""

    start: datetime
    end: datetime

    def since(self, moment: datetime) -> "Period":
        """Return the rest of the period from a moment on."""
        return Period(min(max(self.start, moment), self.end), self.end)


@dataclass(frozen=True, slots=True)
class Person:
    """One customer of the shop; the fields after `user_id` are the traits."""

    user_id: str
    email: str
    first_name: str
    last_name: str
    company: str | None
    employees: int | None
    plan: str
    created_at: datetime
    vip: bool
    lifetime_value: float
    address_city: str | None
    referral_code: str | None

    def traits(self) -> Row:
        """Return trait columns and values."""
        return {name: getattr(self, name) for name in self.__slots__ if name != "user_id"}


@dataclass(slots=True)
class Draft:
    """Rows per table, each counted with its expected outcome as it is written.

    Shape:  rejected: reason -> distinct calls.  users: customers with an accepted Identify call.
            events_accepted: Track calls that must reach Rehook, once each.
    Units:  loads_from, loaded_at: end of the batch's first and last load.
            newest: latest `received_at` already in the warehouse; calls received before it are late.
    """

    rng: random.Random
    loaded_at: datetime
    loads_from: datetime = FIRST_MOMENT
    newest: datetime = FIRST_MOMENT
    tables: dict[str, list[Row]] = field(default_factory=lambda: {"identifies": [], "tracks": []})
    distinct: Counter[str] = field(default_factory=Counter)
    rejected: Counter[Reason] = field(default_factory=Counter)
    users: set[str] = field(default_factory=set)
    events_accepted: int = 0
    duplicates: int = 0
    late: int = 0

    def person(self, number: int, created_at: datetime) -> Person:
        """Return a made-up customer. `number` makes id, mail address and code unique."""
        rng = self.rng
        first, last = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
        plain = _ascii(f"{first}.{last}").lower()
        company, employees = rng.choice(COMPANIES) if rng.random() < 0.55 else (None, None)
        return Person(
            user_id=f"user_{number:05d}",
            email=f"{plain}{number}@{rng.choice(MAIL_DOMAINS)}",
            first_name=first,
            last_name=last,
            company=company,
            employees=employees,
            plan=rng.choice(PLANS),
            created_at=created_at,
            vip=rng.random() < 0.08,
            lifetime_value=round(rng.expovariate(1 / 140), 2),
            address_city=rng.choice(CITIES) if rng.random() < 0.6 else None,
            referral_code=f"{_ascii(first).upper()[:6]}{number:04d}",
        )

    def moment(self, window: Period) -> datetime:
        """Draw a time from a period: busy evenings, quiet nights and weekends."""
        span_s = (window.end - window.start).total_seconds()
        for _ in range(50):
            at = window.start + timedelta(seconds=self.rng.random() * span_s)
            if self.rng.random() < _HOURS[at.hour] * _WEEKDAYS[at.weekday()] / 100:
                break
        return _to_ms(at)

    def identify(
        self, user_id: str | None, traits: Mapping[str, Any], at: datetime, rejected: Reason | None = None, **columns: object
    ) -> None:
        """Write one Identify call and count it."""
        row = {**self._common(user_id, at), **traits, **columns}
        self.tables["identifies"].append(row)
        self._count("identifies", row, rejected)
        if rejected is None and user_id is not None:
            self.users.add(user_id)

    def track(
        self,
        user_id: str | None,
        event: str,
        properties: Mapping[str, Any],
        at: datetime,
        rejected: Reason | None = None,
        **columns: object,
    ) -> None:
        """Write one Track call, with its row in the event's table, and count it."""
        row = {**self._common(user_id, at), "event": event, "event_text": EVENT_NAMES.get(event, event), **columns}
        self.tables["tracks"].append(row)
        if event and row["id"] is not None:
            self.tables.setdefault(event, []).append({**row, **properties})
        self._count("tracks", row, rejected)
        self.events_accepted += rejected is None

    def visit(self, user_id: str | None, at: datetime, *, buys: float = 0.35, drift: bool = False, anonymous: str | None = None) -> None:
        """Write the events of one visit: views, a cart, a checkout, an order. With an anonymous id all are rejected."""
        reason = None if anonymous is None else Reason.MISSING_USER_ID if user_id is None else Reason.ANONYMOUS_ID_PRESENT
        browser: Row = {} if anonymous is None else self._browser(anonymous)
        for event, properties in self._steps(buys, drift):
            self.track(user_id, event, properties, at, reason, **browser)
            pause = timedelta(milliseconds=self.rng.randrange(4_000, 90_000))
            at = _to_ms(at + min(pause, (self.loaded_at - at) / 3))

    def review(self, user_id: str, at: datetime) -> None:
        """Write a review, the event that is new in the second batch."""
        rating, title = self.rng.choice(REVIEWS)
        product = self.rng.choice(PRODUCTS)
        self.track(user_id, NEW_EVENT, {"product_id": product.product_id, "rating": rating, "title": title, "verified": True}, at)

    def signup(self, person: Person, code: str | None, at: datetime) -> None:
        """Write a signup at the instant of the first Identify call; it is rejected without a code."""
        properties = {
            "method": self.rng.choice(("email", "google")),
            "plan": person.plan,
            "trial": person.plan != "free",
            "referral_code": code,
        }
        self.track(person.user_id, "signup", properties, at, Reason.MISSING_REFERRAL_CODE if code is None else None)

    def campaign_code(self) -> str:
        """Return a code that no customer owns."""
        return self.rng.choice(CAMPAIGN_CODES)

    def change(self, person: Person) -> Person:
        """Return the person with a changed trait."""
        if self.rng.random() < 0.4:
            return replace(person, plan=self.rng.choice([each for each in PLANS if each != person.plan]))
        return replace(person, lifetime_value=round(person.lifetime_value + self.rng.choice(PRODUCTS).price, 2))

    def break_rules(self, people: list[Person], window: Period) -> None:
        """Write rows for each reason that visits and signups do not cover."""
        rng, late = self.rng, window.since(window.end - (window.end - window.start) / 4)
        for owner, taker in zip(people[:3], people[3:6], strict=True):
            taken = {**taker.traits(), "referral_code": owner.referral_code}
            self.identify(taker.user_id, taken, self.moment(late), Reason.REFERRAL_CODE_TAKEN)
        for person in people[6:9]:
            self.track(person.user_id, "", {}, self.moment(late), Reason.MISSING_EVENT_NAME, event_text="")
        for person in people[9:12]:
            browser = self._browser(self._uuid())
            self.identify(person.user_id, person.traits(), self.moment(late), Reason.ANONYMOUS_ID_PRESENT, **browser)
        self.identify(None, people[12].traits(), self.moment(late), Reason.MISSING_USER_ID)
        self.identify(people[13].user_id, {**people[13].traits(), "referral_code": UNUSABLE_CODE}, self.moment(late), Reason.INVALID_ROW)
        self.track(people[14].user_id, "product_viewed", {}, self.moment(late), Reason.INVALID_ROW, id=None)
        imported = {**people[15].traits(), "email": "import@example.com", "referral_code": None}
        self.identify("legacy-crm-" + "0" * 260 + str(rng.randrange(1000)), imported, self.moment(late), Reason.REFUSED_BY_REHOOK)

    def repeat(self, table: str, event: str | None, row: Row, copy: Row | None = None, received_at: datetime | None = None) -> None:
        """Load a call a second time; it does not count as new."""
        again = {"uuid_ts": self.loaded_at, **({} if received_at is None else {"received_at": received_at})}
        self.tables[table].append({**row, **again})
        if event and copy is not None:
            self.tables.setdefault(event, []).append({**copy, **again})
        self.duplicates += 1

    def _count(self, stream: str, row: Row, rejected: Reason | None) -> None:
        self.distinct[stream] += 1
        self.late += row["received_at"] < self.newest
        if rejected is not None:
            self.rejected[rejected] += 1

    def _common(self, user_id: str | None, at: datetime) -> Row:
        offline = self.rng.random() < 0.02
        delay = timedelta(hours=self.rng.uniform(1, 20)) if offline else timedelta(milliseconds=self.rng.randrange(150, 4_000))
        received_at = max(at, min(_to_ms(at + delay), self.loaded_at))
        return {
            "id": self._uuid(),
            "received_at": received_at,
            "uuid_ts": self._load_time(received_at),
            "user_id": user_id,
            "anonymous_id": None,
            "sent_at": max(at, received_at - timedelta(milliseconds=40)),
            "original_timestamp": at,
            "timestamp": at,
            "context_library_name": "analytics-node",
            "context_library_version": "2.3.0",
            "context_locale": None,
            "context_user_agent": None,
            "context_page_url": None,
        }

    def _browser(self, anonymous_id: str) -> Row:
        return {
            "anonymous_id": anonymous_id,
            "context_library_name": "analytics.js",
            "context_library_version": "next-1.81.0",
            "context_locale": self.rng.choice(("en-GB", "de-DE", "pt-PT", "fr-FR")),
            "context_user_agent": self.rng.choice(BROWSERS),
            "context_page_url": "https://shop.example.com/" + self.rng.choice(("", "kitchen", "home", "outdoor", "desk")),
        }

    def _steps(self, buys: float, drift: bool) -> Iterator[tuple[str, Row]]:
        rng = self.rng
        products: list[Product] = rng.sample(PRODUCTS, rng.choice((1, 1, 2, 2, 3)))
        for position, each in enumerate(products, 1):
            viewed = {"product_id": each.product_id, "name": each.name, "category": each.category, "price": each.price}
            yield "product_viewed", {**viewed, "currency": _CURRENCY, "position": position}
        if rng.random() > buys + 0.25:
            return
        cart_id = f"cart_{rng.getrandbits(32):08x}"
        quantity = rng.choice((1, 1, 1, 2))
        coupon = rng.choice(CAMPAIGN_CODES) if rng.random() < 0.2 else None
        bought = products[0]
        added = {"cart_id": cart_id, "product_id": bought.product_id, "name": bought.name, "price": bought.price}
        yield "product_added", {**added, "quantity": quantity, "coupon": coupon}
        if rng.random() > buys + 0.35:
            return
        order_id = f"ord_{rng.getrandbits(40):010x}"
        value = round(bought.price * quantity, 2)
        listed = json.dumps([{"product_id": bought.product_id, "quantity": quantity}])
        method = rng.choice(("standard", "express", None))
        yield (
            "checkout_started",
            {"order_id": order_id, "value": value, "currency": _CURRENCY, "products": listed, "shipping_method": method},
        )
        if rng.random() > buys + 0.4:
            return
        costs = {"total": round(value + 4.9, 2), "tax": round(value * 0.19, 2), "shipping": 4.9, "currency": _CURRENCY, "coupon": coupon}
        paid: Row = {DRIFT_COLUMN: rng.choice(("card", "paypal", "invoice"))} if drift else {}
        yield (
            "order_completed",
            {"order_id": order_id, **costs, "item_count": quantity, "gift": rng.random() < 0.1, "products": listed, **paid},
        )

    def _load_time(self, received_at: datetime) -> datetime:
        """Return when the call was loaded: with the next of four loads a day, at the latest at `loaded_at`."""
        midnight = received_at.replace(hour=0, minute=0, second=0, microsecond=0)
        load = midnight + timedelta(hours=6 * (received_at.hour // 6 + 1))
        return min(max(load, self.loads_from), self.loaded_at)

    def _uuid(self) -> str:
        return str(UUID(int=self.rng.getrandbits(128), version=4))


def _to_ms(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=moment.microsecond // 1000 * 1000)


def _ascii(text: str) -> str:
    """Return a name as in a mail address."""
    plain = unicodedata.normalize("NFKD", text.replace("ł", "l").replace("Ł", "L").replace("ø", "o"))
    return "".join(each for each in plain if each.isascii() and (each.isalnum() or each == "."))
