"""`--env-file`: the command never acts on the default server because a file could not be understood."""

import subprocess
import sys

import pytest

from tests.cli.cli_support import MARK, complaint, no_noise, url_of
from tests.harness.cli import SECONDS, cli_environment, run_cli


@pytest.mark.parametrize("text", [f'REDIS_URL="redis://:{MARK}@127.0.0.1:1/0\n', f"REDIS_URL {MARK}\n"])
def test_a_file_that_cannot_be_parsed_is_78_for_every_command(text, tmp_path, call):
    (tmp_path / "s.env").write_text(text)
    for line in ("clear --all --yes", "stats", "redis stop", "warm", "types"):
        ended = call(*line.split(), "--env-file", "s.env")
        assert ended.code == 78
        assert "s.env, line 1" in complaint(ended)


@pytest.mark.parametrize("name", [".env", "other.env"])
@pytest.mark.parametrize("is_folder", [False, True], ids=["missing", "folder"])
def test_a_named_file_that_cannot_be_read_is_78_for_every_command(
    name, is_folder, tmp_path, call, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    if is_folder:
        (tmp_path / name).mkdir()
    for line in ("clear --all --yes", "stats", "redis stop", "warm", "types", "config show", "doctor"):
        ended = call(*line.split(), "--env-file", name)
        assert ended.code == 78, ended
        assert f"the settings file {name} cannot be read" in complaint(ended)
        assert "name a file that can be read" in complaint(ended)


@pytest.mark.parametrize("is_folder", [False, True], ids=["missing", "folder"])
def test_the_file_of_the_working_folder_may_be_missing_or_a_folder(is_folder, tmp_path, call, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if is_folder:
        (tmp_path / ".env").mkdir()
    ended = call("config", "show")
    assert (ended.code, ended.stderr) == (0, "")


def test_a_pipe_serves_all_settings_of_a_run(secured_redis, three_words):
    text = f"REDIS_URL={url_of(secured_redis)}\nDATABASE_URL={three_words}\n"
    ended = subprocess.run(
        [sys.executable, "-m", "langcache_cli", "warm", "--json", "--env-file", "/dev/stdin"],
        env=cli_environment(),
        input=text,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ended.returncode == 0, ended
    assert '"words_written": 3' in ended.stdout


@pytest.mark.parametrize("option", [(), ("--env-file", "given.env")])
def test_the_state_folder_of_the_file_counts(option, tmp_path, secured_redis, call):
    (tmp_path / (option[1] if option else ".env")).write_text(f"LANGCACHE_STATE_DIR={tmp_path}/kept\n")
    env = {"REDIS_URL": url_of(secured_redis), "LANGCACHE_STATE_DIR": ""}
    ended = call("warm", "--sample", *option, env=env)
    assert ended.code == 0, ended
    assert [path.suffix for path in (tmp_path / "kept").iterdir()] == [".db"]


def test_a_user_without_a_home_is_told_to_name_a_folder(secured_redis, call, monkeypatch):
    import pwd

    def nobody(_uid):
        raise KeyError("uid not found")

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    env = {"REDIS_URL": url_of(secured_redis), "LANGCACHE_STATE_DIR": "", "XDG_STATE_HOME": ""}
    monkeypatch.delenv("HOME", raising=False)
    for line in ("warm --sample", "redis status", "redis start"):
        ended = call(*line.split(), env=env)
        assert ended.code == 78
        assert "LANGCACHE_STATE_DIR" in complaint(ended)
    assert call("check", env=env).code == 0
    without_user = {**env, "DATABASE_URL": "postgresql://127.0.0.1:1/words"}
    assert call("warm", env=without_user).code == 78


def test_a_misspelt_setting_is_warned_about_and_changes_no_result(secured_redis):
    env = {"REDIS_URL": url_of(secured_redis), "LANGCACHE_NAMESPASE": "other"}
    ended = run_cli("stats", "--json", env=env)
    assert ended.code == 0
    assert ended.document["total"]["hits"] == 0
    assert ended.stderr == (
        "LANGCACHE_NAMESPASE is no setting of langcache; did you mean LANGCACHE_NAMESPACE? (environment)\n"
    )
    no_noise(ended)


def test_a_misspelt_name_of_the_file_is_found_by_every_command_that_reads_it(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("REDIS_PORT=6379\nREDIS_TTL_TRANSLATON=5\n")
    says = "REDIS_TTL_TRANSLATON is no setting of langcache; did you mean REDIS_TTL_TRANSLATION?"
    assert f"{says} (.env, line 2)\n" in call("types").stderr
    assert f"{says} (.env, line 2)\n" in call("config", "show").stderr
    ended = call("config", "validate")
    assert (ended.code, ended.stdout) == (78, f"{says} (.env, line 2)\n")


@pytest.mark.parametrize(("options", "times"), [((), 1), (("-v",), 1), (("-q",), 0)], ids=str)
def test_a_misspelt_name_is_warned_about_once_and_never_with_quiet(options, times):
    ended = run_cli(*options, "types", env={"LANGCACHE_NAMESPASE": "other"})
    assert ended.code == 0
    assert ended.stderr.count("LANGCACHE_NAMESPASE is no setting of langcache") == times
