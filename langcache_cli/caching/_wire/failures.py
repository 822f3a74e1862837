"""From a connection failure or an error reply to the error that the caller gets."""

from __future__ import annotations

from langcache_cli.caching._config.redis_address import RedisAddress
from langcache_cli.caching._errors import (
    AuthenticationFailedError,
    CacheUnavailableError,
    ConnectionLostError,
    ServerLoadingError,
    ServerReplyError,
)

NOT_SERVING = frozenset({"LOADING", "MASTERDOWN", "WRONGPASS", "NOAUTH"})
"""Error codes by which a server says that it cannot be used now, whatever the command."""

PROTOCOL_ERROR = "Protocol error"
"""In the reply to what a server does not accept as a command; then it closes the connection."""

LARGE_BYTES = 512 * 1024
"""Smaller values are within the limits that servers and proxies have for one value."""


def refused_for_size(error: BaseException, n_bytes: int) -> bool:
    """True if the server seems to take no value of ``n_bytes``: it says so, or ends the connection."""
    lost = isinstance(error, ConnectionLostError) or isinstance(error.__cause__, ConnectionLostError)
    return "bulk length" in str(error) or (lost and n_bytes >= LARGE_BYTES)


def too_busy(address: RedisAddress) -> CacheUnavailableError:
    """The error of a call that stops waiting because of its event loop; no failure of the server."""
    return CacheUnavailableError("the event loop is too busy to wait for Redis", target=str(address))


def unavailable(error: BaseException, address: RedisAddress) -> CacheUnavailableError:
    """The error to raise for a server that cannot be used."""
    target = str(address)
    code = error.code if isinstance(error, ServerReplyError) else ""
    if code in ("WRONGPASS", "NOAUTH") or (code == "ERR" and "AUTH" in str(error)):
        return AuthenticationFailedError("Redis refused the user or password", target=target)
    if code == "LOADING":
        return ServerLoadingError("Redis is loading its data", target=target)
    if isinstance(error, TimeoutError):
        return CacheUnavailableError("Redis did not answer in time", target=target)
    return CacheUnavailableError(f"Redis cannot be reached: {error}", target=target)
