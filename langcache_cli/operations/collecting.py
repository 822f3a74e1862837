"""Garbage collection for work that makes and drops many objects, none of which refer to each other."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

OBJECTS_BETWEEN_COLLECTIONS = 50_000
"""Python's own 700 or so has it look through everything that is imported again and again: a third of the time
of a warm, in which there is nothing to collect."""


@contextmanager
def seldom_collecting() -> Iterator[None]:
    """Inside, collect seldom, and leave alone what was there before. For a process that does nothing else."""
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
