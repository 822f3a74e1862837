"""Counting the plain keys that are read and written, by cache type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from langcache_cli.caching._front.context import Context
from langcache_cli.caching._loading.hit_counter import count_for_each
from langcache_cli.caching._statistics.labels import PLAIN, Label, plain_keys_of

MOST_TYPES: Final = 100
"""Keys of further types are counted together: a key may begin with anything, such as the id of a user."""


class PlainCounts:
    """Counts for one cache what its plain keys are asked for. See `Cache.get`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._labels: dict[str, Label] = {}

    def count(self, counter: str, amounts: Mapping[str, int]) -> None:
        """Count something for each of several keys.

        Args:
            counter: Its name.
            amounts: How much, by plain key.
        """
        by_label: dict[Label, list[str]] = {}
        for key in amounts:
            by_label.setdefault(self._label(key), []).append(key)
        for label, keys in by_label.items():
            full_keys = [self._context.namespace.key(key) for key in keys]
            runtime = self._context.runtime()
            count_for_each(runtime, label, counter, full_keys, [amounts[key] for key in keys])

    def _label(self, key: str) -> Label:
        prefix, colon, _ = key.partition(":")
        if not colon:
            return PLAIN
        label = self._labels.get(prefix)
        if label is None:
            if len(self._labels) >= MOST_TYPES:
                return PLAIN
            label = self._labels[prefix] = plain_keys_of(self._context.settings.types.of_prefix(prefix).name)
        return label
