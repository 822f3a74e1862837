"""Files of ``NAME=value`` lines: read once, checked, and given to pydantic-settings."""

from __future__ import annotations

import io
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Final

from dotenv import dotenv_values
from dotenv.parser import Binding, parse_stream
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource

from langcache_cli.caching._errors import ConfigurationError


class ImplicitFile(str):
    """The name of a settings file that nobody gave.

    It may be missing, or a folder such as a virtual environment. It is the file of a whole application, whose
    other lines are not checked. A file that somebody names is never one of these, whatever its name.
    """

    __slots__ = ()


IMPLICIT: Final = ImplicitFile(".env")
"""Read where no file is named."""

_OURS = re.compile(r"\b(REDIS_|LANGCACHE_|DATABASE_URL|LANGPLUG_)")

_pipes: dict[str, str] = {}
"""What was read from files that can be read only once, by path."""

_values: ContextVar[Mapping[str, str] | None] = ContextVar("langcache_env_file", default=None)


class EnvFileSettings(BaseSettings):
    """Settings whose file can be a pipe; see `offered`."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The usual sources in the usual order, with the values of `offered` in the place of the file."""
        values = _values.get()
        if values is not None:
            source = EnvSettingsSource(settings_cls)
            source.env_vars = {name.lower(): value for name, value in values.items() if value}
            dotenv_settings = source
        return init_settings, env_settings, dotenv_settings, file_secret_settings


@contextmanager
def offered(values: Mapping[str, str]) -> Iterator[None]:
    """Inside, `EnvFileSettings` are read from these values instead of a file."""
    token = _values.set(values)
    try:
        yield
    finally:
        _values.reset(token)


def file_values(env_file: Path | str | None) -> dict[str, str]:
    """The values of a file, with ``${NAME}`` replaced; empty for None and for `IMPLICIT` if it is not there.

    Raises:
        ConfigurationError: The file cannot be read, or a line cannot be parsed. The message says which line;
            it does not repeat it. In `IMPLICIT`, only lines that name a setting of ours count.
    """
    if env_file is None:
        return {}
    explicit = not isinstance(env_file, ImplicitFile)
    text = _text(Path(env_file).expanduser(), explicit=explicit)
    if text is None:
        return {}
    for binding in parse_stream(io.StringIO(text)):
        line = binding.original.string
        is_bare = binding.key is not None and binding.value is None
        if (binding.error or is_bare) and (explicit or _OURS.search(line)):
            raise ConfigurationError(
                f"{env_file}, line {_line_number(binding)}: this is not NAME=value, or a quote is not closed",
                variable=str(env_file),
            )
    return {name: value for name, value in dotenv_values(stream=io.StringIO(text)).items() if value}


def line_numbers(env_file: Path | str | None) -> dict[str, int]:
    """The lines of a file that set a name, as `file_values` reads it; the last one counts.

    Raises:
        ConfigurationError: The file cannot be read.
    """
    text = None
    if env_file is not None:
        text = _text(Path(env_file).expanduser(), explicit=not isinstance(env_file, ImplicitFile))
    bindings = parse_stream(io.StringIO(text or ""))
    return {one.key: _line_number(one) for one in bindings if one.key is not None and one.value}


def _line_number(binding: Binding) -> int:
    """The line that a binding begins in: empty lines before it are part of it."""
    line = binding.original.string
    before = line[: len(line) - len(line.lstrip())]
    return binding.original.line + len(before.split("\n")) - 1


def _text(path: Path, *, explicit: bool) -> str | None:
    """The text of a file; None if it is not explicit, and is not there or a folder."""
    key = str(path)
    if key in _pipes:
        return _pipes[key]
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode) and not explicit:
            return None
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        if not explicit and isinstance(error, FileNotFoundError):
            return None
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        advice = "; name a file that can be read, or none" if explicit else ""
        raise ConfigurationError(
            f"the settings file {path} cannot be read: {reason}{advice}",
            variable="--env-file" if explicit else str(path),
        ) from None
    if not stat.S_ISREG(mode):
        _pipes[key] = text
    return text
