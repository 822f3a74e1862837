"""The parts of HTTP that cached routes speak: content codings, entity tags, Cache-Control, notes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langcache_cli.routes.answer import AnswerPolicy
from langcache_cli.routes.negotiation import accepts
from langcache_cli.routes.note import JSON_ONLY, note_text, parse_note
from langcache_cli.routes.validators import digest_of, is_known

TOKENS = st.from_regex(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,12}", fullmatch=True)
QUALITIES = st.sampled_from(["", ";q=1", "; q=0.5", ";Q=0.001", " ; q=1.000"])


@pytest.mark.parametrize(
    ("header", "is_accepted"),
    [
        ("zstd", True),
        ("gzip, deflate, br, zstd", True),
        ("ZSTD", True),
        ("*", True),
        ("gzip, *;q=0.1", True),
        ("gzip;q=1.0, zstd ; q=0.5", True),
        ("", False),
        ("gzip, deflate, br", False),
        ("zstd;q=0", False),
        ("zstd;q=0.000", False),
        ("*, zstd;q=0", False),
        ("*;q=0", False),
        ("zstd-2", False),
        ("zstd;q=x", False),
        ("zstd gzip", False),
    ],
)
def test_a_coding_is_accepted_as_http_says(header, is_accepted):
    assert accepts(header, "zstd") is is_accepted


@given(st.lists(st.tuples(TOKENS, QUALITIES), max_size=6), QUALITIES, st.integers(0, 6))
def test_a_coding_with_a_quality_above_zero_is_accepted_wherever_it_stands(others, quality, place):
    items = [f"{token}{weight}" for token, weight in others if token.lower() != "zstd"]
    items.insert(min(place, len(items)), f"zstd{quality}")
    assert accepts(", ".join(items), "zstd")


@given(st.text(max_size=60))
def test_no_text_of_a_client_fails(text):
    assert accepts(text, "zstd") in (True, False)
    assert is_known(text, 'W/"1"') in (True, False)


@given(st.binary(max_size=50), st.lists(st.binary(max_size=20), max_size=4), st.booleans())
def test_a_tag_is_known_among_others_weak_or_strong(body, others, is_weak):
    tag = f'W/"{digest_of(body)}"'
    sent = [f'"{digest_of(other)}"' for other in others] + [tag if is_weak else tag.removeprefix("W/")]
    assert is_known(", ".join(sent), tag)
    assert is_known(", ".join(sent[:-1]), tag) is (body in others)


def test_a_star_is_every_tag_and_part_of_a_tag_is_none():
    assert is_known(" * ", 'W/"1"')
    assert not is_known('W/"12"', 'W/"1"')
    assert not is_known("1", 'W/"1"')
    assert not is_known("", 'W/"1"')


@given(
    st.lists(
        st.tuples(
            st.from_regex(r"x-[a-z]{1,8}", fullmatch=True),
            st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=20),
        ),
        max_size=5,
    )
)
def test_headers_survive_the_note(headers):
    text = note_text("12ab", (*JSON_ONLY, *headers))
    assert text.isascii()
    assert text.isprintable()
    assert " " not in text
    found = parse_note(text)
    decoded = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in found.headers]
    assert decoded == [*JSON_ONLY, *headers, ("etag", 'W/"12ab"')]


def test_a_damaged_note_is_a_value_error():
    for text in ("12ab.!", "12ab.WzFd"):
        with pytest.raises(ValueError):  # noqa: PT011 - of base64, of json, of unpacking
            parse_note(text)


def test_headers_of_json_alone_take_no_room():
    assert note_text("12ab", JSON_ONLY) == "12ab"
    assert parse_note("12ab").headers == ((b"content-type", b"application/json"), (b"etag", b'W/"12ab"'))
    assert parse_note("12ab").tag == json.loads('"W/\\"12ab\\""')


@pytest.mark.parametrize(
    ("browser_ttl", "public", "fresh", "value"),
    [
        (0, False, 300, "private, no-cache"),
        (0, True, 300, "public, no-cache"),
        (60, False, 300, "private, max-age=60"),
        (60, True, 59.9, "public, max-age=59"),
        (60, False, 0.9, "private, no-cache"),
        (60, False, -5, "private, no-cache"),
    ],
)
def test_a_browser_keeps_an_answer_no_longer_than_it_is_fresh(browser_ttl, public, fresh, value):
    policy = AnswerPolicy(browser_ttl=browser_ttl, public=public, vary=())
    assert policy.cache_control(round(fresh * 1000)) == (b"cache-control", value.encode())
