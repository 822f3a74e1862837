"""Names that look like settings and are none: which are found, and which belong to other programs."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langcache_cli.caching import CacheSettings
from langcache_cli.caching._config import misspelt
from langcache_cli.caching.tooling import misspelt_settings

OF_OTHERS = [
    "BASE_URL",
    "CACHE_URL",
    "CELERY_BROKER_URL",
    "DATABASE_DIR",
    "DATABASE_DSN",
    "DATABASE_ECHO",
    "DATABASE_HOST",
    "DATABASE_NAME",
    "DATABASE_PASSWORD",
    "DATABASE_POOL_SIZE",
    "DATABASE_PORT",
    "DATABASE_SSL",
    "DATABASE_TYPE",
    "DATABASE_URL_TEST",
    "DATABASE_USER",
    "DB_HOST",
    "DB_URL",
    "DEBUG",
    "ENV",
    "HOME",
    "LANG",
    "LANGPLUG_DEBUG",
    "LANGPLUG_ENV",
    "LANGPLUG_HOST",
    "LANGPLUG_SECRET_KEY",
    "NAMESPACE",
    "PATH",
    "PGHOST",
    "PORT",
    "POSTGRES_DB",
    "POSTGRES_PASSWORD",
    "RABBIT_URL",
    "REDDIT_URL",
    "REDISCLI_AUTH",
    "REDISPORT",
    "REDIS_ADDR",
    "REDIS_APPENDONLY",
    "REDIS_CACHE_URL",
    "REDIS_CLUSTER",
    "REDIS_COMMANDER_PORT",
    "REDIS_DATABASE",
    "REDIS_DATABASES",
    "REDIS_DB",
    "REDIS_DEBUG",
    "REDIS_DSN",
    "REDIS_ENV",
    "REDIS_HOST",
    "REDIS_HOSTS",
    "REDIS_IMAGE",
    "REDIS_KEY",
    "REDIS_MAXMEMORY",
    "REDIS_MAXMEMORY_POLICY",
    "REDIS_PASS",
    "REDIS_PASSWORD",
    "REDIS_PORT",
    "REDIS_PORT_6379_TCP",
    "REDIS_PORT_6379_TCP_ADDR",
    "REDIS_PREFIX",
    "REDIS_QUEUE_URL",
    "REDIS_SENTINEL",
    "REDIS_SERVER",
    "REDIS_SERVICE_HOST",
    "REDIS_SERVICE_PORT",
    "REDIS_SOCKET",
    "REDIS_SSL",
    "REDIS_TIMEOUT",
    "REDIS_TLS",
    "REDIS_TLS_URL",
    "REDIS_TTL",
    "REDIS_TTL_SESSION",
    "REDIS_USER",
    "REDIS_USERNAME",
    "REDIS_VERSION",
    "SECRET_KEY",
    "SQLALCHEMY_DATABASE_URI",
    "TEST_DATABASE_URL",
    "URL",
]

MEANT = {
    "REDIS_TTL_TRANSLATON": "REDIS_TTL_TRANSLATION",
    "REDIS_TTL_TRANSLATIONS": "REDIS_TTL_TRANSLATION",
    "REDIS_TTL_VOCABLUARY": "REDIS_TTL_VOCABULARY",
    "REDIS_DEFAULT_TTL": "REDIS_TTL_DEFAULT",
    "REDIS_ULR": "REDIS_URL",
    "REDIS_URI": "REDIS_URL",
    "REDIS_ENABLE": "REDIS_ENABLED",
    "DATABASE_ULR": "DATABASE_URL",
    "LANGPLUG_REDIS_ULR": "LANGPLUG_REDIS_URL",
    "LANGPLUG_DATABSE_URL": "LANGPLUG_DATABASE_URL",
}
ONLY_IN_A_FILE = {
    "REDS_URL": "REDIS_URL",
    "DATBASE_URL": "DATABASE_URL",
    "LANGCAHE_NAMESPACE": "LANGCACHE_NAMESPACE",
    "LANGPUG_REDIS_URL": "LANGPLUG_REDIS_URL",
}


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("REDIS_URL", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)


def found(env_file=None):
    return {one.name: one.nearest for one in misspelt_settings(env_file)}


def test_in_a_file_every_name_near_a_setting_is_found_with_its_line(tmp_path):
    meant = {**MEANT, **ONLY_IN_A_FILE}
    (tmp_path / ".env").write_text("".join(f"{name}=5\n" for name in meant))
    places = {one.name: one.place for one in misspelt_settings(".env")}
    assert found(".env") == meant
    assert places == {name: f".env, line {line}" for line, name in enumerate(meant, 1)}


def test_in_the_environment_names_must_begin_as_settings_do(monkeypatch):
    for name in {**MEANT, **ONLY_IN_A_FILE}:
        monkeypatch.setenv(name, "5")
    assert found() == MEANT
    assert {one.place for one in misspelt_settings(None)} == {"environment"}


def test_names_of_other_programs_are_no_misspellings(monkeypatch, tmp_path):
    (tmp_path / ".env").write_text("".join(f"{name}=5\n" for name in OF_OTHERS))
    assert found(".env") == {}
    for name in OF_OTHERS:
        if name not in {"HOME", "PATH", "LANG"}:
            monkeypatch.setenv(name, "5")
    assert found() == {}


def test_a_second_url_beside_the_setting_is_another_programs(tmp_path):
    (tmp_path / ".env").write_text("REDIS_URI=a\nREDIS_URL=b\nDATABASE_URL=c\nDATABASE_URL2=d\nREDIS_ULR=e\n")
    assert found(".env") == {"REDIS_ULR": "REDIS_URL"}


def test_an_application_logs_each_once_with_its_place(tmp_path, caplog):
    (tmp_path / ".env").write_text("\nREDIS_TTL_VOCABULRY=5\n")
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            CacheSettings.load()
    assert [message for message in caplog.messages if "VOCABULRY" in message] == [
        "REDIS_TTL_VOCABULRY is no setting of langcache; did you mean REDIS_TTL_VOCABULARY? (.env, line 2)"
    ]


@given(st.text("ABR_", max_size=9), st.text("ABR_", min_size=1, max_size=9))
def test_letters_rule_out_only_names_that_are_too_far(name, rest):
    setting = f"REDIS_{rest}"
    for other in (name, f"REDIS_{name}"):
        if misspelt._distance(other, setting) <= misspelt._limit(setting):
            assert misspelt._may_be_near(other, setting)
