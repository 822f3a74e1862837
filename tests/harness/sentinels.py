"""A real Sentinel set on loopback: one primary, two replicas, three sentinels that watch over them.

Ready in two to three seconds, most of which the sentinels need to find each other.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from tests.harness.formed_servers import FormedServers, can_answer
from tests.harness.polling import eventually
from tests.harness.ports import LOCALHOST
from tests.harness.redis_server import RedisServer
from tests.harness.resp import RespError

SERVICE = "cache"
PASSWORD = "redis-secret"
SENTINEL_PASSWORD = "sentinel-secret"
FAILOVER_TIMEOUT_MS = 5000
FORM_SECONDS = 30.0
SETTLE_SECONDS = 40.0


class Sentinel(RedisServer):
    """One sentinel. It keeps what it learns in its configuration, so also over a restart."""

    words = ("--sentinel",)
    ready_line = "Sentinel ID is "

    def __init__(self, primary: RedisServer, *, quorum: int, down_after: int, binary: Path | None) -> None:
        super().__init__(password=SENTINEL_PASSWORD, binary=binary, keep_config=True)
        self._watched = primary
        self._quorum = quorum
        self._down_after = down_after

    def _config_lines(self) -> Iterator[str]:
        yield f"bind {self.host}"
        yield f"port {self.port}"
        yield f'dir "{self.directory}"'
        yield f"requirepass {SENTINEL_PASSWORD}"
        yield f"sentinel sentinel-pass {SENTINEL_PASSWORD}"
        yield f"sentinel monitor {SERVICE} {LOCALHOST} {self._watched.port} {self._quorum}"
        yield f"sentinel auth-pass {SERVICE} {PASSWORD}"
        yield f"sentinel down-after-milliseconds {SERVICE} {self._down_after}"
        yield f"sentinel failover-timeout {SERVICE} {FAILOVER_TIMEOUT_MS}"
        yield f"sentinel parallel-syncs {SERVICE} 2"


class SentinelSet(FormedServers):
    """`nodes` are the Redis servers, `sentinels` the sentinels; the passwords of both differ.

    `down_after` is in milliseconds: a primary that is silent for so long is replaced. `binary` is a server
    program instead of the default one. Synchronous, as `RedisServer`. With `with`, or after `form`, it is in
    service; `close` ends it.
    """

    service = SERVICE
    password = PASSWORD
    sentinel_password = SENTINEL_PASSWORD

    def __init__(self, down_after: int = 1000, *, replicas: int = 2, binary: Path | None = None) -> None:
        def node(primary: RedisServer | None) -> RedisServer:
            # the first primary may become a replica, too
            lines = [] if primary else [f"masterauth {PASSWORD}"]
            return RedisServer(
                password=PASSWORD, replicaof=primary, config=lines, binary=binary, keep_config=True
            )

        first = node(None)
        self.nodes = [first, *(node(first) for _ in range(replicas))]
        self.sentinels = [Sentinel(first, quorum=2, down_after=down_after, binary=binary) for _ in range(3)]

    # -- what it is --

    @property
    def url(self) -> str:
        """`redis+sentinel://:PASSWORD@127.0.0.1:S1,...,127.0.0.1:S3/cache/0?sentinel_password=...`."""
        hosts = ",".join(f"{LOCALHOST}:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://:{PASSWORD}@{hosts}/{SERVICE}/0?sentinel_password={SENTINEL_PASSWORD}"

    @property
    def running_sentinels(self) -> list[Sentinel]:
        """The sentinels that can answer: neither killed nor stopped."""
        return [sentinel for sentinel in self.sentinels if can_answer(sentinel)]

    def primary(self) -> RedisServer:
        """The primary that the sentinels name; of those that do not agree, the one that knows the latest."""
        views = map(_view, self.running_sentinels)
        return self._by_port(int(max(views, key=lambda view: int(view["config-epoch"]))["port"]))

    def replicas(self) -> list[RedisServer]:
        """The other servers, whatever their state."""
        primary = self.primary()
        return [node for node in self.nodes if node is not primary]

    # -- what a test does to it --

    def form(self) -> Self:
        """Start all servers; returns once the sentinels know each other and all replicas."""
        self.nodes[0].start()  # first: a replica that is refused tries again after a second
        with ThreadPoolExecutor(len(self.nodes)) as threads:
            list(threads.map(RedisServer.start, self.nodes[1:]))
            # a sentinel that starts before the replicas are in step learns of them ten seconds later
            eventually(lambda: all(map(_is_linked, self.nodes[1:])), within=FORM_SECONDS)
            list(threads.map(RedisServer.start, self.sentinels))
        self.settle()
        return self

    def failover(self) -> RedisServer:
        """Have the sentinels replace the primary; returns the new one, once all of them name it."""
        before = self.primary()

        def replaced() -> bool:
            if self.primary() is not before:
                return self._is_agreed()
            _ask_to_fail_over(self.running_sentinels[0])  # once more, should it have given up
            return False

        eventually(replaced, within=SETTLE_SECONDS, every=0.02)
        return self.primary()

    def settle(self) -> None:
        """Wait until the running sentinels agree, know all that run, and each running replica is in step.

        After a failover this takes ten seconds: so long an old primary that runs again stays one.
        """
        eventually(self._is_settled, within=SETTLE_SECONDS, every=0.02)

    def flush(self) -> None:
        """Make it as new, on the same ports: the first node is primary; no clients, keys or scripts."""
        for server in (*self.nodes, *self.sentinels):
            if server.running:
                server.resume()
        if not self._is_as_formed():
            for server in (*self.nodes, *self.sentinels):
                server.reset()  # the sentinels would need ten to twenty seconds to put all in order
            self.form()
            return
        self.settle()
        for server in (*self.nodes, *self.sentinels):
            _drop_clients(server)
        for node in self.nodes:
            with node.connect() as connection:
                connection.call("CLIENT", "UNPAUSE")
                if node is self.nodes[0]:
                    connection.call("FLUSHALL")
                connection.call("SCRIPT", "FLUSH")
                connection.call("CONFIG", "RESETSTAT")

    def close(self) -> None:
        """Kill everything, remove the folders, give up the ports. Safe to call twice."""
        with ExitStack() as all_of_them:
            for server in (*self.nodes, *self.sentinels):
                all_of_them.callback(server.close)

    # -- how --

    def _is_as_formed(self) -> bool:
        """All run, and no sentinel has ever replaced the primary."""
        all_run = all(server.running for server in (*self.nodes, *self.sentinels))
        return all_run and all(_view(sentinel)["config-epoch"] == "0" for sentinel in self.sentinels)

    def _is_agreed(self) -> bool:
        """All running sentinels name the same primary, and it is one."""
        views = [_view(sentinel) for sentinel in self.running_sentinels]
        if len({(view["port"], view["config-epoch"]) for view in views}) != 1:
            return False
        primary = self._by_port(int(views[0]["port"]))
        return can_answer(primary) and role(primary) == b"master"

    def _is_settled(self) -> bool:
        if not self._is_agreed():
            return False
        primary = self.primary()
        replicas = [node for node in self.nodes if node is not primary and can_answer(node)]
        if not all(_is_linked(node, primary) for node in replicas):
            return False
        return all(
            view["flags"] == "master"
            and int(view["num-other-sentinels"]) == len(self.sentinels) - 1
            and int(view["num-slaves"]) == len(self.nodes) - 1
            and _healthy_replicas(sentinel) >= {node.port for node in replicas}
            for sentinel, view in ((sentinel, _view(sentinel)) for sentinel in self.running_sentinels)
        )

    def _by_port(self, port: int) -> RedisServer:
        return next(node for node in self.nodes if node.port == port)


def _drop_clients(server: RedisServer) -> None:
    """Drop all clients but those that keep the set together: replicas, the primary, sentinels."""
    with server.connect() as connection:
        own_id = str(connection.call("CLIENT", "ID"))
        clients: Any = connection.call("CLIENT", "LIST")
        for line in clients.decode().splitlines():
            facts = dict(word.partition("=")[::2] for word in line.split())
            is_member = facts["name"].startswith("sentinel-") or set(facts["flags"]) & {"M", "S"}
            if not is_member and facts["id"] != own_id:
                connection.call("CLIENT", "KILL", "ID", facts["id"])


def _ask_to_fail_over(sentinel: Sentinel) -> None:
    """Have a sentinel replace the primary, unless that is under way."""
    if "failover_in_progress" in _view(sentinel)["flags"]:
        return
    try:
        sentinel.command("SENTINEL", "FAILOVER", SERVICE)
    except RespError as error:  # NOGOODSLAVE: it has not heard from the replicas yet
        if not str(error).startswith(("NOGOODSLAVE", "INPROG")):
            raise


def _view(sentinel: Sentinel) -> dict[str, str]:
    return _facts(sentinel.command("SENTINEL", "MASTER", SERVICE))


def _healthy_replicas(sentinel: Sentinel) -> set[int]:
    """The ports of the replicas in which a sentinel sees no fault."""
    rows: Any = sentinel.command("SENTINEL", "REPLICAS", SERVICE)
    return {int(facts["port"]) for facts in map(_facts, rows) if facts["flags"] == "slave"}


def _facts(reply: Any) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in zip(reply[::2], reply[1::2], strict=True)}


def role(node: RedisServer) -> bytes:
    """`master` or `slave`; empty for a moment when the role changes, as all clients are dropped then."""
    try:
        role: Any = node.command("ROLE")
    except ConnectionError:
        return b""
    return role[0]


def _is_linked(replica: RedisServer, primary: RedisServer | None = None) -> bool:
    """The replica is in step with this primary, or with any."""
    try:
        info: Any = replica.command("INFO", "replication")
    except ConnectionError:  # it has just become a replica, and drops its clients
        return False
    lines = info.decode().splitlines()
    port = {f"master_port:{primary.port}"} if primary else set()
    return {"role:slave", "master_link_status:up", *port} <= set(lines)
