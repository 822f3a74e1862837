"""What the tests stand on: real servers in processes of their own, a proxy that breaks connections, polling.

Servers come from wheels, listen on 127.0.0.1 only, and die with the process that started them, however it
dies. Nothing here imports `langcache_cli` or redis-py: a test of the cache must not be checked by the cache.
"""
