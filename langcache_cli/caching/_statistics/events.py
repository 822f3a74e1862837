"""Hooks for logging and metrics: an event for every count, at the moment it is counted."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from langcache_cli.caching._statistics.labels import Label

logger = logging.getLogger("langcache_cli.caching")


@dataclass(frozen=True, slots=True)
class CacheEvent:
    """One count.

    Attributes:
        name: One of the counters: ``hits``, ``misses``, ``loads``, ``refused``, ``deferred`` ...
        label: The type, prefix and function it was counted under.
        key: The key it was about; None when it was about several, or none.
        amount: How many, or how many bytes.
        seconds: How long it took; None for events without a duration.
    """

    name: str
    label: Label
    key: str | None
    amount: int
    seconds: float | None


Hook = Callable[[CacheEvent], object]


class Events:
    """The hooks of one cache. Without hooks no event is made."""

    def __init__(self) -> None:
        self.hooks: tuple[Hook, ...] = ()

    def subscribe(self, hook: Hook) -> Callable[[], None]:
        """Call ``hook`` with every event from now on, in the thread that counts.

        Returns:
            A function that ends the subscription.
        """
        self.hooks = (*self.hooks, hook)

        def unsubscribe() -> None:
            self.hooks = tuple(other for other in self.hooks if other is not hook)

        return unsubscribe

    def tell(self, event: CacheEvent) -> None:
        """Call every hook. An exception of a hook is logged and stops neither the others nor the caller."""
        for hook in self.hooks:
            try:
                hook(event)
            except Exception:  # of the application's hook, whatever it is: a metric must not fail a call
                logger.exception("an event hook failed on %s", event.name)
