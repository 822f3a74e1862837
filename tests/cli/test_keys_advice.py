"""What ``langcache keys`` and ``clear`` say when nothing is there, or another command is meant."""

import pytest

from tests.cli.cli_support import complaint, keys_of, url_of

KEY = "cache:vocabulary:get_word:7"


@pytest.fixture
def env(secured_redis):
    return {"REDIS_URL": url_of(secured_redis)}


def said(ended):
    """What stands on stderr below the target; nothing is on stdout."""
    assert (ended.code, ended.stdout) == (0, "")
    return ended.stderr.splitlines()[1:]


def test_a_listing_without_a_match_says_what_was_looked_for(call, env, secured_redis):
    assert said(call("keys", "list", env=env)) == ["No key is there in the namespace cache."]
    secured_redis.command("SET", "cache:vocabulary:f:Haus", "1")
    assert said(call("keys", "list", "--find", "haus", env=env)) == [
        "No key in the namespace cache contains 'haus'; the search is case-sensitive."
    ]
    of_type = call("keys", "list", "--type", "translation", "--find", "x", "--namespace", "app", env=env)
    assert said(of_type) == [
        "No key of the type translation in the namespace app contains 'x'; the search is case-sensitive."
    ]
    document = call("keys", "list", "--find", "haus", "--json", env=env)
    assert (document.document["keys"], document.stderr) == ([], "")


def test_removing_is_done_by_clear(call):
    for word in ("delete", "remove", "rm"):
        ended = call("keys", word, KEY)
        assert ended.code == 2
        assert complaint(ended) == f"langcache: there is no command 'keys {word}'"
        assert ended.stderr.splitlines()[-1] == f"Type: langcache clear --key {KEY}"
    assert "langcache clear --key KEY" in " ".join(call("keys", "--help").stdout.split())
    assert "did you mean 'keys list'?" in complaint(call("help", "keys", "lst"))


def test_a_word_without_its_option_is_put_behind_it(call):
    for word, line in (
        (KEY, f"--key {KEY}"),
        ("cache:v:*", "--pattern 'cache:v:*'"),
        ("video", "--type video"),
    ):
        ended = call("clear", word, "--yes")
        assert ended.code == 2
        assert complaint(ended) == f"langcache: {word!r} stands without an option"
        assert ended.stderr.splitlines()[-1] == f"Type: langcache clear {line}"


def test_a_key_that_is_not_there_is_not_asked_about(call, env, secured_redis, monkeypatch):
    monkeypatch.setattr("langcache_cli.cli.invocation.Invocation.may_ask", lambda _: True)
    monkeypatch.setattr("langcache_cli.cli.output.Output.ask", lambda *_: pytest.fail("asked"))
    secured_redis.command("SET", "cache:vocabulary:get_word:8", "1")
    for options in ((), ("--yes",), ("--dry-run",)):
        ended = call("clear", "--key", KEY, *options, env=env)
        assert (ended.code, ended.stdout) == (1, "")
        assert complaint(ended) == f"langcache: there is no key '{KEY}'"
        assert "langcache keys list --find get_word" in ended.stderr
    assert call("clear", "--key", KEY, "--yes", "--json", env=env).document["keys"] == 0
    assert call("clear", "--key", KEY, "--key", "cache:vocabulary:get_word:8", "-y", env=env).code == 0
    assert keys_of(secured_redis) == set()


def test_what_was_warmed_took_no_load(call, env, secured_redis):
    head = "lc1 entry id=5c07a1be9f3d2264 leased=0000000000000 created=1795420171390 fresh=4095420171390"
    secured_redis.command("SET", KEY, f"{head} load_us=0 schema=b3e60412\n1")
    assert "load took   - (warmed or set, not loaded)\n" in call("keys", "get", KEY, env=env).stdout
    secured_redis.command("SET", KEY, f"{head} load_us=1500 schema=b3e60412\n1")
    assert "load took   1.5 ms\n" in call("keys", "get", KEY, env=env).stdout


@pytest.mark.parametrize("runs", ["sys.exit(3)", "asyncio.get_running_loop().run_until_complete(None)"])
def test_a_module_that_runs_something_on_import_is_explained(runs, call, env, tmp_path, monkeypatch):
    name = f"script_{'exit' if 'exit' in runs else 'loop'}"
    (tmp_path / f"{name}.py").write_text(f"import asyncio, sys\n{runs}\n")
    monkeypatch.chdir(tmp_path)
    ended = call("keys", "explain", f"{name}:get_word", "7", env=env)
    assert ended.code == 78
    assert f"{name}:get_word" in complaint(ended)
    assert ended.stderr.splitlines()[-1].endswith("if __name__ == '__main__':")
