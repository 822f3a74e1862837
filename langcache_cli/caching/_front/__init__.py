"""The public objects: the cache, cached functions, the default cache."""
