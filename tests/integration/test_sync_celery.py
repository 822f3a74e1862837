"""A Celery worker with two prefork processes and a FastAPI process on the same keys."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec

import httpx
import pytest

from langcache_cli.caching._front.sync.blocking import wait_for
from langcache_cli.caching.tooling import Numbers
from tests.harness.web import uvicorn
from tests.integration.cache_support import ROOT, cache_at, python

pytestmark = pytest.mark.skipif(
    find_spec("celery") is None, reason="celery takes longer to install than all these tests to run"
)

WORKER = ("-A", "tests.integration.celery_words", "worker", "--concurrency", "2")
QUIET = ("--pool", "prefork", "--loglevel", "ERROR", "--without-gossip", "--without-mingle")


@pytest.fixture
def environment(own_redis, tmp_path):
    (tmp_path / "runs").touch()
    (tmp_path / "version").write_text("0")
    return {"REDIS_URL": own_redis().url, "SHARED_WORDS": str(tmp_path), "LANGCACHE_OPERATION_TIMEOUT": "10"}


@contextmanager
def celery_worker(environment, log_file) -> Iterator[None]:
    with log_file.open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", *WORKER, *QUIET],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            stderr=log,
            stdout=log,
        )
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)  # ends it in good order
            process.wait(60)


@pytest.fixture
def tasks(environment):
    """`tasks(name, item, times)`: the results of so many tasks at once."""
    with python("-m", "tests.integration.celery_words", **environment) as client:

        def send(name: str, item: int, times: int) -> list:
            client.stdin.write(f"{name} {item} {times}\n")
            client.stdin.flush()
            return json.loads(client.stdout.readline() or client.stderr.read())

        yield send
        client.stdin.close()
        client.wait(30)


def test_one_run_for_all_and_each_sees_the_invalidations_of_the_other(environment, tasks, tmp_path):
    log = tmp_path / "log"
    with (
        celery_worker(environment, log),
        uvicorn("tests.integration.shared_words:app", workers=1, env=environment) as url,
        ThreadPoolExecutor(9) as pool,
    ):
        assert len(set(tasks("process", 0, 8))) == 2

        def answers(name: str, item: int) -> list[list[int]]:
            """From eight tasks and eight requests at once."""
            requests = [pool.submit(httpx.get, f"{url}/{name}/{item}", timeout=60) for _ in range(8)]
            return [*tasks(name, item, 8), *(request.result(60).json() for request in requests)]

        for name in ("find", "read"):
            assert answers(name, 1) == [[1, 0]] * 16
        (tmp_path / "version").write_text("1")
        assert httpx.post(f"{url}/invalidate/1", timeout=60).json() == 1
        for name in ("find", "read"):
            assert answers(name, 1) == [[1, 1]] * 16
        (tmp_path / "version").write_text("2")
        assert tasks("invalidate", 1, 1) == [1]
        for name in ("find", "read"):
            assert answers(name, 1) == [[1, 2]] * 16
        runs = Counter((tmp_path / "runs").read_text().splitlines())
        assert runs == {"find 0": 1, "find 1": 3, "read 1": 3}
    assert "langcache" not in log.read_text()
    assert "Traceback" not in log.read_text()
    assert counted(environment["REDIS_URL"])["loads"] == 7, "an ended process has not delivered its counts"


def counted(url: str) -> Numbers:
    cache = cache_at(url)
    try:
        return wait_for(cache.report).types["vocabulary"]
    finally:
        cache.sync.close()
