"""Entity tags: what a client has, and whether it is what would be sent (RFC 9110, sections 8.8.3 and 13.1.2).

They are weak: one tag stands for the same JSON with every content coding, whoever compresses it.
"""

from __future__ import annotations

import re
from hashlib import blake2b

_TAG = re.compile(r'(?:W/)?("[!\x23-\x7e\x80-\xff]*")')
_DIGEST_BYTES = 16


def digest_of(content: bytes) -> str:
    """What a body has for an entity tag, before compression: the same in every process."""
    return blake2b(content, digest_size=_DIGEST_BYTES).hexdigest()


def is_known(if_none_match: str, tag: str) -> bool:
    """True if a client that sends ``If-None-Match`` has the body of an entity tag (weak comparison)."""
    if if_none_match.strip() == "*":
        return True
    return tag.removeprefix("W/") in _TAG.findall(if_none_match)
