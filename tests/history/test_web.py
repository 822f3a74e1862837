"""The guarantees as users of an application see them: through HTTP, whichever of its workers answers."""

import asyncio
import random
import time
from collections import Counter

import httpx
import pytest

from tests.harness.web import uvicorn
from tests.history.journal import History, now
from tests.history.run import create_counters, newest_versions
from tests.history.subjects import ITEMS
from tests.history.verdict import violations

SECONDS = 5.0
WORKERS = 2
READERS, WRITERS = 10, 2
NAMES = ("vocabulary", "translation", "progress", "video")


class Browser:
    """Reads and changes through HTTP, and writes down what it sees."""

    def __init__(self, url: str, history: History) -> None:
        self.url = url
        self.history = history
        self.ends = time.monotonic() + SECONDS
        self.answers: Counter[int] = Counter()

    async def run(self) -> None:
        limits = httpx.Limits(max_keepalive_connections=0)  # a new connection finds another worker
        async with httpx.AsyncClient(base_url=self.url, timeout=20, limits=limits) as client:
            readers = [self._go_on(client, "GET") for _ in range(READERS)]
            writers = [self._go_on(client, "POST") for _ in range(WRITERS)]
            await asyncio.gather(*readers, *writers)

    async def _go_on(self, client: httpx.AsyncClient, method: str) -> None:
        while time.monotonic() < self.ends:
            name, item = random.choice(NAMES), random.randrange(ITEMS)
            began = now()
            answer = await client.request(method, f"/{name}/{item}")
            self.answers[answer.status_code] += 1
            body = answer.json()
            if method == "GET":
                assert (body["name"], body["item"]) == (name, item)
                version, worker = str(body["version"]), body["worker"]
                self.history.add(worker, "read", name, str(item), version, str(began), str(now()))
            elif body["acknowledged"]:
                self.history.add(0, "acknowledged", name, str(item), str(body["version"]), str(now()), "HTTP")


@pytest.mark.parametrize("fault", ["none", "Redis is killed and started again"])
async def test_no_answer_is_stale(own_redis, postgres_server, postgres_url, fault):
    redis = own_redis(appendonly=True)
    database = postgres_url.rpartition("/")[2]
    create_counters(postgres_server, database)
    history = History()
    env = {"REDIS_URL": redis.url, "DATABASE_URL": postgres_url}
    with uvicorn("tests.history.web_app:app", workers=WORKERS, env=env) as url:
        browser = Browser(url, history)
        browsing = asyncio.create_task(browser.run())
        if fault != "none":
            await asyncio.wait([browsing], timeout=SECONDS / 3)
            redis.kill()
            await asyncio.wait([browsing], timeout=SECONDS / 5)
            redis.start()
        await browsing
    assert set(browser.answers) == {200}
    found = list(violations(history, newest_versions(postgres_server, database)))
    if fault != "none":  # across an outage a worker may see values go backwards
        found = [violation for violation in found if violation.rule != "backwards"]
    assert found == []
    assert len({read.process for reads in history.reads.values() for read in reads}) == WORKERS
    assert len(history) > 100
    assert history.ways["HTTP"] > 20
