"""Measures rehook-sync beside the limit of the machine and other tools. Run by `make bench`; docs/performance.md shows the latest."""
