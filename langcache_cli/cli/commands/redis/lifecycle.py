"""The commands ``langcache redis start | stop | restart``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from langcache_cli.cli.commands.redis import cluster as of_cluster
from langcache_cli.cli.commands.redis.options import (
    BackendOption,
    Cluster,
    Maxmemory,
    Port,
    Replicas,
    Wait,
    fields_of,
    names_cluster,
    spec_of,
)
from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError
from langcache_cli.cli.invocation import Invocation
from langcache_cli.cli.output import Output
from langcache_cli.cli.running import execute
from langcache_cli.server_options import DEFAULT_MAXMEMORY, DEFAULT_WAIT_SECONDS, Backend

if TYPE_CHECKING:
    from langcache_cli.servers import StartReport, StopReport


def start(
    ctx: typer.Context,
    backend: BackendOption = Backend.AUTO,
    port: Port = None,
    maxmemory: Maxmemory = DEFAULT_MAXMEMORY,
    wait: Wait = DEFAULT_WAIT_SECONDS,
    cluster: Cluster = None,
    replicas: Replicas = None,
) -> None:
    """Start the Redis that REDIS_URL names, unless it answers already.

    Docker Compose starts it if an engine runs, else an installed valkey-server or redis-server does, else the
    embedded one: that is --backend auto. It listens on this machine only, and its data survives a restart.
    With --cluster, several servers form one Redis Cluster; auto is then the embedded one, else the installed.

    Examples:
        langcache redis start
        langcache redis start --backend embedded --maxmemory 64mb
        langcache redis start --cluster 3 --replicas 1
    """
    from langcache_cli.servers import start as run  # noqa: PLC0415 - see the package

    invocation: Invocation = ctx.obj
    spec = spec_of(invocation, port, maxmemory)
    if shape := of_cluster.shape_asked_for(spec, cluster, replicas):
        of_cluster.start(invocation, spec, shape, backend, wait)
        return
    if names_cluster(invocation):
        raise CommandError(
            ExitCode.USAGE, "REDIS_URL names a cluster", "Start one: langcache redis start --cluster 3"
        )
    report = execute(run(spec, backend=backend, wait_seconds=wait))
    output = Output(invocation)
    _show_start(output, invocation, report)
    address = invocation.settings().address
    if report.port != address.port:
        url = str(replace(address, port=report.port))
        output.note(
            f"REDIS_URL still names port {address.port}; to use this server, set it to {url}"
            f"{of_cluster.in_place_of_stars(url)}"
        )


def _show_start(output: Output, invocation: Invocation, report: StartReport) -> None:
    if invocation.json:
        output.document("redis.start", fields_of(report))
        return
    where, product = f"{report.host}:{report.port}", report.product or "Redis"
    how = f"{report.backend}, version {report.version}" if report.backend else f"version {report.version}"
    if report.already_running:
        output.done(f"{product} was running already on {where} ({how}).")
    else:
        output.done(f"{product} started on {where} ({how}) in {report.seconds:.2f} s.")
    if report.password_changed:
        output.note(
            "The password is another one than at the last start: give it to all that use this server, too."
        )
    if report.log_file and invocation.verbose:
        output.note(f"log: {report.log_file}")


def stop(ctx: typer.Context, port: Port = None) -> None:
    """Stop the server or cluster that langcache started.

    A server that something else started is never stopped. The data stays on disk.

    Examples:
        langcache redis stop
        langcache redis stop --port 6380
    """
    from langcache_cli.servers import stop as run  # noqa: PLC0415 - see the package
    from langcache_cli.servers.cluster import find  # noqa: PLC0415 - see the package

    invocation: Invocation = ctx.obj
    spec = spec_of(invocation, port)
    if shape := find(spec):
        of_cluster.stop(invocation, spec, shape)
        return
    _show_stop(Output(invocation), invocation, execute(run(spec)))


def _show_stop(output: Output, invocation: Invocation, report: StopReport) -> None:
    if invocation.json:
        output.document("redis.stop", fields_of(report))
    elif report.stopped:
        output.done(
            f"Redis on {report.host}:{report.port} was stopped{' by force' if report.forced else ''}."
        )
    else:
        output.done(f"No Redis was running on {report.host}:{report.port}.")


def restart(
    ctx: typer.Context,
    backend: BackendOption = Backend.AUTO,
    port: Port = None,
    maxmemory: Annotated[
        str | None, typer.Option(help="Memory limit, such as 256mb. [default: the last one]", metavar="SIZE")
    ] = None,
    wait: Wait = DEFAULT_WAIT_SECONDS,
) -> None:
    """Restart the server that langcache started.

    Program, memory limit and data stay the same, unless an option says otherwise.

    Examples:
        langcache redis restart
        langcache redis restart --maxmemory 512mb
    """
    from langcache_cli.servers import restart as run  # noqa: PLC0415 - see the package
    from langcache_cli.servers.cluster import find  # noqa: PLC0415 - see the package

    invocation: Invocation = ctx.obj
    chosen = None if backend is Backend.AUTO else backend
    spec = spec_of(invocation, port, maxmemory or DEFAULT_MAXMEMORY)
    if shape := find(spec):
        of_cluster.restart(invocation, spec, shape, chosen, wait, keep_maxmemory=maxmemory is None)
        return
    report = execute(run(spec, backend=chosen, wait_seconds=wait, keep_maxmemory=maxmemory is None))
    output = Output(invocation)
    if invocation.json:
        output.document("redis.restart", {"stop": fields_of(report.stop), "start": fields_of(report.start)})
        return
    _show_stop(output, invocation, report.stop)
    _show_start(output, invocation, report.start)
