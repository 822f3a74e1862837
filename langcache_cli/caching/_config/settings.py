"""Settings of the cache, from the environment and ``.env``.

The names of the backend (``REDIS_URL`` ...) are kept; what is new begins with ``LANGCACHE_``.
A bad value fails at once, naming the variable, the value (unless it is a secret) and what is allowed.
"""

from __future__ import annotations

import os
import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AliasChoices, BaseModel, Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from langcache_cli.caching._config.cache_types import CacheType, CacheTypes, builtin_types
from langcache_cli.caching._config.redis_address import RedisAddress
from langcache_cli.caching._errors import ConfigurationError

NAME = r"[A-Za-z0-9_.-]{1,64}"
"""What a namespace, a prefix or a type may be called: nothing that a key or a pattern treats specially."""

TEN_YEARS_SECONDS = 10 * 365 * 24 * 3600
"""Longer is a mistake in the unit; Redis itself refuses times that overflow milliseconds."""

Settings = TypeVar("Settings", bound=BaseSettings)

Name = Annotated[str, Field(pattern=f"^{NAME}$")]
Seconds = Annotated[int, Field(ge=1, le=TEN_YEARS_SECONDS)]


class TypeSettings(BaseModel, frozen=True, extra="forbid"):
    """One entry of ``LANGCACHE_TYPES``: the prefixes of a type and its TTL in seconds."""

    prefixes: tuple[Name, ...] = Field(min_length=1)
    ttl: Seconds
    cleared_when: str = ""


class CacheSettings(BaseSettings):
    """What a `Cache` needs to know. Frozen; secrets are masked in ``repr``.

    Make them with `load`: fields given by name, those that are not from the environment, then from
    ``.env`` in the working folder. (Called directly, older pydantic-settings let the environment win.)
    """

    model_config = SettingsConfigDict(
        env_file=".env",
        env_ignore_empty=True,
        env_prefix="LANGCACHE_",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        populate_by_name=True,
    )

    redis_url: SecretStr = Field(
        default=SecretStr("redis://:dev_redis_password@localhost:6379/0"), validation_alias="REDIS_URL"
    )
    redis_enabled: bool = Field(default=True, validation_alias="REDIS_ENABLED")
    redis_ttl_default: Seconds = Field(default=3600, validation_alias="REDIS_TTL_DEFAULT")
    redis_ttl_translation: Seconds = Field(default=86400, validation_alias="REDIS_TTL_TRANSLATION")
    redis_ttl_vocabulary: Seconds = Field(default=3600, validation_alias="REDIS_TTL_VOCABULARY")
    # The others are LANGCACHE_ and their name. No alias for them: next to one, `populate_by_name` would
    # take ENV and NAMESPACE as well, which mean something else on most machines.
    env: Literal["dev", "prod"] | None = None
    namespace: Name = "cache"
    operation_timeout: float = Field(default=0.25, gt=0, le=60)
    """Seconds that the cache may add to one call, connecting included."""
    lease_seconds: float = Field(default=2.0, ge=0.1, le=300)
    """How long a load may go without a sign of life before others may take over."""
    load_timeout: float = Field(default=30.0, ge=0.1, le=3600)
    """Seconds after which a load that still runs loses its lease. The load itself is not interrupted."""
    ttl_jitter: float = Field(default=0.05, ge=0, le=0.5)
    """Each TTL is shorter by up to this part, at random: what is stored together does not end together."""
    compress_bytes: int = Field(default=8192, ge=0, le=2**30)
    """Values that take more as JSON are stored compressed; 0 for none."""
    near_cache_bytes: int = Field(default=16 * 1024 * 1024, ge=0, le=2**40)
    """Memory for entries of functions with a ``local_ttl``, in each event loop; 0 for none."""
    stats_flush_seconds: float = Field(default=5.0, gt=0, le=3600)
    extra_types: dict[Name, TypeSettings] = Field(default={}, validation_alias="LANGCACHE_TYPES")
    """More cache types, as JSON: ``{"quiz": {"prefixes": ["quiz"], "ttl": 600}}``."""

    @field_validator("extra_types")
    @classmethod
    def _types_do_not_overlap(cls, value: dict[str, TypeSettings]) -> dict[str, TypeSettings]:
        """A prefix in two types would be cleared with one of them and counted with the other."""
        owners = {prefix: item.name for item in builtin_types() for prefix in item.prefixes}
        for name, item in value.items():
            if name in owners.values():
                raise ValueError(f"the type {name!r} is built in")
            for prefix in item.prefixes:
                if owners.setdefault(prefix, name) != name:
                    raise ValueError(f"the prefix {prefix!r} belongs to the type {owners[prefix]!r}")
        return value

    @field_validator("redis_url")
    @classmethod
    def _redis_url_can_be_parsed(cls, value: SecretStr) -> SecretStr:
        RedisAddress.parse(value.get_secret_value())
        return value

    @classmethod
    def load(cls, *, env_file: Path | str | None = ".env", **overrides: Any) -> Self:
        """Read the settings, with errors that say what to change.

        Args:
            env_file: A file of ``NAME=value`` lines that the environment overrides; None for none.
            overrides: Fields by name; they win over the environment.

        Raises:
            ConfigurationError: A value is not allowed, or the file cannot be read.
        """
        return load_settings(cls, env_file=env_file, **overrides)

    @cached_property
    def address(self) -> RedisAddress:
        """``redis_url``, taken apart; ``str()`` of it is safe to show."""
        return RedisAddress.parse(self.redis_url.get_secret_value())

    @cached_property
    def types(self) -> CacheTypes:
        """The cache types: those every installation has, and those of ``LANGCACHE_TYPES``."""
        builtin = builtin_types(
            translation_ttl=self.redis_ttl_translation, vocabulary_ttl=self.redis_ttl_vocabulary
        )
        extra = [
            CacheType(name, item.prefixes, item.ttl, item.cleared_when)
            for name, item in self.extra_types.items()
        ]
        return CacheTypes([*builtin, *extra], default_ttl_seconds=self.redis_ttl_default)


def load_settings(kind: type[Settings], *, env_file: Path | str | None, **overrides: Any) -> Settings:
    """Build settings of ``kind``, turning every failure into a `ConfigurationError`.

    Args:
        kind: A settings class; fields typed `SecretStr` are never shown.
        env_file: See `CacheSettings.load`.
        overrides: Fields by name.
    """
    if env_file not in (None, ".env") and not os.access(Path(env_file), os.R_OK):
        raise ConfigurationError(f"the settings file {env_file} cannot be read", variable="--env-file")
    try:
        return kind(_env_file=env_file, **{_alias(kind, name): value for name, value in overrides.items()})
    except ValidationError as error:
        raise _explain(kind, error) from None
    except SettingsError as error:
        field = re.search(r'field "(\w+)"', str(error))
        variable = _variable(kind, field[1] if field else "")
        raise ConfigurationError(f"{variable} is not valid JSON", variable=variable) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{env_file} cannot be read: {error}", variable=str(env_file)) from None


def _explain(kind: type[BaseSettings], error: ValidationError) -> ConfigurationError:
    problem = error.errors(include_url=False, include_context=False)[0]
    name, *inside = (str(part) for part in problem["loc"] or ("settings",))
    variable = _variable(kind, name)
    where = f"{variable} at {'.'.join(inside)}" if inside else variable
    shown = "" if _is_secret(kind, name) else f" (got {problem['input']!r})"
    message = problem["msg"].removeprefix("Value error, ")
    return ConfigurationError(f"{where}: {message}{shown}", variable=variable)


def _is_secret(kind: type[BaseSettings], name: str) -> bool:
    """Whether a field holds a secret; when in doubt it does."""
    return all(
        field.annotation in (SecretStr, SecretStr | None)
        for field_name, field in kind.model_fields.items()
        if name == field_name or name in _aliases(field)
    )


def _variable(kind: type[BaseSettings], name: str) -> str:
    """The environment variable of a field, given the field's name or one of its aliases."""
    if name not in kind.model_fields:
        return name
    alias = _alias(kind, name)
    return alias if alias != name else f"{kind.model_config.get('env_prefix', '')}{name}".upper()


def _alias(kind: type[BaseSettings], name: str) -> str:
    """The name of a field outside; older pydantic-settings rank its own name below the environment."""
    field = kind.model_fields.get(name)
    return next(iter(_aliases(field)), name) if field else name


def _aliases(field: FieldInfo) -> list[str]:
    alias = field.validation_alias
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    return [choice for choice in choices if isinstance(choice, str)]
