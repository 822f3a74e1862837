"""The fixtures for pytest, in a suite of their own: async tests, plain tests, and an application's client."""

import pytest

from tests.integration.strict_python import run_python

CONFTEST = "from langcache_cli.caching.testing.fixtures import cache_clock, memory_cache\n"

TESTS = """
import pytest
from langcache_cli.caching import MISSING, cached, get_default_cache

runs = []

@cached(key_prefix="vocabulary", ttl=60, tags=("word:{word}",))
async def get_length(word: str) -> int:
    runs.append(word)
    return len(word)

@cached(key_prefix="numbers", ttl=60)
def get_double(number: int) -> int:
    runs.append(number)
    return 2 * number

@pytest.fixture(autouse=True)
def empty(memory_cache):
    runs.clear()

@pytest.mark.parametrize("turn", [1, 2])  # the second one does not see what the first has stored
@pytest.mark.{mark}
async def test_async(turn, cache_clock):
    assert [await get_length("Haus"), await get_length("Haus")] == [4, 4]
    await get_length.invalidate("Haus")
    await get_length("Haus")
    cache_clock.advance(61)
    await get_length("Haus")
    assert runs == ["Haus"] * 3

@pytest.mark.parametrize("turn", [1, 2])
def test_plain(turn, cache_clock):
    assert [get_double(4), get_double(4), get_length.sync("Haus"), get_length.sync("Haus")] == [8, 8, 4, 4]
    cache_clock.advance(61)
    assert get_double(4) == 8
    assert runs == [4, "Haus", 4]

def test_the_cache_is_the_default_one(memory_cache):
    assert get_default_cache() is memory_cache
"""


@pytest.mark.parametrize("mark", ["asyncio", "anyio"])
def test_each_test_has_an_empty_default_cache_without_redis(tmp_path, mark):
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_words.py").write_text(TESTS.replace("{mark}", mark))
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:randomly", "-k", "not trio", str(tmp_path)]
    program = tmp_path / "run.py"
    program.write_text(f"import pytest, sys\nsys.exit(pytest.main({options}))\n")
    done = run_python(program, "redis://127.0.0.1:1/0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 passed" in done.stdout
