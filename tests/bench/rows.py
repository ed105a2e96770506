"""What the limit and the peers send: the columns of each table that also rehook-sync sends, and two times. No dependencies."""

CREDENTIALS = ("bench-key", "bench-secret")
WORK: dict[str, tuple[str, list[str]]] = {
    "identifies": (
        "/customers",
        ["user_id", "email", "first_name", "last_name", "company", "employees", "referral_code", "timestamp", "received_at"],
    ),
    "order_completed": ("/events/invoke", ["id", "user_id", "event_text", "order_id", "total", "currency", "timestamp", "received_at"]),
}
"""Table -> (path, columns). An event table holds the common columns too, so that nobody else needs to join `tracks`."""
