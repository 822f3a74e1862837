"""A cached function passes for the function that it wraps."""

import asyncio
import inspect
import sys
from typing import Annotated, Any
from unittest import mock

import httpx
import pytest
from fastapi import Depends, FastAPI

from langcache_cli.caching import cached_many
from langcache_cli.caching.testing import memory_cache

cache = memory_cache()


@cache.cached(key_prefix="vocabulary")
async def get_word(word_id: int) -> int:
    """Doc of the function."""
    return word_id


@cached_many(get_word, each="ids")
async def get_words(ids: list[int]) -> list[int]:
    return ids


class Service:
    @cache.cached(key_prefix="service")
    async def user(self, i: int) -> int:
        """Doc of the method."""
        return i

    @cached_many(user, each="ids")
    async def users(self, ids: list[int]) -> list[int]:
        return ids


@pytest.mark.parametrize(
    "function", [get_word, get_words, Service.user, Service().user, Service.users, Service().users], ids=repr
)
def test_it_is_a_coroutine_function(function: Any) -> None:
    assert inspect.iscoroutinefunction(function)
    if sys.version_info < (3, 14):
        assert asyncio.iscoroutinefunction(function)


@pytest.mark.parametrize("name", ["get_word", "get_words"])
@pytest.mark.parametrize("autospec", [None, True])
async def test_a_patched_function_can_be_awaited(name: str, autospec: Any) -> None:
    with mock.patch.object(sys.modules[__name__], name, autospec=autospec) as double:
        double.return_value = 5
        assert await globals()[name](1) == 5


@pytest.mark.parametrize("name", ["user", "users"])
async def test_a_patched_method_can_be_awaited(name: str) -> None:
    with mock.patch.object(Service, name):
        await getattr(Service(), name)(1)


def test_a_bound_method_has_the_signature_name_and_doc_of_its_function() -> None:
    service = Service()
    assert str(inspect.signature(service.user)) == "(i: int) -> int"
    assert str(inspect.signature(service.users)) == "(ids: list[int]) -> list[int]"
    assert service.user.__name__ == "user"
    assert service.user.__qualname__ == "Service.user"
    assert service.user.__module__ == __name__
    assert service.user.__doc__ == "Doc of the method."
    assert service.user.__self__ is service
    assert service.user.__func__ is Service.user
    assert inspect.ismethod(service.user.__wrapped__)


def test_two_accesses_to_a_method_of_one_instance_are_equal() -> None:
    service = Service()
    for name in ("user", "users"):
        one, two = getattr(service, name), getattr(service, name)
        assert one == two
        assert hash(one) == hash(two)
        assert one != getattr(Service(), name)
        assert one != getattr(Service, name)
        assert getattr(Service, name) == getattr(Service, name) != one
    assert service.user != service.users


async def test_a_method_is_a_dependency_and_an_endpoint_of_fastapi() -> None:
    app, service = FastAPI(), Service()

    @app.get("/dependency/{i}")
    async def endpoint(found: Annotated[int, Depends(service.user)]) -> int:
        return found

    app.get("/endpoint/{i}")(service.user)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://t") as client:
        assert (await client.get("/dependency/7")).json() == 7
        assert (await client.get("/endpoint/8")).json() == 8


async def test_an_argument_may_be_called_self() -> None:
    @cache.cached(key_prefix="keywords")
    async def find(a: int, **where: int) -> int:
        return a + where["self"]

    assert await find(1, self=2) == 3
    assert await find.refresh(1, self=2) == 3
    assert find.key_for(1, self=2) != find.key_for(1, self=3)
    assert find.address(a=1, self=2).key == find.key_for(1, self=2)
    assert await find.invalidate(1, self=2)


async def test_a_batch_may_have_an_argument_called_self() -> None:
    @cache.cached(key_prefix="keywords")
    async def power(number: int, self: int) -> int:
        return number**self

    @cached_many(power, each="numbers")
    async def powers(numbers: list[int], *, self: int) -> list[int]:
        return [number**self for number in numbers]

    assert await powers([2, 3], self=2) == [4, 9]
    assert await powers.invalidate(numbers=[2], self=2) == 1
