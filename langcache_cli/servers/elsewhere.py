"""Look at a server that langcache could not start: over TLS, a unix socket, or on another machine."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from langcache_cli.servers.binaries import client_program
from langcache_cli.servers.errors import NoShellError
from langcache_cli.servers.probe import PROBE_SECONDS, ProbeResult, ServerInfo, meaning, parse_info
from langcache_cli.servers.reports import ShellCommand, StatusReport
from langcache_cli.servers.shell import environment

if TYPE_CHECKING:
    from langcache_cli.caching.tooling import RedisAddress


async def status_of(address: RedisAddress) -> StatusReport:
    """As `status`, for any address. Raises nothing but `OSError` for files of TLS that cannot be read."""
    result, info = await _look(address)
    return StatusReport(
        result=result,
        ours=False,
        host=address.path or address.host,
        port=0 if address.path else address.port,
        backend=None,
        pid=None,
        started_at=None,
        version=info.version if info else None,
        uptime_seconds=info.uptime_seconds if info else None,
        used_memory_bytes=info.used_memory_bytes if info else None,
        maxmemory_bytes=info.maxmemory_bytes if info else None,
        log_file=None,
        product=info.product if info else None,
    )


def shell_of(address: RedisAddress) -> ShellCommand:
    """The redis-cli of this machine for any address; the password is in its environment only.

    Raises:
        NoShellError: There is none.
    """
    client = client_program()
    if client is None:
        raise NoShellError(
            "There is no redis-cli or valkey-cli on this machine.",
            hint="Install redis-tools or valkey-tools (brew install redis, apt install redis-tools)",
        )
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


async def _look(address: RedisAddress) -> tuple[ProbeResult, ServerInfo | None]:
    from langcache_cli.caching import ServerReplyError  # noqa: PLC0415 - see `probe`
    from langcache_cli.caching.tooling import ask, connect  # noqa: PLC0415 - see `probe`

    try:
        async with asyncio.timeout(PROBE_SECONDS):
            connection = await connect(address)
            try:
                (info,) = await ask(connection, [("INFO",)])
            finally:
                connection.abort()
    except TimeoutError:
        return ProbeResult.HANGING, None
    except ServerReplyError as refusal:
        return meaning(refusal), None
    except OSError:
        return ProbeResult.NOTHING, None
    facts = parse_info(info.decode(errors="replace")) if isinstance(info, bytes) else None
    return ProbeResult.ANSWERING, facts
