"""The copy for analysts by the command line: who asks for it, who looks whether it can be, and what a run says of it."""

from pathlib import Path

import pytest
from published import check_copy
from warehouse import identify, make_warehouse, track

from rehook_sync.sandbox.server import Sandbox

from .conftest import Program, write_settings


@pytest.fixture
def shop(tmp_path: Path, sandbox: Sandbox) -> Program:
    """A command line with a warehouse in a file and no copy yet."""
    key, secret = sandbox.credentials
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    (tmp_path / "shop.db").touch()
    make_warehouse(url, {"identifies": [identify("i1", "ada")], "tracks": [track("t1", "ada", "Visited")]})
    where = {"warehouse_url": url, "api_url": sandbox.url, "api_key": key, "api_secret": secret, "start_at": "beginning"}
    write_settings(tmp_path / "rehook_sync.toml", {**where, "missing_properties": "send"})
    program = Program(tmp_path)
    assert program("init").code == 0
    return program


def place(shop: Program, **more: str) -> dict[str, str]:
    return {"REHOOK_SYNC_PUBLISH_SCHEMA": "main", "REHOOK_SYNC_PUBLISH_URL": f"sqlite:///{shop.folder / 'copy.db'}", **more}


def test_a_run_makes_the_copy_and_publish_brings_what_has_changed(shop: Program) -> None:
    where = place(shop)
    assert shop("check", "--json", **where).json["publish"]["copy"] == f"`publish` makes the copy in {shop.folder / 'copy.db'} main"
    done = shop("run", "--json", **where)
    assert (done.code, done.json["sent"]) == (0, 2), done
    urls = f"sqlite:///{shop.folder / 'shop.db'}", f"sqlite:///{shop.folder / 'copy.db'}"
    check_copy(*urls, "main")
    assert shop("forget", "ada").code == 0
    again = shop("publish", "--json", **where)
    assert (again.code, again.json["removed"]["customers"], again.json["whole"]) == (0, 1, False)
    check_copy(*urls, "main")
    told = shop("publish", **where)
    assert (told.code, told.out.startswith("what has changed: 0 calls")) == (0, True), told
    assert shop("check", "--json", **where).json["publish"]["ok"] is True
    assert shop("publish", "--quiet", **where).out == ""
    assert shop("publish", "--end", "--json", **where).json == {"ended": True}


def test_without_a_schema_there_is_no_copy(shop: Program) -> None:
    assert shop("check", "--json").json["publish"] == {"ok": None, "copy": None, "error": None}
    done = shop("publish")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: REHOOK_SYNC_PUBLISH_SCHEMA: missing: nothing says where the copy is to be")


def test_a_place_that_cannot_be_opened_fails_check_and_no_run(shop: Program) -> None:
    where = place(shop, REHOOK_SYNC_PUBLISH_URL="postgresql://nobody:s3cret@127.0.0.1:9/nothing")
    checked = shop("check", **where)
    assert checked.code == 2
    assert "s3cret" not in checked.out + checked.err
    done = shop("run", "--json", **where)
    assert (done.code, done.json["sent"]) == (0, 2)
    (note,) = [each for each in done.json["notes"] if "copy" in each]
    assert note.startswith("the copy for analysts was not brought up to date, and the next run tries again: cannot connect")
    assert "s3cret" not in done.out + done.err
