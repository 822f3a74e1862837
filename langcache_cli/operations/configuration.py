"""The settings in effect, where each comes from, and what is wrong with them. Asks no server."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, SecretStr

from langcache_cli.caching import ConfigurationError
from langcache_cli.caching.tooling import (
    EnvFileSettings,
    RedisTarget,
    file_values,
    line_numbers,
    load_settings,
    misspelt_settings,
    settings_problems,
    variables_of,
)
from langcache_cli.state_dir import NoStateFolderError, default_state_dir

STATE_DIR = "LANGCACHE_STATE_DIR"
"""Read by the command alone; in no class of settings."""

_USER_AND_PASSWORD = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*://)(?:.*@)?([^?]*).*$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value comes from.

    Attributes:
        kind: Which place; earlier ones in this list win.
        name: The option, or the variable as it is spelt there; empty for a default.
        file: The settings file, or that of ``--url-file``; empty if there is none.
        line: Of the file; 0 if there is none.
    """

    kind: Literal["command line", "environment", "file", "default"]
    name: str = ""
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        if self.kind == "file":
            return f"{self.file}, line {self.line}"
        if self.kind == "command line":
            return f"{self.name} {self.file}".strip()
        return self.kind


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Attributes:
        name: Its variable.
        value: In effect, as text; without secrets, empty if it is not set.
        origin: Where it comes from.
        overruled: Other places that set it, in vain.
    """

    name: str
    value: str
    origin: Origin
    overruled: tuple[Origin, ...] = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong.

    Attributes:
        variable: Of which setting.
        message: What.
        origin: Where its value stands.
    """

    variable: str
    message: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class Sources:
    """What settings are read from, besides the environment.

    Attributes:
        env_file: The settings file.
        given: Values of the command line, by field.
        options: The options that they come from, by field.
    """

    env_file: Path | str
    given: Mapping[str, Any]
    options: Mapping[str, Origin]


def settings_in_effect(kinds: Sequence[type[EnvFileSettings]], sources: Sources) -> list[Setting]:
    """All settings, in the order of their classes.

    Raises:
        ConfigurationError: One is invalid; the message names its place. Or the file cannot be read.
    """
    found = []
    for kind in kinds:
        given = _of_kind(kind, sources.given)
        try:
            settings = load_settings(kind, env_file=sources.env_file, **given)
        except ConfigurationError as error:
            raise _with_place(error, kind, sources) from None
        for field in kind.model_fields:
            name = variables_of(kind, field)[0]
            value = _text(field, getattr(settings, field))
            origin, *overruled = _origins(kind, field, sources)
            found.append(Setting(_upper(name, kind, field), value, origin, tuple(overruled)))
    return [*found, _state_dir(sources)]


def problems_of(kinds: Sequence[type[EnvFileSettings]], sources: Sources) -> list[Problem]:
    """All that is wrong with the settings, names that are none among it.

    Raises:
        ConfigurationError: The file cannot be read or parsed.
    """
    found = []
    for kind in kinds:
        for error in settings_problems(kind, env_file=sources.env_file, **_of_kind(kind, sources.given)):
            found.append(Problem(error.variable, str(error), _place_of(error, kind, sources)))  # noqa: PERF401
    found += [
        Problem(one.name, one.message, _of_names([one.name], sources))
        for one in misspelt_settings(sources.env_file)
    ]
    return [*found, *_database_problems(kinds, sources)]


def _database_problems(kinds: Sequence[type[EnvFileSettings]], sources: Sources) -> Iterator[Problem]:
    """What is wrong with the URL of the database, which is parsed when it is first used."""
    kind = next((one for one in kinds if "database_url" in one.model_fields), None)
    if kind is None or settings_problems(kind, env_file=sources.env_file):
        return
    url: SecretStr | None = getattr(load_settings(kind, env_file=sources.env_file), "database_url", None)
    if url is None:
        return
    from langcache_cli.vocabulary import Database, DatabaseConfigurationError  # noqa: PLC0415 - SQLAlchemy is slow

    try:
        Database(url.get_secret_value())
    except DatabaseConfigurationError as error:
        yield Problem("DATABASE_URL", f"DATABASE_URL: {error}", _origin(kind, "database_url", sources))


def _of_kind(kind: type[EnvFileSettings], given: Mapping[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in given.items() if field in kind.model_fields}


def _upper(name: str, kind: type[EnvFileSettings], field: str) -> str:
    """A variable in capitals; one without an alias is made of the name of its field."""
    return f"{kind.model_config.get('env_prefix', '')}{field}".upper() if name == field else name.upper()


def _place_of(error: ConfigurationError, kind: type[EnvFileSettings], sources: Sources) -> Origin:
    """Where the value stands that an error is about; the default if it is about no setting."""
    fields = {_upper(variables_of(kind, field)[0], kind, field): field for field in kind.model_fields}
    field = fields.get(error.variable.upper())
    return Origin("default") if field is None else _origin(kind, field, sources)


def _with_place(
    error: ConfigurationError, kind: type[EnvFileSettings], sources: Sources
) -> ConfigurationError:
    place = _place_of(error, kind, sources)
    if place.kind == "default":
        return error
    return ConfigurationError(f"{error} ({place})", variable=error.variable)


def _origin(kind: type[EnvFileSettings], field: str, sources: Sources) -> Origin:
    return _origins(kind, field, sources)[0]


def _origins(kind: type[EnvFileSettings], field: str, sources: Sources) -> list[Origin]:
    """All places that set a field, the one that counts first."""
    names = [_upper(name, kind, field) for name in variables_of(kind, field)]
    given = [sources.options[field]] if field in sources.given else []
    found = [*given, *_places(names, sources)]
    return found or [Origin("default")]


def _of_names(names: Sequence[str], sources: Sources) -> Origin:
    """The first place that sets one of some variables."""
    return next(_places(names, sources), Origin("default"))


def _places(names: Sequence[str], sources: Sources) -> Iterator[Origin]:
    """The places that set one of some variables; names are not case-sensitive, empty values unset."""
    for name in names:
        for variable, value in os.environ.items():
            if variable.upper() == name and value:
                yield Origin("environment", variable)
    lines = {name.upper(): (name, line) for name, line in line_numbers(sources.env_file).items()}
    for name in names:
        if name in lines:
            spelt, line = lines[name]
            yield Origin("file", spelt, str(sources.env_file), line)


def _state_dir(sources: Sources) -> Setting:
    try:
        value = str(default_state_dir(file_values(sources.env_file).get(STATE_DIR)))
    except NoStateFolderError:  # of a user without a home; few commands need the folder
        value = ""
    origin, *overruled = [*_places([STATE_DIR], sources)] or [Origin("default")]
    return Setting(STATE_DIR, value, origin, tuple(overruled))


def _text(field: str, value: Any) -> str:
    """A value as its variable would have it, without secrets."""
    if isinstance(value, SecretStr):
        secret = value.get_secret_value()
        return str(RedisTarget.parse(secret)) if field == "redis_url" else without_secrets(secret)
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return json.dumps({name: _plain(item) for name, item in value.items()}, ensure_ascii=False)
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _plain(item: Any) -> Any:
    return item.model_dump(mode="json", exclude_defaults=True) if isinstance(item, BaseModel) else item


def without_secrets(url: str) -> str:
    """A URL of a database without its user, password and options; hides more of it where it is malformed."""
    if url.startswith("sqlite") and "@" not in url:
        return url
    parts = _USER_AND_PASSWORD.match(url.strip())
    if parts is None:
        return "***"
    return f"{parts[1]}{'***@' if '@' in url else ''}{parts[2]}"
