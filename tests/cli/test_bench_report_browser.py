"""The report of ``bench`` in a real browser: drawn at every width, without a request or a complaint."""

import json
from pathlib import Path

import pytest

from langcache_cli.cli.main import run
from tests.cli.cli_support import url_of
from tests.harness.browser import browser, missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "there is a browser")


@pytest.fixture(scope="module")
def tab():
    with browser() as page:
        yield page


@pytest.fixture(scope="module")
def reports(_secured_redis, three_words, tmp_path_factory):
    """A report, and one that is compared with it; both of an open loop."""
    folder = tmp_path_factory.mktemp("reports")
    first, second = str(folder / "first.html"), str(folder / "second.html")
    line = ("bench", "--duration=0.02", "--rate=200", "--report")
    with pytest.MonkeyPatch.context() as changed:
        changed.setenv("REDIS_URL", url_of(_secured_redis))
        changed.setenv("DATABASE_URL", three_words)
        assert run([*line, first]) in {0, 1}
        assert run([*line, second, "--baseline", first]) in {0, 1}
    return Path(first), Path(second)


def test_it_draws_from_a_file_without_a_request_or_a_word_on_the_console(tab, reports):
    for path in reports:
        tab.open(path.as_uri())
        for scheme in ("light", "dark"):
            for width in (400, 768, 1280):
                tab.size(width, scheme=scheme)
                tab.run("new Promise((next) => requestAnimationFrame(() => requestAnimationFrame(next)))")
                assert tab.run("document.documentElement.scrollWidth") == width
                assert tab.run("document.documentElement.dataset.theme") == scheme
                for chart in ("ladder", "curve", "over"):
                    assert (
                        tab.run(f"document.querySelector('#{chart} svg').getBoundingClientRect().width") > 250
                    )
        asked = [url for url in tab.requests if not url.startswith(("data:", "file:"))]
        assert (asked, tab.messages) == ([], [])
    assert tab.run("document.querySelectorAll('#compared tbody tr').length") == 6
    assert tab.run("document.querySelectorAll('#schedule tbody tr').length") == 6
    assert " times as long" in tab.run("document.querySelector('h1').textContent")


def test_the_link_gives_back_the_document(tab, reports):
    tab.open(reports[1].as_uri())
    link = tab.run("document.getElementById('download').href")
    shown = tab.run("document.getElementById('data').textContent")
    content = tab.run(f"decodeURIComponent({json.dumps(link)}.split(',').slice(1).join(','))")
    assert json.loads(content) == json.loads(shown)
    assert json.loads(content)["schema"] == "langcache.bench/1"


def test_arrow_keys_read_the_run_step_by_step_and_a_button_changes_the_path(tab, reports):
    tab.open(reports[0].as_uri())
    tab.run("document.getElementById('over').focus()")
    press = "document.getElementById('over').dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowLeft'}))"
    tab.run(press)
    assert "turn 5" in tab.run("document.getElementById('tip').textContent")
    tab.run(
        "[...document.querySelectorAll('#over-paths button')].find((b) => b.textContent === 'miss').click()"
    )
    assert tab.run("document.querySelector('#over-paths [aria-pressed=true]').textContent") == "miss"
    assert "miss" in tab.run("document.getElementById('over').getAttribute('aria-label')")
    assert not tab.messages


def test_markup_cannot_be_made_from_text_and_a_foreign_script_does_not_run(tab, reports, tmp_path):
    path = tmp_path / "changed.html"
    text = reports[0].read_text("utf-8")
    path.write_text(text.replace("</main>", "</main><script>document.title = 'foreign'</script>"))
    tab.open(path.as_uri())
    assert tab.run("document.title") == "langcache bench"
    assert any("Content Security Policy" in message for message in tab.messages)
    refused = "(() => { try { document.body.innerHTML = '<b>'; return ''; } catch (e) { return e.name; } })()"
    assert tab.run(refused) == "TypeError"
