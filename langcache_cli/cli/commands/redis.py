"""The commands ``langcache redis ...``: the local server."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError
from langcache_cli.cli.help import HelpfulCommand, HelpfulGroup
from langcache_cli.cli.invocation import Invocation
from langcache_cli.cli.output import Output
from langcache_cli.cli.running import execute
from langcache_cli.server_options import DEFAULT_MAXMEMORY, DEFAULT_WAIT_SECONDS, Backend

if TYPE_CHECKING:
    from langcache_cli.caching.tooling import RedisAddress
    from langcache_cli.servers import ServerSpec, StartReport, StatusReport, StopReport

HELP = """Start, stop and look at a local Redis.

Examples:
    langcache redis start                 with Docker Compose, or what is installed
    langcache redis start --port 6380     beside another one
    langcache redis status                does it answer, who started it, how is it
"""

app = typer.Typer(cls=HelpfulGroup, help=HELP, no_args_is_help=True, rich_markup_mode=None)
command = partial(app.command, cls=HelpfulCommand)

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


def _spec(invocation: Invocation, port: int | None, maxmemory: str = DEFAULT_MAXMEMORY) -> ServerSpec:
    from langcache_cli.servers import ServerSpec  # noqa: PLC0415 - see the package

    url = invocation.settings().redis_url.get_secret_value()
    return ServerSpec.from_url(url, port=port, maxmemory=maxmemory, state_dir=invocation.state_dir())


@command()
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
    embedded one. It listens on this machine only, and its data survives a restart. With --cluster, several
    servers form one Redis Cluster.

    Examples:
        langcache redis start
        langcache redis start --backend embedded --maxmemory 64mb
        langcache redis start --cluster 3 --replicas 1
    """
    from langcache_cli.cli.commands import redis_cluster  # noqa: PLC0415 - see the package
    from langcache_cli.servers import start as run  # noqa: PLC0415 - see the package

    invocation: Invocation = ctx.obj
    spec = _spec(invocation, port, maxmemory)
    if shape := redis_cluster.shape_asked_for(spec, cluster, replicas):
        redis_cluster.start(invocation, spec, shape, backend, wait)
        return
    if _names_cluster(invocation):
        raise CommandError(
            ExitCode.USAGE, "REDIS_URL names a cluster", "Start one: langcache redis start --cluster 3"
        )
    report = execute(run(spec, backend=backend, wait_seconds=wait))
    output = Output(invocation)
    _show_start(output, invocation, report)
    address = invocation.settings().address
    if report.port != address.port:
        url = str(replace(address, port=report.port))
        output.note(f"REDIS_URL still names port {address.port}; to use this server, set it to {url}")


def _show_start(output: Output, invocation: Invocation, report: StartReport) -> None:
    if invocation.json:
        output.document("redis.start", _fields(report))
        return
    where, product = f"{report.host}:{report.port}", report.product or "Redis"
    how = f"{report.backend}, version {report.version}" if report.backend else f"version {report.version}"
    if report.already_running:
        output.line(f"{product} was running already on {where} ({how}).")
    else:
        output.line(f"{product} started on {where} ({how}) in {report.seconds:.2f} s.")
    if report.log_file and invocation.verbose:
        output.note(f"log: {report.log_file}")


@command()
def stop(ctx: typer.Context, port: Port = None) -> None:
    """Stop the server or cluster that langcache started.

    A server that something else started is never stopped. The data stays on disk.

    Examples:
        langcache redis stop
        langcache redis stop --port 6380
    """
    from langcache_cli.cli.commands import redis_cluster  # noqa: PLC0415 - see the package
    from langcache_cli.servers import stop as run  # noqa: PLC0415 - see the package
    from langcache_cli.servers.cluster import find  # noqa: PLC0415 - see the package

    invocation: Invocation = ctx.obj
    spec = _spec(invocation, port)
    if shape := find(spec):
        redis_cluster.stop(invocation, spec, shape)
        return
    _show_stop(Output(invocation), invocation, execute(run(spec)))


def _show_stop(output: Output, invocation: Invocation, report: StopReport) -> None:
    if invocation.json:
        output.document("redis.stop", _fields(report))
    elif report.stopped:
        output.line(
            f"Redis on {report.host}:{report.port} was stopped{' by force' if report.forced else ''}."
        )
    else:
        output.line(f"No Redis was running on {report.host}:{report.port}.")


@command()
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
    from langcache_cli.cli.commands import redis_cluster  # noqa: PLC0415 - see the package
    from langcache_cli.servers import restart as run  # noqa: PLC0415 - see the package
    from langcache_cli.servers.cluster import find  # noqa: PLC0415 - see the package

    invocation: Invocation = ctx.obj
    chosen = None if backend is Backend.AUTO else backend
    spec = _spec(invocation, port, maxmemory or DEFAULT_MAXMEMORY)
    if shape := find(spec):
        redis_cluster.restart(invocation, spec, shape, chosen, wait, keep_maxmemory=maxmemory is None)
        return
    report = execute(run(spec, backend=chosen, wait_seconds=wait, keep_maxmemory=maxmemory is None))
    output = Output(invocation)
    if invocation.json:
        output.document("redis.restart", {"stop": _fields(report.stop), "start": _fields(report.start)})
        return
    _show_stop(output, invocation, report.stop)
    _show_start(output, invocation, report.start)


@command()
def status(ctx: typer.Context, port: Port = None) -> None:
    """Show whether Redis answers, and who started it.

    Exits with 69 if it does not answer.

    Examples:
        langcache redis status
        langcache redis status --json
    """
    from langcache_cli.cli.commands import redis_cluster  # noqa: PLC0415 - see the package
    from langcache_cli.servers import status as run  # noqa: PLC0415 - see the package
    from langcache_cli.servers import status_of  # noqa: PLC0415 - see the package
    from langcache_cli.servers.cluster import find  # noqa: PLC0415 - see the package

    invocation: Invocation = ctx.obj
    output = Output(invocation)
    address = _address_elsewhere(invocation, port)
    if address is not None:
        report = execute(status_of(address))
    else:
        spec = _spec(invocation, port)
        if shape := find(spec):
            redis_cluster.status(invocation, spec, shape)
            return
        report = execute(run(spec))
    if invocation.json:
        output.document("redis.status", _fields(report))
    else:
        output.table("", ("Redis", ""), _status_rows(report), text_columns=2)
    code = redis_cluster.exit_code_of(report.result)
    if code is not ExitCode.DONE:
        raise CommandError(code, f"Redis at {_where(report)}: {report.result}", reported=True)


def _where(report: StatusReport) -> str:
    return f"{report.host}:{report.port}" if report.port else report.host


def _address_elsewhere(invocation: Invocation, port: int | None) -> RedisAddress | None:
    """The address in REDIS_URL if it is one that langcache could not start a server at."""
    if _names_cluster(invocation):
        return None
    address = invocation.settings().address
    if address.path or address.tls:
        return address if port is None else replace(address, port=port)
    return None


def _names_cluster(invocation: Invocation) -> bool:
    from langcache_cli.servers.spec import is_cluster  # noqa: PLC0415 - see the package

    return is_cluster(invocation.settings().redis_url.get_secret_value())


def _status_rows(report: StatusReport) -> list[tuple[str, str]]:
    from langcache_cli.caching.tooling import readable_bytes  # noqa: PLC0415 - see the package

    rows = [("address", _where(report)), ("state", str(report.result))]
    if report.ours:
        rows.append(("started by", f"langcache ({report.backend}), {report.started_at}"))
    elif report.version is not None:
        rows.append(("started by", "another program"))
    if report.pid is not None:
        rows.append(("process", str(report.pid)))
    if report.version is not None:
        rows.append(("version", f"{report.product} {report.version}"))
    if report.uptime_seconds is not None:
        rows.append(("uptime", f"{report.uptime_seconds:,} s"))
    if report.used_memory_bytes is not None:
        limit = readable_bytes(report.maxmemory_bytes) if report.maxmemory_bytes else "no limit"
        rows.append(("memory", f"{readable_bytes(report.used_memory_bytes)} of {limit}"))
    if report.log_file is not None:
        rows.append(("log", str(report.log_file)))
    return rows


@command()
def logs(
    ctx: typer.Context,
    port: Port = None,
    tail: Annotated[
        int, typer.Option(help="Print this many of the last lines.", metavar="LINES", min=1)
    ] = 100,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Keep printing new lines until Ctrl-C.")
    ] = False,
) -> None:
    """Print the log of the server that langcache started.

    Of a cluster, the log of one node; --port chooses it.

    Examples:
        langcache redis logs --tail 20
        langcache redis logs --follow
    """
    from langcache_cli.servers import log_lines  # noqa: PLC0415 - see the package
    from langcache_cli.servers.cluster import located  # noqa: PLC0415 - see the package

    invocation: Invocation = ctx.obj
    if follow and invocation.json:
        raise CommandError(ExitCode.USAGE, "--follow prints no JSON document: leave --json out")
    output, spec = Output(invocation), located(_spec(invocation, port))
    if follow:
        execute(_follow(output, spec, tail))
        return
    lines = execute(log_lines(spec, tail))
    if invocation.json:
        output.document("redis.logs", {"lines": lines})
    else:
        for line in lines:
            output.line(line)


async def _follow(output: Output, spec: ServerSpec, tail: int) -> None:
    from langcache_cli import servers  # noqa: PLC0415 - see the package

    async for line in servers.follow(spec, tail):
        output.line(line)
        if output.closed:
            return


@command()
def shell(ctx: typer.Context, port: Port = None) -> None:
    """Open redis-cli on the server.

    The password does not appear in the process list.

    Examples:
        langcache redis shell
    """
    from langcache_cli.servers import shell_command, shell_of  # noqa: PLC0415 - see the package
    from langcache_cli.servers.cluster import located  # noqa: PLC0415 - see the package

    if ctx.obj.json:
        raise CommandError(
            ExitCode.USAGE, "the shell is redis-cli, which prints no JSON document: leave --json out"
        )
    address = _address_elsewhere(ctx.obj, port)
    command = (
        shell_of(address) if address is not None else execute(shell_command(located(_spec(ctx.obj, port))))
    )
    os.execvpe(command.argv[0], command.argv, command.env)  # noqa: S606 - a program found on this machine


def _fields(report: Any) -> dict[str, Any]:
    from dataclasses import asdict  # noqa: PLC0415 - see the package

    return asdict(report)
