"""URLs of clusters and of services behind Sentinel: their parts, their text form, settings."""

import re

import pytest

from langcache_cli.caching import CacheSettings, ConfigurationError
from langcache_cli.caching._config.hosts import Host
from langcache_cli.caching._config.redis_address import RedisAddress
from langcache_cli.caching._config.redis_target import RedisTarget

SECRET = "hunter2-secret"
CLUSTER_SCHEMES = ["redis+cluster", "rediss+cluster"]
SENTINEL_SCHEMES = ["redis+sentinel", "rediss+sentinel"]


# -- the parts --


@pytest.mark.parametrize(
    "url", ["redis://:pw@host:7000/3", "rediss://[::1]?ssl_ca_certs=/ca.pem", "redis://"]
)
def test_a_url_of_one_server_is_that_server(url):
    target = RedisTarget.parse(url)
    address = RedisAddress.parse(url)
    assert (target.kind, target.server, target.service, target.sentinels) == ("one", address, "", ())
    assert target.hosts == ((address.host, address.port),)
    assert str(target) == str(address)


def test_a_unix_socket_has_no_hosts():
    target = RedisTarget.parse("unix:///run/redis.sock?db=2")
    assert (target.kind, target.hosts, target.server.path) == ("one", (), "/run/redis.sock")


@pytest.mark.parametrize("scheme", CLUSTER_SCHEMES)
@pytest.mark.parametrize(
    ("rest", "hosts"),
    [
        ("h1", [("h1", 6379)]),
        ("h1:7000,h2:7001", [("h1", 7000), ("h2", 7001)]),
        ("H1.Example.org,h2:7001/", [("h1.example.org", 6379), ("h2", 7001)]),
        ("10.0.0.1:7000,10.0.0.2/0", [("10.0.0.1", 7000), ("10.0.0.2", 6379)]),
        ("[::1]:7000,[2001:DB8::2],h3:1", [("::1", 7000), ("2001:db8::2", 6379), ("h3", 1)]),
        ("h1,h2?db=0", [("h1", 6379), ("h2", 6379)]),
    ],
)
def test_the_nodes_of_a_cluster(scheme, rest, hosts):
    target = RedisTarget.parse(f"{scheme}://{rest}")
    assert (target.kind, target.service, target.server.db, target.sentinels) == ("cluster", "", 0, ())
    assert list(target.hosts) == hosts
    assert target.server.tls == scheme.startswith("rediss")


@pytest.mark.parametrize("scheme", SENTINEL_SCHEMES)
@pytest.mark.parametrize(
    ("rest", "hosts", "service", "db"),
    [
        ("h1/cache", [("h1", 26379)], "cache", 0),
        ("h1:1,h2/my-master", [("h1", 1), ("h2", 26379)], "my-master", 0),
        ("h1,[::1],[::2]:26380/cache/5", [("h1", 26379), ("::1", 26379), ("::2", 26380)], "cache", 5),
        ("h1/a%2Fb/3/", [("h1", 26379)], "a/b", 3),
        ("h1/cache?db=4", [("h1", 26379)], "cache", 4),
    ],
)
def test_the_sentinels_of_a_service(scheme, rest, hosts, service, db):
    target = RedisTarget.parse(f"{scheme}://{rest}")
    assert (target.kind, target.service, target.server.db) == ("sentinel", service, db)
    assert list(target.hosts) == hosts
    assert [(one.host, one.port) for one in target.sentinels] == hosts
    assert {one.db for one in target.sentinels} == {0}
    assert {one.tls for one in target.sentinels} == {target.server.tls} == {scheme.startswith("rediss")}


@pytest.mark.parametrize("kind", ["cluster", "sentinel"])
@pytest.mark.parametrize(
    ("login", "username", "password"),
    [
        ("", None, None),
        ("@", None, None),
        (":secret@", None, "secret"),
        ("user:secret@", "user", "secret"),
        ("user@", "user", None),
        ("u%40b:p%3A%2F%40%23%25%2C@", "u@b", "p:/@#%,"),
        (":a,b+c:d@", None, "a,b+c:d"),
        (":p%C3%A4ss%20w@", None, "päss w"),
    ],
)
def test_user_and_password_are_those_of_redis(kind, login, username, password):
    target = RedisTarget.parse(f"redis+{kind}://{login}h1,h2/{'cache' if kind == 'sentinel' else ''}")
    assert (target.server.username, target.server.password) == (username, password)
    assert {(one.username, one.password) for one in target.sentinels} <= {(None, None)}


@pytest.mark.parametrize(
    ("options", "login"),
    [
        ("sentinel_password=s%40crt", (None, "s@crt")),
        ("sentinel_username=su&sentinel_password=a%26b+c", ("su", "a&b+c")),
        ("", (None, None)),
    ],
)
def test_sentinels_have_a_login_of_their_own(options, login):
    target = RedisTarget.parse(f"redis+sentinel://user:redis-pw@h1,h2/cache?{options}")
    assert {(one.username, one.password) for one in target.sentinels} == {login}
    assert (target.server.username, target.server.password) == ("user", "redis-pw")
    assert not [name for name in target.server.options if name.startswith("sentinel")]


@pytest.mark.parametrize(
    ("scheme", "option", "server", "sentinel"),
    [
        ("rediss", "", True, True),
        ("rediss", "?sentinel_tls=false", True, False),
        ("rediss", "?sentinel_tls=TRUE", True, True),
        ("redis", "", False, False),
        ("redis", "?sentinel_tls=no", False, False),
    ],
)
def test_sentinels_may_do_without_tls(scheme, option, server, sentinel):
    target = RedisTarget.parse(f"{scheme}+sentinel://h1,h2/cache{option}")
    assert target.server.tls is server
    assert {one.tls for one in target.sentinels} == {sentinel}


@pytest.mark.parametrize("rest", ["cluster://:pw@h1,h2/0", "sentinel://:pw@h1,h2/cache/7"])
def test_the_address_of_one_server_of_many(rest):
    target = RedisTarget.parse(f"rediss+{rest}?ssl_ca_certs=/ca.pem")
    address = target.at("10.0.0.7", 7001)
    assert (address.host, address.port, address.password) == ("10.0.0.7", 7001, "pw")
    assert address.tls
    assert address.options == {"ssl_ca_certs": "/ca.pem"}
    assert address.db == target.server.db
    assert str(address) == f"rediss://***@10.0.0.7:7001/{address.db}"
    assert {one.options["ssl_ca_certs"] for one in target.sentinels} <= {"/ca.pem"}


# -- the text form --


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis+cluster://:pw@h1,[::1]:7000", "redis+cluster://***@h1:6379,[::1]:7000/0"),
        ("RedisS+Cluster://h1/", "rediss+cluster://h1:6379/0"),
        ("redis+sentinel://u@h1,h2:1/cache", "redis+sentinel://***@h1:26379,h2:1/cache/0"),
        ("rediss+sentinel://h1/c/2?sentinel_password=x", "rediss+sentinel://h1:26379/c/2"),
    ],
)
def test_the_text_form_shows_all_hosts(url, shown):
    target = RedisTarget.parse(url)
    assert str(target) == str(target.server) == shown


# -- settings --


def test_settings_hold_the_target(monkeypatch):
    monkeypatch.setenv("REDIS_URL", "redis+sentinel://:pw@h1,h2:1/cache/2")
    settings = CacheSettings.load(env_file=None)
    assert settings.target.hosts == (Host("h1", 26379), Host("h2", 1))
    assert settings.target is settings.target


def test_settings_of_one_server_hold_its_address():
    settings = CacheSettings.load(env_file=None, redis_url="redis://:pw@host:7000/3")
    assert settings.address == settings.target.server == RedisAddress.parse("redis://:pw@host:7000/3")


@pytest.mark.parametrize("url", ["redis+cluster://:pw@h1,h2", "redis+sentinel://:pw@h1,h2/cache"])
def test_many_servers_have_no_single_address(url):
    settings = CacheSettings.load(env_file=None, redis_url=url)
    with pytest.raises(ConfigurationError, match=re.escape(str(settings.target))) as caught:
        _ = settings.address
    assert caught.value.variable == "REDIS_URL"
    assert "pw" not in str(caught.value)


def test_a_malformed_url_names_the_variable():
    with pytest.raises(ConfigurationError, match="REDIS_URL: a cluster has database 0 only") as caught:
        CacheSettings.load(env_file=None, redis_url=f"redis+cluster://:{SECRET}@h1/4")
    assert SECRET not in str(caught.value)
