"""From a stored body to the answer of one request."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from langcache_cli.caching.tooling import Answered, Body, decompress_in_portions
from langcache_cli.routes.negotiation import CODINGS, accepts
from langcache_cli.routes.note import Headers, Note, parse_note
from langcache_cli.routes.validators import is_known

RawHeaders = list[tuple[bytes, bytes]]

NOT_STORED = frozenset({"content-length", "set-cookie", "age", "x-cache"})


ADDED = frozenset({b"etag", b"cache-control", b"age", b"x-cache"})
"""Headers that an application may set in our place."""


class AnswerPolicy:
    """What the answers of one route tell clients."""

    def __init__(self, *, browser_ttl: float, public: bool, vary: tuple[str, ...]) -> None:
        """Take over the options of a route.

        Args:
            browser_ttl: Seconds that a client may use an answer without asking again; 0 to ask each time.
            public: True if shared caches may keep answers, too.
            vary: Names of request headers that answers depend on.
        """
        self.browser_ttl = browser_ttl
        self._names = vary
        self._scope = b"public" if public else b"private"
        self._ask_again = (b"cache-control", self._scope + b", no-cache")
        self._vary = {False: _vary(*vary), True: _vary("Accept-Encoding", *vary)}

    def private(self) -> AnswerPolicy:
        """The same for answers that shared caches must not keep."""
        return AnswerPolicy(browser_ttl=self.browser_ttl, public=False, vary=self._names)

    def beside(self, headers: tuple[str, ...], anything: bool) -> AnswerPolicy:
        """The same for a route with dependencies that may refuse a caller.

        Args:
            headers: The request headers that they read.
            anything: True if they take the whole request: a browser cannot know who may see an answer.
        """
        if not headers and not anything:
            return self
        vary = tuple(dict.fromkeys((*self._names, *headers))) if self.browser_ttl else self._names
        return AnswerPolicy(browser_ttl=0 if anything else self.browser_ttl, public=False, vary=vary)

    def cache_control(self, fresh_ms: int) -> tuple[bytes, bytes]:
        """The header ``Cache-Control``.

        Args:
            fresh_ms: How long the body is fresh in the cache; 0 or less for not at all.
        """
        if not self.browser_ttl:
            return self._ask_again
        seconds = int(min(self.browser_ttl, fresh_ms / 1000))
        return (
            (b"cache-control", b"%b, max-age=%d" % (self._scope, seconds)) if seconds > 0 else self._ask_again
        )

    def vary(self, *, compressed: bool) -> RawHeaders:
        """The header ``Vary``, if there has to be one."""
        return self._vary[compressed]


def _vary(*names: str) -> RawHeaders:
    return [(b"vary", ", ".join(names).encode("latin-1"))] if names else []


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
    headers, tag = _headers(note, body, found, policy, of_dependencies)
    if_none_match, accept_encoding = _asked(request)
    if if_none_match and is_known(if_none_match, tag):
        return StoredResponse(b"", [item for item in headers if item[0] != b"content-type"], status=304)
    content, compression = body.content, body.compression
    if compression:
        coding = CODINGS.get(compression, "")
        if coding and accepts(accept_encoding, coding):
            headers.append((b"content-encoding", coding.encode("ascii")))
        else:
            content = await decompress_in_portions(content, compression, max_bytes=max_bytes)
    headers.append((b"content-length", b"%d" % len(content)))
    return StoredResponse(content if request.method == "GET" else b"", headers)


def _headers(
    note: Note, body: Body, found: Answered, policy: AnswerPolicy, of_dependencies: RawHeaders
) -> tuple[RawHeaders, str]:
    """The headers of an answer but those of its content, and its entity tag."""
    if of_dependencies and any(name.lower() == b"set-cookie" for name, _ in of_dependencies):
        policy = policy.private()
    headers = [(b"x-cache", found.outcome.encode("ascii")), *note.headers]
    if not note.has_cache_control:
        headers.append(policy.cache_control(found.fresh_ms))
    if body.created_ms and not policy.browser_ttl:
        headers.append((b"age", b"%d" % (max(0, found.now_ms - body.created_ms) // 1000)))
    tag = note.tag
    if of_dependencies:  # theirs are kept
        own = {name.lower(): value for name, value in of_dependencies}
        headers = [item for item in headers if item[0] not in own or item[0] not in ADDED]
        tag = own.get(b"etag", tag.encode("latin-1")).decode("latin-1")
    return [*headers, *policy.vary(compressed=bool(body.compression)), *of_dependencies], tag


def _asked(request: Request) -> tuple[str, str]:
    """``If-None-Match`` and ``Accept-Encoding`` of a request, empty without; one pass over its headers."""
    if_none_match = accept_encoding = b""
    for name, value in request.scope["headers"]:
        if name == b"if-none-match":
            if_none_match += b"," + value
        elif name == b"accept-encoding":
            accept_encoding += b"," + value
    return if_none_match[1:].decode("latin-1"), accept_encoding[1:].decode("latin-1")


def storable_headers(raw: RawHeaders) -> Headers:
    """The headers of a response that are stored with its body."""
    texts = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in raw]
    return tuple(item for item in texts if item[0] not in NOT_STORED)
