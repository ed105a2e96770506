"""The entry: `python -m rehook_sync`, installed as `rehook-sync`."""

from rehook_sync.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
