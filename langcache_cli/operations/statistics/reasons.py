"""What explains a low hit rate: the misses by cause, and other numbers that are not 0."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from langcache_cli.caching.tooling import Label, Numbers
from langcache_cli.operations.overview.census import OTHERS, Census
from langcache_cli.operations.statistics.miss_causes import MISSES
from langcache_cli.operations.statistics.stored_entries import (
    keys_differ,
    keys_of_function,
    never_hit,
    stored_misses,
)
from langcache_cli.readable import number_of, type_option

OTHERS_THAN_MISSES: Final = {
    "bypassed": ("bypassed", "Redis could not be used, so the function ran"),
    "invalidated": ("invalidated keys", "keys that their function's invalidate() removed"),
}
"""The counters of what is no miss itself, and makes the cache less useful."""

REMOVED: Final = {
    "cleared_keys": ("cleared keys", "keys removed by pattern, by type, at a commit, or by the command"),
    "invalidated_tags": ("invalidated tags", "what has such a tag is a miss at its next call"),
}
"""The same, of all types together."""

NEVER_HIT: Final = (
    "stored and never hit",
    "no call asked for the entry before it ended or was removed",
)
NOT_THERE: Final = (
    "no entry",
    "the first call for a key, or its entry had ended, was removed or evicted",
)
EVICTED: Final = ("evicted keys", "Redis removed keys because its memory was full")

COMMANDS: Final = {
    "outdated": "langcache keys list {type_option}",
    "joined": "langcache warm",
    "load_errors": "langcache stats {type_option}",
    "uncacheable": "langcache stats {type_option}",
    "declined": "langcache stats {type_option}",
    "too_large": "langcache stats {type_option}",
    "refused": "langcache stats --history",
    "unstored": "langcache doctor",
    "undecodable": "langcache stats {type_option}",
    "oversized": "langcache keys summary",
    "no_entry": "langcache types",
    "bypassed": "langcache check --roundtrip",
    "cleared_keys": "langcache dashboard",
    "evicted_keys": "langcache doctor",
}
"""What to type next."""

MOST_FUNCTIONS: Final = 3
"""So many are judged by the keys that are there."""

_BOOKKEEPING = re.compile(rb"([A-Za-z0-9_.-]{1,64})@(?:stats|tag|wait):")


@dataclass(frozen=True, slots=True)
class Reason:
    """One line.

    Attributes:
        name: For scripts.
        title: For people.
        meaning: What one count is, without a full stop.
        count: How many; never 0.
        parts: The counts by cache type, largest first.
        is_cause: True for a cause of misses, False for what lowers the use of the cache beside them.
        miss_ratio: The share of all misses; None if it is no share of them.
        command: What to type to see more; empty for nothing.
        estimate: What the keys that are there now say about it, as a sentence; empty for nothing.
    """

    name: str
    title: str
    meaning: str
    count: int
    parts: Mapping[str, int] = field(default_factory=dict)
    is_cause: bool = False
    miss_ratio: float | None = None
    command: str = ""
    estimate: str = ""


def reasons(
    functions: Mapping[Label, Numbers],
    keys: Mapping[Label, int],
    *,
    of_all: Numbers,
    evicted: tuple[int, str],
) -> Iterator[Reason]:
    """What explains the hit rate of some functions: the causes of misses, most frequent first, then the rest.

    Args:
        functions: The counters of the functions that are looked at.
        keys: How many keys each of these has in Redis.
        of_all: The counters that belong to no function.
        evicted: How many keys the server evicted, and since when, such as ``since Redis started``.
    """
    misses = sum(numbers["misses"] for numbers in functions.values())
    by_functions = sum(_counts("invalidated", functions).values())
    removed = Removed(of_all["cleared_keys"] + by_functions, evicted[0])
    causes = [
        *(_reason(name, *MISSES[name], _counts(name, functions), misses) for name in MISSES),
        *_stored(functions, keys, misses, removed),
    ]
    yield from sorted((one for one in causes if one.count), key=lambda one: -one.count)
    for name, (title, meaning) in OTHERS_THAN_MISSES.items():
        reason = _reason(name, title, meaning, _counts(name, functions))
        if reason.count:
            yield reason
    for name, (title, meaning) in REMOVED.items():
        if of_all[name]:
            yield Reason(
                name, title, f"{meaning} (of all types)", of_all[name], command=COMMANDS.get(name, "")
            )
    count, since = evicted
    if count:
        title, meaning = EVICTED
        yield Reason("evicted_keys", title, f"{meaning} ({since})", count, command=COMMANDS["evicted_keys"])


def _counts(name: str, functions: Mapping[Label, Numbers]) -> Mapping[Label, int]:
    return {label: numbers[name] for label, numbers in functions.items()}


@dataclass(frozen=True, slots=True)
class Removed:
    """What was removed in the window, of all types.

    Attributes:
        keys: By function, pattern, type, at a commit, or by the command.
        evicted: Keys that the server evicted.
    """

    keys: int = 0
    evicted: int = 0


def _stored(
    functions: Mapping[Label, Numbers], keys: Mapping[Label, int], misses: int, removed: Removed
) -> Iterator[Reason]:
    """The misses that stored an entry."""
    stored = {label: stored_misses(numbers) for label, numbers in functions.items()}
    unused = {label: 0 if label.is_plain else never_hit(numbers) for label, numbers in functions.items()}
    rest = {label: stored[label] - unused[label] for label in stored}
    if total := sum(unused.values()):
        worst, *others = sorted(unused, key=lambda label: -unused[label])
        shown = [worst, *(label for label in others[: MOST_FUNCTIONS - 1] if unused[label] > total / 10)]
        differ = [label for label in shown if keys_differ(functions[label], keys.get(label, 0))]
        words = [
            f"the keys of {_name(label)} differ from call to call"
            if label in differ
            else f"{keys.get(label, 0):,} of {stored[label]:,} entries of {_name(label)} are there"
            for label in shown
        ]
        why, command = _why_gone(removed)
        estimate = f"Estimated from the keys that are there now: {'; '.join(words)}."
        reason = _reason("never_hit", *NEVER_HIT, unused, misses)
        yield replace(
            reason,
            command=keys_of_function(worst) if worst in differ else command,
            estimate=estimate if len(differ) == len(shown) else f"{estimate} {why}",
        )
    yield _reason("no_entry", *NOT_THERE, rest, misses)


def _why_gone(removed: Removed) -> tuple[str, str]:
    """Why entries are not there, most likely, and what to type."""
    if removed.evicted:
        return "The others were most likely evicted: Redis has too little memory.", COMMANDS["evicted_keys"]
    if removed.keys:
        return (
            f"The others were most likely invalidated ({number_of(removed.keys, 'key')}): a longer TTL does "
            "not help; invalidate fewer keys."
        ), "langcache keys explain --help"
    return "The others have ended, or were stored again.", COMMANDS["no_entry"]


def _name(label: Label) -> str:
    return f"{label.prefix}:{label.function}"


def _reason(
    name: str, title: str, meaning: str, counts: Mapping[Label, int], misses: int | None = None
) -> Reason:
    parts = Counter[str]()
    for label, count in counts.items():
        if count:
            parts[label.type] += count
    total = parts.total()
    # loads fail beside misses, too: those of refreshes and of calls past the cache
    ratio = total / misses if misses and total <= misses else None
    by_type = dict(parts.most_common())
    command = COMMANDS.get(name, "").format(type_option=type_option(*list(by_type)[:1]))
    return Reason(name, title, meaning, total, by_type, misses is not None, ratio, command)


@dataclass(frozen=True, slots=True)
class OtherKeys:
    """Keys of the database that are not of the namespace.

    Attributes:
        keys: How many.
        namespaces: Those that are entries of other namespaces of langcache, by namespace.
        is_estimate: True if only some keys were looked at.
    """

    keys: int = 0
    namespaces: Mapping[str, int] = field(default_factory=dict)
    is_estimate: bool = False


def other_keys(census: Census) -> OtherKeys:
    """The keys beside the namespace and what it keeps beside its entries (tags, statistics).

    A namespace is known by its bookkeeping: a prefix may be that of any application.
    """
    by_first_word: dict[bytes, float] = {}
    found: set[bytes] = set()
    total = 0.0
    for sample in census.samples:
        weight = sample.keys / len(sample.seen) if sample.seen else 0.0
        for one in sample.seen:
            if one.type == OTHERS:
                total += weight
                if match := _BOOKKEEPING.match(one.key):
                    found.add(match[1])
                else:
                    name = one.key.partition(b":")[0]
                    by_first_word[name] = by_first_word.get(name, 0.0) + weight
    namespaces = {name.decode(): round(by_first_word[name]) for name in sorted(found & by_first_word.keys())}
    return OtherKeys(round(total), namespaces, not census.exact)
