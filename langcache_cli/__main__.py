"""``python -m langcache_cli`` and the console script ``langcache``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command and exit with its code."""
    from langcache_cli.cli.main import run  # noqa: PLC0415 - so that importing this module stays free

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
