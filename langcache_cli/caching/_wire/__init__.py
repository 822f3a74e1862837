"""Commands to one Redis server over one shared connection, bounded in time."""
