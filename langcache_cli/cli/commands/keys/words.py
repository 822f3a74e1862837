"""An entry in words, and as fields of a document."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError
from langcache_cli.cli.output import visible

if TYPE_CHECKING:
    from langcache_cli.operations.keys.inspection import KeyView
    from langcache_cli.operations.keys.tags import TagLine

WIDTH = 12
"""Of the names in front of what the header of an entry says."""

_STATES = {
    "leased": "leased: a load of its successor is under way; calls are hits until then",
    "invalidated": "invalidated: a tag has changed since, or was evicted, so a call is a miss",
    "loading": "loading: the first load is under way, and calls wait for its value",
    "failed": "failed: a load has just failed; this sign of it is no value, and a call loads again",
    "foreign": "foreign: langcache did not write it, so a call is a miss",
}


def no_such_key(text: str) -> CommandError:
    """The error about a key that is not there."""
    parts = text.split(":")
    search = parts[2] if len(parts) > 2 and parts[2] else "TEXT"  # noqa: PLR2004 - namespace, prefix, function
    return CommandError(
        ExitCode.CHECK_FAILED,
        f"there is no key {visible(text)!r}",
        f"Type 'langcache keys list --find {visible(search)}' to see which there are.",
    )


def view_fields(view: KeyView) -> dict[str, Any]:
    """What a document says of a key, without its value."""
    from langcache_cli.operations.keys.names import typeable  # noqa: PLC0415 - see the package

    found = view.entry
    return {
        "key": typeable(view.key),
        "address": found["address"],
        "type": found["type"],
        "kind": found["kind"],
        "state": view.state,
        "ttl_seconds": view.ttl_seconds,
        "fresh_seconds": view.fresh_seconds,
        "lease_seconds": view.lease_seconds,
        "stored_at": _iso(found["created"]),
        "fresh_until": _iso(found["fresh_until"]),
        "load_ms": found["load_ms"],
        "schema_of_value": found["schema"] or None,
        "compression": found["compression"] or None,
        "bytes": found["bytes"],
        "tags": [asdict(tag) for tag in view.tags],
        "problem": found["problem"] or None,
    }


def described(view: KeyView, *, without: Collection[str] = ()) -> Iterator[str]:
    """The lines about a key: what its header says.

    Args:
        view: The key.
        without: Of ``key``, ``state`` and ``type`` what is said above.
    """
    from langcache_cli.operations.keys.names import typeable  # noqa: PLC0415 - as above

    found = view.entry
    above = {
        "key": typeable(view.key),
        "state": _line("state", state_words(view)),
        "type": _line("type", found["type"]),
    }
    yield from (line for name, line in above.items() if name not in without)
    if found["created"]:
        yield _line("stored" if view.age_seconds is not None else "load began", _moment(found["created"]))
    if view.fresh_seconds is not None:
        yield _fresh_line(view, view.fresh_seconds)
    yield _line("TTL", ttl_words(view))
    if lease := lease_words(view):
        yield _line("lease", lease)
    if found["load_ms"] is not None:
        yield _line("load took", _load_words(found["load_ms"]))
    if found["schema"]:
        yield _line("schema", found["schema"])
    if found["bytes"] is not None:
        compressed = f", value compressed with {found['compression']}" if found["compression"] else ""
        yield _line("size", f"{found['bytes']:,} bytes in Redis{compressed}")
    for tag in view.tags:
        yield _line("tag", tag_words(tag))


def state_words(view: KeyView) -> str:
    """What a call makes of it."""
    from langcache_cli.cli.watch.words import duration  # noqa: PLC0415 - as above

    left = view.fresh_seconds or 0.0
    if view.state == "fresh":
        return f"fresh: a call is a hit, for {duration(left)} more"
    if view.state == "stale":
        return f"stale for {duration(-left)}: one call loads its successor, the others are hits meanwhile"
    return _STATES[view.state]


def ttl_words(view: KeyView) -> str:
    """How long Redis keeps the key."""
    from langcache_cli.cli.watch.words import duration  # noqa: PLC0415 - as above

    if view.ttl_seconds is None:
        return "none: the key stays until it is removed"
    exact = f"{view.ttl_seconds:,.0f} s left"
    return exact if view.ttl_seconds < 60 else f"{exact} ({duration(view.ttl_seconds)})"  # noqa: PLR2004 - a minute


def lease_words(view: KeyView) -> str:
    """How long the load may go on without a sign of life; empty without a load."""
    if view.lease_seconds is None:
        return ""
    return f"the lease of the load ends in {view.lease_seconds:.1f} s, unless it is renewed"


def tag_words(tag: TagLine) -> str:
    """A tag, and whether its version still holds."""
    name = "name unknown" if tag.tag is None else visible(tag.tag)
    meaning = {
        True: "holds",
        False: "invalidated since",
        None: "not found among the tags looked at, within 1 s",
    }[tag.holds]
    return f"{name}: version {tag.version or 'none'}, {meaning}"


def _fresh_line(view: KeyView, left_seconds: float) -> str:
    label = "fresh until" if left_seconds > 0 else "was fresh to"
    until = ", and not fresh any more: a tag has changed" if view.state == "invalidated" else ""
    return _line(label, f"{_moment(view.entry['fresh_until'])}{until}")


def _load_words(load_ms: float) -> str:
    return f"{load_ms:,.1f} ms" if load_ms else "- (warmed or set, not loaded)"


def _line(name: str, text: str) -> str:
    return f"  {name:{WIDTH}}{text}"


def _moment(seconds: float) -> str:
    from langcache_cli.cli.watch.words import duration  # noqa: PLC0415 - as above

    distance = seconds - time.time()
    about = f"in {duration(distance)}" if distance > 0 else f"{duration(-distance)} ago"
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC, {about}"


def _iso(seconds: float) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds") if seconds else None
