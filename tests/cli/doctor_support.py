"""What the tests of ``langcache doctor`` share: its findings by name, and typing what it says."""

import re
from typing import Any

from tests.harness.cli import Run
from tests.harness.redis_server import RedisServer

SOUND = ("maxmemory 100mb", "maxmemory-policy allkeys-lru")
"""Lines of redis.conf of a server in which nothing is wrong."""

Findings = dict[str, dict[str, Any]]


def where(node: RedisServer) -> str:
    return f"127.0.0.1:{node.port}"


def findings(ended: Run) -> Findings:
    """The findings of a JSON document by name; of several with the same name the first."""
    found: Findings = {}
    for finding in ended.document["findings"]:
        assert finding["found"]
        assert finding["why"].endswith(".")
        assert finding["mend"], finding
        found.setdefault(finding["name"], finding)
    return found


def type_line(line: str, servers: list[RedisServer]) -> None:
    """Do what a line of redis-cli does: on the server that it names, with ``--cluster call`` on all."""
    match = re.fullmatch(r"redis-cli (?:--cluster call \S+|-h (\S+) -p (\d+)) (CONFIG SET .*)", line)
    assert match, line
    port, words = match[2], match[3].split()
    for server in servers:
        if port is None or int(port) == server.port:
            server.command(*words)
