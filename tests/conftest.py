"""Fixtures of all tests: real servers, a clean environment, and a check that nothing outlives the run."""

import os
import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import configuration, settings

from tests.harness.acl import as_smallest_user
from tests.harness.leftovers import end_leftovers, mark_this_run
from tests.harness.postgres import PostgresServer
from tests.harness.proxy import FaultProxy
from tests.harness.redis_cluster import RedisCluster
from tests.harness.redis_server import RedisServer
from tests.harness.sentinels import SentinelSet
from tests.harness.server_accounts import accounts_of
from tests.harness.shared_redis import Shared, shared_redis, url_of

# deadline=None: a real server's first answer takes longer than its later ones
settings.register_profile("ci", deadline=None, derandomize=bool(os.environ.get("CI")), print_blob=True)
settings.register_profile("quick", settings.get_profile("ci"), max_examples=10)  # for a second run in CI
settings.load_profile("ci")

OURS = ("REDIS_", "LANGCACHE_", "DATABASE_URL", "LANGPLUG_DATABASE_URL")
THE_HARNESS = "LANGCACHE_TEST_"
STILL_RUNNING = pytest.StashKey[list[str]]()


@pytest.fixture(autouse=True)
def _isolated_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the developer's, no `.env`, no state of an earlier test reaches a test."""
    for name in os.environ:
        if name.startswith(OURS) and not name.startswith(THE_HARNESS):
            monkeypatch.delenv(name)
    monkeypatch.setenv("LANGCACHE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def one_server() -> Iterator[RedisServer]:
    """A single server for all tests of this worker, whatever the topology; as the test before left it."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def one_redis(one_server: RedisServer) -> RedisServer:
    """`one_server`, emptied, without other clients."""
    one_server.flush()
    return one_server


@pytest.fixture(scope="session")
def redis_server(one_server: RedisServer) -> Iterator[Shared]:
    """What all tests of this worker share: one server, unless `LANGCACHE_TEST_TOPOLOGY` says otherwise.

    A test that stops or configures a server wants `own_redis`.
    """
    with shared_redis(one_server) as shared:
        yield shared


@pytest.fixture
def redis_url(redis_server: Shared) -> str:
    """The URL of what is shared, emptied, without other clients: `redis://127.0.0.1:PORT/0` of one server."""
    redis_server.flush()
    return url_of(redis_server)


@pytest.fixture(scope="session")
def _redis_cluster() -> Iterator[RedisCluster]:
    with as_smallest_user(RedisCluster) as cluster:
        yield cluster


@pytest.fixture
def redis_cluster(_redis_cluster: RedisCluster) -> RedisCluster:
    """The cluster all tests of this worker share: three primaries, three replicas, all running and empty.

    Which node owns which slots is as earlier tests left it.
    """
    _redis_cluster.flush()
    return _redis_cluster


@pytest.fixture(scope="session")
def _sentinel_set() -> Iterator[SentinelSet]:
    with SentinelSet() as sentinels:
        yield sentinels


@pytest.fixture
def sentinel_set(_sentinel_set: SentinelSet) -> SentinelSet:
    """The Sentinel set all tests of this worker share, as new: made anew if a test replaced the primary."""
    _sentinel_set.flush()
    return _sentinel_set


@pytest.fixture
def own_redis() -> Iterator[Callable[..., RedisServer]]:
    """`own_redis(password=..., maxmemory=...)` starts a server the test may kill; gone after the test."""
    with ExitStack() as servers:
        yield lambda **options: servers.enter_context(RedisServer(**options))


@pytest.fixture
def fault_proxy() -> Iterator[Callable[..., FaultProxy]]:
    """`fault_proxy(target_port)` starts a proxy to that port of 127.0.0.1; closed after the test."""
    with ExitStack() as proxies:
        yield lambda *target: proxies.enter_context(FaultProxy(*target))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The PostgreSQL all tests of this worker share, started when the first one asks."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """`postgresql://postgres@127.0.0.1:PORT/NAME`: a fresh, empty database for this test."""
    url = postgres_server.create_database()
    yield url
    postgres_server.drop_database(url)


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background of a script; inherited
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # tests run in folders of their own, where Hypothesis would forget its examples
    configuration.set_hypothesis_home_dir(config.rootpath / ".hypothesis")
    config.stash[STILL_RUNNING] = []
    mark_this_run()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """What `-n auto` means: most tests wait for servers and processes longer than they compute."""
    return (os.cpu_count() or 1) + 3


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """The report of a failed test has what its servers say, before the next test changes it."""
    report = yield
    if report.failed and isinstance(item, pytest.Function):
        report.sections += accounts_of(item.funcargs.values())
    return report


@pytest.hookimpl(trylast=True)  # after the last fixtures have been closed
def pytest_sessionfinish(session: pytest.Session) -> None:
    still_running = session.config.stash[STILL_RUNNING]
    if not session.config.getoption("numprocesses", None):  # else the children are xdist's own
        still_running += end_leftovers()
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["still_running"] = still_running
    if still_running:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    """A worker's report reaches the run that started it."""
    output = getattr(node, "workeroutput", {})
    node.config.stash[STILL_RUNNING] += output.get("still_running", [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if still_running := config.stash[STILL_RUNNING]:
        terminalreporter.section("processes the tests left running, now killed", red=True)
        for line in still_running:
            terminalreporter.line(line)
