"""Standard streams that are closed, or cannot be written to, as a service manager may leave them."""

import subprocess
import sys

import pytest

from tests.cli.cli_support import fill, keys_of, url_of
from tests.harness.cli import SECONDS, cli_environment


def shell(redirected: str, url: str) -> subprocess.CompletedProcess[str]:
    """Run `langcache ...` with the redirections of a shell."""
    return subprocess.run(
        ["/bin/sh", "-c", f'"{sys.executable}" -m langcache_cli {redirected}'],
        env=cli_environment({"REDIS_URL": url}),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@pytest.mark.parametrize(
    ("redirected", "code"),
    [
        ("stats >&-", 0),
        ("stats 2>&-", 0),
        ("--json stats <&- >&- 2>&-", 0),
        ("check <&- >&- 2>&-", 0),
        ("clear --all <&-", 4),
        ("stats >&- 2>/dev/full", 0),
        ("stats 2>/dev/full", 0),
        ("clear --all 2>/dev/full", 4),
        ("stats --window never 2>/dev/full", 2),
        ("stats --debug --namespace 'a*' 2>/dev/full", 2),
        ("stats >/dev/full", 78),
        ("--json stats >/dev/full", 78),
        ("version >/dev/full", 78),
        ("--help >/dev/full", 78),
        ("stats --help >/dev/full 2>&1", 78),
    ],
)
def test_a_stream_that_is_closed_or_full_changes_no_exit_code_but_that_of_a_lost_result(
    redirected, code, secured_redis
):
    ended = shell(redirected, url_of(secured_redis))
    assert ended.returncode == code, ended
    assert "Traceback" not in ended.stdout + ended.stderr
    assert "NoneType" not in ended.stdout + ended.stderr


def test_a_clear_with_closed_streams_removes_what_it_should(secured_redis):
    fill(secured_redis, "cache:vocabulary:f:%d", 10)
    assert shell("clear --all --yes <&- >&- 2>&-", url_of(secured_redis)).returncode == 0
    assert not keys_of(secured_redis)
