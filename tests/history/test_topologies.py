"""The checker on a cluster and behind Sentinel, whichever the topology of the run is.

`python -m tests.history --topology cluster --minutes 10` is the long run.
"""

import pytest

from tests.harness.shared_redis import topology
from tests.history.run import Run
from tests.history.subjects import NEAR
from tests.history.test_history import until_found

TOPOLOGY = topology()
SECONDS = 30.0
LONGEST_SECONDS = 400
"""For defects that the checker finds about once a minute."""

pytestmark = pytest.mark.skipif(TOPOLOGY == "one", reason="one server is checked by test_history.py")


def test_whatever_fails_no_read_is_stale_and_none_goes_backwards(tmp_path):
    with Run(tmp_path, workers=3, seconds_between_faults=0.3, topology=TOPOLOGY) as run:
        run.go(SECONDS)
        outcome = run.finish()
    assert outcome.violations == []
    assert outcome.reads > 500, outcome
    assert outcome.faults.total() >= 3, outcome


def test_without_the_commit_check_it_finds_stale_reads(tmp_path):
    with Run(tmp_path, workers=2, faults=[], defect="unguarded", topology=TOPOLOGY) as run:
        until_found(run, "stale")


@pytest.mark.timeout(LONGEST_SECONDS)
@pytest.mark.skipif(TOPOLOGY != "cluster", reason="one primary has all tags and entries")
def test_without_reading_tags_again_it_finds_runs_that_overlap(tmp_path):
    with Run(tmp_path, workers=3, faults=["slow"], defect="unchecked", topology=TOPOLOGY) as run:
        found = until_found(run, "overlapping", while_faults_happen=True)
    assert {one.rule for one in found} == {"overlapping"}


@pytest.mark.timeout(LONGEST_SECONDS)
@pytest.mark.skipif(TOPOLOGY != "cluster", reason="slots of a cluster only are moved")
def test_without_looking_for_a_copy_it_finds_stale_reads(tmp_path):
    faults = ["reshard with copies"]
    with Run(tmp_path, workers=3, faults=faults, defect="one-copy", topology=TOPOLOGY) as run:
        until_found(run, "stale", while_faults_happen=True)


def test_without_reading_what_has_changed_it_finds_stale_reads_of_what_is_in_memory(tmp_path):
    with Run(tmp_path, workers=2, faults=[], defect="deaf", topology=TOPOLOGY) as run:
        found = until_found(run, "stale")
    assert {violation.subject.split()[0] for violation in found} <= NEAR
