"""From a stored body to the answer of one request."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from langcache_cli.caching.tooling import Answered, Body, decompress_in_portions
from langcache_cli.routes.negotiation import CODINGS, accepts
from langcache_cli.routes.note import Headers, parse_note
from langcache_cli.routes.validators import is_known

RawHeaders = list[tuple[bytes, bytes]]

NOT_STORED = frozenset({"content-length", "set-cookie"})


@dataclass(frozen=True, slots=True)
class AnswerPolicy:
    """What the answers of one route tell clients.

    Attributes:
        browser_ttl: Seconds that a client may use an answer without asking again; 0 to ask each time.
        public: True if shared caches may keep answers, too.
        vary: Names of request headers that answers depend on.
    """

    browser_ttl: float
    public: bool
    vary: tuple[str, ...]

    def cache_control(self, fresh_seconds: float) -> str:
        """The value of ``Cache-Control``.

        Args:
            fresh_seconds: How long the body is fresh in the cache; 0 or less for not at all.
        """
        scope = "public" if self.public else "private"
        seconds = int(min(self.browser_ttl, fresh_seconds))
        return f"{scope}, max-age={seconds}" if seconds > 0 else f"{scope}, no-cache"


class StoredResponse(Response):
    """A response whose headers are complete."""

    def __init__(self, content: bytes, headers: RawHeaders, *, status: int = 200) -> None:
        self.status_code = status
        self.body = content
        self.raw_headers = headers
        self.background = None


async def answer(
    body: Body,
    found: Answered,
    request: Request,
    policy: AnswerPolicy,
    *,
    of_dependencies: RawHeaders,
    max_bytes: int,
) -> Response:
    """The response to a GET or HEAD request.

    Args:
        body: What is sent.
        found: How it was found.
        request: Whose answer it is.
        policy: Of the route.
        of_dependencies: Headers that the dependencies of this request have set.
        max_bytes: Upper bound for one decompressed body.

    Raises:
        UndecodableEntryError: The body has to be decompressed, and is damaged.
        ValueError: The note of the entry is damaged.
    """
    note = parse_note(body.note)
    headers = [*note.headers, (b"x-cache", found.outcome.encode("ascii"))]
    if not note.has_cache_control:
        headers.append((b"cache-control", policy.cache_control(found.fresh_ms / 1000).encode("ascii")))
    if body.created_ms and not policy.browser_ttl:
        headers.append((b"age", b"%d" % (max(0, found.now_ms - body.created_ms) // 1000)))
    if body.compression or policy.vary:
        vary = [*(["Accept-Encoding"] if body.compression else []), *policy.vary]
        headers.append((b"vary", ", ".join(vary).encode("latin-1")))
    headers += of_dependencies
    if is_known(request.headers.get("if-none-match", ""), note.tag):
        return StoredResponse(b"", [item for item in headers if item[0] != b"content-type"], status=304)
    content, coding = await _coded(body, request, max_bytes)
    if coding:
        headers.append((b"content-encoding", coding.encode("ascii")))
    headers.append((b"content-length", b"%d" % len(content)))
    return StoredResponse(content if request.method == "GET" else b"", headers)


async def _coded(body: Body, request: Request, max_bytes: int) -> tuple[bytes, str]:
    """The content as it is sent, and its content coding."""
    coding = CODINGS.get(body.compression, "")
    if coding and accepts(request.headers.get("accept-encoding", ""), coding):
        return body.content, coding
    return await decompress_in_portions(body.content, body.compression, max_bytes=max_bytes), ""


def storable_headers(raw: RawHeaders) -> Headers:
    """The headers of a response that are stored with its body."""
    texts = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in raw]
    return tuple(item for item in texts if item[0] not in NOT_STORED)
