"""Which addresses langcache would start a server for, and what it says about the others."""

import re
import traceback
from pathlib import Path

import pytest

from langcache_cli.caching.tooling import RedisAddress
from langcache_cli.server_options import DEFAULT_MAXMEMORY
from langcache_cli.servers import InvalidSpecError, NotLocalError, ServerSpec, default_state_dir

ROOT = Path(__file__).parents[2]


def test_the_default_url_of_the_settings_is_read():
    spec = ServerSpec.from_url("redis://:dev_redis_password@localhost:6379/0")

    assert (spec.host, spec.port, spec.username, spec.db) == ("localhost", 6379, None, 0)
    assert spec.password == "dev_redis_password"
    assert spec.maxmemory == "256mb"


def test_user_and_password_are_percent_decoded():
    spec = ServerSpec.from_url("redis://op%3As:p%40ss%2Fw%20%C3%A9%25@127.0.0.1:7000/3")

    assert (spec.username, spec.password, spec.port, spec.db) == ("op:s", "p@ss/w é%", 7000, 3)


def test_a_port_of_the_command_line_takes_the_place_of_the_url_s():
    assert ServerSpec.from_url("redis://localhost:6379", port=6380).port == 6380


def test_the_user_called_default_is_the_default_user():
    assert ServerSpec.from_url("redis://default:x@localhost").username is None


def test_the_database_may_be_in_the_query_as_redis_py_allows():
    assert ServerSpec.from_url("redis://localhost?db=5").db == 5


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.8.9.10", "[::1]"])
def test_every_loopback_address_is_local(host):
    assert ServerSpec.from_url(f"redis://{host}:6379").port == 6379


@pytest.mark.parametrize(
    "host", ["redis", "cache.example.com", "10.0.0.1", "0.0.0.0", "[::]", "localhost.evil.com"]
)
def test_another_machine_is_refused_by_name(host):
    with pytest.raises(NotLocalError, match="only local servers; REDIS_URL names host") as caught:
        ServerSpec.from_url(f"redis://:secret@{host}:6379")

    assert host.strip("[]") in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    "url",
    [
        "rediss://:secret@localhost",
        "unix:///run/redis.sock",
        "rediss+cluster://localhost",
        "redis+sentinel://localhost/mymaster",
        "localhost:6379",
        "",
    ],
)
def test_what_is_not_a_plain_redis_url_is_refused(url):
    with pytest.raises(NotLocalError, match="without TLS"):
        ServerSpec.from_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "redis://:sec/ret@localhost:6379/0",
        "redis://:sec#ret@localhost:6379/0",
        "redis://:sec?ret@localhost:6379/0",
        "redis://:12/secret@localhost:6379/0",
        "redis://:[secret@localhost",
        "redis://:secret@localhost:port",
        "redis://:secret@localhost:99999",
    ],
)
def test_a_password_that_was_not_encoded_is_explained_and_not_shown(url):
    with pytest.raises(InvalidSpecError) as caught:
        ServerSpec.from_url(url)

    shown = "".join(traceback.format_exception_only(caught.value)) + caught.value.hint
    assert "sec" not in shown
    assert caught.value.__cause__ is None
    assert "encode" in caught.value.hint.lower()


@pytest.mark.parametrize(
    "options",
    [
        {"port": 65536},
        {"port": -1},
        {"db": -1},
        {"maxmemory": "lots"},
        {"maxmemory": "0"},
        {"maxmemory": "1tb"},
        {"maxmemory": "1mb\nport 1"},
        {"username": "a b", "password": "x"},
        {"username": "a\nport", "password": "x"},
        {"username": "ops"},
        {"password": "a\0b"},
        {"password": "a\udcff"},
        {"username": "a\udcff", "password": "x"},
    ],
)
def test_what_no_server_could_be_started_with_is_refused(options):
    with pytest.raises(InvalidSpecError):
        ServerSpec(**options)


@pytest.mark.parametrize("url", ["redis://localhost/x", "redis://localhost/-1", "redis://localhost/²"])
def test_a_database_that_is_no_number_is_refused(url):
    with pytest.raises(InvalidSpecError, match="must be a number"):
        ServerSpec.from_url(url)


def test_nothing_of_a_url_without_a_scheme_is_shown():
    with pytest.raises(NotLocalError) as caught:
        ServerSpec.from_url("secret:word@localhost:6379")

    assert "secret" not in str(caught.value) + caught.value.hint


def test_the_address_for_the_core_is_that_of_the_url_in_database_0():
    spec = ServerSpec.from_url("redis://ops:p%40ss@[::1]:7000/3")

    assert spec.address == RedisAddress.parse("redis://ops:p%40ss@[::1]:7000/0")


@pytest.mark.parametrize("file", ["docker-compose.redis.yml", ".env.example"])
def test_the_default_memory_limit_is_the_same_wherever_it_is_written(file):
    text = (ROOT / file).read_text(encoding="utf-8")

    written = re.findall(r"REDIS_MAXMEMORY(?::-| \(|=)(\w+)", text)
    assert set(written) == {DEFAULT_MAXMEMORY}
    assert ServerSpec().maxmemory == DEFAULT_MAXMEMORY


def test_the_password_is_neither_in_repr_nor_behind_mask():
    spec = ServerSpec(password="tick tock")

    assert "tick" not in repr(spec)
    assert spec.mask(f"a tick tock b tick%20tock c {spec.password_rule}") == "a *** b *** c #***"


def test_a_server_without_password_masks_nothing():
    assert ServerSpec().mask("plain") == "plain"
    assert ServerSpec().password_rule == "nopass"


def test_the_state_folder_is_the_environment_s_else_the_user_s(monkeypatch, tmp_path):
    monkeypatch.setenv("LANGCACHE_STATE_DIR", str(tmp_path))
    assert default_state_dir() == tmp_path
    assert ServerSpec().state_dir == tmp_path

    monkeypatch.delenv("LANGCACHE_STATE_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert default_state_dir().is_relative_to(tmp_path)
    assert default_state_dir().name == "langcache"


def test_a_relative_state_folder_becomes_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LANGCACHE_STATE_DIR", "here")

    assert default_state_dir() == Path(tmp_path, "here")
