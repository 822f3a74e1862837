"""Which entries an unconfirmed invalidation is about: only these are not read before it is confirmed."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence

from langcache_cli.caching._invalidation.waiting import Waiting, is_in
from langcache_cli.caching._keys.selection import Invalidation, Selection
from langcache_cli.caching._protocol.union import possible

MAX_SELECTIONS = 100
"""Of more selections only the slots are compared: each pattern is tried on the keys of every call."""


class Concerned:
    """Tests keys against the contents of an outbox."""

    def __init__(self, unconfirmed: Mapping[Invalidation, Waiting]) -> None:
        """Prepare.

        Args:
            unconfirmed: The contents, which another object changes.
        """
        self._unconfirmed = unconfirmed
        self._tests: list[tuple[re.Pattern[bytes] | None, int]] | None = []
        """What the keys of each selection match, and its slots; None if they have changed."""

    def selections_changed(self) -> None:
        """Selections came or went, or have other slots."""
        self._tests = None

    def has_any(self, keys: Sequence[str], lock: threading.Lock) -> bool:
        """True if one of the keys is among the contents, or a selection may mean it.

        Args:
            keys: The keys.
            lock: Held by whoever changes the contents.
        """
        unconfirmed = self._unconfirmed
        for key in keys:
            if key in unconfirmed:
                return True
        tests = self._tests
        if tests is None:
            with lock:
                tests = self._tests = self._new_tests()
        for pattern, slots in tests:
            for key in keys:
                if (pattern is None or pattern.match(_encoded(key))) and is_in(key, slots):
                    return True
        return False

    def _new_tests(self) -> list[tuple[re.Pattern[bytes] | None, int]]:
        found = [
            (item, waiting.slots)
            for item, waiting in self._unconfirmed.items()
            if isinstance(item, Selection)
        ]
        if len(found) <= MAX_SELECTIONS:
            return [(possible(item), slots) for item, slots in found]
        together = 0
        for _, slots in found:
            together |= slots
        return [(None, together)]


def _encoded(key: str) -> bytes:
    return key.encode("utf-8", "surrogatepass")
