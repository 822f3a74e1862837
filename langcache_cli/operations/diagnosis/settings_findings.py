"""Findings about settings: names that nothing reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from langcache_cli.caching.tooling import misspelt_settings
from langcache_cli.operations.diagnosis.finding import Finding


def misspelt(env_file: Path | str | None) -> Iterator[Finding]:
    """Variables that look like settings and are none, each with where it stands.

    Raises:
        ConfigurationError: The file cannot be read.
    """
    for one in misspelt_settings(env_file):
        where = f"line {one.line} of {one.file}" if one.file else "the environment"
        value = f"the default of {one.nearest}" if one.nearest else "another value"
        mend = f"Write {one.nearest} in its place." if one.nearest else f"Take {one.name} out of {where}."
        yield Finding(
            "setting-misspelt",
            "warning",
            f"{one.name} in {where} is no setting of langcache",
            f"Nothing reads it: {value} is in force.",
            mend,
        )
