"""The right to store a value that is being loaded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from langcache_cli.caching._clock import new_id, new_ids
from langcache_cli.caching._protocol.entry import Placeholder, parse


class Lease(NamedTuple):
    """The right to store one load under one key.

    Attributes:
        key: The key.
        token: What the key must still show when the value is stored.
        tag_versions: Read before the load begins.
    """

    key: str
    token: str
    tag_versions: tuple[str, ...] = ()


def holds(stored: bytes, lease: Lease) -> bool:
    """True if a stored value is the placeholder of this lease, taken earlier."""
    found = parse(stored)
    return isinstance(found, Placeholder) and found.id == lease.token


def new_lease(key: str) -> Lease:
    """A lease not taken yet, with a token of its own."""
    return Lease(key, new_id())


def new_leases(keys: Sequence[str]) -> list[Lease]:
    """`new_lease` for many keys."""
    return [Lease(key, token) for key, token in zip(keys, new_ids(len(keys)), strict=True)]
