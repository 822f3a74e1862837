"""What happens in a cache, for logging and metrics: every count, at the moment it is counted."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from langcache_cli.caching._statistics.counters import Label

logger = logging.getLogger("langcache_cli.caching")


@dataclass(frozen=True, slots=True)
class CacheEvent:
    """Something that was counted.

    Attributes:
        name: One of the counters: ``hits``, ``misses``, ``loads``, ``refused``, ``deferred`` ...
        label: Type, prefix and function that it was counted under.
        key: The key it was about; None when it was about several, or none.
        amount: How many, or how many bytes.
        seconds: How long it took; None for what takes no time of its own.
    """

    name: str
    label: Label
    key: str | None
    amount: int
    seconds: float | None


Hook = Callable[[CacheEvent], object]


class Events:
    """Tells hooks what happens. Without hooks it costs nothing."""

    def __init__(self) -> None:
        self.hooks: tuple[Hook, ...] = ()

    def subscribe(self, hook: Hook) -> Callable[[], None]:
        """Call ``hook`` from now on; returns what ends that."""
        self.hooks = (*self.hooks, hook)

        def unsubscribe() -> None:
            self.hooks = tuple(other for other in self.hooks if other is not hook)

        return unsubscribe

    def tell(self, event: CacheEvent) -> None:
        """Call the hooks; one that fails is reported and harms nobody."""
        for hook in self.hooks:
            try:
                hook(event)
            except Exception:
                logger.exception("an event hook failed on %s", event.name)
