"""The labels of all counters, in the hash ``cache@stats:labels``: its fields are ``<id>:<label>``."""

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


class LabelIds:
    """Writes labels, so that other processes know what their ids stand for, and reads those of all."""

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
        ids = {label: id_of(label) for label in labels if label not in self._ids}
        if now - self._written_at >= WRITTEN_AGAIN_SECONDS:
            ids |= self._ids
        if ids:
            await self._write(ids, budget)
            self._ids |= ids
            self._written_at = now
        return self._ids

    @property
    def amount(self) -> int:
        """How many labels were asked for."""
        return len(self._ids)

    def use(self, server: Server) -> None:
        """See `FleetWriter.use`."""
        self._server = server

    def write_again(self) -> None:
        """Redis has lost its data: write all labels the next time."""
        self._written_at = float("-inf")

    async def _write(self, ids: dict[Label, str], budget: Budget) -> None:
        # HINCRBY: a user that may count needs no further right
        new = [("HINCRBY", self._key, f"{own}:{label}", 0) for label, own in ids.items()]
        for reply in await self._server.call_many(
            [*new, ("EXPIRE", self._key, HOURS.kept_seconds)], budget=budget
        ):
            if isinstance(reply, ServerReplyError):
                if reply.code != "WRONGTYPE":
                    raise reply
                await self._server.call("UNLINK", self._key, budget=budget)
                raise CacheUnavailableError("the labels of the statistics were damaged", target=self._key)

    async def read(self, budget: Budget | None) -> dict[bytes, Label] | None:
        """The label of each id; None if the hash is damaged.

        Raises:
            CacheError: Redis did not answer, or refused.
        """
        (found,) = await self._server.call_many([("HGETALL", self._key)], budget=budget)
        if isinstance(found, ServerReplyError):
            if found.code != "WRONGTYPE":
                raise found
            return None
        labels = {}
        for field in found[::2]:
            own, _, text = field.partition(b":")
            try:
                labels[own] = Label.parse(text.decode("utf-8", "replace"))
            except TypeError:  # too few parts
                continue
        return labels
