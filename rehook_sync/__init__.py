"""Deliver Segment's identifies and tracks from a warehouse to Rehook, each call once.

The names in `__all__` are the public API of Python: docs/analysts.md says what is promised. Each is loaded when it is first asked
for, so that `import rehook_sync` loads none of the libraries.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["Settings", "Sync", "load_settings", "read_calls", "read_runs"]

_HOMES = {"Settings": "settings", "Sync": "sync", "load_settings": "settings", "read_calls": "frames", "read_runs": "frames"}

if TYPE_CHECKING:
    from rehook_sync.frames import read_calls, read_runs
    from rehook_sync.settings import Settings, load_settings
    from rehook_sync.sync import Sync
else:

    def __getattr__(name: str) -> object:
        """Load a public name."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        return found


def __dir__() -> list[str]:
    """Name what there is, loaded or not: notebooks complete by it."""
    return sorted({*globals(), *__all__})
