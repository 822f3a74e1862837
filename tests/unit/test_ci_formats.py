"""JUnit, GitHub and Prometheus: whatever a text holds, it is only text there."""

import xml.etree.ElementTree as ET

import pytest
from prometheus_client.parser import text_string_to_metric_families

from langcache_cli.cli.formats.asked import asked_format
from langcache_cli.cli.formats.github import github_lines
from langcache_cli.cli.formats.junit import junit_xml
from langcache_cli.cli.formats.nagios import Figure
from langcache_cli.cli.formats.outcome import Outcome
from langcache_cli.cli.formats.prometheus_text import Family, exposition

HOSTILE = 'a <b> & "c" \x1b[31m\x00 100 %\r\n::error::d'


def test_junit_holds_any_text():
    outcomes = [
        Outcome("redis", "failed", HOSTILE, "Type this.", 0.25),
        Outcome("database", "warning", HOSTILE),
        Outcome("hit rate", "unknown", "no call"),
        Outcome("x", "ok", "fine"),
    ]
    (suite,) = ET.fromstring(junit_xml("langcache check", outcomes))
    assert [suite.get(name) for name in ("tests", "failures", "time")] == ["4", "2", "0.250"]
    assert [case.get("classname") for case in suite] == ["langcache.check"] * 4
    failure = suite[0].find("failure")
    assert failure.get("message").startswith('a <b> & "c" \\x1b[31m\\x00 100 %')
    assert failure.text.endswith("; Type this.")
    assert [len(case.findall("failure")) for case in suite] == [1, 0, 1, 0]


def test_github_gets_one_command_a_line():
    lines = github_lines([Outcome("a:b,c%\n", "failed", HOSTILE), Outcome("d", "ok", HOSTILE)])
    assert lines[0].startswith("::error title=langcache%3A a%3Ab%2Cc%25%0A::a <b> & ")
    assert "100 %25%0D%0A::error::d" in lines[0]
    assert lines[1].startswith("ok: d: ")
    assert not any("\n" in line or "\r" in line for line in lines)


def test_labels_of_prometheus_hold_any_text():
    family = Family("langcache_keys", "A help\nwith \\ and two lines.")
    family.add(3, {"type": 'a "b" \\ c\nd'})
    family.add(None, {"type": "not known"})
    (found,) = text_string_to_metric_families(exposition([family, Family("langcache_none", "Nothing.")]))
    assert [(sample.labels, sample.value) for sample in found.samples] == [({"type": 'a "b" \\ c\nd'}, 3)]
    assert found.documentation == "A help\nwith \\ and two lines."


@pytest.mark.parametrize(
    ("line", "format_"),
    [
        ("stats", ""), ("stats --json", "json"), ("stats --format csv", "csv"),
        ("stats --format=prom", "prom"),
        ("--json stats --format csv", "json"), ("stats --format", ""), ("x -- --format=csv", ""),
    ],
)  # fmt: skip
def test_the_format_is_known_before_the_options_are(line, format_):
    assert asked_format(line.split()) == format_


def test_figures_have_no_exponent():
    assert str(Figure("memory", 12_345_678_901, "B")) == "'memory'=12345678901B"
    assert str(Figure("latency", 0.00003, "s")) == "'latency'=0.00003s"
    assert str(Figure("rate", 100.0, "%")) == "'rate'=100%"
