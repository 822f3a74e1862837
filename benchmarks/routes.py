"""A page of 250 words under load: what one uvicorn worker answers, with and without `cached_route`.

The ways take turns of a second or two in one run. Each of `CONNECTIONS` connections sends its next request
when it has the answer to the last one.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

import httpx

from benchmarks.rounds import percentile
from tests.harness.web import uvicorn

CONNECTIONS = 16
TURN_SECONDS = 1.5

COMPRESSED = "Accept-Encoding: zstd, deflate"

WAYS: Mapping[str, tuple[str, str]] = {
    "`cached`": ("/cached", ""),
    "no cache, and no database": ("/plain", ""),
    "`cached_route`, decompressed for the client": ("/route", ""),
    "`cached_route`, sent as stored": ("/route", COMPRESSED),
    "`cached_route`, from memory": ("/near", COMPRESSED),
    "`cached_route`, 304": ("/route", "If-None-Match: {tag}"),
}

Rows = dict[str, dict[str, float]]


async def under_load(redis_url: str, rounds: int) -> Rows:
    """Requests a second, their ratio to `cached`, and latencies, by way."""
    rates: dict[str, list[float]] = {way: [] for way in WAYS}
    latencies: dict[str, list[float]] = {way: [] for way in WAYS}
    with uvicorn("benchmarks.route_app:app", workers=1, env={"REDIS_URL": redis_url}) as url:
        tag = await _tag(url)
        for number in range(rounds + 1):
            for way, (path, header) in WAYS.items():
                found = await _turn(url, path, header.format(tag=tag))
                if number:  # the first round fills the cache
                    rates[way].append(len(found) / TURN_SECONDS)
                    latencies[way] += found
    base = rates[next(iter(WAYS))]
    return {
        way: {
            "requests/s": statistics.median(rates[way]),
            "ratio": statistics.median(one / other for one, other in zip(rates[way], base, strict=True)),
            "p50, ms": percentile(latencies[way], 50),
            "p99, ms": percentile(latencies[way], 99),
        }
        for way in WAYS
    }


async def _tag(url: str) -> str:
    async with httpx.AsyncClient(base_url=url) as client:
        return str((await client.get("/route")).headers["etag"])


async def _turn(url: str, path: str, header: str) -> list[float]:
    """The latencies of one turn, in ms."""
    found: list[float] = []
    ends = time.perf_counter() + TURN_SECONDS
    await asyncio.gather(*[_connection(url, path, header, ends, found) for _ in range(CONNECTIONS)])
    return found


async def _connection(url: str, path: str, header: str, ends: float, found: list[float]) -> None:
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    lines = [f"GET {path} HTTP/1.1", "Host: benchmark", *([header] if header else []), "", ""]
    request = "\r\n".join(lines).encode()
    while (started := time.perf_counter()) < ends:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        if length:
            await reader.readexactly(int(length))
        found.append(1000 * (time.perf_counter() - started))
    writer.close()
    await writer.wait_closed()
