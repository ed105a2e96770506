"""What `make growth` measures: pruning makes the tables smaller per call, and keeps every call."""

import growth


def test_pruned_tables_take_less_room(database_url: str) -> None:
    sizes = growth.measure(database_url, 6000)
    assert sizes.calls == 6000
    assert min(sizes.filled) > 0
    assert sum(sizes.compacted) < 0.8 * sum(sizes.filled)
