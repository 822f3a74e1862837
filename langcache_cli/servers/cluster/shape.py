"""How many nodes a local cluster has, where they listen, and the folders that they live in."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from langcache_cli.server_options import FEWEST_PRIMARIES
from langcache_cli.servers.errors import InvalidSpecError
from langcache_cli.servers.spec import ServerSpec
from langcache_cli.servers.state import StateFolder

BUS_OFFSET: Final = 10_000
"""A node talks to the others on its port and so much."""

_LAST_PORT: Final = 65535
_RECORD: Final = "cluster.json"
_FORMED: Final = "formed"


@dataclass(frozen=True, kw_only=True)
class ClusterShape:
    """A cluster of nodes on consecutive ports.

    Attributes:
        port: The port of the first node.
        primaries: How many nodes own slots; at least three, or no majority could replace one that fails.
        replicas: How many replicas each of them has.
    """

    port: int
    primaries: int
    replicas: int

    def __post_init__(self) -> None:
        """Refuse what cannot be a cluster.

        Raises:
            InvalidSpecError: Too few primaries, or ports that are too high.
        """
        if self.primaries < FEWEST_PRIMARIES or self.replicas < 0:
            raise InvalidSpecError(
                f"A cluster has at least {FEWEST_PRIMARIES} primaries, and no fewer than 0 replicas of each.",
                hint="Type: langcache redis start --cluster 3 --replicas 1",
            )
        highest = _LAST_PORT - BUS_OFFSET - self.n_nodes + 1
        if self.port > highest:
            raise InvalidSpecError(
                f"Port {self.port} is too high: the nodes of a cluster also listen {BUS_OFFSET} ports above.",
                hint=f"Choose one up to {highest}: langcache redis start --cluster 3 --port 7000",
            )

    @property
    def n_nodes(self) -> int:
        """Primaries and replicas."""
        return self.primaries * (1 + self.replicas)

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports of the nodes."""
        return tuple(range(self.port, self.port + self.n_nodes))

    def nodes(self, spec: ServerSpec) -> tuple[ServerSpec, ...]:
        """The nodes, with the login and memory limit of `spec`.

        Clusters of other shapes and the plain server of a port have folders of their own: a node started on
        their data would serve the slots of that data.
        """
        home = _data_of(spec, self)
        return tuple(replace(spec, port=port, db=0, state_dir=home, cluster=True) for port in self.ports)


def home_of(state_dir: Path, port: int) -> StateFolder:
    """The folder of the cluster whose first node listens on this port."""
    return StateFolder(state_dir / f"cluster-{port}")


def remember(spec: ServerSpec, shape: ClusterShape) -> None:
    """Record that langcache starts this cluster.

    Raises:
        StateFolderError: It cannot be written.
    """
    home = home_of(spec.state_dir, shape.port)
    home.write(home.path / _RECORD, json.dumps(asdict(shape), indent=2) + "\n")


def forget(spec: ServerSpec, shape: ClusterShape) -> None:
    """Remove the record; data and logs stay.

    Raises:
        StateFolderError: It cannot be removed.
    """
    home = home_of(spec.state_dir, shape.port)
    with home.usable():
        (home.path / _RECORD).unlink(missing_ok=True)


def mark_formed(spec: ServerSpec, shape: ClusterShape) -> None:
    """Record that the nodes have become one cluster, and will be one when they are started again.

    Raises:
        StateFolderError: It cannot be written.
    """
    home = home_of(spec.state_dir, shape.port)
    with home.usable():
        (_data_of(spec, shape) / _FORMED).touch()


def forget_unfinished(spec: ServerSpec, shape: ClusterShape) -> None:
    """Remove what an interrupted start has left, whose nodes would wait for each other; they have no data.

    Raises:
        StateFolderError: It cannot be removed.
    """
    data = _data_of(spec, shape)
    with home_of(spec.state_dir, shape.port).usable():
        if data.is_dir() and not (data / _FORMED).exists():
            shutil.rmtree(data)


def find(spec: ServerSpec) -> ClusterShape | None:
    """The recorded cluster that has a node on this port; None if there is none, or none of it may run."""
    return next((shape for shape in _recorded(spec.state_dir) if _may_run(spec, shape)), None)


def located(spec: ServerSpec) -> ServerSpec:
    """The node on this port, if langcache runs a cluster there; else the plain server."""
    shape = find(spec)
    if shape is None:
        return spec
    return next(node for node in shape.nodes(spec) if node.port == spec.port)


def _data_of(spec: ServerSpec, shape: ClusterShape) -> Path:
    return home_of(spec.state_dir, shape.port).path / f"{shape.primaries}x{shape.replicas}"


def _may_run(spec: ServerSpec, shape: ClusterShape) -> bool:
    return spec.port in shape.ports and any(node.folder.load_running() for node in shape.nodes(spec))


def _recorded(state_dir: Path) -> Iterator[ClusterShape]:
    for record in sorted(state_dir.glob(f"cluster-*/{_RECORD}")):
        try:
            yield ClusterShape(**json.loads(record.read_bytes()))
        except (OSError, ValueError, TypeError, InvalidSpecError):
            continue
