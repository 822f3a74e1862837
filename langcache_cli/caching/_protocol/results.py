"""Errors among the results of a step."""

from __future__ import annotations

from typing import Any

from langcache_cli.caching._errors import CacheError, ServerReplyError


def raise_errors(replies: list[Any]) -> list[Any]:
    """The replies of a step, none of which is an error.

    Raises:
        CacheUnavailableError: The first that is: a node is away.
        ServerReplyError: The first that is: the server is full, read-only or failing.
    """
    for reply in replies:
        if isinstance(reply, CacheError):
            raise reply
    return replies


def raise_refusals(replies: list[Any]) -> list[Any]:
    """The replies of a step, or errors in the place of those of nodes that are away.

    Raises:
        ServerReplyError: The first that is one.
    """
    for reply in replies:
        if isinstance(reply, ServerReplyError):
            raise reply
    return replies
