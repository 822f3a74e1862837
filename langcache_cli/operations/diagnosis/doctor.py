"""The whole examination of `doctor`: Redis, the database, the settings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from langcache_cli.caching import CacheSettings
from langcache_cli.operations.diagnosis.database_findings import database_findings, open_database
from langcache_cli.operations.diagnosis.diagnose import diagnose
from langcache_cli.operations.diagnosis.inspection import Inspection, sorted_by_severity
from langcache_cli.operations.diagnosis.settings_findings import misspelt

if TYPE_CHECKING:
    from langcache_cli.vocabulary import Database


async def examine(
    settings: CacheSettings,
    opened: Callable[[], Database | None],
    *,
    env_file: Path | str | None,
    within: float,
) -> Inspection:
    """Everything that is wrong, or may soon be. Nothing is written.

    Args:
        settings: Where Redis is, and the namespace.
        opened: The database that ``DATABASE_URL`` names; None if it is not set.
        env_file: The file that settings were read from.
        within: Seconds for everything.

    Raises:
        ConfigurationError: The file cannot be read.
    """
    of_settings = list(misspelt(env_file))
    database, of_url = open_database(opened)  # before Redis is asked: importing blocks the event loop
    redis, of_database = await asyncio.gather(
        diagnose(settings, within=within), database_findings(database, within=within)
    )
    findings = (*redis.findings, *of_url, *of_database, *of_settings)
    return Inspection(redis.nodes, sorted_by_severity(findings))
