"""Requests of one turn of the event loop, which leave in one write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from langcache_cli.caching._errors import ConnectionLostError
from langcache_cli.caching._keys.tags import KeyAndTags
from langcache_cli.caching._wire.connection import Argument, Receiver, pack
from langcache_cli.caching._wire.externals import Connection
from langcache_cli.caching._wire.lookup_batch import LookupBatch
from langcache_cli.caching._wire.replies import Replies


class BatchedConnection:
    """What is about to be sent over one connection."""

    def __init__(self, link: Connection, open_lookup: Callable[[], LookupBatch]) -> None:
        """Start empty; ``open_lookup`` makes a look-up without keys."""
        self.link = link
        self._open_lookup = open_lookup
        self._loop = asyncio.get_running_loop()
        self._packed: list[bytes] = []
        self._receivers: list[Receiver] = []
        self._lookups: list[LookupBatch] = []
        self._leaving = False
        self.filling: LookupBatch | None = None
        """The look-up of this turn, if there is one; it may be full."""

    def lookup(self, names: KeyAndTags) -> asyncio.Future[Any]:
        """The values of ``names``. All look-ups of one turn are one MGET, in which each key stands once."""
        filling = self.filling
        if filling is None or filling.full:
            filling = self.filling = self._open_lookup()
            self._lookups.append(filling)
            self._leave_soon()
        return filling.add(names)

    def request(self, commands: Sequence[tuple[Argument, ...]]) -> Replies:
        """The replies to commands, which are sent one after the other without anything in between."""
        replies = Replies(self._loop, len(commands))
        self._packed += [pack(command) for command in commands]
        self._receivers += [replies.receive] * len(commands)
        self._leave_soon()
        return replies

    def _leave_soon(self) -> None:
        if not self._leaving:
            self._leaving = True
            self._loop.call_soon(self._leave)

    def _leave(self) -> None:
        self._leaving, self.filling = False, None
        packed, receivers, lookups = self._packed, self._receivers, self._lookups
        self._packed, self._receivers, self._lookups = [], [], []
        for lookup in lookups:
            packed.append(lookup.packed())
            receivers.append(lookup.receive)
        try:
            self.link.send(packed[0] if len(packed) == 1 else b"".join(packed), receivers)
        except ConnectionLostError as error:
            for receive in receivers:
                receive(error)
