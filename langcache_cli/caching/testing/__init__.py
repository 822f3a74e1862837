"""For unit tests of applications: a cache without a server, a clock set by the test, and fault injection.

```python
from langcache_cli.caching import set_default_cache
from langcache_cli.caching.testing import FakeClock, Faults, memory_cache, null_cache
```
"""

from langcache_cli.caching.testing._caches import memory_cache, null_cache
from langcache_cli.caching.testing._clock import FakeClock
from langcache_cli.caching.testing._faults import Faults

__all__ = ["FakeClock", "Faults", "memory_cache", "null_cache"]
