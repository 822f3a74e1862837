"""A page of 250 words under load: what one uvicorn worker answers, with and without `cached_route`.

The ways take turns of a second or two in one run. Each of `CONNECTIONS` connections sends its next request
when it has the answer to the last one.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Mapping
from typing import cast
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
    lines = [f"GET {path} HTTP/1.1", "Host: benchmark", *([header] if header else []), "", ""]
    request = "\r\n".join(lines).encode()
    address = urlsplit(url)
    loop, ends = asyncio.get_running_loop(), time.perf_counter() + TURN_SECONDS
    clients = [_Client(request, ends, loop) for _ in range(CONNECTIONS)]
    for client in clients:
        await loop.create_connection(lambda client=client: client, address.hostname, address.port)
    await asyncio.gather(*[client.done for client in clients])
    return [one for client in clients for one in client.latencies_ms]


class _Client(asyncio.Protocol):
    """One connection. A protocol, as streams would take more time than the server that is measured."""

    def __init__(self, request: bytes, ends: float, loop: asyncio.AbstractEventLoop) -> None:
        self.latencies_ms: list[float] = []
        self.done: asyncio.Future[None] = loop.create_future()
        self._request = request
        self._ends = ends
        self._missing = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        """Wait for the whole answer, then send the next request."""
        if not self._missing:
            head, _, body = data.partition(b"\r\n\r\n")  # the head comes in one piece
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            self._missing = int(length or 0) - len(body)
        else:
            self._missing -= len(data)
        if self._missing:
            return
        self.latencies_ms.append(1000 * (time.perf_counter() - self._began))
        if time.perf_counter() < self._ends:
            self._send()
        else:
            self._transport.close()
            self.done.set_result(None)

    def _send(self) -> None:
        self._began = time.perf_counter()
        self._transport.write(self._request)
