"""Fixtures that the documents' tests share with those of the core."""

from tests.integration.conftest import cache, open_cache

__all__ = ["cache", "open_cache"]
