"""The command line: arguments in, one call of `sync`, a rendering out."""

import rehook_sync.cli.admin  # noqa: F401 - adds its commands
from rehook_sync.cli.commands import app

__all__ = ["app"]
