"""Roles of a PostgreSQL server for one test: `role(url, "reader")` is the URL of the same database as a role that is new."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import make_url
from warehouse import run_sql

__all__ = ["NewRole", "name_in", "new_role"]

NewRole = Callable[..., str]


@pytest.fixture
def new_role() -> Iterator[NewRole]:
    """Makes a role that owns and may do nothing, and gives its URL; the role goes when the test ends."""
    made: list[tuple[str, str]] = []

    def make(url: str, name: str) -> str:
        role = f"{name}_{str(make_url(url).database)[-12:]}"
        run_sql(url, f"CREATE ROLE {role} LOGIN")
        made.append((url, role))
        return make_url(url).set(username=role).render_as_string(hide_password=False)

    yield make
    for url, role in reversed(made):
        run_sql(url, f"DROP OWNED BY {role} CASCADE", f"DROP ROLE {role}")


def name_in(url: str) -> str:
    """The role of a URL."""
    return str(make_url(url).username)
