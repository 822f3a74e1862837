"""What an entry notes beside a body: its entity tag, and the headers that the function has set."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Self

Headers = tuple[tuple[str, str], ...]
"""Names in lower case, and values."""

JSON_ONLY: Headers = (("content-type", "application/json"),)
MAX_CHARACTERS = 2048
"""Of a note: a header of an entry may have 4,096 bytes, of which tags need some."""


@dataclass(frozen=True, slots=True)
class Note:
    """What is sent with a stored body.

    Attributes:
        digest: The entity tag without its quotes; hex digits.
        headers: Of the answer, without ``content-length`` and those that `Answer` adds.
    """

    digest: str
    headers: Headers = JSON_ONLY

    def text(self) -> str:
        """The note in visible ASCII: ``digest`` or ``digest.headers``."""
        if self.headers == JSON_ONLY:
            return self.digest
        packed = json.dumps(self.headers, separators=(",", ":")).encode("ascii")
        return f"{self.digest}.{base64.urlsafe_b64encode(packed).decode('ascii')}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The note of an entry.

        Raises:
            ValueError: It is not one.
        """
        digest, dot, packed = text.partition(".")
        if not dot:
            return cls(digest)
        pairs = json.loads(base64.urlsafe_b64decode(packed))
        return cls(digest, tuple((str(name), str(value)) for name, value in pairs))
