"""Settings files: read once, refused if a line cannot be parsed, with the line's number and not its text."""

import logging
import os
import threading
from pathlib import Path

import pytest

from langcache_cli.caching import CacheSettings, ConfigurationError
from langcache_cli.caching.tooling import IMPLICIT, file_values, misspelt_settings

URL = "redis://:secret@elsewhere:6379/0"


def host(env_file) -> str:
    return CacheSettings.load(env_file=env_file).address.host


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"REDIS_URL {URL}\n", 1),
        (f'# first\n\nREDIS_URL="{URL}\n', 3),
        (f"A=1\nREDIS_URL='{URL}\n", 2),
        (f"A=1\n  REDIS_URL: {URL}\n", 2),
        ("A=1\nREDIS_URL\n", 2),
        (f'A="1\nREDIS_URL="{URL}"\n', 1),
    ],
)
@pytest.mark.parametrize("name", ["other.env", ".env"])
def test_a_line_that_cannot_be_parsed_is_named_and_not_repeated(text, line, name, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigurationError, match=f"line {line}:") as caught:
        host(name)
    assert "secret" not in str(caught.value)


def test_other_lines_of_the_applications_own_file_are_not_checked(tmp_path):
    text = f'COMPLETELY else\nQUOTE="open\nREDIS_URL={URL}\n'
    (tmp_path / ".env").write_text(text)
    assert CacheSettings.load().address.host == "elsewhere"
    (tmp_path / "given.env").write_text(text)
    for given in ("given.env", ".env"):
        with pytest.raises(ConfigurationError, match="line 1:"):
            host(given)


@pytest.mark.parametrize("given", ["other.env", ".env", Path(".env"), "./.env"], ids=repr)
def test_a_file_that_is_named_is_there_and_no_folder_whatever_its_name(given, tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        host(given)
    (tmp_path / given).mkdir()
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        host(given)
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        file_values(given)


def test_the_file_that_nobody_named_may_be_missing_or_a_folder(tmp_path):
    assert CacheSettings.load().address.host == "localhost"
    (tmp_path / ".env").mkdir()  # a virtual environment
    assert CacheSettings.load().address.host == "localhost"
    assert misspelt_settings(IMPLICIT) == []


def test_a_file_that_is_not_utf_8_is_refused(tmp_path):
    (tmp_path / "latin.env").write_bytes(b"A=\xe9\n")
    with pytest.raises(ConfigurationError, match="UTF-8"):
        host("latin.env")


def test_a_pipe_is_read_once_however_often_settings_are_loaded(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(f"\ufeffREDIS_URL={URL}\nDATABASE_URL=x\n",))
    writer.start()
    assert host(pipe) == host(pipe) == "elsewhere"
    assert file_values(pipe)["DATABASE_URL"] == "x"
    writer.join()


def test_the_environment_wins_over_the_file_and_names_need_no_capitals(tmp_path, monkeypatch):
    (tmp_path / "s.env").write_text(f"export redis_url={URL}\nLANGCACHE_NAMESPACE=file\nREDIS_TTL_DEFAULT=\n")
    monkeypatch.setenv("LANGCACHE_NAMESPACE", "environment")
    settings = CacheSettings.load(env_file="s.env")
    assert (settings.address.host, settings.namespace) == ("elsewhere", "environment")
    assert settings.redis_ttl_default == 3600


def test_variables_are_replaced(tmp_path):
    (tmp_path / "s.env").write_text("PASSWORD=pw\nREDIS_URL=redis://:${PASSWORD}@h/0\n")
    assert CacheSettings.load(env_file="s.env").address.password == "pw"


def test_misspelt_settings_are_found_with_the_nearest_name_and_logged_once(tmp_path, monkeypatch, caplog):
    (tmp_path / "s.env").write_text("LANGCACHE_NAMESPASE=a\nLANGCACHE_TEST_RACES=1\nLANGCACHE_STATE_DIR=/s\n")
    monkeypatch.setenv("LANGCACHE_OPERATION_TIMOUT", "1")
    monkeypatch.setenv("LANGCACHE_XYZZY", "1")
    assert {one.name: one.nearest for one in misspelt_settings("s.env")} == {
        "LANGCACHE_NAMESPASE": "LANGCACHE_NAMESPACE",
        "LANGCACHE_OPERATION_TIMOUT": "LANGCACHE_OPERATION_TIMEOUT",
        "LANGCACHE_XYZZY": "",
    }
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            CacheSettings.load(env_file="s.env")
    assert sum("LANGCACHE_NAMESPASE" in message for message in caplog.messages) == 1
