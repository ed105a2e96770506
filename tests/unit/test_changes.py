"""Which settings have changed between two runs, and what applies that to the past."""

import re
from typing import Any

import pytest

from rehook_sync.cli.commands import app
from rehook_sync.rules.changes import SHAPING, find_changes
from rehook_sync.settings import SECRETS, Settings, load_settings

PLAIN: dict[str, Any] = {"warehouse_url": "sqlite:///x.db"}


def kept(**changes: Any) -> dict[str, str]:
    shown = load_settings(None, {}, **{**PLAIN, **changes}).describe()
    return {name: shown[name] for name in SHAPING}


@pytest.mark.parametrize(
    ("change", "before", "now", "command"),
    [
        ({"cursor_column": "uuid_ts"}, "received_at", "uuid_ts", "run --since"),
        ({"trait_names": {"plan_type": "planType"}}, "(none)", "plan_type=planType", "refresh"),
        ({"exclude": ["email", "phone"]}, "(none)", "email, phone", "refresh"),
        ({"anonymous_calls": "allow_with_user_id"}, "drop", "allow_with_user_id", "revalidate --reason anonymous_id_present"),
        ({"conversion_events": ["signup"]}, "(none)", "signup", "revalidate --reason missing_referral_code"),
        ({"lookback": "7d"}, "3d", "7d", "run --since"),
    ],
)
def test_a_change_names_what_applies_it(change: dict[str, Any], before: str, now: str, command: str) -> None:
    (found,) = find_changes(kept(), kept(**change))
    assert (found.name, found.before, found.now) == (next(iter(change)), before, now)
    assert f"`{command}" in found.advice


def test_only_what_differs_of_a_list_is_told() -> None:
    (found,) = find_changes(kept(exclude=["email", "phone"]), kept(exclude=["email", "address"]))
    assert (found.before, found.now) == ("phone", "address")


@pytest.mark.parametrize(
    ("before", "now", "advice"),
    [
        ("web", "web,ios", "ios goes on where it was left, or began where it was told to"),
        ("web,ios", "web", "ios is not read any more, and keeps its record"),
        ("web", "web=web_next", "each source goes on under its name"),
    ],
)
def test_a_change_of_sources_is_shown_whole_and_says_what_it_means(before: str, now: str, advice: str) -> None:
    url = {"warehouse_url": "postgresql://here/db"}
    (found,) = find_changes(kept(warehouse_schema=before, **url), kept(warehouse_schema=now, **url))
    assert (found.before, found.now) == (before.replace(",", ", "), now.replace(",", ", "))
    assert found.advice == advice


def test_the_same_settings_have_not_changed() -> None:
    assert find_changes(kept(), kept()) == []


def test_a_setting_that_one_run_does_not_know_has_not_changed() -> None:
    assert find_changes({}, kept()) == []
    assert find_changes(kept(), {}) == []


def test_nothing_that_is_kept_is_a_secret_or_a_url() -> None:
    assert [name for name in SHAPING if name in SECRETS or name.endswith("_url")] == []
    assert SHAPING.keys() <= Settings.model_fields.keys()


def test_each_command_that_is_advised_exists() -> None:
    known = {command.name or str(command.callback and command.callback.__name__) for command in app.registered_commands}
    advised = {match for advice in SHAPING.values() for match in re.findall(r"`(\w+)", advice)}
    assert advised <= known
