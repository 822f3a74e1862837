"""What is known about a function when it is decorated: its return type, wherever its names come from."""

from __future__ import annotations

import functools
import logging
from typing import Any, Optional
from uuid import UUID

import pytest
from pydantic import BaseModel

from langcache_cli.caching import Cache, CacheSettings, UncacheableValueError
from langcache_cli.caching._functions.spec import FunctionSpec
from langcache_cli.caching._protocol.entry import Entry


def spec_of(function: Any, ttl: float | None = None) -> FunctionSpec:
    return FunctionSpec(function, {"key_prefix": "p", "ttl": ttl})


async def plain(): ...


async def text() -> str: ...


async def quoted() -> list["Later"]: ...  # noqa: UP037 - as older code has it


async def quoted_as_a_whole() -> "Optional[Later]": ...  # noqa: UP037, UP045 - as older code has it


async def nothing() -> None: ...


async def unknown() -> Unknown: ...  # noqa: F821 - what a name under TYPE_CHECKING looks like


early = spec_of(quoted)


class Later(BaseModel):
    id: UUID


LATER = Later(id=UUID(int=7))


def test_a_function_without_annotation_holds_plain_json():
    codec = spec_of(plain).codec
    assert codec.annotation is Any
    with pytest.raises(UncacheableValueError):
        codec.encode(LATER)


def test_none_is_an_annotation():
    assert spec_of(nothing).codec.decode(b"null") is None


def test_a_name_that_was_defined_after_the_function_is_found_at_the_first_call():
    assert early.codec.decode(early.codec.encode([LATER])) == [LATER]


@pytest.mark.parametrize("function", [quoted, quoted_as_a_whole])
def test_quoted_names_are_found(function):
    value = [LATER] if function is quoted else LATER
    codec = spec_of(function).codec
    assert codec.decode(codec.encode(value)) == value


def test_quotes_inside_an_annotation_that_is_no_text_are_resolved():
    async def load() -> None: ...

    load.__annotations__["return"] = list["Later"]
    codec = spec_of(load).codec
    assert codec.decode(codec.encode([LATER])) == [LATER]


def test_a_function_behind_another_decorator_is_read_where_it_was_written():
    scope: dict[str, Any] = {"functools": functools}
    exec(
        "def traced(function):\n"
        "    @functools.wraps(function)\n"
        "    async def wrapper(*args, **kwargs):\n"
        "        return await function(*args, **kwargs)\n"
        "    return wrapper\n",
        scope,
    )
    codec = spec_of(scope["traced"](quoted_as_a_whole)).codec
    assert codec.decode(codec.encode(LATER)) == LATER


def test_a_name_that_never_appears_is_an_error_at_the_first_call_that_names_the_function():
    spec = spec_of(unknown)
    with pytest.raises(TypeError, match=r"test_spec\.unknown: its return annotation .*'Unknown'"):
        spec.resolve()


def test_a_plain_function_always_runs_as_part_of_a_call():
    def load() -> str: ...

    spec = spec_of(load)
    assert (spec.is_synchronous, spec.takes_session) == (True, True)


def test_a_coroutine_function_that_a_decorator_has_made_a_plain_one_is_refused():
    async def load() -> str: ...

    @functools.wraps(load)
    def wrapper() -> Any:
        return load()

    with pytest.raises(TypeError, match=r"load must be an 'async def' function: another decorator"):
        spec_of(wrapper)


def test_a_generator_is_refused():
    async def load() -> Any:
        yield 1

    def load_at_once() -> Any:
        yield 1

    for function in (load, load_at_once):
        with pytest.raises(TypeError, match=r"must return its value; it is a generator function"):
            spec_of(function)


@pytest.mark.parametrize("ttl", [0, -1, float("nan")])
def test_a_ttl_that_means_nothing_is_refused(ttl):
    with pytest.raises(TypeError, match=f"ttl must be more than 0 seconds and at most .*, not {ttl}"):
        spec_of(text, ttl)


def entry(payload: bytes, schema: str) -> Entry:
    return Entry("0" * 16, 1, 2, 3, schema, payload)


async def test_a_value_comes_in_a_tuple_so_that_none_is_a_value():
    spec = spec_of(nothing)
    assert await spec.decoded(entry(b"null", spec.codec.fingerprint), max_bytes=10**6) == (None,)


async def test_an_entry_of_another_schema_or_a_damaged_one_is_not_usable():
    spec = spec_of(text)
    assert await spec.decoded(entry(b'"a"', spec.codec.fingerprint), max_bytes=10**6) == ("a",)
    assert await spec.decoded(entry(b'"a"', "00000000"), max_bytes=10**6) is None
    assert await spec.decoded(entry(b'"a', spec.codec.fingerprint), max_bytes=10**6) is None


def test_an_uncacheable_value_is_warned_about_once(caplog):
    spec = spec_of(text)
    with caplog.at_level(logging.WARNING, logger="langcache_cli.caching"):
        spec.warn_uncacheable(UncacheableValueError("because", details="secret"))
        spec.warn_uncacheable(UncacheableValueError("again"))
    assert [record.getMessage() for record in caplog.records] == [
        f"{__name__}.text returned a value that is not cached: because"
    ]


async def test_a_local_function_may_call_itself_and_a_local_class_name_itself():
    cache = Cache(CacheSettings.load(env_file=None, redis_enabled=False))

    @cache.cached(key_prefix="numbers")
    async def factorial(number: int) -> int:
        return number * await factorial(number - 1) if number else 1

    class Service:
        @cache.cached(key_prefix="numbers")
        async def name(self) -> str:
            return Service.__name__

    assert await factorial(5) == 120
    assert await Service().name() == "Service"
