"""Hooks for logging and metrics: an event for every count, at the moment it is counted."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from threading import RLock

from langcache_cli.caching._fork import call_in_child
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


Note = Callable[[str, str | None], object]
"""Is called with the name and the key of every event; cheaper than a hook."""


AroundLoad = Callable[[Label, str], AbstractContextManager[object]]
"""Makes a context manager around one run of a function, of its label and key. It must not raise."""


def nothing_around(_label: Label, _key: str) -> AbstractContextManager[object]:
    """The usual `AroundLoad`."""
    return nullcontext()


class Events:
    """The hooks of one cache. Without hooks no event is made."""

    def __init__(self) -> None:
        self.around_load: AroundLoad = nothing_around
        """Entered while a function behind the cache runs; a span, for example."""
        self.asked = False
        """True if events are to be told; looked at before each call of `tell`."""
        self.hooks: tuple[Hook, ...] = ()
        self._note: Note | None = None
        self._start_in_child()
        call_in_child(self, "_start_in_child")

    def _start_in_child(self) -> None:
        # a new one in the child of a fork, as another thread may have held that of the parent;
        # and a signal handler may need it while its thread has it
        self._lock = RLock()

    def subscribe(self, hook: Hook) -> Callable[[], None]:
        """Call ``hook`` with every event from now on, in the thread that counts.

        Returns:
            A function that ends the subscription.
        """
        with self._lock:
            self.hooks = (*self.hooks, hook)
            self._decide()

        def unsubscribe() -> None:
            with self._lock:
                self.hooks = tuple(other for other in self.hooks if other is not hook)
                self._decide()

        return unsubscribe

    def take_notes(self, note: Note | None) -> None:
        """Call ``note``, which must not raise, for every event from now on; None ends it."""
        with self._lock:
            self._note = note
            self._decide()

    def _decide(self) -> None:
        self.asked = bool(self.hooks) or self._note is not None

    def tell(self, name: str, label: Label, key: str | None, amount: int, seconds: float | None) -> None:
        """Call every hook. An exception of a hook is logged and stops neither the others nor the caller.

        Args:
            name: Of the counter.
            label: What it is counted under.
            key: What it is about; None for several keys, or none.
            amount: How many, or how many bytes.
            seconds: How long it took; None without a duration.
        """
        if (note := self._note) is not None:
            note(name, key)
        if not self.hooks:
            return
        event = CacheEvent(name, label, key, amount, seconds)
        for hook in self.hooks:
            try:
                hook(event)
            except Exception:  # of the application's hook, whatever it is: a metric must not fail a call
                logger.exception("an event hook failed on %s", name)
