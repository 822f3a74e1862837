"""Invalidations that a primary has acknowledged, and that were lost with it, because replication lags.

For processes other than the one that has invalidated this is the stated limit of the cache: until that one
has sent its invalidation again, they may read what is older.
"""

from __future__ import annotations

from collections.abc import Sequence

from langcache_cli.caching._deployment.cluster.slots import slot_of
from tests.history.journal import History
from tests.history.records import LostWrites, Subject

WRITTEN_DOWN_NS = 250_000_000
"""Until a worker has written down what the primary has acknowledged: it may be busy, or stopped."""

Acknowledged = list[tuple[int, int]]
"""Moments and versions."""


def split(history: History, subject: Subject) -> tuple[Acknowledged, Acknowledged]:
    """The acknowledged invalidations of a subject: those that hold, and those that may have been lost."""
    names = history.names.get(subject, ())
    concerned = [lost for lost in history.lost if _concerns(lost, names)]
    holding, lost = Acknowledged(), Acknowledged()
    for moment, version in history.acknowledged[subject]:
        is_lost = any(one.began <= moment <= one.ended + WRITTEN_DOWN_NS for one in concerned)
        (lost if is_lost else holding).append((moment, version))
    return holding, lost


def _concerns(lost: LostWrites, names: Sequence[str]) -> bool:
    return not names or any(slot_of(name) in lost.slots for name in names)
