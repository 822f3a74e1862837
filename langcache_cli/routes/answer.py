"""From a stored body to the answer of one request."""

from __future__ import annotations

from dataclasses import dataclass
from starlette.requests import Request
from starlette.responses import Response

from langcache_cli.caching.tooling import Answered, Body, decompress_in_portions
from langcache_cli.routes.negotiation import CODINGS, accepts
from langcache_cli.routes.note import Headers, Note
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
    note = Note.parse(body.note)
    own = dict(note.headers)
    headers = [*note.headers]
    tag = own.get("etag")
    if tag is None:
        tag = f'W/"{note.digest}"'
        headers.append(("etag", tag))
    if "cache-control" not in own:
        headers.append(("cache-control", policy.cache_control(found.fresh_ms / 1000)))
    if body.created_ms and not policy.browser_ttl:
        headers.append(("age", str(max(0, found.now_ms - body.created_ms) // 1000)))
    headers.append(("x-cache", found.outcome))
    content, coding = await _coded(body, request, max_bytes)
    vary = ", ".join([*(["Accept-Encoding"] if body.compression else []), *policy.vary])
    if vary:
        headers.append(("vary", vary))
    if is_known(request.headers.get("if-none-match", ""), tag):
        unsent = ("content-type", "content-encoding")
        return _response(b"", [item for item in headers if item[0] not in unsent], of_dependencies, status=304)
    headers += [("content-encoding", coding)] if coding else []
    headers.append(("content-length", str(len(content))))
    return _response(content if request.method == "GET" else b"", headers, of_dependencies)


async def _coded(body: Body, request: Request, max_bytes: int) -> tuple[bytes, str]:
    """The content as it is sent, and its content coding."""
    coding = CODINGS.get(body.compression, "")
    if coding and accepts(request.headers.get("accept-encoding", ""), coding):
        return body.content, coding
    return await decompress_in_portions(body.content, body.compression, max_bytes=max_bytes), ""


def _response(
    content: bytes, headers: list[tuple[str, str]], of_dependencies: RawHeaders, *, status: int = 200
) -> Response:
    response = Response(content, status_code=status)
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    response.raw_headers[:] = [*encoded, *of_dependencies]
    return response


def storable_headers(raw: RawHeaders) -> Headers:
    """The headers of a response that are stored with its body."""
    texts = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in raw]
    return tuple(item for item in texts if item[0] not in NOT_STORED)
