"""The endpoints of the dashboard, for the command and for an application that mounts it."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote_to_bytes

from starlette.requests import Request
from starlette.responses import Response

from langcache_cli.caching import Cache, CacheError, PatternError
from langcache_cli.caching.tooling import acting_as
from langcache_cli.operations.overview.collecting import WINDOWS, CacheOverview
from langcache_cli.operations.overview.document import BigKey, HotKey, Overview
from langcache_cli.operations.overview.entry import entry
from langcache_cli.operations.overview.key_text import key_at, readable, without_arguments
from langcache_cli.operations.overview.keys import find_keys
from langcache_cli.operations.overview.removing import Removed, remove_entry, remove_type
from langcache_cli.operations.overview.source import OverviewSource, SharedOverview
from langcache_cli.web.security import DATA_HEADERS, problem_of_post

logger = logging.getLogger(__name__)

MOST_BODY_BYTES = 64 * 1024

Actor = Callable[[Request], str]
"""Who sends a request, in words: for the log and for what is shown under "what happened"."""

Row = TypeVar("Row", HotKey, BigKey)

Endpoint = Callable[[Request], Awaitable[Response]]


def client_address(request: Request) -> str:
    """Who sends a request, where nothing better is known."""
    return request.client.host if request.client is not None else "unknown"


class RequestError(Exception):
    """The request cannot be answered.

    Attributes:
        status: The HTTP status.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Endpoints:
    """Answers with JSON, errors too: ``{"error": "..."}``."""

    def __init__(
        self,
        cache: Callable[[], Cache],
        *,
        source: OverviewSource | None = None,
        actor: Actor = client_address,
        read_only: bool = False,
        hide_arguments: bool = False,
    ) -> None:
        """Prepare.

        Args:
            cache: The cache; asked for with each request.
            source: Collects the overview; None collects from the cache.
            actor: Who removes something.
            read_only: Nothing can be removed: there is no such endpoint.
            hide_arguments: Keys are shown without the arguments of calls, and values not at all.
        """
        self._cache = cache
        self._source = source
        self._actor = actor
        self._read_only = read_only
        self._hide_arguments = hide_arguments
        self._shared: tuple[Cache | None, SharedOverview] | None = None

    @property
    def routes(self) -> Mapping[tuple[str, str], Endpoint]:
        """The endpoints by method and path below ``api/``."""
        always: dict[tuple[str, str], Endpoint] = {
            ("GET", "overview"): self._answering(self._overview),
            ("GET", "keys"): self._answering(self._keys),
        }
        if not self._hide_arguments:
            always["GET", "key"] = self._answering(self._key)
        if not self._read_only:
            always["POST", "clear"] = self._answering(self._clear)
        return always

    def _answering(self, work: Callable[[Request], Awaitable[tuple[int, Any]]]) -> Endpoint:
        async def answer(request: Request) -> Response:
            try:
                status, content = await work(request)
            except RequestError as error:
                status, content = error.status, {"error": str(error)}
            except PatternError as error:
                status, content = 422, {"error": str(error)}
            except CacheError as error:
                status, content = 503, {"error": str(error)}
            return json_response(content, status)

        return answer

    def _overviews(self) -> SharedOverview:
        cache = self._cache()
        if self._shared is None or self._shared[0] is not cache:
            source = self._source or CacheOverview(cache, read_only=self._read_only)
            self._shared = (cache, SharedOverview(source))
        return self._shared[1]

    async def _overview(self, request: Request) -> tuple[int, Overview]:
        window = _queried(request).get("window", "1h")
        if window not in WINDOWS:
            raise RequestError(422, f"window: one of {', '.join(WINDOWS)}")
        found = await self._overviews().collect(window)
        document: Overview = {**found, "read_only": self._read_only}
        if self._hide_arguments:
            document["hot"] = [_without_arguments(row) for row in document.get("hot", [])]
            document["biggest"] = [_without_arguments(row) for row in document.get("biggest", [])]
            document["events"] = [
                {**event, "target": without_arguments(event["target"])}
                for event in document.get("events", [])
            ]
        return 200, document

    async def _keys(self, request: Request) -> tuple[int, Any]:
        asked = _queried(request)
        page = await find_keys(
            self._cache(),
            text=asked.get("find", ""),
            type_name=asked.get("type", ""),
            cursor=asked.get("cursor", ""),
            hide_arguments=self._hide_arguments,
        )
        return 200, page

    async def _key(self, request: Request) -> tuple[int, Any]:
        # by hand: a key may have bytes that are no UTF-8, which parsers of query strings replace
        query = request.scope["query_string"].split(b"&")
        given = [part[4:].replace(b"+", b" ") for part in query if part.startswith(b"key=")]
        if len(given) != 1:
            raise RequestError(422, "key: one is needed")
        found = await entry(self._cache(), unquote_to_bytes(given[0]))
        if found is None:
            raise RequestError(404, "there is nothing under this key any more")
        return 200, found

    async def _clear(self, request: Request) -> tuple[int, Any]:
        problem = problem_of_post(request.headers)
        if problem:
            raise RequestError(403, problem)
        with acting_as(self._actor(request), via="http"):
            removed, what = await self._removed(await _posted(request))
        self._overviews().forget()
        logger.info("%s removed %s: %d keys", self._actor(request), what, removed.removed)
        return 202 if removed.deferred else 200, asdict(removed)

    async def _removed(self, posted: object) -> tuple[Removed, str]:
        match posted:
            case {"type": str(name), **rest} if not rest:
                return await self._clear_type(name), f"type {name}"
            case {"key": str(key), **rest} if not rest:
                return await self._remove(_encoded(key))
            case {"address": str(address), **rest} if not rest:
                return await self._remove(key_at(address))
            case _:
                raise RequestError(422, "give one of type, key and address, as text")

    async def _clear_type(self, name: str) -> Removed:
        cache = self._cache()
        if name not in cache.settings.types and not self._overviews().knows_type(name):
            raise RequestError(422, f"type: one of {', '.join(cache.settings.types)}")
        return await remove_type(cache, name)

    async def _remove(self, key: bytes) -> tuple[Removed, str]:
        if self._hide_arguments:
            raise RequestError(422, "keys are hidden: only types can be cleared")
        return await remove_entry(self._cache(), key), readable(key)


def _without_arguments(row: Row) -> Row:
    hidden = row.copy()
    hidden["key"] = without_arguments(row["key"])
    return hidden


def json_response(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer; ASCII, so that no text of users stands in it as it is."""
    body = json.dumps(content, allow_nan=False, separators=(",", ":"))
    sent = {**DATA_HEADERS, **(headers or {})}
    return Response(body, status, sent, media_type="application/json")


def _queried(request: Request) -> dict[str, str]:
    query = request.scope["query_string"].decode("latin-1")
    return dict(parse_qsl(query, keep_blank_values=True, errors="surrogateescape"))


async def _posted(request: Request) -> Any:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BODY_BYTES:
            raise RequestError(413, "the body is too long")
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise RequestError(422, "the body is no JSON") from None


def _encoded(key: str) -> bytes:
    try:
        return key.encode()
    except UnicodeEncodeError:
        raise RequestError(422, "key: not UTF-8; give its address") from None
