"""The command line: arguments in, one call of `sync`, a rendering out."""

# Each adds its commands, in the order of the help.
import rehook_sync.cli.local  # noqa: I001
import rehook_sync.cli.admin  # noqa: F401
from rehook_sync.cli.commands import app

__all__ = ["app"]
