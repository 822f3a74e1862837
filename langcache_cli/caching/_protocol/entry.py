r"""The bytes under one key: a header line that a person can read, then the payload.

An entry is ``lc1 entry id=... leased=... created=... fresh=... load_us=... schema=...\n{json}``.
While a load runs and there is no value, the key holds a placeholder, ``lc1 lease id=... created=...``,
with the lease token as its id. Both end with ``tags=...`` if the function has tags: their versions, read
before the load began. The header of a compressed payload has ``zip=zstd``, or ``zip=zlib`` if a Python
without Zstandard or an earlier version wrote it, that of the body of a route ``note=...``. Times are
milliseconds since 1970 (UTC). `header` has the fields with fixed places. Unknown fields are skipped.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from langcache_cli.caching._clock import ID_DIGITS
from langcache_cli.caching._protocol import header

MAX_HEADER_BYTES = 4096

DECLINED, TOO_LARGE = 0, -1
"""In the place of times: the value must not be stored, because of its function's ``ttl`` or ``max_bytes``."""

_ENTRY, _LEASE, _LEASED = (text.encode("ascii") for text in (header.ENTRY, header.LEASE, header.LEASED))
_ID = rb"[0-9a-f]{%d}" % ID_DIGITS

_HEADER = re.compile(
    rb"(?:(?P<lease>%b)|%b)(?P<id>%b)(?:%b(?P<leased>[0-9]{%d}))?"
    % (_LEASE, _ENTRY, _ID, _LEASED, header.LEASED_DIGITS)
    + rb" created=(?P<created>[0-9]{1,15})"
    rb"(?: fresh=(?P<fresh>[0-9]{1,15}) load_us=(?P<load_us>[0-9]{1,15}) schema=(?P<schema>[0-9a-f]{8}))?"
    rb"(?: tags=(?P<tags>[0-9a-f]{16}(?:,[0-9a-f]{16})*))?(?: zip=(?P<zip>[a-z0-9]{1,16}))?"
    rb"(?: note=(?P<note>[!-~]*))?(?: [a-z_]+=[!-~]*)*(?P<end>\n|\Z)"
)


class Entry(NamedTuple):
    """One cached value.

    Attributes:
        id: Random; a new one whenever the value is stored.
        created_ms: When it was stored.
        fresh_until_ms: The end of its TTL; `DECLINED` or `TOO_LARGE` for one that must not be stored, and
            only carries a value to those who have joined its load.
        load_us: How long the load took, in microseconds.
        schema: Fingerprint of the type that wrote it.
        payload: The value as JSON, compressed as ``compression`` says.
        tag_versions: From before the load began. It is valid while the tags still have them.
        leased_until_ms: Until when, on the server's clock, its successor is being loaded; 0 for not at all.
        compression: ``zstd``, ``zlib``, or empty for none.
        note: What belongs to the payload and is not part of it: visible ASCII without spaces.
    """

    id: str
    created_ms: int
    fresh_until_ms: int
    load_us: int
    schema: str
    payload: bytes
    tag_versions: tuple[str, ...] = ()
    leased_until_ms: int = 0
    compression: str = ""
    note: str = ""

    @property
    def is_kept(self) -> bool:
        """False for a value that must not be stored."""
        return self.fresh_until_ms > 0

    def to_bytes(self) -> bytes:
        """The bytes to store."""
        return entry_format(self.created_ms, self.load_us, self.schema, self.leased_until_ms) % (
            self.id.encode("ascii"),
            self.fresh_until_ms,
            optional_fields(self.tag_versions, self.compression, self.note),
            self.payload,
        )


class Placeholder(NamedTuple):
    """The lease of a load under way: stored while there is no value to serve.

    Attributes:
        id: The token: its holder may store one entry while the key still shows it.
        created_ms: When the load began.
        tag_versions: As for an entry. Once they have changed, no call may begin to wait for this load.
    """

    id: str
    created_ms: int
    tag_versions: tuple[str, ...] = ()

    def to_bytes(self) -> bytes:
        """The bytes to store."""
        optional = optional_fields(self.tag_versions)
        return placeholder_format(self.created_ms) % (self.id.encode("ascii"), optional)


def parse(stored: bytes) -> Entry | Placeholder | None:
    """The entry or placeholder in the bytes under a key; None for anything this package did not write."""
    fields = _HEADER.match(stored, 0, MAX_HEADER_BYTES)
    if fields is None:
        return None
    identity, created_ms = fields["id"].decode("ascii"), int(fields["created"])
    tag_versions = tuple(fields["tags"].decode("ascii").split(",")) if fields["tags"] else ()
    if fields["lease"]:
        return Placeholder(identity, created_ms, tag_versions)
    if fields["schema"] is None or fields["leased"] is None or not fields["end"]:
        return None
    return Entry(
        id=identity,
        created_ms=created_ms,
        fresh_until_ms=int(fields["fresh"]),
        load_us=int(fields["load_us"]),
        schema=fields["schema"].decode("ascii"),
        payload=stored[fields.end() :],
        tag_versions=tag_versions,
        leased_until_ms=int(fields["leased"]),
        compression=fields["zip"].decode("ascii") if fields["zip"] else "",
        note=fields["note"].decode("ascii") if fields["note"] else "",
    )


TAGS_GROUP, COMPRESSION_GROUP = 1, 2


@cache
def servable_header(schema: str) -> Callable[[bytes, int, int], re.Match[bytes] | None]:
    """A fast match for the header of an entry written with ``schema`` and not leased; `parse` reads the rest.

    Group `TAGS_GROUP` holds the versions of its tags, group `COMPRESSION_GROUP` its compression;
    ``lastindex`` is the last of the two that is present.
    """
    return re.compile(
        rb"%b%b%b0{%d}" % (_ENTRY, _ID, _LEASED, header.LEASED_DIGITS)
        + rb" created=[0-9]{1,15} fresh=[0-9]{1,15} load_us=[0-9]{1,15} schema=%b"
        % re.escape(schema.encode("ascii"))
        + rb"(?: tags=(%b(?:,%b)*))?(?: zip=([a-z0-9]{1,16}))?\n" % (_ID, _ID)
    ).match


class PlainHeader(NamedTuple):
    """What stands in the header of a servable entry without optional fields but its tags.

    A header is one if it begins with ``start``, has ``middle`` at `PLAIN_MIDDLE`, has ``fields`` times the
    sign ``=`` and ends with ``end``, behind which come the versions of its tags. Comparing them takes half
    of the time of `servable_header`, which decides about all other headers. The times in it are not looked
    at: they say nothing about whether it can be served.
    """

    start: bytes
    middle: bytes
    end: bytes
    fields: int


PLAIN_MIDDLE = slice(header.ID_END, header.LEASED_END + len(" created="))


@cache
def plain_header(schema: str, *, tagged: bool) -> PlainHeader:
    """The plain header of entries written with ``schema``."""
    middle = b"%b%0*d created=" % (_LEASED, header.LEASED_DIGITS, 0)
    end = f" schema={schema}{' tags=' if tagged else ''}".encode("ascii")
    return PlainHeader(_ENTRY, middle, end, 7 if tagged else 6)


def entry_format(created_ms: int, load_us: int, schema: str, leased_until_ms: int = 0) -> bytes:
    """A template for entries of one load; ``%`` adds id, end of the TTL, `optional_fields` and payload."""
    fixed = b"%b%%b%b%0*d" % (_ENTRY, _LEASED, header.LEASED_DIGITS, leased_until_ms)
    shared = (created_ms, load_us, schema.encode("ascii"))
    return fixed + b" created=%d fresh=%%d load_us=%d schema=%b%%b\n%%b" % shared


def placeholder_format(created_ms: int) -> bytes:
    """A template for placeholders of one moment; ``%`` adds the id and `optional_fields`."""
    return b"%b%%b created=%d%%b" % (_LEASE, created_ms)


def optional_fields(tag_versions: tuple[str, ...], compression: str = "", note: str = "") -> bytes:
    """The end of a header: fields that most entries do without."""
    if not tag_versions and not compression and not note:
        return b""
    tagged = f" tags={','.join(tag_versions)}" if tag_versions else ""
    compressed = f" zip={compression}" if compression else ""
    return f"{tagged}{compressed}{f' note={note}' if note else ''}".encode("ascii")
