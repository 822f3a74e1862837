"""What the cache did for a request, as a ``Server-Timing`` header, which browsers show beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from langcache_cli.caching import Cache, CallRecord, get_default_cache

MAX_BYTES = 2048
"""Upper bound for the header: proxies limit all headers together, often to 8 KB."""


class CacheTraceMiddleware:
    """Adds the cached calls of a request to its response, as ``cache;desc="get_word hit";dur=0.3``.

    ```python
    app.add_middleware(CacheTraceMiddleware, when=lambda scope: scope["app"].debug)
    ```

    These are the calls that ended before the response began, each with the name of its function, what it was
    (see `CallRecord`) and its milliseconds. Clients can read them. Calls of other requests take some
    microseconds more while a request is traced.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        cache: Cache | None = None,
        when: Callable[[Scope], bool] | None = None,
        keys: bool = False,
        max_entries: int = 20,
    ) -> None:
        """Wrap an ASGI application.

        Args:
            app: The application.
            cache: None for the default cache.
            when: Says of the scope of a request whether it is traced; None for every request.
            keys: Show keys, with the arguments of the calls, in the place of names.
            max_entries: More calls are one entry, with their number and the time of the longest.
        """
        self._app = app
        self._cache = cache
        self._when = when
        self._shows_keys = keys
        self._max_entries = max_entries

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or (self._when is not None and not self._when(scope)):
            await self._app(scope, receive, send)
            return
        with ExitStack() as stack:
            trace = stack.enter_context((self._cache or get_default_cache()).traced())

            async def send_timed(message: Message) -> None:
                if message["type"] == "http.response.start":
                    stack.close()  # a response may be streamed for hours
                    if trace:
                        message = {**message, "headers": [*message.get("headers", ()), self._header(trace)]}
                await send(message)

            await self._app(scope, receive, send_timed)

    def _header(self, trace: Sequence[CallRecord]) -> tuple[bytes, bytes]:
        entries: list[str] = []
        left = MAX_BYTES - len(
            _entry(f"{len(trace)} more", max((record.seconds for record in trace), default=0.0))
        )
        for record in trace[: self._max_entries]:
            name = quote(record.key if self._shows_keys else record.function, safe=":@,.()+=!/ ")
            entry = _entry(f"{name} {record.outcome}", record.seconds)
            left -= len(entry) + 2
            if left < 0:
                break
            entries.append(entry)
        if rest := trace[len(entries) :]:
            entries.append(_entry(f"{len(rest)} more", max(record.seconds for record in rest)))
        return b"server-timing", ", ".join(entries).encode("ascii")


def _entry(description: str, seconds: float) -> str:
    milliseconds: Any = round(1000 * seconds, 2)
    return f'cache;desc="{description}";dur={milliseconds}'
