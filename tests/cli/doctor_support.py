"""What the tests of `doctor` share: a sound server, findings by name, and typing what a finding says."""

import re
import shlex
from collections.abc import Sequence
from typing import Any

from tests.harness.cli import Run
from tests.harness.redis_server import RedisServer

SOUND = ("maxmemory 100mb", "maxmemory-policy allkeys-lru")
"""Lines of redis.conf of a server in which nothing is wrong."""

PATIENT = ("--timeout", "30")
"""For a machine that is busy: nothing is left out for want of time."""

BUSY_SECONDS = 20
"""What a run with a timeout of a second or two may take on a busy machine; a query may take 60 s."""

Findings = dict[str, dict[str, Any]]

_LINE = re.compile(r"redis-cli (?:--askpass )?(?:--cluster call \S+|-h (\S+) -p (\d+))(?: --askpass)? (.*)")


def where(node: RedisServer) -> str:
    return f"127.0.0.1:{node.port}"


def findings(ended: Run) -> Findings:
    """The findings of a JSON document by name; of several with the same name the first."""
    found: Findings = {}
    for finding in ended.document["findings"]:
        assert finding["found"]
        assert not finding["found"].endswith(".")
        assert finding["why"].endswith(".")
        assert finding["mend"], finding
        assert not {"\n", "\r"} & {*(finding["found"] + finding["why"] + finding["mend"])}
        found.setdefault(finding["name"], finding)
    return found


def type_line(line: str, servers: Sequence[RedisServer]) -> None:
    """Do what a line of redis-cli does: on the server that it names, with ``--cluster call`` on all."""
    match = _LINE.search(line)
    assert match, line
    port, words = match[2], shlex.split(match[3])
    asked = [server for server in servers if port is None or int(port) == server.port]
    assert asked, line
    for server in asked:
        server.command(*words)


def langcache_words(line: str) -> list[str]:
    """The words behind ``langcache`` in a line."""
    _, found, words = line.partition("langcache ")
    assert found, line
    return shlex.split(words)


def new_settings(line: str) -> dict[str, str]:
    """The settings of a line such as ``LANGCACHE_NAMESPACE=app REDIS_URL=redis://...``."""
    return dict(word.split("=", 1) for word in line.split() if re.match(r"[A-Z_]+=", word))
