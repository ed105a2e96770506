"""Deliver Segment's identifies and tracks from a warehouse to Rehook, each call once.

The names in `__all__` are the public API of Python: docs/analysts.md says what is promised. Each is loaded when it is first asked
for, so that `import rehook_sync` loads none of the libraries.
"""

# ruff: noqa: PLC0415 - so that a name is loaded when it is first asked for

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["Settings", "Sync", "load_settings", "read_calls", "read_runs"]

if TYPE_CHECKING:
    from rehook_sync.frames import read_calls, read_runs
    from rehook_sync.settings import Settings, load_settings
    from rehook_sync.sync import Sync
else:

    def __getattr__(name: str) -> object:
        """Load a public name."""
        home: object
        match name:
            case "Settings" | "load_settings":
                import rehook_sync.settings as home
            case "Sync":
                import rehook_sync.sync as home
            case "read_calls" | "read_runs":
                import rehook_sync.frames as home
            case _:
                raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(home, name)
        return found


def __dir__() -> list[str]:
    """Name what there is, loaded or not: notebooks complete by it."""
    return sorted({*globals(), *__all__})
