"""Cached methods: what is part of their keys, and how they are bound."""

import dataclasses
import sys
from typing import Any

import pytest

from langcache_cli.caching import Cache, cached_many
from langcache_cli.caching.testing import memory_cache


@pytest.fixture
def cache() -> Cache:
    return memory_cache()


def repository(cache: Cache) -> Any:
    class Repository:
        table = "none"

        @cache.cached(key_prefix="vocabulary", local_ttl=60)
        async def by_id(self, i: int) -> str:
            return f"{self.table} {i}"

        @cached_many(by_id, each="ids")
        async def by_ids(self, ids: list[int]) -> list[str]:
            return [f"{self.table} {i}" for i in ids]

        @classmethod
        @cache.cached(key_prefix="vocabulary")
        async def create(cls, i: int) -> str:
            return f"{cls.__name__} {i}"

        @cache.cached(key_prefix="vocabulary")
        @classmethod
        async def make(cls, i: int) -> str:
            return f"{cls.__name__} {i}"

        @cache.cached(key_prefix="vocabulary")
        @staticmethod
        async def above(self: str) -> str:  # noqa: PLW0211
            return self

        @staticmethod
        @cache.cached(key_prefix="vocabulary")
        async def below(self: str) -> str:  # noqa: PLW0211
            return self

    return Repository


async def test_subclasses_do_not_share_the_entries_of_their_base_class(cache):
    base = repository(cache)
    users, orders = type("Users", (base,), {"table": "user"}), type("Orders", (base,), {"table": "order"})
    for _ in range(2):
        assert await users().by_id(1) == "user 1"
        assert await orders().by_id(1) == "order 1"
        assert await base().by_id(1) == "none 1"
        assert await base.by_id(users(), 1) == await base.by_id(self=users(), i=1) == "user 1"
        assert await users().by_ids([1, 2]) == ["user 1", "user 2"]
        assert await orders().by_ids([1, 2]) == ["order 1", "order 2"]
        assert await base.by_ids(users(), [1, 2]) == ["user 1", "user 2"]
        for name in ("create", "make"):
            assert await getattr(users, name)(1) == await getattr(users(), name)(1) == "Users 1"
            assert await getattr(orders, name)(1) == "Orders 1"
            assert await getattr(base, name)(1) == "Repository 1"
    assert await users.make.refresh(1) == "Users 1"
    assert await base.by_id.refresh(users(), 1) == "user 1"
    await cache.aclose()


def test_keys_of_the_defining_class_are_those_of_a_function_and_a_subclass_is_named(cache):
    base = repository(cache)
    users = type("Users", (base,), {"__module__": "app"})
    assert base().by_id.key_for(1) == base.by_id.key_for(i=1) == "cache:vocabulary:by_id:1"
    assert base.by_id.key_for(base(), 1) == "cache:vocabulary:by_id:1"
    assert base.make.key_for(1) == "cache:vocabulary:make:1"
    assert base.create.key_for(i=1) == "cache:vocabulary:create:1"
    assert (
        users().by_id.key_for(1)
        == base.by_id.key_for(users(), 1)
        == "cache:vocabulary:by_id:~class(app.Users):1"
    )
    assert users.make.key_for(1) == "cache:vocabulary:make:~class(app.Users):1"


async def test_an_invalidation_through_the_defining_class_reaches_subclasses(cache):
    base = repository(cache)
    users = type("Users", (base,), {"table": "user"})
    await users().by_id(1)
    assert await base.by_id.invalidate(i=1)
    users.table = "changed"
    assert await users().by_id(1) == "changed 1"
    assert await users().by_id.invalidate(1)
    await users().by_ids([1, 2])
    assert await base.by_ids.invalidate(ids=[1, 2]) == 2
    await cache.aclose()


async def test_a_plain_function_keeps_a_first_parameter_called_self_or_cls(cache):
    @cache.cached(key_prefix="school")
    async def pupils(self: str) -> str:
        return self

    @cache.cached(key_prefix="school")
    async def classes(cls: str) -> str:
        return cls

    for function in (pupils, classes):
        assert [await function("7a"), await function("7b")] == ["7a", "7b"]
        assert function.key_for("7a").endswith(":7a")
        assert await function.invalidate("7a")
    await cache.aclose()


async def test_a_static_method_keeps_a_first_parameter_called_self(cache):
    base = repository(cache)
    for function in (base.above, base().above, base.below, base().below):
        assert [await function("7a"), await function("7b")] == ["7a", "7b"]
        assert function.key_for("7a").endswith(":7a")
    await cache.aclose()


async def test_a_function_that_becomes_a_method_later_loses_the_instance(cache):
    @cache.cached(key_prefix="later")
    async def name(owner: Any, i: int) -> str:
        return f"{type(owner).__name__} {i}"

    first, second = type("First", (), {"name": name}), type("Second", (), {"name": name})
    assert [await first().name(1), await second().name(1)] == ["First 1", "Second 1"]
    assert await first.name(first(), 1) == "First 1"
    await cache.aclose()


async def test_a_class_that_is_replaced_by_its_decorator_keeps_its_keys(cache):
    @dataclasses.dataclass(slots=True)
    class Service:
        table: str

        @cache.cached(key_prefix="slots")
        async def get(self, i: int) -> str:
            return f"{self.table} {i}"

    service = Service("a")
    assert service.get.key_for(1) == Service.get.key_for(service, 1) == "cache:slots:get:1"
    assert await Service.get(service, 1) == "a 1"
    await cache.aclose()


async def test_a_test_double_may_stand_for_the_instance(cache):
    base = repository(cache)
    double = type("Double", (), {"table": "double"})()
    assert await base.by_id(double, 1) == "double 1"
    assert await base().by_id(1) == "none 1"
    await cache.aclose()


def test_a_method_without_its_instance_says_so(cache):
    with pytest.raises(TypeError, match=r"by_id\(\) is a method: call it on an instance"):
        repository(cache).by_id().send(None)


async def test_a_class_method_below_classmethod_never_gives_the_key_of_another_class(cache):
    base = repository(cache)
    users = type("Users", (base,), {})
    unbound = vars(base)["create"].__func__  # from 3.13 on, users.create.key_for is that of this
    assert unbound.key_for(1) == "cache:vocabulary:create:1"
    assert [await base.create(1), await users.create(1)] == ["Repository 1", "Users 1"]
    with pytest.raises(TypeError, match=r"write @cached\(\.\.\.\) above @classmethod"):
        unbound.key_for(1)
    with pytest.raises(TypeError, match=r"write @cached\(\.\.\.\) above @classmethod"):
        await unbound.refresh(1)
    assert len(unbound.all_keys(i=1)) == 2
    assert await unbound.invalidate(1)
    assert not await base.make.invalidate(1)
    assert users.make.key_for(1) != base.make.key_for(1)
    await cache.aclose()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the syntax of type parameters is new in 3.12")
@pytest.mark.parametrize("future", ["", "from __future__ import annotations\n"])
async def test_a_generic_class_may_return_its_type_parameter(cache, future):
    source = """
class Words[T]:
    def __init__(self, value: T): self.value = value
    @cache.cached(key_prefix="generic")
    async def get(self, i: int) -> list[T]: return [self.value]
    @classmethod
    @cache.cached(key_prefix="generic")
    async def make(cls, i: int) -> T | None: return None
    @cache.cached(key_prefix="generic")
    async def plain[S](self, item: S) -> S: return item
class Numbers(Words[int]): ...
"""
    scope: dict[str, Any] = {"cache": cache, "__name__": "app"}
    exec(future + source, scope)
    words = scope["Words"]("x")
    for _ in range(2):
        assert await words.get(1) == ["x"]
        assert await scope["Words"].make(1) is None
        assert await words.plain("a") == "a"
        assert await scope["Numbers"](5).get(1) == [5]
    assert words.get.key_for(1) == "cache:generic:get:1"
    await cache.aclose()
