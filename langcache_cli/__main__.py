"""``python -m langcache_cli`` and the console script ``langcache``."""

from __future__ import annotations

import gc
import sys

OBJECTS_BETWEEN_COLLECTIONS = 50_000
"""Python's own 700 to 2,000 have it look through all modules again and again, for cycles that are not there:
that is a twentieth of the time to start, and a third of the time of a warm."""


def main() -> None:
    """Run the command and exit with its code."""
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    try:
        from langcache_cli.cli.streams import open_closed_streams  # noqa: PLC0415 - as below

        open_closed_streams()
        from langcache_cli.cli.main import run  # noqa: PLC0415 - so that importing this module stays free

        sys.exit(run(sys.argv[1:]))
    except KeyboardInterrupt:  # while it was being imported; `run` itself raises nothing
        sys.stderr.write("langcache: interrupted\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
