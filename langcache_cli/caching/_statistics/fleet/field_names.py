"""The fields of the hashes of counters: four letters for the label, then a code for the counter.

``k3aZH`` counts the hits of the label whose id is ``k3aZ``; ``k3aZh17`` its hits in latency bucket 17, ``l``
stands for loads. In coarse tiers a bucket is two of the process', 17 stands for 33 and 34.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from zlib import crc32

from langcache_cli.caching._statistics.counter_table import COUNTERS
from langcache_cli.caching._statistics.counters import Counts
from langcache_cli.caching._statistics.labels import Label
from langcache_cli.caching._statistics.latency_buckets import BUCKETS, timing_name

ID_LENGTH = 4
LABELS_PER_PART = 5
"""A hash holds the numbers of about so many labels: up to 512 fields Redis keeps in a compact form."""

MAX_COUNT = 2**53
"""Larger numbers are damaged: no fleet counts so far, and JSON has no exact numbers beyond."""

LATE = b"~"
"""Before the minute, in a field that names a minute to which counts were added later."""

_CODES = {spec.name: spec.code for spec in COUNTERS.values()}
_NAMES = {code.encode(): name for name, code in _CODES.items()}
_TIMING = re.compile(r"(hit|load)_us\.([0-9]+)")
_TIMING_CODE = re.compile(rb"([hl])([0-9]{1,3})")


def id_of(label: Label, attempt: int = 0) -> str:
    """The letters that stand for a label; each ``attempt`` gives others, for one whose letters are taken."""
    digest = blake2b(f"{attempt or ''}{label}".encode(), digest_size=3).digest()
    return urlsafe_b64encode(digest).decode("ascii")


def parts_for(n_labels: int) -> int:
    """How many hashes the numbers of one time span are spread over: a power of two."""
    parts = 1
    while parts * LABELS_PER_PART < n_labels:
        parts *= 2
    return parts


def part_of(label_id: str, parts: int) -> int:
    """The hash of a label."""
    return crc32(label_id.encode()) % parts


def encoded(label_id: str, counts: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """The fields of one label in the finest tier, and their amounts."""
    for name, amount in counts.items():
        code = _CODES.get(name)
        if code is None:
            timing = _TIMING.fullmatch(name)
            if timing is None:
                raise ValueError(f"{name!r} is no counter: see the table of counters")
            code = f"{timing[1][0]}{timing[2]}"
        yield f"{label_id}{code}", amount


def coarse(fields: Iterable[tuple[str, int]]) -> dict[str, int]:
    """The same in a coarse tier: two latency buckets in one."""
    merged: dict[str, int] = {}
    for field, amount in fields:
        code = field[ID_LENGTH:]
        if code[1:]:
            field = f"{field[: ID_LENGTH + 1]}{(int(code[1:]) + 1) // 2}"  # noqa: PLW2901 - the same, wider
        merged[field] = merged.get(field, 0) + amount
    return merged


class FieldReader:
    """Turns fields back into counters, and keeps what it has learned."""

    def __init__(self, labels: Mapping[bytes, Label], *, is_coarse: bool) -> None:
        """Prepare.

        Args:
            labels: The label of each id.
            is_coarse: True for the fields of a coarse tier.
        """
        self._labels = labels
        self._is_coarse = is_coarse
        self._known: dict[bytes, tuple[Label, tuple[str, ...]] | None] = {}

    def counts(self, fields: Mapping[bytes, int]) -> dict[Label, Counts]:
        """The counters in fields, without those of unknown labels and those that a newer version counts."""
        known, counts = self._known, dict[Label, Counts]()
        for field, amount in fields.items():
            meaning = known[field] if field in known else self._learn(field)
            if meaning is None:
                continue
            label, names = meaning
            into = counts.get(label)
            if into is None:
                into = counts[label] = {}
            if len(names) == 1:
                into[names[0]] = into.get(names[0], 0) + amount
            else:  # one bucket stands for two
                into[names[0]] = into.get(names[0], 0) + amount // 2
                into[names[1]] = into.get(names[1], 0) + amount - amount // 2
        return counts

    def _learn(self, field: bytes) -> tuple[Label, tuple[str, ...]] | None:
        label, names = self._labels.get(field[:ID_LENGTH]), self._names(field[ID_LENGTH:])
        meaning = None if label is None or not names else (label, names)
        self._known[field] = meaning
        return meaning

    def _names(self, code: bytes) -> tuple[str, ...]:
        name = _NAMES.get(code)
        if name is not None:
            return (name,)
        timing = _TIMING_CODE.fullmatch(code)
        if timing is None:
            return ()
        what, bucket = "hit" if timing[1] == b"h" else "load", int(timing[2])
        is_two = self._is_coarse and bucket > 0
        buckets = (2 * bucket - 1, 2 * bucket) if is_two else (bucket,)
        return tuple(timing_name(what, number) for number in buckets if number < BUCKETS)


def add_fields(to: dict[bytes, int], reply: list[bytes]) -> bool:
    """Add the fields and amounts of a hash; False if some were damaged and left out."""
    whole = True
    get = to.get
    fields = iter(reply)
    for field, amount in zip(fields, fields, strict=True):
        try:
            number = int(amount)
        except ValueError:
            number = -1
        if 0 <= number <= MAX_COUNT:
            to[field] = get(field, 0) + number
        else:
            whole = False
    return whole
