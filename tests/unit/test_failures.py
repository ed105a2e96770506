"""Errors of drivers that come past SQLAlchemy: each passes the gate as one line, and no error of ours is taken for one."""

from collections.abc import Callable

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from rehook_sync.database.dialects.other import OTHER
from rehook_sync.database.dialects.record import Warehouse
from rehook_sync.database.engine import Database
from rehook_sync.database.failures import is_of_database, one_line
from rehook_sync.errors import DatabaseError

LIKE_A_DRIVER = Warehouse(name="any", words=OTHER.words, drivers=frozenset({"json"}))
"""A warehouse whose driver is the standard library's JSON: its errors are no errors of SQLAlchemy."""


class Driven(Database):
    """A database whose driver raises errors of its own."""

    warehouse = LIKE_A_DRIVER


def raise_its_own() -> None:
    import json

    json.loads("{")


def raise_in_its_code() -> None:
    import json

    json.dumps(object())


@pytest.mark.parametrize("fail", [raise_its_own, raise_in_its_code])
def test_a_drivers_own_error_passes_the_gate_as_one_line(fail: Callable[[], None]) -> None:
    database = Driven(create_engine("sqlite://"), "WAREHOUSE_URL")
    with pytest.raises(DatabaseError) as caught, database.gate():
        fail()
    assert str(caught.value).startswith("the database of WAREHOUSE_URL failed: ")
    assert "\n" not in str(caught.value)


def test_an_error_of_ours_stays_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError), Driven(create_engine("sqlite://"), "WAREHOUSE_URL").gate():
        raise ZeroDivisionError


def test_an_error_of_another_package_is_none_of_the_database() -> None:
    assert not is_of_database(KeyError("a"), OTHER)
    assert is_of_database(OperationalError("SELECT 1", None, Exception("no")), OTHER)


def test_what_a_driver_quotes_of_its_options_is_not_shown() -> None:
    assert one_line(ValueError("bad token s3cr3t\nfor s3cr3t"), ["s3cr3t"]) == "bad token …; for …"
