"""What a value is besides its fields survives a hit, or the value is not cached."""

import dataclasses
import datetime as dt
from collections import defaultdict
from functools import cached_property
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import BaseModel, ConfigDict, Field, RootModel

from langcache_cli.caching import UncacheableValueError
from langcache_cli.caching._errors import UndecodableEntryError
from langcache_cli.caching._values.codec import Codec
from langcache_cli.caching.testing import memory_cache


class Profile(BaseModel):
    name: str = ""
    nickname: str | None = None
    id: UUID = Field(default_factory=uuid4)
    tags: list[str] = []
    inner: "Profile | None" = None


class Plain(BaseModel):
    name: str = ""
    level: str = "A1"


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)
    name: str = ""


class Root(RootModel[int]):
    root: int = 5


class Extra(BaseModel):
    model_config = ConfigDict(extra="allow")
    name: str = ""


@dataclasses.dataclass
class Word:
    lemma: str

    @cached_property
    def upper(self) -> str:
        return self.lemma.upper()


def changed() -> Profile:
    profile = Profile()
    profile.tags.append("a default that was changed")
    return profile


CASES: list[tuple[Any, Any]] = [
    (Plain, Plain(name="x")),
    (Plain, Plain()),
    (Plain, Plain(name="", level="A1")),
    (Profile, Profile(name="x")),
    (Profile, Profile(inner=Profile(name="y"))),
    (Profile, changed()),
    (list[Plain], [Plain(), Plain(name="x")]),
    (dict[str, Plain], {"a": Plain(level="x")}),
    (tuple[Plain, Word], (Plain(level="x"), Word("y"))),
    (Frozen | None, Frozen()),
    (Plain | Frozen, Frozen()),
    (Plain | Profile, Profile(name="x")),
    (Root, Root()),
    (Root, Root(7)),
    (list[Root], [Root(), Root(5)]),
    (Extra, Extra(more=1)),
    (defaultdict[str, list[int]], defaultdict(list, {"a": [1]})),
    (dt.datetime, dt.datetime(2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=-5, minutes=-30)))),
    (dt.datetime, dt.datetime(2024, 1, 1, tzinfo=dt.UTC)),
]


@pytest.mark.parametrize(("annotation", "value"), CASES)
def test_the_fields_that_were_set_survive(annotation, value):
    codec = Codec(annotation)
    restored = codec.decode(codec.encode(value))
    assert restored == value
    dump = [getattr(item, "model_dump", dict)() for item in (restored,)]
    assert dump == [getattr(item, "model_dump", dict)() for item in (value,)]
    if isinstance(value, BaseModel):
        assert restored.model_dump(exclude_unset=True) == value.model_dump(exclude_unset=True)
        assert restored.model_fields_set == value.model_fields_set


def test_values_with_all_fields_set_are_stored_as_before():
    assert Codec(Plain).encode(Plain(name="a", level="b")) == b'{"name":"a","level":"b"}'
    assert Codec(Plain).decode(b'{"name":"a","level":"b"}').model_fields_set == {"name", "level"}


@pytest.mark.parametrize(
    "payload", [b"~", b"~[]\n{}", b"~x\n{}", b'~[["name"],["name"]]\n{}', b"~5\n{}", b"~[5]\n{}"]
)
def test_damaged_names_of_fields_are_a_miss(payload):
    with pytest.raises(UndecodableEntryError):
        Codec(Plain).decode(payload)


def with_attribute(value: Any) -> Any:
    object.__setattr__(value, "note", "lost")
    return value


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (defaultdict[str, list[int]], defaultdict(lambda: [1], {"a": [1]})),
        (defaultdict[str, list[int]], defaultdict(None, {"a": [1]})),
        (Word, with_attribute(Word("a"))),
        (list[Word], [Word("a"), with_attribute(Word("b"))]),
        (Plain, with_attribute(Plain())),
        (dt.datetime, dt.datetime(2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1), "CET"))),
        (dt.datetime, dt.datetime(2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(0), "Zulu"))),
        (dt.time, dt.time(1, tzinfo=dt.timezone(dt.timedelta(hours=1), "CET"))),
    ],
)
def test_what_would_be_lost_is_refused(annotation, value):
    with pytest.raises(UncacheableValueError):
        Codec(annotation).encode(value)


def test_a_cached_property_is_not_state():
    word = Word("a")
    assert word.upper == "A"
    assert Codec(Word).encode(word) == b'{"lemma":"a"}'


async def test_a_hit_excludes_what_a_miss_excludes():
    cache = memory_cache()

    @cache.cached(key_prefix="profiles")
    async def profile(i: int) -> Profile:
        return Profile(name="x", inner=Profile(nickname="y"))

    answers = [(await profile(1)).model_dump(exclude_unset=True) for _ in range(3)]
    assert answers == [{"name": "x", "inner": {"nickname": "y"}}] * 3
    await cache.aclose()
