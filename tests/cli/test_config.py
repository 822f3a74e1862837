"""``langcache config``: what is in effect and why, and what is wrong, without Redis."""

import pytest

from tests.cli.cli_support import MARK, complaint, no_noise


@pytest.fixture
def shown(tmp_path, monkeypatch, call):
    """`shown(text, *options, env={...})`: each setting and its origin, with a `.env` of that text."""
    monkeypatch.chdir(tmp_path)

    def show(text: str, *options: str, env: dict[str, str] | None = None) -> dict[str, tuple[str, str]]:
        (tmp_path / ".env").write_text(text)
        ended = call("config", "show", "--origin", *options, env=env)
        assert ended.code == 0, ended
        no_noise(ended)
        fields = [line.replace("=", "\t", 1).split("\t") for line in ended.stdout.splitlines()]
        return {name: (value, origin) for name, value, origin in fields}

    return show


def test_the_command_line_wins_over_the_environment_over_the_file_over_the_default(shown, tmp_path):
    text = "REDIS_TTL_DEFAULT=7200\nLANGCACHE_NAMESPACE=of_file\n\n# x\nexport LANGCACHE_ENV='dev'\n"
    text += "LANGCACHE_NAMESPACE=again\nLANGCACHE_LEASE_SECONDS=\n"
    found = shown(text)
    assert found["REDIS_TTL_DEFAULT"] == ("7200", ".env, line 1")
    assert found["LANGCACHE_NAMESPACE"] == ("again", ".env, line 6")
    assert found["LANGCACHE_ENV"] == ("dev", ".env, line 5")
    assert found["LANGCACHE_LEASE_SECONDS"] == ("2", "default")
    assert found["LANGCACHE_OPERATION_TIMEOUT"] == ("0.25", "default")
    assert shown(text, env={"langcache_namespace": "of_env"})["LANGCACHE_NAMESPACE"] == (
        "of_env",
        "environment (.env line 6 is overruled)",
    )
    (tmp_path / "url").write_text(f"redis://:{MARK}@elsewhere:1/2\n")
    options = ("--namespace", "given", "--timeout", "3", "--url-file", "url")
    found = shown(text, *options, env={"LANGCACHE_NAMESPACE": "of_env"})
    assert found["LANGCACHE_NAMESPACE"] == (
        "given",
        "--namespace (environment and .env line 6 are overruled)",
    )
    assert found["LANGCACHE_OPERATION_TIMEOUT"] == ("3", "--timeout")
    assert found["REDIS_URL"] == ("redis://***@elsewhere:1/2", "--url-file url")


@pytest.mark.parametrize(
    ("url", "value"),
    [
        (f"postgresql://u:{MARK}@h/n?sslmode=require", "postgresql://***@h/n"),
        (f"postgresql://u:a@{MARK}/x@h/n?password={MARK}", "postgresql://***@h/n"),
        (f"{MARK}", "***"),
        ("sqlite:////path/to/file.db", "sqlite:////path/to/file.db"),
    ],
)
def test_no_secret_of_a_database_is_shown(url, value, shown):
    assert shown(f"LANGPLUG_DATABASE_URL={url}\n")["DATABASE_URL"] == (
        value,
        ".env, line 1 (LANGPLUG_DATABASE_URL)",
    )


def test_every_setting_is_in_the_document(shown, call, tmp_path, monkeypatch):
    text = "LANGPLUG_REDIS_URL=redis://of_file:1/0\n"
    names = set(shown(text))
    document = call(
        "config", "show", "--json", env={"LANGCACHE_TYPES": '{"quiz":{"prefixes":["q"],"ttl":9}}'}
    ).document
    assert document["schema"] == "langcache.config.show/1"
    settings = {one["name"]: one for one in document["settings"]}
    assert (
        set(settings) == names >= {"REDIS_URL", "LANGCACHE_STATE_DIR", "DATABASE_URL", "LANGCACHE_HOT_KEYS"}
    )
    assert settings["REDIS_URL"]["origin"] == {
        "kind": "file",
        "name": "LANGPLUG_REDIS_URL",
        "file": ".env",
        "line": 1,
    }
    assert settings["LANGCACHE_TYPES"]["value"] == '{"quiz": {"prefixes": ["q"], "ttl": 9}}'
    assert settings["LANGCACHE_TYPES"]["origin"]["kind"] == "environment"


def test_all_that_is_wrong_is_named_with_its_place(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call("config", "validate").stdout == "All settings are valid.\n"
    (tmp_path / "wrong.env").write_text(
        f"LANGCACHE_ENV=staging\nLANGCACHE_NAMESPCE=x\nREDIS_TTL_DEFAULT=0\nDATABASE_URL=mysql://u:{MARK}@h/n\n"
    )
    ended = call("config", "validate", "--env-file", "wrong.env")
    assert ended.code == 78
    assert "4 settings are wrong" in complaint(ended)
    for number, says in (
        (1, "LANGCACHE_ENV: Input should be 'dev' or 'prod' (got 'staging')"),
        (2, "LANGCACHE_NAMESPCE is no setting of langcache; did you mean LANGCACHE_NAMESPACE?"),
        (3, "REDIS_TTL_DEFAULT: Input should be greater than or equal to 1 (got '0')"),
        (4, "DATABASE_URL: mysql:// is not supported"),
    ):
        (line,) = [line for line in ended.stdout.splitlines() if line.startswith(says)]
        assert line.endswith(f"(wrong.env, line {number})")
    document = call("config", "validate", "--env-file", "wrong.env", "--json").document
    assert not document["valid"]
    assert {problem["variable"] for problem in document["problems"]} == {
        "LANGCACHE_ENV",
        "LANGCACHE_NAMESPCE",
        "REDIS_TTL_DEFAULT",
        "DATABASE_URL",
    }
    assert call("config", "show", "--env-file", "wrong.env").code == 78
    assert call("config", "validate", "--env-file", "none.env").code == 78
    bad_json = call("config", "validate", env={"LANGCACHE_TYPES": "{"})
    assert "LANGCACHE_TYPES is not valid JSON (environment)" in bad_json.stdout


def test_a_bad_value_is_named_with_its_place_and_so_is_what_is_overruled(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("LANGCACHE_NAMESPACE=a\nREDIS_TTL_DEFAULT=0\n")
    assert complaint(call("config", "show")).endswith("(got '0') (.env, line 2)")
    env = {"LANGCACHE_NAMESPACE": "b", "REDIS_TTL_DEFAULT": "9"}
    document = call("config", "show", "--json", env=env).document
    overruled = {one["name"]: one["overruled"] for one in document["settings"] if one["overruled"]}
    assert overruled == {
        "LANGCACHE_NAMESPACE": [{"kind": "file", "name": "LANGCACHE_NAMESPACE", "file": ".env", "line": 1}],
        "REDIS_TTL_DEFAULT": [{"kind": "file", "name": "REDIS_TTL_DEFAULT", "file": ".env", "line": 2}],
    }
    bad = call("config", "show", env={"LANGCACHE_NAMESPACE": "not allowed", "REDIS_TTL_DEFAULT": "9"})
    assert complaint(bad).endswith("(environment)")
