"""The commands over the beds of warehouses of a cloud, the sync-state in a file: what a shop there gets."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from accounting import assert_numbers_add_up
from beds.redshift.bed import PASSWORD as REDSHIFT_PASSWORD
from sqlalchemy import make_url
from warehouse import BEHIND, CLOUDS

from rehook_sync.demo.shop import CONVERSION_EVENTS
from rehook_sync.sandbox.server import Sandbox
from rehook_sync.sandbox.store import Behaviour

from .conftest import Shop, make_shop, write_settings

PASSED_ON = ("SSL_CERT_FILE", "SNOWFLAKE_DISABLE_PLATFORM_DETECTION")
SECRETS = (REDSHIFT_PASSWORD,)


@pytest.fixture(params=[name for name in CLOUDS if name != "snowflake"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    """A sample shop in the bed of each cloud; nothing is initialised yet."""
    url = str(request.getfixturevalue(CLOUDS[request.param].fixture))
    with Sandbox(behaviour=Behaviour(conversion_events=frozenset(CONVERSION_EVENTS))) as sandbox:
        made = make_shop(tmp_path, BEHIND[url], sandbox)
        write_settings(
            tmp_path / "rehook_sync.toml",
            {
                "warehouse_url": url,
                "state_url": "sqlite:///state.db",
                "api_url": sandbox.url,
                "api_key": sandbox.credentials.key,
                "api_secret": sandbox.credentials.secret,
                "conversion_events": list(CONVERSION_EVENTS),
            },
        )
        yield made
        made.program.end_all()


@pytest.mark.timeout(400)
def test_every_command_works_on_a_shop_in_a_cloud(shop: Shop) -> None:
    said = []

    def done(*arguments: str, code: int = 0) -> Any:
        result = shop(*arguments, **{name: os.environ[name] for name in PASSED_ON if name in os.environ})
        said.append(result.out + result.err)
        assert result.code == code, said[-1]
        return result

    done("init")
    done("check")
    assert done("plan", "--since", "beginning", "--json").json["rows"] > 0
    run = done("run", "--since", "beginning", "--workers", "2", "--json").json
    assert run["status"] == "succeeded"
    assert run["rows_read"] == shop.calls
    assert done("run", "--json").json["rows_read"] == 0
    done("audit", "--since", "beginning")
    done("explain", next(iter(shop.sandbox.store.customers)))
    done("status")
    done("report", "--out", "report.html")
    assert_numbers_add_up(BEHIND[shop_url(shop)], f"sqlite:///{shop.program.folder / 'state.db'}", received=shop.sandbox.store)
    page = (shop.program.folder / "report.html").read_text(encoding="utf-8")
    assert [secret for secret in SECRETS for each in (*said, page) if secret in each] == []


def shop_url(shop: Shop) -> str:
    return next(url for url, behind in BEHIND.items() if make_url(behind) == make_url(shop.url))
