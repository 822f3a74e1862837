"""What a test does to several servers that form one thing: a cluster, or a Sentinel set."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

import psutil

from tests.harness.redis_server import RedisServer

REPLACED_SECONDS = 60.0
"""A lost primary is replaced within this time: about three seconds, much more where the machine is busy."""


class FormedServers(ABC):
    """Synchronous, as `RedisServer`. With `with`, or after `form`, they are one; `close` ends them."""

    nodes: list[RedisServer]
    """The servers that keep data."""

    @abstractmethod
    def form(self) -> Self:
        """Start them and make them one; returns once it is settled."""

    @abstractmethod
    def close(self) -> None:
        """Kill them, remove their folders, give up their ports. Safe to call twice."""

    def kill(self, node: RedisServer) -> None:
        """End a server at once (SIGKILL)."""
        node.kill()

    def stop(self, node: RedisServer) -> None:
        """Hang a server (SIGSTOP): the system still accepts connections, nothing is answered."""
        node.pause()

    def cont(self, node: RedisServer) -> None:
        """Let a stopped server go on (SIGCONT)."""
        node.resume()

    def start(self, node: RedisServer) -> None:
        """Start a killed server again: with its role and its place, without its data."""
        node.start()

    def __enter__(self) -> Self:
        try:
            return self.form()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def can_answer(server: RedisServer) -> bool:
    """True for one that is neither killed nor stopped."""
    return server.running and psutil.Process(server.pid).status() != psutil.STATUS_STOPPED
