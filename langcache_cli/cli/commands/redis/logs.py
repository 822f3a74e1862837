"""The commands ``langcache redis logs | shell``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from langcache_cli.cli.commands.redis.options import Port, address_elsewhere, spec_of
from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError
from langcache_cli.cli.invocation import Invocation
from langcache_cli.cli.output import Output
from langcache_cli.cli.running import execute

if TYPE_CHECKING:
    from langcache_cli.servers import ServerSpec


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
    output, spec = Output(invocation), located(spec_of(invocation, port))
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
    address = address_elsewhere(ctx.obj, port)
    command = (
        shell_of(address) if address is not None else execute(shell_command(located(spec_of(ctx.obj, port))))
    )
    os.execvpe(command.argv[0], command.argv, command.env)  # noqa: S606 - a program found on this machine
