"""Log lines about errors of functions: only a setting lets them show messages, which may hold values."""

from collections.abc import Sequence

import pytest

from langcache_cli.caching import cached_many
from tests.harness.polling import aeventually
from tests.integration.cache_support import Database, make_stale


@pytest.mark.parametrize("log_values", [False, True])
@pytest.mark.parametrize("how", ["one", "all of a batch", "one of a batch"])
async def test_the_error_behind_a_value_that_is_still_served(
    open_cache, redis_server, caplog, log_values, how
):
    cache = open_cache(log_values=log_values)
    database = Database(cache, ttl=60, stale_ttl=60)

    @cached_many(database.read, each="items")
    async def read_many(items: Sequence[int]) -> list[list[int] | Exception]:
        if database.error is not None and how == "all of a batch":
            raise database.error
        return [database.error or [item, 0] for item in items]

    await database.read(1)
    make_stale(redis_server, database.read.key_for(1))
    database.error = LookupError("no secret")
    assert await (database.read(1) if how == "one" else read_many([1])) in ([1, 0], [[1, 0]])
    await aeventually(lambda: "its stored value is served" in caplog.text)
    assert "LookupError" in caplog.text
    assert ("secret" in caplog.text) is log_values
