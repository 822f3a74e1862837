"""From a call to the Redis keys of its entry and its tags."""
