"""What one process knows about the versions of tags: guesses, which save a round trip when they are right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

MAX_TAGS_KNOWN = 1000


class KnownTags:
    """The latest known versions of some tags."""

    def __init__(self) -> None:
        self._versions: dict[str, str] = {}

    def get(self, tag: str) -> str | None:
        """The version of a tag, as it was when the server was last asked."""
        return self._versions.get(tag)

    def update(self, versions: Mapping[str, str]) -> None:
        """Note what the server has said."""
        if len(self._versions) + len(versions) > MAX_TAGS_KNOWN:
            self._versions.clear()
        self._versions.update(versions)

    def forget(self, keys: Iterable[str]) -> None:
        """Forget tags that are about to be removed."""
        for key in keys:
            self._versions.pop(key, None)
