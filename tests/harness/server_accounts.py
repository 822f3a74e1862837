"""What the servers of a failed test say of themselves and of each other, for its report."""

from collections.abc import Iterable, Iterator

from tests.harness.formed_servers import FormedServers, can_answer
from tests.harness.redis_server import RedisServer
from tests.harness.resp import RespError

LOG_LINES = 25
QUESTIONS = (("CLUSTER", "NODES"), ("CLUSTER", "INFO"), ("INFO", "replication"))


def accounts_of(fixtures: Iterable[object]) -> Iterator[tuple[str, str]]:
    """For each server of a cluster or Sentinel set among a test's fixtures: its name, and what it says."""
    for formed in fixtures:
        if isinstance(formed, FormedServers):
            for node in formed.nodes:
                yield f"server 127.0.0.1:{node.port}", "\n".join(_account(node))


def _account(node: RedisServer) -> Iterator[str]:
    if can_answer(node):
        for question in QUESTIONS:
            try:
                answer = node.command(*question, timeout=1.0)
            except (RespError, OSError) as error:  # not a cluster, or too busy to say
                answer = str(error)
            yield answer.decode() if isinstance(answer, bytes) else str(answer)
    else:
        yield "stopped" if node.running else "not running"
    yield from node.log.splitlines()[-LOG_LINES:]
