"""What the limit and the peers send: the columns of each table that also rehook-sync sends, and two times. No dependencies."""

CREDENTIALS = ("bench-key", "bench-secret")
_TRAITS = ["email", "first_name", "last_name", "company", "employees", "referral_code"]
_PROPERTIES = ["order_id", "total", "currency"]
_TIMES = ["timestamp", "received_at"]
WORK: dict[str, tuple[str, list[str]]] = {
    "identifies": ("/customers", ["user_id", *_TRAITS, *_TIMES]),
    "order_completed": ("/events/invoke", ["id", "user_id", "event_text", *_PROPERTIES, *_TIMES]),
}
"""Table -> (path, columns). An event table holds the common columns too, so that nobody else needs to join `tracks`."""
