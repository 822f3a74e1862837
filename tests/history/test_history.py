"""A short run of the checker with every kind of fault, and the proof that it would have noticed.

`python -m tests.history --minutes 10 --faults all` is the long one.
"""

from tests.harness.polling import eventually
from tests.history.run import Outcome, Run, kinds_of
from tests.history.subjects import NEAR
from tests.history.verdict import Violation

SECONDS = 3.0
MORE_ROUNDS = 12
STILL_FINDS_WITHIN_SECONDS = 60.0
FAULTS_SECONDS = 8.0


def test_whatever_fails_no_read_is_stale_and_none_goes_backwards(tmp_path):
    with Run(tmp_path, workers=3, seconds_between_faults=0.3) as run:
        run.go(SECONDS)
        for _ in range(MORE_ROUNDS):  # a slow machine needs longer for as much
            if has_seen_enough(run.judge()):
                break
            run.go(SECONDS)
        outcome = run.finish()
    assert outcome.violations == []
    assert has_seen_enough(outcome), outcome


def has_seen_enough(outcome: Outcome) -> bool:
    """Whether reads, changes, runs and faults were so many that the verdict means something."""
    return (
        outcome.reads > 500
        and outcome.near > 50
        and outcome.invalidations.total() > 100
        and outcome.runs > 100
        and outcome.faults.total() >= len(kinds_of("one")) // 2
    )


def test_without_the_commit_check_it_finds_stale_reads(tmp_path):
    with Run(tmp_path, workers=2, faults=[], defect="unguarded") as run:
        found = until_found(run, "stale")
    # what is stored without looking also takes the lease of another load away
    assert {one.rule for one in found} <= {"stale", "stale in its process", "backwards", "overlapping"}


def test_without_hearing_what_has_changed_it_finds_stale_reads_of_what_is_near(tmp_path):
    with Run(tmp_path, workers=2, faults=[], defect="deaf") as run:
        found = until_found(run, "stale")
    assert {violation.subject.split()[0] for violation in found} <= NEAR


def test_without_leases_it_finds_runs_that_overlap(tmp_path):
    with Run(tmp_path, workers=2, faults=[], defect="unleased") as run:
        until_found(run, "overlapping")


def until_found(run: Run, rule: str, *, while_faults_happen: bool = False) -> list[Violation]:
    """What the checker has found, once this rule is among it."""

    def found() -> list[Violation]:
        if while_faults_happen:
            run.go(FAULTS_SECONDS)
        violations = run.judge().violations
        return violations if rule in {violation.rule for violation in violations} else []

    within = STILL_FINDS_WITHIN_SECONDS * (5 if while_faults_happen else 1)  # such faults are seldom decisive
    return eventually(found, within=within, every=1.0)
