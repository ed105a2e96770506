"""The entry of `python -m rehook_sync` and `rehook-sync`: what asks it to stop is heard before anything else is loaded."""

import signal
import sys
from types import FrameType
from typing import NoReturn

__all__ = ["main"]


def main() -> NoReturn:
    """Run the command line of this process and exit."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        from rehook_sync.cli.process import run_command  # noqa: PLC0415 - it takes a while, and a Ctrl-C may come meanwhile

        run_command()
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def _terminated(number: int, _frame: FrameType | None) -> NoReturn:
    """End a command that has nothing to settle. `run` installs its own handler."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    main()
