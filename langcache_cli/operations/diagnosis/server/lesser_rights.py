"""Findings about rights without which the cache works, and something besides it does not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from langcache_cli.operations.diagnosis.finding import Finding
from langcache_cli.operations.diagnosis.redis_cli import redis_cli
from langcache_cli.operations.diagnosis.server_facts import Question, ServerFacts

_NEAR: Final[tuple[Question, ...]] = (("HELLO",), ("CLIENT", "TRACKING", "OFF"))
_STATISTICS: Final[tuple[Question, ...]] = (
    ("XADD", "{key}", "NOMKSTREAM", "*", "absent", "absent"),
    ("XREVRANGE", "{key}", "+", "-", "COUNT", "1"),
    ("ZINCRBY", "{key}", "nothing", "absent"),
    ("ZREMRANGEBYRANK", "{key}", "0", "0"),
    ("ZREVRANGE", "{key}", "0", "0"),
    ("RANDOMKEY",),
    ("MEMORY", "USAGE", "{key}"),
    ("DBSIZE",),
)


def lesser_trial(namespace: str) -> list[Question]:
    """Commands that find out about these rights, on an absent key or with a wrong argument: no change."""
    return [*_NEAR, *_of_statistics(namespace)]


def lesser_rights(servers: Sequence[ServerFacts], namespace: str) -> Iterator[Finding]:
    """What cannot be done on servers that were asked `lesser_trial`; each right is named once for all."""
    answering = [server for server in servers if server.error is None]
    yield from _refused(
        answering,
        _NEAR,
        "near-cache-impossible",
        "Functions with local_ttl read every entry from Redis; all else works.",
        "Leave local_ttl out, or use a service that knows HELLO and CLIENT TRACKING.",
    )
    yield from _refused(
        answering,
        _of_statistics(namespace),
        "right-missing-statistics",
        "The cache works; the dashboard, watch, stats and keys do not show everything.",
        "Leave out what needs them, or use a service that knows these commands.",
        only_rights=True,
    )


def _of_statistics(namespace: str) -> list[Question]:
    key = f"{namespace}@stats:absent"
    return [tuple(word.format(key=key) for word in question) for question in _STATISTICS]


def _refused(
    servers: Sequence[ServerFacts],
    questions: Sequence[Question],
    name: str,
    why: str,
    otherwise: str,
    *,
    only_rights: bool = False,
) -> Iterator[Finding]:
    """One note for all commands that were refused."""
    refusals = [
        (server, question, error)
        for server in servers
        for question in questions
        if (error := server.refused(question)) and (error.code == "NOPERM" or not only_rights)
    ]
    if not refusals:
        return
    server, _, error = refusals[0]
    commands = dict.fromkeys(
        " ".join(question[:2] if question[0] in ("CLIENT", "MEMORY") else question[:1])
        for _, question, _ in refusals
    )
    rights = dict.fromkeys(right for *_, one in refusals for right in one.rights)
    grant = " ".join(("ACL SETUSER", server.address.acl_user.name, *rights))
    yield Finding(
        name,
        "note",
        f"{server.where} refuses {', '.join(commands)}: {error.reply}",
        why,
        redis_cli(server.address, grant) if rights else otherwise,
        tuple(dict.fromkeys(one.where for one, *_ in refusals)),
    )
