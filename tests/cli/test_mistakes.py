"""Command lines and settings that cannot work: an exit code, one clear line, one JSON document, no secret.

In this process; `test_exit_codes.py` has a process for each exit code.
"""

from dataclasses import dataclass, field

import pytest

from tests.cli.cli_support import HIDDEN, MARK, complaint, no_noise


@dataclass(frozen=True)
class Case:
    """A command line, the exit code, a piece of the message, and settings."""

    line: str
    code: int
    says: str
    env: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        names = " ".join(self.env)
        return ascii(f"{names} {self.line}".strip())


USAGE = [
    Case("--frobnicate", 2, "--frobnicate"),
    Case("frobnicate", 2, "frobnicate"),
    Case("stats extra", 2, "extra"),
    Case("stats --frobnicate", 2, "--frobnicate"),
    Case("stats --timeout", 2, "--timeout"),
    Case("--timeout=soon stats", 2, "--timeout"),
    Case("stats --timeout 0", 2, "--timeout"),
    Case("stats --timeout 61", 2, "--timeout"),
    Case("stats --window 0m", 2, "--window '0m'"),
    Case("stats --window 8d", 2, "up to 7d"),
    Case("stats --window yesterday", 2, "such as 5m"),
    Case("stats --min-hit-rate 101", 2, "--min-hit-rate"),
    Case("stats --namespace a*", 2, "--namespace 'a*'"),
    Case("stats --namespace=", 2, "--namespace"),
    Case("warm --level Z9", 2, "A1, A2, B1, B2, C1, C2"),
    Case("warm --limit 0", 2, "--limit"),
    Case("warm --verify -1", 2, "--verify"),
    Case("bench --path walk", 2, "noop, ping, get, hit, miss, database"),
    Case("bench --path ping --min-speedup 2", 2, "--path hit"),
    Case("clear", 2, "one of --type, --pattern, --key, --tag, --all"),
    Case("clear --all --type vocabulary", 2, "one of --type"),
    Case("clear --type nonsense", 2, "vocabulary, translation, progress, video, subtitles"),
    Case("clear --pattern other:*", 2, "outside the namespace 'cache'"),
    Case("clear --pattern *", 2, "outside the namespace"),
    Case("clear --pattern cache*", 2, "outside the namespace"),
    Case("clear --key cachex:a", 2, "outside the namespace"),
    Case("clear --tag \udcff", 2, "not UTF-8"),
    Case("redis start --backend magic", 2, "magic"),
    Case("redis status --port 65536", 2, "--port"),
]
ONLY_WITH_JSON = [Case("redis logs --follow", 2, "--json"), Case("redis shell", 2, "--json")]

CONFIGURATION = [
    Case("stats", 78, "REDIS_URL", {"REDIS_URL": f"http://:{HIDDEN}@localhost"}),
    Case("stats", 78, "REDIS_URL", {"REDIS_URL": f"redis://:{HIDDEN}@localhost:port/0"}),
    Case("stats", 78, "REDIS_URL", {"REDIS_URL": f"redis://:a/{MARK}@localhost:6379/0"}),
    Case("stats", 78, "database 0 only", {"REDIS_URL": f"redis+cluster://:{HIDDEN}@h1,h2/3"}),
    Case("stats", 78, "service is missing", {"REDIS_URL": f"redis+sentinel://:{HIDDEN}@h1,h2"}),
    Case("stats", 78, "an '@' too many", {"REDIS_URL": f"redis+cluster://:{HIDDEN}@h1,:{HIDDEN}@h2"}),
    Case(
        "redis start", 78, "does not begin with redis://", {"REDIS_URL": f"redis+sentinel://:{HIDDEN}@h1/c"}
    ),
    Case("check", 78, "REDIS_ENABLED is false", {"REDIS_ENABLED": "false"}),
    Case("types", 78, "LANGCACHE_ENV", {"LANGCACHE_ENV": "production"}),
    Case("types", 78, "REDIS_TTL_VOCABULARY", {"REDIS_TTL_VOCABULARY": "-1"}),
    Case("types", 78, "LANGCACHE_TYPES", {"LANGCACHE_TYPES": "{"}),
    Case("types", 78, "LANGCACHE_NAMESPACE", {"LANGCACHE_NAMESPACE": "a b"}),
    Case("types --env-file missing.env", 78, "missing.env"),
    Case("stats --url-file missing.url", 78, "missing.url"),
    Case("warm", 78, "DATABASE_URL is not set"),
    Case("warm", 78, "mysql://", {"DATABASE_URL": f"mysql://root:{HIDDEN}@localhost/words"}),
    Case("warm", 78, "no database URL", {"DATABASE_URL": MARK}),
    Case("warm", 78, "no database URL", {"DATABASE_URL": f"postgresql://u:{HIDDEN}@localhost:port/words"}),
    Case("warm", 78, "no such database file", {"DATABASE_URL": "sqlite:///missing.db"}),
    Case("warm --sample", 78, "LANGCACHE_STATE_DIR", {"LANGCACHE_STATE_DIR": "/dev/null/state"}),
    Case("warm", 78, "sslmode", {"DATABASE_URL": f"postgresql://u:{HIDDEN}@127.0.0.1:1/x?sslmode=maybe"}),
    Case(
        "warm",
        78,
        "'colour' is no option of the URL",
        {"DATABASE_URL": f"postgresql://u:{HIDDEN}@127.0.0.1:1/x?colour=red"},
    ),
    Case("warm", 78, "%40", {"DATABASE_URL": f"postgresql://u:pw@{MARK}@127.0.0.1:1/words"}),
    Case("warm", 78, "%40", {"DATABASE_URL": f"postgresql://u:pw@{MARK}/x@127.0.0.1:1/words"}),
    Case("warm", 78, "%40", {"DATABASE_URL": f"postgresql://u:pw@a?{MARK}@127.0.0.1:1/words"}),
    Case("check --sample", 78, "REDIS_URL", {"REDIS_URL": f"redis://u:pw@a/{MARK}@127.0.0.1:1/0"}),
    Case("stats --url-file redis://:" + MARK + "@localhost", 78, "--url-file takes a file"),
    Case("stats --env-file redis://:" + MARK + "@localhost", 78, "--env-file takes a file"),
    Case(
        "warm",
        78,
        "statement_cache_size",
        {"DATABASE_URL": "postgresql://u@127.0.0.1:1/x?statement_cache_size=no"},
    ),
    Case("warm", 78, "search_path", {"DATABASE_URL": "postgresql://u@127.0.0.1:1/x?schema=app"}),
    Case("warm", 78, "server_settings", {"DATABASE_URL": "postgresql://u@127.0.0.1:1/x?server_settings=jit"}),
    Case("warm", 78, "'mode' is no option", {"DATABASE_URL": "sqlite:///words.db?mode=ro"}),
    Case("warm", 78, "timeout", {"DATABASE_URL": "sqlite:///words.db?timeout=long"}),
    Case("warm", 78, "three slashes", {"DATABASE_URL": f"sqlite://u:{MARK}@host/words.db"}),
    Case("redis start", 78, "between 0 and 9999", {"REDIS_URL": "redis://localhost:1/10000"}),
    Case("redis start", 78, "example.org", {"REDIS_URL": f"redis://:{HIDDEN}@example.org"}),
    Case("redis start --port 1", 78, "/dev/null/state", {"LANGCACHE_STATE_DIR": "/dev/null/state"}),
]

REFUSED = [
    Case("warm --sample", 4, "--sample is refused", {"LANGCACHE_ENV": "prod"}),
    Case("bench --sample", 4, "--sample is refused", {"LANGCACHE_ENV": "prod"}),
    Case("check --sample", 4, "--sample is refused", {"LANGCACHE_ENV": "prod"}),
    Case("clear --type vocabulary", 4, "may not ask for it"),
    Case("clear --all --yes", 4, "LANGCACHE_ENV is prod", {"LANGCACHE_ENV": "prod"}),
    Case("clear --all --confirm cachet", 4, "cachet", {"LANGCACHE_ENV": "prod"}),
    Case("clear --all --yes --confirm cachet", 4, "cachet", {"LANGCACHE_ENV": "dev"}),
]


def environment(case: Case) -> dict[str, str]:
    return {"REDIS_URL": f"redis://:{HIDDEN}@127.0.0.1:1/0", **case.env}


@pytest.mark.parametrize("case", [*USAGE, *CONFIGURATION, *REFUSED], ids=str)
def test_a_command_that_cannot_begin_says_why_in_one_line(case, call):
    ended = call(*case.line.split(" "), env=environment(case))
    assert ended.code == case.code
    assert case.says in complaint(ended)
    assert not ended.stdout


@pytest.mark.parametrize("case", [*USAGE, *ONLY_WITH_JSON, *CONFIGURATION, *REFUSED], ids=str)
def test_with_json_it_says_so_in_the_one_document(case, call):
    ended = call(*case.line.split(" "), "--json", env=environment(case))
    assert ended.code == case.code
    assert ended.document["schema"] == "langcache.error/1"
    assert ended.document["exit_code"] == case.code
    assert case.says in ended.document["error"]["message"]
    assert not ended.stderr
    no_noise(ended)


@pytest.mark.parametrize("line", ["", "redis"])
def test_a_command_without_a_subcommand_shows_its_help_and_counts_as_a_mistake(line, call):
    shown = call(*line.split())
    assert shown.code == 2
    assert shown.stdout.startswith("Usage: langcache")
    assert not shown.stderr
