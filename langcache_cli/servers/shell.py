"""The command that opens a redis-cli: on the local server, or on any other."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from langcache_cli.servers.binaries import client_program
from langcache_cli.servers.compose import compose_of
from langcache_cli.servers.errors import NoShellError
from langcache_cli.servers.reports import ShellCommand
from langcache_cli.servers.spec import ServerSpec

if TYPE_CHECKING:
    from langcache_cli.caching.tooling import RedisAddress

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
        argv += ("-c",) if spec.cluster else ()  # follow the slots to other nodes
        return ShellCommand(argv=argv, env=environment(spec.password))
    compose = await compose_of(spec.folder.load())
    if compose:
        return compose.shell(spec)
    raise _no_client()


def shell_of(address: RedisAddress) -> ShellCommand:
    """The redis-cli of this machine for any address; the password is in its environment only.

    Raises:
        NoShellError: There is none.
    """
    client = client_program()
    if client is None:
        raise _no_client()
    where = ["-s", address.path] if address.path else ["-h", address.host, "-p", str(address.port)]
    user = ["--user", address.username] if address.username else []
    argv = (str(client), *where, "-n", str(address.db), *user, *_tls(address))
    return ShellCommand(argv=argv, env=environment(address.password))


def _tls(address: RedisAddress) -> list[str]:
    if not address.tls:
        return []
    options = address.options
    named = {"--cacert": "ssl_ca_certs", "--cacertdir": "ssl_ca_path", "--cert": "ssl_certfile"}
    words = ["--tls"]
    for option, name in {**named, "--key": "ssl_keyfile"}.items():
        if name in options:
            words += [option, options[name]]
    if "ssl_certfile" in options and "ssl_keyfile" not in options:
        words += ["--key", options["ssl_certfile"]]
    return [*words, *(["--insecure"] if options.get("ssl_cert_reqs") == "none" else [])]


def environment(password: str | None) -> dict[str, str]:
    """The environment of a redis-cli, with the password in it."""
    # A variable of another server would send that server's password to this one.
    env = {name: value for name, value in os.environ.items() if name not in _SECRETS}
    return env | (dict.fromkeys(_SECRETS, password) if password else {})


def _no_client() -> NoShellError:
    return NoShellError(
        "There is no redis-cli or valkey-cli on this machine.",
        hint="Install redis-tools or valkey-tools (brew install redis, apt install redis-tools)",
    )
