"""Fixtures of the tests that need no server."""

import pytest

from langcache_cli.caching._values.large import line_reader, line_writer


@pytest.fixture
def everything_is_large(monkeypatch):
    """Values of a few objects are taken apart as large ones are."""
    monkeypatch.setattr(line_writer, "HEAVY", 3)
    monkeypatch.setattr(line_reader, "HEAVY", 3)
    monkeypatch.setattr(line_reader, "_ITEMS_A_STEP", 3)
    monkeypatch.setattr(line_reader, "_MANY_PARTS", 1)
    monkeypatch.setattr(line_writer, "PORTION_BYTES", 30)
    monkeypatch.setattr(line_writer, "_FIRST_COUNT", 1)
