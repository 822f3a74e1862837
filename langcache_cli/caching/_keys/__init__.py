"""Redis keys of entries and tags, and the sets of keys that an invalidation selects."""
