"""What the cache knows about a function whose values are bodies of HTTP answers."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any, Self

from langcache_cli.caching._functions.body import Body, BodyCodec, Source
from langcache_cli.caching._functions.spec import FunctionSpec
from langcache_cli.caching._protocol.entry import Entry
from langcache_cli.caching._protocol.lifetime import Lifetime

ANY_SHAPE = ""
"""In place of a fingerprint before the first request, which shows how the route shapes its bodies."""


class BodySpec(FunctionSpec):
    """Keys, tags and times of a function; the codec of its bodies follows from the route it is called by."""

    def _first_codec(self) -> BodyCodec:
        self._shapes: dict[str, Self] = {}
        return BodyCodec(ANY_SHAPE)

    def shaped(self, fingerprint: str) -> Self:
        """The spec for bodies of one shape: entries of another shape are not read."""
        spec = self._shapes.get(fingerprint)
        if spec is None:
            spec = copy.copy(self)
            vars(spec)["_codec"] = BodyCodec(fingerprint)
            spec = self._shapes.setdefault(fingerprint, spec)
        return spec

    @property
    def takes_session(self) -> bool:
        """True: what a route is given ends with its request, so that no load of it runs in the background."""
        return True

    def lifetime(self, *, ttl_seconds: float, jitter: float) -> Lifetime:
        """See `FunctionSpec.lifetime`; a function of the value is given what the route's function returns."""
        lifetime = super().lifetime(ttl_seconds=ttl_seconds, jitter=jitter)
        ttl_of = lifetime.ttl_of
        if ttl_of is None:
            return lifetime
        return dataclasses.replace(lifetime, ttl_of=lambda body: ttl_of(_returned(body)))

    async def decoded(self, entry: Entry, *, max_bytes: int) -> tuple[Body] | None:  # noqa: ARG002
        """The body of an entry, in a tuple of one; None if it has another shape."""
        return (body_of(entry),) if entry.schema == self.codec.fingerprint else None


def _returned(value: Any) -> Any:
    return value.returned if isinstance(value, Body) else value


def body_of(entry: Entry) -> Body:
    """The body of an entry, as it is stored."""
    times = entry.created_ms, entry.fresh_until_ms
    return Body(entry.payload, entry.note, entry.compression, *times, Source.ENTRY)
