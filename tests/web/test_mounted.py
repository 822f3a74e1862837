"""The dashboard in an application: behind its own dependencies, below a prefix, under its own policy."""

import base64
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import Depends, FastAPI, Header, HTTPException, Request
from fastapi.security import APIKeyCookie, HTTPBasic, HTTPBasicCredentials

from langcache_cli.fastapi import cache_dashboard, cache_lifespan
from tests.web.web_support import FROM_PAGE, HOSTILE_KEYS, fill, held, use


def bearer(authorization: str = Header(default="")) -> None:
    if not authorization:
        raise HTTPException(401, "log in first")
    if authorization != "Bearer admin":
        raise HTTPException(403, "admins only")


def cookie(session: str | None = Depends(APIKeyCookie(name="session", auto_error=False))) -> None:
    if session != "admin":
        raise HTTPException(401, "log in first")


def basic(given: HTTPBasicCredentials = Depends(HTTPBasic())) -> None:  # noqa: B008 - FastAPI's way
    if given.password != "admin":
        raise HTTPException(401, "log in first", {"WWW-Authenticate": "Basic"})


WAYS = {
    "bearer": (bearer, {"Authorization": "Bearer admin"}, {"Authorization": "Bearer other"}),
    "cookie": (cookie, {"Cookie": "session=admin"}, {"Cookie": "session=other"}),
    "basic": (
        basic,
        {"Authorization": "Basic " + base64.b64encode(b"me:admin").decode()},
        {"Authorization": "Basic " + base64.b64encode(b"me:other").decode()},
    ),
}


@asynccontextmanager
async def mounted(cache, dependency, *, prefix="/admin/cache", root_path="", **options):
    app = FastAPI(lifespan=cache_lifespan(cache=cache))
    app.include_router(cache_dashboard(cache=cache, admin=[Depends(dependency)], **options), prefix=prefix)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app, root_path=root_path), base_url="http://app"
        ) as client,
    ):
        yield client


@pytest.mark.parametrize(("dependency", "good", "bad"), WAYS.values(), ids=WAYS)
async def test_files_are_open_and_data_is_behind_the_dependency(cache, one_redis, dependency, good, bad):
    fill(one_redis)
    before = held(one_redis)
    async with mounted(cache, dependency) as client:
        assert (await client.get("/admin/cache/")).status_code == 200
        assert (await client.get("/admin/cache/dashboard.js")).status_code == 200
        for headers in ({}, bad):
            for path in ("overview", "keys", "key?key=cache:v:x"):
                answer = await client.get(f"/admin/cache/api/{path}", headers=headers)
                assert answer.status_code in {401, 403}
            sent = {**FROM_PAGE, **headers}
            answer = await client.post("/admin/cache/api/clear", json={"type": "vocabulary"}, headers=sent)
            assert answer.status_code in {401, 403}
        assert held(one_redis) == before
        assert (await client.get("/admin/cache/api/overview", headers=good)).json()["status"] == "healthy"
        answer = await client.post(
            "/admin/cache/api/clear", json={"type": "vocabulary"}, headers={**FROM_PAGE, **good}
        )
        assert answer.json()["removed"] == 4
        forged = {**FROM_PAGE, **good, "Origin": "http://evil.example"}
        answer = await client.post("/admin/cache/api/clear", json={"type": "translation"}, headers=forged)
        assert answer.status_code == 403


@pytest.mark.parametrize(("prefix", "root_path"), [("", ""), ("/ops", ""), ("/ops/cache", "/behind/proxy")])
async def test_it_works_below_any_prefix_and_behind_a_root_path(cache, prefix, root_path):
    await use(cache)
    async with mounted(cache, cookie, prefix=prefix, root_path=root_path) as client:
        client.cookies.set("session", "admin")
        prefix = root_path + prefix
        page = await client.get(f"{prefix}/")
        assert 'src="dashboard.js"' in page.text  # relative: whatever stands before it
        assert (await client.get(f"{prefix}/api/overview")).json()["total"]["hits"] == 3
        if prefix:
            answer = await client.get(prefix)
            assert answer.status_code in {307, 308}
            assert answer.headers["location"].endswith(f"{prefix}/")


async def test_without_a_dependency_it_is_not_made(cache):
    with pytest.raises(ValueError, match="admin"):
        cache_dashboard(cache=cache, admin=[])
    with pytest.raises(TypeError):
        cache_dashboard(cache=cache)


async def test_read_only_has_no_route_that_removes(cache, one_redis):
    fill(one_redis)
    async with mounted(cache, cookie, read_only=True) as client:
        client.cookies.set("session", "admin")
        answer = await client.post("/admin/cache/api/clear", json={"type": "vocabulary"}, headers=FROM_PAGE)
        assert answer.status_code == 404
    assert held(one_redis) >= set(HOSTILE_KEYS)


async def test_production_may_clear_where_there_is_a_dependency(open_cache, one_redis):
    fill(one_redis)
    async with mounted(open_cache(env="prod"), cookie) as client:
        client.cookies.set("session", "admin")
        document = (await client.get("/admin/cache/api/overview")).json()
        assert (document["env"], document["read_only"]) == ("prod", False)
        answer = await client.post("/admin/cache/api/clear", json={"type": "vocabulary"}, headers=FROM_PAGE)
        assert answer.json()["removed"] == 4


async def test_the_log_says_who_removed_what(cache, one_redis, caplog):
    fill(one_redis)
    caplog.set_level("INFO", "langcache_cli.web")

    def who(request: Request) -> str:
        return f"admin {request.cookies['session']}"

    async with mounted(cache, cookie, actor=who) as client:
        client.cookies.set("session", "admin")
        await client.post("/admin/cache/api/clear", json={"type": "vocabulary"}, headers=FROM_PAGE)
    assert "admin admin removed type vocabulary: 4 keys" in caplog.text


async def test_an_invalidation_that_redis_does_not_confirm_is_202(open_cache, own_redis):
    server = own_redis()
    cache = open_cache(server.url, operation_timeout=0.25)
    async with mounted(cache, cookie) as client:
        client.cookies.set("session", "admin")
        assert (await client.get("/admin/cache/api/overview")).json()["status"] == "healthy"
        server.kill()
        answer = await client.post("/admin/cache/api/clear", json={"type": "vocabulary"}, headers=FROM_PAGE)
        assert answer.status_code == 202
        assert answer.json()["deferred"] is True
        server.start()
