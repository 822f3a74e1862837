"""`python -m tests.history --minutes 10 --faults all` runs for long and fails unless all is well."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.history.defects import DEFECTS
from tests.history.run import TOPOLOGIES, Outcome, Run, kinds_of

SHOWN = 20


def main() -> int:
    """Exit code 0 if there is nothing to complain about, 1 otherwise."""
    options = _parser().parse_args()
    kinds = kinds_of(options.topology)
    faults = {"all": kinds, "none": []}.get(options.faults, options.faults.split(","))
    if unknown := set(faults) - set(kinds):
        _parser().error(f"no such fault: {', '.join(unknown)}; there are: {', '.join(kinds)}")
    folder = Path(tempfile.mkdtemp(prefix="langcache-history-"))
    _say(f"journals in {folder}")
    with Run(
        folder,
        workers=options.workers,
        seed=options.seed,
        faults=faults,
        defect=options.defect,
        topology=options.topology,
    ) as run:
        run.go(60 * options.minutes, tell=_say)
        outcome = run.finish()
    _report(outcome)
    return 1 if outcome.violations or not outcome.reads else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.history", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--faults", default="all", help="all, none, or names with commas between them")
    parser.add_argument("--topology", choices=TOPOLOGIES, default="one", help="what Redis is")
    parser.add_argument("--workers", type=int, default=4, help="processes at a time")
    parser.add_argument("--seed", type=int, default=0)
    for defect, meaning in DEFECTS.items():
        parser.add_argument(
            f"--{defect}", dest="defect", action="store_const", const=defect, default="", help=meaning
        )
    return parser


def _report(outcome: Outcome) -> None:
    _say(f"{outcome.reads:,} reads by {outcome.processes} processes in {outcome.seconds:.0f} s")
    _say(f"{outcome.near:,} of them answered from memory")
    _say(f"{outcome.versions:,} changes committed")
    _say(f"{outcome.invalidations.total():,} invalidations acknowledged:")
    for way, count in sorted(outcome.invalidations.items()):
        _say(f"    {count:8,} {way}")
    _say(f"{outcome.faults.total():,} faults:")
    for name, count in sorted(outcome.faults.items()):
        _say(f"    {count:8,} {name}")
    _say(f"{outcome.exceptions:,} times Redis could not be used for a call")
    _say(f"{outcome.runs:,} runs of the functions, {outcome.calm:,} of them while nothing excused another")
    _say(f"{outcome.overlaps.total():,} times two overlapped, explained by:")
    for explanation, count in sorted(outcome.overlaps.items()):
        _say(f"    {count:8,} {explanation}")
    _say(f"{outcome.lost:,} acknowledged invalidations that replication may have lost")
    _say(f"{outcome.older:,} reads of something older than these")
    _say(f"{len(outcome.violations):,} violations")
    for violation in outcome.violations[:SHOWN]:
        _say(f"    {violation}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
