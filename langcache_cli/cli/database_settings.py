"""Where the vocabulary database is."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import SettingsConfigDict

from langcache_cli.caching.tooling import IMPLICIT, EnvFileSettings, load_settings


class DatabaseSettings(EnvFileSettings):
    """``DATABASE_URL``, or ``LANGPLUG_DATABASE_URL`` as the backend calls it."""

    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True, populate_by_name=True
    )

    database_url: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("DATABASE_URL", "LANGPLUG_DATABASE_URL")
    )

    @classmethod
    def load(cls, *, env_file: Path | str | None = IMPLICIT, **overrides: Any) -> Self:
        """Read the settings; see `langcache_cli.caching.CacheSettings.load`."""
        return load_settings(cls, env_file=env_file, **overrides)
