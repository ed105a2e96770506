"""The warehouse's own count: what looking at a lookback costs anybody. A bare driver asks for the calls of each minute or hour and for
a fingerprint over their ids, as the warehouse itself makes one; nothing is compared with anything.

`python -m bench.count --database URL`
"""

import argparse
import sqlite3

_STREAMS = ("identifies", "tracks")
_SQLITE = "SELECT SUBSTR(received_at, 1, 16), COUNT(*), GROUP_CONCAT(id) FROM {} GROUP BY 1"
_POSTGRESQL = (
    "SELECT DATE_TRUNC('hour', received_at), COUNT(*), SUM(HASHTEXTEXTENDED(id, 0)), SUM(HASHTEXTEXTENDED(id, 1)) FROM {} GROUP BY 1"
)


def main() -> None:
    """Ask."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--database", required=True)
    database = parser.parse_args().database
    kind, _, path = database.partition(":///")
    if kind == "sqlite":
        for stream in _STREAMS:
            sqlite3.connect(path).execute(_SQLITE.format(stream)).fetchall()
        return
    import psycopg

    with psycopg.connect(database) as connection:
        for stream in _STREAMS:
            connection.execute(_POSTGRESQL.format(stream).encode()).fetchall()


if __name__ == "__main__":
    main()
