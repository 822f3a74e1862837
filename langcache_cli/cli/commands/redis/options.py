"""Options of ``langcache redis ...``, and the server that they and ``REDIS_URL`` name."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from langcache_cli.cli.invocation import Invocation
from langcache_cli.server_options import DEFAULT_MAXMEMORY, Backend

if TYPE_CHECKING:
    from langcache_cli.caching.tooling import RedisAddress
    from langcache_cli.servers import ServerSpec

Port = Annotated[
    int | None,
    typer.Option(help="Use this port instead of the one in REDIS_URL.", metavar="PORT", min=1, max=65535),
]
Maxmemory = Annotated[
    str,
    typer.Option(
        help="Memory limit, such as 256mb; beyond it Redis removes the keys used least.", metavar="SIZE"
    ),
]
Wait = Annotated[
    float, typer.Option(help="Wait at most this long for the server to answer.", metavar="SECONDS", min=0.1)
]
Cluster = Annotated[
    int | None,
    typer.Option(help="Start a Redis Cluster of N primaries, on consecutive ports.", metavar="N"),
]
Replicas = Annotated[
    int | None, typer.Option(help="With --cluster: replicas of each primary.", metavar="N", min=0)
]
BackendOption = Annotated[Backend, typer.Option(help="What starts the server.")]


def spec_of(invocation: Invocation, port: int | None, maxmemory: str = DEFAULT_MAXMEMORY) -> ServerSpec:
    """The server at ``REDIS_URL``, or at another port."""
    from langcache_cli.servers import ServerSpec  # noqa: PLC0415 - see the package

    url = invocation.settings().redis_url.get_secret_value()
    return ServerSpec.from_url(url, port=port, maxmemory=maxmemory, state_dir=invocation.state_dir())


def address_elsewhere(invocation: Invocation, port: int | None) -> RedisAddress | None:
    """The address in REDIS_URL if it is one that langcache could not start a server at."""
    if names_cluster(invocation):
        return None
    address = invocation.settings().address
    if address.path or address.tls:
        return address if port is None else replace(address, port=port)
    return None


def names_cluster(invocation: Invocation) -> bool:
    """True if ``REDIS_URL`` names a cluster."""
    from langcache_cli.servers.spec import is_cluster  # noqa: PLC0415 - see the package

    return is_cluster(invocation.settings().redis_url.get_secret_value())


def fields_of(report: Any) -> dict[str, Any]:
    """A report as part of a document."""
    return asdict(report)
