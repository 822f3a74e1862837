"""Routes whose hits send the stored bytes; `cached_route` of `langcache_cli.fastapi` is the way in."""
