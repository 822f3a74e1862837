"""Settings: names, defaults, precedence, and errors that name what to change."""

import json
import re
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from langcache_cli.caching import CacheSettings, ConfigurationError

DEFAULTS = {
    "REDIS_URL": ("redis_url", "redis://:dev_redis_password@localhost:6379/0"),
    "REDIS_ENABLED": ("redis_enabled", True),
    "REDIS_TTL_DEFAULT": ("redis_ttl_default", 3600),
    "REDIS_TTL_TRANSLATION": ("redis_ttl_translation", 86400),
    "REDIS_TTL_VOCABULARY": ("redis_ttl_vocabulary", 3600),
    "LANGCACHE_ENV": ("env", None),
    "LANGCACHE_NAMESPACE": ("namespace", "cache"),
    "LANGCACHE_OPERATION_TIMEOUT": ("operation_timeout", 0.25),
    "LANGCACHE_LEASE_SECONDS": ("lease_seconds", 2.0),
    "LANGCACHE_LOAD_TIMEOUT": ("load_timeout", 30.0),
    "LANGCACHE_TTL_JITTER": ("ttl_jitter", 0.05),
    "LANGCACHE_STATS_FLUSH_SECONDS": ("stats_flush_seconds", 5.0),
    "LANGCACHE_COMPRESS_BYTES": ("compress_bytes", 8192),
    "LANGCACHE_NEAR_CACHE_BYTES": ("near_cache_bytes", 16 * 1024 * 1024),
    "LANGCACHE_TYPES": ("extra_types", {}),
}


VALUES = {
    "REDIS_URL": ("redis://other:7000/1", "redis://other:7000/1"),
    "REDIS_ENABLED": ("false", False),
    "REDIS_TTL_DEFAULT": ("60", 60),
    "REDIS_TTL_TRANSLATION": ("61", 61),
    "REDIS_TTL_VOCABULARY": ("62", 62),
    "LANGCACHE_ENV": ("prod", "prod"),
    "LANGCACHE_NAMESPACE": ("my-app.v1", "my-app.v1"),
    "LANGCACHE_OPERATION_TIMEOUT": ("0.5", 0.5),
    "LANGCACHE_LEASE_SECONDS": ("3", 3.0),
    "LANGCACHE_LOAD_TIMEOUT": ("10", 10.0),
    "LANGCACHE_STATS_FLUSH_SECONDS": ("1", 1.0),
    "LANGCACHE_COMPRESS_BYTES": ("0", 0),
    "LANGCACHE_NEAR_CACHE_BYTES": ("0", 0),
}


def plain(value: object) -> object:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


@pytest.mark.parametrize("variable", DEFAULTS)
def test_defaults(variable):
    name, default = DEFAULTS[variable]
    assert plain(getattr(CacheSettings.load(), name)) == default


@pytest.mark.parametrize("variable", VALUES)
def test_each_variable_sets_its_field_and_no_other(variable, monkeypatch):
    text, value = VALUES[variable]
    before = CacheSettings.load().model_dump()
    monkeypatch.setenv(variable, text)
    settings = CacheSettings.load()
    name = DEFAULTS[variable][0]
    assert plain(getattr(settings, name)) == value
    assert settings.model_dump() | {name: None} == before | {name: None}


@pytest.mark.parametrize("variable", VALUES)
def test_the_environment_overrides_a_dotenv_file(variable, monkeypatch):
    text, value = VALUES[variable]
    name, default = DEFAULTS[variable]
    Path(".env").write_text(f"{variable}={text}\nOTHER=1\n")
    assert plain(getattr(CacheSettings.load(), name)) == value
    assert plain(getattr(CacheSettings.load(env_file=None), name)) == default
    if default is not None:
        monkeypatch.setenv(variable, str(default))
        assert plain(getattr(CacheSettings.load(), name)) == default


@pytest.mark.parametrize("variable", VALUES)
def test_a_field_passed_by_name_overrides_the_environment_and_the_file(variable, monkeypatch):
    name, default = DEFAULTS[variable]
    monkeypatch.setenv(variable, VALUES[variable][0])
    Path(".env").write_text(f"{variable}={VALUES[variable][0]}")
    assert plain(getattr(CacheSettings.load(**{name: default}), name)) == default


def test_the_constructor_accepts_field_names():
    assert CacheSettings(redis_url="redis://other", namespace="mine").address.host == "other"


def test_another_file_can_be_given(tmp_path):
    path = tmp_path / "production.env"
    path.write_text("LANGCACHE_NAMESPACE=prod")
    assert CacheSettings.load(env_file=path).namespace == "prod"
    assert CacheSettings.load(env_file=str(path)).namespace == "prod"


def test_a_given_file_that_is_missing_is_an_error(tmp_path):
    with pytest.raises(ConfigurationError, match=r"missing\.env cannot be read") as caught:
        CacheSettings.load(env_file=tmp_path / "missing.env")
    assert caught.value.variable == "--env-file"


def test_a_file_that_is_not_text_is_an_error():
    Path(".env").write_bytes(b"REDIS_URL=\xff\xfe\xff")
    with pytest.raises(ConfigurationError, match=r"\.env cannot be read"):
        CacheSettings.load()


def test_empty_variables_count_as_unset(monkeypatch):
    for variable in DEFAULTS:
        monkeypatch.setenv(variable, "")
    assert CacheSettings.load() == CacheSettings.load(env_file=None)
    assert CacheSettings.load().namespace == "cache"


@pytest.mark.parametrize(
    "variable",
    [
        *("ENV", "NAMESPACE", "OPERATION_TIMEOUT", "LEASE_SECONDS", "LOAD_TIMEOUT", "STATS_FLUSH_SECONDS"),
        *("EXTRA_TYPES", "TYPES", "DATABASE", "DATABASE_URL", "LANGPLUG_DATABASE_URL", "DEBUG", "SECRET_KEY"),
        *(
            "REDIS",
            "REDIS_HOST",
            "REDIS_PASSWORD",
            "REDIS_TTL",
            "LANGCACHE",
            "LANGCACHE_STATE_DIR",
            "ADDRESS",
        ),
    ],
)
@pytest.mark.parametrize("where", ["environment", "file"])
def test_variables_of_other_programs_are_ignored(variable, where, monkeypatch):
    before = CacheSettings.load().model_dump()
    if where == "file":
        Path(".env").write_text(f"{variable}=nonsense\n")
    else:
        monkeypatch.setenv(variable, "nonsense")
    assert CacheSettings.load().model_dump() == before


BAD = [
    ("REDIS_ENABLED", "maybe", "valid boolean"),
    ("REDIS_TTL_DEFAULT", "0", "greater than or equal to 1"),
    ("REDIS_TTL_DEFAULT", "-1", "greater than or equal to 1"),
    ("REDIS_TTL_DEFAULT", "1.5", "valid integer"),
    ("REDIS_TTL_TRANSLATION", "1h", "valid integer"),
    ("REDIS_TTL_VOCABULARY", "99999999999", "less than or equal to 315360000"),
    ("LANGCACHE_ENV", "staging", "'dev' or 'prod'"),
    ("LANGCACHE_NAMESPACE", "a:b", "match pattern"),
    ("LANGCACHE_NAMESPACE", "a*", "match pattern"),
    ("LANGCACHE_NAMESPACE", "x" * 65, "match pattern"),
    ("LANGCACHE_NAMESPACE", "a\n", "match pattern"),
    ("LANGCACHE_OPERATION_TIMEOUT", "0", "greater than 0"),
    ("LANGCACHE_OPERATION_TIMEOUT", "61", "less than or equal to 60"),
    ("LANGCACHE_OPERATION_TIMEOUT", "nan", "less than or equal to 60"),
    ("LANGCACHE_OPERATION_TIMEOUT", "inf", "less than or equal to 60"),
    ("LANGCACHE_OPERATION_TIMEOUT", "fast", "valid number"),
    ("LANGCACHE_LEASE_SECONDS", "0.01", "greater than or equal to 0.1"),
    ("LANGCACHE_LOAD_TIMEOUT", "4000", "less than or equal to 3600"),
    ("LANGCACHE_STATS_FLUSH_SECONDS", "0", "greater than 0"),
]


@pytest.mark.parametrize(("variable", "text", "allowed"), BAD)
def test_an_invalid_variable_raises_an_error_with_its_name_value_and_allowed_values(
    variable, text, allowed, monkeypatch
):
    monkeypatch.setenv(variable, text)
    with pytest.raises(ConfigurationError) as caught:
        CacheSettings.load()
    message = str(caught.value)
    assert caught.value.variable == variable
    assert message.startswith(f"{variable}: ")
    assert allowed in message
    assert repr(text) in message
    assert "\n" not in message


@pytest.mark.parametrize(("variable", "text", "allowed"), BAD)
def test_an_invalid_argument_raises_the_same_error(variable, text, allowed):
    with pytest.raises(ConfigurationError, match=f"^{variable}: ") as caught:
        CacheSettings.load(**{DEFAULTS[variable][0]: text})
    assert allowed in str(caught.value)


class TestTypes:
    def test_types_have_the_ttls_of_the_settings(self):
        types = CacheSettings.load(redis_ttl_default=1, redis_ttl_translation=2, redis_ttl_vocabulary=3).types
        assert types["translation"].ttl_seconds == 2
        assert types["vocabulary"].ttl_seconds == 3
        assert types.of_prefix("quiz").ttl_seconds == 1

    def test_an_application_adds_types(self, monkeypatch):
        quiz = {"quiz": {"prefixes": ["quiz", "quiz_results"], "ttl": 600, "cleared_when": "a quiz ends"}}
        monkeypatch.setenv("LANGCACHE_TYPES", json.dumps(quiz))
        types = CacheSettings.load().types
        assert types.of_prefix("quiz_results").name == "quiz"
        assert types["quiz"].ttl_seconds == 600
        assert types["quiz"].cleared_when == "a quiz ends"
        assert "vocabulary" in types

    @pytest.mark.parametrize("text", ["{", "quiz", '{"quiz": }'])
    @pytest.mark.parametrize("where", ["environment", "file"])
    def test_text_that_is_not_json_is_an_error(self, text, where, monkeypatch):
        if where == "file":
            Path(".env").write_text(f"LANGCACHE_TYPES='{text}'\n")
        else:
            monkeypatch.setenv("LANGCACHE_TYPES", text)
        with pytest.raises(ConfigurationError, match=r"^LANGCACHE_TYPES is not valid JSON") as caught:
            CacheSettings.load()
        assert caught.value.variable == "LANGCACHE_TYPES"

    @pytest.mark.parametrize(
        ("value", "where"),
        [
            ({"quiz": {"prefixes": ["quiz"], "ttl": 0}}, "quiz.ttl"),
            ({"quiz": {"prefixes": ["a:b"], "ttl": 1}}, "quiz.prefixes.0"),
            ({"quiz": {"prefixes": ["a"]}}, "quiz.ttl"),
            ({"quiz": {"prefixes": ["a"], "ttl": 1, "ttk": 2}}, "quiz.ttk"),
            ({"a b": {"prefixes": ["a"], "ttl": 1}}, "a b"),
        ],
    )
    def test_an_error_inside_a_type_names_its_place(self, value, where, monkeypatch):
        monkeypatch.setenv("LANGCACHE_TYPES", json.dumps(value))
        with pytest.raises(ConfigurationError, match=re.escape(f"LANGCACHE_TYPES at {where}")):
            CacheSettings.load()


def test_settings_are_frozen():
    settings = CacheSettings.load()
    with pytest.raises(ValidationError):
        settings.namespace = "other"


@pytest.mark.parametrize(
    ("types", "problem"),
    [
        ('{"vocabulary": {"prefixes": ["words"], "ttl": 60}}', "the type 'vocabulary' is built in"),
        (
            '{"quiz": {"prefixes": ["episodes"], "ttl": 60}}',
            "the prefix 'episodes' belongs to the type 'video'",
        ),
        (
            '{"a": {"prefixes": ["p"], "ttl": 60}, "b": {"prefixes": ["p"], "ttl": 60}}',
            "the prefix 'p' belongs to the type 'a'",
        ),
    ],
)
def test_overlapping_cache_types_are_rejected(monkeypatch, types, problem):
    monkeypatch.setenv("LANGCACHE_TYPES", types)
    with pytest.raises(ConfigurationError, match=problem):
        CacheSettings.load(env_file=None)


def test_an_unknown_setting_is_refused_by_name():
    with pytest.raises(
        ConfigurationError, match="there is no setting 'redis_ulr'; there are redis_url, "
    ) as caught:
        CacheSettings.load(env_file=None, redis_ulr="redis://localhost")
    assert caught.value.variable == "redis_ulr"


def test_the_url_has_a_second_name(monkeypatch):
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setenv("LANGPLUG_REDIS_URL", "redis://second:1/0")
    assert CacheSettings.load(env_file=None).address.host == "second"
    monkeypatch.setenv("REDIS_URL", "redis://first:1/0")
    assert CacheSettings.load(env_file=None).address.host == "first"
    assert CacheSettings.load(env_file=None, redis_url="redis://third:1/0").address.host == "third"


def test_the_ttl_of_a_built_in_type_can_be_set():
    settings = CacheSettings.load(env_file=None, extra_types={"progress": {"ttl": 60}, "video": {"ttl": 5}})
    assert settings.types.of_prefix("user_stats").ttl_seconds == 60
    assert settings.types.of_prefix("episodes").ttl_seconds == 5
    assert settings.types.of_prefix("subtitles").ttl_seconds == 7200


@pytest.mark.parametrize(
    ("types", "message"),
    [
        ({"progress": {"ttl": 60, "prefixes": ["p"]}}, "'progress' is built in: only its ttl can be set"),
        ({"quiz": {"ttl": 60}}, "'quiz' needs prefixes"),
        ({"quiz": {"ttl": 60, "prefixes": []}}, "'quiz' needs prefixes"),
    ],
)
def test_a_type_has_prefixes_unless_it_is_built_in(types, message):
    with pytest.raises(ConfigurationError, match=message):
        CacheSettings.load(env_file=None, extra_types=types)
