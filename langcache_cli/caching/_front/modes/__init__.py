"""What calls do inside ``with cache.bypassed():``, ``refreshing()`` and ``traced()``."""
