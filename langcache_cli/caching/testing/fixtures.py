"""Fixtures for pytest: a default cache in memory for each test that asks for one, and its clock.

In ``conftest.py``:

```python
from langcache_cli.caching.testing.fixtures import cache_clock, memory_cache
```
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from langcache_cli.caching._front.cache import Cache
from langcache_cli.caching._front.default import set_default_cache
from langcache_cli.caching.testing import _caches
from langcache_cli.caching.testing._clock import FakeClock

__all__ = ["cache_clock", "memory_cache"]


@pytest.fixture
def cache_clock() -> FakeClock:
    """The clock of `memory_cache`: ``cache_clock.advance(61)`` ends what lives for a minute."""
    return FakeClock()


@pytest.fixture
def memory_cache(cache_clock: FakeClock) -> Iterator[Cache]:
    """An empty cache in memory, which is the default cache during the test.

    It ends with the event loop of the test, whichever plugin runs that. A test that changes settings or
    injects faults makes a cache of its own with `langcache_cli.caching.testing.memory_cache`.
    """
    cache = _caches.memory_cache(clock=cache_clock)
    before = set_default_cache(cache)
    yield cache
    set_default_cache(before)
