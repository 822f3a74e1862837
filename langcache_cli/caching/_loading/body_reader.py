"""The entry point of every call whose value is a body: the payload of an entry is handed out as it is."""

from __future__ import annotations

from time import monotonic
from typing import Any

from langcache_cli.caching._functions.body import Body, Source
from langcache_cli.caching._functions.body_spec import body_of
from langcache_cli.caching._functions.spec import EntryKeys
from langcache_cli.caching._keys.tags import KeyAndTags
from langcache_cli.caching._loading.call import Call
from langcache_cli.caching._loading.load import Load, Origin
from langcache_cli.caching._loading.near_reads import SLOW_PATH
from langcache_cli.caching._loading.reader import Reader
from langcache_cli.caching._near.tracking import NearFill
from langcache_cli.caching._protocol.entry import Entry, parse


class BodyLoad(Load):
    """A `Load` whose bodies say that they were loaded past the cache."""

    async def bypass(self) -> Any:
        """See `Load.bypass`."""
        value = await super().bypass()
        return value._replace(source=Source.BYPASS) if isinstance(value, Body) else value


class BodyReader(Reader):
    """A `Reader` that neither decompresses nor decodes."""

    def call(self, address: EntryKeys, origin: Origin, *, loads_before: int | None = None) -> Call:
        """See `Reader.call`."""
        load = BodyLoad(self.runtime, self.spec, self.label, address, origin, lifetime=self.lifetime)
        return Call(load, self.hits, loads_before=loads_before)

    def servable_value(self, found: Any, keys: KeyAndTags, started: float, fill: NearFill | None) -> Any:
        stored, versions = (found[0], found[1:]) if self._tagged else (found, ())
        entry = parse(stored) if stored else None
        if not isinstance(entry, Entry) or entry.leased_until_ms or entry.schema != self._codec.fingerprint:
            return SLOW_PATH
        if [version.encode("ascii") for version in entry.tag_versions] != [*versions]:
            return SLOW_PATH
        body = body_of(entry)
        if self.near is not None and fill is not None:
            self.near.keep(keys, body.content, body._replace(source=Source.NEAR), fill)
        self._count_hit(keys[0], len(body.content), monotonic() - started)
        self._misses_in_a_row = 0
        return body
