"""Two recorded results side by side: `python -m benchmarks compare A.json B.json`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Change:
    """One number in both results.

    Attributes:
        section: The title of its table.
        name: Its row, and its column if there are several.
        before: In the first result; a median where there were rounds.
        after: In the second.
        apart: True if no round of one result was as low, or as high, as any of the other.
    """

    section: str
    name: str
    before: float
    after: float
    apart: bool

    @property
    def ratio(self) -> float:
        """The second by the first; 1 where both are equal, also where both are 0."""
        if self.before == self.after:
            return 1.0
        return self.after / self.before if self.before else float("inf")


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """What is in both documents, in the order of the first."""
    return list(_changes(before["results"], after["results"]))


def markdown(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """The ratios as a table; different machines are pointed out above it."""
    lines = [
        f"{before['commit']} ({before['measured'][:10]}) and {after['commit']} ({after['measured'][:10]})"
    ]
    lines += [
        f"- {name}: {before['machine'].get(name, 'none')}, then {after['machine'].get(name, 'none')}"
        for name in sorted({*before["machine"], *after["machine"]})
        if before["machine"].get(name) != after["machine"].get(name)
    ]
    lines += ["", "| | | before | after | ratio | ranges apart |", "|---|---|---:|---:|---:|---|"]
    lines += [
        f"| {one.section} | {one.name} | {one.before:,.4g} | {one.after:,.4g} | {one.ratio:.2f} "
        f"| {'yes' if one.apart else ''} |"
        for one in changes(before, after)
    ]
    return "\n".join(lines)


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for section, rows in before.items():
        for name, value in rows.items():
            other = after.get(section, {}).get(name)
            if isinstance(value, Mapping) and isinstance(other, Mapping):
                if "median" in value:
                    yield _of_rounds(section, name, value, other)
                else:
                    for column, one in value.items():
                        if column in other:
                            yield Change(section, f"{name}, {column}", one, other[column], apart=False)
            elif isinstance(value, (int, float)) and isinstance(other, (int, float)):
                yield Change(section, name, value, other, apart=False)


def _of_rounds(section: str, name: str, before: Mapping[str, float], after: Mapping[str, float]) -> Change:
    apart = before["high"] < after["low"] or after["high"] < before["low"]
    return Change(section, name, before["median"], after["median"], apart)
