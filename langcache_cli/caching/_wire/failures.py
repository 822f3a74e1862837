"""From a connection failure or an error reply to the error that the caller gets."""

from __future__ import annotations

from langcache_cli.caching._config.redis_address import RedisAddress
from langcache_cli.caching._errors import (
    AuthenticationFailedError,
    CacheUnavailableError,
    ServerLoadingError,
    ServerReplyError,
)

NOT_SERVING = frozenset({"LOADING", "MASTERDOWN", "WRONGPASS", "NOAUTH"})
"""Error codes by which a server says that it cannot be used now, whatever the command."""


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
