"""The command line: arguments in, one call of `sync`, a rendering out."""

from rehook_sync.cli.commands import app

__all__ = ["app"]
