"""The report of ``bench`` in a real browser: it draws, and has nothing to complain of."""

import os
import re
import shutil
import subprocess
from html import unescape

import pytest

from tests.cli.cli_support import url_of
from tests.cli.report_page import Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""

pytestmark = [
    pytest.mark.skipif(not CHROMIUM, reason="no chromium on the PATH: apt-get install chromium"),
    pytest.mark.skipif("CI" in os.environ, reason="browsers take too long for CI"),
]


def opened(path, tmp_path) -> tuple[str, str]:
    """The page after its script ran, and what the browser said about it."""
    options = (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        "--v=0",
        "--dump-dom",
    )
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    line = [CHROMIUM, *options, profile, path.as_uri()]
    ended = subprocess.run(line, capture_output=True, text=True, encoding="utf-8", timeout=60, check=True)
    return ended.stdout, "\n".join(line for line in ended.stderr.splitlines() if "CONSOLE" in line)


def test_it_draws_from_a_file_without_a_word_on_the_console(secured_redis, three_words, call, tmp_path):
    env = {"REDIS_URL": url_of(secured_redis), "DATABASE_URL": three_words}
    first, path = tmp_path / "first.html", tmp_path / "second.html"
    line = ("bench", "--duration=0.02", "--rate=200", "--report")
    assert call(*line, str(first), env=env).code in {0, 1}
    assert call(*line, str(path), "--baseline", str(first), env=env).code in {0, 1}
    drawn, console = opened(path, tmp_path)
    assert not console
    assert re.search(r"A hit takes [0-9.]+ .s, a miss [0-9.]+ .s: [0-9.]+ times as long", unescape(drawn))
    for name in ("ladder", "curve", "over"):
        assert re.search(f'id="{name}"[^>]*><svg', drawn), name
    for name in ("compared", "schedule"):
        assert f'id="{name}">' in drawn, "not hidden"
    assert len(re.findall("<tr>", drawn)) == 4 * 7, "four tables of a head and six paths"
    assert 'download="bench.json"' in drawn


def test_a_script_that_is_not_the_page_s_own_does_not_run(secured_redis, call, tmp_path):
    path = tmp_path / "report.html"
    env = {"REDIS_URL": url_of(secured_redis)}
    assert call("bench", "--path=get", "--duration=0.02", "--report", str(path), env=env).code == 0
    page = path.read_text("utf-8")
    assert len([tag for tag, _ in Page(page).tags if tag == "script"]) == 2
    path.write_text(page.replace("</main>", "</main><script>document.title = 'foreign'</script>"))
    drawn, console = opened(path, tmp_path)
    assert "<title>langcache bench</title>" in drawn
    assert "Content Security Policy" in console
