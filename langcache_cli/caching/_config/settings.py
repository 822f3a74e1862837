"""Settings of the cache, from the environment and ``.env``.

Variables that backends already have (``REDIS_URL`` ...) keep their names; others begin with ``LANGCACHE_``.
An invalid value raises an error that names the variable, the value (unless secret) and what is allowed.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AliasChoices, BaseModel, Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from langcache_cli.caching._config.cache_types import CacheType, CacheTypes, builtin_types
from langcache_cli.caching._config.env_file import (
    IMPLICIT,
    EnvFileSettings,
    file_values,
    line_numbers,
    offered,
)
from langcache_cli.caching._config.misspelt import Misspelling, misspellings
from langcache_cli.caching._config.names import NAME_PATTERN
from langcache_cli.caching._config.redis_address import RedisAddress
from langcache_cli.caching._config.redis_target import RedisTarget
from langcache_cli.caching._errors import ConfigurationError

TEN_YEARS_SECONDS = 10 * 365 * 24 * 3600
"""Upper bound of every TTL: longer ones are mistakes in the unit, and Redis rejects millisecond overflows."""

_log = logging.getLogger(__name__)
_warned_of: set[str] = set()
_OF_THE_COMMAND = {"LANGCACHE_STATE_DIR", "DATABASE_URL", "LANGPLUG_DATABASE_URL"}

Settings = TypeVar("Settings", bound=BaseSettings)

Name = Annotated[str, Field(pattern=f"^{NAME_PATTERN}$")]
Seconds = Annotated[int, Field(ge=1, le=TEN_YEARS_SECONDS)]


class TypeSettings(BaseModel, frozen=True, extra="forbid"):
    """One value in ``LANGCACHE_TYPES``: the prefixes of a type and its TTL in seconds.

    Of a type that is built in only the TTL can be set.
    """

    prefixes: tuple[Name, ...] = ()
    ttl: Seconds
    cleared_when: str = ""


class CacheSettings(EnvFileSettings):
    """Settings of a `Cache`. Frozen; secrets are masked in ``repr``.

    Create them with `load`. Fields passed by name override the environment, which overrides ``.env`` in the
    working directory. (With the constructor, older pydantic-settings prefer the environment.)
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
        default=SecretStr("redis://:dev_redis_password@localhost:6379/0"),
        validation_alias=AliasChoices("REDIS_URL", "LANGPLUG_REDIS_URL"),
    )
    redis_enabled: bool = Field(default=True, validation_alias="REDIS_ENABLED")
    redis_ttl_default: Seconds = Field(default=3600, validation_alias="REDIS_TTL_DEFAULT")
    redis_ttl_translation: Seconds = Field(default=86400, validation_alias="REDIS_TTL_TRANSLATION")
    redis_ttl_vocabulary: Seconds = Field(default=3600, validation_alias="REDIS_TTL_VOCABULARY")
    # The fields below get their variable from env_prefix. With an alias, `populate_by_name` would also read
    # ENV and NAMESPACE, which mean something else on most machines.
    env: Literal["dev", "prod"] | None = None
    namespace: Name = "cache"
    operation_timeout: float = Field(default=0.25, gt=0, le=60)
    """Maximum delay in seconds that the cache may add to one call, connecting included."""
    lease_seconds: float = Field(default=2.0, ge=0.1, le=300)
    """Seconds after the last renewal of a lease until another process may start the load again."""
    load_timeout: float = Field(default=30.0, ge=0.1, le=3600)
    """Seconds after which a running load loses its lease. The load itself is not interrupted."""
    ttl_jitter: float = Field(default=0.05, ge=0, le=0.5)
    """Each TTL is shortened by a random fraction up to this one: entries do not all expire at once."""
    compress_bytes: int = Field(default=8192, ge=0, le=2**30)
    """Compress values whose JSON has at least this many bytes, with Zstandard; 0 disables compression."""
    max_decompressed_bytes: int = Field(default=32 * 1024 * 1024, ge=1024 * 1024, le=2**30)
    """Entries that become longer JSON are not decompressed; longer values are stored uncompressed. Values of
    more than one list or object for 16 of these bytes are neither stored nor read."""
    near_cache_bytes: int = Field(default=16 * 1024 * 1024, ge=0, le=2**40)
    """Upper bound for the memory of the near cache, for each event loop; 0 disables near caching."""
    stats_flush_seconds: float = Field(default=5.0, gt=0, le=3600)
    """Interval at which each process adds its counters to those in Redis."""
    hot_keys: bool = True
    """Whether each process samples which keys are asked for most often, and adds them to those in Redis."""
    log_values: bool = False
    """Whether log lines may show values and messages of errors: off, they show types and names of fields."""
    extra_types: dict[Name, TypeSettings] = Field(default={}, validation_alias="LANGCACHE_TYPES")
    """Additional cache types, and TTLs of those that are built in, as JSON:
    ``{"quiz": {"prefixes": ["quiz"], "ttl": 600}, "progress": {"ttl": 60}}``."""

    @field_validator("extra_types")
    @classmethod
    def _types_do_not_overlap(cls, value: dict[str, TypeSettings]) -> dict[str, TypeSettings]:
        """Reject a prefix in two types: it would be cleared with one of them and counted with the other."""
        owners = {prefix: item.name for item in builtin_types() for prefix in item.prefixes}
        for name, item in value.items():
            is_builtin = name in {one.name for one in builtin_types()}
            if is_builtin and item.prefixes:
                raise ValueError(f"the type {name!r} is built in: only its ttl can be set")
            if not is_builtin and not item.prefixes:
                raise ValueError(f"the type {name!r} needs prefixes")
            for prefix in item.prefixes:
                if owners.setdefault(prefix, name) != name:
                    raise ValueError(f"the prefix {prefix!r} belongs to the type {owners[prefix]!r}")
        return value

    @field_validator("redis_url")
    @classmethod
    def _redis_url_can_be_parsed(cls, value: SecretStr) -> SecretStr:
        RedisTarget.parse(value.get_secret_value())
        return value

    @classmethod
    def load(cls, *, env_file: Path | str | None = IMPLICIT, **overrides: Any) -> Self:
        """Read the settings.

        Args:
            env_file: A file of ``NAME=value`` lines, overridden by the environment. It has to be there; left
                out, ``.env`` in the working directory is read if it is there; None reads no file.
            overrides: Fields by name; they override the environment.

        Raises:
            ConfigurationError: A value is invalid, a setting is unknown, or the file cannot be read.
        """
        return load_settings(cls, env_file=env_file, **overrides)

    @cached_property
    def address(self) -> RedisAddress:
        """The one server that ``redis_url`` names; its ``str()`` is safe to log.

        Raises:
            ConfigurationError: It names a cluster, or a service behind Sentinel; see `target`.
        """
        if self.target.kind != "one":
            raise ConfigurationError(
                f"REDIS_URL names several servers, {self.target}, where one is needed: write redis://host:6379/0",
                variable="REDIS_URL",
            )
        return self.target.server

    @cached_property
    def target(self) -> RedisTarget:
        """What ``redis_url`` names: a server, a cluster, or a service; its ``str()`` is safe to log."""
        return RedisTarget.parse(self.redis_url.get_secret_value()).holding(self.namespace)

    @cached_property
    def types(self) -> CacheTypes:
        """The built-in cache types and those of ``LANGCACHE_TYPES``."""
        builtin = builtin_types(
            translation_ttl=self.redis_ttl_translation, vocabulary_ttl=self.redis_ttl_vocabulary
        )
        extra = [
            CacheType(name, item.prefixes, item.ttl, item.cleared_when)
            for name, item in self.extra_types.items()
            if item.prefixes
        ]
        own_ttls = {name: item.ttl for name, item in self.extra_types.items()}
        timed = [replace(one, ttl_seconds=own_ttls.get(one.name, one.ttl_seconds)) for one in builtin]
        return CacheTypes([*timed, *extra], default_ttl_seconds=self.redis_ttl_default)


def load_settings(kind: type[Settings], *, env_file: Path | str | None, **overrides: Any) -> Settings:
    """Create settings of class ``kind``.

    Args:
        kind: An `EnvFileSettings` class; messages omit the values of its `SecretStr` fields.
        env_file: See `CacheSettings.load`.
        overrides: Fields by name.

    Raises:
        ConfigurationError: A value is invalid, or the file cannot be read or parsed.
    """
    _require_known(kind, overrides)
    values = file_values(env_file)
    _warn_of_unknown_names(env_file)
    found = _settings_or_problems(kind, values, overrides)
    if isinstance(found, list):
        raise found[0]
    return found


def settings_problems(
    kind: type[BaseSettings], *, env_file: Path | str | None, **overrides: Any
) -> list[ConfigurationError]:
    """All that is wrong with settings, where `load_settings` raises the first of it.

    Raises:
        ConfigurationError: The file cannot be read or parsed.
    """
    found = _settings_or_problems(kind, file_values(env_file), overrides)
    return found if isinstance(found, list) else []


def _settings_or_problems(
    kind: type[Settings], values: Mapping[str, str], overrides: Mapping[str, Any]
) -> Settings | list[ConfigurationError]:
    try:
        with offered(values):
            return kind(_env_file=None, **{_alias(kind, name): value for name, value in overrides.items()})
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False)
        return [_configuration_error(kind, problem) for problem in problems]
    except SettingsError as error:
        field = re.search(r'field "(\w+)"', str(error))
        variable = variable_of(kind, field[1] if field else "")
        return [ConfigurationError(f"{variable} is not valid JSON", variable=variable)]


def _require_known(kind: type[BaseSettings], overrides: Mapping[str, Any]) -> None:
    known = {name: None for field, item in kind.model_fields.items() for name in (field, *_aliases(item))}
    if unknown := [name for name in overrides if name not in known]:
        raise ConfigurationError(
            f"there is no setting {unknown[0]!r}; there are {', '.join(kind.model_fields)}",
            variable=unknown[0],
        )


def misspelt_settings(env_file: Path | str | None) -> list[Misspelling]:
    """Variables in the environment or the file that look like settings and are none, and where each stands.

    Raises:
        ConfigurationError: The file cannot be read.
    """
    fields = CacheSettings.model_fields
    known = {name.upper() for field in fields for name in variables_of(CacheSettings, field)}
    return misspellings(line_numbers(env_file), env_file, known | _OF_THE_COMMAND)


def _warn_of_unknown_names(env_file: Path | str | None) -> None:
    """Log each of them once in a process."""
    for one in misspelt_settings(env_file):
        if one.name not in _warned_of:
            _warned_of.add(one.name)
            _log.warning("%s (%s)", one.message, one.place)


def _configuration_error(kind: type[BaseSettings], problem: ErrorDetails) -> ConfigurationError:
    name, *inside = (str(part) for part in problem["loc"] or ("settings",))
    variable = variable_of(kind, name)
    where = f"{variable} at {'.'.join(inside)}" if inside else variable
    shown = "" if _is_secret(kind, name) else f" (got {problem['input']!r})"
    message = problem["msg"].removeprefix("Value error, ")
    return ConfigurationError(f"{where}: {message}{shown}", variable=variable)


def _is_secret(kind: type[BaseSettings], name: str) -> bool:
    """True if a field holds a secret, and for names that belong to no field."""
    return all(
        field.annotation in (SecretStr, SecretStr | None)
        for field_name, field in kind.model_fields.items()
        if name == field_name or name in _aliases(field)
    )


def variable_of(kind: type[BaseSettings], name: str) -> str:
    """The environment variable of a field, given the field's name or one of its aliases."""
    if name not in kind.model_fields:
        return name
    alias = _alias(kind, name)
    return alias if alias != name else f"{kind.model_config.get('env_prefix', '')}{name}".upper()


def variables_of(kind: type[BaseSettings], name: str) -> list[str]:
    """The variables that a field is read from, the first that is set before others."""
    return _aliases(kind.model_fields[name]) or [variable_of(kind, name)]


def _alias(kind: type[BaseSettings], name: str) -> str:
    """The alias of a field, if any: older pydantic-settings rank the plain name below the environment."""
    field = kind.model_fields.get(name)
    return next(iter(_aliases(field)), name) if field else name


def _aliases(field: FieldInfo) -> list[str]:
    alias = field.validation_alias
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    return [choice for choice in choices if isinstance(choice, str)]
