"""What keeps other sites, and what is stored in keys and values, from acting through the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)

HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
"""Of every answer: files and data."""

FILE_HEADERS: Final = {**HEADERS, "Cache-Control": "no-cache"}
DATA_HEADERS: Final = {**HEADERS, "Cache-Control": "no-store"}

MARK: Final = "x-langcache"
"""A header that no form and no link of another site can set."""


def problem_of_post(headers: Mapping[str, str]) -> str:
    """Why a POST is refused: another site may have made the browser send it. Empty if it did not.

    Args:
        headers: Of the request; names in lower case.
    """
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return "the body must be application/json"
    if headers.get(MARK) != "1":
        return "the header X-Langcache: 1 is missing"
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        return "" if site == "same-origin" else "the request comes from another site"
    if origin is not None and origin.partition("://")[2].lower() != headers.get("host", "").lower():
        return "the request comes from another origin"
    return ""


def is_own_host(host: str, port: int) -> bool:
    """True if a ``Host`` header names this machine and port: else a name may have been pointed here."""
    return host.lower() in {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")}
