"""A short run of the checker with every kind of fault, and the proof that it would have noticed.

`python -m tests.history --minutes 10 --faults all` is the long one.
"""

from tests.harness.polling import eventually
from tests.history.faults import KINDS
from tests.history.run import Run
from tests.history.subjects import NEAR
from tests.history.verdict import Violation

SECONDS = 12.0
STILL_FINDS_WITHIN_SECONDS = 60.0


def test_whatever_fails_no_read_is_stale_and_none_goes_backwards(tmp_path):
    with Run(tmp_path, workers=3, seconds_between_faults=0.3) as run:
        run.go(SECONDS)
        outcome = run.finish()
    assert outcome.violations == []
    assert outcome.reads > 500
    assert outcome.near > 50
    assert outcome.invalidations.total() > 100
    assert outcome.faults.total() >= len(KINDS) // 2


def test_without_the_commit_check_it_finds_stale_reads(tmp_path):
    with Run(tmp_path, workers=2, faults=[], unguarded=True) as run:
        found = until_a_stale_read(run)
    assert {violation.rule for violation in found} <= {"stale", "stale in its process", "backwards"}


def test_without_hearing_what_has_changed_it_finds_stale_reads_of_what_is_near(tmp_path):
    with Run(tmp_path, workers=2, faults=[], deaf=True) as run:
        found = until_a_stale_read(run)
    assert {violation.subject.split()[0] for violation in found} <= NEAR


def until_a_stale_read(run: Run) -> list[Violation]:
    """What the checker has found, once that is more than processes which do not see their own changes."""

    def found() -> list[Violation]:
        violations = run.judge().violations
        return violations if "stale" in {violation.rule for violation in violations} else []

    return eventually(found, within=STILL_FINDS_WITHIN_SECONDS, every=1.0)
