"""What a failure shows: a traceback only when asked for, and never a password."""

import signal
import sys
from urllib.parse import quote

import psutil

from tests.cli.cli_support import MARK, SECRET, complaint, url_of
from tests.harness.cli import finish, start_cli

BROKEN = """
import sys
import langcache_cli.operations.stats as operation

async def broken(*args, **options):
    raise ZeroDivisionError("a bug")

operation.stats = broken
from langcache_cli.cli.main import run
sys.exit(run(sys.argv[1:]))
"""


def test_a_bug_is_70_with_a_traceback_only_when_asked_for(secured_redis):
    command = (sys.executable, "-c", BROKEN)
    env = {"REDIS_URL": url_of(secured_redis)}
    calls = [("stats",), ("stats", "--debug")]
    plain, debug = [finish(start_cli(*args, env=env, command=command)) for args in calls]
    assert plain.code == debug.code == 70
    assert complaint(plain) == "langcache: ZeroDivisionError: a bug"
    assert "--debug" in plain.stderr.splitlines()[-1]
    assert debug.stderr.count("ZeroDivisionError: a bug") == 2
    assert "Traceback (most recent call last)" in debug.stderr
    assert MARK not in debug.stderr


def test_a_traceback_of_a_failed_login_shows_no_password(secured_redis, locked_postgres_url, call):
    wrong = quote(f"{SECRET}-", safe="")
    redis = call("stats", "--debug", env={"REDIS_URL": url_of(secured_redis, password=f"{SECRET}-")})
    database = call(
        "warm",
        "--debug",
        env={"REDIS_URL": url_of(secured_redis), "DATABASE_URL": locked_postgres_url.format(password=wrong)},
    )
    assert redis.code == database.code == 77
    for ended in (redis, database):
        assert "Traceback" in ended.stderr
        assert MARK not in ended.stdout + ended.stderr


def test_the_password_does_not_show_in_the_process_list(own_redis, fault_proxy):
    """Nor in that of what a command starts; its environment is its owner's alone."""
    server = own_redis(password=SECRET)
    proxy = fault_proxy(server.port)
    proxy.swallow()
    url = url_of(server).replace(str(server.port), str(proxy.port))
    process = start_cli("stats", "--timeout=60", env={"REDIS_URL": url})
    proxy.wait_until(lambda p: p.requests.read, within=30)
    shown = " ".join(psutil.Process(process.pid).cmdline())
    process.send_signal(signal.SIGINT)
    assert finish(process).code == 130
    assert MARK not in shown
