"""The smallest ACL users run every command; one with a right less is told which, and the line to type."""

from collections.abc import Callable, Iterator, Sequence

import pytest

from langcache_cli.caching._config.rights import COMMANDS, key_patterns
from tests.cli.cli_support import complaint
from tests.harness.acl import OF_THE_OVERVIEW, PASSWORD, USER, grant, kind_of, url_for
from tests.harness.cli import Run
from tests.harness.redis_cluster import RedisCluster
from tests.harness.redis_server import RedisServer

KINDS = ("one", "cluster")
KEYS = key_patterns("cache")

LINES: dict[str, tuple[str, ...]] = {
    "check": ("check",),
    "roundtrip": ("check", "--roundtrip"),
    "warm": ("warm",),
    "stats": ("stats",),
    "clear type": ("clear", "--type", "vocabulary", "--yes"),
    "clear pattern": ("clear", "--pattern", "cache:vocabulary:*", "--yes"),
    "clear key": ("clear", "--key", "cache:vocabulary:get_vocabulary_word:1", "--yes"),
    "look at key": ("clear", "--key", "cache:vocabulary:get_vocabulary_word:1", "--dry-run"),
    "clear tag": ("clear", "--tag", "user:1", "--yes"),
    "look at tag": ("clear", "--tag", "user:1", "--dry-run"),
    "look at all": ("clear", "--all", "--dry-run"),
    "clear all": ("clear", "--all", "--yes"),
    "bench": ("bench", "--duration", "0.02", "--repeat", "1"),
    "keys list": ("keys", "list", "--find", "word"),
    "keys summary": ("keys", "summary"),
    "keys get": ("keys", "get", "cache:vocabulary:get_vocabulary_word:1"),
    "keys explain": ("keys", "explain", "langcache_cli.vocabulary:get_vocabulary_word", "1"),
}
SHOWN = 2
"""So many of the commands that cannot do without a right are run."""

REPLACES = {"warm"}
STORES = {"warm", "bench"}
SEARCHES = {"clear type", "clear pattern", "look at all", "clear all", "stats", "bench"}
TAGS = {"clear tag", "look at tag"}

NEEDED_BY = {
    "+evalsha": STORES,
    "+eval": STORES,
    "+set": STORES,
    "+getrange": STORES,
    "+get": STORES,
    "+setrange": REPLACES,
    "+pttl": REPLACES,
    "+time": REPLACES,
    "+scan": SEARCHES,
    "+unlink": {"clear type", "clear pattern", "clear key", "clear tag", "clear all", "bench"},
    "+exists": {"look at key", "look at tag"},
    "+hgetall": {"stats"},
    "+info": {"stats", "bench"},
    "+dbsize": {"stats", "bench"},
    "+ping": {"bench"},
    "+cluster|slots": set(LINES),
    "+cluster|info": set(LINES),
    KEYS[0]: {"clear key", "look at key", *STORES},
    KEYS[1]: {"stats", "warm", *TAGS},
}
"""Commands that cannot do without a right, besides `check`, which tries them all."""

NOT_CHECKED = {
    "one": {"+hello", "+client|tracking", "+select", "+role", *OF_THE_OVERVIEW},
    "cluster": {"+hello", "+client|tracking", *OF_THE_OVERVIEW},
}
"""Without the first two nothing is kept in memory; `+select` is for other databases,
`+role` for one server that sentinels watch."""


class Limited:
    """Servers with a user whose rights a test chooses."""

    def __init__(self, url: str, nodes: Sequence[RedisServer], database_url: str, call: Callable[..., Run]):
        self.kind = kind_of(url)
        self._nodes = nodes
        self._env = {"REDIS_URL": url_for(url), "DATABASE_URL": database_url}
        self._call = call
        self.without()

    def without(self, *rights: str) -> None:
        grant(self._nodes, self.kind, without=rights)
        for node in self._nodes:
            node.command("SCRIPT", "FLUSH")

    def run(self, name: str) -> Run:
        ended = self._call(*LINES[name], env=self._env)
        assert PASSWORD not in ended.stdout + ended.stderr
        return ended


@pytest.fixture(scope="session")
def _cluster_of_two() -> Iterator[RedisCluster]:
    with RedisCluster(2, 0, node_timeout=60_000) as cluster:
        yield cluster


@pytest.fixture
def limited(request, one_redis, three_words, call) -> Limited:
    """`one` or `cluster`, with the smallest user."""
    if request.param == "one":
        return Limited(one_redis.url, [one_redis], three_words, call)
    cluster = request.getfixturevalue("_cluster_of_two")
    cluster.flush()
    return Limited(cluster.url, cluster.nodes, three_words, call)


@pytest.mark.parametrize("limited", KINDS, indirect=True)
@pytest.mark.parametrize("name", LINES)
def test_the_smallest_user_runs_every_command(limited, name):
    assert limited.run("warm").code == 0
    ended = limited.run(name)
    assert ended.code == 0, ended


@pytest.mark.parametrize(
    ("limited", "right"),
    [(kind, right) for kind in KINDS for right in (*COMMANDS[kind], *KEYS)],
    indirect=["limited"],
)
def test_with_one_right_less_the_right_is_named_and_the_line_that_grants_it(limited, right):
    assert limited.run("warm").code == 0
    limited.without(right)
    may_lack = right in NOT_CHECKED[limited.kind]
    if may_lack:
        assert [name for name in ("check", "warm", "stats") if limited.run(name).code != 0] == []
        return
    for name in ("check", *sorted(NEEDED_BY.get(right, set()))[:SHOWN]):
        ended = limited.run(name)
        assert ended.code == 77, ended
        assert complaint(ended)
        shown = ended.stdout if name == "check" else ended.stderr
        granted = shown.splitlines()[-1].partition(f": ACL SETUSER {USER} ")[2].split()
        assert right in granted, ended
        # Redis 6.2 does not name the subcommand, and no version the key
        assert granted == [right] or (right in KEYS and granted == [*KEYS]) or "|" in right
