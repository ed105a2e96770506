"""What a process meets around it: outputs that take nothing, a terminal that goes, certificates that are not there."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Shop, wait_until


@pytest.mark.parametrize("arguments", [("status",), ("status", "--json"), ("--help",)], ids=["people", "programs", "help"])
@pytest.mark.parametrize("output", [">/dev/full", ">&-", ">&- 2>&-"], ids=["full", "closed", "both closed"])
def test_an_output_that_takes_nothing_changes_no_exit_code(delivered: Shop, arguments: tuple[str, ...], output: str) -> None:
    line = f"exec {sys.executable} -m rehook_sync {' '.join(arguments)} {output}"
    program = delivered.program
    done = subprocess.run(
        ["/bin/sh", "-c", line], check=False, cwd=program.folder, env=program.clean_environ({}), stderr=subprocess.PIPE, text=True
    )
    assert done.returncode == 0
    said = "error: stdout cannot be written (No space left on device); what was done is recorded, but not shown\n"
    assert done.stderr == (said if output == ">/dev/full" else "")


def test_a_run_whose_output_is_full_ends_as_it_went(shop: Shop) -> None:
    shop.ready()
    with Path("/dev/full").open("w") as full:
        program = shop.program
        command = [sys.executable, "-m", "rehook_sync", "run", "--since", "beginning", "--json"]
        done = subprocess.run(command, check=False, cwd=program.folder, env=program.clean_environ({}), stdout=full, stderr=full)
    assert done.returncode == 0
    assert sum(shop.counts().values()) == shop.calls


def test_a_signal_that_was_ignored_stays_ignored(shop: Shop) -> None:
    """As nohup does with SIGHUP."""
    shop.ready()
    slow = shop.sandbox.faults.add("delay", delay_s=0.2)
    program = shop.program
    command = [sys.executable, "-m", "rehook_sync", "run", "--since", "beginning"]
    process = subprocess.Popen(
        command,
        cwd=program.folder,
        env=program.clean_environ({"REHOOK_SYNC_CONCURRENCY": "8"}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),  # noqa: PLW1509 - a test without threads
    )
    wait_until(lambda: len(shop.sandbox.store.log) > 10)
    os.kill(process.pid, signal.SIGHUP)
    shop.sandbox.faults.remove(slow.id)
    assert process.wait(60) == 0


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("kind", ["missing", "junk", "folder"])
def test_certificates_that_cannot_be_read_stop_a_run_before_it_begins(shop: Shop, workers: str, kind: str) -> None:
    shop.ready()
    place = {"missing": shop.program.folder / "none.pem", "junk": shop.program.folder / "junk.pem", "folder": shop.program.folder}[kind]
    (shop.program.folder / "junk.pem").write_text("junk", encoding="utf-8")
    environ = {"SSL_CERT_FILE": str(place), "REHOOK_SYNC_API_URL": "https://rehook.test"}
    done = shop("run", "--since", "beginning", "--workers", workers, **environ)
    assert done.code == 2
    assert done.err.startswith(f"error: SSL_CERT_FILE: '{place}' cannot be used (")
    assert done.err.count("\n") == 1
    assert not shop.report().runs


def test_check_names_certificates_that_cannot_be_read(shop: Shop) -> None:
    done = shop.ready()("check", "--json", SSL_CERT_FILE="/none.pem", REHOOK_SYNC_API_URL="https://rehook.test")
    assert done.code == 2
    assert "SSL_CERT_FILE" in done.json["rehook"]["error"]["message"]
