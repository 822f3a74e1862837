"""Keys as text to type: whatever their bytes are, the text leads back to them."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langcache_cli.caching import PatternError
from langcache_cli.operations.keys.names import keys_meant, typeable


@given(st.binary())
def test_a_key_that_is_shown_can_be_typed(rest):
    key = b"cache:" + rest
    shown = typeable(key)
    assert shown.isprintable()
    meant = keys_meant(shown, "cache")
    assert key in meant
    if shown.encode() == key:  # as it stands; what it would be when it is decoded comes after
        assert meant[0] == key


@pytest.mark.parametrize("key", ["cache:translation:f:Größe %3A 100 %", "cache:f:'\"\\"])
def test_text_that_a_terminal_can_show_is_shown_as_it_is(key):
    assert typeable(key.encode()) == key
    assert keys_meant(key, "cache")[0] == key.encode()


def test_an_argument_that_is_no_utf8_is_taken_for_its_bytes():
    assert keys_meant(os.fsdecode(b"cache:\xff"), "cache") == [b"cache:\xff"]


def test_a_whole_key_percent_encoded_is_taken():
    assert keys_meant("cache%3Avocabulary%3A%FF", "cache") == [b"cache:vocabulary:\xff"]


@pytest.mark.parametrize("text", ["other:key", "cach", "", "cache", "cache@tag:x", "other%3Acache:"])
def test_a_key_outside_the_namespace_is_refused(text):
    with pytest.raises(PatternError, match="outside the namespace 'cache'"):
        keys_meant(text, "cache")
