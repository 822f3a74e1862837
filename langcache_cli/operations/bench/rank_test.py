"""How far one small sample is shifted against another, by their ranks: no distribution is assumed."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import comb


@dataclass(frozen=True, slots=True)
class Shift:
    """How far the second sample lies above the first.

    Attributes:
        estimate: The median of all differences between the two (Hodges and Lehmann).
        lowest: Lower end of the interval of the asked confidence; None: the samples are too small for it.
        highest: Upper end.
    """

    estimate: float
    lowest: float | None
    highest: float | None


def shift(first: Sequence[float], second: Sequence[float], *, error: float) -> Shift:
    """The shift with its exact interval, from the distribution of Mann and Whitney's U.

    Args:
        first: At least one value.
        second: At least one value.
        error: The probability that the interval misses the shift, such as 0.05.
    """
    differences = sorted(b - a for a in first for b in second)
    outside = _values_outside(len(first), len(second), error / 2)
    estimate = statistics.median(differences)
    if not outside:
        return Shift(estimate, None, None)
    return Shift(estimate, differences[outside - 1], differences[-outside])


def is_large_enough(first: int, second: int, *, error: float) -> bool:
    """True if samples of these sizes have an interval that misses the shift with that probability."""
    return _values_outside(first, second, error / 2) > 0


def _values_outside(first: int, second: int, error: float) -> int:
    """The largest k with ``P(U < k) <= error``: the k-th difference from each end bounds the interval."""
    all_orders, orders, below = comb(first + second, first), 0, 0
    while below <= first * second:
        orders += _orders_with(first, second, below)
        if orders > error * all_orders:
            break
        below += 1
    return below


@cache
def _orders_with(first: int, second: int, wins: int) -> int:
    """In how many orders of the two samples ``wins`` pairs have their first value above their second."""
    if wins < 0:
        return 0
    if first == 0 or second == 0:
        return int(wins == 0)
    return _orders_with(first - 1, second, wins - second) + _orders_with(first, second - 1, wins)
