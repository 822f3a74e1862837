"""Opening a connection: TCP, TLS or a unix socket, then login and the choice of the database."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

from langcache_cli.caching._config.redis_address import RedisAddress
from langcache_cli.caching._config.tls import tls_context
from langcache_cli.caching._errors import ServerReplyError
from langcache_cli.caching._wire.connection import Argument, RedisConnection, ask
from langcache_cli.caching._wire.server_identity import QUESTIONS, ServerIdentity, identity_of


async def connect(address: RedisAddress) -> RedisConnection:
    """Connect, authenticate and select the database.

    It has no time limit of its own. Cancelled, it leaves no socket open.

    Raises:
        OSError: No connection, or a file for TLS that cannot be used.
        ServerReplyError: Wrong user or password (``WRONGPASS``, ``NOAUTH``), no such database.
    """
    loop = asyncio.get_running_loop()
    new_connection = partial(RedisConnection, address.acl_user.refusal)
    if address.path:
        _, connection = await loop.create_unix_connection(new_connection, address.path)
    else:
        tls = tls_context(address.options) if address.tls else None
        _, connection = await loop.create_connection(new_connection, address.host, address.port, ssl=tls)
    try:
        await _greet(connection, address)
    except BaseException:  # a cancelled attempt, too, leaves no socket open
        connection.abort()
        raise
    return connection


async def _greet(connection: RedisConnection, address: RedisAddress) -> None:
    commands = greeting(address)
    connection.server = server_in(commands, await ask(connection, commands))


def greeting(address: RedisAddress) -> list[tuple[Argument, ...]]:
    """What is sent first over each connection."""
    commands: list[tuple[Argument, ...]] = []
    if address.password is not None:
        user = (address.username,) if address.username else ()
        commands.append(("AUTH", *user, address.password))
    if address.db:
        commands.append(("SELECT", address.db))
    commands.append(("PING",))  # AUTH and SELECT succeed while the server still loads its data; PING does not
    return [*commands, *QUESTIONS]


def server_in(commands: Sequence[tuple[Argument, ...]], replies: Sequence[Any]) -> ServerIdentity | None:
    """The server that has answered `greeting`; None if it does not say.

    Raises:
        ServerReplyError: It refuses the connection.
    """
    server = identity_of(replies[-len(QUESTIONS) :])
    # a user may do without the right to INFO
    for command, reply in zip(commands[: -len(QUESTIONS)], replies, strict=False):
        may_not_ping = command == ("PING",) and isinstance(reply, ServerReplyError) and reply.code == "NOPERM"
        if isinstance(reply, ServerReplyError) and not may_not_ping:  # the cache itself never needs PING
            raise reply
    return server
