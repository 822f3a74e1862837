"""Redis URLs: parsing, errors, and passwords that are never shown."""

import re
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from langcache_cli.caching._config.redis_address import RedisAddress

PASSWORD = "hunter2-secret"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://localhost:6379/0", {"host": "localhost", "port": 6379, "db": 0, "tls": False}),
        ("redis://localhost", {"host": "localhost", "port": 6379, "db": 0}),
        ("redis://", {"host": "localhost", "port": 6379, "db": 0}),
        ("REDIS://Cache.Example.org/3", {"host": "cache.example.org", "db": 3}),
        ("redis://host/2/", {"db": 2}),
        ("redis://host?db=5", {"db": 5}),
        ("redis://:secret@host", {"username": None, "password": "secret"}),
        ("redis://user:secret@host", {"username": "user", "password": "secret"}),
        ("redis://user@host", {"username": "user", "password": None}),
        ("redis://u%40b:p%3A%2F%40%23%25@host", {"username": "u@b", "password": "p:/@#%"}),
        ("redis://:p%C3%A4ss%20w@host", {"password": "päss w"}),
        ("redis://:a+b@host", {"password": "a+b"}),
        ("rediss://host:6380/1", {"tls": True, "port": 6380, "db": 1}),
        ("rediss://h?ssl_ca_certs=/ca.pem", {"tls": True, "options": {"ssl_ca_certs": "/ca.pem"}}),
        ("redis://[::1]:7000/1", {"host": "::1", "port": 7000, "db": 1}),
        ("redis://:pw@[2001:db8::1]", {"host": "2001:db8::1", "password": "pw"}),
        ("unix:///run/redis.sock", {"path": "/run/redis.sock", "host": "", "db": 0}),
        ("unix:///run/a%20b@c.sock?db=4", {"path": "/run/a b@c.sock", "db": 4}),
        ("unix://:secret@/run/redis.sock", {"path": "/run/redis.sock", "password": "secret"}),
        ("unix://user:secret@/run/redis.sock", {"username": "user", "password": "secret"}),
    ],
)
def test_a_url_is_split_into_its_parts(url, expected):
    address = RedisAddress.parse(url)
    assert {name: getattr(address, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:secret@host:6379/1", "redis://***@host:6379/1"),
        ("rediss://user@host", "rediss://***@host:6379/0"),
        ("redis://host", "redis://host:6379/0"),
        ("redis://[::1]:7000", "redis://[::1]:7000/0"),
        ("unix://:secret@/run/redis.sock?db=2", "unix://***@/run/redis.sock?db=2"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock?db=0"),
        ("redis://host?password=secret&ssl_password=secret", "redis://host:6379/0"),
    ],
)
def test_the_text_form_contains_no_secret(url, shown):
    assert str(RedisAddress.parse(url)) == shown


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "must begin with one of redis://, rediss://, unix:// (got no scheme)"),
        ("localhost:6379", "got no scheme"),
        ("http://localhost", "got 'http://'"),
        ("redis+cluster://localhost", "got 'redis+cluster://'"),
        ("redis://host:port", "port or host is malformed"),
        ("redis://host:99999", "port or host is malformed"),
        ("redis://[::1", "port or host is malformed"),
        ("redis://host/one", "database must be a number"),
        ("redis://host/-1", "database must be a number"),
        ("redis://host/0/1", "database must be a number"),
        ("redis://host/٣", "database must be a number"),
        ("unix://", "path of a socket"),
        ("unix://run/redis.sock", "three slashes"),
    ],
)
def test_a_malformed_url_says_what_is_expected(url, reason):
    with pytest.raises(ValueError, match=re.escape(reason)):
        RedisAddress.parse(url)


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:12/{PASSWORD}@host:6379/0",
        f"redis://:12/{PASSWORD}@host:6379?db=0",
        f"redis://:12#{PASSWORD}@host:6379/0",
        f"redis://:12?{PASSWORD}@host:6379/0",
        f"redis://:{PASSWORD}/x@host:6379/0",
        f"redis://:{PASSWORD}#x@host:6379/0",
        f"redis://user:{PASSWORD}?x@host:6379/0",
        f"unix://:12/{PASSWORD}@/run/redis.sock",
        f"unix://:{PASSWORD}/x@/run/redis.sock",
        f"unix://:12#{PASSWORD}@/run/redis.sock",
        f"redis://host/{PASSWORD}",
        f"{PASSWORD}:x@host:6379",
        f"user:{PASSWORD}@host",
        f":{PASSWORD}@host",
        f"redis:{PASSWORD}@host",
        f"redis://[{PASSWORD}@host",
    ],
)
def test_a_password_that_is_not_percent_encoded_is_rejected_without_showing_it(url):
    with pytest.raises(ValueError, match="redis://") as caught:
        RedisAddress.parse(url)
    assert PASSWORD not in str(caught.value)
    assert caught.value.__cause__ is None


passwords = st.text(st.characters(exclude_categories=("Cs",)), min_size=4, max_size=12)
FORMS = [
    "redis://:{}@host:6379/1",
    "rediss://user:{}@[::1]:7000",
    "unix://:{}@/run/redis.sock",
    "redis://{}@h/2",
]


@given(st.sampled_from(FORMS), passwords)
def test_an_encoded_password_is_decoded_and_never_shown(form, password):
    hidden = "".join(re.split("[{}]+", form)) + "".join(dir(RedisAddress)) + "True False None ***@?db=0:6379"
    assume(password not in hidden)
    address = RedisAddress.parse(form.format(quote(password, safe="")))
    assert password in (address.password, address.username)
    assert password not in str(address)
    if address.password is not None:
        assert password not in repr(address)
        assert quote(password, safe="") not in str(address) + repr(address)


@given(st.sampled_from(FORMS), passwords)
def test_a_raw_password_is_accepted_or_rejected_and_never_shown(form, password):
    assume(password not in form + "expected redis://:password@host:6379/0 must be one of rediss:// unix://")
    assume(password.strip() == password and len(set(password)) > 3)
    assert password not in shown_for(form.format(password))


def shown_for(url: str) -> str:
    try:
        return str(RedisAddress.parse(url))
    except ValueError as error:
        return str(error)


def test_options_are_not_shown_because_they_may_be_secrets():
    address = RedisAddress.parse(f"rediss://host?ssl_password={PASSWORD}")
    assert address.options == {"ssl_password": PASSWORD}
    assert PASSWORD not in repr(address) + str(address)


def test_an_address_is_frozen():
    with pytest.raises(AttributeError):
        RedisAddress.parse("redis://host").host = "other"
