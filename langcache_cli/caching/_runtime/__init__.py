"""Everything a cache holds on behalf of one event loop."""
