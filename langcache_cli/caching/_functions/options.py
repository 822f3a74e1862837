"""The options of a cached function, written down once: name, type, default, meaning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypedDict

from langcache_cli.caching._config.settings import TEN_YEARS_SECONDS

TTL_RANGE = f"more than 0 seconds and at most {TEN_YEARS_SECONDS:,} (ten years)"
"""What a ``ttl`` can be, in messages."""

MAX_EARLY_REFRESH = 100
"""More would load at almost every call."""


class CachedOptions(TypedDict, total=False):
    """The keyword arguments of `cached`. None is required."""

    key_prefix: str
    """Second part of every key; also decides the cache type. Default: the name of the function's module, such
    as ``app.services.words``."""

    ttl: float | None
    """Seconds that a value is fresh. Default: the TTL of the cache type."""

    stale_ttl: float
    """Seconds after that in which the old value is still served, while one call of the fleet
    loads a new one, or fails to. That load runs in the background, or, in a function that takes a database
    session, as part of the call that starts it. An invalidated value is never served. Default: 0."""

    early_refresh: float
    """Load a new value before the old one ends, likelier the nearer the end and the
    longer a load takes (XFetch). 0 never does, 1 is the usual value. Default: 0."""

    tags: Sequence[str]
    """Templates such as ``"word:{word_id}"`` of the labels by which `invalidate_tags`
    invalidates entries together. Their fields must be part of the key, or of what is. Default: none."""

    local_ttl: float
    """Seconds that an entry may also be kept in the memory of the process, where a hit costs
    a few microseconds. A change by another process is seen once Redis has pushed it, usually within a
    millisecond. Default: 0."""

    key: str | Callable[..., object] | None
    """Template for the rest of the key, such as ``"user:{user_id}"``, ``"user:{current_user.id}"`` or
    ``"{self.language}:{word_id}"``; or a function that takes some of the parameters, by their names, and
    returns that part of the key, or a tuple of parts. Default: all arguments but ``self``, database sessions
    and ignored ones."""

    ignore: Sequence[str]
    """Parameters that do not change the value. Default: none."""


def require_known(options: CachedOptions) -> None:
    """Refuse what is not an option of `cached`.

    Raises:
        TypeError: An option is unknown.
    """
    known = CachedOptions.__annotations__
    if unknown := sorted(options.keys() - known.keys()):
        raise TypeError(f"cached() has no option {unknown[0]!r}; it takes {', '.join(known)}")


def require_usable_times(name: str, options: CachedOptions) -> None:
    """Refuse times that mean nothing.

    Args:
        name: The function, for the message.
        options: Its options.

    Raises:
        TypeError: A time is negative, too long, or a ``ttl`` of 0.
    """
    ttl = options.get("ttl")
    if ttl is not None and not 0 < ttl <= TEN_YEARS_SECONDS:
        raise TypeError(f"{name}: ttl must be {TTL_RANGE}, not {ttl!r}")
    for option, seconds in (
        ("stale_ttl", options.get("stale_ttl", 0)),
        ("local_ttl", options.get("local_ttl", 0)),
    ):
        if not 0 <= seconds <= TEN_YEARS_SECONDS:
            raise TypeError(f"{name}: {option} must be 0 to {TEN_YEARS_SECONDS:,} seconds, not {seconds!r}")
    early_refresh = options.get("early_refresh", 0)
    if not 0 <= early_refresh <= MAX_EARLY_REFRESH:
        raise TypeError(
            f"{name}: early_refresh must be between 0 (never) and {MAX_EARLY_REFRESH}, not {early_refresh!r}"
        )
