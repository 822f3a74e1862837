"""The report of `langcache stats` in each format, and what its thresholds say of it."""
