"""URLs of clusters and of services behind Sentinel: parts, errors, and secrets that never show."""

import re
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

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


# -- errors --

CLUSTER_FORM = "expected redis+cluster://:password@host1:6379,host2:6379"
SENTINEL_FORM = "expected redis+sentinel://:password@host1:26379,host2:26379/service/0"


@pytest.mark.parametrize(
    ("url", "reasons"),
    [
        ("redis+cluster://h1,h2/1", ["database 0 only", CLUSTER_FORM]),
        ("redis+cluster://h1?db=3", ["database 0 only"]),
        ("redis+cluster://h1/cache", ["comes /0 or nothing"]),
        ("redis+cluster://h1/0/0", ["comes /0 or nothing"]),
        ("redis+cluster://h1/٣", ["comes /0 or nothing"]),
        ("redis+cluster://", ["host number 1 is empty", CLUSTER_FORM]),
        ("redis+cluster://h1,,h3", ["host number 2 is empty"]),
        ("redis+cluster://h1,", ["host number 2 is empty"]),
        ("redis+cluster://:pw@:7000", ["host number 1 is empty"]),
        ("redis+cluster://h1:", ["port of host number 1 is none", "1 to 65535"]),
        ("redis+cluster://h1,h2:port", ["port of host number 2 is none"]),
        ("redis+cluster://h1:0", ["port of host number 1 is none"]),
        ("redis+cluster://h1:65536", ["port of host number 1 is none"]),
        ("redis+cluster://h1:-1", ["port of host number 1 is none"]),
        ("redis+cluster://h1:٣", ["port of host number 1 is none"]),
        (f"redis+cluster://h1:{'9' * 5000}", ["port of host number 1 is none"]),
        ("redis+cluster://::1:7000", ["host number 1 has several colons", "[::1]:6379"]),
        ("redis+cluster://[::1", ["host number 1 is malformed", "[::1]:6379"]),
        ("redis+cluster://[host]:1", ["host number 1 is malformed"]),
        ("redis+cluster://[::1]7000", ["host number 1 is malformed"]),
        ("redis+cluster://h1, h2", ["host number 2 holds a character"]),
        ("redis+cluster://h1%2Ch2", ["host number 1 holds a character"]),
        ("redis+cluster:h1", ["'//' is missing", CLUSTER_FORM]),
        ("redis+cluster://h1?sentinel_password=x", ["belong to a redis+sentinel:// URL"]),
        ("redis+cluster://h1?ssl_password", ["has no '='", "%26"]),
        ("redis+cluster://:pw@h1,:pw@h2", ["an '@' too many", "before the first host"]),
        ("redis+sentinel://h1,h2", ["the service is missing", SENTINEL_FORM]),
        ("redis+sentinel://h1/", ["the service is missing"]),
        ("redis+sentinel://h1//3", ["the service is missing"]),
        ("redis+sentinel:///cache", ["host number 1 is empty"]),
        ("redis+sentinel://h1/cache/one", ["after the service comes the number"]),
        ("redis+sentinel://h1/cache/0/0", ["after the service comes the number"]),
        ("redis+sentinel://h1/my%20cache", ["name of the service holds"]),
        ("redis+sentinel://::1/cache", ["[::1]:26379"]),
        ("redis+sentinel://h1/cache?sentinel_db=1", ["there are only sentinel_username"]),
        ("redis+sentinel://h1/cache?sentinel_tls=maybe", ["true or false"]),
        ("redis+sentinel://h1/cache?sentinel_tls=true", ["write rediss+sentinel://"]),
        ("redis+sentinel://h1/cache?sentinel_username=u", ["needs sentinel_password"]),
        ("redis://h1,h2:6379/0", ["redis+cluster://host1", "redis+sentinel://host1"]),
        ("rediss://:pw@h1:6379,h2:6379", ["rediss+cluster://host1", "rediss+sentinel://host1"]),
        ("redis-cluster://h1", ["redis+cluster://, ", "got 'redis-cluster://'"]),
        ("sentinel://h1/cache", ["redis+sentinel://, ", "got 'sentinel://'"]),
        ("h1,h2", ["got no scheme"]),
    ],
)
def test_a_malformed_url_says_what_to_type(url, reasons):
    with pytest.raises(ValueError, match=re.escape(reasons[0])) as caught:
        RedisTarget.parse(url)
    assert [reason for reason in reasons if reason not in str(caught.value)] == []
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("kind", ["cluster", "sentinel"])
@pytest.mark.parametrize(
    "form",
    [
        "://:12/{}@h1,h2/cache",
        "://:12#{}@h1,h2/cache",
        "://:12?{}@h1,h2/cache",
        "://:{}/x@h1,h2/cache",
        "://:{}#x@h1,h2/cache",
        "://user:{}?x@h1,h2/cache",
        "://:x@{}@h1,h2/cache",
        "://h1:{}/cache",
        "://h1,h2/cache/{}",
        "://h1,h2/{}/x?db=0",
        "://h1/cache?sentinel_password={}@x",
        "://h1/cache?sentinel_password={}#x",
        "://h1/cache?sentinel_password=x&{}",
        "://h1/cache?sentinel_{}=x",
        ":{}@h1",
        "{}://h1",
    ],
)
def test_a_misplaced_password_is_rejected_without_showing_it(kind, form):
    scheme = "" if form.startswith("{") else f"redis+{kind}"
    with pytest.raises(ValueError, match=r"redis\+") as caught:
        RedisTarget.parse(scheme + form.format(SECRET.replace("-", "") if not scheme else SECRET))
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


# -- no secret, whatever it is --

secrets = st.text(st.characters(exclude_categories=("Cs",)), min_size=4, max_size=12)
FORMS = [
    "{scheme}+cluster://:{secret}@h1:7000,[::1]",
    "{scheme}+cluster://user:{secret}@h1/0?ssl_ca_certs=/ca.pem",
    "{scheme}+cluster://h1,h2?ssl_password={secret}",
    "{scheme}+sentinel://:{secret}@h1,h2/cache",
    "{scheme}+sentinel://user:{secret}@[::1]:1/cache/3",
    "{scheme}+sentinel://h1/cache?sentinel_username=su&sentinel_password={secret}",
    "{scheme}+sentinel://h1/cache?ssl_password={secret}&sentinel_tls=false",
]
SCHEMES = st.sampled_from(["redis", "rediss"])
NAMES = "RedisTarget Host RedisAddress kind one cluster sentinel True False None"


def shown_of(target: RedisTarget) -> str:
    everything = [target, target.server, *target.sentinels, target.at("10.1.2.3", 7000), *target.hosts]
    return " ".join(f"{one} {one!r}" for one in everything)


def harmless(form: str, scheme: str) -> str:
    """What is shown of a form whose secret is another one."""
    return shown_of(RedisTarget.parse(form.format(scheme=scheme, secret="x")))


@given(st.sampled_from(FORMS), SCHEMES, secrets)
def test_an_encoded_secret_is_decoded_and_never_shown(form, scheme, secret):
    assume(secret not in harmless(form, scheme))
    encoded = quote(secret, safe="")
    target = RedisTarget.parse(form.format(scheme=scheme, secret=encoded))
    found = [target.server.password, target.server.options.get("ssl_password")]
    found += [one.password for one in target.sentinels]
    assert secret in found
    assert secret not in shown_of(target)
    assert encoded not in shown_of(target)


@given(st.sampled_from(FORMS), SCHEMES, secrets)
def test_a_raw_secret_is_accepted_or_rejected_and_never_shown(form, scheme, secret):
    assume(len(set(secret)) > 3 and secret.strip() == secret)
    url = form.format(scheme=scheme, secret=secret)
    try:
        shown = shown_of(RedisTarget.parse(url))
    except ValueError as error:
        shown = f"{error} {error!r} {error.__cause__!r}"
    everything_else = f"{harmless(form, scheme)} {form} {messages()}"
    assume(secret not in everything_else)
    assert secret not in shown


@given(st.sampled_from(FORMS), SCHEMES, secrets)
def test_settings_show_no_raw_secret(form, scheme, secret):
    assume(len(set(secret)) > 3 and secret.strip() == secret)
    url = form.format(scheme=scheme, secret=secret)
    try:
        settings = CacheSettings.load(env_file=None, redis_url=url)
        shown = f"{settings!r} {settings.target} {settings.target!r}"
    except ConfigurationError as error:
        shown = f"{error} {error!r} {error.__cause__!r}"
    assume(secret not in f"{harmless(form, scheme)} {form} {messages()} {CacheSettings()!r} REDIS_URL:")
    assert secret not in shown


def messages() -> str:
    """The texts of errors, which may hold a generated secret by chance."""
    texts = []
    for url in [f"redis+{kind}://h1/{path}" for kind in ("cluster", "sentinel") for path in ("", "9", "a/b")]:
        try:
            RedisTarget.parse(url)
        except ValueError as error:
            texts.append(repr(error))
    return " ".join(texts)


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
