"""What is wrong with one server: it cannot be reached, cannot hold the cache, or soon cannot."""
