"""Stands before the real uvloop on the path of a process that is to run on asyncio's own loop."""

raise ImportError("this process is measured on asyncio's own loop")
