"""An application with the dashboard behind a cookie, and behind a bearer token; its own policy is strict."""

import os

from fastapi import Depends, FastAPI, Header, HTTPException, Request
from fastapi.security import APIKeyCookie

from langcache_cli.caching import Cache, CacheSettings
from langcache_cli.fastapi import cache_dashboard, cache_lifespan, cache_router

cache = Cache(CacheSettings.load(env_file=None, redis_url=os.environ["REDIS_URL"]))


def cookie(session: str | None = Depends(APIKeyCookie(name="session", auto_error=False))) -> None:
    if session != "admin":
        raise HTTPException(401, "log in first")


def bearer(authorization: str = Header(default="")) -> None:
    if authorization != "Bearer admin":
        raise HTTPException(403 if authorization else 401, "admins only")


app = FastAPI(lifespan=cache_lifespan(cache=cache))
app.include_router(cache_router(cache=cache))
app.include_router(cache_dashboard(cache=cache, admin=[Depends(cookie)]), prefix="/admin/cache")
app.include_router(cache_dashboard(cache=cache, admin=[Depends(bearer)], read_only=True), prefix="/read")


@app.middleware("http")
async def strict(request: Request, call_next):
    """What a careful application adds to every answer."""
    response = await call_next(request)
    response.headers.append("Content-Security-Policy", "default-src 'self'; object-src 'none'")
    return response


@app.get("/login")
async def login() -> None:
    """Nothing: a page of this origin, for the test to set its cookie on."""
