"""What the tests of blocks share: a call for many items that reads the same database as the single calls."""

from langcache_cli.caching import cached_many
from tests.integration.cache_support import Database, Gate


class Many:
    """The same items in one call, from the same database."""

    def __init__(self, database: Database) -> None:
        self.runs: list[list[int]] = []
        self.gate = Gate(is_open=True)

        @cached_many(database.read, each="items")
        async def read_all(items: list[int]) -> list[list[int]]:
            self.runs.append(list(items))
            values = [[item, database.versions[item]] for item in items]
            await self.gate()
            if database.error is not None:
                raise database.error
            return values

        self.read = read_all
