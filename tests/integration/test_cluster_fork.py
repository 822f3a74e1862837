"""After `fork`, with a cluster: parent and child have connections of their own to every node."""

import pytest

from tests.harness.polling import eventually
from tests.harness.shared_redis import clients_of
from tests.integration.test_fork import CASES, MODULE, PROGRAMS, run

GOING_ON = [(name, steps) for name, steps in CASES if name.startswith("the child") and not steps]
"""Fresh loops and pools, and connections that are being made, know nothing of a cluster yet."""


@pytest.mark.parametrize(("name", "steps"), GOING_ON)
def test_parent_and_child_get_their_own_values(redis_cluster, tmp_path, name, steps):
    done = run(tmp_path, redis_cluster.url, MODULE + PROGRAMS[name], str(steps), timeout=10)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(node.command("DBSIZE") for node in redis_cluster.primaries)
    eventually(lambda: sum(map(clients_of, redis_cluster.nodes)) == 0)
