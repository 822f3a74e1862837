"""The files for Grafana and Prometheus name metrics that exist; promtool agrees with the rules."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from langcache_cli.caching import Cache, CacheSettings
from langcache_cli.caching.tooling import COUNTERS, OUTBOX, Label
from langcache_cli.prometheus import TIMINGS, CacheCollector

FOLDER = Path(__file__).parents[2] / "examples" / "grafana"
RULES = (FOLDER / "langcache-rules.yml").read_text("utf-8")
DASHBOARD = json.loads((FOLDER / "langcache-dashboard.json").read_text("utf-8"))
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
METRIC = re.compile(r"(?<![\w:])langcache_\w+(?![\w:])")
RECORDED = re.compile(r"\b\w+:langcache_\w+:\w+")
PROMTOOL = shutil.which("promtool") or ""
needs_promtool = pytest.mark.skipif(
    not PROMTOOL, reason="no promtool on the PATH: apt-get install prometheus"
)


def metrics_page() -> bytes:
    """What a process that has counted everything once writes."""
    cache = Cache(CacheSettings.load(env_file=None))
    word = Label("vocabulary", "vocabulary", "get_word")
    for name, spec in COUNTERS.items():
        cache.statistics.add(word if spec.per_function else OUTBOX, name, 1)
    for timing in TIMINGS:
        cache.statistics.time(word, timing, 1000)
    registry = CollectorRegistry()
    registry.register(CacheCollector(cache))
    return generate_latest(registry)


def written() -> set[str]:
    return {re.split(r"[{ ]", line)[0] for line in metrics_page().decode().splitlines() if line[0] != "#"}


def test_every_metric_of_the_dashboard_is_written():
    named = {name for expression in EXPRESSIONS for name in METRIC.findall(expression)}
    variables = {
        name for item in DASHBOARD["templating"]["list"] for name in METRIC.findall(str(item["query"]))
    }
    assert len(named) > 15
    assert named | variables <= written()


def test_every_metric_of_the_rules_for_the_textfile_is_documented():
    rules = (FOLDER / "langcache-textfile-rules.yml").read_text("utf-8")
    named = {name for line in re.findall(r"expr: (.+)", rules) for name in METRIC.findall(line)}
    documented = (FOLDER.parents[1] / "docs" / "counters.md").read_text("utf-8")
    assert len(named) == 3
    assert all(f"`{name}" in documented for name in named)


def test_every_metric_of_the_rules_is_written_and_every_recorded_series_is_recorded():
    expressions = re.findall(r"^ +expr: (.+?)(?=^ +\w+: |^ *$|\Z)", RULES, re.MULTILINE | re.DOTALL)
    named = {name for expression in expressions for name in METRIC.findall(expression)}
    assert len(expressions) == RULES.count("expr:") > 15
    assert len(named) >= 8
    assert named <= written()
    recorded = set(re.findall(r"- record: (\S+)", RULES))
    used = {name for expression in expressions for name in RECORDED.findall(expression)}
    assert used <= recorded
    assert recorded - used <= {"job_type:langcache_hit_seconds:p95_5m"}, "for people who look"


def test_the_process_id_is_summed_away_before_anything_else():
    for expression in EXPRESSIONS:
        for selector in re.finditer(r"langcache_\w+\{", expression):
            before = expression[: selector.start()]
            assert re.search(r"sum without \(worker\) \((rate\()?$", before), expression


def test_the_data_source_and_the_choices_are_variables():
    variables = {item["name"]: item for item in DASHBOARD["templating"]["list"]}
    assert list(variables) == ["datasource", "job", "type"]
    assert variables["datasource"]["type"] == "datasource"
    sources = {json.dumps(panel["datasource"]) for panel in DASHBOARD["panels"]}
    assert sources == {json.dumps({"type": "prometheus", "uid": "${datasource}"})}
    assert "DS_PROMETHEUS" not in json.dumps(DASHBOARD)
    assert "__inputs" not in DASHBOARD
    assert DASHBOARD.get("id") is None, "an id belongs to one Grafana"


def test_panels_have_places_of_their_own():
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


@needs_promtool
@pytest.mark.parametrize(
    "line", [("check", "rules", "langcache-rules.yml"), ("test", "rules", "langcache-rules-test.yml")]
)
def test_promtool_accepts_the_rules(line):
    ended = subprocess.run(
        [PROMTOOL, *line], cwd=FOLDER, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@needs_promtool
def test_promtool_accepts_the_metrics():
    ended = subprocess.run(
        [PROMTOOL, "check", "metrics"], input=metrics_page(), capture_output=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout + ended.stderr) == (0, b"")


@needs_promtool
def test_promtool_parses_every_expression_of_the_dashboard(tmp_path):
    def plain(expression: str) -> str:
        return expression.replace("$__rate_interval", "5m").replace("$job", ".*").replace("$type", ".*")

    rules = [{"record": f"panel:{number}", "expr": plain(text)} for number, text in enumerate(EXPRESSIONS)]
    path = tmp_path / "rules.yml"
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    ended = subprocess.run(
        [PROMTOOL, "check", "rules", path], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
