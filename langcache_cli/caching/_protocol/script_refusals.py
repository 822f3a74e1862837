"""Which right is missing for a command inside a script: Redis before 7.2 does not name it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from langcache_cli.caching._config.rights import rights_to
from langcache_cli.caching._errors import ServerReplyError

_CALL: Final = re.compile(r"redis\.p?call\('([A-Z]+)'")
_LINE: Final = re.compile(r"@user_script: ?(\d+)")


def name_missing_rights(source: str, results: Iterable[Any]) -> None:
    """Add to each refusal among the results of a script the rights to grant.

    They are that of the line which Redis names, or of all commands of the script if it names none.
    """
    for result in results:
        if isinstance(result, ServerReplyError) and result.code == "NOPERM" and not result.rights:
            result.rights = _rights(source.splitlines(), _LINE.findall(result.reply))


def _rights(lines: Sequence[str], places: Sequence[str]) -> tuple[str, ...]:
    at_line = lines[int(places[-1]) - 1 : int(places[-1])] if places else []
    called = _CALL.findall("\n".join(at_line)) or _CALL.findall("\n".join(lines))
    return tuple(dict.fromkeys(right for command in called for right in rights_to(command)))
