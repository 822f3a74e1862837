"""Keys and tags of attributes and items of parameters, and keys that a function computes."""

import dataclasses
from collections.abc import Callable
from typing import Annotated, Any, Protocol
from uuid import UUID

import pytest
from fastapi import Depends
from pydantic import BaseModel
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from langcache_cli.caching import Cache, cached_many
from langcache_cli.caching.testing import memory_cache


class Base(DeclarativeBase): ...


class UserRow(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class User:
    def __init__(self, id: int, team: str = "a") -> None:  # noqa: A002 - what users have
        self.id = id
        self.team = team

    @property
    def broken(self) -> int:
        raise RuntimeError("not loaded")


@dataclasses.dataclass
class Page:
    number: int
    owner: User


@pytest.fixture
def cache() -> Cache:
    return memory_cache()


async def test_an_attribute_of_a_parameter_is_part_of_a_key_and_of_a_tag(cache):
    @cache.cached(key_prefix="user_stats", key="user:{current_user.id}", tags=("user:{current_user.id}",))
    async def stats(current_user: User) -> str:
        return f"of {current_user.id}"

    for _ in range(2):
        assert [await stats(User(1)), await stats(User(2))] == ["of 1", "of 2"]
    assert stats.key_for(User(1)) == "cache:user_stats:stats:user:1"
    assert stats.address(current_user=User(1)).tag_keys == ("cache@tag:user:1",)
    assert await cache.invalidate_tags("user:1") == 1
    assert await stats.invalidate(User(2))
    await cache.aclose()


async def test_items_and_longer_paths_are_parts_of_keys(cache):
    runs: list[int] = []

    @cache.cached(key_prefix="p", key="{page.owner.id}:{row[0]}:{filters[lang]}", tags=("row:{row[0]}",))
    async def items(page: Page, row: tuple[Any, ...], filters: dict[str, str]) -> int:
        runs.append(1)
        return 1

    arguments = (Page(1, User(3)), (7, object()), {"lang": "a:b"})
    assert items.key_for(*arguments) == "cache:p:items:3:7:a%3Ab"
    assert await items(*arguments) == await items(*arguments) == 1
    assert runs == [1]
    await cache.aclose()


async def test_the_instance_and_its_attributes_can_be_part_of_a_key(cache):
    class Service:
        def __init__(self, language: str) -> None:
            self.language = language

        @cache.cached(key_prefix="p", key="{self.language}:{i}", tags=("language:{self.language}",))
        async def word(self, i: int) -> str:
            return f"{self.language} {i}"

        @cached_many(word, each="ids")
        async def words(self, ids: list[int]) -> list[str]:
            return [f"{self.language} {i}" for i in ids]

    german, french = Service("de"), Service("fr")
    for _ in range(2):
        assert [await german.word(1), await french.word(1)] == ["de 1", "fr 1"]
        assert await Service.word(french, 1) == "fr 1"
        assert await french.words([1, 2]) == ["fr 1", "fr 2"]
    assert german.word.key_for(1) == Service.word.key_for(german, 1) == "cache:p:word:de:1"
    assert await german.word.refresh(1) == "de 1"
    assert await german.word.invalidate(1)
    assert await french.words.invalidate(ids=[1, 2]) == 2
    with pytest.raises(TypeError, match=r"word\(\) needs 'self'"):
        Service.word.key_for(i=1)
    await cache.aclose()


async def test_a_key_can_be_computed(cache):
    @cache.cached(key_prefix="p", key=lambda user, lang: (user.id, lang), tags=("user:{user.id}",))
    async def stats(user: User, db: object, lang: str = "a:b") -> str:
        return f"{user.id} {lang}"

    assert stats.key_for(user=User(1)) == "cache:p:stats:1:a%3Ab"
    for _ in range(2):
        assert [await stats(User(1), None), await stats(User(2), None, lang="c")] == ["1 a:b", "2 c"]
    assert await stats.invalidate(user=User(1))
    with pytest.raises(TypeError, match=r"names 'lang', which plain\(\) does not take"):

        @cache.cached(key_prefix="p", key=lambda lang: lang)
        async def plain() -> int: ...

    @cache.cached(key_prefix="p", key=lambda user: user)
    async def whole(user: User) -> int: ...

    with pytest.raises(TypeError, match=r"whole\(\): what its key= returned cannot be part of a key"):
        await whole(User(1))
    await cache.aclose()


@pytest.mark.parametrize(
    "key", ["{user.wrong}", "{user.broken}", "{user.id[0]}", "{user.team.id}", "{user.id.real.wrong}"]
)
async def test_a_field_that_cannot_be_read_is_named(cache, key):
    @cache.cached(key_prefix="p", key=key)
    async def stats(user: Any) -> int: ...

    for call in (stats, stats.invalidate):
        with pytest.raises(TypeError, match=r"stats\(\): the argument 'user\..*cannot be read"):
            await call(User(1))


class HasId(Protocol):
    id: int


class Marker: ...


@pytest.mark.parametrize(
    "annotation",
    [
        User,
        UserRow,
        Annotated[User, Depends(User)],
        User | None,
        "User",
        Callable[[], int],
        User | UserRow,
        type[User],
    ],
    ids=str,
)
def test_a_parameter_that_can_never_be_part_of_a_key_is_refused_at_import(cache, annotation):
    async def stats(current_user: Any) -> int: ...

    stats.__annotations__["current_user"] = annotation
    with pytest.raises(
        TypeError, match=r"stats\(\): the parameter 'current_user' can never be part"
    ) as caught:
        cache.cached(key_prefix="p")(stats)
    assert 'key="current_user:{current_user.id}"' in str(caught.value)
    assert "ignore" not in str(caught.value)
    cache.cached(key_prefix="p", ignore=("current_user",))(stats)
    cache.cached(key_prefix="q", key="{current_user.id}")(stats)


@pytest.mark.parametrize(
    "annotation",
    [Any, object, HasId, Marker, Page, User | int, "Unknown", list[User], BaseModel, UUID | None],
    ids=str,
)
def test_a_parameter_that_may_be_part_of_a_key_is_not_refused(cache, annotation):
    async def stats(current_user: Any, other: User | None = None) -> int: ...

    stats.__annotations__["current_user"] = annotation
    cache.cached(key_prefix="p")(stats)


@pytest.mark.parametrize("field", ["page.size_of", "number.id", "page.owner"])
def test_a_field_that_cannot_exist_or_be_part_of_a_key_is_refused_at_import(cache, field):
    async def stats(page: Page, number: int) -> int: ...

    with pytest.raises(TypeError, match=rf"stats\(\): .*'{field}'"):
        cache.cached(key_prefix="p", key=f"{{{field}}}")(stats)


def test_a_tag_of_something_that_is_not_in_the_key_is_refused(cache):
    async def stats(user: User) -> int: ...

    with pytest.raises(TypeError, match=r"its tags name 'user.team', which is not part of its key"):
        cache.cached(key_prefix="p", key="{user.id}", tags=("team:{user.team}",))(stats)
