"""Parts of `langcache stats`: what explains a low hit rate, and what was counted since the last run."""
