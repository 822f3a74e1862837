"""Secrets in settings: masked in every text form and every error."""

import re
import traceback

import pytest
from pydantic import AliasChoices, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from langcache_cli.caching import CacheSettings, ConfigurationError
from langcache_cli.caching.tooling import load_settings

PASSWORD = "hunter2-secret"


class TestSecrets:
    URL = f"redis://user:{PASSWORD}@host:6379/0"
    BROKEN = (f"redis://:{PASSWORD}@host:port", f"http://:{PASSWORD}@host", f"redis://h/{PASSWORD}", PASSWORD)

    def test_no_text_form_contains_the_password(self):
        settings = CacheSettings.load(redis_url=self.URL)
        assert settings.address.password == PASSWORD
        shown = [
            repr(settings),
            str(settings),
            str(settings.model_dump()),
            settings.model_dump_json(),
            repr(settings.address),
            str(settings.address),
            repr(settings.types),
        ]
        assert not [text for text in shown if PASSWORD in text]

    def test_no_text_form_contains_the_password_after_the_address_was_cached(self):
        settings = CacheSettings.load(redis_url=self.URL)
        _ = settings.address, settings.types
        assert PASSWORD not in f"{settings!r}{settings}{settings.model_dump()}{vars(settings)}"

    @pytest.mark.parametrize("url", BROKEN)
    @pytest.mark.parametrize("by_name", [True, False])
    def test_the_error_for_an_invalid_url_and_its_traceback_omit_the_password(
        self, url, by_name, monkeypatch
    ):
        monkeypatch.setenv("REDIS_URL", "" if by_name else url)
        with pytest.raises(ConfigurationError) as caught:
            CacheSettings.load(**({"redis_url": url} if by_name else {}))
        assert str(caught.value).startswith("REDIS_URL: ")
        assert caught.value.variable == "REDIS_URL"
        assert PASSWORD not in "".join(traceback.format_exception(caught.value))

    @pytest.mark.parametrize("url", BROKEN)
    def test_the_pydantic_error_omits_the_password(self, url):
        with pytest.raises(ValidationError) as caught:
            CacheSettings(redis_url=url)
        assert PASSWORD not in str(caught.value)

    @pytest.mark.parametrize("variable", ["DATABASE_URL", "LANGPLUG_DATABASE_URL"])
    def test_a_secret_with_two_aliases_is_masked_under_both(self, variable, monkeypatch):
        class Database(BaseSettings):
            model_config = SettingsConfigDict(extra="ignore", populate_by_name=True)
            database_url: SecretStr | None = Field(
                default=None,
                min_length=40,
                validation_alias=AliasChoices("DATABASE_URL", "LANGPLUG_DATABASE_URL"),
            )

        monkeypatch.setenv(variable, PASSWORD)
        with pytest.raises(ConfigurationError) as caught:
            load_settings(Database, env_file=None)
        assert PASSWORD not in str(caught.value)
        assert re.match(r"(LANGPLUG_)?DATABASE_URL: ", str(caught.value))
        monkeypatch.delenv(variable)
        with pytest.raises(ConfigurationError) as caught:
            load_settings(Database, env_file=None, database_url=PASSWORD)
        assert PASSWORD not in str(caught.value)

    @pytest.mark.parametrize("variable", ["DATABASE_URL", "LANGPLUG_DATABASE_URL"])
    def test_a_field_with_two_aliases_passed_by_name_overrides_both(self, variable, monkeypatch):
        class Database(BaseSettings):
            model_config = SettingsConfigDict(extra="ignore", populate_by_name=True)
            database_url: str = Field(validation_alias=AliasChoices("DATABASE_URL", "LANGPLUG_DATABASE_URL"))

        monkeypatch.setenv(variable, "environment")
        assert load_settings(Database, env_file=None).database_url == "environment"
        assert load_settings(Database, env_file=None, database_url="given").database_url == "given"

    def test_an_error_of_a_model_validator_shows_no_values(self, monkeypatch):
        class Pair(BaseSettings):
            first: SecretStr = SecretStr(PASSWORD)

            @model_validator(mode="after")
            def _never(self) -> "Pair":
                raise ValueError("these do not go together")

        monkeypatch.setenv("first", PASSWORD)
        with pytest.raises(ConfigurationError, match="these do not go together") as caught:
            load_settings(Pair, env_file=None)
        assert PASSWORD not in str(caught.value)
