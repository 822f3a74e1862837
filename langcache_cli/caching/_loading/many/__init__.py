"""Calls for many items at once."""
