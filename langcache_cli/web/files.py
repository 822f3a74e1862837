"""The files of the page. They hold no data, no name of the target, and no version."""

from __future__ import annotations

from functools import cache
from hashlib import blake2b
from importlib import resources
from typing import Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from langcache_cli.web.security import FILE_HEADERS

INDEX: Final = "index.html"

MEDIA_TYPES: Final = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}

FILES: Final = (
    INDEX,
    "actions.js",
    "cards.js",
    "charts.js",
    "dashboard.css",
    "dashboard.js",
    "format.js",
    "icon.svg",
    "keys.js",
    "page.js",
    "state.js",
    "tables.js",
)


class File(NamedTuple):
    """One file, and what identifies its content."""

    content: bytes
    etag: str
    media_type: str


@cache
def file(name: str) -> File:
    """One of `FILES`."""
    content = resources.files("langcache_cli.web").joinpath("static", name).read_bytes()
    media_type = MEDIA_TYPES[name[name.rindex(".") :]]
    return File(content, f'"{blake2b(content, digest_size=12).hexdigest()}"', media_type)


def answer(request: Request, name: str) -> Response:
    """Send a file, or say that the browser has it."""
    found = file(name)
    headers = {**FILE_HEADERS, "ETag": found.etag}
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if found.etag in known:
        return Response(status_code=304, headers=headers)
    return Response(found.content, media_type=found.media_type, headers=headers)
