"""Values that are larger than the server takes.

A server, or a proxy in front of it, ends the connection that brings such a value, and with it the requests of
all who share it. So the key is remembered with those whose values cannot be stored, and a large value under
it is not sent again for a while.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from langcache_cli.caching._errors import CacheError, SizeRefusedError
from langcache_cli.caching._runtime.loop_runtime import Runtime
from langcache_cli.caching._wire.failures import LARGE_BYTES, refused_for_size


def size_refusal(runtime: Runtime, error: CacheError, n_bytes: int) -> SizeRefusedError | None:
    """What to say of a value of ``n_bytes`` that was not stored; None if its size is not the reason."""
    if isinstance(error, SizeRefusedError) or not refused_for_size(error, n_bytes):
        return None
    reason = f"the server does not take {n_bytes:,} bytes"
    return SizeRefusedError(reason, target=str(runtime.settings.target), is_new=True)


def raise_if_refused_before(runtime: Runtime, key: str, n_bytes: int) -> None:
    """Raise instead of sending a large value under a key whose value the server has not taken.

    Raises:
        SizeRefusedError: It is not to be sent.
    """
    if n_bytes >= LARGE_BYTES and key in runtime.uncacheable:
        reason = f"the server has not taken such a value, and {n_bytes:,} bytes are not sent again yet"
        raise SizeRefusedError(reason, target=str(runtime.settings.target))


async def sent_by_size(
    runtime: Runtime,
    keys: Sequence[str],
    sizes: Sequence[int],
    send: Callable[[Sequence[int]], Awaitable[list[Any]]],
    *,
    warn: Callable[[str, SizeRefusedError], object],
) -> list[Any]:
    """Send values to be stored: first those that every server takes, then large ones, each by itself.

    The smallest goes first: once the server has not taken one, those that are larger are not sent.

    Args:
        runtime: Of the running event loop.
        keys: Of the values.
        sizes: Of the values, in bytes.
        send: Sends the values at some places; returns their replies.
        warn: Called with the key of each value that the server does not take, and why.

    Returns:
        The replies; an error in the place of each large value that was not stored.

    Raises:
        CacheError: What ``send`` raises for values that are not large.
    """
    large = [place for place, size in enumerate(sizes) if size >= LARGE_BYTES]
    if not large:
        return await send(range(len(sizes)))
    small = [place for place, size in enumerate(sizes) if size < LARGE_BYTES]
    replies: dict[int, Any] = dict(zip(small, await send(small), strict=True)) if small else {}
    refused: SizeRefusedError | None = None
    for place in sorted(large, key=sizes.__getitem__):
        if refused is None:
            try:
                raise_if_refused_before(runtime, keys[place], sizes[place])
                (replies[place],) = await send([place])
            except CacheError as error:
                replies[place] = error
            if isinstance(replies[place], CacheError):
                refused = size_refusal(runtime, replies[place], sizes[place])
        if refused is not None:
            replies[place] = refused
            runtime.uncacheable.add(keys[place])
            warn(keys[place], refused)
    return [replies[place] for place in range(len(sizes))]
