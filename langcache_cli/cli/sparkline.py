"""Numbers as a row of characters."""

from __future__ import annotations

from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
ASCII = ".:-=+*#%"
NONE = "·"
NONE_ASCII = " "


def sparkline(
    values: Sequence[float | None],
    *,
    width: int,
    unicode: bool,
    low: float | None = None,
    high: float | None = None,
) -> str:
    """One character for each value; where there are more than ``width``, one for some together.

    Args:
        values: The numbers; None where there is none.
        width: The greatest number of characters.
        unicode: False where only ASCII can be shown.
        low: What the lowest character stands for; None for the least value.
        high: What the highest one stands for; None for the greatest value.
    """
    marks, none = (BLOCKS, NONE) if unicode else (ASCII, NONE_ASCII)
    shown = squeezed(values, width)
    known = [value for value in shown if value is not None]
    least = min(known, default=0.0) if low is None else low
    most = max(known, default=0.0) if high is None else high
    span = most - least

    def mark(value: float) -> str:
        share = (value - least) / span if span > 0 else (1.0 if value > 0 else 0.0)
        return marks[min(max(int(share * len(marks)), 0), len(marks) - 1)]

    return "".join([none if value is None else mark(value) for value in shown])


def squeezed(values: Sequence[float | None], width: int) -> list[float | None]:
    """At most ``width`` values: the mean of each group of neighbours."""
    if len(values) <= width:
        return list(values)
    groups: list[float | None] = []
    for place in range(width):
        group = values[place * len(values) // width : (place + 1) * len(values) // width]
        known = [value for value in group if value is not None]
        groups.append(sum(known) / len(known) if known else None)
    return groups
