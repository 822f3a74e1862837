"""The global options of a run: where Redis is, how to print, whether to ask."""

from __future__ import annotations

import contextlib
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError
from langcache_cli.cli.log_lines import stderr_line
from langcache_cli.state_dir import default_state_dir

if TYPE_CHECKING:
    from langcache_cli.caching import CacheSettings
    from langcache_cli.vocabulary import Database

DEFAULT_TIMEOUT_SECONDS = 2.0
"""Without ``--timeout``. A person or a cron job can wait longer for Redis than a request can."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """The global options.

    Attributes:
        url_file: A file with the Redis URL, which keeps the secret out of the environment.
        env_file: A file of settings that has to be there; None for ``.env`` in the working folder, if it is.
        namespace: Overrides ``LANGCACHE_NAMESPACE``.
        timeout: Seconds to wait for Redis or the database; None for the defaults.
        json: Print one JSON document.
        quiet: Print errors, and what was asked to be shown, only.
        verbose: Print more.
        color: Colours are allowed.
        ask: Questions are allowed.
        debug: Show tracebacks.
    """

    url_file: Path | None = None
    env_file: Path | None = None
    namespace: str | None = None
    timeout: float | None = None
    json: bool = False
    quiet: bool = False
    verbose: bool = False
    color: bool = True
    ask: bool = True
    debug: bool = False

    def settings(self) -> CacheSettings:
        """The settings of the environment, overridden by the command line.

        Raises:
            CommandError: A value on the command line is not allowed.
            ConfigurationError: A value is not allowed, or a file cannot be read.
        """
        from langcache_cli.caching import CacheSettings, ConfigurationError  # noqa: PLC0415 - not needed for --help

        given = {"operation_timeout": DEFAULT_TIMEOUT_SECONDS, **self.given_settings()}
        try:
            settings = CacheSettings.load(env_file=self.settings_file, **given)
        except ConfigurationError as error:
            if self.namespace is not None and error.variable == "LANGCACHE_NAMESPACE":
                message = f"--namespace {self.namespace!r}: give 1 to 64 letters, digits and _.-"
                raise CommandError(ExitCode.USAGE, message) from None
            raise
        if not (self.verbose or self.debug):  # then the log has it
            self.warn_of_misspelt_settings()
        return settings

    def given_settings(self) -> dict[str, Any]:
        """The settings that the command line gives, by field.

        Raises:
            ConfigurationError: A file cannot be read.
        """
        _require_no_url("--url-file", self.url_file)
        _require_no_url("--env-file", self.env_file)
        given: dict[str, Any] = {}
        if self.url_file is not None:
            given["redis_url"] = self._url_from_file(self.url_file)
        if self.namespace is not None:
            given["namespace"] = self.namespace
        if self.timeout is not None:
            given["operation_timeout"] = self.timeout
        return given

    def state_dir(self) -> Path:
        """The folder for files that are kept between runs; ``LANGCACHE_STATE_DIR`` counts in the file, too.

        Raises:
            ConfigurationError: The file cannot be read.
            NoStateFolderError: There is no such folder.
        """
        from langcache_cli.caching.tooling import file_values  # noqa: PLC0415 - as above

        return default_state_dir(file_values(self.settings_file).get("LANGCACHE_STATE_DIR"))

    def database(self, settings: CacheSettings, *, sample: bool) -> Database:
        """The vocabulary database, or the bundled sample.

        Raises:
            CommandError: The sample is asked for and ``LANGCACHE_ENV`` is prod.
            ConfigurationError: ``DATABASE_URL`` is not set, or the sample cannot be stored.
            DatabaseConfigurationError: The URL is invalid.
        """
        found = self.database_if_configured(settings, sample=sample)
        if found is None:
            from langcache_cli.caching import ConfigurationError  # noqa: PLC0415 - as above

            raise ConfigurationError(
                "DATABASE_URL is not set; set it to postgresql://user:password@host/name or "
                "sqlite:///path/to/file.db, or use --sample for the bundled words",
                variable="DATABASE_URL",
            )
        return found

    def database_if_configured(self, settings: CacheSettings, *, sample: bool) -> Database | None:
        """As `database`; None if ``DATABASE_URL`` is not set."""
        from langcache_cli.cli.database_settings import DatabaseSettings  # noqa: PLC0415 - as above

        url = None if sample else DatabaseSettings.load(env_file=self.settings_file).database_url
        if url is None and not sample:
            return None

        from langcache_cli.vocabulary import Database  # noqa: PLC0415 - SQLAlchemy takes as long as all the rest

        if url is None:
            return Database(_sample(settings, self.state_dir()))
        timeout = {} if self.timeout is None else {"timeout": self.timeout}
        return Database(url.get_secret_value(), **timeout)

    def target(self, settings: CacheSettings) -> str:
        """The Redis and the namespace that the command acts on, without secrets."""
        return f"{settings.target} namespace={settings.namespace} env={settings.env or 'unset'}"

    def may_ask(self) -> bool:
        """True if questions are allowed and both stdin and stderr are terminals."""
        return self.ask and sys.stdin.isatty() and sys.stderr.isatty()

    @property
    def settings_file(self) -> Path | str:
        """The file that settings are read from; one that was named has to be there."""
        from langcache_cli.caching.tooling import IMPLICIT  # noqa: PLC0415 - as above

        return IMPLICIT if self.env_file is None else self.env_file

    def warn_of_misspelt_settings(self) -> None:
        """Name variables that look like settings and are none, and where each stands."""
        from langcache_cli.caching.tooling import misspelt_settings  # noqa: PLC0415 - as above

        if self.quiet:
            return
        for one in misspelt_settings(self.settings_file):
            with contextlib.suppress(OSError, ValueError):
                line = stderr_line(f"{one.message} ({one.place})", level="warning")
                print(line, file=sys.stderr)  # noqa: T201 - before any output

    def _url_from_file(self, path: Path) -> str:
        from langcache_cli.caching import ConfigurationError  # noqa: PLC0415 - as above

        try:
            return path.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            raise ConfigurationError(
                f"--url-file {path} cannot be read: {reason}", variable="--url-file"
            ) from None


def _require_no_url(option: str, path: Path | None) -> None:
    """Refuse a URL in the place of a file: the message that it cannot be read would show its password.

    Raises:
        ConfigurationError: It is one. A `Path` has lost one of its two slashes.
    """
    from langcache_cli.caching import ConfigurationError  # noqa: PLC0415 - as above

    if path is not None and re.match(r"[A-Za-z][A-Za-z0-9+.-]*:/", str(path)) and not path.exists():
        raise ConfigurationError(f"{option} takes a file, not a URL", variable=option)


def _sample(settings: CacheSettings, folder: Path) -> str:
    from langcache_cli.caching import ConfigurationError  # noqa: PLC0415 - as above
    from langcache_cli.vocabulary import sample_database  # noqa: PLC0415 - as above

    if settings.env == "prod":
        raise CommandError(
            ExitCode.REFUSED,
            "--sample is refused where LANGCACHE_ENV is prod: its words must not reach users",
            "Set DATABASE_URL to the real vocabulary and leave --sample out.",
        )
    try:
        return sample_database(folder)
    except OSError as error:
        raise ConfigurationError(
            f"the sample cannot be kept in {folder}: {error.strerror}; "
            "set LANGCACHE_STATE_DIR to a folder that you may write to",
            variable="LANGCACHE_STATE_DIR",
        ) from error
