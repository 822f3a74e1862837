"""The slots of a Redis Cluster: where a key lies, who owns its slot, and where a redirect points to."""

from __future__ import annotations

from array import array
from binascii import crc_hqx
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, cast

from langcache_cli.caching._errors import ServerReplyError

SLOTS: Final = 16384
ALL_SLOTS: Final = (1 << SLOTS) - 1
"""A set of slots is a number whose bits they are; see `bits_of`."""

_UNOWNED: Final = 0xFFFF
_UNKNOWN_NAME: Final = "?"  # what a server says that prefers host names and was not told that of a node


def slot_of(key: bytes | str) -> int:
    """The slot of a key: CRC16 of it, or of what stands between its first ``{`` and the next ``}``."""
    if isinstance(key, str):
        key = key.encode()
    begin = key.find(b"{")
    if begin >= 0:
        end = key.find(b"}", begin + 1)
        if end > begin + 1:  # an empty tag is no tag
            key = key[begin + 1 : end]
    return crc_hqx(key, 0) & (SLOTS - 1)


def bits_of(slots: Iterable[int]) -> int:
    """A set of slots: bit ``n`` is set if slot ``n`` is in it."""
    octets = bytearray(SLOTS // 8)
    for slot in slots:
        octets[slot >> 3] |= 1 << (slot & 7)
    return int.from_bytes(octets, "little")


class NodeName(NamedTuple):
    """A node as the cluster names it.

    Attributes:
        host: Host name or address, as certificates of the cluster name it.
        port: The port to connect to; that of TLS if the connection that asked was encrypted.
        node_id: The node's own id, as ``CLUSTER MYID`` says it; empty if unknown, as in a redirect.
    """

    host: str
    port: int
    node_id: str = ""


class Redirect(NamedTuple):
    """Where a node sends a command that it did not execute.

    Attributes:
        kind: ``MOVED``: the slot has another owner. ``ASK``: only this command, after ``ASKING``.
        slot: The slot of the command's keys.
        host: The node to ask; None if the server does not know its name.
        port: Its port.
    """

    kind: Literal["MOVED", "ASK"]
    slot: int
    host: str | None
    port: int

    @classmethod
    def of(cls, error: ServerReplyError, asked_host: str) -> Redirect | None:
        """Parse an error reply; None if it is no redirect.

        Args:
            error: The reply, such as ``MOVED 3999 10.0.0.7:6379``.
            asked_host: The host that replied: a redirect without a host means that one.
        """
        words = str(error).split(" ")
        if words[0] not in ("MOVED", "ASK") or len(words) < len(("kind", "slot", "address")):
            return None
        host, _, port = words[2].rpartition(":")  # an IPv6 address has colons of its own
        if not (_is_number(words[1]) and int(words[1]) < SLOTS and _is_number(port)):
            return None
        name = None if host == _UNKNOWN_NAME else host.strip("[]") or asked_host
        return cls(cast("Literal['MOVED', 'ASK']", words[0]), int(words[1]), name, int(port))


@dataclass(frozen=True, slots=True)
class SlotMap:
    """Which primary owns which slot. Immutable; two maps are equal if they say the same.

    Attributes:
        primaries: The nodes that own at least one slot, sorted.
    """

    primaries: tuple[NodeName, ...]
    _owners: array[int] = field(repr=False)
    """For each slot the place of its owner in ``primaries``."""

    @classmethod
    def parse(cls, rows: object, asked_host: str) -> SlotMap:
        """Parse the reply to ``CLUSTER SLOTS``, of Redis 6.2 and newer, under RESP2 and RESP3.

        Args:
            rows: The reply.
            asked_host: The host that replied: nodes without a name are there.

        Raises:
            ValueError: It is not a reply to ``CLUSTER SLOTS``.
        """
        try:
            return cls._parsed(cast("Sequence[Any]", rows), asked_host)
        except (TypeError, ValueError, IndexError, AttributeError) as error:
            raise ValueError("the reply to CLUSTER SLOTS is malformed") from error

    @classmethod
    def _parsed(cls, rows: Sequence[Any], asked_host: str) -> SlotMap:
        owners: list[NodeName | None] = [None] * SLOTS
        known: dict[tuple[Any, ...], NodeName | None] = {}  # a fragmented cluster names a node in many rows
        for first, last, primary, *_ in rows:
            if not 0 <= first <= last < SLOTS:
                raise ValueError(f"slots {first} to {last}")
            address = tuple(primary[:3])
            name = known.get(address)
            if name is None:
                name = known[address] = _name(primary, asked_host)
            if first == last:
                owners[first] = name
            else:
                owners[first : last + 1] = [name] * (last + 1 - first)
        return cls._of(owners)

    @classmethod
    def _of(cls, owners: Sequence[NodeName | None]) -> SlotMap:
        primaries = tuple(sorted({owner for owner in owners if owner is not None}))
        places: dict[NodeName | None, int] = {name: place for place, name in enumerate(primaries)}
        places[None] = _UNOWNED
        return cls(primaries, array("H", map(places.__getitem__, owners)))

    def owner(self, slot: int) -> NodeName | None:
        """The primary that owns a slot; None if no node does, or its address is unknown."""
        place = self._owners[slot]
        return None if place == _UNOWNED else self.primaries[place]


def all_names(rows: Sequence[Any], asked_host: str) -> set[NodeName]:
    """The primaries and the replicas in a reply to ``CLUSTER SLOTS``; see `SlotMap.parse`."""
    found = (_name(node, asked_host) for row in rows for node in row[2:])
    return {name for name in found if name is not None}


def _name(words: Sequence[Any], asked_host: str) -> NodeName | None:
    """A node of a row; None if the server does not say where it is."""
    host, port, node_id = words[0], words[1], words[2] if len(words) > len(("host", "port")) else b""
    name = "" if host is None else host.decode()
    if name == _UNKNOWN_NAME:
        name = _metadata(words).get(b"ip", b"").decode()
        if not name:
            return None
    if not isinstance(port, int):
        raise TypeError("a port must be a number")
    return NodeName(name or asked_host, port, node_id.decode())


def _metadata(words: Sequence[Any]) -> Mapping[bytes, bytes]:
    """What Redis 7 adds to a node: a list of names and values, or under RESP3 a map."""
    found = words[3] if len(words) > len(("host", "port", "id")) else ()
    if isinstance(found, Mapping):
        return found
    return dict(zip(found[::2], found[1::2], strict=True))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
