"""The error boundary: each error has an exit code and a line, even if a package cannot be imported."""

import json
import subprocess
import sys

import pytest

import langcache_cli.caching
import langcache_cli.servers
import langcache_cli.vocabulary
from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import OUTCOMES, explain
from tests.cli.cli_support import complaint
from tests.harness.cli import finish, start_cli

PACKAGES = (langcache_cli.caching, langcache_cli.servers, langcache_cli.vocabulary)

# Raised by the core or its callers only where a command handles it.
BUGS_IF_UNHANDLED = {"CacheError", "DatabaseError", "UncacheableValueError"}


def errors_of(package) -> dict[str, type[BaseException]]:
    named = {name: getattr(package, name) for name in package.__all__}
    return {
        name: kind
        for name, kind in named.items()
        if isinstance(kind, type) and issubclass(kind, BaseException)
    }


ERRORS = {name: kind for package in PACKAGES for name, kind in errors_of(package).items()}


def test_every_name_in_the_table_is_one_error_of_one_package():
    assert set(OUTCOMES) <= set(ERRORS)
    assert len(ERRORS) == sum(len(errors_of(package)) for package in PACKAGES)


@pytest.mark.parametrize("name", sorted(set(ERRORS) - BUGS_IF_UNHANDLED))
def test_every_public_error_has_an_exit_code_of_its_own(name):
    error = ERRORS[name].__new__(ERRORS[name])
    error.args = ("a message",)

    failure = explain(error)

    assert failure.code not in {ExitCode.BUG, ExitCode.DONE}
    assert "a message" in failure.message


@pytest.mark.parametrize(
    ("error", "code", "hint"),
    [
        (langcache_cli.caching.ServerReplyError("NOPERM no right"), 77, "ACL SETUSER"),
        (langcache_cli.caching.ServerReplyError("READONLY replica"), 69, "the primary"),
        (langcache_cli.caching.ServerReplyError("WHATEVER"), 69, ""),
        (langcache_cli.servers.LockBusyError("busy", hint="wait"), 75, "wait"),
        (
            langcache_cli.servers.NotAnsweringError("x", hint="h", log_lines=(), still_loading=True),
            75,
            "h",
        ),
        (
            langcache_cli.servers.NotAnsweringError("x", hint="h", log_lines=(), still_loading=False),
            69,
            "h",
        ),
        (FileNotFoundError(2, "No such file", "x.env"), 78, ""),
        (OSError("no file name"), 70, "bug"),
        (ZeroDivisionError("a bug"), 70, "bug"),
    ],
    ids=lambda value: f"{type(value).__name__}" if isinstance(value, Exception) else None,
)
def test_an_error_is_shown_with_its_code_and_hint(error, code, hint):
    failure = explain(error)

    assert failure.code == code
    assert hint in failure.hint


def test_a_refused_command_is_found_behind_the_error_it_caused():
    error = RuntimeError("warm failed")
    error.__cause__ = langcache_cli.caching.ServerReplyError("OOM command not allowed")

    assert (explain(error).code, explain(error).hint[:13]) == (69, "Redis is full")


def test_an_application_s_error_of_the_same_name_is_not_mistaken_for_ours():
    assert explain(type("PatternError", (Exception,), {})("x")).code == 70


def test_an_error_whose_message_cannot_be_made_is_still_shown():
    class BrokenError(Exception):
        def __str__(self) -> str:
            raise ValueError

    assert explain(BrokenError()).message.startswith("BrokenError: ")


def test_an_error_is_explained_without_an_import():
    script = """
import sys
from langcache_cli.cli.failures import explain
before = set(sys.modules)
explain(ZeroDivisionError("x")), explain(OSError(2, "x", "y"))
import json
print(json.dumps([name for name in sys.modules if name not in before and name.startswith("langcache")]))
"""
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(shown.stdout) == []


BROKEN_INSTALLATION = """
import sys
sys.modules["langcache_cli.servers"] = None  # every import of it fails
import langcache_cli.operations.stats as operation

async def fails(*args, **options):
    from langcache_cli.caching import PatternError
    raise {error}

operation.stats = fails
from langcache_cli.cli.main import run
sys.exit(run(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        ("ZeroDivisionError('a bug')", 70, "langcache: ZeroDivisionError: a bug"),
        ("PatternError('a pattern')", 2, "langcache: a pattern"),
    ],
)
def test_errors_are_shown_although_the_servers_package_cannot_be_imported(
    secured_redis, error, code, message
):
    command = (sys.executable, "-c", BROKEN_INSTALLATION.format(error=error))
    ended = finish(start_cli("stats", env={"REDIS_URL": secured_redis.url}, command=command))

    assert ended.code == code
    assert complaint(ended) == message


def test_the_failed_import_itself_is_a_bug_and_no_traceback(secured_redis):
    command = (sys.executable, "-c", BROKEN_INSTALLATION.format(error="ValueError"))
    ended = finish(start_cli("redis", "status", env={"REDIS_URL": secured_redis.url}, command=command))

    assert ended.code == 70
    assert complaint(ended).startswith("langcache: ModuleNotFoundError: ")


@pytest.mark.parametrize(
    ("target", "hint"),
    [
        ("redis://***@localhost:6379/0", "Start a local one with 'langcache redis start', or set REDIS_URL."),
        (
            "redis+cluster://***@localhost:7000,localhost:7001/0",
            "Start a local one with 'langcache redis start --cluster 3', or set REDIS_URL.",
        ),
        ("redis://cache.internal:6379/0", "Check REDIS_URL, and that its server runs."),
        ("redis+cluster://a:7000,b:7000/0", "Check REDIS_URL, and that its server runs."),
    ],
)
def test_a_local_server_is_started_only_where_the_url_is_local(target, hint):
    assert explain(langcache_cli.caching.CacheUnavailableError("nothing listens", target=target)).hint == hint


def test_of_a_cluster_without_a_node_that_node_is_to_be_started():
    error = langcache_cli.caching.CacheUnavailableError("x", target="redis+cluster://localhost:7000/0")
    error.lost_nodes = ("localhost:7001",)
    failure = explain(error)
    assert failure.code == ExitCode.UNREACHABLE
    assert failure.hint.startswith("Start that node again")
