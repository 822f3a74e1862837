"""What one sentinel says about a service, and why it may refuse to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from langcache_cli.caching._config.redis_address import RedisAddress
from langcache_cli.caching._errors import ServerReplyError
from langcache_cli.caching._wire.connection import ask
from langcache_cli.caching._wire.externals import Connection


class Primary(NamedTuple):
    """The primary of a service, as one sentinel sees it.

    Attributes:
        epoch: Grows with each failover; of two sentinels that differ the greater one is right.
        host: As the sentinel names it.
        port: TCP port.
    """

    epoch: int
    host: str
    port: int

    def is_at(self, other: Primary) -> bool:
        """True if both are the same server."""
        return (self.host, self.port) == (other.host, other.port)


class SentinelError(OSError):
    """The sentinels answer, and yet there is no way to the primary. The message says what to change."""


async def ask_primary(connection: Connection, service: str) -> Primary:
    """The primary of a service. It has no time limit of its own.

    While a sentinel leads a failover, ``SENTINEL MASTER`` still shows the old address with the new epoch;
    only ``GET-MASTER-ADDR-BY-NAME`` shows the new one.

    Raises:
        SentinelError: It does not know the service, or is no sentinel.
        ServerReplyError: It refuses the command.
        OSError: The connection ended.
    """
    commands = [("SENTINEL", "MASTER", service), ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", service)]
    facts, address = await ask(connection, commands)
    if isinstance(facts, ServerReplyError):
        raise await _explained(connection, service, facts)
    try:
        named = _mapping(facts)
        # a user may lack the right to the second command
        host, port = address if isinstance(address, list) else (named[b"ip"], named[b"port"])
        return Primary(int(named[b"config-epoch"]), host.decode(), int(port))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise SentinelError(f"the reply to SENTINEL MASTER {service} cannot be understood") from error


def explain_refusal(error: ServerReplyError, sentinel: RedisAddress) -> str:
    """What to change, for a sentinel that answered with an error."""
    where = f"the sentinel {sentinel.host}:{sentinel.port}"
    if error.code == "ERR" and "AUTH" in str(error):
        return f"{where} has no password: remove sentinel_password from REDIS_URL"
    if error.code in ("WRONGPASS", "NOAUTH") and sentinel.password is None:
        return (
            f"{where} demands a password: add ?sentinel_password=... to REDIS_URL "
            "(if it is no sentinel but a Redis, write redis://host:6379/0)"
        )
    if error.code in ("WRONGPASS", "NOAUTH"):
        return (
            f"{where} refuses the user or password: check sentinel_username, sentinel_password in REDIS_URL"
        )
    return f"{where} refuses: {error}"


async def _explained(connection: Connection, service: str, error: ServerReplyError) -> Exception:
    text = str(error)
    if "unknown command" in text:
        return SentinelError(
            "REDIS_URL names sentinels, and a Redis answers there: for one Redis write redis://host:6379/0; "
            "sentinels mostly listen on port 26379"
        )
    if "No such master" not in text:
        return error
    (services,) = await ask(connection, [("SENTINEL", "MASTERS")])
    if isinstance(services, ServerReplyError):
        return SentinelError(f"the sentinels know no service {service!r}")
    names = sorted(_mapping(one)[b"name"].decode("utf-8", "replace") for one in services)
    known = ", ".join(map(repr, names)) if names else "none"
    return SentinelError(f"the sentinels know no service {service!r}; they know {known}")


def _mapping(reply: Mapping[bytes, Any] | Sequence[Any]) -> Mapping[bytes, Any]:
    """A reply of names and values: a map under RESP3, else a list."""
    return reply if isinstance(reply, Mapping) else dict(zip(reply[::2], reply[1::2], strict=True))
