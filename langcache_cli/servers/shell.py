"""The command that opens a redis-cli on the server."""

from __future__ import annotations

import os
from typing import Final

from langcache_cli.servers.binaries import client_program
from langcache_cli.servers.compose import SERVICE, environment, find_compose
from langcache_cli.servers.errors import NoShellError
from langcache_cli.servers.reports import ShellCommand
from langcache_cli.servers.spec import ServerSpec
from langcache_cli.servers.state import Backend, state_folder

_SECRETS: Final = ("REDISCLI_AUTH", "VALKEYCLI_AUTH")
# Inside the container the password is in the environment already.
_IN_CONTAINER: Final = 'REDISCLI_AUTH="$REDIS_PASSWORD" exec redis-cli --user "$REDIS_USERNAME" -n "$0"'


async def shell_command(spec: ServerSpec) -> ShellCommand:
    """A redis-cli or valkey-cli of this machine, else the container's; the password is in `env` only.

    Raises:
        NoShellError: There is none.
    """
    client = client_program()
    if client:
        user = ["--user", spec.username] if spec.username else []
        argv = (str(client), "-h", spec.host, "-p", str(spec.port), "-n", str(spec.db), *user)
        return ShellCommand(argv=argv, env=_client_environment(spec))
    record = state_folder(spec.state_dir, spec.port).load()
    compose = await find_compose() if record and record.backend is Backend.COMPOSE else None
    if compose:
        argv = tuple(compose.argv(spec, "exec", SERVICE, "sh", "-c", _IN_CONTAINER, str(spec.db)))
        return ShellCommand(argv=argv, env=environment(spec))
    raise NoShellError(
        "There is no redis-cli or valkey-cli on this machine.",
        hint="Install redis-tools or valkey-tools (brew install redis, apt install redis-tools)",
    )


def _client_environment(spec: ServerSpec) -> dict[str, str]:
    # One left over from another server would be sent to this one.
    env = {name: value for name, value in os.environ.items() if name not in _SECRETS}
    return env | (dict.fromkeys(_SECRETS, spec.password) if spec.password else {})
