"""Bodies of HTTP answers: bytes that are stored and sent as they are, without decoding and encoding."""

from __future__ import annotations

from enum import Enum
from typing import Any, NamedTuple, NoReturn

from langcache_cli.caching._errors import UncacheableValueError, UndecodableEntryError


class Source(Enum):
    """Where a body comes from."""

    LOAD = "load"
    BYPASS = "bypass"
    ENTRY = "entry"
    NEAR = "near"


class Body(NamedTuple):
    """The body of an answer.

    Attributes:
        content: As it is stored.
        note: What belongs to it: visible ASCII without spaces, stored in the header of the entry.
        compression: Of ``content``; empty for none.
        created_ms: When it was stored; 0 if it comes from no entry.
        fresh_until_ms: The end of its TTL; 0 if it comes from no entry.
        source: Where it comes from.
        returned: What the function has returned, of a body that this call has loaded.
    """

    content: bytes
    note: str
    compression: str = ""
    created_ms: int = 0
    fresh_until_ms: int = 0
    source: Source = Source.LOAD
    returned: Any = None


class Unstorable(NamedTuple):
    """What a route has returned that is passed on and never stored.

    Attributes:
        value: What it has returned.
        reason: Why, for the log.
    """

    value: Any
    reason: str


class BodyCodec:
    """Takes the place of a `Codec` for bodies: their bytes are the payload."""

    is_heavy = None

    def __init__(self, fingerprint: str) -> None:
        """Note the eight hex digits that change whenever the shape of the bodies does."""
        self.fingerprint = fingerprint

    def is_large(self, _value: Any) -> bool:
        """False: nothing has to be encoded."""
        return False

    def encode(self, value: Any) -> bytes:
        """The bytes of a body.

        Raises:
            UncacheableValueError: It is `Unstorable`.
        """
        if isinstance(value, Body):
            return value.content
        raise UncacheableValueError(value.reason if isinstance(value, Unstorable) else "it is not a body")

    async def encode_large(self, value: Any) -> bytes:
        """The same as `encode`."""
        return self.encode(value)

    def decode(self, _payload: bytes) -> NoReturn:
        """Refuse: a body is more than its payload.

        Raises:
            UndecodableEntryError: Always.
        """
        raise UndecodableEntryError("a body is more than its payload")

    async def decode_large(self, payload: bytes) -> NoReturn:
        """The same as `decode`."""
        self.decode(payload)

    async def decode_stored(self, stored: bytes, _compression: str, *, max_bytes: int) -> NoReturn:  # noqa: ARG002
        """The same as `decode`."""
        self.decode(stored)
