"""The command that opens a redis-cli on the server."""

from __future__ import annotations

import os
from typing import Final

from langcache_cli.servers.binaries import client_program
from langcache_cli.servers.compose import compose_of
from langcache_cli.servers.errors import NoShellError
from langcache_cli.servers.reports import ShellCommand
from langcache_cli.servers.spec import ServerSpec

_SECRETS: Final = ("REDISCLI_AUTH", "VALKEYCLI_AUTH")


async def shell_command(spec: ServerSpec) -> ShellCommand:
    """A redis-cli or valkey-cli of this machine, else the container's; the password is in `env` only.

    Raises:
        NoShellError: There is none.
    """
    client = client_program()
    if client:
        user = ["--user", spec.username] if spec.username else []
        argv = (str(client), "-h", spec.host, "-p", str(spec.port), "-n", str(spec.db), *user)
        return ShellCommand(argv=argv, env=environment(spec.password))
    compose = await compose_of(spec.folder.load())
    if compose:
        return compose.shell(spec)
    raise NoShellError(
        "There is no redis-cli or valkey-cli on this machine.",
        hint="Install redis-tools or valkey-tools (brew install redis, apt install redis-tools)",
    )


def environment(password: str | None) -> dict[str, str]:
    """The environment of a redis-cli, with the password in it."""
    # A variable of another server would send that server's password to this one.
    env = {name: value for name, value in os.environ.items() if name not in _SECRETS}
    return env | (dict.fromkeys(_SECRETS, password) if password else {})
