"""Names in the environment and in settings files that look like settings and are none."""

from __future__ import annotations

import difflib
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

PREFIX: Final = "LANGCACHE_"
_FOR_TESTS: Final = "LANGCACHE_TEST_"
_SHARED: Final = ("REDIS_", "DATABASE_", "LANGPLUG_")
"""Beginnings of settings that other programs use too: of these, only names that are near a setting count."""

_OF_ANOTHER: Final = re.compile(r"_(URI|URLS|URL_?\d)")
"""Endings of names that other programs read beside the setting that they are near."""

_LETTERS_FOR_A_MISTAKE: Final = 4
_MOST_MISTAKES: Final = 3


@dataclass(frozen=True, slots=True)
class Misspelling:
    """A name that nothing reads.

    Attributes:
        name: In capitals.
        nearest: The setting that may be meant; empty if none is near.
        file: The settings file that it stands in; empty for the environment.
        line: Of the file; 0 for the environment.
    """

    name: str
    nearest: str
    file: str = ""
    line: int = 0

    @property
    def message(self) -> str:
        """What is wrong, and what may be meant."""
        meant = f"; did you mean {self.nearest}?" if self.nearest else ""
        return f"{self.name} is no setting of langcache{meant}"

    @property
    def place(self) -> str:
        """Where the name stands."""
        return f"{self.file}, line {self.line}" if self.file else "environment"


def misspellings(lines: Mapping[str, int], env_file: object, known: Iterable[str]) -> list[Misspelling]:
    """Names in the environment or in a file that look like ours and are none.

    Every name that begins with ``LANGCACHE_`` is meant to be a setting. Others count if they are near one: in
    a file whatever they begin with, in the environment if they begin as settings do.

    Args:
        lines: Names in the file, and the line of each.
        env_file: The file.
        known: All settings, in capitals.
    """
    names = sorted(known)
    in_environment = {name.upper() for name, value in os.environ.items() if value}
    in_file = {name.upper(): line for name, line in lines.items()}
    found = []
    for name in sorted((in_environment | set(in_file)) - set(names)):
        if name.startswith(PREFIX):
            if name.startswith(_FOR_TESTS):
                continue
            nearest = next(iter(difflib.get_close_matches(name, names, n=1, cutoff=0.75)), "")
        else:
            is_candidate = name in in_file or name.startswith(_SHARED)
            nearest = _near(name, names) if is_candidate else ""
            is_set = nearest in in_environment or nearest in in_file
            if not nearest or (is_set and _OF_ANOTHER.search(name)):
                continue
        if name in in_environment:
            found.append(Misspelling(name, nearest))
        else:
            found.append(Misspelling(name, nearest, str(env_file), in_file[name]))
    return found


def _near(name: str, names: Iterable[str]) -> str:
    """The setting that a name is a misspelling of: few letters differ, or the order of the words."""
    words = sorted(name.split("_"))
    for setting in names:
        if words == sorted(setting.split("_")):
            return setting
    distances = ((_distance(name, setting), setting) for setting in names if _may_be_near(name, setting))
    near = [(distance, setting) for distance, setting in distances if distance <= _limit(setting)]
    return min(near, default=(0, ""))[1]


def _limit(setting: str) -> int:
    """The mistakes that a misspelling may have: ``REDIS_SSL`` is two letters from ``REDIS_URL``."""
    letters = len(setting.partition("_")[2])
    return max(1, min(_MOST_MISTAKES, letters // _LETTERS_FOR_A_MISTAKE))


def _may_be_near(name: str, setting: str) -> bool:
    """False if lengths and letters alone rule it out: comparing the order of letters takes much longer.

    A mistake gives a name at most one letter that the setting lacks, and takes at most one.
    """
    limit = _limit(setting)
    if abs(len(name) - len(setting)) > limit:
        return False
    ours, theirs = Counter(name), Counter(setting)
    return max((ours - theirs).total(), (theirs - ours).total()) <= limit


def _distance(one: str, other: str) -> int:
    """Letters to insert, remove, replace or swap with their neighbour to make one name of another."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        last, row = row, [i]
        for j, another in enumerate(other, 1):
            best = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (letter != another))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == another:
                best = min(best, before[j - 2] + 1)
            row.append(best)
        before = last
    return row[-1]
