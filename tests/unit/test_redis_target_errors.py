"""Malformed URLs of clusters and sentinels say what to type, and no URL lets a secret be seen."""

import re
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from langcache_cli.caching import CacheSettings, ConfigurationError
from langcache_cli.caching._config.redis_target import RedisTarget

SECRET = "hunter2-secret"
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
