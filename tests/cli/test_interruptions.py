"""Ctrl-C, and a database that dies or hangs in the middle of a warm: a clear end, and nothing left behind."""

import re
import signal
import subprocess
import sys

import pytest

from tests.cli.cli_support import complaint, fill, keys_of, no_noise, url_of
from tests.harness.cli import finish, start_cli
from tests.harness.polling import eventually
from tests.harness.proxy import FaultProxy
from tests.harness.redis_server import RedisServer


@pytest.fixture
def warming(own_redis, fault_proxy, postgres_words):
    """`warming(*options)` starts a warm, and returns when it has leases and its load is under way.

    With it the Redis server, and the proxy in front of the database.
    """

    def start(*options: str) -> tuple[subprocess.Popen[str], RedisServer, FaultProxy]:
        server = own_redis()
        port = postgres_words.rpartition(":")[2].partition("/")[0]
        proxy = fault_proxy(int(port))
        proxy.delay(0.1)
        url = postgres_words.replace(f":{port}/", f":{proxy.port}/")
        process = start_cli("warm", *options, env={"REDIS_URL": server.url, "DATABASE_URL": url})
        eventually(lambda: leases_in(server), within=30)
        return process, server, proxy

    return start


def leases_in(server: RedisServer) -> set[str]:
    """The keys of loads under way: a header without a value."""
    return {key for key in keys_of(server) if b"\n" not in (server.command("GET", key) or b"\n")}


def test_ctrl_c_ends_a_warm_with_130_and_its_leases_are_soon_gone(warming):
    process, server, proxy = warming("--missing-only")
    proxy.delay(1.0)
    process.send_signal(signal.SIGINT)
    ended = finish(process)
    assert ended.code == 130
    assert complaint(ended) == "langcache: interrupted"
    eventually(lambda: not leases_in(server), within=10)


def test_ctrl_c_ends_a_warm_even_if_the_database_hangs(warming):
    process, _, proxy = warming("--json")
    proxy.swallow()
    process.send_signal(signal.SIGINT)
    ended = finish(process)
    assert ended.code == 130
    assert ended.document["exit_code"] == 130
    no_noise(ended)


def test_a_database_that_dies_during_a_warm_is_69_and_its_leases_are_soon_gone(warming):
    process, server, proxy = warming("--missing-only")
    proxy.refuse()
    proxy.cut()
    ended = finish(process)
    assert ended.code == 69
    assert "the database cannot be reached" in complaint(ended)
    eventually(lambda: not leases_in(server), within=10)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_clear_that_is_interrupted_says_how_many_keys_it_has_removed(number, secured_redis):
    fill(secured_redis, "cache:vocabulary:f:%d", 20_000)
    env = {"REDIS_URL": url_of(secured_redis)}
    process = start_cli("clear", "--all", "--yes", "--rate", "2000", env=env)
    eventually(lambda: len(keys_of(secured_redis)) < 19_000, within=30)
    process.send_signal(number)
    ended = finish(process)
    removed = 20_000 - len(keys_of(secured_redis))
    assert ended.code == 130
    said = re.fullmatch(r"langcache: interrupted; at least ([\d,]+) keys had been removed", complaint(ended))
    assert said is not None, ended
    assert 0 <= removed - int(said[1].replace(",", "")) <= 1000  # those of the command that was under way


def test_a_clear_that_loses_redis_says_how_many_keys_it_has_removed(own_redis):
    server = own_redis()
    fill(server, "cache:vocabulary:f:%d", 20_000)
    process = start_cli("clear", "--all", "--yes", "--rate", "2000", env={"REDIS_URL": server.url})
    eventually(lambda: len(keys_of(server)) < 19_000, within=30)
    server.kill()
    ended = finish(process)
    assert ended.code == 69
    assert re.search(r"^at least [1-9][0-9,]+ keys had been removed before:$", ended.stderr, re.MULTILINE), (
        ended
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_bench_leaves_no_keys(number, secured_redis, three_words):
    env = {"REDIS_URL": url_of(secured_redis), "DATABASE_URL": three_words}
    process = start_cli("bench", "--path", "miss", "--duration", "30", "--concurrency", "8", env=env)
    eventually(lambda: len(keys_of(secured_redis)) > 50, within=30)
    process.send_signal(number)
    ended = finish(process)
    assert ended.code == 130
    assert complaint(ended) == "langcache: interrupted"
    assert not keys_of(secured_redis)


INTERRUPTED = """
import builtins, runpy, sys
plain_import = builtins.__import__

def interrupted_import(name, *args, **options):
    if name == "typer":
        raise KeyboardInterrupt
    return plain_import(name, *args, **options)

builtins.__import__ = interrupted_import
runpy.run_module("langcache_cli", run_name="__main__")
"""


def test_ctrl_c_during_the_start_is_130_too():
    ended = finish(start_cli("stats", command=(sys.executable, "-c", INTERRUPTED)))
    assert (ended.code, ended.stdout, ended.stderr) == (130, "", "langcache: interrupted\n")
