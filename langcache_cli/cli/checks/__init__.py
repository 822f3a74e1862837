"""The report of `langcache check` in each format."""
