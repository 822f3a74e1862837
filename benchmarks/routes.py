"""A route of 250 words under load: requests a second, p50 and p99, of one uvicorn worker.

The ways take turns of a few seconds in one run, with as many connections as `CONNECTIONS`; each connection
sends its next request when it has the answer.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

Measured = Any
from tests.harness.web import uvicorn

CONNECTIONS = 16
TURN_SECONDS = 1.5

WAYS: Mapping[str, tuple[str, str]] = {
    "`cached`": ("/cached", "identity"),
    "no cache": ("/plain", "identity"),
    "`cached_route`, sent uncompressed": ("/route", "identity"),
    "`cached_route`, sent as stored": ("/route", "zstd, deflate"),
    "`cached_route`, in memory": ("/near", "zstd, deflate"),
    "`cached_route`, 304": ("/route", "conditional"),
}


async def under_load(redis_url: str, rounds: int) -> dict[str, Measured]:
    """Requests a second, and the 50th and 99th percentile in ms, by way."""
    env = {"REDIS_URL": redis_url}
    rates: dict[str, list[float]] = {way: [] for way in WAYS}
    latencies: dict[str, list[float]] = {way: [] for way in WAYS}
    with uvicorn("benchmarks.route_app:app", workers=1, env=env) as url:
        tag = await _tag(url)
        for number in range(rounds + 1):
            for way, (path, accepted) in WAYS.items():
                found = await _turn(
                    url,
                    path,
                    {"conditional": f"If-None-Match: {tag}"}.get(accepted, f"Accept-Encoding: {accepted}"),
                )
                if number:  # the first round fills the cache
                    rates[way].append(len(found) / TURN_SECONDS)
                    latencies[way] += found
    p50 = {way: statistics.median(found) for way, found in latencies.items()}
    p99 = {way: statistics.quantiles(found, n=100)[98] for way, found in latencies.items()}
    return {"rates": rates, "p50": p50, "p99": p99}


async def _tag(url: str) -> str:
    import httpx

    async with httpx.AsyncClient(base_url=url) as client:
        return (await client.get("/route")).headers["etag"]


async def _turn(url: str, path: str, header: str) -> list[float]:
    """The latencies of one turn, in ms."""
    found: list[float] = []
    ends = time.perf_counter() + TURN_SECONDS
    await asyncio.gather(*[_connection(url, path, header, ends, found) for _ in range(CONNECTIONS)])
    return found


async def _connection(url: str, path: str, header: str, ends: float, found: list[float]) -> None:
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    request = f"GET {path} HTTP/1.1\r\nHost: benchmark\r\n{header}\r\n\r\n".encode()
    while (started := time.perf_counter()) < ends:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        if length:
            await reader.readexactly(int(length))
        found.append(1000 * (time.perf_counter() - started))
    writer.close()
    await writer.wait_closed()
