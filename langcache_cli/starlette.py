"""The cache in a Starlette application without FastAPI: routes whose hits send the stored bytes.

```python
@cached_route(key_prefix="vocabulary_level", key="{request.path_params[level]}")
async def read_level(request: Request) -> JSONResponse: ...
```
"""

from langcache_cli.routes.cached_route import CachedRoute, cached_route

__all__ = ["CachedRoute", "cached_route"]
