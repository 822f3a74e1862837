"""Values that the codec rejects, and the messages that say why."""

import datetime as dt
import logging
import math
import uuid
from collections import OrderedDict, deque
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import (
    BaseModel,
    PrivateAttr,
    SecretStr,
    field_serializer,
    field_validator,
)

from langcache_cli.caching import UncacheableValueError
from langcache_cli.caching._values.codec import Codec
from langcache_cli.caching.testing import memory_cache
from tests.unit.codec_cases import AN_ID, NAIVE, NOON, Cat, Dog, Open, Place, PlainBinary, Translation
from tests.unit.values import BERLIN, Level, Rank


class Special(Translation):
    extra: str = ""


class Text(str):
    __slots__ = ()


class Secretive(BaseModel):
    name: str
    _note: str = PrivateAttr("")


def with_a_note() -> Secretive:
    value = Secretive(name="a")
    value._note = "b"
    return value


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (float, 1),
        (int, True),
        (int, 1.0),
        (int, Rank.ONE),
        (bool, 1),
        (str, Level.A1),
        (str, Text("a")),
        (str, "\ud800"),
        (bytes, bytearray(b"a")),
        (Translation, Special(text="a")),
        (Translation, {"text": "a"}),
        (Translation, Translation.model_construct(text=7)),
        (list[Translation], [Special(text="a")]),
        (Open, Open(name="a", more=(1,))),
        (Secretive, with_a_note()),
        (dt.datetime, NOON.astimezone(BERLIN)),
        (dt.datetime, NOON.astimezone(dt.timezone(dt.timedelta(seconds=1)))),
        (dt.datetime, NAIVE.replace(fold=1)),
        (set[dt.datetime], {NOON.astimezone(BERLIN)}),
        (dict[dt.datetime, int], {NOON.astimezone(BERLIN): 1}),
        (dt.time, dt.time(1, tzinfo=BERLIN)),
        (dt.date, NOON),
        (Decimal, Decimal("NaN")),
        (Decimal, Decimal("sNaN")),
        (set[float], {math.nan}),
        (list[int], (1, 2)),
        (tuple[int, int], [1, 2]),
        (list[int], [1, None]),
        (tuple[str, tuple[int, ...]], Place("x")),
        (dict[str, int], OrderedDict(a=1)),
        (dict[int | str, int], {1: 1}),
        (deque[int], deque([1], maxlen=5)),
        (dict[str, Any], {"a": (1,)}),
        (dict[str, Any], {"a": NOON}),
        (list[Any], [b"a"]),
        (Any, (1,)),
        (Any, {1: "a"}),
        (Any, [b"a"]),
        (Any, Level.A1),
        (Any, NOON),
        (Any, Translation(text="a")),
        (Any, Text("a")),
        (uuid.UUID | str, 7),
        (Cat | Dog, Translation(text="a")),
        (SecretStr, SecretStr("hunter2")),
        (int, 10**5000),
        (Path, object()),
    ],
    ids=lambda item: getattr(item, "__name__", type(item).__name__),
)
def test_a_value_that_would_decode_differently_is_rejected(annotation, value):
    with pytest.raises(UncacheableValueError):
        Codec(annotation).encode(value)


@pytest.mark.parametrize("annotation", [Any, list[Any], dict[str, Any]])
@pytest.mark.parametrize("wrap", [lambda item: [item], lambda item: {"a": item}])
def test_a_value_that_contains_itself_is_rejected(annotation, wrap):
    loop = wrap(None)
    loop[next(iter(loop), 0) if isinstance(loop, dict) else 0] = loop
    with pytest.raises(UncacheableValueError):
        Codec(annotation).encode(loop)


def test_the_details_show_both_values():
    with pytest.raises(UncacheableValueError, match="come back as a list, not as a tuple") as caught:
        Codec(Sequence[int]).encode((1,))
    assert caught.value.details == "it would come back as [1], not as (1,)"


class Checked(BaseModel):
    name: Any

    @field_validator("name")
    @classmethod
    def _accept(cls, name: Any) -> Any:
        if name == "secret":
            raise ValueError(f"not {name}")
        return name

    @field_serializer("name")
    def _write(self, name: Any) -> Any:
        if name == "secret in json":
            raise ValueError(f"cannot write {name}")
        return name


@pytest.mark.parametrize(
    ("annotation", "value", "message"),
    [
        (int, "secret", "int"),
        (list[int], [1, "secret"], "int"),
        (Translation, Special(text="secret"), "Special"),
        (dict[str, Any], {"secret": {"secret": ("secret",)}}, r"not as a tuple, at \[...\]\[...\]"),
        (list[Translation], [Translation.model_construct(text=b"secret")], "."),
        (Checked, Checked.model_construct(name="secret"), "at name: value_error"),
        (Checked, Checked(name="secret in json"), "encoding it raised PydanticSerializationError"),
        (uuid.UUID | str, b"secret", "is not a member of the union"),
        (Any, {"secret": AN_ID}, "a UUID is not a plain JSON value"),
        (str, Text("secret"), "not as a Text"),
    ],
    ids=repr,
)
def test_the_message_shows_no_value_and_the_details_may(annotation, value, message):
    with pytest.raises(UncacheableValueError, match=message) as caught:
        Codec(annotation).encode(value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("log_values", [False, True])
async def test_log_lines_show_values_only_if_a_setting_allows_it(caplog, log_values):
    cache = memory_cache(log_values=log_values)

    @cache.cached(key_prefix="p", stale_ttl=60)
    async def look_up(i: int) -> Sequence[str]:
        return ("secret",)

    with caplog.at_level(logging.DEBUG):
        assert await look_up(1) == ("secret",)
    await cache.aclose()
    assert ("secret" in caplog.text) is log_values
    assert "returned a value that is not cached: it would come back as" in caplog.text


def test_the_message_for_a_plain_value_suggests_an_annotation():
    with pytest.raises(UncacheableValueError, match="a UUID is not a plain JSON value; annotate"):
        Codec(Any).encode([AN_ID])


@pytest.mark.parametrize("data", [b"\xff", b"\xc2"], ids=["invalid", "incomplete"])
def test_the_message_for_bytes_in_a_model_suggests_a_configuration(data):
    with pytest.raises(UncacheableValueError, match="val_json_bytes='base64'"):
        Codec(PlainBinary).encode(PlainBinary(data=data))


def test_a_failing_repr_does_not_fail_the_call():
    class Shy(Translation):
        def __repr__(self) -> str:
            raise RuntimeError

    with pytest.raises(UncacheableValueError, match=r"not as a .*Shy"):
        Codec(Translation).encode(Shy(text="a"))


def test_a_failing_comparison_does_not_fail_the_call():
    class Odd(str):
        __slots__ = ()

        def __eq__(self, other: object) -> bool:
            raise KeyError("odd")

        __hash__ = str.__hash__

    with pytest.raises(UncacheableValueError):
        Codec(list[Any]).encode([Odd("a")])
