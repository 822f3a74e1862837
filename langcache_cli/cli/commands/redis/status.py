"""The command ``langcache redis status``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from langcache_cli.cli.commands.redis import cluster as of_cluster
from langcache_cli.cli.commands.redis.options import Port, address_elsewhere, fields_of, spec_of
from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError
from langcache_cli.cli.invocation import Invocation
from langcache_cli.cli.output import Output, memory_use
from langcache_cli.cli.running import execute
from langcache_cli.cli.watch.words import duration

if TYPE_CHECKING:
    from langcache_cli.servers import StatusReport


def status(ctx: typer.Context, port: Port = None) -> None:
    """Show whether Redis answers, and who started it.

    Exits with 69 if it does not answer.

    Examples:
        langcache redis status
        langcache redis status --json
    """
    from langcache_cli.servers import status as run  # noqa: PLC0415 - see the package
    from langcache_cli.servers import status_of  # noqa: PLC0415 - see the package
    from langcache_cli.servers.cluster import find  # noqa: PLC0415 - see the package

    invocation: Invocation = ctx.obj
    output = Output(invocation)
    address = address_elsewhere(invocation, port)
    if address is not None:
        report = execute(status_of(address))
    else:
        spec = spec_of(invocation, port)
        if shape := find(spec):
            of_cluster.status(invocation, spec, shape)
            return
        report = execute(run(spec))
    if invocation.json:
        output.document("redis.status", fields_of(report))
    else:
        output.table("", ("Redis", ""), _status_rows(report), text_columns=2)
    code = of_cluster.exit_code_of(report.result)
    if code is not ExitCode.DONE:
        raise CommandError(code, f"Redis at {_where(report)}: {report.result}")


def _where(report: StatusReport) -> str:
    return f"{report.host}:{report.port}" if report.port else report.host


def _status_rows(report: StatusReport) -> list[tuple[str, str]]:
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
        rows.append(("uptime", duration(report.uptime_seconds)))
    if report.used_memory_bytes is not None:
        rows.append(("memory", memory_use(report.used_memory_bytes, report.maxmemory_bytes or 0)))
    if report.log_file is not None:
        rows.append(("log", str(report.log_file)))
    return rows
