"""Lines for ``redis-cli`` that an operator can type; the password is left for ``REDISCLI_AUTH``."""

from __future__ import annotations

from langcache_cli.caching.tooling import RedisAddress


def redis_cli(address: RedisAddress, command: str) -> str:
    """The line that sends a command to one server."""
    where = f"-s {address.path}" if address.path else f"-h {address.host} -p {address.port}"
    return f"redis-cli {where}{' --tls' if address.tls else ''} {command}"


def cluster_cli(address: RedisAddress, action: str, rest: str = "") -> str:
    """The line that lets ``redis-cli`` do something with the whole cluster of a node."""
    tls = " --tls" if address.tls else ""
    return f"redis-cli{tls} --cluster {action} {address.where} {rest}".rstrip()
