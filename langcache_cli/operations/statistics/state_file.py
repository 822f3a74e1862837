"""What a run of ``stats --since-last`` leaves for the next one: the counters that it saw, as JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from langcache_cli.caching.tooling import Label

SCHEMA: Final = "langcache.stats-state/1"

Hours = Mapping[int, Mapping[Label, Mapping[str, int]]]
"""Counters by the start of the hour in which they were counted, in seconds since 1970."""


class StateError(Exception):
    """The file cannot be used; the message says why, without its path."""


@dataclass(frozen=True, slots=True)
class State:
    """What a run saw.

    Attributes:
        at: When, in seconds since 1970.
        target: Which Redis, without secrets.
        namespace: Whose counters.
        servers: The run id of each server, which changes with each start.
        evicted_keys: How many keys the servers had evicted since their start.
        hours: The counters of the latest hours.
    """

    at: float
    target: str
    namespace: str
    servers: frozenset[str]
    evicted_keys: int
    hours: Hours = field(repr=False)

    def text(self) -> str:
        """The content of the file."""
        hours = {
            str(start): {str(label): dict(counts) for label, counts in of_hour.items()}
            for start, of_hour in self.hours.items()
            if of_hour
        }
        document = {
            "schema": SCHEMA,
            "at_seconds": self.at,
            "target": self.target,
            "namespace": self.namespace,
            "servers": sorted(self.servers),
            "evicted_keys": self.evicted_keys,
            "hours": hours,
        }
        return json.dumps(document, ensure_ascii=False) + "\n"


def read_state(path: Path) -> State:
    """The state of the last run.

    Raises:
        StateError: There is none, or it is damaged.
        OSError: The file cannot be read.
    """
    try:
        document = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise StateError("does not exist yet") from None
    except ValueError:
        raise StateError("is damaged") from None
    try:
        state = _parsed(document)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise StateError("is damaged, or of another version of langcache") from None
    if state.at > time.time() + 60:
        raise StateError("is from the future: the clock was set back")
    return state


def _parsed(document: Any) -> State:
    if document["schema"] != SCHEMA:
        raise ValueError(document["schema"])
    hours = {
        int(start): {
            Label.parse(label): {str(name): _count(count) for name, count in counts.items()}
            for label, counts in of_hour.items()
        }
        for start, of_hour in document["hours"].items()
    }
    return State(
        at=float(document["at_seconds"]),
        target=str(document["target"]),
        namespace=str(document["namespace"]),
        servers=frozenset(map(str, document["servers"])),
        evicted_keys=_count(document["evicted_keys"]),
        hours=hours,
    )


def _count(value: object) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError(value)
    return value
