"""What a Tab offers, in the words of each shell: without Redis, and without a word about errors."""

import pytest

from langcache_cli.cli.completion import values
from langcache_cli.operations.bench.ladder import PATHS
from langcache_cli.operations.overview.collecting import WINDOWS

NOWHERE = {"REDIS_URL": "redis://127.0.0.1:1/0"}
QUIZ = {**NOWHERE, "LANGCACHE_NAMESPACE": "shop", "LANGCACHE_TYPES": '{"quiz":{"prefixes":["quiz"],"ttl":9}}'}


@pytest.fixture
def offered(call):
    """`offered("langcache", "clear", "--type", "")`: what bash gets; words as it splits them."""

    def ask(*words: str, env: dict[str, str] = NOWHERE) -> list[str]:
        asked = {
            "_LANGCACHE_COMPLETE": "complete_bash",
            "COMP_WORDS": "\n".join(words),
            "COMP_CWORD": str(len(words) - 1),
        }
        ended = call(env={**env, **asked})
        assert (ended.code, ended.stderr) == (0, "")
        return ended.stdout.split("\n")[:-1]

    return ask


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("clear", "--type", ""), ["vocabulary", "translation", "progress", "video", "subtitles"]),
        (("keys", "list", "--type", "tr"), ["translation"]),
        (("warm", "--type", "vo"), ["vocabulary"]),
        (("warm", "--level", "B"), ["B1", "B2"]),
        (("bench", "--path", ""), ["noop", "ping", "get", "hit", "miss", "database"]),
        (("watch", "--window", ""), ["1h", "6h", "24h", "7d"]),
        (("help", "keys", "s"), ["summary"]),
        (("help", "be"), ["bench"]),
        (("keys", "explain", "langcache_cli.vocabulary", ":", "find"), ["find_vocabulary_word"]),
        (("keys", "get", "cache", ":", "voc"), None),
        (("keys", "get", "cache", ":"), None),
        (("clear", "--pattern", "cache", ":", "epi"), ["episodes:*"]),
        (("clear", "--type", "=", "tr"), ["translation"]),
        (("clear", "--key", "=", "cache", ":", "epi"), ["episodes:"]),
        (("keys", "get", "'cache:epi"), ["cache:episodes:"]),
        (("--log-format", ""), ["text", "json"]),
        (("keys", "get", "nothing:"), []),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bash_gets_what_it_puts_in_the_place_of_the_word(words, expected, offered):
    found = offered("langcache", *words)
    if expected is None:
        assert {"vocabulary:", "vocabulary_level:", "vocabulary_stats:"} <= set(found)
        assert all(one.endswith(":") and one.count(":") == 1 for one in found)
    else:
        assert found == expected


def test_the_settings_decide_and_wrong_ones_are_passed_over(offered):
    assert "quiz" in offered("langcache", "clear", "--type", "", env=QUIZ)
    assert offered("langcache", "keys", "get", "shop", ":", "qu", env=QUIZ) == ["quiz:"]
    assert "shop:quiz:" in offered("langcache", "keys", "get", "", env=QUIZ)
    assert offered("langcache", "--namespace", "x", "keys", "get", "", env=QUIZ)[0].startswith("x:")
    assert offered("langcache", "clear", "--type", "", env={"LANGCACHE_TYPES": "{", "LANGCACHE_X": "1"}) == []


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_whole_keys(shell, call):
    env = {
        **NOWHERE,
        "_LANGCACHE_COMPLETE": f"complete_{shell}",
        "_TYPER_COMPLETE_ARGS": "langcache keys get cache:epi",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    ended = call(env=env)
    assert (ended.code, ended.stderr) == (0, "")
    assert "episodes" in ended.stdout


def test_what_is_offered_is_what_there_is():
    assert tuple(PATHS) == values.PATHS
    assert values.WINDOWS[1:] == tuple(WINDOWS)


@pytest.mark.parametrize(
    ("shell", "mark"), [("bash", "complete_bash"), ("zsh", "#compdef"), ("fish", "fish")]
)
def test_the_script_is_that_of_the_shell_that_is_named(shell, mark, call):
    shown = call("--show-completion", shell)
    assert (shown.code, shown.stderr) == (0, "")
    assert mark in shown.stdout
    assert ("complete_zsh" in shown.stdout) == (shell == "zsh")


@pytest.mark.parametrize("option", ["--show-completion", "--install-completion"])
def test_a_shell_without_completion_says_which_have_one(option, call):
    ended = call(option, "sh")
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr == (
        f"langcache: there is no completion for 'sh'\nName one: langcache {option} bash|zsh|fish\n"
    )
