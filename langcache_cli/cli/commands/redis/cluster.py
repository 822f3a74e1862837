"""What ``langcache redis start|stop|restart|status`` do and print if a local cluster is meant."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError
from langcache_cli.cli.output import Output
from langcache_cli.cli.running import execute
from langcache_cli.cli.watch.words import duration
from langcache_cli.readable import number_of, size
from langcache_cli.server_options import FEWEST_PRIMARIES, Backend

if TYPE_CHECKING:
    from langcache_cli.cli.invocation import Invocation
    from langcache_cli.servers import ProbeResult, ServerSpec
    from langcache_cli.servers.cluster import (
        ClusterShape,
        ClusterStartReport,
        ClusterStatusReport,
        ClusterStopReport,
    )


def shape_asked_for(spec: ServerSpec, primaries: int | None, replicas: int | None) -> ClusterShape | None:
    """The cluster that the options name; without options the one that runs on this port, if any.

    Raises:
        CommandError: The options name no cluster.
    """
    from langcache_cli.servers.cluster import ClusterShape, find  # noqa: PLC0415 - see the package

    if primaries is None:
        if replicas is not None:
            raise CommandError(ExitCode.USAGE, "--replicas says how many each primary of --cluster has")
        return find(spec)
    if primaries < FEWEST_PRIMARIES:
        raise CommandError(
            ExitCode.USAGE,
            f"--cluster {primaries}: a cluster has at least {FEWEST_PRIMARIES} primaries",
            "Type: langcache redis start --cluster 3 --replicas 1",
        )
    return ClusterShape(port=spec.port, primaries=primaries, replicas=replicas or 0)


def start(
    invocation: Invocation, spec: ServerSpec, shape: ClusterShape, backend: Backend, wait: float
) -> None:
    """Start it, and say what to set REDIS_URL to."""
    from langcache_cli.servers import cluster  # noqa: PLC0415 - see the package

    _require_no_container(backend)
    report = execute(cluster.start(spec, shape, backend=backend, wait_seconds=wait))
    if invocation.json:
        Output(invocation).document("redis.start", {"cluster": asdict(report)})
    else:
        _show_start(Output(invocation), report)


def stop(invocation: Invocation, spec: ServerSpec, shape: ClusterShape) -> None:
    """Stop all its nodes."""
    from langcache_cli.servers import cluster  # noqa: PLC0415 - see the package

    report = execute(cluster.stop(spec, shape))
    if invocation.json:
        Output(invocation).document("redis.stop", {"cluster": asdict(report)})
    else:
        _show_stop(Output(invocation), report)


def restart(
    invocation: Invocation,
    spec: ServerSpec,
    shape: ClusterShape,
    backend: Backend | None,
    wait: float,
    *,
    keep_maxmemory: bool,
) -> None:
    """Stop and start it; ``backend`` None is that of its last start."""
    from langcache_cli.servers import cluster  # noqa: PLC0415 - see the package

    _require_no_container(backend)
    stopped, started = execute(
        cluster.restart(spec, shape, backend=backend, wait_seconds=wait, keep_maxmemory=keep_maxmemory)
    )
    output = Output(invocation)
    if invocation.json:
        output.document("redis.restart", {"cluster": {"stop": asdict(stopped), "start": asdict(started)}})
        return
    _show_stop(output, stopped)
    _show_start(output, started)


def status(invocation: Invocation, spec: ServerSpec, shape: ClusterShape) -> None:
    """Say how it is.

    Raises:
        CommandError: It does not serve all slots.
    """
    from langcache_cli.servers import cluster  # noqa: PLC0415 - see the package

    report = execute(cluster.status(spec, shape))
    output = Output(invocation)
    if invocation.json:
        output.document("redis.status", {"cluster": asdict(report)})
    else:
        output.table("", ("Redis Cluster", ""), _status_rows(report), text_columns=2)
    if report.state == "ok":
        return
    code = exit_code_of(report.result)
    raise CommandError(
        ExitCode.UNREACHABLE if code is ExitCode.DONE else code,
        f"Redis Cluster on {_where(report)}: {report.result if report.state is None else report.state}",
    )


def exit_code_of(result: ProbeResult) -> ExitCode:
    """The exit code of ``status`` for what was found at an address."""
    from langcache_cli.servers import ProbeResult  # noqa: PLC0415 - see the package

    return {
        ProbeResult.ANSWERING: ExitCode.DONE,
        ProbeResult.WRONG_PASSWORD: ExitCode.NO_PERMISSION,
        ProbeResult.NO_PASSWORD: ExitCode.NO_PERMISSION,
        ProbeResult.NO_DATABASE: ExitCode.BAD_CONFIGURATION,
        ProbeResult.LOADING: ExitCode.TRY_LATER,
        ProbeResult.BUSY: ExitCode.TRY_LATER,
    }.get(result, ExitCode.UNREACHABLE)


def _require_no_container(backend: Backend | None) -> None:
    if backend is Backend.COMPOSE:
        raise CommandError(
            ExitCode.USAGE, "a cluster is not started in containers", "Choose --backend binary or embedded."
        )


def _show_start(output: Output, report: ClusterStartReport) -> None:
    product = f"{report.product or 'Redis'} Cluster"
    how = f"{_nodes(report)}; {report.backend}, version {report.version}"
    if report.already_running:
        output.done(f"{product} was running already on {_where(report)} ({how}).")
    else:
        output.done(f"{product} started on {_where(report)} ({how}) in {report.seconds:.2f} s.")
    output.done(f"To use it, set REDIS_URL to {report.url}{in_place_of_stars(report.url)}")


def _show_stop(output: Output, report: ClusterStopReport) -> None:
    by_force = " by force" if report.forced else ""
    output.done(f"Redis Cluster on {_where(report)} was stopped{by_force}.")


def _status_rows(report: ClusterStatusReport) -> list[tuple[str, str]]:
    rows = [
        ("address", _where(report)),
        ("state", report.state or str(report.result)),
        ("nodes", f"{_nodes(report)}; {report.answering} of {len(report.ports)} answer"),
        ("started by", f"langcache ({report.backend})"),
    ]
    if report.version is not None:
        rows.append(("version", f"{report.product} {report.version}"))
    if report.uptime_seconds is not None:
        rows.append(("uptime", duration(report.uptime_seconds)))
    if report.used_memory_bytes is not None:
        rows.append(("memory", size(report.used_memory_bytes)))
    if report.pids:
        rows.append(("processes", ", ".join(map(str, report.pids))))
    rows.append(("log of a node", f"langcache redis logs --port {report.ports[0]}"))
    rows.append(("REDIS_URL", f"{report.url}{in_place_of_stars(report.url)}"))
    return rows


def in_place_of_stars(url: str) -> str:
    """What to write in a URL that is printed, as no password is."""
    return ", with the login of your REDIS_URL in place of ***" if "***@" in url else ""


def _nodes(report: ClusterStartReport | ClusterStatusReport) -> str:
    primaries, replicas = report.primaries, report.primaries * report.replicas
    return f"{number_of(primaries, 'primary', 'primaries')}, {number_of(replicas, 'replica')}"


def _where(report: ClusterStartReport | ClusterStopReport | ClusterStatusReport) -> str:
    return f"{report.host}:{report.ports[0]}-{report.ports[-1]}"
