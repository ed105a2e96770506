"""What a process meets around it: outputs that take nothing, a terminal that goes, certificates that are not there."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from accounting import Audit

from .conftest import Program, Shop, wait_until, write_settings


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


@pytest.mark.parametrize(
    ("proxy", "said"),
    [
        ("socks5://127.0.0.1:1080", "must begin with http:// or https:// and name a host: no other proxy can be used"),
        ("http://me:secretpassword@[oops", "is no address of a proxy, for example http://proxy.example.com:3128"),
    ],
)
def test_a_proxy_that_cannot_be_used_stops_a_run_before_it_begins(shop: Shop, proxy: str, said: str) -> None:
    done = shop.ready()("run", "--since", "beginning", HTTPS_PROXY=proxy, REHOOK_SYNC_API_URL="https://rehook.test")
    assert (done.code, done.err) == (2, f"error: HTTPS_PROXY {said}\n")
    assert not shop.report().runs


def with_files(shop: Shop, limits: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process that may open so many files."""
    line = f"{limits} && exec {sys.executable} -m rehook_sync {' '.join(arguments)}"
    program = shop.program
    return subprocess.run(
        ["/bin/sh", "-c", line], check=False, cwd=program.folder, env=program.clean_environ({}), capture_output=True, text=True
    )


@pytest.mark.parametrize("command", ["run --since beginning", "status", "check"])
def test_a_process_that_may_open_too_few_files_says_so_at_once(shop: Shop, command: str) -> None:
    done = with_files(shop.ready(), "ulimit -n 12", command)
    said = "error: too many open files: this process may open 12, and needs up to 48; raise the limit (`ulimit -n 48`)\n"
    assert (done.returncode, done.stderr) == (2, said)
    assert not shop.report().runs


def test_a_run_that_may_open_too_few_files_for_its_requests_is_not_begun(shop: Shop) -> None:
    done = with_files(shop.ready(), "ulimit -n 100", "run", "--since", "beginning")
    assert done.returncode == 2
    assert done.stderr == (
        "error: too many open files: this process may open 100, and needs up to 112; "
        "raise the limit (`ulimit -n 112`), or set CONCURRENCY to less than 64\n"
    )
    assert not shop.report().runs


def test_a_limit_of_files_that_may_be_raised_is_raised(shop: Shop) -> None:
    done = with_files(shop.ready(), "ulimit -S -n 40", "run", "--since", "beginning")
    assert done.returncode == 0
    assert sum(shop.counts().values()) == shop.calls


def test_check_names_certificates_that_cannot_be_read(shop: Shop) -> None:
    done = shop.ready()("check", "--json", SSL_CERT_FILE="/none.pem", REHOOK_SYNC_API_URL="https://rehook.test")
    assert done.code == 2
    assert "SSL_CERT_FILE" in done.json["rehook"]["error"]["message"]


WITHOUT = (
    "import sys; sys.modules.update(dict.fromkeys(sys.argv.pop(1).split(','))); from rehook_sync.__main__ import main; sys.exit(main())"
)
"""The program, where some libraries are not installed."""


def without(program: Program, libraries: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command where libraries, named between commas, are not installed."""
    command = [sys.executable, "-c", WITHOUT, libraries, *words]
    return subprocess.run(command, check=False, cwd=program.folder, env=program.clean_environ({}), capture_output=True, text=True)


@pytest.mark.parametrize(
    ("command", "libraries"),
    [(("report",), "jinja2,markupsafe,pygal"), (("sandbox",), "starlette,uvicorn,click,h11"), (("demo",), "starlette,uvicorn,click,h11")],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_command_whose_extra_is_missing_says_what_to_install(program: Program, command: tuple[str, ...], libraries: str) -> None:
    write_settings(program.folder / "rehook_sync.toml", {"warehouse_url": "sqlite:///shop.db"})
    done = without(program, libraries, *command)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    said = rf"error: `{command[0]}` needs the library \w+, which is not installed: pip install 'rehook-sync\[{command[0]}\]'\n"
    assert re.fullmatch(said, done.stderr), done.stderr


def test_a_run_needs_no_library_of_an_extra(shop: Shop) -> None:
    shop.ready()
    libraries = "jinja2,markupsafe,pygal,starlette,uvicorn,h11,apprise,uvloop,opentelemetry,psycopg,duckdb"
    done = without(shop.program, libraries, "run", "--since", "beginning", "--json")
    assert done.returncode == 0, done.stderr
    assert Audit(shop.url, received=shop.sandbox.store).check().state
