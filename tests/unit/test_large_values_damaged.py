"""Large values that are damaged, foreign or laid out by a person: decoded, or refused with one error."""

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from langcache_cli.caching._errors import UndecodableEntryError
from langcache_cli.caching._values.codec import Codec
from langcache_cli.caching._values.large.portions import at_once
from langcache_cli.caching._values.strict_equality import strictly_equal
from tests.unit.large_value_cases import LARGE, Item, Page

pytestmark = pytest.mark.usefixtures("everything_is_large")


@given(st.sampled_from(LARGE), st.data())
def test_damaged_lines_raise_only_undecodable(pair, data):
    annotation, value = pair
    codec = Codec(annotation)
    payload = bytearray(at_once(codec._large.encode(value)))
    place = data.draw(st.integers(0, len(payload) - 1))
    payload[place] ^= 1 << data.draw(st.integers(0, 7))
    for damaged in (bytes(payload), bytes(payload[:place]), bytes(payload) + b"\n1"):
        with contextlib.suppress(UndecodableEntryError):
            asyncio.run(codec.decode_large(damaged))


@given(st.sampled_from(LARGE), st.sampled_from(LARGE))
def test_lines_of_another_type_raise_only_undecodable(written, expected):
    payload = at_once(Codec(written[0])._large.encode(written[1]))
    with contextlib.suppress(UndecodableEntryError):
        asyncio.run(Codec(expected[0]).decode_large(payload))


@pytest.mark.parametrize(
    "text",
    [
        b"[\n  1,\n  2\n]",
        b"[ 1,\r\n\t2 ]",
        b"[\n\t1,\n\t2\n]\n",
        b"\n[1,2]",
        b"[\n\t1,2\n]",
        b"[\n\t1,\n\t2\n]",
    ],
)
def test_json_that_a_person_has_laid_out_is_decoded(text):
    assert asyncio.run(Codec(list[int]).decode_large(text)) == [1, 2]


@pytest.mark.parametrize(
    "annotation", [list[Item], dict[str, Item], Page, Page | None, tuple[Item, ...]], ids=str
)
@pytest.mark.parametrize(
    "text",
    [
        b"[" + b"{}," * 50_000 + b"{}]",
        b'{"items":[' + b"{}," * 50_000 + b'{}],"total":1}',
        b'{"next":{"items":[' + b"{}," * 50_000 + b'{}],"total":1},"total":1}',
    ],
    ids=["list", "page", "next"],
)
def test_json_of_another_type_ends_at_the_first_wrong_part(annotation, text):
    with pytest.raises(UndecodableEntryError) as caught:
        asyncio.run(Codec(annotation).decode_large(text))
    assert len(str(caught.value)) < 200
    error: BaseException | None = caught.value
    while error is not None:
        assert not isinstance(error, ValidationError) or error.error_count() < 10
        error = error.__cause__


def test_a_line_that_is_lost_moved_or_repeated_is_an_error():
    codec, page = Codec(Page), Page(total=1, items=[Item(id=number) for number in range(20)])
    lines = at_once(codec._large.encode(page)).split(b"\n")
    assert len(lines) > 8
    for place in range(1, len(lines)):
        moved = [*lines[: place - 1], lines[place], lines[place - 1], *lines[place + 1 :]]
        for damaged in ([*lines[:place], *lines[place + 1 :]], moved):
            payload = b"\n".join(damaged)
            try:
                expected = codec.decode(payload)
            except UndecodableEntryError:
                with pytest.raises(Exception):  # noqa: B017, PT011 - whichever; a miss follows
                    at_once(codec._large.decode(payload))
            else:
                assert strictly_equal(at_once(codec._large.decode(payload)), expected)
