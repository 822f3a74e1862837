"""axe-core finds nothing in the dashboard: `nox -s accessibility`, which installs it."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from langcache_cli.caching import Cache, CacheSettings
from tests.harness.cli import finish, start_cli
from tests.web.web_support import fill, use

AXE = os.environ.get("LANGCACHE_TEST_AXE")
RULES = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]
RUN = f"axe.run(document, {{ runOnly: {json.dumps(RULES)} }})"
VIOLATIONS = f"{RUN}.then((found) => found.violations.map((one) => [one.id, one.nodes.map((n) => n.html)]))"

pytestmark = pytest.mark.skipif(not AXE, reason="needs axe-core: nox -s accessibility")


async def calls(url: str) -> None:
    async with Cache(CacheSettings.load(env_file=None, redis_url=url)) as cache:
        await use(cache)


def test_axe_finds_nothing_light_or_dark_wide_or_narrow(page, one_redis):
    fill(one_redis)
    asyncio.run(calls(one_redis.url))
    process = start_cli("--json", "dashboard", env={"REDIS_URL": one_redis.url})
    url = json.loads(process.stdout.readline())["url"]
    try:
        page.send("Page.setBypassCSP", enabled=True)  # it is not a part of the page
        for scheme in ("light", "dark"):
            for width in (400, 768, 1280):
                page.size(width, scheme=scheme)
                page.open(url)
                page.until("document.querySelectorAll('#keys-list tr').length > 3")
                page.run("document.querySelector('.open').click()")
                page.run("document.querySelectorAll('details').forEach((one) => (one.open = true))")
                page.run(f"{Path(str(AXE)).read_text('utf-8')}; 0")
                assert page.run(VIOLATIONS) == []
                page.run("document.querySelector('#keys-list td.key button').click()")
                page.until("document.querySelector('#dialog dl') !== null")
                assert page.run(VIOLATIONS) == []
    finally:
        page.send("Page.setBypassCSP", enabled=False)
        process.terminate()
        finish(process)
