"""Servers of beds that are processes of their own."""

import socket
import subprocess
import time
from pathlib import Path

import pytest

__all__ = ["free_port", "wait_for"]


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def wait_for(name: str, process: subprocess.Popen[bytes], port: int, log: Path, start_s: float) -> None:
    """Wait until a server listens. Fails the test with the end of its log when it does not in so many seconds."""
    until = time.monotonic() + start_s
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > until:
                pytest.fail(f"{name} did not start: {log.read_text(encoding='utf-8')[-500:]}")
            time.sleep(0.05)
        else:
            return
