"""Everything that is wrong with what a URL names, and with what it holds: for `doctor`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from langcache_cli.caching import CacheSettings
from langcache_cli.caching.tooling import RedisTarget, trial
from langcache_cli.operations.diagnosis import cluster_findings, cluster_settings, sentinel_findings
from langcache_cli.operations.diagnosis.cluster_facts import QUESTIONS_OF_DOCTOR, cluster_facts
from langcache_cli.operations.diagnosis.contents.look import NOT_SEEN, contents
from langcache_cli.operations.diagnosis.finding import Finding
from langcache_cli.operations.diagnosis.inspection import Inspection, sorted_by_severity
from langcache_cli.operations.diagnosis.node_row import NodeRow, cluster_rows, sentinel_rows, server_row
from langcache_cli.operations.diagnosis.sentinel_facts import sentinel_facts
from langcache_cli.operations.diagnosis.server import findings as server_findings
from langcache_cli.operations.diagnosis.server.lesser_rights import lesser_rights, lesser_trial
from langcache_cli.operations.diagnosis.server.second_look import second_look
from langcache_cli.operations.diagnosis.server.state import TIME, state
from langcache_cli.operations.diagnosis.server.unreachable import unreachable
from langcache_cli.operations.diagnosis.server_facts import INFO, Question, ServerFacts, ask_server

FIRST: Final = 0.6
"""Of the time, for what the servers say of themselves."""

_CLOSED: Final = {"right-missing", "cluster-behind-plain-url"}
"""Findings after which keys and counters cannot be looked at."""


async def diagnose(settings: CacheSettings, *, within: float) -> Inspection:
    """Everything that is wrong with Redis and what it holds, or may soon be. Nothing is written.

    Args:
        settings: The URL and the namespace.
        within: Seconds for everything.
    """
    ends = time.monotonic() + within
    asked = await _ask(settings, within)
    found = list(asked.findings)
    holders = [server for server in asked.holders if server.error is None]
    found += server_findings.memory(asked.holders, is_cluster=settings.target.kind == "cluster")
    full = {one.where for one in found if one.name == "memory-full"}
    found += [one for one in state(holders) if one.name != "memory-nearly-full" or one.where not in full]
    found += lesser_rights(holders, settings.namespace)
    if holders and not _CLOSED & {one.name for one in found}:
        seen = await contents(settings, holders, within=ends - time.monotonic())
        is_broken = any(one.severity == "error" for one in found)  # which says why keys cannot be seen
        found += [one for one in seen if one.name != NOT_SEEN or not is_broken]
    return Inspection(asked.rows(found), sorted_by_severity(found))


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the servers have said.

    Attributes:
        findings: About how they can be reached and whether they can be used.
        holders: The servers that hold entries.
        rows: Makes the rows of the nodes, given all findings.
    """

    findings: Sequence[Finding]
    holders: Sequence[ServerFacts]
    rows: Callable[[Sequence[Finding]], tuple[NodeRow, ...]]


async def _ask(settings: CacheSettings, within: float) -> _Asked:
    target = settings.target
    tried = trial(settings.namespace, is_cluster=target.kind == "cluster")
    questions = (*tried, TIME, *lesser_trial(settings.namespace))
    if target.kind == "cluster":
        return await _ask_cluster(target, tried, questions, within)
    if target.kind == "sentinel":
        service = await sentinel_facts(target, within=within * FIRST, questions=(INFO, *questions))
        found = [*sentinel_findings.state(service)]
        primaries = [] if service.primary is None else [service.primary]
        for primary in primaries:
            found += server_findings.unusable(primary, tried, is_behind_sentinel=True)
        return _Asked(found, primaries, partial(sentinel_rows, service))
    server = await ask_server(target.server, (INFO, *questions), within=within * FIRST)
    server = await second_look(server, within=within * (1 - FIRST))
    found = [*unreachable(server), *server_findings.unusable(server, tried)]
    return _Asked(found, [server], lambda found: (server_row(server, found),))


async def _ask_cluster(
    target: RedisTarget, tried: Sequence[Question], questions: Sequence[Question], within: float
) -> _Asked:
    cluster = await cluster_facts(target, within=within * FIRST, questions=(*QUESTIONS_OF_DOCTOR, *questions))
    if not cluster.nodes:
        probed = [second_look(seed, within=within * (1 - FIRST)) for seed in cluster.seeds]
        cluster = replace(cluster, seeds=tuple(await asyncio.gather(*probed)))
    found = [*cluster_findings.reachable(cluster), *cluster_findings.refused(cluster)]
    found += [*cluster_findings.state(cluster), *cluster_findings.strangers(cluster)]
    for node in cluster.primaries:
        found += server_findings.unusable(node.server, tried, is_cluster=True)
    found += [*cluster_settings.settings(cluster), *cluster_settings.open_slots(cluster)]
    return _Asked(found, [node.server for node in cluster.primaries], partial(cluster_rows, cluster))
