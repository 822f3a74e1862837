"""The overview: one document of what the cache does, for dashboard, `watch` and `stats --history`."""
