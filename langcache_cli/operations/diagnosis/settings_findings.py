"""Findings about settings: names that nothing reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from langcache_cli.caching.tooling import file_values, misspelt_settings
from langcache_cli.operations.diagnosis.finding import Finding


def misspelt(env_file: Path | str | None) -> Iterator[Finding]:
    """Variables that begin with ``LANGCACHE_`` and are no setting, each with where it stands.

    Raises:
        ConfigurationError: The file cannot be read.
    """
    in_file = {name.upper() for name in file_values(env_file)}
    for name, nearest in misspelt_settings(env_file).items():
        where = f"the file {env_file}" if name in in_file else "the environment"
        mend = f"Write {nearest} in its place." if nearest else f"Take {name} out of {where}."
        yield Finding(
            "setting-misspelt",
            "warning",
            f"{name} in {where} is no setting of langcache",
            f"Nothing reads it: {f'the default of {nearest}' if nearest else 'another value'} is in force.",
            mend,
        )
