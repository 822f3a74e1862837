"""Who may read and who may remove: the token, the host, other sites, a page that is read only."""

import json

import pytest

from tests.web.web_support import BEARER, FROM_PAGE, HOSTILE_KEYS, PORT, dashboard, fill, held

GETS = ("/api/overview", "/api/keys", "/api/key?key=cache%3Av%3Af%3A1")
CLEAR = json.dumps({"type": "vocabulary"})


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer wrong", "Basic the-token", "Bearer the-token\xff"])
async def test_without_the_token_there_is_no_data(cache, one_redis, given):
    fill(one_redis)
    async with dashboard(cache) as client:
        headers = {"Authorization": given.encode("latin-1")}
        for path in GETS:
            answer = await client.get(path, headers=headers)
            assert answer.status_code == 401
            assert answer.json() == {"error": "a token is needed"}
        answer = await client.post("/api/clear", content=CLEAR, headers={**FROM_PAGE, **headers})
        assert answer.status_code == 401
    assert held(one_redis) >= set(HOSTILE_KEYS)


@pytest.mark.parametrize("host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:1", ""])
async def test_another_host_is_refused(cache, host):
    async with dashboard(cache) as client:
        for path in ("/", "/dashboard.js", *GETS):
            answer = await client.get(path, headers={"Host": host})
            assert answer.status_code == 421
            assert "cache" not in answer.text


@pytest.mark.parametrize(
    "host", [f"127.0.0.1:{PORT}", f"localhost:{PORT}", f"[::1]:{PORT}", f"LOCALHOST:{PORT}"]
)
async def test_names_of_this_machine_are_not(cache, host):
    async with dashboard(cache) as client:
        assert (await client.get("/", headers={"Host": host})).status_code == 200


OTHER_SITES = {
    "a form": {"Content-Type": "application/x-www-form-urlencoded"},
    "text": {**FROM_PAGE, "Content-Type": "text/plain"},
    "no mark": {"Content-Type": "application/json"},
    "another mark": {**FROM_PAGE, "X-Langcache": "yes"},
    "cross-site": {**FROM_PAGE, "Sec-Fetch-Site": "cross-site"},
    "same site, another port": {**FROM_PAGE, "Sec-Fetch-Site": "same-site"},
    "typed into the address bar": {**FROM_PAGE, "Sec-Fetch-Site": "none"},
    "another origin": {**FROM_PAGE, "Origin": "http://127.0.0.1:1"},
    "no origin": {**FROM_PAGE, "Origin": "null"},
}


@pytest.mark.parametrize("headers", OTHER_SITES.values(), ids=OTHER_SITES)
async def test_what_another_site_sends_removes_nothing(cache, one_redis, headers):
    fill(one_redis)
    before = held(one_redis)
    async with dashboard(cache) as client:
        answer = await client.post("/api/clear", content=CLEAR, headers=headers)
        assert answer.status_code == 403
        assert (await client.get("/api/clear")).status_code == 405
    assert held(one_redis) == before


@pytest.mark.parametrize(
    "headers", [{}, {"Sec-Fetch-Site": "same-origin"}, {"Origin": f"http://127.0.0.1:{PORT}"}]
)
async def test_what_the_page_sends_does(cache, one_redis, headers):
    fill(one_redis)
    async with dashboard(cache) as client:
        answer = await client.post("/api/clear", content=CLEAR, headers={**FROM_PAGE, **headers})
    assert answer.status_code == 200
    assert answer.json()["removed"] == sum(key.startswith(b"cache:vocabulary:") for key in HOSTILE_KEYS)


async def test_a_read_only_page_has_nothing_that_removes(cache, one_redis):
    fill(one_redis)
    async with dashboard(cache, read_only=True) as client:
        assert (await client.get("/api/overview")).json()["read_only"] is True
        for method in ("POST", "GET", "PUT", "DELETE"):
            answer = await client.request(method, "/api/clear", content=CLEAR, headers=FROM_PAGE)
            assert answer.status_code == 404
    assert held(one_redis) >= set(HOSTILE_KEYS)


BODIES = {
    "no json": "{",
    "nothing": "",
    "no object": "[]",
    "both": '{"type": "vocabulary", "key": "cache:a:b"}',
    "neither": "{}",
    "no text": '{"type": 1}',
    "unknown type": '{"type": "nonsense"}',
    "pattern as a type": '{"type": "*"}',
    "another namespace": '{"key": "others:key"}',
    "a namespace that begins alike": '{"key": "cache2:key"}',
    "another namespace by its bytes": '{"address": "others%3Akey"}',
    "a lone surrogate": '{"key": "cache:\\ud800"}',
    "deep": "[" * 50_000,
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_what_cannot_be_removed_is_422(cache, one_redis, body):
    fill(one_redis)
    before = held(one_redis)
    async with dashboard(cache) as client:
        answer = await client.post("/api/clear", content=body, headers=FROM_PAGE)
    assert answer.status_code == 422
    assert answer.json()["error"]
    assert held(one_redis) == before


async def test_a_long_body_is_not_read_to_its_end(cache):
    async with dashboard(cache) as client:
        answer = await client.post("/api/clear", content=b" " * 100_000, headers=FROM_PAGE)
    assert answer.status_code == 413


async def test_the_token_is_compared_whole(cache):
    async with dashboard(cache, token="the-token-and-more") as client:
        assert (await client.get("/api/keys", headers=BEARER)).status_code == 401
