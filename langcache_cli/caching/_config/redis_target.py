"""What ``REDIS_URL`` names: one server, a cluster, or a service that Sentinel watches.

No text form and no error contains a user, a password or an option.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from langcache_cli.caching._config.hosts import Host
from langcache_cli.caching._config.redis_address import SCHEMES, RedisAddress, scheme_of
from langcache_cli.caching._config.target_url import FLEET_SCHEMES, TargetUrl, reject_several_hosts

Kind = Literal["one", "cluster", "sentinel"]


@dataclass(frozen=True, slots=True)
class RedisTarget:
    """A whole Redis URL.

    Attributes:
        kind: ``one`` server, a ``cluster``, or a service behind ``sentinel``.
        hosts: The server, the first nodes of the cluster to ask, or the sentinels; empty for a unix socket.
        service: The name of the service that the sentinels watch; empty for the other kinds.
        server: The server of kind ``one``. Of the other kinds the login, TLS, database and options of a data
            server; `at` gives the address of a real one.
        sentinel: The same of a sentinel; None for the other kinds.
    """

    kind: Kind
    hosts: tuple[Host, ...]
    service: str
    server: RedisAddress
    sentinel: RedisAddress | None = None

    @classmethod
    def parse(cls, url: str) -> RedisTarget:
        """Parse a URL.

        Args:
            url: One that `RedisAddress.parse` takes, or, with TLS as ``rediss+...``,
                ``redis+cluster://[[user]:password@]host[:port][,host...][/0][?option=value]`` or
                ``redis+sentinel://[[user]:password@]host[:port][,host...]/service[/db][?option=value]``.

        Raises:
            ValueError: The URL is malformed. The message omits the URL, which may contain a secret.
        """
        if scheme_of(url, (*SCHEMES, *FLEET_SCHEMES)) not in FLEET_SCHEMES:
            reject_several_hosts(url)
            return cls.of_one(RedisAddress.parse(url))
        parts = TargetUrl.split(url.strip())
        server = parts.server()
        kind: Kind = "sentinel" if parts.is_sentinel else "cluster"
        target = cls(
            kind, parts.hosts, parts.service, server, parts.sentinel() if parts.is_sentinel else None
        )
        return replace(target, server=replace(server, shown_as=str(target)))

    @classmethod
    def of_one(cls, address: RedisAddress) -> RedisTarget:
        """The target that is one server."""
        hosts = () if address.path else (Host(address.host, address.port),)
        return cls("one", hosts, "", address)

    def holding(self, namespace: str) -> RedisTarget:
        """This target, for a cache of a namespace."""
        return replace(self, server=replace(self.server, namespace=namespace))

    def at(self, host: str, port: int) -> RedisAddress:
        """The address of one data server: login, TLS, database and options of the URL."""
        return replace(self.server, host=host, port=port, shown_as="")

    @property
    def sentinels(self) -> tuple[RedisAddress, ...]:
        """The addresses of the sentinels; none for the other kinds."""
        if self.sentinel is None:
            return ()
        return tuple(replace(self.sentinel, host=host, port=port) for host, port in self.hosts)

    def __str__(self) -> str:
        """All hosts without user, password and options; safe to log."""
        if self.kind == "one":
            return str(self.server)
        scheme = f"{'rediss' if self.server.tls else 'redis'}+{self.kind}"
        secret = "***@" if self.server.username or self.server.password else ""
        service = f"/{self.service}" if self.service else ""
        return f"{scheme}://{secret}{','.join(map(str, self.hosts))}{service}/{self.server.db}"
