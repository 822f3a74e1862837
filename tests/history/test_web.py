"""The guarantees as users of an application see them: through HTTP, whichever of its workers answers."""

import asyncio
import random
from collections import Counter

import httpx

from tests.harness.polling import aeventually
from tests.harness.web import uvicorn
from tests.history.journal import History, now
from tests.history.run import create_counters, newest_versions
from tests.history.subjects import ITEMS
from tests.history.verdict import violations

WORKERS = 2
READERS, WRITERS = 10, 2
NAMES = ("vocabulary", "translation", "progress", "video", "subtitles")  # the last is a cached route
ENOUGH_ANSWERS, ENOUGH_CHANGES = 300, 40
WITHIN_SECONDS = 60.0
NOT_MODIFIED = 304


class Browser:
    """Reads and changes through HTTP, and writes down what it sees."""

    def __init__(self, url: str, history: History) -> None:
        self.url = url
        self.history = history
        self.answers: Counter[int] = Counter()
        self._ended = False

    def end(self) -> None:
        """Send no more requests; `run` returns when those under way are answered."""
        self._ended = True

    async def has_seen_enough(self, browsing: asyncio.Task[None]) -> None:
        """Wait until there are that many more answers and changes, and each worker has answered."""
        answers, changes = len(self.history), self.history.ways["HTTP"]

        def enough() -> bool:
            if browsing.done():
                browsing.result()
            return (
                len(self.history) - answers >= ENOUGH_ANSWERS
                and self.history.ways["HTTP"] - changes >= ENOUGH_CHANGES
                and len(self.workers()) == WORKERS
            )

        await aeventually(enough, within=WITHIN_SECONDS)

    def workers(self) -> set[int]:
        """The workers that have answered."""
        return {read.process for reads in self.history.reads.values() for read in reads}

    async def run(self) -> None:
        limits = httpx.Limits(max_keepalive_connections=0)  # a new connection finds another worker
        async with httpx.AsyncClient(base_url=self.url, timeout=20, limits=limits) as client:
            readers = [self._go_on(client, "GET") for _ in range(READERS)]
            writers = [self._go_on(client, "POST") for _ in range(WRITERS)]
            await asyncio.gather(*readers, *writers)

    async def _go_on(self, client: httpx.AsyncClient, method: str) -> None:
        kept: dict[str, httpx.Response] = {}
        while not self._ended:
            name, item = random.choice(NAMES), random.randrange(ITEMS)
            path, began = f"/{name}/{item}", now()
            known = {"if-none-match": kept[path].headers["etag"]} if path in kept else {}
            answer = await client.request(method, path, headers=known)
            self.answers[answer.status_code] += 1
            body = (kept[path] if answer.status_code == NOT_MODIFIED else answer).json()
            if method == "GET":
                if "etag" in answer.headers and answer.status_code != NOT_MODIFIED:
                    kept[path] = answer
                assert (body["name"], body["item"]) == (name, item)
                version, worker = str(body["version"]), int(answer.headers["x-worker"])
                self.history.add(worker, "read", name, str(item), version, str(began), str(now()))
            elif body["acknowledged"]:
                self.history.add(0, "acknowledged", name, str(item), str(body["version"]), str(now()), "HTTP")


async def test_no_answer_is_stale(own_redis, postgres_server, postgres_url):
    redis = own_redis(appendonly=True)
    database = postgres_url.rpartition("/")[2]
    create_counters(postgres_server, database)
    history = History()
    env = {"REDIS_URL": redis.url, "DATABASE_URL": postgres_url}
    with uvicorn("tests.history.web_app:app", workers=WORKERS, env=env) as url:
        browser = Browser(url, history)
        browsing = asyncio.create_task(browser.run())
        await browser.has_seen_enough(browsing)
        assert list(violations(history, newest_versions(postgres_server, database))) == []
        redis.kill()
        await asyncio.wait([browsing], timeout=1.0)
        redis.start()
        await browser.has_seen_enough(browsing)
        browser.end()
        await browsing
    assert set(browser.answers) == {200, NOT_MODIFIED}
    found = violations(history, newest_versions(postgres_server, database))
    # across an outage a worker may see values go backwards
    assert [violation for violation in found if violation.rule != "backwards"] == []
