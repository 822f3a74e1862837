"""Fixtures that the documents' tests share with those of the core, and those of the cookbook."""

from tests.docs.cookbook_page import clock, names, recipe
from tests.integration.conftest import cache, open_cache

__all__ = ["cache", "clock", "names", "open_cache", "recipe"]
