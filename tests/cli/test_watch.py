"""The live view: on a terminal, which is given back as it was, and without one."""

import signal
import time

import pytest

from tests.harness.cli import Terminal, run_cli, start_cli
from tests.harness.polling import eventually
from tests.harness.shared_redis import url_of

VERDICT = "80.0 % of 20 calls from the cache"
ENTER_SCREEN, LEAVE_SCREEN, SHOW_CURSOR = "\x1b[?1049h", "\x1b[?1049l", "\x1b[?25h"


@pytest.fixture
def env(secured_redis) -> dict[str, str]:
    """A Redis in which 20 calls of a word were counted: 16 hits."""
    hour = int(time.time()) // 3600 * 3600
    for name, count in {"hits": 16, "misses": 4, "loads": 4}.items():
        for key in (f"cache@stats:m:{int(time.time()) // 60 * 60}", f"cache@stats:h:{hour}"):
            secured_redis.command("HSET", key, f"vocabulary:vocabulary:get_word:{name}", count)
    return {"REDIS_URL": url_of(secured_redis)}


def test_keys_change_what_is_shown_and_q_gives_the_screen_back(env):
    with Terminal("watch", "--interval", "0.5", env=env) as terminal:
        terminal.expect(VERDICT)
        terminal.expect("vocabulary")
        terminal.press("f")
        terminal.expect("vocabulary:get_word")
        terminal.press("k")
        terminal.expect("No key stands out.")
        terminal.press("?")
        terminal.expect("functions instead of types")
        terminal.press("?w")
        terminal.expect("6h")
        terminal.press(" ")
        terminal.expect("paused")
        terminal.press("q")
        ended = terminal.finish()
    assert ended.code == 0
    assert ended.stdout.count(ENTER_SCREEN) == ended.stdout.count(LEAVE_SCREEN) == 1
    after = ended.stdout.rpartition(LEAVE_SCREEN)[2]
    assert SHOW_CURSOR in ended.stdout.rpartition(ENTER_SCREEN)[2]
    assert VERDICT in after  # the last word stays on the terminal


@pytest.mark.parametrize("end", ["\x03", signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_an_interrupt_gives_the_screen_back(env, end):
    with Terminal("watch", env=env) as terminal:
        terminal.expect(VERDICT)
        if isinstance(end, str):
            terminal.press(end)
        else:
            terminal.send(end)
        ended = terminal.finish()
        assert terminal.is_as_before
    assert ended.code == 130
    assert ended.stdout.count(LEAVE_SCREEN) == 1


def test_while_redis_is_away_the_latest_numbers_stay(env, secured_redis):
    with Terminal("watch", "--interval", "0.5", env=env) as terminal:
        terminal.expect(VERDICT)
        secured_redis.kill()
        terminal.expect("no answer")
        terminal.expect("The numbers of")
        secured_redis.start()
        terminal.expect("No call was counted")  # it has lost them
        terminal.press("q")
        assert terminal.finish().code == 0


def test_without_a_terminal_there_is_a_line_a_minute(env):
    process = start_cli("watch", env=env)
    line = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert VERDICT in line
    assert "\x1b" not in line
    assert process.returncode == 130


def test_a_reader_that_has_seen_enough_ends_it(env):
    process = start_cli("watch", env=env)
    process.stdout.readline()
    process.stdout.close()
    assert process.poll() is None
    process.terminate()
    assert eventually(lambda: process.poll() is not None, within=30)
    process.stderr.close()
    process.stdin.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("watch", "--window", "5m"), "give one of 1h, 6h, 24h, 7d"),
        (("--json", "watch"), "stats --json --history"),
        (("stats", "--history", "--window", "5m"), "with --history one of 1h, 6h, 24h, 7d"),
    ],
)
def test_what_it_cannot_show_is_refused(env, arguments, message):
    ended = run_cli(*arguments, env=env)
    assert ended.code == 2
    assert message in ended.stdout + ended.stderr


def test_the_history_in_a_pipe_and_as_a_document(env):
    ended = run_cli("stats", "--history", env=env)
    assert ended.code == 0
    assert ended.stdout.splitlines()[0].startswith(VERDICT)
    document = run_cli("--json", "stats", "--history", "--window", "24h", env=env).document
    assert document["schema"] == "langcache.overview/1"
    assert sum(document["series"]["types"]["vocabulary"]["hits"]) == document["total"]["hits"] == 16
    assert run_cli("stats", "--history", "--min-hit-rate", "90", env=env).code == 1
