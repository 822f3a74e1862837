"""After `fork`, behind Sentinel: parent and child have links of their own to all servers."""

import pytest

from tests.harness.polling import eventually
from tests.harness.shared_redis import clients_of
from tests.integration.test_fork import CASES, MODULE, PROGRAMS, run


@pytest.mark.parametrize(("name", "steps"), CASES)
def test_parent_and_child_get_their_own_values(sentinel_set, tmp_path, name, steps):
    done = run(tmp_path, sentinel_set.url, MODULE + PROGRAMS[name], str(steps))
    assert (done.returncode, done.stderr) == (0, "")
    eventually(lambda: sum(map(clients_of, (*sentinel_set.nodes, *sentinel_set.sentinels))) == 0)
