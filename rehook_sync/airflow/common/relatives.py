"""Which tasks of a DAG belong together: found by what they are and how they hang together, so that they may have any ids."""

from typing import Any

__all__ = ["find_relative"]

Task = Any
"""Airflow has several classes of tasks."""


def find_relative(task: Task, gives: str, default: str, *, upstream: bool) -> str:
    """Return the id of the nearest task before or after a task that gives something.

    Shape:  gives: as in `RehookOperator.gives`.  default: id in the same group, for when there is no such task, or several are as near.
    """
    seen: set[str] = set()
    level = [task] if task.has_dag() else []
    while level := [each for each in _neighbours(level, upstream=upstream) if each.task_id not in seen]:
        seen.update(each.task_id for each in level)
        found = {each.task_id for each in level if getattr(getattr(each, "operator_class", each), "gives", None) == gives}
        if found:
            return found.pop() if len(found) == 1 else _sibling(task, default)
    return _sibling(task, default)


def _neighbours(tasks: list[Task], *, upstream: bool) -> list[Task]:
    return [each for task in tasks for each in task.get_direct_relatives(upstream)]


def _sibling(task: Task, name: str) -> str:
    """Return the id that a name has in the group of a task."""
    return name if task.task_group is None else str(task.task_group.child_id(name))
