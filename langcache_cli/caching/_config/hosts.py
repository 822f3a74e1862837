"""The hosts of a URL that names several servers: ``h1:6379,[::1]:7000,h3``."""

from __future__ import annotations

from ipaddress import AddressValueError, IPv6Address
from typing import NamedTuple

HIGHEST_PORT = 65535


class Host(NamedTuple):
    """A host name or address, and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        """``host:port``, with brackets around an IPv6 address."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_hosts(text: str, *, default_port: int) -> tuple[Host, ...]:
    """The hosts of a list with commas.

    Args:
        text: The part of a URL between the password and the path.
        default_port: The port of a host that names none.

    Raises:
        ValueError: A host is empty or malformed. The message omits the text, which may contain a secret.
    """
    items = text.split(",")
    return tuple(_parse_host(item, number, default_port) for number, item in enumerate(items, start=1))


def _parse_host(item: str, number: int, default_port: int) -> Host:
    if item.startswith("["):
        host, bracket, rest = item[1:].partition("]")
        if not bracket or not _is_ipv6(host) or (rest and not rest.startswith(":")):
            raise ValueError(
                f"host number {number} is malformed: an IPv6 address is written [::1]:{default_port}"
            )
        port = rest[1:] if rest else None
    elif ":" in item.partition(":")[2]:
        raise ValueError(
            f"host number {number} has several colons: write an IPv6 address as [::1]:{default_port}"
        )
    else:
        host, colon, after_colon = item.partition(":")
        port = after_colon if colon else None
    if not host:
        raise ValueError(
            f"host number {number} is empty: write host:{default_port}, with one comma between two hosts"
        )
    if any(character.isspace() or not character.isprintable() or character in "[]%\\" for character in host):
        raise ValueError(f"host number {number} holds a character that no host name has")
    return Host(host.lower(), default_port if port is None else _parse_port(port, number, default_port))


def _parse_port(text: str, number: int, default_port: int) -> int:
    digits = text.isascii() and text.isdigit() and len(text) <= len(str(HIGHEST_PORT))
    if not digits or not 1 <= int(text) <= HIGHEST_PORT:
        raise ValueError(
            f"the port of host number {number} is none: write a number from 1 to {HIGHEST_PORT}, "
            f"such as {default_port}"
        )
    return int(text)


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except AddressValueError:
        return False
    return True
