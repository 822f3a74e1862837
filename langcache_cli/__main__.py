"""``python -m langcache_cli`` and the console script ``langcache``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command and exit with its code."""
    try:
        from langcache_cli.cli.main import run  # noqa: PLC0415 - so that importing this module stays free

        sys.exit(run(sys.argv[1:]))
    except KeyboardInterrupt:  # while it was being imported; `run` itself raises nothing
        sys.stderr.write("langcache: interrupted\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
