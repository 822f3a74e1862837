"""The example backend, served by real uvicorn workers over PostgreSQL and Redis."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.harness.cli import run_cli
from tests.harness.polling import eventually
from tests.harness.web import uvicorn

WORKERS = 2
ADMIN = {"Authorization": "Bearer a-secret"}
CERTIFICATES = httpx.create_ssl_context()
"""Not used over HTTP, and slow to make: each request would make its own."""
ALL_WORKERS = 24
"""As many requests, each over a connection of its own, reach every worker all but surely."""


class Backend:
    """The running application."""

    def __init__(self, url: str) -> None:
        self.url = url

    def request(self, method: str, path: str, **options) -> httpx.Response:
        """Over a new connection, which any worker may take."""
        return httpx.request(method, self.url + path, timeout=20, verify=CERTIFICATES, **options)

    def get(self, path: str, **options):
        answer = self.request("GET", path, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def from_all_workers(self, path: str) -> list:
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(lambda _: self.get(path), range(ALL_WORKERS)))

    def types(self) -> dict:
        """The numbers of all workers, when they have been delivered."""
        return self.get("/health/cache")["stats"]["types"]


@pytest.fixture
def environment(tmp_path, redis_url, postgres_url) -> dict[str, str]:
    return {
        "REDIS_URL": redis_url,
        "DATABASE_URL": postgres_url,
        "BACKEND_FOLDER": str(tmp_path / "data"),
        "BACKEND_ADMIN_TOKEN": "a-secret",
        "BACKEND_TRANSLATION_DELAY": "0.05",
        "LANGCACHE_STATS_FLUSH_SECONDS": "0.1",
        "LANGCACHE_OPERATION_TIMEOUT": "5",
    }


@pytest.fixture
def backend(environment) -> Iterator[Backend]:
    with uvicorn("examples.backend.app:app", workers=WORKERS, env=environment) as url:
        yield Backend(url)


def test_words_translations_and_progress(backend):
    # vocabulary: the same request twice is the same answer, and the second a hit
    word = backend.get("/vocabulary/7")
    assert backend.get("/vocabulary/7") == word
    level = backend.get("/vocabulary/level/A1?limit=50")
    assert backend.get("/vocabulary/level/A1?limit=50") == level
    assert len(level) == 50
    assert word in backend.get("/vocabulary/search?q=" + word["lemma"])
    assert backend.request("GET", "/vocabulary/999999").status_code == 404
    eventually(lambda: backend.types()["vocabulary"]["hits"] >= 2, within=10)

    # an edit by an administrator is seen by the next request of every worker
    before = backend.from_all_workers("/vocabulary/7")
    assert before == [word] * ALL_WORKERS
    change = {"params": {"translation_en": "seventh heaven"}}
    assert backend.request("PUT", "/vocabulary/7", **change).status_code == 401
    wrong = {"Authorization": "Bearer wrong"}
    assert backend.request("PUT", "/vocabulary/7", headers=wrong, **change).status_code == 403
    edited = backend.request("PUT", "/vocabulary/7", headers=ADMIN, **change).json()
    assert edited == {**word, "translation_en": "seventh heaven"}
    assert backend.from_all_workers("/vocabulary/7") == [edited] * ALL_WORKERS
    assert all(edited in found for found in backend.from_all_workers("/vocabulary/level/A1?limit=50"))

    # translation, one text and many
    assert backend.get("/translate?text=und") == "and"
    assert backend.get("/translate?text=und") == "and"
    texts = ["und", "der", "und", "Xyz"]
    answer = backend.request("POST", "/translate/batch", json={"texts": texts})
    assert answer.json() == ["and", "the", "and", "Xyz"]
    eventually(lambda: backend.types()["translation"]["hits"] >= 2, within=10)

    # what one user does changes that user's numbers at once, and nobody else's cache
    for user in (4, 42):
        assert backend.get(f"/users/{user}/stats")["known"] == 0
    assert backend.request("POST", "/users/4/known/7").json()["known"] == 1
    assert backend.request("POST", "/users/4/known/7").json()["known"] == 1
    assert [stats["known"] for stats in backend.from_all_workers("/users/4/stats")] == [1] * ALL_WORKERS

    assert [stats["known"] for stats in backend.from_all_workers("/users/42/stats")] == [0] * ALL_WORKERS

    def of_users() -> dict:
        return backend.types()["progress"]

    eventually(lambda: of_users()["hits"] >= 2 * ALL_WORKERS, within=10)
    loads = 2 + 2  # of both users, and of user 4 after each change
    assert (of_users()["hits"], of_users()["loads"]) == (2 * ALL_WORKERS, loads)


def test_words_as_they_are_spelt_and_pages_with_what_a_user_knows(backend):
    word = backend.get("/vocabulary/7")
    spelt = f"/vocabulary/word-info/{word['word']}"
    assert backend.from_all_workers(spelt) == [word] * ALL_WORKERS
    assert backend.request("GET", spelt, params={"language": "es"}).status_code == 404
    edited = {**word, "translation_en": "seventh heaven"}
    backend.request("PUT", "/vocabulary/7", headers=ADMIN, params={"translation_en": "seventh heaven"})
    assert backend.from_all_workers(spelt) == [edited] * ALL_WORKERS

    # the page is loaded once for all users, and what one of them does costs this user's entry only
    page = backend.get("/vocabulary/level/A1?limit=50")

    def known(user: int) -> list[list[int]]:
        pages = backend.from_all_workers(f"/users/{user}/level/A1?limit=50")
        assert all([item["word"] for item in found] == page for found in pages)
        return [[item["word"]["id"] for item in found if item["known"]] for found in pages]

    def loads() -> dict[str, int]:
        return {name: numbers["loads"] for name, numbers in backend.types().items()}

    for user in (4, 42):
        assert known(user) == [[]] * ALL_WORKERS
    eventually(lambda: loads().get("progress") == 2, within=10)
    before = loads()
    backend.request("POST", f"/users/4/known/{page[0]['id']}")
    assert known(4) == [[page[0]["id"]]] * ALL_WORKERS
    assert known(42) == [[]] * ALL_WORKERS
    assert backend.request("DELETE", f"/users/4/known/{page[0]['id']}").json()["known"] == 0
    assert known(4) == [[]] * ALL_WORKERS
    # the statistics that the changes return, and what the user knows: after each change one load of both
    eventually(lambda: loads() == {**before, "progress": before["progress"] + 4}, within=10)


def test_videos_subtitles_and_clearing(backend, redis_server):
    backend.request("PUT", "/vocabulary/7", headers=ADMIN, params={"translation_en": "seventh heaven"})

    # videos
    assert backend.get("/videos/haus") == []
    assert backend.request("PUT", "/videos/haus/one.mp4", content=b"1234", headers=ADMIN).status_code == 200
    listed = backend.from_all_workers("/videos/haus")
    assert [[episode["name"] for episode in episodes] for episodes in listed] == [["one.mp4"]] * ALL_WORKERS
    assert backend.request("DELETE", "/videos/haus/one.mp4", headers=ADMIN).json() == []
    assert backend.from_all_workers("/videos/haus") == [[]] * ALL_WORKERS

    # subtitles
    first = backend.get("/subtitles/one")
    assert backend.get("/subtitles/one") == first
    assert "seventh heaven" in first
    (key,) = redis_server.command("KEYS", "cache:subtitles:*")
    assert redis_server.command("STRLEN", key) < len(first) / 1.5  # compressed
    backend.request("PUT", "/vocabulary/7", headers=ADMIN, params={"translation_en": "seven"})
    assert "seventh heaven" not in backend.get("/subtitles/one")

    # clearing
    assert backend.request("POST", "/admin/cache/clear").status_code == 401
    answer = backend.request("POST", "/admin/cache/clear?cache_type=vocabulary", headers=ADMIN)
    assert answer.json()["removed"] >= 2
    assert backend.request("POST", "/admin/cache/clear?cache_type=all", headers=ADMIN).status_code == 200
    assert backend.request("POST", "/admin/cache/clear?cache_type=none", headers=ADMIN).status_code == 422
    assert "langcache_hits_total" in backend.request("GET", "/metrics").text


def test_a_warm_of_the_application_makes_its_next_requests_hits(backend, environment):
    warm = run_cli("warm", "--app", "examples.backend.warming:database", env=environment)
    assert warm.code == 0, warm.stderr
    assert "2,006 entries of 3 functions warmed." in warm.stdout
    word = backend.get("/vocabulary/7")
    assert backend.get(f"/vocabulary/word-info/{word['word']}") == word
    for path in ("/vocabulary/1000", "/vocabulary/level/B2"):
        backend.get(path)
    eventually(lambda: backend.types().get("vocabulary", {}).get("hits") == 4, within=10)
    assert backend.types()["vocabulary"]["misses"] == 0
    stats = run_cli("stats", env=environment)
    assert "100.0 %" in stats.stdout


def test_what_cannot_be_warmed_is_said(environment):
    def complaint(*arguments: str) -> tuple[int, str]:
        answer = run_cli("warm", *arguments, env=environment)
        return answer.code, answer.stderr

    for app, words in (
        ("no.such.module", "there is no module 'no' here"),
        ("examples.backend.warming:nothing", "has no attribute 'nothing'"),
        ("examples.backend.warming:PAGE", "'PAGE' must be an @asynccontextmanager function"),
    ):
        code, text = complaint("--app", app)
        assert code == 78
        assert words in text
    code, text = complaint("--app", "examples.backend.translation")
    assert code == 1
    assert "no function that examples.backend.translation defines has a warmer" in text
    code, text = complaint("--app", "examples.backend.warming:database", "--sample")
    assert code == 2
    dry = run_cli(
        "warm", "--app", "examples.backend.warming:database", "--dry-run", "--json", env=environment
    )
    assert json.loads(dry.stdout)["lines"][0]["read"] == 1000


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("raise RuntimeError('no settings')", "RuntimeError: no settings"),
        ("def lifespan(app): ...", "must be an @asynccontextmanager function without arguments"),
        ("lifespan = (", "SyntaxError"),
    ],
)
def test_what_is_wrong_with_the_application_is_no_bug_of_langcache(environment, tmp_path, source, words):
    (tmp_path / "theirs.py").write_text(source)
    answer = run_cli("warm", "--app", "theirs:lifespan", env=environment, cwd=tmp_path)
    assert answer.code == 78
    assert words in answer.stderr


def test_while_redis_is_killed_and_restarted_no_request_fails_and_then_there_are_hits_again(
    environment, own_redis
):
    redis = own_redis()
    env = {**environment, "REDIS_URL": redis.url, "LANGCACHE_OPERATION_TIMEOUT": "0.25"}
    with uvicorn("examples.backend.app:app", workers=WORKERS, env=env) as url, ThreadPoolExecutor(8) as pool:
        backend = Backend(url)
        words = [f"/vocabulary/{word_id}" for word_id in range(1, 21)]

        def ask_for_all() -> list:
            return list(pool.map(backend.get, words))  # which requires 200

        before = ask_for_all()
        redis.kill()
        for _ in range(5):
            assert ask_for_all() == before
        redis.start()
        for _ in range(5):
            assert ask_for_all() == before

        def all_hits() -> bool:
            """Whether every word is in the cache again, and read from there."""
            keys = len(redis.command("KEYS", "cache:vocabulary:*"))
            hits = backend.types().get("vocabulary", {}).get("hits", 0)
            ask_for_all()
            return keys == len(words) and hits > 0

        assert eventually(all_hits, within=60, every=0.2)
