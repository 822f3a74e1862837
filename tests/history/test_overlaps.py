"""The rule for overlapping runs finds what it is there to find, in histories written by hand."""

from dataclasses import replace

import pytest

from tests.history.journal import History, Journal
from tests.history.options import LOAD_TIMEOUT_SECONDS
from tests.history.overlaps import GRACE_SECONDS, calm_runs, overlaps
from tests.history.records import NEVER, Fault
from tests.history.verdict import violations

SUBJECT = ("translation", 1)
MS = 1_000_000
SECOND = 1000 * MS


def history_of(*lines: str, faults: tuple[Fault, ...] = ()) -> History:
    """Each line begins with the number of its process; times are milliseconds.

    ``runs NUMBER SINCE BEGAN`` may end with ``without`` for a run without a lease.
    """
    history = History(faults=list(faults))
    for line in lines:
        process, event, *details = line.split()
        match event:
            case "runs":
                number, since, began, *without = details
                fields = [number, *milliseconds(since, began), str(bool(without))]
            case "asks":
                number, when, way = details
                fields = [number, *milliseconds(when), way]
            case "ended":
                fields = [details[0], *milliseconds(details[1])]
            case _:
                fields = milliseconds(*details)
        history.add(int(process), event, *map(str, SUBJECT), *fields)
    return history


def milliseconds(*moments: str) -> list[str]:
    return [str(int(moment) * MS) for moment in moments]


def explained(*lines: str, faults: tuple[Fault, ...] = ()) -> list[str | None]:
    """What explains each overlap in a history."""
    return [explanation for *_, explanation in overlaps(history_of(*lines, faults=faults))]


FIRST = ("0 runs 1 90 100", "0 ended 1 200")
SECOND_RUN = ("1 runs 1 140 150", "1 ended 1 250")


def test_two_runs_at_a_time_without_a_reason_are_a_violation():
    history = history_of(*FIRST, *SECOND_RUN)
    assert [violation.rule for violation in violations(history, {SUBJECT: 1})] == ["overlapping"]


def test_the_end_of_a_run_is_known_even_if_its_process_is_killed_right_after_it(tmp_path):
    journal = Journal(tmp_path / "process-0.journal")
    number = journal.runs(SUBJECT, 0, bypassed=False)
    journal.ended(number)
    [run] = History.load([tmp_path / "process-0.journal"]).runs[SUBJECT]  # as a kill leaves it
    journal.close()
    assert run.ended < NEVER


@pytest.mark.parametrize(
    "second",
    [
        ("1 runs 1 195 200", "1 ended 1 210"),  # when the first has ended
        ("0 runs 2 195 200", "0 ended 2 210"),
    ],
)
def test_one_after_the_other_is_right(second):
    assert explained(*FIRST, *second) == []


def test_two_runs_in_one_process_are_no_better():
    assert explained(*FIRST, "0 runs 2 140 150", "0 ended 2 160") == [None]


def test_a_run_whose_end_is_unknown_goes_on():
    assert explained("0 runs 1 90 100", *SECOND_RUN) == [None]


def test_but_not_longer_than_its_process():
    def killed(began: int) -> Fault:
        return Fault("kill a worker", frozenset({0}), began * MS, began * MS)

    first, second = ("0 runs 1 90 100",), ("1 runs 1 9140 9150", "1 ended 1 9250")
    assert explained(*first, *second, faults=(killed(120),)) == []


@pytest.mark.parametrize(
    ("asked", "ended", "explanation"),
    [
        (120, 130, "taken away"),
        (80, 95, "taken away"),  # while the first began to read its tags
        (80, 89, None),
        (145, 160, "taken away"),
        (151, 160, None),  # after the second had begun
        (80, None, "taken away"),  # perhaps it took effect later
    ],
)
def test_an_invalidation_between_the_first_steps_of_both_explains_it(asked, ended, explanation):
    cause = [f"2 asks 7 {asked} tag", *([f"2 ended 7 {ended}"] if ended else [])]
    assert explained(*FIRST, *SECOND_RUN, *cause) == [explanation]


def test_an_invalidation_before_the_lease_of_the_run_that_began_late_explains_it():
    late = ("1 runs 1 50 150", "1 ended 1 250")  # it had its lease long before it began
    assert explained(*FIRST, *late, "2 asks 7 60 key", "2 ended 7 70") == ["taken away"]


def test_an_invalidation_of_another_item_explains_nothing():
    history = history_of(*FIRST, *SECOND_RUN)
    history.add(2, "asks", "translation", "2", "7", str(120 * MS), "key")
    assert [explanation for *_, explanation in overlaps(history)] == [None]


def test_what_met_a_fault_may_take_effect_until_the_fault_has_ended():
    sent = ("1 asks 7 10 refresh", "1 ended 7 20")
    swallowed = Fault("delay requests", frozenset({1}), 15 * MS, 25 * MS)
    first, second = ("0 runs 1 90 100", "0 ended 1 200"), ("2 runs 1 140 150", "2 ended 1 250")
    assert explained(*first, *second, *sent) == [None]
    assert explained(*first, *second, *sent, faults=(swallowed,)) == ["taken away"]
    assert explained(*first, *second, faults=(swallowed,)) == [None]  # it did not concern these two


@pytest.mark.parametrize(
    ("name", "processes", "explanation"),
    [
        ("stop Redis", None, "fault"),
        ("stop a worker", frozenset({0}), "fault"),
        ("stop a worker", frozenset({1}), "fault"),
        ("stop a worker", frozenset({2}), None),
        ("swallow", frozenset({1, 3}), "fault"),
        ("swallow", frozenset({3}), None),
        ("jump of a clock", frozenset({0}), None),
        ("SCRIPT FLUSH", None, None),
    ],
)
def test_a_fault_explains_it_if_it_can_end_a_lease_of_one_of_the_two(name, processes, explanation):
    assert explained(*FIRST, *SECOND_RUN, faults=(Fault(name, processes, 110 * MS, 120 * MS),)) == [
        explanation
    ]


def test_what_was_late_takes_effect_after_the_end_of_the_fault():
    delayed = Fault("delay requests", frozenset({1}), 5 * MS, 25 * MS, late_ns=1000 * MS)
    sent = ("1 asks 7 10 key", "1 ended 7 20")
    first, second = ("0 runs 1 990 1000", "0 ended 1 1200"), ("2 runs 1 1040 1050", "2 ended 1 1250")
    assert explained(*first, *second, *sent, faults=(delayed,)) == ["taken away"]
    at_once = replace(delayed, late_ns=0)
    assert explained(*first, *second, *sent, faults=(at_once,)) == [None]


def test_a_fault_has_an_effect_for_a_while():
    def after(milliseconds: float) -> list[str | None]:
        end = 90 * MS - round(GRACE_SECONDS * SECOND) - round(milliseconds * MS)
        return explained(*FIRST, *SECOND_RUN, faults=(Fault("cut", None, end - MS, end),))

    assert after(-1) == ["fault"]
    assert after(1) == [None]


def test_a_fault_under_way_explains_it():
    assert explained(*FIRST, *SECOND_RUN, faults=(Fault("evict", None, 95 * MS, NEVER),)) == ["fault"]


@pytest.mark.parametrize(("process", "explanation"), [(0, "stall"), (1, "stall"), (2, None)])
def test_a_stall_of_one_of_the_two_explains_it(process, explanation):
    assert explained(*FIRST, *SECOND_RUN, f"{process} stalled 60 91") == [explanation]


def test_a_run_without_a_lease_may_overlap_with_any():
    without = ("1 runs 1 140 150 without", "1 ended 1 250")
    assert explained(*FIRST, *without) == ["without a lease"]
    assert explained("0 runs 1 90 100 without", "0 ended 1 200", *SECOND_RUN) == ["without a lease"]


def test_a_run_that_exceeds_its_time_has_lost_its_lease():
    timeout = round(1000 * LOAD_TIMEOUT_SECONDS)
    hung = ("0 runs 1 90 100", f"0 ended 1 {timeout + 900}")
    early, late = (f"1 runs 1 {timeout} {at}" for at in (timeout + 50, timeout + 150))
    ended = f"1 ended 1 {timeout + 800}"
    assert explained(*hung, early, ended) == [None]
    assert explained(*hung, late, ended) == ["hung"]
    third = (f"2 runs 1 {timeout + 300} {timeout + 350}", f"2 ended 1 {timeout + 400}")
    assert explained(*hung, late, ended, *third) == ["hung", "hung", "hung"]


@pytest.mark.parametrize(
    ("refused", "explanation"), [(100, "refused"), (200, None), (1, "refused"), (-200, None)]
)
def test_a_refused_call_takes_the_lease_from_a_load_that_runs_for_long(refused, explanation):
    slow, second = ("0 runs 1 90 100", "0 ended 1 900"), ("1 runs 1 390 400", "1 ended 1 500")
    assert explained(*slow, *second, f"2 refused {refused}") == [explanation]
    quick = ("1 runs 1 150 160", "1 ended 1 500")
    assert explained(*slow, *quick, f"2 refused {refused}") == [None]


def test_calm_runs_are_those_during_which_nothing_is_excused():
    assert calm_runs(history_of(*FIRST)) == 1
    assert calm_runs(history_of(*FIRST, "2 asks 7 195 key", "2 ended 7 199")) == 0
    assert calm_runs(history_of("0 runs 1 90 100 without", "0 ended 1 200")) == 0
