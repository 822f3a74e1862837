"""The options of a cached function, written down once: name, type, default, meaning."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypedDict

from langcache_cli.caching._config.settings import TEN_YEARS_SECONDS
from langcache_cli.caching._functions.duration import Duration, seconds_of

TTL_RANGE = f"more than 0 seconds and at most {TEN_YEARS_SECONDS:,} (ten years)"
"""What a ``ttl`` can be, in messages."""

MAX_EARLY_REFRESH = 100
"""More would load at almost every call."""


class CachedOptions(TypedDict, total=False):
    """The keyword arguments of `cached`. None is required."""

    key_prefix: str
    """Second part of every key; also decides the cache type. Default: the name of the function's module, such
    as ``app.services.words``."""

    ttl: Duration | Callable[[Any], Duration | None] | None
    """How long a value is fresh: seconds, a `timedelta`, or a text such as ``"30m"`` or ``"1h30m"`` (w, d, h,
    m, s). Or a function of the value that returns one of these, and ``None`` or 0 for a value that must not
    be stored: ``lambda word: "1h" if word else "1m"``. It is called once for each loaded value, in the event
    loop: that of a synchronous function runs in another thread, ``langcache-loop``, so its ``ttl`` must not
    use what belongs to the calling thread, such as its database connection. A value that is not stored is
    returned to its caller and to those who wait for the same load in this process; an older entry, even a
    stale one, is removed, and the next call loads. If the function raises, or returns what is not a TTL, the
    value is returned and not stored, and the log says so once. Default: the TTL of the cache type."""

    stale_ttl: Duration
    """Time after that in which the old value is still served, while one call of the fleet
    loads a new one, or fails to. That load runs in the background, or, in a function that takes a database
    session, as part of the call that starts it. An invalidated value is never served. Default: 0."""

    early_refresh: float
    """Load a new value before the old one ends, likelier the nearer the end and the
    longer a load takes (XFetch). 0 never does, 1 is the usual value. Default: 0."""

    max_bytes: int | None
    """Values that take more bytes as JSON, before compression, are returned and not stored. They are counted
    as ``too_large``, and the log says so once. Default: no limit but that of Redis."""

    tags: Sequence[str]
    """Templates such as ``"word:{word_id}"`` of the labels by which `invalidate_tags`
    invalidates entries together. Their fields must be part of the key, or of what is. Default: none."""

    local_ttl: Duration
    """Time that an entry may also be kept in the memory of the process, where a hit costs
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


class Times:
    """The times of a function's options, in seconds."""

    def __init__(self, name: str, options: CachedOptions) -> None:
        """Refuse times that mean nothing.

        Args:
            name: The function, for messages.
            options: Its options.

        Raises:
            TypeError: A time is negative, too long, unreadable, or a ``ttl`` of 0.
        """
        ttl = options.get("ttl")
        self.ttl_of = _function_of_value(name, ttl) if callable(ttl) else None
        """What ``ttl`` was given as, if that is a function of the value."""
        self.ttl = None if ttl is None or callable(ttl) else _seconds(name, "ttl", ttl)
        if self.ttl is not None and not 0 < self.ttl <= TEN_YEARS_SECONDS:
            raise TypeError(f"{name}: ttl must be {TTL_RANGE}, not {ttl!r}")
        self.stale_ttl = _may_be_zero(name, "stale_ttl", options.get("stale_ttl", 0))
        self.local_ttl = _may_be_zero(name, "local_ttl", options.get("local_ttl", 0))
        self.early_refresh = options.get("early_refresh", 0)
        if not 0 <= self.early_refresh <= MAX_EARLY_REFRESH:
            raise TypeError(
                f"{name}: early_refresh must be between 0 (never) and {MAX_EARLY_REFRESH}, "
                f"not {self.early_refresh!r}"
            )


def ignored(name: str, options: CachedOptions) -> tuple[str, ...]:
    """The parameters that a function's options leave out of its key.

    Raises:
        TypeError: A text stands in the place of a list.
    """
    names = options.get("ignore", ())
    if isinstance(names, str):
        raise TypeError(f"{name}: ignore must be a list of parameters: write ignore=({names!r},)")
    return tuple(names)


def _function_of_value(name: str, ttl: Callable[[Any], object]) -> Callable[[Any], object]:
    """A ``ttl`` that is a function.

    Raises:
        TypeError: It cannot be called with one value, or has to be awaited.
    """
    if inspect.iscoroutinefunction(ttl):
        raise TypeError(f"{name}: ttl must be a plain function, not an 'async def' one")
    try:
        inspect.signature(ttl).bind(None)
    except TypeError:
        raise TypeError(f"{name}: ttl must be a function of one argument, the returned value") from None
    except ValueError:
        pass  # a builtin without a signature
    return ttl


def _may_be_zero(name: str, option: str, duration: Duration) -> float:
    seconds = _seconds(name, option, duration)
    if not 0 <= seconds <= TEN_YEARS_SECONDS:
        raise TypeError(f"{name}: {option} must be 0 to {TEN_YEARS_SECONDS:,} seconds, not {duration!r}")
    return seconds


def _seconds(name: str, option: str, duration: Duration) -> float:
    try:
        return seconds_of(duration)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name}: {option}: {error}") from None


def chosen_seconds(duration: object) -> float:
    """What a ``ttl`` function has returned, in seconds; 0 for a value that must not be stored.

    Raises:
        TypeError: It is not a duration.
        ValueError: It is not `TTL_RANGE`, or a text that is not a duration.
    """
    seconds = 0 if duration is None else seconds_of(duration)
    if not 0 <= seconds <= TEN_YEARS_SECONDS:
        raise ValueError(f"a TTL must be {TTL_RANGE}, or 0 or None for 'do not store', not {duration!r}")
    return seconds


def require_usable_size(name: str, options: CachedOptions) -> int | None:
    """The ``max_bytes`` of a function's options.

    Raises:
        TypeError: It is not a positive number of bytes.
    """
    max_bytes = options.get("max_bytes")
    if max_bytes is not None and (isinstance(max_bytes, bool) or not isinstance(max_bytes, int)):
        raise TypeError(f"{name}: max_bytes must be a number of bytes, not {max_bytes!r}")
    if max_bytes is not None and max_bytes <= 0:
        raise TypeError(f"{name}: max_bytes must be more than 0, not {max_bytes!r}")
    return max_bytes
