"""Whether a Redis pattern can match any key that begins with a certain text."""

from __future__ import annotations

import re

_GLOB = re.compile(r"[*?\[\\]")
_TOKEN = re.compile(rb"\\.|\[(?:\\.|[^\]\\])*\]|.", re.DOTALL)


def could_match(pattern: str, beginning: str, *, whole: bool = False) -> bool:
    """Whether some key that begins with ``beginning`` matches; True when in doubt.

    Args:
        pattern: A Redis glob. A class such as ``[ab]`` counts as any byte.
        beginning: What the key begins with.
        whole: The key is nothing but ``beginning``.
    """
    fixed = _GLOB.split(pattern, maxsplit=1)[0]
    if fixed.startswith(beginning) and not whole:
        return True
    if not (fixed.startswith(beginning) or beginning.startswith(fixed)):
        return False
    tokens: list[bytes] = _TOKEN.findall(pattern.encode())
    if b"[" in tokens:  # never closed
        return True
    at = _past_stars(tokens, {0})
    for byte in beginning.encode():
        taken = {
            place if tokens[place] == b"*" else place + 1
            for place in at
            if place < len(tokens) and _takes(tokens[place], byte)
        }
        at = _past_stars(tokens, taken)
    return len(tokens) in at if whole else bool(at)


def _past_stars(tokens: list[bytes], places: set[int]) -> set[int]:
    """The places in a pattern that are reached without another byte: a ``*`` may match nothing."""
    reached, more = set(places), places
    while more := {place + 1 for place in more if tokens[place : place + 1] == [b"*"]} - reached:
        reached |= more
    return reached


def _takes(token: bytes, byte: int) -> bool:
    if token in (b"*", b"?") or token[:1] == b"[":
        return True
    return token[-1] == byte
