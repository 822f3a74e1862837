"""Threads without an event loop: the loop that runs the cache for them, and what they do themselves."""
