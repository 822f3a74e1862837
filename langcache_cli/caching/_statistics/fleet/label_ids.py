"""The ids of labels, in the hash ``cache@stats:labels``: every process uses the same."""

from __future__ import annotations

from collections.abc import Iterable

from langcache_cli.caching._deployment.server import Server
from langcache_cli.caching._errors import CacheUnavailableError, ServerReplyError
from langcache_cli.caching._statistics.fleet.field_names import id_of
from langcache_cli.caching._statistics.fleet.tiers import HOURS
from langcache_cli.caching._statistics.labels import Label
from langcache_cli.caching._wire.budget import Budget

WRITTEN_AGAIN_SECONDS = 60
"""Redis may lose the hash alone; the numbers of its labels are shown again after so long."""

ATTEMPTS = 8
"""Two labels in 16 million have the same id; so many times another is tried."""


class LabelIds:
    """Gives labels their ids, and reads them back."""

    def __init__(self, server: Server, stem: str) -> None:
        self._server = server
        self._key = f"{stem}labels"
        self._ids: dict[Label, str] = {}
        self._written_at = float("-inf")

    async def of(self, labels: Iterable[Label], now: int, budget: Budget) -> dict[Label, str]:
        """The ids of labels, among those of all labels that were asked for; Redis knows them then.

        Args:
            labels: The labels.
            now: Seconds since 1970.
            budget: Upper bound for the time.

        Raises:
            CacheError: Redis did not confirm it.
        """
        wanted = [label for label in labels if label not in self._ids]
        if now - self._written_at >= WRITTEN_AGAIN_SECONDS:
            wanted = list(dict.fromkeys([*self._ids, *wanted]))
        for attempt in range(ATTEMPTS):
            if not wanted:
                break
            wanted = await self._write(wanted, attempt, budget)
            self._written_at = now
        return self._ids

    def write_again(self) -> None:
        """Redis has lost its data: write all labels the next time."""
        self._written_at = float("-inf")

    async def _write(self, labels: list[Label], attempt: int, budget: Budget) -> list[Label]:
        """Write labels whose ids are free; returns those whose ids are another label's."""
        ids = [id_of(label, attempt) for label in labels]
        new = [("HSETNX", self._key, own, str(label)) for own, label in zip(ids, labels, strict=True)]
        *replies, _, found = await self._server.call_many(
            [*new, ("EXPIRE", self._key, HOURS.kept_seconds), ("HMGET", self._key, *ids)], budget=budget
        )
        if isinstance(found, ServerReplyError):
            if found.code != "WRONGTYPE":
                raise found
            await self._server.call("UNLINK", self._key, budget=budget)
            raise CacheUnavailableError("the labels of the statistics were damaged", target=self._key)
        for reply in replies:
            if isinstance(reply, ServerReplyError):
                raise reply
        taken = []
        for label, own, text in zip(labels, ids, found, strict=True):
            if text == str(label).encode():
                self._ids[label] = own
            else:
                taken.append(label)
        return taken

    async def read(self, budget: Budget | None) -> dict[bytes, Label] | None:
        """The label of each id; None if the hash is damaged.

        Raises:
            CacheError: Redis did not answer, or refused.
        """
        reply = await self._server.call_many([("HGETALL", self._key)], budget=budget)
        (found,) = reply
        if isinstance(found, ServerReplyError):
            if found.code != "WRONGTYPE":
                raise found
            return None
        labels = {}
        words = iter(found)
        for own, text in zip(words, words, strict=True):
            try:
                labels[own] = Label.parse(text.decode("utf-8", "replace"))
            except TypeError:  # too few parts
                continue
        return labels
