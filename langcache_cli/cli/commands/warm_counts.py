"""How the numbers of a warm are shown, whatever was warmed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError

if TYPE_CHECKING:
    from langcache_cli.caching.tooling import WarmCounts

COLUMNS = ("Read", "Written", "Skipped", "Failed", "Entries/s")


def cells(counts: WarmCounts, seconds: float) -> tuple[str, ...]:
    """Under `COLUMNS`."""
    return (
        f"{counts.read:,}",
        f"{counts.written:,}",
        f"{counts.skipped:,}",
        f"{counts.refused + counts.failed:,}",
        f"{counts.written / seconds if seconds else 0:,.0f}",
    )


def fields(counts: WarmCounts, seconds: float) -> dict[str, Any]:
    """For JSON."""
    return {
        "read": counts.read,
        "written": counts.written,
        "skipped": counts.skipped,
        "refused": counts.refused,
        "failed": counts.failed,
        "seconds": seconds,
    }


def require_stored(total: WarmCounts) -> None:
    """End with the code for 'partly done' if something that was read could not be stored.

    Raises:
        CommandError: So it is.
    """
    if total.failed:
        raise CommandError(
            ExitCode.PARTIAL,
            f"{total.failed:,} of {total.read:,} entries were not stored",
            "Redis may be full, see 'langcache stats'; values that cannot be cached are named with -v.",
        )
    if total.refused and not total.written:
        raise CommandError(
            ExitCode.PARTIAL,
            f"none of {total.read:,} entries were stored: something invalidated all of them meanwhile",
            "Run it again.",
        )
