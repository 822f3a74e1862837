"""Counting the plain keys that are read and written, by cache type."""

from __future__ import annotations

from collections.abc import Mapping

from langcache_cli.caching._front.context import Context
from langcache_cli.caching._loading.hit_counter import count_for_each
from langcache_cli.caching._statistics.labels import PLAIN, Label, plain_keys_of


class PlainCounts:
    """Counts for one cache what its plain keys are asked for. See `Cache.get`."""

    def __init__(self, context: Context) -> None:
        self._context = context

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
            if counter == "hits":  # those of a function are sampled by its `HitCounter`
                runtime.fleet.hot_keys.sampler.pass_by(full_keys)
            count_for_each(runtime, label, counter, full_keys, [amounts[key] for key in keys])

    def _label(self, key: str) -> Label:
        """A key may begin with anything, such as the id of a user: only a type of the settings is a label."""
        types = self._context.settings.types
        name = types.of_prefix(key.partition(":")[0]).name
        return plain_keys_of(name) if name in types else PLAIN
