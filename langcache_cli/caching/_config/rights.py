"""The rights of the smallest ACL users that the cache works with, and which of them an error reply lacks.

The documents show the three lines; `tests/docs/test_redis_blocks.py` compares.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from langcache_cli.caching._errors import ServerReplyError

Kind = Literal["one", "cluster", "sentinel"]
"""A user of one server (also of one that Sentinel watches), of each node of a cluster, of each sentinel."""

_ENTRIES: Final = "+get +set +setrange +getrange +unlink +exists +pexpire +pttl +eval +evalsha +time +scan"
_COUNTERS: Final = "+hincrby +hgetall +expire"
_EVENTS: Final = "+xadd +xrevrange"
_HOT_KEYS: Final = "+zincrby +zremrangebyrank +zrevrange"
_KEYS_BY_TYPE: Final = "+randomkey +memory|usage"
_STATISTICS: Final = f"{_COUNTERS} {_EVENTS} {_HOT_KEYS} {_KEYS_BY_TYPE}"
_SERVER: Final = "+ping +info +dbsize"
_TRACKING: Final = "+hello +client|tracking"
_DATA: Final = f"{_ENTRIES} {_STATISTICS} {_SERVER} {_TRACKING}"
_CLUSTER: Final = "+role +asking +cluster|slots +cluster|nodes +cluster|myid +cluster|info"
_SENTINEL: Final = (
    "+sentinel|master +sentinel|masters +sentinel|get-master-addr-by-name +subscribe +hello +ping"
)
_CHANNELS: Final = ("&+switch-master",)

COMMANDS: Final[dict[Kind, tuple[str, ...]]] = {
    "one": ("+mget", "+select", "+role", *_DATA.split()),
    "cluster": (*_DATA.split(), *_CLUSTER.split()),
    "sentinel": (*_SENTINEL.split(),),
}
"""The commands of each user, as words of ``ACL SETUSER``."""

_COMMAND: Final = re.compile(r"run the '([^']+)' command|run (?:this|the) command '([^']+)'")
_KEYS: Final = re.compile(r"access (?:one of the keys|a key|the '.*' key|at least one of the keys)")
_CHANNEL: Final = re.compile(r"access (?:one of the channels|a channel|the '.*' channel)")


def key_patterns(namespace: str) -> tuple[str, str]:
    """The keys of a namespace, as words of ``ACL SETUSER``: entries; tags, statistics and all else."""
    return f"~{namespace}:*", f"~{namespace}@*"


def setuser_line(
    kind: Kind,
    *,
    user: str = "app",
    password: str = "password",  # noqa: S107 - what the documents show in its place
    namespace: str = "cache",
) -> str:
    """The whole line that makes, or remakes, the smallest user.

    Args:
        kind: What it is a user of.
        user: Its name.
        password: Its password.
        namespace: ``LANGCACHE_NAMESPACE``.
    """
    keys = () if kind == "sentinel" else key_patterns(namespace)
    channels = _CHANNELS if kind == "sentinel" else ()
    words = ("resetkeys", *keys, "resetchannels", *channels, "-@all", *COMMANDS[kind])
    return " ".join(("ACL SETUSER", user, "on", f">{password}", *words))


@dataclass(frozen=True, slots=True)
class AclUser:
    """The user of a connection, to say what to grant it.

    Attributes:
        name: Its name.
        namespace: The namespace whose keys it needs.
    """

    name: str = "default"
    namespace: str = "cache"

    def refusal(self, message: str) -> ServerReplyError:
        """The error of an error reply; one that a right is missing for says how to grant it."""
        error = ServerReplyError(message)
        if error.code == "NOPERM":
            error.user = self.name
            error.rights = self._missing(message)
        return error

    def _missing(self, message: str) -> tuple[str, ...]:
        if _KEYS.search(message):
            return key_patterns(self.namespace)
        if _CHANNEL.search(message):
            return _CHANNELS
        found = _COMMAND.search(message)
        return rights_to(found[1] or found[2]) if found else ()


def rights_to(command: str) -> tuple[str, ...]:
    """The words of ``ACL SETUSER`` for a command; of one with subcommands, those that the cache needs.

    Args:
        command: Its name in an error reply: ``get``, ``cluster|slots``, or only ``cluster``.
    """
    right = f"+{command.lower()}"
    known = dict.fromkeys(one for rights in COMMANDS.values() for one in rights)
    return tuple(one for one in known if one.startswith(f"{right}|")) or (right,)
