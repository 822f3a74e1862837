"""The page in a real browser: at every width, with hostile keys, with other sites, and without Redis."""

import asyncio
import http.server
import json
import threading
import time
from contextlib import contextmanager

import pytest

from langcache_cli.caching import Cache, CacheSettings
from tests.harness.cli import finish, run_cli, start_cli
from tests.harness.polling import eventually
from tests.harness.redis_server import RedisServer
from tests.harness.web import uvicorn
from tests.web.web_support import ATTACK, FOREIGN, HOSTILE_KEYS, fill, held, use

BUTTON = "document.querySelector(\"[data-name='clear vocabulary']\")"
HAS_NUMBERS = (
    "document.querySelector('#answers svg') !== null && "
    f"document.querySelector('main.no-calls') === null && !{BUTTON}.disabled"
)

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def server():
    """A server of these tests, which one of them kills."""
    with RedisServer() as one:
        yield one


@pytest.fixture(scope="module")
def url(server):
    """The address that the command prints."""
    process = start_cli("--json", "--timeout", "1", "dashboard", env={"REDIS_URL": server.url})
    yield json.loads(process.stdout.readline())["url"]
    process.terminate()
    assert finish(process).code == 130


@pytest.fixture
def numbers(server):
    """Calls that were counted, and hostile keys."""
    server.flush()
    fill(server)

    async def ask() -> None:
        settings = CacheSettings.load(env_file=None, redis_url=server.url)
        async with Cache(settings) as cache:
            await use(cache)

    asyncio.run(ask())
    server.command("DEL", "cache:vocabulary:get_word:-1")  # the sign of a load that failed: ends in a second


def click(page, selector):
    """Click on the first element of a selector."""
    page.until(f"document.querySelector({json.dumps(selector)}) !== null")
    page.run(f"document.querySelector({json.dumps(selector)}).click()")


def opened(page, url, *, width=1280, scheme="light"):
    """Open the page and wait for numbers: at first they may be those of the test before, from 2 s ago."""
    page.size(width, scheme=scheme)
    page.open(url)
    eventually(lambda: page.run(HAS_NUMBERS) or refreshed(page), within=20, every=0.3)


def refreshed(page):
    """Pause and go on: the page asks at once."""
    click(page, "#live")
    click(page, "#live")


@pytest.mark.usefixtures("numbers")
def test_it_fits_every_width_says_nothing_and_asks_no_other_host(page, url):
    own = url.split("#")[0]
    for scheme in ("light", "dark"):
        for width in (400, 768, 1280):
            opened(page, url, width=width, scheme=scheme)
            page.until("document.querySelectorAll('#keys-list tr').length > 3")
            click(page, ".open")
            page.run("document.querySelectorAll('details').forEach((one) => (one.open = true))")
            page.until("document.querySelectorAll('details tbody tr').length > 1")
            assert page.run("document.documentElement.scrollWidth") == width
            assert page.run("document.querySelectorAll('#answers path, #latency path').length") > 3
            assert page.run("document.documentElement.dataset.theme") == scheme
            assert page.messages == []
            assert page.requests
            assert all(request.startswith(own) for request in page.requests)
            assert "token" not in page.run("location.href")
            assert not any("token" in request for request in page.requests)


def text_of(page, selector):
    return page.run(f"document.querySelector({json.dumps(selector)}).textContent")


@pytest.mark.usefixtures("numbers")
def test_the_numbers_are_those_of_the_command(page, url, server):
    opened(page, url)
    run = run_cli("stats", "--json", env={"REDIS_URL": server.url})
    total, words = run.document["total"], run.document["types"]["vocabulary"]
    assert f"{100 * total['hit_ratio']:.1f} %" in text_of(page, "#tiles")
    assert f"of {total['hits'] + total['misses']} calls" in text_of(page, "#verdict h1")
    row = page.run(
        "[...document.querySelectorAll('#types tbody tr')].find((r) => r.textContent.includes('vocabulary'))"
        ".innerText.split('\\t')"
    )
    cells = [cell.strip() for cell in row]
    assert cells[1] == str(words["hits"] + words["misses"])
    assert cells[2] == f"{100 * words['hit_ratio']:.1f} %"


@pytest.mark.usefixtures("numbers")
def test_what_stands_in_keys_and_values_is_shown_and_never_run(page, url, server):
    opened(page, url)
    page.until(f"document.querySelectorAll('#keys-list td.key button').length >= {len(HOSTILE_KEYS)}")
    shown = page.run("[...document.querySelectorAll('#keys-list td.key')].map((cell) => cell.textContent)")
    assert any(ATTACK in text for text in shown)
    assert any("<script>" in text for text in shown)
    assert any("\\u202eabc\\u2066" in text for text in shown)
    assert any("nul\\u0000byte" in text for text in shown)
    assert any("\\xff\\xfe invalid" in text for text in shown)
    removed = 0
    while page.run("document.querySelectorAll('#keys-list td.key button').length"):
        click(page, "#keys-list td.key button")
        page.until("document.querySelector('#dialog dl') !== null")
        assert ATTACK in text_of(page, "#dialog pre") or '"word ' in text_of(page, "#dialog pre")
        assert page.run("document.querySelector('#dialog').scrollWidth <= 620")
        click(page, "#dialog .danger")
        before = len(held(server))
        click(page, "#dialog .danger.go")
        page.until("!document.querySelector('#dialog').open")
        eventually(lambda count=before: len(held(server)) < count)
        removed += 1
        page.run("document.getElementById('find').requestSubmit()")
        left = len(held(server)) - 1
        page.until(f"document.querySelectorAll('#keys-list td.key').length === {left}")
    assert removed >= len(HOSTILE_KEYS)
    assert held(server) == {FOREIGN}
    assert page.run("document.title").endswith("langcache")
    assert page.messages == []
    refused = page.run("(() => { try { document.body.innerHTML = '<b>'; } catch (e) { return e.name; } })()")
    assert refused == "TypeError"


@pytest.mark.usefixtures("numbers")
def test_a_type_is_cleared_only_after_a_second_click(page, url, server):
    opened(page, url)
    before = held(server)
    click(page, "[data-name='clear vocabulary']")
    assert page.run("document.activeElement.textContent") == "Keep"
    click(page, "#dialog .quiet")
    click(page, "[data-name='clear vocabulary']")
    page.send("Input.dispatchKeyEvent", type="keyDown", key="Escape", windowsVirtualKeyCode=27)
    page.until("!document.querySelector('#dialog').open")
    assert held(server) == before
    click(page, "[data-name='clear vocabulary']")
    click(page, "#dialog .danger.go")
    page.until("document.querySelector('#note').textContent.includes('Removed')")
    assert held(server) == {key for key in before if not key.startswith(b"cache:vocabulary:")}
    page.until(f"{BUTTON}.disabled")


def test_a_rare_key_among_many_is_found_by_one_search(page, url, server):
    server.flush()
    script = "for i = 1, 200000 do redis.call('SET', 'cache:vocabulary:w:' .. i, 'v') end"
    server.command("EVAL", script, 0, timeout=30)
    page.size(1280)
    page.open(url)
    page.run("document.getElementById('find-text').value = 'w:177777'")
    page.run("document.getElementById('find').requestSubmit()")
    page.until("document.getElementById('keys-note').textContent.startsWith('all 1 that match')")
    assert text_of(page, "#keys-list td.key") == "cache:vocabulary:w:177777"
    server.flush()


@pytest.mark.usefixtures("numbers")
def test_the_keyboard_reads_a_chart_and_keeps_its_place_over_a_refresh(page, url):
    opened(page, url)
    page.run("document.querySelector('#answers').focus()")
    page.send("Input.dispatchKeyEvent", type="keyDown", key="ArrowLeft", windowsVirtualKeyCode=37)
    page.until("!document.querySelector('#tip').hidden")
    assert "hit rate" in text_of(page, "#tip")
    page.run("document.querySelector(\"[data-name='open vocabulary']\").focus()")
    page.run("document.querySelector('#types table').dataset.old = '1'")
    asked = len(page.requests)
    page.until("document.querySelector('#types table').dataset.old === undefined", within=20)
    assert len(page.requests) == asked + 1
    assert page.run("document.activeElement.dataset.name") == "open vocabulary"


@pytest.mark.usefixtures("numbers")
def test_a_redis_that_goes_and_comes_back_is_shown_and_does_not_pile_up_requests(page, url, server):
    opened(page, url)
    page.until("document.querySelectorAll('#keys-list tr').length > 3")
    server.kill()
    try:
        refreshed(page)
        page.until("document.querySelector('main').classList.contains('old')")
        assert "cannot be reached" in text_of(page, "#verdict h1")
        assert "the numbers of" in text_of(page, "#verdict p")
        assert "langcache redis start" in text_of(page, "#verdict")
        asked, began = len(page.requests), time.monotonic()
    finally:
        server.start()
    page.until("!document.querySelector('main').classList.contains('old')", within=30)
    assert len(page.requests) - asked <= 2 + (time.monotonic() - began) / 5
    assert page.messages == []


@contextmanager
def other_origin(content):
    """A page of another port of this machine: for cookies the same site."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(content.encode())

        def log_message(self, *_: object) -> None:
            pass

    evil = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=evil.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{evil.server_port}/"
    finally:
        evil.shutdown()
        thread.join()
        evil.server_close()


FORGERIES = """async (target) => {
  const all = { method: "POST", credentials: "include" };
  const body = JSON.stringify({ type: "vocabulary" });
  const ways = [
    { ...all, body, mode: "no-cors" },
    { ...all, body, mode: "no-cors", headers: { "Content-Type": "text/plain" } },
    { ...all, body, headers: { "Content-Type": "application/json", "X-Langcache": "1" } },
    { credentials: "include", mode: "no-cors" },
  ];
  return Promise.all(ways.map((way) => fetch(target, way).then((r) => r.type, () => "failed")));
}"""


@pytest.mark.usefixtures("numbers")
def test_mounted_it_works_under_the_applications_policy_and_other_sites_remove_nothing(page, server):
    with uvicorn("tests.web.mounted_app:app", workers=1, env={"REDIS_URL": server.url}) as application:
        page.size(1280)
        page.open(f"{application}/read/")  # no token yet
        assert "A token is needed" in text_of(page, "main")
        page.run("sessionStorage.setItem('langcache-token', 'admin')")
        page.open(f"{application}/read/#window=6h")
        page.until("document.querySelectorAll('#types tbody tr').length > 3")
        assert "read only" in text_of(page, "#target")
        assert page.run("document.querySelectorAll('.danger').length") == 0
        assert page.messages == []

        page.run("document.cookie = 'session=admin; path=/'; sessionStorage.clear()")
        page.open(f"{application}/admin/cache/")
        page.until("document.querySelector(\"[data-name='clear vocabulary']\") !== null")
        assert page.messages == []
        before = held(server)
        with other_origin("<!doctype html><body data-ready=1>") as evil:
            page.open(evil)
            answers = page.run(f"({FORGERIES})({json.dumps(f'{application}/admin/cache/api/clear')})")
            assert answers[2] == "failed"
        assert {key for key in before if key.startswith(b"cache:translation:")} <= held(server)
        assert HOSTILE_KEYS[-1] in held(server)
