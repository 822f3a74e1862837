"""Functions that write, and what their writes invalidate."""
