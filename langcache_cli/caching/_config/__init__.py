"""Configuration: the Redis address, the cache types and the settings read from the environment."""
