"""Cached functions: what a decorator makes, and how it is called."""
