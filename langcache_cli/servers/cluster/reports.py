"""What the calls for a local cluster return."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from langcache_cli.server_options import Backend
from langcache_cli.servers.probe import ProbeResult


@dataclass(frozen=True, kw_only=True)
class ClusterStartReport:
    """A cluster that langcache started serves all slots.

    Attributes:
        already_running: True if it ran before; nothing was done then.
        host: The address of all nodes.
        ports: Their ports.
        primaries: How many of them own slots.
        replicas: How many replicas each has.
        url: What to set REDIS_URL to, without the login.
        backend: What the nodes were started with.
        version: Their version, if it can be asked for.
        product: ``Redis`` or ``Valkey``.
        seconds: How long the call took.
    """

    already_running: bool
    host: str
    ports: tuple[int, ...]
    primaries: int
    replicas: int
    url: str
    backend: Backend | None
    version: str | None
    product: str | None
    seconds: float


@dataclass(frozen=True, kw_only=True)
class ClusterStopReport:
    """No node of the cluster runs.

    Attributes:
        host: The address of all nodes.
        ports: Their ports.
        stopped: How many nodes ran before.
        forced: A node did not end within the grace period and was killed.
        seconds: How long the call took.
    """

    host: str
    ports: tuple[int, ...]
    stopped: int
    forced: bool
    seconds: float


@dataclass(frozen=True, kw_only=True)
class ClusterStatusReport:
    """The state of a cluster that langcache started.

    Attributes:
        state: ``ok`` if all slots are served, ``fail`` if not; None if no node says.
        answering: How many nodes answer.
        result: What is found at the address that was asked for, or at the first node that answers.
        used_memory_bytes: Of all nodes that answer; None if none says.
        uptime_seconds: Of the node that was started last; None if none answers.
        pids: The process of each node that runs.
        log_files: The log of each node.
    """

    state: str | None
    answering: int
    result: ProbeResult
    host: str
    ports: tuple[int, ...]
    primaries: int
    replicas: int
    url: str
    backend: Backend | None
    version: str | None
    product: str | None
    used_memory_bytes: int | None
    uptime_seconds: int | None
    pids: tuple[int, ...]
    log_files: tuple[Path, ...]
