"""Keys as text to look at, and as text that leads back to exactly their bytes."""

from __future__ import annotations

from urllib.parse import quote, unquote_to_bytes


def readable(key: bytes) -> str:
    r"""A key for people: bytes that are no UTF-8 as ``\xff``."""
    return key.decode("utf-8", "backslashreplace")


def address_of(key: bytes) -> str:
    """A key percent-encoded, whatever its bytes are."""
    return quote(key, safe="")


def key_at(address: str) -> bytes:
    """The key of an address."""
    return unquote_to_bytes(address)


def without_arguments(shown: str) -> str:
    """A key with its prefix and function only: what follows may be text of users."""
    parts = shown.split(":", 3)
    return ":".join([*parts[:3], "…"]) if len(parts) > 3 else shown  # noqa: PLR2004 - namespace, prefix, function
