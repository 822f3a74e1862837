"""On a terminal: tables that fit, a bar while it works, a question that every answer ends."""

import re

import pytest

from tests.cli.cli_support import fill, keys_of, no_noise, url_of
from tests.harness.cli import Terminal

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def lines_of(shown: str) -> list[str]:
    """What the eye sees, line after line."""
    return [ESCAPE.sub("", line) for line in re.split(r"[\r\n]+", shown)]


@pytest.mark.parametrize(
    ("line", "columns"),
    [
        ("types", 80),
        ("stats", 80),
        ("stats --memory", 60),
        ("warm", 80),
        ("bench --duration 0.01 --repeat 1", 80),
        ("types", 160),
        ("types", 40),
    ],
)
def test_tables_fit_the_width_and_cut_nothing(line, columns, secured_redis, three_words):
    env = {"REDIS_URL": url_of(secured_redis), "DATABASE_URL": three_words}
    with Terminal(*line.split(), env=env, columns=columns) as terminal:
        ended = terminal.finish()
    assert ended.code == 0
    lines = lines_of(ended.stdout)
    assert max(map(len, lines)) <= columns
    assert any("───" in item for item in lines)
    assert "…" not in ended.stdout
    assert ("warming" in ended.stdout) == (line == "warm")  # the bar, which is gone at the end


def test_who_wants_no_colours_gets_none(secured_redis):
    with Terminal("stats", env={"REDIS_URL": url_of(secured_redis), "NO_COLOR": "1"}) as terminal:
        ended = terminal.finish()
    assert ended.code == 0
    assert "\x1b" not in ended.stdout


def test_a_dumb_terminal_gets_plain_columns_and_no_bar(secured_redis, three_words):
    env = {"REDIS_URL": url_of(secured_redis), "DATABASE_URL": three_words, "TERM": "dumb"}
    with Terminal("warm", env=env) as terminal:
        ended = terminal.finish()
    assert ended.code == 0
    no_noise(ended)
    assert "warming" not in ended.stdout


@pytest.mark.parametrize(
    ("keys", "code", "left"),
    [("y\n", 0, 0), ("yes\n", 0, 0), ("n\n", 4, 3), ("\n", 4, 3), ("\x03", 130, 3), ("\x04", 4, 3)],
    ids=["y", "yes", "n", "enter", "ctrl-c", "ctrl-d"],
)
def test_the_question_takes_any_answer_and_removes_nothing_without_a_yes(keys, code, left, secured_redis):
    fill(secured_redis, "cache:vocabulary:f:%d", 3)
    with Terminal("clear", "--type", "vocabulary", env={"REDIS_URL": url_of(secured_redis)}) as terminal:
        terminal.expect("Remove 3 keys (type vocabulary)? [y/N] ")
        terminal.press(keys)
        ended = terminal.finish()
    assert ended.code == code
    assert len(keys_of(secured_redis)) == left
    last = ended.stdout.strip().splitlines()[-1]  # behind the bar, which is wiped
    assert (
        ESCAPE.sub("", last)
        == {
            0: "Removed 3 keys (type vocabulary).",
            4: "langcache: nothing was removed",
            130: "langcache: interrupted",
        }[code]
    )
    assert "Traceback" not in ended.stdout


def test_no_input_asks_no_question_even_on_a_terminal(secured_redis):
    env = {"REDIS_URL": url_of(secured_redis)}
    with Terminal("--no-input", "clear", "--all", env=env) as terminal:
        ended = terminal.finish()
    assert ended.code == 4
    assert "may not ask for it" in ended.stdout
