"""What the shell offers after a Tab: fast, without Redis, and silent about errors."""
