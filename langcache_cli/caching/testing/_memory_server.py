"""An in-memory server with the part of Redis that the core uses."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from langcache_cli.caching._clock import new_id
from langcache_cli.caching._config.redis_address import RedisAddress
from langcache_cli.caching._errors import ServerReplyError
from langcache_cli.caching._protocol import header
from langcache_cli.caching._protocol.entry import Entry, Placeholder, parse
from langcache_cli.caching._protocol.scripts import STEPS, script
from langcache_cli.caching._wire.server_identity import ServerIdentity
from langcache_cli.caching.testing._glob import glob
from langcache_cli.caching.testing._memory_connection import MemoryConnection

Hash = dict[bytes, bytes]


@dataclass(slots=True)
class _Item:
    value: bytes | Hash
    expires_at_ms: int | None = None


class MemoryServer:
    """Executes commands on a dictionary; several connections may share it."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        """Start empty; keys expire by ``now_ms`` (milliseconds since 1970, UTC)."""
        self._now_ms = now_ms
        self.identity = ServerIdentity(new_id())
        self._items: dict[bytes, _Item] = {}
        self._scripts: dict[bytes, Callable[..., Any]] = {
            script(step).digest.encode(): getattr(self, f"_{step}") for step in STEPS
        }
        self._count_digest = script("count").digest.encode()
        self._commands: dict[bytes, Callable[..., Any]] = {
            b"PING": lambda: b"PONG",
            b"GET": self._get,
            b"MGET": lambda *keys: [self._get(key) for key in keys],
            b"SET": self._set_for,
            b"EXISTS": lambda *keys: sum(self._live(key) is not None for key in keys),
            b"UNLINK": lambda *keys: sum(self._remove(key) for key in keys),
            b"EVALSHA": self._run,
            b"SCAN": lambda *arguments: [b"0", self._matching(arguments[2])],
            b"DBSIZE": lambda: len(self._matching(b"*")),
            b"INFO": lambda: b"redis_version:memory\r\nmaxmemory_policy:noeviction\r\n",
            b"HINCRBY": self._increase,
            b"PTTL": self._time_to_live,
            b"PEXPIRE": lambda key, ttl_ms: self._expire(key, int(ttl_ms)),
            b"EXPIRE": lambda key, seconds: self._expire(key, 1000 * int(seconds)),
            b"HGETALL": self._fields,
        }

    async def connect(self, _: RedisAddress) -> MemoryConnection:
        """A connection to this server; the address is ignored."""
        return MemoryConnection(self.execute, self.identity)

    def execute(self, command: list[bytes]) -> Any:
        """The reply to one command; errors are returned, not raised."""
        name, *arguments = command
        known = self._commands.get(name)
        if known is None:
            return ServerReplyError(
                f"ERR unknown command '{name.decode()}': the memory server does not support it"
            )
        return known(*arguments)

    # -- plain commands --

    def _live(self, key: bytes) -> _Item | None:
        item = self._items.get(key)
        if item is not None and item.expires_at_ms is not None and item.expires_at_ms <= self._now_ms():
            del self._items[key]
            return None
        return item

    def _get(self, key: bytes) -> bytes | None:
        item = self._live(key)
        return item.value if item is not None and isinstance(item.value, bytes) else None

    def _set_for(self, key: bytes, value: bytes, option: bytes, *ttl_ms: bytes) -> bytes | None:
        """With ``XX``, which the cache uses for absent keys only, nothing is set."""
        return None if option == b"XX" else self._set(key, value, int(*ttl_ms))

    def _set(self, key: bytes, value: bytes, ttl_ms: int) -> bytes:
        self._items[key] = _Item(value, self._now_ms() + ttl_ms)
        return b"OK"

    def _remove(self, key: bytes) -> int:
        found = self._live(key) is not None
        self._items.pop(key, None)
        return int(found)

    def _matching(self, pattern: bytes) -> list[bytes]:
        matches = glob(pattern.decode("utf-8", "surrogateescape"))
        keys = [key for key in tuple(self._items) if self._live(key) is not None]
        return [key for key in keys if matches.fullmatch(key.decode("utf-8", "surrogateescape"))]

    def _expire(self, key: bytes, ttl_ms: int) -> int:
        item = self._live(key)
        if item is None:
            return 0
        item.expires_at_ms = self._now_ms() + ttl_ms
        return 1

    def _time_to_live(self, key: bytes) -> int:
        item = self._live(key)
        if item is None:
            return -2
        return -1 if item.expires_at_ms is None else item.expires_at_ms - self._now_ms()

    def _expire_at_least(self, key: bytes, ttl_ms: int) -> None:
        item = self._live(key)
        if item is not None and (item.expires_at_ms or 0) < self._now_ms() + ttl_ms:
            item.expires_at_ms = self._now_ms() + ttl_ms

    def _hash(self, key: bytes) -> Hash:
        """The fields of a hash; changes to those of an absent one are lost."""
        item = self._live(key)
        return item.value if item is not None and isinstance(item.value, dict) else {}

    def _new_hash(self, key: bytes) -> Hash:
        """The fields of a hash that exists from now on."""
        if self._live(key) is None:
            self._items[key] = _Item({})
        return self._hash(key)

    def _increase(self, key: bytes, name: bytes, amount: bytes) -> int | ServerReplyError:
        if not amount.isdigit():
            return ServerReplyError("ERR value is not an integer or out of range")
        fields = self._new_hash(key)
        fields[name] = b"%d" % (int(fields.get(name, b"0")) + int(amount))
        return int(fields[name])

    def _fields(self, key: bytes) -> list[bytes]:
        return [part for item in self._hash(key).items() for part in item]

    # -- scripts; the .lua files document them --

    def _run(self, digest: bytes, n_keys: bytes, *rest: bytes) -> Any:
        keys, arguments = rest[: int(n_keys)], rest[int(n_keys) :]
        if digest == self._count_digest:
            return self._count(keys, arguments)
        work = self._scripts.get(digest)
        if work is None:
            return ServerReplyError("NOSCRIPT No matching script")
        each = len(arguments) // len(keys)
        return [work(key, *arguments[at * each : (at + 1) * each]) for at, key in enumerate(keys)]

    def _count(self, keys: Sequence[bytes], arguments: Sequence[bytes]) -> int:
        delivery, kept, minute, five_minutes, hour, now_kept, late, n_words, *words = arguments
        latest = self._get(keys[0])
        if latest is not None and int(latest) >= int(delivery):
            return 0
        self._set(keys[0], delivery, 1000 * int(kept))
        fine, coarse = words[: int(n_words)], words[int(n_words) :]
        for key, seconds, some in zip(
            keys[1:], (minute, five_minutes, hour), (fine, coarse, coarse), strict=False
        ):
            self._add(key, int(seconds), some)
        if late:
            self._add(keys[4], int(now_kept), (late, b"1"))
        return 2 if latest is None else 1

    def _add(self, key: bytes, seconds: int, words: Sequence[bytes]) -> None:
        if seconds > 0:
            for name, amount in zip(words[::2], words[1::2], strict=True):
                self._increase(key, name, amount)
            self._expire(key, 1000 * seconds)

    def _acquire(
        self, key: bytes, placeholder: bytes, lease_ms: bytes, rejected: bytes, last: bytes
    ) -> bytes | None:
        current = self._get(key)
        if current and not (rejected and current.startswith(rejected)):
            return current if int(last) < 0 else current[: int(last) + 1]
        self._set(key, placeholder, int(lease_ms))
        return None

    def _claim(self, key: bytes, placeholder: bytes, lease_ms: bytes, token: bytes) -> int:
        entry = self._entry(key)
        if entry is None:
            self._set(key, placeholder, int(lease_ms))
            return 0
        self._lease(key, token, int(lease_ms))
        return 1

    def _elect(self, key: bytes, seen: bytes, token: bytes, lease_ms: bytes) -> int:
        entry = self._entry(key)
        if entry is None or entry.id.encode() != seen:
            return 0
        if 0 < entry.leased_until_ms - self._now_ms() <= 2 * int(lease_ms):
            return 0
        self._lease(key, token, int(lease_ms))
        return 1

    def _renew(self, key: bytes, token: bytes, lease_ms: bytes) -> int:
        held = self._held(key, token)
        if isinstance(held, Entry):
            self._lease(key, token, int(lease_ms))
        elif held is not None:
            self._expire(key, int(lease_ms))
        return int(held is not None)

    def _commit(self, key: bytes, token: bytes, entry: bytes, ttl_ms: bytes) -> int:
        if self._held(key, token) is None:
            return 0
        self._set(key, entry, int(ttl_ms))
        return 1

    def _release(self, key: bytes, token: bytes, left_ms: bytes) -> int:
        held, left = self._held(key, token), int(left_ms)
        if isinstance(held, Placeholder) or (held is not None and left == 0):
            return self._remove(key)
        if held is not None and left > 0:
            item = self._items[key]
            ends_ms = self._now_ms() + left
            item.expires_at_ms = min(item.expires_at_ms or ends_ms, ends_ms)
        return 0

    def _withdraw(self, key: bytes, placeholder: bytes, lease_ms: bytes) -> int:
        entry = self._entry(key)
        if entry is None or not entry.leased_until_ms:
            return 0
        placeholder = placeholder[: header.ID_START] + entry.id.encode() + placeholder[header.ID_END :]
        self._set(key, placeholder, int(lease_ms))
        return 1

    def _tag(self, key: bytes, version: bytes, ttl_ms: bytes) -> bytes:
        current = self._get(key)
        if current is None or not re.fullmatch(rb"[0-9a-f]{16}", current):
            self._set(key, version, 2 * int(ttl_ms))
            return version
        ends_ms = self._items[key].expires_at_ms or 0
        if ends_ms < self._now_ms() + int(ttl_ms):
            self._expire(key, 2 * int(ttl_ms))
        return current

    def _entry(self, key: bytes) -> Entry | None:
        found = parse(self._get(key) or b"")
        return found if isinstance(found, Entry) else None

    def _held(self, key: bytes, token: bytes) -> Entry | Placeholder | None:
        found = parse(self._get(key) or b"")
        return found if found is not None and found.id.encode() == token else None

    def _lease(self, key: bytes, token: bytes, lease_ms: int) -> None:
        data = self._get(key) or b""
        leased = f"{header.LEASED}{self._now_ms() + lease_ms:0{header.LEASED_DIGITS}d}".encode("ascii")
        self._items[key].value = data[: header.ID_START] + token + leased + data[header.LEASED_END :]
        self._expire_at_least(key, lease_ms)
