"""The smallest ACL users that the documents name, on real servers, and such with a right less."""

import os
import re
from collections.abc import Sequence
from typing import Protocol

from langcache_cli.caching._config.rights import Kind, key_patterns, setuser_line
from tests.harness.redis_cluster import RedisCluster
from tests.harness.redis_server import RedisServer

USER = "app"
PASSWORD = "app-secret"
OF_THE_OVERVIEW = frozenset(
    ["+xadd", "+xrevrange", "+zincrby", "+zremrangebyrank", "+zrevrange", "+randomkey", "+memory|usage"]
)
"""Rights without which only the overview lacks something; nothing checks for them."""
OTHERS = tuple(pattern for namespace in ("cache2", "other") for pattern in key_patterns(namespace))
OF_TESTS = {"one": OTHERS, "cluster": (*OTHERS, "+command")}
"""What tests need besides: other namespaces; `COMMAND` is a question of redis-py's cluster client."""


class Target(Protocol):
    """What has a URL and servers: one server, a cluster, a Sentinel set."""

    @property
    def url(self) -> str:
        """The URL with all rights."""
        ...


def kind_of(url: str) -> Kind:
    """The kind of the user of the data servers; one behind Sentinel is one server."""
    return "cluster" if "+cluster:" in url else "one"


def grant(nodes: Sequence[RedisServer], kind: Kind, *, without: Sequence[str] = (), user: str = USER) -> None:
    """Make the user anew on each of these servers, without some words of its line."""
    words = setuser_line(kind, user=user, password=PASSWORD).split()
    assert set(without) <= set(words), without
    for node in nodes:
        node.command(*words[:3], "reset", *[word for word in words[3:] if word not in without])


def url_for(url: str, *, user: str = USER) -> str:
    """The URL with the user in it; behind Sentinel for the data servers and for the sentinels."""
    scheme, _, rest = url.partition("://")
    url = f"{scheme}://{user}:{PASSWORD}@{rest.rpartition('@')[2]}"
    as_user = f"sentinel_username={user}&sentinel_password={PASSWORD}"
    return re.sub("sentinel_password=[^&]*", as_user, url)


def smallest_user(shared: Target) -> str:
    """Make the smallest users of what is shared; the URL that logs in as them."""
    nodes: Sequence[RedisServer] = getattr(shared, "nodes", [shared])
    kind = kind_of(shared.url)
    grant(nodes, kind)
    for node in nodes:
        node.command("ACL", "SETUSER", USER, *OF_TESTS[kind])
    grant(getattr(shared, "sentinels", []), "sentinel")
    return url_for(shared.url)


def is_asked_for() -> bool:
    """Whether `LANGCACHE_TEST_ACL` says that tests use the smallest user."""
    return os.environ.get("LANGCACHE_TEST_ACL") == "1"


def as_smallest_user(new_cluster: type[RedisCluster], *shape: int, **options: int) -> RedisCluster:
    """A cluster, not formed yet; its URL has the smallest user if that is asked for.

    The user stands in the configuration of its nodes: one that is killed has it again.
    """
    if not is_asked_for():
        return new_cluster(*shape, **options)
    words = setuser_line("cluster", user=USER, password=PASSWORD).removeprefix("ACL SETUSER ")
    cluster = new_cluster(*shape, **options, config=(" ".join(("user", words, *OF_TESTS["cluster"])),))
    cluster.login = f"{USER}:{PASSWORD}@"
    return cluster
