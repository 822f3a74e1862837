"""Where the cache is kept: one Redis, a cluster, or what Sentinel watches; one face for all of them."""
