"""Files that are whole whenever they are read, whatever happens to their writer."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from langcache_cli.cli.failures import CommandError
from langcache_cli.cli.formats.atomic_file import AtomicFile
from langcache_cli.cli.report_file import ReportFile

ROOT = Path(__file__).parents[2]
KILLED_IN_MID_WRITE = """
import os, sys
from pathlib import Path
from langcache_cli.cli.formats.atomic_file import AtomicFile
os.fsync = lambda number: os.kill(os.getpid(), 9)
AtomicFile("--textfile", Path(sys.argv[1])).write("new\\n" * 100_000)
"""


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_a_new_file_can_be_read_by_all_and_an_old_one_keeps_its_mode(tmp_path):
    path = tmp_path / "langcache.prom"
    AtomicFile("--textfile", path).write("one\n")
    assert (path.read_text(), mode_of(path)) == ("one\n", 0o644)
    path.chmod(0o640)
    AtomicFile("--textfile", path).write("two ü\n")
    assert (path.read_text("utf-8"), mode_of(path)) == ("two ü\n", 0o640)
    assert names_in(tmp_path) == ["langcache.prom"]


def test_a_kill_in_mid_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "langcache.prom"
    path.write_text("old\n")
    done = subprocess.run([sys.executable, "-c", KILLED_IN_MID_WRITE, path], cwd=ROOT, check=False)
    assert done.returncode == -9
    assert path.read_text() == "old\n"
    assert [name for name in names_in(tmp_path) if name.endswith(".prom")] == ["langcache.prom"]


def test_a_symbolic_link_stays_one(tmp_path):
    (tmp_path / "real").mkdir()
    link = tmp_path / "link.prom"
    link.symlink_to(tmp_path / "real" / "file.prom")
    AtomicFile("--textfile", link).write("text\n")
    assert link.is_symlink()
    assert (tmp_path / "real" / "file.prom").read_text() == "text\n"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing/file", "No such file or directory"),
        ("", "this is no regular file"),
        ("fifo", "this is no regular"),
    ],
)
def test_a_file_that_cannot_be_written_is_named(name, reason, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(CommandError, match=reason) as caught:
        AtomicFile("--textfile", tmp_path / name).write("text\n")
    assert caught.value.failure.code == 78
    assert "--textfile" in caught.value.failure.message
    assert names_in(tmp_path) == ["fifo"]


def test_a_device_is_never_replaced():
    with pytest.raises(CommandError, match="no regular file"):
        AtomicFile("--state", Path(os.devnull)).write("text\n")
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


def test_a_report_goes_to_a_device_too_and_leaves_no_other_file(tmp_path):
    ReportFile("--out", Path(os.devnull)).write("{}")
    report = ReportFile("--out", tmp_path / "x.json")
    report.require_place()
    for text in ("first", "second"):
        report.write(text)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("x.json", "second")]
