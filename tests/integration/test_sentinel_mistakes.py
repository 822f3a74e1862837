"""Sentinel URLs that cannot work, sentinels that refuse or hang: the error says what to change."""

from collections.abc import Callable, Iterator

import pytest

from langcache_cli.caching import CacheUnavailableError
from langcache_cli.caching._config.rights import COMMANDS
from langcache_cli.caching._wire.connection import SUPPORTS_PUSH
from tests.harness.polling import aeventually
from tests.harness.sentinels import SENTINEL_PASSWORD, SERVICE, SentinelSet
from tests.integration.cache_support import Database
from tests.integration.sentinel_support import IN_TIME, is_stored, stopped, subscribers

MINIMAL = " ".join(COMMANDS["sentinel"])


@pytest.fixture
def limited_user(sentinel_set) -> Iterator[Callable[[str], str]]:
    """`limited_user(rights)` makes a user of the sentinels and returns the URL with it."""

    def make(rights: str) -> str:
        for sentinel in sentinel_set.sentinels:
            sentinel.command(
                "ACL", "SETUSER", "su", "reset", "on", ">s3", "-@all", "resetchannels", *rights.split()
            )
        login = "sentinel_username=su&sentinel_password=s3"
        return f"{sentinel_set.url.partition('?')[0]}?{login}"

    yield make
    for sentinel in sentinel_set.sentinels:
        sentinel.command("ACL", "DELUSER", "su")


async def test_the_documented_rights_of_a_user_of_the_sentinels_suffice(
    sentinel_set, limited_user, open_cache
):
    database = Database(open_cache(limited_user(f"{MINIMAL} &+switch-master"), **IN_TIME))
    assert await is_stored(database, 1)
    if SUPPORTS_PUSH:
        await aeventually(lambda: all(subscribers(one) == 1 for one in sentinel_set.sentinels))


@pytest.mark.parametrize("missing", [right for right in MINIMAL.split() if right != "+sentinel|master"])
async def test_a_user_of_the_sentinels_may_lack_a_right(sentinel_set, limited_user, open_cache, missing):
    rights = " ".join(right for right in MINIMAL.split() if right != missing)
    database = Database(open_cache(limited_user(rights), **IN_TIME))
    assert await is_stored(database, 1)
    watched = database.cache.runtime()._route._sentinels._watch
    await aeventually(lambda: [link.alive for link in watched._links] == [True] * 3)


async def test_a_user_of_the_sentinels_who_may_not_ask_for_the_primary_is_told(limited_user, open_cache):
    rights = " ".join(right for right in MINIMAL.split() if right != "+sentinel|master")
    refusal = r"the sentinel .* refuses: NOPERM .*sentinel.*; grant it: ACL SETUSER su .*\+sentinel\|master"
    with pytest.raises(CacheUnavailableError, match=refusal):
        await open_cache(limited_user(rights), **IN_TIME).ping()


def at_redis(sentinel_set: SentinelSet) -> str:
    hosts = ",".join(f"127.0.0.1:{node.port}" for node in sentinel_set.nodes)
    return f"redis+sentinel://:{sentinel_set.password}@{hosts}/{SERVICE}"


CASES = {
    "another service": (
        lambda url, s: url.replace(f"/{SERVICE}/", "/nope/"),
        f"the sentinels know no service 'nope'; they know '{SERVICE}'",
    ),
    "wrong password of the sentinels": (
        lambda url, s: url.replace(SENTINEL_PASSWORD, "wrong"),
        "refuses the user or password: check sentinel_username, sentinel_password in REDIS_URL",
    ),
    "no password of the sentinels": (
        lambda url, s: url.partition("?")[0],
        "demands a password: add ?sentinel_password=... to REDIS_URL",
    ),
    "wrong password of Redis": (
        lambda url, s: url.replace(s.password, "wrong"),
        "Redis refused the user or password",
    ),
    "no sentinel": (
        lambda url, s: f"redis+sentinel://127.0.0.1:1,127.0.0.1:2,127.0.0.1:3/{SERVICE}",
        "none of 3 sentinels answers: ",
    ),
    "servers in place of sentinels": (
        lambda url, s: f"{at_redis(s)}?sentinel_password={s.password}",
        "a Redis answers there: for one Redis write redis://host:6379/0",
    ),
    "servers in place of sentinels, without a password": (
        lambda url, s: at_redis(s),
        "if it is no sentinel but a Redis, write redis://host:6379/0",
    ),
}


@pytest.mark.parametrize(("url_of", "says"), CASES.values(), ids=CASES)
async def test_what_is_wrong_is_named_and_calls_go_on(sentinel_set, open_cache, url_of, says):
    url = url_of(sentinel_set.url, sentinel_set)
    database = Database(open_cache(url, **IN_TIME))
    with pytest.raises(CacheUnavailableError) as caught:
        await database.cache.ping()
    assert says in str(caught.value)
    assert "redis+sentinel://" in caught.value.target
    for secret in ("wrong", sentinel_set.password, SENTINEL_PASSWORD):
        assert secret not in str(caught.value)
    assert await database.read(1) == [1, 0]


async def test_sentinels_that_all_hang_cost_a_call_its_budget(sentinel_set, open_cache):
    database = Database(open_cache(sentinel_set.url, **IN_TIME))
    with stopped(sentinel_set, *sentinel_set.sentinels):
        with pytest.raises(CacheUnavailableError, match="none of 3 sentinels answers in time"):
            await database.cache.ping()
        assert await database.read(1) == [1, 0]
    await aeventually(lambda: is_stored(database, 2))
