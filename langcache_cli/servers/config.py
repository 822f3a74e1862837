"""The redis.conf of a local server."""

from __future__ import annotations

from langcache_cli.servers.spec import ServerSpec
from langcache_cli.servers.state import StateFolder


def render(spec: ServerSpec, folder: StateFolder) -> str:
    """The whole configuration: loopback only, the URL's user only, bounded, evicting, append-only.

    Snapshots are off: the append-only file has everything, and a fork now and then would only surprise.
    """
    lines = [
        ["bind", *_addresses(spec.host)],
        ["port", str(spec.port)],
        ["protected-mode", "yes"],
        ["daemonize", "no"],
        ["dir", str(folder.data_dir)],
        ["logfile", str(folder.log_file)],
        ["appendonly", "yes"],
        ["save", ""],
        ["maxmemory", spec.maxmemory],
        ["maxmemory-policy", "allkeys-lru"],
        *_users(spec),
    ]
    return "".join(" ".join(map(quoted, line)) + "\n" for line in lines)


def quoted(value: str) -> str:
    r"""`value` as one word of redis.conf, whatever it holds; bytes beyond plain ASCII as \xNN.

    >>> quoted('a "b"\n')
    '"a \\"b\\"\\x0a"'
    """
    return '"' + "".join(_escaped(byte) for byte in value.encode("utf-8", "surrogateescape")) + '"'


def _escaped(byte: int) -> str:
    character = chr(byte)
    if character in '"\\':
        return f"\\{character}"
    return character if " " <= character <= "~" else f"\\x{byte:02x}"


def _addresses(host: str) -> list[str]:
    # "-" lets the server start where that address does not exist: a machine without IPv6.
    usual = ["127.0.0.1", "-::1"]
    if host == "::1":
        return ["127.0.0.1", "::1"]
    return usual if host in {"localhost", "127.0.0.1"} else [host, *usual]


def _users(spec: ServerSpec) -> list[list[str]]:
    everything = ["~*", "&*", "+@all"]
    if spec.username is None:
        return [["user", "default", "on", spec.password_rule, *everything]]
    return [
        ["user", "default", "off"],
        ["user", spec.username, "on", spec.password_rule, *everything],
    ]
