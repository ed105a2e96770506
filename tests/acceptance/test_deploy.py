"""The files of docs/deploy: as far as they can be tried without containers, a cluster or systemd."""

import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from rehook_sync.settings import load_settings

from .conftest import Program

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "docs" / "deploy"
INSTRUCTIONS = {"FROM", "WORKDIR", "COPY", "ENV", "RUN", "USER", "ENTRYPOINT", "CMD"}


def read_dockerfile() -> list[tuple[str, str]]:
    """Instruction and arguments of each line; those that go on with a backslash are joined."""
    text = re.sub(r"\\\n\s*", "", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines]


def load(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))


def test_the_image_is_pinned_and_runs_as_nobody() -> None:
    found = read_dockerfile()
    assert {name for name, _ in found} <= INSTRUCTIONS
    assert all(re.fullmatch(r"python:3\.\d+-slim-\w+( AS build)?", text) for name, text in found if name == "FROM")
    last = max(place for place, (name, _) in enumerate(found) if name == "FROM")
    final = dict(found[last:])
    assert final["USER"] == "10001:10001"
    assert final["ENTRYPOINT"] == '["python", "-m", "rehook_sync"]'
    assert not any(word in text for _, text in found for word in ("apt-get", "curl", "sudo", "latest"))
    installs = [text for name, text in found if name == "RUN"]
    assert all("-c constraints.txt" in part for text in installs for part in text.split("&&") if "pip install" in part)


@pytest.mark.timeout(180)
def test_the_files_that_the_image_copies_are_enough_for_a_wheel(tmp_path: Path) -> None:
    sources = tmp_path / "src"
    sources.mkdir()
    for name, text in read_dockerfile():
        if name == "COPY" and not text.startswith("--from"):
            *files, target = text.split()
            for each in files:
                source = ROOT / each
                assert source.exists(), each
                place = sources / target / ("" if source.is_dir() else each)
                if source.is_dir():
                    shutil.copytree(source, place, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(source, place)
    wheel = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path / "wheels"), "."]
    done = subprocess.run(wheel, cwd=sources, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (made,) = (tmp_path / "wheels").glob("*.whl")
    with zipfile.ZipFile(made) as whole:
        names = set(whole.namelist())
        metadata = whole.read(next(name for name in names if name.endswith(".dist-info/METADATA"))).decode()
    assert {"rehook_sync/__main__.py", "rehook_sync/sql/state/runs.sql"} <= names
    wanted = re.search(r"\[([\w,]+)\]\"", dict(reversed(read_dockerfile()))["RUN"])
    assert wanted
    assert set(wanted[1].split(",")) <= set(re.findall(r"^Provides-Extra: (\S+)$", metadata, re.MULTILINE))


def test_settings_and_commands_of_the_trial_exist(program: Program) -> None:
    services = load("compose.yaml")["services"]
    jobs = {name: each for name, each in services.items() if name != "warehouse"}
    for name, each in jobs.items():
        assert program(each["command"][0], "--help").code == 0, name
        assert (DEPLOY / each["build"]["context"] / each["build"]["dockerfile"]).resolve() == DEPLOY / "Dockerfile"
    for name in ("init", "run"):
        settings = load_settings(environ=jobs[name]["environment"])
        assert settings.api_url == "http://127.0.0.1:8790", "plain http goes to loopback alone"
        assert jobs[name]["network_mode"] == "service:sandbox"
    database = services["warehouse"]["environment"]
    user, password, name = (database[f"POSTGRES_{each}"] for each in ("USER", "PASSWORD", "DB"))
    url = load_settings(environ=jobs["run"]["environment"]).warehouse_url.get_secret_value()
    assert url == f"postgresql://{user}:{password}@warehouse:5432/{name}"
    assert all(":" in each["image"] and "latest" not in each["image"] for each in services.values() if "image" in each)


def test_the_cronjob_mounts_what_its_settings_name(tmp_path: Path) -> None:
    job = load("cronjob.yaml")
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "CronJob")
    assert job["spec"].keys() <= {
        *("schedule", "concurrencyPolicy", "startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit", "jobTemplate")
    }
    assert job["spec"]["concurrencyPolicy"] == "Forbid"
    work = job["spec"]["jobTemplate"]["spec"]
    assert work["backoffLimit"] == 0
    pod = work["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is container["securityContext"]["readOnlyRootFilesystem"] is True
    mounted = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    assert mounted.keys() == {each["name"] for each in pod["volumes"]}
    environ = {each["name"]: each["value"] for each in container["env"]}
    for name, value in environ.items():
        if name.endswith("_FILE"):
            assert Path(value).parent == Path(mounted["secrets"])
            (tmp_path / Path(value).name).write_text("postgresql://u:p@h/d" if "URL" in name else "a-secret")
            environ[name] = str(tmp_path / Path(value).name)
    settings = load_settings(environ=environ)
    settings.require_credentials()
    assert settings.sources == {"shop": "shop"}
    assert container["args"] == ["run", "--quiet"]


def test_the_unit_starts_what_the_readme_installs() -> None:
    unit = (DEPLOY / "rehook-sync.service").read_text(encoding="utf-8")
    (command,) = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    (line,) = re.findall(r"^\*/15 \* \* \* \* cd (\S+) && (.*)$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert shlex.split(command) == shlex.split(f"{line[0]}/{line[1]}")


def check(*command: str) -> tuple[int, str]:
    """Run a checker of this environment; returns its exit code and all that it says."""
    done = subprocess.run([str(Path(sys.executable).parent / command[0]), *command[1:]], check=False, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="hadolint comes as a wheel for Linux")
def test_hadolint_finds_nothing_in_the_dockerfile(tmp_path: Path) -> None:
    assert check("hadolint", str(DEPLOY / "Dockerfile")) == (0, "")
    bad = tmp_path / "Dockerfile"
    bad.write_text((DEPLOY / "Dockerfile").read_text(encoding="utf-8").replace("python:3.13-slim-bookworm AS", "python:latest AS"))
    code, said = check("hadolint", str(bad))
    assert (code, "DL3007" in said) == (1, True)


def test_the_cronjob_is_what_kubernetes_takes(tmp_path: Path) -> None:
    code, said = check("kubernetes-validate", "--strict", str(DEPLOY / "cronjob.yaml"))
    assert (code, "passed for resource cronjob" in said) == (0, True), said
    bad = tmp_path / "cronjob.yaml"
    bad.write_text((DEPLOY / "cronjob.yaml").read_text(encoding="utf-8").replace("backoffLimit", "backOffLimit"))
    code, said = check("kubernetes-validate", "--strict", str(bad))
    assert (code != 0, "backOffLimit" in said) == (True, True)


def test_the_compose_file_is_what_compose_takes(tmp_path: Path) -> None:
    compose = ("check-jsonschema", "--builtin-schema", "vendor.compose-spec")
    assert check(*compose, str(DEPLOY / "compose.yaml"))[0] == 0
    bad = tmp_path / "compose.yaml"
    bad.write_text((DEPLOY / "compose.yaml").read_text(encoding="utf-8").replace("network_mode:", "networkmode:"))
    code, said = check(*compose, str(bad))
    assert (code, "networkmode" in said) == (1, True)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    for name in ("rehook-sync.service", "rehook-sync.timer"):
        text = (DEPLOY / name).read_text(encoding="utf-8")
        text = text.replace("/srv/rehook-sync/.venv/bin/python", "/bin/true").replace("User=rehook-sync", "User=root")
        (tmp_path / name).write_text(text, encoding="utf-8")
    files = [str(tmp_path / name) for name in ("rehook-sync.service", "rehook-sync.timer")]
    done = subprocess.run(["systemd-analyze", "verify", *files], check=False, capture_output=True, text=True)
    ours = [line for line in done.stderr.splitlines() if "rehook-sync" in line]
    assert (done.returncode, ours) == (0, [])
