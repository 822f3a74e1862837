"""What the tests of the dashboard share: a cache with numbers, hostile keys, and a client with the token."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx

from langcache_cli.caching import Cache
from langcache_cli.web.app import dashboard_app
from tests.harness.redis_server import RedisServer

TOKEN, PORT = "the-token", 8765
BEARER = {"Authorization": f"Bearer {TOKEN}"}
FROM_PAGE = {"X-Langcache": "1", "Content-Type": "application/json"}

ATTACK = "<img src=x onerror=document.title='run'>"
HOSTILE_KEYS = (
    f"cache:translation:translate_text:{ATTACK}:de".encode(),
    b"cache:translation:translate_text:\"'><script>document.title='run'</script>:de",
    "cache:translation:translate_text:\u202eabc\u2066:de".encode(),
    b"cache:vocabulary:get_word:" + b"x" * 10_000,
    b"cache:vocabulary:get_word:nul\x00byte",
    b"cache:vocabulary:get_word:\xff\xfe invalid",
    b"cache:vocabulary:get_word:*[a]?\\%41+&#",
)
FOREIGN = b"others:key"


def fill(server: RedisServer, value: str = f'"{ATTACK}"') -> None:
    """Store entries under hostile keys, beside a key of another application."""
    head = b"lc1 entry id=8d6eb6c50cbab1c5 leased=0000000000000 created=1795420171538 fresh=1795506571538 "
    entry = head + b"load_us=150337 schema=b3e60412\n" + value.encode()
    for key in HOSTILE_KEYS:
        server.command("SET", key, entry, "EX", 3600)
    server.command("SET", FOREIGN, b"not ours")


def held(server: RedisServer) -> set[bytes]:
    """All keys but those of the statistics."""
    found: Any = server.command("KEYS", "*")
    return {key for key in found if not key.startswith(b"cache@")}


@asynccontextmanager
async def dashboard(cache: Cache, *, token: str = TOKEN, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application of the command; it has the token."""
    app = dashboard_app(cache, token=token, port=PORT, **options)
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
    url = f"http://127.0.0.1:{PORT}"
    async with httpx.AsyncClient(transport=transport, base_url=url, headers=BEARER) as client:
        yield client


async def use(cache: Cache) -> None:
    """Three hits, two misses, one load that fails."""

    @cache.cached(key_prefix="vocabulary")
    async def get_word(word_id: int) -> str:
        if word_id < 0:
            raise LookupError(word_id)
        return f"word {word_id}"

    for word in (1, 1, 1, 2, 2):
        await get_word(word)
    with suppress(LookupError):
        await get_word(-1)
