"""JUnit's XML, which Jenkins, GitLab and others show as tests."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from langcache_cli.cli.formats.outcome import Outcomes
from langcache_cli.cli.output import visible


def junit_xml(suite: str, outcomes: Outcomes) -> str:
    """The document: one suite, one case for each check. A warning is the output of a case that passed.

    Control characters, which XML cannot hold, are written as escapes.

    Args:
        suite: Its name.
        outcomes: The checks.
    """
    root = Element("testsuites")
    counts: dict[str, str] = {
        "tests": str(len(outcomes)),
        "failures": str(sum(outcome.fails for outcome in outcomes)),
        "errors": "0",
        "skipped": "0",
        "time": f"{sum(outcome.seconds for outcome in outcomes):.3f}",
    }
    of_suite = SubElement(root, "testsuite", {"name": suite, **counts})
    for outcome in outcomes:
        case = SubElement(
            of_suite,
            "testcase",
            classname=suite.replace(" ", "."),
            name=visible(outcome.name),
            time=f"{outcome.seconds:.3f}",
        )
        if outcome.fails:
            failure = SubElement(case, "failure", message=visible(outcome.detail), type=outcome.result)
            failure.text = visible(outcome.sentence)
        else:
            prefix = "warning: " if outcome.result == "warning" else ""
            SubElement(case, "system-out").text = prefix + visible(outcome.detail)
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode")
