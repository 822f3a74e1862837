"""The document of the overview, ready to be sent as JSON.

Names carry their units. Counts and latencies are the cache's own, of all processes, over the window. Every
call is in exactly one of ``hits - stale``, ``stale``, ``joined``, ``misses - joined`` and ``bypassed``.
"""

from __future__ import annotations

from typing import Final, Literal

from typing_extensions import TypedDict  # typing's own cannot be part of a pydantic model before Python 3.12

SCHEMA: Final = "langcache.overview/1"

Status = Literal["healthy", "degraded", "unreachable", "disabled"]


class Summary(TypedDict):
    """The numbers of a function, a type, or everything.

    ``calls`` is ``hits + misses + bypassed``. ``hits`` has ``stale`` in it, ``misses`` has ``joined``.
    ``hit_ratio`` is ``hits / (hits + misses)``, ``answered_ratio`` ``hits / calls``; None without calls.
    Latencies are None where none was measured. ``saved_seconds``: the loads that ``hits`` and ``joined``
    spared, times what a load takes longer than a hit on average.
    """

    calls: int
    hits: int
    stale: int
    joined: int
    misses: int
    bypassed: int
    load_errors: int
    hit_ratio: float | None
    answered_ratio: float | None
    hit_p50_ms: float | None
    hit_p95_ms: float | None
    load_p50_ms: float | None
    load_p95_ms: float | None
    saved_seconds: float


class FunctionSummary(Summary):
    """One function. ``name`` is ``prefix:function``."""

    name: str


class TypeSummary(Summary):
    """One cache type. ``keys_error`` and ``bytes_error`` are half a 95 % interval; 0 if counted."""

    keys: int
    keys_error: int
    bytes: int
    bytes_error: int
    ttl_seconds: int
    functions: list[FunctionSummary]


class Previous(TypedDict):
    """The window of the same length before this one."""

    calls: int
    hit_ratio: float | None


class TypeSeries(TypedDict):
    """Counts of one type, one number for each step."""

    hits: list[int]
    stale: list[int]
    joined: list[int]
    misses: list[int]
    bypassed: list[int]
    load_errors: list[int]


class LatencySeries(TypedDict):
    """Latencies of all types together, one for each step; None where there was none."""

    hit_p50_ms: list[float | None]
    hit_p95_ms: list[float | None]
    load_p50_ms: list[float | None]
    load_p95_ms: list[float | None]


class Series(TypedDict):
    """Steps on the clock. ``at`` is the start of each, in seconds since 1970; the last one is running."""

    at: list[int]
    types: dict[str, TypeSeries]
    latency: LatencySeries


class Finding(TypedDict):
    """Something that is wrong: what, why it matters, and the command that explains or mends it."""

    level: Literal["bad", "warn"]
    title: str
    text: str
    command: str


class Ending(TypedDict):
    """Entries by when they end. ``until_seconds`` None: later than all, or never (``label`` says which)."""

    label: str
    until_seconds: int | None
    keys: int
    bytes: int


class OtherKeys(TypedDict):
    """Keys of the database that are no entries of this namespace."""

    keys: int
    bytes: int
    bytes_error: int


class Keyspace(TypedDict):
    """What is in the database.

    ``exact``: every key was counted; else ``sampled`` keys were looked at and the rest is estimated.
    ``own`` are counters, tags and events of the namespace, ``other`` the keys of other applications.
    ``problem`` says why nothing is known, such as a missing ACL rule, or what is left out; empty otherwise.
    """

    exact: bool
    sampled: int
    database_keys: int
    own: OtherKeys
    other: OtherKeys
    ends: list[Ending]
    problem: str


class Server(TypedDict):
    """What Redis reports about itself; of several nodes, added up."""

    product: str
    version: str
    used_memory_bytes: int
    max_memory_bytes: int
    eviction_policy: str
    connected_clients: int
    uptime_seconds: int
    database_keys: int
    keyspace_hits: int
    keyspace_misses: int
    evicted_keys: int


class Event(TypedDict):
    """What happened: ``clear``, ``warm``, ``outage``, ``overflow`` or ``start``.

    ``at`` is when it ended, in seconds since 1970. ``count`` are keys removed, entries stored, calls that
    went past the cache, invalidations that an outbox had no room for, or processes. ``seconds`` is how long
    it took or lasted, ``by`` who did it, and ``via`` with what: ``langcache``, ``http``, ``api``.
    """

    at: float
    what: str
    target: str
    count: int
    seconds: float
    by: str
    via: str


class HotKey(TypedDict):
    """A key that is asked for often; ``calls`` is estimated from one call in 64."""

    key: str
    type: str
    calls: int


class BigKey(TypedDict):
    """A key whose entry is large."""

    key: str
    type: str
    bytes: int


class Cost(TypedDict):
    """What collecting took."""

    wall_ms: float
    cpu_ms: float


class _Head(TypedDict):
    schema: str
    now: float
    target: str
    namespace: str
    env: str
    read_only: bool
    windows: list[str]
    window: str
    window_seconds: int
    step_seconds: int
    refresh_seconds: float
    status: Status
    error: str


class Overview(_Head, total=False):
    """The whole. Only what `_Head` has is there if ``status`` is ``unreachable`` or ``disabled``.

    ``numbers`` is False if the counters did not come: they are 0 then, and unknown. While nodes of a cluster
    are away, ``status`` is ``degraded``, and everything is about the others. ``hot`` covers at most the last
    day; it is empty if no key stands out, or if ``hot_problem`` says why nothing is known.
    """

    numbers: bool
    total: Summary
    previous: Previous | None
    findings: list[Finding]
    series: Series
    types: dict[str, TypeSummary]
    keyspace: Keyspace
    server: Server
    events: list[Event]
    hot: list[HotKey]
    hot_problem: str
    biggest: list[BigKey]
    cost: Cost
