"""A recipe of docs/cookbook.md as its reader has it: the names that are there once its block has run."""

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from langcache_cli.caching import set_default_cache
from langcache_cli.caching._front import default
from langcache_cli.caching._front.functions.registry import Registry
from langcache_cli.caching.testing import FakeClock, memory_cache
from tests.docs.blocks import ROOT, blocks
from tests.docs.surroundings import SURROUNDINGS, Names
from tests.docs.test_python_blocks import read

PAGE = ROOT / "docs" / "cookbook.md"


class Reader:
    """Reads recipes."""

    def __init__(self, names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
        self._names = names
        self._monkeypatch = monkeypatch

    async def __call__(self, question: str) -> SimpleNamespace:
        """Run the block of one recipe.

        Raises:
            AssertionError: There is no such recipe, or it has not exactly one block.
        """
        assert [block.section for block in blocks(PAGE, "python")].count(question) == 1, question
        self._monkeypatch.setattr(default, "_registry", Registry())  # as another process would
        return SimpleNamespace(**await read(PAGE, self._names, section=question))


@pytest.fixture
async def names(tmp_path) -> AsyncIterator[Names]:
    """The application around the recipes."""
    async with SURROUNDINGS[PAGE](tmp_path) as names:
        yield names


@pytest.fixture
def recipe(names, monkeypatch) -> Reader:
    """`await recipe(question)`: what is there when its block has run."""
    return Reader(names, monkeypatch)


@pytest.fixture
async def clock() -> AsyncIterator[FakeClock]:
    """The clock of a default cache in memory."""
    clock = FakeClock()
    async with memory_cache(clock=clock) as cache:
        before = set_default_cache(cache)
        yield clock
        set_default_cache(before)


def text_of_the_tests() -> str:
    """The text of the modules that test the recipes."""
    return "".join(
        path.read_text("utf-8") for path in sorted(Path(__file__).parent.glob("test_cookbook*.py"))
    )
