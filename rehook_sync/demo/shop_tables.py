"""The tables of the sample warehouse, laid out as Segment does it, for SQLite and PostgreSQL."""

from typing import Any

from sqlalchemy import Boolean, Column, DateTime, Integer, MetaData, Numeric, Table, Text
from sqlalchemy.types import TypeEngine

__all__ = ["DRIFT_COLUMN", "EVENT_NAMES", "FIRST_EVENTS", "NEW_EVENT", "build_tables"]

EVENT_NAMES = {
    "product_viewed": "Product Viewed",
    "product_added": "Product Added",
    "checkout_started": "Checkout Started",
    "order_completed": "Order Completed",
    "signup": "signup",
    "review_submitted": "Review Submitted",
}
"""Slug, which is also the table name -> event name."""
FIRST_EVENTS = ("product_viewed", "product_added", "checkout_started", "order_completed", "signup")
NEW_EVENT = "review_submitted"
DRIFT_COLUMN = "payment_method"
"""The column that `order_completed` gains with the second batch."""

_Columns = dict[str, type[TypeEngine[Any]] | TypeEngine[Any]]


def _money() -> TypeEngine[Any]:
    return Numeric(12, 2, asdecimal=False)


def _time() -> TypeEngine[Any]:
    return DateTime(timezone=True)


def _common() -> _Columns:
    return {
        "id": Text,
        "received_at": _time(),
        "uuid_ts": _time(),
        "user_id": Text,
        "anonymous_id": Text,
        "sent_at": _time(),
        "original_timestamp": _time(),
        "timestamp": _time(),
        "context_library_name": Text,
        "context_library_version": Text,
        "context_locale": Text,
        "context_user_agent": Text,
        "context_page_url": Text,
    }


def _traits() -> _Columns:
    return {
        "email": Text,
        "first_name": Text,
        "last_name": Text,
        "company": Text,
        "employees": Integer,
        "plan": Text,
        "created_at": _time(),
        "vip": Boolean,
        "lifetime_value": _money(),
        "address_city": Text,
        "referral_code": Text,
    }


def _properties() -> dict[str, _Columns]:
    return {
        "product_viewed": {"product_id": Text, "name": Text, "category": Text, "price": _money(), "currency": Text, "position": Integer},
        "product_added": {"cart_id": Text, "product_id": Text, "name": Text, "price": _money(), "quantity": Integer, "coupon": Text},
        "checkout_started": {"order_id": Text, "value": _money(), "currency": Text, "products": Text, "shipping_method": Text},
        "order_completed": {
            "order_id": Text,
            "total": _money(),
            "tax": _money(),
            "shipping": _money(),
            "currency": Text,
            "coupon": Text,
            "item_count": Integer,
            "gift": Boolean,
            "products": Text,
        },
        "signup": {"method": Text, "plan": Text, "trial": Boolean, "referral_code": Text},
        "review_submitted": {"product_id": Text, "rating": Integer, "title": Text, "verified": Boolean},
    }


def build_tables(schema: str | None, *, second_batch: bool = False) -> MetaData:
    """Return the tables of the first batch, or those of the second: one more event, one more column."""
    metadata = MetaData(schema=schema)
    _add(metadata, "identifies", _common() | _traits())
    _add(metadata, "tracks", _common() | {"event": Text, "event_text": Text})
    properties = _properties()
    for event in (*FIRST_EVENTS, NEW_EVENT) if second_batch else FIRST_EVENTS:
        drift: _Columns = {DRIFT_COLUMN: Text} if second_batch and event == "order_completed" else {}
        _add(metadata, event, _common() | {"event": Text, "event_text": Text} | properties[event] | drift)
    return metadata


def _add(metadata: MetaData, name: str, columns: _Columns) -> None:
    Table(name, metadata, *(Column(column, kind) for column, kind in columns.items()))
