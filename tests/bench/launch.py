"""Starts one command, waits for it and writes what it used: `python launch.py RESULT_FILE COMMAND...`.

A process of its own and a small one, because Linux counts the memory of whoever starts a program into that program's peak.
CPU is that of the whole tree of processes, as far as each waited for its children; memory is that of the largest one.
"""

import json
import os
import sys
import time


def main(result: str, command: list[str]) -> None:
    began_s = time.monotonic()
    pid = os.posix_spawnp(command[0], command, os.environ)
    _, status, used = os.wait4(pid, 0)
    document = {
        "wall_s": time.monotonic() - began_s,
        "cpu_s": used.ru_utime + used.ru_stime,
        "peak_mb": used.ru_maxrss / 1024,
        "code": os.waitstatus_to_exitcode(status),
    }
    with open(result, "w", encoding="utf-8") as file:  # noqa: PTH123 - pathlib would add to the memory
        json.dump(document, file)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
