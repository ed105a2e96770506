"""The error tree: Airflow pickles errors between processes, and people read the drawing in the docstring."""

import pickle
import re

import pytest

from rehook_sync import errors

CLASSES = [getattr(errors, name) for name in errors.__all__]
DRAWN = re.compile(r"^(?P<branch>(?:[│ ] {3})*(?:[├└]── )?)(?P<name>\w+Error)\b(?:.*\(exit (?P<exit_code>\d)\))?", re.MULTILINE)


@pytest.mark.parametrize("kind", CLASSES)
def test_error_survives_pickling(kind: type[errors.RehookSyncError]) -> None:
    error = kind("the lease: lost; run again")
    error.add_note("seen by a shard")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert (str(again), again.args, vars(again)) == (str(error), error.args, vars(error))
    assert str(again) == "the lease: lost; run again"


def test_down_error_keeps_when_to_come_back() -> None:
    assert pickle.loads(pickle.dumps(errors.ApiDownError("down", 3.5))).retry_after_s == 3.5


def test_tree_in_the_docstring_is_the_tree_of_classes() -> None:
    drawn: dict[str, str] = {}
    path: list[str] = []
    for match in DRAWN.finditer(errors.__doc__ or ""):
        depth = len(match["branch"]) // 4
        path[depth:] = [match["name"]]
        drawn[match["name"]] = path[depth - 1] if depth else "Exception"
    assert drawn == {kind.__name__: kind.__base__.__name__ for kind in CLASSES}


def test_exit_codes_in_the_docstring_are_those_of_the_classes() -> None:
    drawn = {match["name"]: int(match["exit_code"]) for match in DRAWN.finditer(errors.__doc__ or "") if match["exit_code"]}
    assert drawn
    assert drawn == {name: getattr(errors, name).exit_code for name in drawn}


def test_all_errors_are_public() -> None:
    defined = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert defined == set(errors.__all__)
