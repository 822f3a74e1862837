"""Settings: where Redis is, how long each cache type lives, what an operation may cost."""
