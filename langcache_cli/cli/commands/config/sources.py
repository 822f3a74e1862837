"""What the settings of a run are read from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langcache_cli.cli.invocation import Invocation

if TYPE_CHECKING:
    from langcache_cli.caching.tooling import EnvFileSettings
    from langcache_cli.operations.configuration import Origin, Sources

OPTIONS = {"redis_url": "--url-file", "namespace": "--namespace", "operation_timeout": "--timeout"}
"""Of the command line, by the setting that they are given for."""


def kinds_of_settings() -> list[type[EnvFileSettings]]:
    """The classes whose fields are the settings."""
    from langcache_cli.caching import CacheSettings  # noqa: PLC0415 - see the package
    from langcache_cli.cli.database_settings import DatabaseSettings  # noqa: PLC0415 - as above

    return [CacheSettings, DatabaseSettings]


def sources_of(invocation: Invocation) -> Sources:
    """The file and the options of a run.

    Without ``--timeout`` the timeout is the application's, not the longer one of the command.

    Raises:
        ConfigurationError: A file cannot be read.
    """
    from langcache_cli.operations.configuration import Origin, Sources  # noqa: PLC0415 - as above

    given: dict[str, Any] = invocation.given_settings()
    origins: dict[str, Origin] = {}
    for field in given:
        file = str(invocation.url_file) if field == "redis_url" else ""
        origins[field] = Origin("command line", OPTIONS[field], file)
    return Sources(invocation.settings_file, given, origins)
