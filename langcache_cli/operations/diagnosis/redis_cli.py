"""Lines for ``redis-cli`` that an operator can type; where a password is needed, they let it be asked for.

They name no user: who may change the server is the default user more often than that of the application.
"""

from __future__ import annotations

from langcache_cli.caching.tooling import RedisAddress


def redis_cli(address: RedisAddress, command: str) -> str:
    """The line that sends a command to one server."""
    where = f"-s {address.path}" if address.path else f"-h {address.host} -p {address.port}"
    return f"redis-cli {where}{_login(address)} {command}"


def cluster_cli(address: RedisAddress, action: str, rest: str = "") -> str:
    """The line that lets ``redis-cli`` do something with the whole cluster of a node."""
    return f"redis-cli{_login(address)} --cluster {action} {address.where} {rest}".rstrip()


def _login(address: RedisAddress) -> str:
    tls = " --tls" if address.tls else ""
    return f"{tls} --askpass" if address.password else tls
