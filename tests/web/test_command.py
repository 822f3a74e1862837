"""`langcache dashboard`: a page of this machine, behind a token, read only in production."""

import json
import signal
import subprocess
import sys
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.harness.cli import finish, run_cli, start_cli
from tests.web.web_support import FROM_PAGE, HOSTILE_KEYS, fill, held


@contextmanager
def started(url, *options, **env):
    """The command; yields its document and a client with the token of its address."""
    process = start_cli("--json", "dashboard", *options, env={"REDIS_URL": url, **env})
    try:
        document = json.loads(process.stdout.readline())
        address = urlsplit(document["url"])
        token = parse_qs(address.fragment)["token"][0]
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=f"http://{address.netloc}", headers=headers, trust_env=False) as client:
            yield document, client
    finally:
        process.send_signal(signal.SIGTERM)
        run = finish(process)
        assert run.code == 130, run
        assert token not in run.stderr
        assert "Traceback" not in run.stderr


def test_it_serves_the_page_and_ends_by_a_signal(one_redis):
    fill(one_redis)
    with started(one_redis.url, "--window", "6h") as (document, client):
        assert document["schema"] == "langcache.dashboard/1"
        assert document["url"].startswith("http://127.0.0.1:")
        assert parse_qs(urlsplit(document["url"]).fragment)["window"] == ["6h"]
        assert len(parse_qs(urlsplit(document["url"]).fragment)["token"][0]) >= 43
        assert "langcache" in client.get("/").text
        assert client.get("/api/overview").json()["status"] == "healthy"
        assert client.get("/api/overview", headers={"Authorization": ""}).status_code == 401
        assert client.get("/", headers={"Host": "evil.example"}).status_code == 421
        answer = client.post("/api/clear", json={"type": "vocabulary"}, headers=FROM_PAGE)
        assert answer.json()["removed"] == 4


def test_in_production_it_is_read_only_and_without_redis_it_starts_all_the_same(own_redis):
    server = own_redis()
    server.kill()
    with started(server.url, LANGCACHE_ENV="prod") as (document, client):
        assert document["read_only"] is True
        overview = client.get("/api/overview").json()
        assert (overview["status"], overview["read_only"], overview["env"]) == ("unreachable", True, "prod")
        server.start()
        fill(server)
        answer = client.post("/api/clear", json={"type": "vocabulary"}, headers=FROM_PAGE)
        assert answer.status_code == 404
        assert held(server) >= set(HOSTILE_KEYS)


def test_mistakes_are_named():
    taken = httpx.URL("http://127.0.0.1:1")
    assert taken.port == 1
    run = run_cli("dashboard", "--window", "5m")
    assert run.code == 2
    assert "--window" in run.stderr


@pytest.mark.parametrize("name", ["starlette", "uvicorn"])
def test_what_is_not_installed_is_named_with_the_command_that_installs_it(name):
    code = f"import sys; sys.modules[{name!r}] = None; sys.argv = ['langcache', 'dashboard']"
    program = f"{code}; from langcache_cli.__main__ import main; sys.exit(main())"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert run.returncode == 78
    assert f"needs {name}" in run.stderr
    assert "Install it: pip install " in run.stderr
    assert "[dashboard]" in run.stderr
