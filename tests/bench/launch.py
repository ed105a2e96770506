"""Starts one command, waits for it and writes what it used: `python launch.py RESULT_FILE COMMAND...`.

A process of its own and a small one, because Linux counts the memory of whoever starts a program into that program's peak.
CPU is that of the whole tree of processes, memory that of the largest one. Processes that the command leaves behind, such as
a server that forked its workers, are waited for after the clock has stopped, since only then their CPU is known.
"""

import ctypes
import json
import os
import resource
import sys
import time

_SET_CHILD_SUBREAPER = 36
_LONGEST_WAIT_S = 10.0


def main(result: str, command: list[str]) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    began_s = time.monotonic()
    pid = os.posix_spawnp(command[0], command, os.environ)
    _, status = os.waitpid(pid, 0)
    wall_s = time.monotonic() - began_s
    wait_for_the_rest()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    document = {
        "wall_s": wall_s,
        "cpu_s": used.ru_utime + used.ru_stime,
        "peak_mb": used.ru_maxrss / 1024,
        "code": os.waitstatus_to_exitcode(status),
    }
    with open(result, "w", encoding="utf-8") as file:  # noqa: PTH123 - pathlib would add to the memory
        json.dump(document, file)


def wait_for_the_rest() -> None:
    """Wait for processes that have lost their parent, as long as there are any, and not for ever."""
    until_s = time.monotonic() + _LONGEST_WAIT_S
    while time.monotonic() < until_s:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            time.sleep(0.002)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
