"""The examples for cron, systemd, CI, Kubernetes and Nagios: well formed, and each command line is valid."""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.harness.cli_lines import parsed

FOLDER = Path(__file__).parents[2] / "examples" / "operations"
FILES = sorted(path for path in FOLDER.iterdir() if path.suffix not in {".md", ".timer"})
YAML = [path for path in FILES if path.suffix in {".yml", ".yaml"}]


def command_lines(path: Path) -> list[list[str]]:
    """The words of every call of langcache in a file, without what the shell does with its output."""
    found = []
    for line in path.read_text("utf-8").splitlines():
        if line.lstrip().startswith("#") or "pip install" in line:
            continue
        if listed := re.search(r'\["langcache", .*\]', line):
            found.append(yaml.safe_load(listed[0]))
        elif plain := re.search(r"(?:^|[\s/(])(langcache (?:-|\w).*)$", line):
            found.append(shlex.split(re.split(r"\s2?>", plain[1])[0]))
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_command_takes_every_line(path):
    lines = command_lines(path)
    assert lines
    for words in lines:
        assert parsed(words)


def test_yaml_is_what_it_is_for():
    documents = {path.name: [*yaml.safe_load_all(path.read_text("utf-8"))] for path in YAML}
    kinds = [document["kind"] for document in documents["kubernetes.yaml"]]
    assert kinds == ["Job", "Deployment"]
    (workflow,) = documents["github-actions.yml"]
    assert [step for step in workflow["jobs"]["smoke"]["steps"] if "run" in step]
    (pipeline,) = documents["gitlab-ci.yml"]
    report = pipeline["cache-smoke"]["artifacts"]["reports"]["junit"]
    assert any(line.endswith(f"> {report}") for line in pipeline["cache-smoke"]["script"])


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze on PATH")
def test_systemd_takes_the_units(tmp_path):
    for name in ("langcache-warm.service", "langcache-warm.timer"):
        unit = (FOLDER / name).read_text("utf-8")
        (tmp_path / name).write_text(unit.replace("/opt/langcache/bin/langcache", "/bin/true"), "utf-8")
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, tmp_path.iterdir())],
        capture_output=True,
        text=True,
        check=False,
    )
    said = [line for line in checked.stderr.splitlines() if str(tmp_path) in line]
    assert (checked.returncode, said) == (0, [])


def test_cron_has_five_times_and_a_command_on_each_line():
    lines = [line for line in (FOLDER / "crontab").read_text("utf-8").splitlines() if "langcache -q" in line]
    assert len(lines) == 3
    for line in lines:
        assert re.match(r"^(\S+ ){4}\S+ {2,}(said=\$\()?langcache ", line)
        assert "%" not in line  # cron takes it for a line end


@pytest.mark.parametrize("code", [0, 69, 75, 78])
def test_cron_mails_what_prometheus_does_not_see(tmp_path, code):
    (line,) = [line for line in (FOLDER / "crontab").read_text("utf-8").splitlines() if "--textfile" in line]
    langcache = tmp_path / "langcache"
    langcache.write_text(f"#!/bin/sh\necho wrong >&2\nexit {code}\n", "utf-8")
    langcache.chmod(0o755)
    ended = subprocess.run(
        ["/bin/sh", "-c", line.split(maxsplit=5)[5]],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ended.stdout, ended.stderr) == ("wrong\n" if code == 78 else "", "")


@pytest.mark.parametrize(("code", "expected"), [(0, 0), (1, 1), (69, 0), (75, 0), (77, 77), (78, 78)])
def test_an_outage_of_redis_does_not_keep_a_pod_from_starting(tmp_path, code, expected):
    _, deployment = yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text("utf-8"))
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    command = container["startupProbe"]["exec"]["command"]
    langcache = tmp_path / "langcache"
    langcache.write_text(f"#!/bin/sh\nexit {code}\n", "utf-8")
    langcache.chmod(0o755)
    path, begun = f"{tmp_path}:{os.environ['PATH']}", tmp_path / "probed"
    command = [word.replace("/dev/shm/cold-since", str(begun)) for word in command]
    assert subprocess.run(command, env={"PATH": path}, check=False).returncode == expected
    begun.write_text(f"{int(begun.read_text()) - 120}")
    later = 0 if code == 1 else expected
    assert subprocess.run(command, env={"PATH": path}, check=False).returncode == later
