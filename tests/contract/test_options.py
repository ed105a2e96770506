"""WAREHOUSE_OPTIONS that a driver does not know, or that would do harm: one line and exit code 2, whatever the warehouse is."""

from contextlib import closing

import pytest
from warehouse import CLOUDS, OPTIONS, WAREHOUSES

from rehook_sync.database.dialects.record import Connecting
from rehook_sync.database.engine import open_database
from rehook_sync.errors import ConfigurationError, SettingsError


@pytest.mark.parametrize("kind", [*WAREHOUSES, "redshift"])
def test_an_option_that_the_driver_does_not_know_is_one_line(request: pytest.FixtureRequest, kind: str) -> None:
    url = str(request.getfixturevalue({**WAREHOUSES, **CLOUDS}[kind].fixture))
    options = {**OPTIONS.get(url, {}), "frobnicate": "s3cret"}
    database = open_database(url, "WAREHOUSE_URL", read_only=True, connecting=Connecting(options))
    with closing(database), pytest.raises(ConfigurationError) as caught, database.connect():
        pass
    message = str(caught.value)
    assert "frobnicate" in message
    assert "s3cret" not in message
    assert "\n" not in message


@pytest.mark.parametrize(("kind", "option"), [("postgresql", "autocommit"), ("duckdb", "read_only"), ("redshift", "numeric_to_float")])
def test_an_option_that_would_do_harm_is_refused(request: pytest.FixtureRequest, kind: str, option: str) -> None:
    url = str(request.getfixturevalue({**WAREHOUSES, **CLOUDS}[kind].fixture))
    with pytest.raises(SettingsError, match=f"REHOOK_SYNC_WAREHOUSE_OPTIONS: {option}: .*leave it out"):
        open_database(url, "WAREHOUSE_URL", connecting=Connecting({option: True}))
