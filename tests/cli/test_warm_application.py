"""`langcache warm --app`: an application that exits, prints, blocks the event loop, or has methods."""

import tempfile
from pathlib import Path

import pytest

from tests.cli.cli_support import complaint, keys_of, url_of
from tests.harness.cli import run_cli

HEAD = """
import contextlib, os, redis, subprocess, sys, time
from langcache_cli.caching import cached

@contextlib.asynccontextmanager
async def opened():
    yield

@cached(key_prefix="vocabulary")
async def word(number: int) -> int:
    return number
"""
WARMER = """
@word.warmer
async def words():
    yield [{"number": number} for number in range(3)]
"""


@pytest.fixture
def warm_app(tmp_path, secured_redis):
    """`warm_app(source, *options)` warms an application of that source.

    Each is in a folder of its own: Python takes a module's bytecode for current if the size of the source and
    the second of its last change are the same.
    """

    def run(source: str, *options: str, lease_seconds: float = 10):
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        (folder / "application.py").write_text(HEAD + source)
        env = {"REDIS_URL": url_of(secured_redis), "LANGCACHE_LEASE_SECONDS": str(lease_seconds)}
        return run_cli("warm", "--app", "application:opened", *options, env=env, cwd=folder)

    return run


@pytest.mark.parametrize("argument", ["'the list is gone'", "0", ""])
@pytest.mark.parametrize(
    "source", ["sys.exit({})", "@word.warmer\nasync def words():\n    sys.exit({})\n    yield []"]
)
def test_an_application_that_ends_the_process_is_78_and_not_done(source, argument, warm_app):
    ended = warm_app(source.format(argument))
    assert ended.code == 78
    assert "sys.exit" in complaint(ended)
    assert ("the list is gone" in ended.stderr) == bool(argument.strip("0"))
    assert warm_app(source.format(argument), "--json").document["exit_code"] == 78


def test_what_an_application_prints_goes_to_stderr(warm_app):
    source = """
print("imported")
sys.stdout.write("no newline; ")
subprocess.run([sys.executable, "-c", "print('from a child')"])
os.write(1, b"from a descriptor\\n")
"""
    ended = warm_app(source + WARMER, "--json")
    assert ended.code == 0
    assert ended.document["written"] == 3
    for text in ("imported", "no newline; ", "from a child", "from a descriptor"):
        assert text in ended.stderr


def test_values_that_could_not_be_stored_because_their_load_blocked_the_loop_are_partial_3(warm_app):
    source = """
async def load(calls):
    time.sleep(0.3)  # longer than a lease
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:  # as leases end
        client.delete(*client.keys("cache:*"))
    return [call["number"] for call in calls]

async def words():
    yield [{"number": number} for number in range(3)]

word.warmer(words, load=load)
"""
    ended = warm_app(source, "-v", lease_seconds=0.2)
    assert ended.code == 3
    assert "3 of 3 entries were not stored" in ended.stderr
    assert "LANGCACHE_LEASE_SECONDS" in ended.stderr


METHOD = """
class Service:
    @cached(key_prefix="service")
    async def word(self, number: int) -> int:
        return number
"""


@pytest.mark.parametrize(
    "warmer",
    [
        "    @word.warmer\n    async def words(self):\n        yield [{'number': 1}]",
        "@Service.word.warmer\nasync def words():\n    yield [{'number': 1}]",
    ],
)
def test_a_warmer_that_lacks_an_instance_is_refused_with_the_way_out(warmer, warm_app):
    ended = warm_app(METHOD + warmer)
    assert ended.code == 78
    assert "instance.function.warmer" in complaint(ended)


def test_a_method_of_an_instance_is_warmed(warm_app, secured_redis):
    ended = warm_app(METHOD + "\n@Service().word.warmer\nasync def words():\n    yield [{'number': 1}]")
    assert ended.code == 0, ended
    assert [key for key in keys_of(secured_redis, "cache:service:*") if ":word:" in key]


def test_a_type_chooses_the_functions_of_an_application(warm_app):
    other = """
@cached(key_prefix="houses")
async def house(number: int) -> int:
    return number

@house.warmer
async def houses():
    yield [{"number": 1}]
"""
    assert warm_app(WARMER + other, "--type", "houses", "--json").document["written"] == 1
    assert warm_app(WARMER + other, "--type", "vocabulary", "--json").document["written"] == 3
    nothing = warm_app(WARMER + other, "--type", "video")
    assert (nothing.code, "no function of type video" in complaint(nothing)) == (1, True)
    assert warm_app(WARMER + other, "--type", "verbs").code == 2


def test_a_warm_of_which_all_was_invalidated_meanwhile_is_3_and_of_which_some_was_is_0(
    warm_app, secured_redis
):
    source = """
@cached(key_prefix="vocabulary")
async def changing(number: int) -> int:
    if number < {}:
        await changing.invalidate(number)
    return number

@changing.warmer
async def numbers():
    yield [{{"number": number}} for number in range(3)]
"""
    ended = warm_app(source.format(3))
    assert ended.code == 3
    assert "none of 3 entries were stored: something invalidated all of them meanwhile" in complaint(ended)
    assert ended.stderr.splitlines()[-1] == "Run it again."
    assert not keys_of(secured_redis, "cache:vocabulary:*")
    ended = warm_app(source.format(2), "--json")
    assert ended.code == 0
    assert ended.document["written"] == 1
