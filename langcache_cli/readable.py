"""How sizes and counts are shown to people, by every part of the command."""

from __future__ import annotations

import shlex

KIB = 1024


def size(n_bytes: float) -> str:
    """A size for people: ``812 B``, ``1.5 KB``, ``917 KB``, ``4.0 GB``; 1 KB is 1,024 bytes."""
    for unit in ("B", "KB", "MB", "GB"):
        if unit == "GB" or n_bytes < KIB - 0.5:  # 1,023.5 KB would be 1,024 KB
            break
        n_bytes /= KIB
    whole = unit == "B" or n_bytes >= 9.95  # noqa: PLR2004 - from there on two digits before the point
    return f"{n_bytes:,.0f} {unit}" if whole else f"{n_bytes:.1f} {unit}"


def number_of(count: int, one: str, several: str = "") -> str:
    """``1 key``, ``2,000 keys``, ``1 entry``.

    Args:
        count: How many.
        one: What one is called.
        several: What several are called; empty for ``one`` with an s.
    """
    return f"{count:,} {one if count == 1 else several or f'{one}s'}"


def type_option(*names: str) -> str:
    """``--type`` for each of some cache types, as a shell takes it."""
    return " ".join(f"--type {shlex.quote(name)}" for name in names)
