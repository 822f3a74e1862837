"""Steps of the store whose request or answer is lost, or held."""

from langcache_cli.caching import CacheUnavailableError
from langcache_cli.caching._protocol.store import Store
from tests.integration.cache_support import Gate


def lose_answers(monkeypatch, store: Store, step: str) -> None:
    """Let Redis carry out a step, and its answer be lost."""
    whole = getattr(store, step)

    async def lost(*arguments, **options):
        await whole(*arguments, **options)
        raise CacheUnavailableError("the answer was lost", target="Redis")

    monkeypatch.setattr(store, step, lost)


def lose_requests(monkeypatch, store: Store, step: str) -> None:
    """Let a step never reach Redis."""

    async def lost(*_, **__):
        raise CacheUnavailableError("the request was lost", target="Redis")

    monkeypatch.setattr(store, step, lost)


def hold(monkeypatch, store: Store, step: str) -> Gate:
    """Let Redis carry out a step, and hold its answer at a gate."""
    whole, gate = getattr(store, step), Gate()

    async def held(*arguments, **options):
        result = await whole(*arguments, **options)
        await gate()
        return result

    monkeypatch.setattr(store, step, held)
    return gate
