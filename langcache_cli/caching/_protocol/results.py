"""Errors among the results of a step, and which right is missing for a command inside its script."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from langcache_cli.caching._config.rights import rights_to
from langcache_cli.caching._errors import CacheError, ServerReplyError

_CALL: Final = re.compile(r"redis\.p?call\('([A-Z]+)'")
_LINE: Final = re.compile(r"@user_script: ?(\d+)")


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


def name_missing_rights(source: str, results: Iterable[Any]) -> None:
    """Add to each refusal among the results of a script the rights to grant: Redis before 7.2 names none.

    They are that of the line which Redis names, or of all commands of the script if it names none.
    """
    for result in results:
        if isinstance(result, ServerReplyError) and result.code == "NOPERM" and not result.rights:
            result.rights = _rights(source.splitlines(), _LINE.findall(result.reply))


def _rights(lines: Sequence[str], places: Sequence[str]) -> tuple[str, ...]:
    at_line = lines[int(places[-1]) - 1 : int(places[-1])] if places else []
    called = _CALL.findall("\n".join(at_line)) or _CALL.findall("\n".join(lines))
    return tuple(dict.fromkeys(right for command in called for right in rights_to(command)))
